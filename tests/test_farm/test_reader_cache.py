"""The cache serves what was stored, stays within its bound, and survives other processes, damage and kill -9."""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import ClassVar

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from farm.dataset.cache import DIGEST_BYTES, CachedShard, DiskCache
from farm.dataset.manifest import StoredBytes
from farm.dataset.reader import GaitDataset
from farm.errors import FormatError, UserError
from farm.storage import FileStorage, Storage
from tests.datasets import make_dataset
from tests.samples import make_campaign


def stored(name: str, data: bytes) -> StoredBytes:
    return StoredBytes(path=f"shards/0/a.zarr/{name}", bytes=len(data), sha256=hashlib.sha256(data).hexdigest())


def blob(number: int, size: int = 1000) -> bytes:
    return hashlib.shake_256(str(number).encode()).digest(size)


class Counted:
    """Something to fetch that counts how often it is."""

    def __init__(self, data: bytes) -> None:
        self.data, self.calls = data, 0

    def __call__(self) -> bytes:
        self.calls += 1
        return self.data


def entries(cache: DiskCache) -> list[Path]:
    return sorted((cache.folder / "entries").iterdir())


def taken(folder: Path) -> int:
    """Bytes in a cache's folder, but for its few files of a line each."""
    total = 0
    for path in (*(folder / "entries").iterdir(), folder / "incoming"):
        try:
            total += path.stat().st_size
        except FileNotFoundError:
            continue
    return total


def test_what_was_fetched_is_kept(tmp_path: Path) -> None:
    data = blob(1)
    fetch = Counted(data)
    for _ in range(3):
        assert DiskCache(tmp_path / "c").whole(stored("x", data), fetch) == data
    assert fetch.calls == 1


def test_parts_come_from_the_whole_or_are_kept(tmp_path: Path) -> None:
    data = blob(1)
    item, part, whole = stored("x", data), Counted(data[10:30]), Counted(data)
    cache = DiskCache(tmp_path / "c")
    for _ in range(2):
        assert cache.part(item, 10, 20, part) == data[10:30]
        assert DiskCache(tmp_path / "c").part(item, 10, 20, part) == data[10:30]
    assert part.calls == 1
    assert cache.whole(item, whole) == data
    other = Counted(b"")
    for reader in (cache, DiskCache(tmp_path / "c")):
        for _ in range(2):
            assert reader.part(item, 500, 100, other) == data[500:600]
            assert reader.part(item, 990, 100, other) == data[990:]
    assert (whole.calls, other.calls) == (1, 0)


def test_what_is_not_what_the_record_says_is_not_kept(tmp_path: Path) -> None:
    data = blob(1)
    cache = DiskCache(tmp_path / "c")
    for wrong, message in (
        (data[:-1], "has 999 bytes, its record says 1000"),
        (data[::-1], "tampered with or damaged"),
    ):
        with pytest.raises(FormatError, match=message):
            cache.whole(stored("x", data), Counted(wrong))
    assert entries(cache) == []
    assert cache.whole(stored("x", data), Counted(data)) == data


def test_same_path_with_other_content_is_another_entry(tmp_path: Path) -> None:
    cache = DiskCache(tmp_path / "c")
    for number in (1, 2):
        assert cache.whole(stored("x", blob(number)), Counted(blob(number))) == blob(number)
    assert len(entries(cache)) == 2


@pytest.mark.parametrize("damage", ["flipped", "short", "empty", "link", "folder"])
@pytest.mark.parametrize("what", ["whole", "part"])
def test_damaged_entries_are_fetched_again(tmp_path: Path, damage: str, what: str) -> None:
    data = blob(1)
    item = stored("x", data)

    def read(cache: DiskCache, fetch: Counted) -> bytes:
        return cache.whole(item, fetch) if what == "whole" else cache.part(item, 0, len(data), fetch)

    read(DiskCache(tmp_path / "c"), Counted(data))
    (entry,) = entries(DiskCache(tmp_path / "c"))
    content = bytearray(entry.read_bytes())
    entry.unlink()
    if damage == "link":
        (tmp_path / "elsewhere").write_bytes(content)
        entry.symlink_to(tmp_path / "elsewhere")
    elif damage == "folder":
        entry.mkdir()
    else:
        content[500] ^= 1
        entry.write_bytes({"flipped": bytes(content), "short": bytes(content[:300]), "empty": b""}[damage])
    fetch = Counted(data)
    assert read(DiskCache(tmp_path / "c"), fetch) == data
    assert fetch.calls == 1


@given(sizes=st.lists(st.integers(0, 500), min_size=1, max_size=40), limit=st.integers(1, 1200))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_bound_holds(tmp_path_factory: pytest.TempPathFactory, sizes: list[int], limit: int) -> None:
    cache = DiskCache(tmp_path_factory.mktemp("bound") / "c", limit)
    for number, size in enumerate(sizes):
        data = blob(number, size)
        assert cache.whole(stored(str(number), data), Counted(data)) == data
        assert taken(cache.folder) <= limit
        if size <= limit:
            assert cache.whole(stored(str(number), data), Counted(b"fetched again")) == data


def test_the_least_recently_used_goes_first(tmp_path: Path) -> None:
    cache = DiskCache(tmp_path / "c", 3500)
    for number in (1, 2, 3):
        cache.whole(stored(str(number), blob(number)), Counted(blob(number)))
        for age, entry in enumerate(sorted(entries(cache), key=lambda path: -path.stat().st_mtime_ns)):
            os.utime(entry, ns=(0, 10**18 - age * 10**9))  # a coarse clock would make them equally old
    cache.whole(stored("1", blob(1)), Counted(b""))  # used again
    cache.whole(stored("4", blob(4)), Counted(blob(4)))
    again = {number: Counted(blob(number)) for number in (1, 2, 3, 4)}
    for number in (4, 1, 3):
        cache.whole(stored(str(number), blob(number)), again[number])
    assert [again[number].calls for number in (1, 3, 4)] == [0, 0, 0]
    cache.whole(stored("2", blob(2)), again[2])
    assert again[2].calls == 1


def test_threads_fetch_once(tmp_path: Path) -> None:
    cache, data, start = DiskCache(tmp_path / "c"), blob(1, 100_000), threading.Barrier(8)
    fetch = Counted(data)

    def read(_: int) -> bytes:
        start.wait()
        return cache.whole(stored("x", data), fetch)

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(read, range(8))) == {data}
    assert fetch.calls == 1


def hammer(folder: Path, limit: int, seed: int, rounds: int) -> None:
    """Read at random from a cache that is far too small; every answer must be right."""
    cache = DiskCache(folder, limit)
    state = seed
    for _ in range(rounds):
        state = (state * 6364136223846793005 + 1442695040888963407) % 2**64
        number = state >> 40
        data = blob(number % 30, 500 + number % 30 * 40)
        item = stored(str(number % 30), data)
        if number % 3:
            assert cache.whole(item, lambda data=data: data) == data  # type: ignore[misc]
        else:
            begin = number % 400
            assert (
                cache.part(item, begin, 90, lambda data=data, at=begin: data[at : at + 90]) == data[begin : begin + 90]
            )  # type: ignore[misc]


def test_processes_share_a_folder(tmp_path: Path) -> None:
    """Four processes on one cache of a third of what they read: right answers, and never above the bound."""
    limit = 10_000
    folder = DiskCache(tmp_path / "c", limit).folder
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=hammer, args=(folder, limit, seed, 400)) for seed in range(4)]
    for process in processes:
        process.start()
    largest = 0
    while any(process.is_alive() for process in processes):
        largest = max(largest, taken(folder))
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * 4
    assert 0 < largest <= limit + 500 + 29 * 40 + DIGEST_BYTES  # a listing may see an entry and what made room for it
    assert taken(folder) <= limit


KILLED = """
import sys
from pathlib import Path
from tests.test_farm.test_reader_cache import hammer
print("begun", flush=True)
hammer(Path(sys.argv[1]), 10_000, int(sys.argv[2]), 10**9)
"""


def test_kill_9_leaves_no_bad_entry(tmp_path: Path) -> None:
    """Whatever moment a process is killed at, the next one finds whole entries, no lock, and the bound kept."""
    folder = DiskCache(tmp_path / "c", 10_000).folder
    for turn in range(6):
        child = subprocess.Popen(
            [sys.executable, "-c", KILLED, str(folder), str(turn)], stdout=subprocess.PIPE,
            cwd=Path(__file__).parents[2],
        )  # fmt: skip
        assert child.stdout is not None
        assert child.stdout.readline() == b"begun\n"
        with pytest.raises(subprocess.TimeoutExpired):
            child.wait(0.05 + 0.03 * turn)
        child.send_signal(signal.SIGKILL)
        child.wait()
        child.stdout.close()
        assert taken(folder) <= 10_000 + 500 + 29 * 40 + DIGEST_BYTES
        known = {hashlib.sha256(blob(n, 500 + n * 40)).digest() for n in range(30)}
        for entry in sorted((folder / "entries").iterdir()):
            content = entry.read_bytes()
            is_part = hashlib.sha256(content[DIGEST_BYTES:]).digest() == content[:DIGEST_BYTES]
            assert is_part or hashlib.sha256(content).digest() in known
        hammer(folder, 10_000, turn + 100, 60)
        assert taken(folder) <= 10_000


def test_a_lost_total_is_counted_anew(tmp_path: Path) -> None:
    cache = DiskCache(tmp_path / "c", 2500)
    for number, total in ((1, ""), (2, "not a number"), (3, "")):
        (cache.folder / "total").write_text(total)
        cache.whole(stored(str(number), blob(number)), Counted(blob(number)))
        assert taken(cache.folder) <= 2500


def test_a_cache_that_cannot_be_written_fails_nobody(tmp_path: Path) -> None:
    cache = DiskCache(tmp_path / "c")
    (cache.folder / "incoming").mkdir()  # as on a full disk: the write fails
    fetch = Counted(blob(1))
    for _ in range(2):
        assert cache.whole(stored("x", blob(1)), fetch) == blob(1)
    assert fetch.calls == 2


# --- folders that are not ours --------------------------------------------------------------------------------


def test_folders_of_others_are_refused(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("years of work")
    with pytest.raises(UserError, match="holds other things; choose another cache_dir"):
        DiskCache(tmp_path / "mine")
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["thesis.tex"]
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    with pytest.raises(UserError, match="link is a symbolic link or no folder; give the folder itself"):
        DiskCache(tmp_path / "link")
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="file is a symbolic link or no folder"):
        DiskCache(tmp_path / "file")
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)
    with pytest.raises(UserError, match="may be written by others; run `chmod go-w` on it"):
        DiskCache(tmp_path / "open")
    ours = DiskCache(tmp_path / "ours").folder
    (ours / "entries").rmdir()
    (ours / "entries").symlink_to(tmp_path / "mine")
    with pytest.raises(UserError, match="entries is a symbolic link; remove it"):
        DiskCache(ours)
    with pytest.raises(UserError, match="cache_bytes is 0; it must be 1 or more"):
        DiskCache(tmp_path / "c", 0)


def test_strange_files_among_the_entries_are_left_alone(tmp_path: Path) -> None:
    cache = DiskCache(tmp_path / "c", 1500)
    (cache.folder / "entries" / "notes.txt").write_text("x" * 5000)
    for number in range(4):
        cache.whole(stored(str(number), blob(number)), Counted(blob(number)))
    assert (cache.folder / "entries" / "notes.txt").exists()


# --- a dataset through a cache --------------------------------------------------------------------------------


class Watched(FileStorage):
    """Remembers what is read of the shards."""

    reads: ClassVar[list[str]] = []

    def get_range(self, key: str, start: int, length: int) -> bytes:
        if key.startswith("shards/"):
            self.reads.append(key)
        return super().get_range(key, start, length)


def test_a_second_epoch_reads_from_the_cache(tmp_path: Path) -> None:
    make_dataset(str(tmp_path / "d"), make_campaign(samples=6, gaits_per_shard=3))
    storage: Storage = Watched(tmp_path / "d")
    plain = {g.sample_id: g for g in GaitDataset(storage).stream(("keypoints_2d", "labels"))}
    dataset = GaitDataset(storage, cache_dir=tmp_path / "c")
    for memory_bytes in (1 << 30, 1):  # by whole objects, and by ranges
        Watched.reads.clear()
        for gait in dataset.stream(("keypoints_2d", "labels"), memory_bytes=memory_bytes):
            assert (gait["labels"] == plain[gait.sample_id]["labels"]).all()
        first = len(Watched.reads)
        copy = pickle.loads(pickle.dumps(dataset))
        assert len(list(copy.stream(("keypoints_2d", "labels"), memory_bytes=memory_bytes, epoch=1))) == 6
        assert len(Watched.reads) == first
        assert first > 0 or memory_bytes == 1  # ranges of objects that are there whole already
    secret = DiskCache(tmp_path / "c")
    assert secret.folder.stat().st_mode & 0o077 == 0


def test_whole_objects_are_checked_without_a_cache(tmp_path: Path) -> None:
    make_dataset(str(tmp_path), make_campaign(samples=2, gaits_per_shard=2))
    dataset = GaitDataset(str(tmp_path))
    (record,) = dataset.records
    item = next(item for item in record.objects if item.path.endswith("labels/c/0/0"))
    shard = CachedShard(dataset.storage, record)
    assert len(shard.get_range(item.path, 0, item.bytes + 1)) == item.bytes
    (tmp_path / item.path).write_bytes(b"x" * item.bytes)
    with pytest.raises(FormatError, match="has other bytes than its record says"):
        shard.get_range(item.path, 0, item.bytes + 1)
