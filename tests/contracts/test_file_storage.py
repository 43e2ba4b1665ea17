"""`FileStorage` keeps the contract, and names what the file system refuses."""

from __future__ import annotations

import errno
import multiprocessing
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from farm.errors import AlreadyExistsError, StorageError
from farm.storage import FileStorage, Unfinished, open_storage
from tests.contracts.storage_contract import StorageContract


class TestFileStorage(StorageContract):
    @pytest.fixture
    def storage(self, tmp_path: Path) -> FileStorage:
        return FileStorage(tmp_path / "root")


def test_forms_of_a_path(tmp_path: Path) -> None:
    open_storage(str(tmp_path / "with space")).put("a", b"1")
    assert open_storage(f"file://{tmp_path}/with%20space").get("a") == b"1"
    assert open_storage(f"file://localhost{tmp_path}/with%20space").get("a") == b"1"


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        ("", "empty"),
        ("gs://bucket/x", "no storage for gs://"),
        ("http://host/x", "give a path, file:///path or s3://bucket/prefix"),
        ("file://host/x", "three slashes"),
        ("s3://", "no bucket name"),
        ("s3://Bad_Bucket/x", "'Bad_Bucket' is no bucket name"),
        ("s3://bucket/../x", "has the part '..'"),
        ("s3://AKIAEXAMPLE:topsecret@bucket/x", "holds no credentials"),
    ],
)
def test_uris_that_are_refused(uri: str, message: str) -> None:
    with pytest.raises(StorageError) as caught:
        open_storage(uri)
    assert message in str(caught.value)
    assert "topsecret" not in str(caught.value)


def test_links_may_not_leave_the_root(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_text("x")
    storage = FileStorage(tmp_path / "root")
    storage.put("a", b"1")
    (tmp_path / "root" / "link").symlink_to(outside)
    (tmp_path / "root" / "file").symlink_to(outside / "secret")
    for key in ("link/secret", "file"):
        with pytest.raises(StorageError, match="symbolic link that leaves"):
            storage.get(key)
    with pytest.raises(StorageError, match="symbolic link that leaves"):
        storage.put("link/new", b"1")
    assert sorted(path.name for path in outside.iterdir()) == ["secret"]


def test_a_root_that_is_a_link_is_fine(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    FileStorage(tmp_path / "link").put("a/b", b"1")
    assert (tmp_path / "real" / "a" / "b").read_bytes() == b"1"


def test_unfinished_files_are_neither_listed_nor_left(tmp_path: Path) -> None:
    storage = FileStorage(tmp_path)
    storage.put("a/b", b"1")
    (tmp_path / "a" / ".writing-0123").write_bytes(b"half")
    assert [item.key for item in storage.list()] == ["a/b"]
    with pytest.raises(AlreadyExistsError):
        storage.put_once("a/b", b"2")
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == [".writing-0123", "b"]


def test_what_a_killed_writer_left_is_found_and_discarded(tmp_path: Path) -> None:
    """A process of its own is killed after it has written half an object, in the root and in a folder."""
    code = (
        "import os, signal, sys\n"
        "from farm.storage import FileStorage\n"
        "os.fsync = lambda _: os.kill(os.getpid(), signal.SIGKILL)\n"
        f"FileStorage({str(tmp_path)!r}).put(sys.argv[1], bytes(1000))\n"
    )
    (tmp_path / "a").mkdir()
    for key in ("a/b", "c"):
        assert subprocess.run([sys.executable, "-c", code, key], check=False).returncode == -signal.SIGKILL
    storage = FileStorage(tmp_path)
    storage.put("a/whole", b"1")
    assert [item.key for item in storage.list()] == ["a/whole"]
    left = storage.unfinished()
    assert [(item.key.rpartition("/")[0], item.size) for item in left] == [("", 1000), ("a", 1000)]
    now_s = storage.now_s()
    assert all(now_s - 300 < item.modified_s <= now_s for item in left)
    for item in [*left, *left]:
        storage.discard(item)
    assert list(storage.unfinished()) == []
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["whole"]


@pytest.mark.parametrize("key", ["a/whole", "../.writing-x", "/tmp/.writing-x", "a/../../.writing-x", ""])
def test_only_unfinished_files_under_the_root_are_discarded(tmp_path: Path, key: str) -> None:
    storage = FileStorage(tmp_path / "root")
    storage.put("a/whole", b"1")
    (tmp_path / ".writing-x").write_bytes(b"another's")
    with pytest.raises(StorageError):
        storage.discard(Unfinished(key, 1))
    assert storage.get("a/whole") == b"1"
    assert (tmp_path / ".writing-x").exists()


def test_a_file_where_a_folder_is_needed(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(StorageError, match="a file stands where a folder is needed"):
        FileStorage(tmp_path / "file").put("a", b"1")
    FileStorage(tmp_path / "root").put("a/b", b"1")
    with pytest.raises(StorageError, match="a folder stands where a file is needed"):
        FileStorage(tmp_path / "root").get("a")


def test_a_full_disk_is_named_and_leaves_nothing(tmp_path: Path) -> None:
    """A real file system of 1 MB where we may mount one; the kernel's own /dev/full cannot hold folders."""
    mount = tmp_path / "small"
    mount.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(mount)], capture_output=True, check=False
    )
    if done.returncode:
        pytest.skip("mounting a small file system needs root: run the tests as root to see a disk fill up")
    try:
        storage = FileStorage(mount)
        storage.put("small", b"1")
        for write in (storage.put, storage.put_once):
            with pytest.raises(StorageError, match=r"cannot write .*/large: the disk is full; free space"):
                write("large", bytes(4 << 20))
        assert [item.key for item in storage.list()] == ["small"]
        assert [path.name for path in mount.iterdir()] == ["small"]
    finally:
        subprocess.run(["umount", str(mount)], check=True)


def test_a_file_size_limit_is_named(tmp_path: Path) -> None:
    """RLIMIT_FSIZE makes the kernel refuse large files for everybody, root too."""
    code = (
        "import resource, signal\n"
        "from farm.errors import StorageError\n"
        "from farm.storage import FileStorage\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        f"storage = FileStorage({str(tmp_path)!r})\n"
        "try:\n    storage.put('a', bytes(5000))\nexcept StorageError as error:\n    print(error)\n"
        "print([item.key for item in storage.list()])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "cannot write" in done.stdout
    assert done.stdout.splitlines()[-1] == "[]"
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] != 1000


@pytest.mark.parametrize(
    ("number", "cause"),
    [
        (errno.EROFS, "the file system is read-only"),
        (errno.EACCES, "permission denied"),
        (errno.EDQUOT, "your disk quota is used up"),
        (errno.EIO, "input/output error"),
    ],
)
def test_what_the_kernel_says_is_translated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, cause: str
) -> None:
    """These cannot be had from a real disk in a test run as root; the kernel's answer is put in its place."""

    def refuse(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(StorageError, match=cause) as caught:
        FileStorage(tmp_path).put("a", b"1")
    assert str(tmp_path) in str(caught.value)


def test_a_record_that_failed_before_its_folder_was_flushed_is_flushed_by_the_next_attempt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The link stands and the disk failed after it: reported as failed, and our own success when it is repeated."""
    storage = FileStorage(tmp_path)
    fsync, flushed = os.fsync, []

    def fails_on_folders(descriptor: int) -> None:
        if Path(f"/proc/self/fd/{descriptor}").is_dir():
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", fails_on_folders)
    with pytest.raises(StorageError, match="input/output error"):
        storage.put_once("a", b"mine")
    assert storage.get("a") == b"mine"
    monkeypatch.setattr(os, "fsync", lambda descriptor: flushed.append(Path(f"/proc/self/fd/{descriptor}").readlink()))
    storage.put_once("a", b"mine")
    assert tmp_path in flushed
    with pytest.raises(AlreadyExistsError):
        storage.put_once("a", b"theirs")
    assert list(storage.unfinished()) == []


def test_no_hard_links_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    with pytest.raises(StorageError, match="no hard links"):
        FileStorage(tmp_path).put_once("a", b"1")
    assert list(FileStorage(tmp_path).list()) == []


def _race(root: str, number: int, start: multiprocessing.synchronize.Barrier) -> bool:
    storage = FileStorage(root)
    start.wait()
    try:
        storage.put_once("commit", f"{number}".encode() * 1000)
    except AlreadyExistsError:
        return False
    return True


def test_processes_race_too(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    with context.Manager() as manager:
        start = manager.Barrier(3)
        with context.Pool(3) as pool:
            won = pool.starmap(_race, [(str(tmp_path), number, start) for number in range(3)])
    assert sum(won) == 1
    assert FileStorage(tmp_path).get("commit") == f"{won.index(True)}".encode() * 1000
