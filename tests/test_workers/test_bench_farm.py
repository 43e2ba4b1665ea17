"""What the farm's benchmarks make of a run: overhead, its parts and the extrapolation, on runs that can be added up."""

from __future__ import annotations

from typing import Any

import pytest

from tools.bench_dispatch import SAMPLE_S, book, needed
from tools.bench_farm import PARTS, median_run, row, start_and_tail
from workers.summary import RunSummary


def _event(at_s: float, event: str, **more: Any) -> dict[str, Any]:
    return {"time": f"2026-01-02T03:04:{at_s:06.3f}Z", "event": event, **more}


EVENTS = [
    _event(5.0, "run started"),
    _event(7.0, "worker ready", worker=1, seconds=2.0),
    _event(8.0, "worker ready", worker=2, seconds=3.0),
    _event(17.0, "made", worker=1, seconds=10.0),
    _event(18.0, "made", worker=2, seconds=10.0),
    _event(27.5, "made", worker=1, seconds=10.0),
    _event(29.0, "committed", worker=1, seconds=1.0),
    _event(29.0, "run ended", seconds=24.0),
]

SUMMARY = RunSummary(
    uri="x", dataset_id="x", campaign="x", samples=3, shards=1, shards_before=0, shards_committed=1,
    accepted=2, rejected=1, workers=2, wall_s=24.0, bytes_written=3_000_000, peak_rss_bytes=500_000_000,
    stage_seconds={"sample": 0.1, "simulate": 9.0, "label": 0.2, "recheck": 3.0, "film": 12.0, "pack": 5.0,
                   "stage": 0.7, "write": 1.0},
)  # fmt: skip


def test_start_and_tail_are_read_from_the_log() -> None:
    assert start_and_tail(EVENTS, 24.0) == (pytest.approx(2.0 + 3.0), pytest.approx(0.0 + 11.0))


def test_a_clock_that_was_set_meanwhile_is_not_believed() -> None:
    jumped = [*EVENTS[:-1], _event(50.0, "run ended", seconds=24.0)]
    assert start_and_tail(jumped, 24.0) == (pytest.approx(5.0), 0.0)


def test_the_overhead_is_what_is_neither_simulated_nor_rendered_nor_encoded() -> None:
    found = row(SUMMARY, 30.0, EVENTS)
    assert found["overhead"] == pytest.approx(1 - 29.0 / 48.0, abs=1e-4)
    assert found["steady_fraction"] == pytest.approx(1 - 29.0 / (48.0 - 16.0), abs=1e-4)
    assert found["command_fraction"] == pytest.approx(1 - 29.0 / 60.0, abs=1e-4)
    assert tuple(found["overhead_parts"]) == PARTS
    assert sum(found["overhead_parts"].values()) == pytest.approx(found["overhead"], abs=5e-4)
    assert found["overhead_parts"]["between"] == pytest.approx((48.0 - 29.0 - 16.0 - 0.3 - 0.7 - 1.0) / 48.0, abs=1e-4)
    assert found["accepted_per_core_hour"] == pytest.approx(2 / (48.0 / 3600.0))


def test_the_median_run_is_one_of_the_runs() -> None:
    runs = [{"wall_s": 3.0, "overhead": 0.3}, {"wall_s": 1.0, "overhead": 0.1}, {"wall_s": 2.0, "overhead": 0.9}]
    assert median_run(runs) == {"wall_s": 2.0, "overhead": 0.9}
    assert median_run(runs[:2]) == {"wall_s": 1.0, "overhead": 0.1}


def test_every_job_of_the_book_is_done_by_workers_on_paper() -> None:
    """The dispatcher's real code runs to the end of its plan, with many more workers than this machine holds."""
    found = book(64, 500)
    assert found["workers"] == 64
    assert found["cpu_ms_per_job"] > 0


def test_the_extrapolation_adds_up() -> None:
    books = [{"workers": 8, "cpu_ms_per_job": 0.1}, {"workers": 1700, "cpu_ms_per_job": 0.5}]
    waits = [{"refs": 8, "ms_per_event": 0.4}, {"refs": 1700, "ms_per_event": 1.5}]
    runs = [{"driver_cpu_ms_per_job": 2.5}]
    few, many = needed(books, waits, runs)
    assert few["ms_per_job"] == pytest.approx(2.5)
    assert many["ms_per_job"] == pytest.approx(0.5 + 1.5 + 2.0)
    assert many["jobs_per_s"] == pytest.approx(1700 / SAMPLE_S * 1.01)
    assert many["core_share"] == pytest.approx(0.004 * 101)
    assert many["jobs_per_s_at_most"] == pytest.approx(250)
