"""The writer's claim: one driver at a time, on a store that keeps no two writers apart.

The stores here are folders in which put-if-absent is ignored, or in which a
listing lags; the election must hold with nothing but objects and listings.
"""

from __future__ import annotations

import os
import pickle
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from farm.dataset import claim as claim_module
from farm.dataset.claim import CLAIMS, ClaimedStorage, Pace, writing
from farm.errors import AlreadyExistsError, StorageError
from farm.storage import FileStorage, Probe, Storage, StoredObject

QUICK = Pace(beat_s=0.2, patience_s=30.0, settle_s=0.1)
"""Patience stays long: on a loaded machine a thread may not count for seconds, and is alive all the same."""

IMPATIENT = Pace(beat_s=0.2, patience_s=1.0, settle_s=0.1)
"""For claims whose driver is dead for certain."""

LAG_S = 5.0

IGNORED = Probe("ignored", "a folder that ignores put-if-absent")


class Heedless(FileStorage):
    """A folder whose `put_once` replaces what is there, as rclone's and s3rver's do."""

    def put_once(self, key: str, data: bytes) -> None:
        self.put(key, data)


@pytest.fixture
def storage(tmp_path: Path) -> Heedless:
    return Heedless(tmp_path / "root")


def silent(_: str) -> None:
    """For tests that do not read what is said."""


def claims(storage: Storage) -> list[str]:
    return [item.key for item in storage.list(CLAIMS)]


def test_no_claim_where_put_if_absent_holds(tmp_path: Path) -> None:
    storage = FileStorage(tmp_path)
    said: list[str] = []
    with writing(storage, storage.probe(), say=said.append) as ours:
        assert ours is storage
        assert claims(storage) == []
    assert said == []


def test_the_probe_sees_a_store_that_ignores_the_condition(storage: Heedless) -> None:
    probe = storage.probe()
    assert (probe.truth, probe.put_if_absent) == ("ignored", False)
    assert "ignores put-if-absent" in probe.detail
    assert list(storage.list()) == []


def test_a_second_driver_is_refused_by_name_and_the_claim_is_released(storage: Heedless) -> None:
    said: list[str] = []
    with writing(storage, IGNORED, say=said.append, pace=QUICK):
        held = claims(storage)
        assert len(held) == 1
        assert held[0] in said[-1]
        with (
            pytest.raises(StorageError, match=r"another run \(pid \d+ on host .*\) is writing there.*wait for it"),
            writing(storage, IGNORED, say=silent, pace=QUICK),
        ):
            pytest.fail("two drivers hold the claim")
        assert claims(storage) == held
    assert claims(storage) == []
    with writing(storage, IGNORED, say=silent, pace=QUICK):
        assert len(claims(storage)) == 1


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_an_interruption_releases_the_claim(storage: Heedless, error: type[BaseException]) -> None:
    with pytest.raises(error), writing(storage, IGNORED, say=silent, pace=QUICK):
        raise error
    assert claims(storage) == []


def test_a_claim_is_heeded_even_where_a_probe_was_lucky(storage: Heedless) -> None:
    lucky = Probe("atomic", "no two racers won this time")
    with (
        writing(storage, IGNORED, say=silent, pace=QUICK),
        pytest.raises(StorageError, match="another run"),
        writing(storage, lucky, say=silent, pace=QUICK),
    ):
        pytest.fail("two drivers hold the claim")


@pytest.mark.parametrize(
    "body", [b'{"host": "gone", "pid": 7, "beat": 3, "holding": true}', b"", b"\xff" * 10_000, b'{"host": "\\n[red]"}']
)
def test_a_dead_drivers_claim_is_buried_whatever_it_holds(storage: Heedless, body: bytes) -> None:
    dead = "0" * 32
    storage.put(f"{CLAIMS}{dead}.json", body)
    said: list[str] = []
    with writing(storage, IGNORED, say=said.append, pace=IMPATIENT):
        assert f"{CLAIMS}{dead}.json" not in claims(storage)
        assert f"{CLAIMS}{dead}.buried" in claims(storage)
    assert "watching for up to 1 s" in said[0]
    assert "\n" not in said[0]
    assert ("pid 7 on host gone" in said[0]) == (b"gone" in body)
    with writing(storage, IGNORED, say=said.append, pace=QUICK):  # the tombstone keeps nobody waiting
        pass


def test_a_driver_that_slept_finds_its_claim_buried_and_writes_no_more(
    storage: Heedless, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first driver's counting stops, as if its machine slept; the second takes over; then the first wakes."""
    wait = threading.Event.wait
    asleep = threading.Event()

    def waits(self: threading.Event, timeout: float | None = None) -> bool:
        if threading.current_thread().name == "gaitfarm-claim" and asleep.is_set():
            return wait(self)
        return wait(self, timeout)

    with ExitStack() as first:
        ours = first.enter_context(writing(storage, IGNORED, say=silent, pace=QUICK))
        at_a_worker: ClaimedStorage = pickle.loads(pickle.dumps(ours))
        at_a_worker.put("shards/a", b"1")
        monkeypatch.setattr(threading.Event, "wait", waits)
        asleep.set()
        time.sleep(4 * QUICK.beat_s)
        monkeypatch.undo()
        with writing(storage, IGNORED, say=silent, pace=IMPATIENT) as theirs:
            theirs.put_once("commits/0.json", b"theirs")
            for write in (at_a_worker.put_once, at_a_worker.put):
                with pytest.raises(StorageError, match="claim was taken away"):
                    write("commits/1.json", b"ours")
            with pytest.raises(StorageError, match="claim was taken away"):
                at_a_worker.delete("commits/0.json")
            assert at_a_worker.get("commits/0.json") == b"theirs"
        assert [item.key for item in storage.list("commits/")] == ["commits/0.json"]


def test_put_once_reads_first_where_the_condition_is_ignored(storage: Heedless) -> None:
    with writing(storage, IGNORED, say=silent, pace=QUICK) as ours:
        ours.put_once("commits/0.json", b"first")
        ours.put_once("commits/0.json", b"first")
        with pytest.raises(AlreadyExistsError, match="left as it is"):
            ours.put_once("commits/0.json", b"second")
        assert storage.get("commits/0.json") == b"first"


def test_who_loses_a_race_takes_the_winners_object(storage: Heedless) -> None:
    """Another attempt's record (of a worker that was taken for dead) lands between our write and our reading back."""

    class Raced(Heedless):
        def put_once(self, key: str, data: bytes) -> None:
            super().put_once(key, data)
            super().put(key, b"theirs")

    raced = ClaimedStorage(Raced(storage.uri), "0" * 32, 0.01)
    with pytest.raises(AlreadyExistsError):
        raced.put_once("commits/0.json", b"ours")
    assert storage.get("commits/0.json") == b"theirs"


def test_an_object_that_is_not_there_at_once_is_waited_for_and_never_assumed(storage: Heedless) -> None:
    class Slow(Heedless):
        hidden = 2

        def get(self, key: str) -> bytes:
            if key == "commits/0.json" and self.hidden:
                self.hidden -= 1
                raise claim_module.ObjectNotFoundError(key)
            return super().get(key)

    ClaimedStorage(Slow(storage.uri), "0" * 32, 0.01).put_once("commits/0.json", b"ours")
    never = Slow(storage.uri)
    never.hidden = 10**6
    with pytest.raises(StorageError, match="cannot be read back"):
        ClaimedStorage(never, "0" * 32, 0.01).put_once("commits/0.json", b"ours")


def test_a_repair_whose_claim_was_buried_removes_nothing(storage: Heedless) -> None:
    storage.put("commits/0.json", b"theirs")
    storage.put(f"{CLAIMS}{'0' * 32}.buried", b"buried\n")
    with pytest.raises(StorageError, match="claim was taken away"):
        ClaimedStorage(storage, "0" * 32, 0.01).delete("commits/0.json")
    assert storage.get("commits/0.json") == b"theirs"


def test_retries_are_those_of_the_storage_below(storage: Heedless) -> None:
    assert ClaimedStorage(storage, "0" * 32, 0.01).retries == 0
    storage.retries = 3  # type: ignore[attr-defined]  # as S3's
    assert ClaimedStorage(storage, "0" * 32, 0.01).retries == 3


@pytest.mark.parametrize("turn", range(5))
def test_of_drivers_that_start_together_no_two_ever_hold(storage: Heedless, turn: int) -> None:
    """Five drivers begin at once and try until each has had its turn; inside, they count how many there are."""
    drivers, inside, most, turns = 5, 0, 0, 0
    door = threading.Lock()
    start = threading.Barrier(drivers)
    pace = Pace(beat_s=0.1, patience_s=60.0, settle_s=0.02)
    refusals: list[str] = []

    def drive(_: int) -> None:
        nonlocal inside, most, turns
        start.wait()
        while True:
            try:
                claim = writing(storage, IGNORED, say=silent, pace=pace)
                claim.__enter__()
            except StorageError as error:
                refusals.append(str(error))
                continue
            with door:
                inside, turns = inside + 1, turns + 1
                most = max(most, inside)
            time.sleep(0.05)
            with door:
                inside -= 1
            claim.__exit__(None, None, None)
            return

    with ThreadPoolExecutor(drivers) as pool:
        list(pool.map(drive, range(drivers)))
    assert (turns, most) == (drivers, 1)
    assert all("another run" in refusal for refusal in refusals)
    assert claims(storage) == []


def test_two_that_a_lagging_listing_let_in_become_one(tmp_path: Path) -> None:
    """A store whose listings hide what is younger than five seconds: both hold at first, then the senior alone."""

    class Lagging(Heedless):
        def list(self, prefix: str = "") -> Sequence[StoredObject]:
            now_s = self.now_s()
            return [item for item in super().list(prefix) if item.modified_s < now_s - LAG_S]

        def put(self, key: str, data: bytes) -> None:
            if key.endswith(".json") and key.startswith(CLAIMS) and (Path(self.uri) / key).exists():
                path = Path(self.uri) / key
                stamp = path.stat().st_mtime
                super().put(key, data)
                _set_mtime(path, stamp)  # replaced objects stay listed
            else:
                super().put(key, data)

    storage = Lagging(tmp_path)
    pace = Pace(beat_s=0.3, patience_s=60.0, settle_s=0.05)
    with ExitStack() as both:
        held = [both.enter_context(writing(storage, IGNORED, say=silent, pace=pace)) for _ in range(2)]
        deadline = time.monotonic() + 60.0
        while len(alive := [ours for ours in held if _may_write(ours)]) == 2 and time.monotonic() < deadline:
            time.sleep(0.1)
        assert len(alive) == 1
        time.sleep(4 * pace.beat_s)
        assert _may_write(alive[0]), "the senior keeps its claim"


def _may_write(storage: Storage) -> bool:
    try:
        storage.put("x", b"1")
    except StorageError:
        return False
    return True


def _set_mtime(path: Path, stamp: float) -> None:
    os.utime(path, (stamp, stamp))


def test_old_tombstones_are_swept(storage: Heedless, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("1" * 32, "2" * 32):
        storage.put(f"{CLAIMS}{name}.buried", b"buried\n")
    week_old = Path(storage.uri) / CLAIMS / f"{'1' * 32}.buried"
    _set_mtime(week_old, storage.now_s() - claim_module.TOMBSTONES_KEPT_S - 60)
    with writing(storage, IGNORED, say=silent, pace=QUICK):
        assert not week_old.exists()
    assert claims(storage) == [f"{CLAIMS}{'2' * 32}.buried"]


def test_storage_that_fails_for_a_while_costs_no_claim(storage: Heedless) -> None:
    class Failing(Heedless):
        down: Callable[[], bool] = staticmethod(lambda: False)

        def put(self, key: str, data: bytes) -> None:
            if self.down():
                raise StorageError("the store is away")
            super().put(key, data)

    failing = Failing(storage.uri)
    with writing(failing, IGNORED, say=silent, pace=QUICK) as ours:
        failing.down = lambda: True  # type: ignore[method-assign]
        time.sleep(5 * QUICK.beat_s)
        failing.down = lambda: False  # type: ignore[method-assign]
        before = storage.get(claims(storage)[0])
        deadline = time.monotonic() + 60.0
        while storage.get(claims(storage)[0]) == before and time.monotonic() < deadline:
            time.sleep(0.05)
        assert storage.get(claims(storage)[0]) != before, "it counts on"
        ours.put_once("a", b"1")
