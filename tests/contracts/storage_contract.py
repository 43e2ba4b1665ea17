"""What every `Storage` must do, as tests that each implementation's test class inherits."""

from __future__ import annotations

import os
import pickle
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from farm.errors import AlreadyExistsError, ObjectNotFoundError, StorageError
from farm.storage import Storage, StoredObject

HOSTILE_KEYS = (
    "", "/etc/passwd", "../outside", "a/../../outside", "a/..", "./a", "a//b", "a/", "a\\b", "a\nb", "a\0b",
    "a/.writing-x", "x" * 1000, "\ud800",
)  # fmt: skip


class StorageContract:
    """Subclasses give a fixture `storage`: an empty storage of their own."""

    def test_what_was_put_is_got(self, storage: Storage) -> None:
        data = os.urandom(100_000)
        storage.put("a/b/c", data)
        assert storage.get("a/b/c") == data
        assert storage.size("a/b/c") == len(data)

    def test_put_replaces(self, storage: Storage) -> None:
        storage.put("a", b"first, and longer")
        storage.put("a", b"second")
        assert storage.get("a") == b"second"

    def test_empty_object(self, storage: Storage) -> None:
        storage.put("empty", b"")
        assert storage.get("empty") == b""
        assert storage.get_range("empty", 0, 10) == b""
        assert storage.size("empty") == 0

    @pytest.mark.parametrize(
        ("start", "length", "expected"),
        [(0, 3, b"012"), (4, 2, b"45"), (8, 10, b"89"), (10, 5, b""), (20, 5, b""), (3, 0, b"")],
    )
    def test_ranges(self, storage: Storage, start: int, length: int, expected: bytes) -> None:
        storage.put("digits", b"0123456789")
        assert storage.get_range("digits", start, length) == expected

    def test_list_is_sorted_and_keeps_to_its_folder(self, storage: Storage) -> None:
        for key in ("b/2", "b/10", "b/1/x", "bb/1", "a", "b/é ?#%41"):
            storage.put(key, key.encode())
        assert [item.key for item in storage.list("b/")] == ["b/1/x", "b/10", "b/2", "b/é ?#%41"]
        assert storage.list("b/1/") == [StoredObject("b/1/x", 5)]
        assert [item.key for item in storage.list()] == ["a", "b/1/x", "b/10", "b/2", "b/é ?#%41", "bb/1"]
        assert list(storage.list("none/")) == []
        assert storage.get("b/é ?#%41") == "b/é ?#%41".encode()

    def test_list_prefix_is_a_folder(self, storage: Storage) -> None:
        with pytest.raises(StorageError, match="must end with '/'"):
            storage.list("b")

    def test_delete(self, storage: Storage) -> None:
        storage.put("a", b"1")
        storage.delete("a")
        storage.delete("a")
        assert list(storage.list()) == []

    def test_absent_objects_are_named(self, storage: Storage) -> None:
        for read in (storage.get, storage.size, lambda key: storage.get_range(key, 0, 1)):
            with pytest.raises(ObjectNotFoundError, match="no such object") as caught:
                read("not/there")
            assert "not/there" in str(caught.value)
            assert "\n" not in str(caught.value)

    @pytest.mark.parametrize("key", HOSTILE_KEYS)
    def test_hostile_keys_are_refused(self, storage: Storage, key: str) -> None:
        for call in (
            storage.get, storage.size, storage.delete, lambda k: storage.put(k, b""), lambda k: storage.put_once(k, b"")
        ):  # fmt: skip
            with pytest.raises(StorageError, match="object key"):
                call(key)

    def test_put_once_creates_and_then_refuses(self, storage: Storage) -> None:
        storage.put_once("commits/1", b"mine")
        with pytest.raises(AlreadyExistsError, match="exists already with other content"):
            storage.put_once("commits/1", b"theirs")
        assert storage.get("commits/1") == b"mine"

    def test_put_once_meets_its_own_success(self, storage: Storage) -> None:
        storage.put_once("a", b"mine")
        storage.put_once("a", b"mine")
        assert storage.get("a") == b"mine"

    def test_put_once_race_has_one_winner(self, storage: Storage) -> None:
        """Sixteen writers start together on one key, ten times over."""
        writers = 16
        for turn in range(10):
            start = threading.Barrier(writers)
            bodies = [f"{writer:02d}".encode() * 2000 for writer in range(writers)]

            def write(body: bytes, key: str = f"race/{turn}", start: threading.Barrier = start) -> bool:
                start.wait()
                try:
                    storage.put_once(key, body)
                except AlreadyExistsError:
                    return False
                return True

            with ThreadPoolExecutor(writers) as pool:
                won = list(pool.map(write, bodies))
            assert sum(won) == 1
            assert storage.get(f"race/{turn}") == bodies[won.index(True)]

    def test_a_reader_never_sees_a_part(self, storage: Storage) -> None:
        """While an object is replaced over and over, each read finds one version whole."""
        versions = [bytes([number]) * 300_000 for number in range(4)]
        storage.put("big", versions[0])
        stop = threading.Event()

        def replace() -> None:
            while not stop.is_set():
                for version in versions:
                    storage.put("big", version)

        with ThreadPoolExecutor(1) as pool:
            writing = pool.submit(replace)
            try:
                for _ in range(50):
                    assert storage.get("big") in versions
            finally:
                stop.set()
            writing.result()

    def test_probe_finds_the_condition_honoured_and_leaves_nothing(self, storage: Storage) -> None:
        probe = storage.probe()
        assert probe.truth == "atomic", probe.detail
        assert probe.put_if_absent
        assert list(storage.list()) == []
        assert list(storage.unfinished()) == []

    def test_ages_are_told_by_the_stores_own_clock(self, storage: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
        """An object's age is right whatever the clock of this machine says."""
        before = storage.now_s()
        storage.put("a", b"1")
        monkeypatch.setattr(time, "time", lambda: 0.0)
        after = storage.now_s()
        monkeypatch.undo()
        modified = storage.list()[0].modified_s
        second = 1.0  # the resolution of HTTP's dates
        assert before - second <= modified <= after + second
        assert before > 1.7e9
        assert [item.key for item in storage.list()] == ["a"], "asking for the time leaves nothing behind"

    def test_a_replaced_object_is_as_old_as_its_replacement(self, storage: Storage) -> None:
        storage.put("a", b"1")
        first = storage.list()[0].modified_s
        time.sleep(1.1)  # Ceph and Swift list whole seconds or better
        storage.put("a", b"2")
        assert storage.list()[0].modified_s > first

    def test_nothing_is_unfinished_where_nothing_was_interrupted(self, storage: Storage) -> None:
        storage.put("a/b", b"1")
        storage.put_once("a/c", b"1")
        assert list(storage.unfinished()) == []

    def test_survives_pickling(self, storage: Storage) -> None:
        storage.put("a", b"1")
        copy = pickle.loads(pickle.dumps(storage))
        assert copy.uri == storage.uri
        assert copy.get("a") == b"1"
