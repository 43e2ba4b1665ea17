"""What a run tells of itself: numbers that follow from each other, deadlines, stop requests."""

from __future__ import annotations

import dataclasses
import io
import json
import os
import signal
import time

import pytest
from rich.console import Console

from farm.errors import UserError
from tests.samples import make_campaign
from workers.generate import node_labels
from workers.ledger import MakeSample, WriteShard
from workers.run import Deadlines
from workers.stop import TERMINATE_GRACE_S, stop_requests
from workers.summary import RunSummary, reason_code

SUMMARY = RunSummary(
    uri="s3://bucket/data",
    dataset_id="id",
    campaign="demo",
    samples=8,
    shards=2,
    shards_before=0,
    shards_committed=2,
    accepted=6,
    rejected=2,
    workers=2,
    wall_s=1800.0,
    bytes_written=12_000_000,
    reasons={"fell": 1, "quarantined": 1},
    quarantined={3: "hung; no answer within its deadline"},
    stage_seconds={"simulate": 1800.0, "film": 900.0},
    lost_attempts={"hung": 3},
)


def test_the_yield_is_accepted_gaits_for_each_core_hour() -> None:
    assert SUMMARY.accepted_per_core_hour == pytest.approx(6.0)
    assert SUMMARY.busy_fraction == pytest.approx(0.75)
    assert dataclasses.replace(SUMMARY, workers=0, wall_s=0.0).accepted_per_core_hour == 0.0


def test_complete_is_not_clean_while_something_was_given_up() -> None:
    assert (SUMMARY.complete, SUMMARY.clean) == (True, False)
    assert dataclasses.replace(SUMMARY, quarantined={}).clean
    assert not dataclasses.replace(SUMMARY, quarantined={}, shards_committed=1).clean


def test_json_holds_every_field_and_the_derived_ones() -> None:
    values = json.loads(SUMMARY.to_json())
    assert {field.name for field in dataclasses.fields(SUMMARY)} <= values.keys()
    assert values["accepted_per_core_hour"] == 6.0
    assert values["complete"] is True


def test_the_table_names_what_a_person_must_know() -> None:
    screen = io.StringIO()
    SUMMARY.show(Console(file=screen, width=120))
    text = screen.getvalue()
    for part in (
        "complete",
        "6 (75%)",
        "fell 1",
        "6.0 accepted gaits per core-hour, 2.00 MB",
        "quarantined 3",
        "hung 3",
    ):
        assert part in text
    interrupted = dataclasses.replace(SUMMARY, shards_committed=1, interrupted=True)
    interrupted.show(Console(file=screen, width=120))
    assert "the same command goes on from here" in screen.getvalue()


def test_a_reason_is_counted_by_its_code() -> None:
    assert reason_code("quarantined: hung") == "quarantined"
    assert reason_code("fell") == "fell"


def test_deadlines_grow_with_what_a_sample_asks_for() -> None:
    small = make_campaign()
    job = MakeSample("00000000", 0, 1)
    default = Deadlines.of(small).of_job(job)
    assert default > small.simulation.budget_s
    wide = small.model_copy(update={"pictures": small.pictures.model_copy(update={"image_size": (1024, 1024)})})
    assert Deadlines.of(wide).of_job(job) > 4 * default
    one, many = (WriteShard("00000000", dict.fromkeys(range(n), ""), {}, 1) for n in (1, 64))
    assert Deadlines.of(small).of_job(many) > Deadlines.of(small).of_job(one)


def test_the_first_request_drains_the_second_stops_and_the_third_raises() -> None:
    before = signal.getsignal(signal.SIGINT)
    with stop_requests() as stop:
        assert not stop.asked
        os.kill(os.getpid(), signal.SIGINT)
        assert (stop.asked, stop.at_once) == (True, False)
        os.kill(os.getpid(), signal.SIGINT)
        assert stop.at_once
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before


def test_termination_grants_only_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    with stop_requests() as stop:
        os.kill(os.getpid(), signal.SIGTERM)
        assert (stop.asked, stop.at_once) == (True, False)
        later = time.monotonic() + TERMINATE_GRACE_S + 1
        monkeypatch.setattr(time, "monotonic", lambda: later)
        assert stop.at_once


def test_node_labels_are_read_or_refused() -> None:
    assert node_labels(["role=sim", "market=spot"]) == {"role": "sim", "market": "spot"}
    with pytest.raises(UserError, match=r"--on 'role' is not LABEL=VALUE"):
        node_labels(["role"])
