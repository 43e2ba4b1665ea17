"""The event log: one JSON object a line, whole under any text, and never a credential."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from farm.errors import UserError
from workers.eventlog import EventLog, masked, note_end, note_failure, note_result
from workers.ledger import MakeSample, WriteShard
from workers.messages import Failure
from workers.staging import Made, Written

JOB = MakeSample("00000003", 17, 2)


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def test_a_sample_s_lines_say_which_sample_and_what_became_of_it(tmp_path: Path) -> None:
    log = EventLog(tmp_path / "deep" / "worker.jsonl", worker=4, host="machine")
    log.note("begun", job=JOB)
    note_result(log, JOB, Made(17, "staging/x", False, ("fell", "too_short"), {"simulate": 1.5, "film": 0.25}, 900))
    note_failure(log, JOB, Failure("error", "ZeroDivisionError: x"))
    note_result(log, WriteShard("00000003", {17: "k"}, {}, 1), Written("00000003", 3, 1, {"fell": 1}, 4000, 0.5))
    note_end(log, {18: "hung; in step"}, interrupted=False, seconds=3.0)
    log.note("after the end")
    begun, made, failed, committed, given_up, ended = lines(tmp_path / "deep" / "worker.jsonl")
    same = {"sample_id": 17, "shard_id": "00000003", "attempt": 2, "stage": "make", "worker": 4, "host": "machine"}
    for line in (begun, made, failed):
        assert line.items() >= same.items()
    assert list(made)[:3] == ["time", "level", "event"]
    assert datetime.fromisoformat(made["time"]).tzinfo is not None
    assert (made["outcome"], made["reasons"], made["seconds"], made["bytes"]) == (
        "rejected", ["fell", "too_short"], 1.75, 900,
    )  # fmt: skip
    assert made["stage_seconds"] == {"simulate": 1.5, "film": 0.25}
    assert (failed["level"], failed["cause"], failed["detail"]) == ("warning", "raised", "ZeroDivisionError: x")
    assert (committed["stage"], committed["accepted"], committed["rejected"], committed["bytes"]) == (
        "write",
        3,
        1,
        4000,
    )
    assert (given_up["sample_id"], given_up["level"]) == (18, "error")
    assert ended["event"] == "run ended"


def test_runs_are_appended(tmp_path: Path) -> None:
    for _ in range(2):
        log = EventLog(tmp_path / "log")
        log.note("run started")
        log.close()
    assert len(lines(tmp_path / "log")) == 2


def test_without_a_file_nothing_is_written() -> None:
    log = EventLog(None)
    log.note("begun", job=JOB)
    log.close()


@given(st.text(max_size=300))
def test_any_text_is_one_line_that_reads_back(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = tmp_path_factory.mktemp("log") / "log"
    log = EventLog(path)
    log.note("begun", job=JOB, detail=f"x{text}")
    log.close()
    (line,) = lines(path)
    assert line["sample_id"] == 17


@pytest.mark.parametrize(
    ("text", "hidden"),
    [
        ("GET https://user:hunter2@store.example.org/x failed", "hunter2"),
        ("https://b.s3.amazonaws.com/k?X-Amz-Credential=AKIAX%2F1&X-Amz-Signature=abcdef01", "abcdef01"),
        ("https://b/k?X-Amz-Security-Token=FwoGZX&x=1", "FwoGZX"),
        ("Authorization: Bearer eyJhbGciOi", "eyJhbGciOi"),
        ("secret is wJalrXUtnFEMI/K7MDENG", "wJalrXUtnFEMI/K7MDENG"),
    ],
)
def test_credentials_are_masked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, hidden: str) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI/K7MDENG")
    log = EventLog(tmp_path / "log", where=text)
    log.note("attempt failed", job=JOB, detail=text, reasons=[text])
    log.close()
    written = (tmp_path / "log").read_text("utf-8")
    assert hidden not in written
    assert written.count("***") >= 3


def test_what_is_no_credential_stays() -> None:
    text = "cannot read s3://bucket/prefix at http://127.0.0.1:7480/bucket?list-type=2"
    assert masked(text) == text


def test_a_log_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"log .* cannot be written: Is a directory; give another --log"):
        EventLog(tmp_path)


def test_a_full_disk_does_not_end_the_run() -> None:
    log = EventLog(Path("/dev/full"))
    log.note("begun", job=JOB)
    log.close()
