"""Riding out storage that is away, by a clock that the test turns."""

from __future__ import annotations

import pytest

from farm.errors import StorageError, StorageUnavailableError
from workers.outage import FIRST_PAUSE_S, LASTING_FAILURES_ALLOWED, LONGEST_PAUSE_S, Outage


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def test_a_throttled_crowd_counts_as_one_failure() -> None:
    clock = Clock()
    outage = Outage(clock=clock)
    assert outage.failed("busy") == FIRST_PAUSE_S
    assert [outage.failed("busy") for _ in range(500)] == [None] * 500
    assert not outage.over
    clock.sleep(3.0)
    assert outage.worked() == 3.0
    assert outage.over
    assert outage.worked() is None


def test_pauses_double_up_to_the_longest_and_begin_anew_after_a_success() -> None:
    clock = Clock()
    outage = Outage(clock=clock)
    pauses = []
    for _ in range(9):
        pause_s = outage.failed("away")
        assert pause_s is not None
        pauses.append(pause_s)
        clock.sleep(pause_s)
    assert pauses == [1, 2, 4, 8, 16, 32, LONGEST_PAUSE_S, LONGEST_PAUSE_S, LONGEST_PAUSE_S]
    outage.worked()
    assert outage.failed("away again") == FIRST_PAUSE_S


def test_while_storage_is_away_one_worker_tries_after_each_pause() -> None:
    clock = Clock()
    outage = Outage(clock=clock)
    assert outage.lets_try(at_work=7)
    outage.failed("away")
    assert not outage.lets_try(at_work=0)
    clock.sleep(FIRST_PAUSE_S)
    assert outage.lets_try(at_work=0)
    assert not outage.lets_try(at_work=1)
    outage.worked()
    assert outage.lets_try(at_work=1)


def test_a_store_that_stays_away_ends_the_run_and_says_for_how_long() -> None:
    clock = Clock()
    outage = Outage(limit_s=600.0, clock=clock)
    outage.failed("s3://b: not available")
    clock.sleep(599.0)
    outage.failed("s3://b: not available")
    clock.sleep(1.0)
    with pytest.raises(StorageUnavailableError, match=r"not available; it has been so for 10 minutes.*same command"):
        outage.failed("s3://b: not available")


def test_one_success_within_the_limit_begins_a_new_count() -> None:
    clock = Clock()
    outage = Outage(limit_s=60.0, clock=clock)
    for _ in range(20):
        outage.failed("throttled")
        clock.sleep(30.0)
        outage.worked()
        clock.sleep(30.0)
    assert outage.over


def test_what_waiting_does_not_mend_ends_the_run_soon_unless_others_get_through() -> None:
    outage = Outage(clock=Clock())
    for _ in range(LASTING_FAILURES_ALLOWED - 1):
        assert outage.failed("no such key", lasting=True) is None
    outage.worked()
    for _ in range(LASTING_FAILURES_ALLOWED - 1):
        outage.failed("no such key", lasting=True)
    with pytest.raises(StorageError, match=r"^no such key$"):
        outage.failed("no such key", lasting=True)


def test_a_call_is_tried_until_storage_answers() -> None:
    clock = Clock()
    outage = Outage(clock=clock)
    answers = iter([StorageUnavailableError("away"), StorageUnavailableError("away"), None])
    said: list[str] = []

    def call() -> str:
        error = next(answers)
        if error is not None:
            raise error
        return "done"

    assert outage.ride_out(call, said.append, sleep=clock.sleep) == "done"
    assert said == [
        "away; nothing is lost, and it is asked again in 1 s",
        "away; nothing is lost, and it is asked again in 2 s",
    ]
    assert clock.now == 1003.0
    assert outage.over


def test_a_call_that_fails_for_good_or_for_too_long_is_let_through() -> None:
    clock = Clock()

    def forbidden() -> None:
        raise StorageError("forbidden")

    def away() -> None:
        raise StorageUnavailableError("away")

    with pytest.raises(StorageError, match="forbidden"):
        Outage(clock=clock).ride_out(forbidden, print, sleep=clock.sleep)
    assert clock.now == 1000.0
    with pytest.raises(StorageUnavailableError, match="15 minutes"):
        Outage(clock=clock).ride_out(away, lambda _: None, sleep=clock.sleep)
    with pytest.raises(StorageUnavailableError):
        Outage(limit_s=0.0, clock=clock).ride_out(away, print, sleep=clock.sleep)
