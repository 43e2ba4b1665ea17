"""The catalogue is kept up while a run goes on, and no trouble with it ends the run."""

from __future__ import annotations

import contextlib
import errno
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from farm.dataset.parts import part_names
from farm.errors import StorageError
from farm.storage import FileStorage
from tests.datasets import make_dataset
from tests.samples import make_campaign
from workers import catalogue_keeper
from workers.catalogue_keeper import compact_at_end, kept_catalogue
from workers.outage import Outage


def _until(true: Callable[[], object]) -> None:
    deadline_s = time.monotonic() + 60
    while not true():
        assert time.monotonic() < deadline_s
        time.sleep(0.02)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalogue_keeper, "LOOK_S", 0.02)


def test_new_shards_are_in_the_catalogue_before_the_run_ends(tmp_path: Path) -> None:
    storage, campaign = FileStorage(tmp_path), make_campaign(samples=6, gaits_per_shard=2)
    committed = [0]

    def commit(number: int) -> None:
        make_dataset(storage, campaign, shards=[number])
        committed[0] += 1

    with kept_catalogue(storage, lambda: committed[0], say=pytest.fail, every_shards=2):
        commit(0)
        time.sleep(0.2)
        assert part_names(storage) == [], "one shard is not worth it yet"
        commit(1)
        _until(lambda: part_names(storage))
    assert part_names(storage)[0].startswith("000000002-")


def test_slow_shards_are_in_the_catalogue_after_a_while(tmp_path: Path) -> None:
    storage, committed = FileStorage(tmp_path), [0]
    with kept_catalogue(storage, lambda: committed[0], say=pytest.fail, every_shards=100, every_s=0.3):
        make_dataset(storage, make_campaign(samples=2, gaits_per_shard=2))
        committed[0] = 1
        _until(lambda: part_names(storage))


FAILURES = [StorageError("the store is away"), OSError(errno.ENOSPC, "No space left on device")]


@pytest.mark.parametrize("failure", FAILURES)
def test_a_compaction_that_fails_is_told_of_and_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failure: Exception
) -> None:
    calls, said, committed = [], [], [0]

    def compact(_: object) -> None:
        calls.append(committed[0])
        if len(calls) == 1:
            raise failure

    monkeypatch.setattr(catalogue_keeper, "compact", compact)
    with kept_catalogue(FileStorage(tmp_path), lambda: committed[0], say=said.append, every_shards=1):
        committed[0] = 1
        _until(lambda: len(calls) == 1 and said)
        committed[0] = 2
        _until(lambda: len(calls) == 2)
    assert said == [f"the catalogue could not be brought up to date ({failure}); it is tried again later"]


@pytest.mark.parametrize("failure", FAILURES)
def test_a_last_compaction_that_fails_is_told_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failure: Exception
) -> None:
    def compact(_: object) -> None:
        raise failure

    said: list[str] = []
    monkeypatch.setattr(catalogue_keeper, "compact", compact)
    compact_at_end(FileStorage(tmp_path), Outage(limit_s=0.0), say=said.append)
    assert said == [f"the catalogue could not be brought up to date ({failure}); run `gaitfarm compact`"]


def test_a_damaged_commit_does_not_end_a_run_without_its_summary(tmp_path: Path) -> None:
    storage = FileStorage(tmp_path)
    make_dataset(storage, make_campaign(samples=4, gaits_per_shard=2))
    (tmp_path / "commits" / "00000001.json").write_bytes(b"{")
    said: list[str] = []
    compact_at_end(storage, Outage(limit_s=0.0), say=said.append)
    assert len(said) == 1
    assert "00000001" in said[0]
    assert said[0].endswith("run `gaitfarm compact`")


@pytest.mark.parametrize("third_signal", [False, True])
def test_who_interrupts_does_not_wait_for_a_compaction(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, third_signal: bool
) -> None:
    begun, may_end, committed = threading.Event(), threading.Event(), [0]

    def compact(_: object) -> None:
        begun.set()
        may_end.wait()

    monkeypatch.setattr(catalogue_keeper, "compact", compact)
    monkeypatch.setattr(catalogue_keeper, "LAST_WAIT_S", 1e6)
    try:
        with (
            contextlib.suppress(KeyboardInterrupt),
            kept_catalogue(
                FileStorage(tmp_path),
                lambda: committed[0],
                say=pytest.fail,
                interrupted=lambda: not third_signal,
                every_shards=1,
            ),
        ):
            committed[0] = 1
            assert begun.wait(60)
            if third_signal:
                raise KeyboardInterrupt
    finally:
        may_end.set()
