"""Storage in a folder. Objects are written beside their place, flushed, and then moved or linked into it."""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from farm.errors import AlreadyExistsError, ObjectNotFoundError, StorageError, StorageUnavailableError
from farm.storage.contract import (
    WRITING_PREFIX,
    Probe,
    StoredObject,
    Unfinished,
    validate_key,
    validate_prefix,
)
from farm.storage.probe import probe_by_racing

_CAUSES = {
    errno.ENOSPC: "the disk is full; free space or choose another place",
    errno.EDQUOT: "your disk quota is used up; free space or choose another place",
    errno.EROFS: "the file system is read-only; choose another place",
    errno.EACCES: "permission denied; change the permissions or choose another place",
    errno.EPERM: "the file system does not permit it; change the permissions or choose another place",
    errno.ENOTDIR: "a file stands where a folder is needed; choose another place",
    errno.EEXIST: "a file stands where a folder is needed; choose another place",
    errno.EISDIR: "a folder stands where a file is needed; choose another place",
    errno.ENAMETOOLONG: "the path is too long for this file system; choose a shorter one",
    errno.EIO: "the disk reports an input/output error; check the disk",
    errno.EMFILE: "too many open files; raise `ulimit -n`",
    errno.ESTALE: "the network file system lost the file; mount it again",
}

_PASSING = frozenset(
    {errno.EIO, errno.ESTALE, errno.EAGAIN, errno.ETIMEDOUT, errno.EMFILE, errno.ENFILE, errno.EBUSY, errno.ENOLCK}
)
"""What network file systems and busy machines answer and may soon not answer any more; all else waits for a person."""

VANISHED_ATTEMPTS = 8
"""Tries of `put_once` where each time a file stood there and was deleted before we could read it."""

_NO_LINKS = (errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK)


class FileStorage:
    """A folder. See `farm.storage.contract.Storage` for what each method promises.

    `put_once` rests on link(2), which POSIX and NFS make atomic: it creates the
    name together with the whole, flushed content, or fails because the name exists.
    """

    def __init__(self, root: str | Path) -> None:
        """Open a folder, which need not exist yet: the first write creates it."""
        self._root = Path(root).absolute()

    def __repr__(self) -> str:
        return f"FileStorage({str(self._root)!r})"

    @property
    def uri(self) -> str:
        return str(self._root)

    def get(self, key: str) -> bytes:
        path = self._path(key)
        with self._explain("read", key):
            return path.read_bytes()

    def get_range(self, key: str, start: int, length: int) -> bytes:
        path = self._path(key)
        with self._explain("read", key), path.open("rb") as file:
            rest = os.fstat(file.fileno()).st_size - start
            file.seek(start)
            return file.read(max(0, min(length, rest)))  # read() reserves what it is asked for, not what is there

    def put(self, key: str, data: bytes) -> None:
        path = self._path(key)
        with self._explain("write", key), self._whole_file(path, data) as written:
            written.replace(path)
            _flush_folder(path.parent)

    def put_once(self, key: str, data: bytes) -> None:
        path = self._path(key)
        with self._explain("write", key), self._whole_file(path, data) as written:
            for _ in range(VANISHED_ATTEMPTS):
                if _linked(written, path, self.uri) or self._holds(path, data):
                    # Also where the file is ours from before: an attempt that failed between the two must not count
                    # as done until the name is durable. NFS may say "exists" of a link whose answer was lost.
                    _flush_folder(path.parent)
                    return
        raise StorageError(f"cannot write {self.uri}/{key}: others keep creating and deleting it; run again")

    def list(self, prefix: str = "") -> Sequence[StoredObject]:
        folder = self._path(validate_prefix(prefix)[:-1]) if prefix else self._root
        return sorted(
            StoredObject(key, status.st_size, status.st_mtime) for key, status in self._files(folder, writing=False)
        )

    def size(self, key: str) -> int:
        path = self._path(key)
        with self._explain("read", key):
            if path.is_dir():
                raise IsADirectoryError(errno.EISDIR, "is a directory")
            return path.stat().st_size

    def delete(self, key: str) -> None:
        path = self._path(key)
        with self._explain("delete", key):
            path.unlink(missing_ok=True)

    def now_s(self) -> float:
        """The time that the file system gives to a new file: on a network file system, its server's."""
        with self._explain("write", "."), self._whole_file(self._root / "clock", b"") as written:
            return written.stat().st_mtime

    def unfinished(self) -> Sequence[Unfinished]:
        return sorted(
            Unfinished(key, status.st_size, status.st_mtime) for key, status in self._files(self._root, writing=True)
        )

    def discard(self, item: Unfinished) -> None:
        folder, _, name = item.key.rpartition("/")
        if not name.startswith(WRITING_PREFIX) or "\\" in name or "\0" in name:
            raise StorageError(f"{self.uri}/{item.key} is no unfinished write; only those can be discarded")
        path = (self._path(folder) if folder else self._root) / name
        with self._explain("delete", item.key):
            path.unlink(missing_ok=True)

    def probe(self) -> Probe:
        return probe_by_racing(self)

    def _files(self, folder: Path, *, writing: bool) -> Iterator[tuple[str, os.stat_result]]:
        """Key and status of every file below `folder`: those that are whole, or those being written."""
        with self._explain("list", folder.relative_to(self._root).as_posix()):
            for parent, _, names in os.walk(folder, onerror=_raise_unless_missing):
                for name in names:
                    if name.startswith(WRITING_PREFIX) == writing:
                        path = Path(parent, name)
                        with suppress(FileNotFoundError):  # deleted while we listed
                            yield path.relative_to(self._root).as_posix(), path.stat()

    def _holds(self, path: Path, data: bytes) -> bool:
        """True if the file holds `data`, False if it has vanished, else AlreadyExistsError."""
        try:
            if path.read_bytes() == data:
                return True
        except FileNotFoundError:
            return False
        raise AlreadyExistsError(f"{path} exists already with other content; it was left as it is")

    def _path(self, key: str) -> Path:
        """The file of a key. Symbolic links may not lead out of the root."""
        path = self._root / validate_key(key)
        with self._explain("reach", key):
            if not path.resolve().is_relative_to(self._root.resolve()):
                raise StorageError(f"{self.uri}/{key} is a symbolic link that leaves the dataset's folder; remove it")
        return path

    @contextmanager
    def _whole_file(self, path: Path, data: bytes) -> Iterator[Path]:
        """A flushed temporary file with `data` in the folder of `path`; removed at the end if still there."""
        _make_folder(path.parent)
        written = path.parent / f"{WRITING_PREFIX}{secrets.token_hex(8)}"
        try:
            with written.open("xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            yield written
        finally:
            with suppress(OSError):
                written.unlink(missing_ok=True)

    @contextmanager
    def _explain(self, verb: str, key: str) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError:
            raise ObjectNotFoundError(f"cannot {verb} {self.uri}/{key}: there is no such object") from None
        except OSError as error:
            cause = _CAUSES.get(error.errno or 0, error.strerror or type(error).__name__)
            kind = StorageUnavailableError if error.errno in _PASSING else StorageError
            raise kind(f"cannot {verb} {self.uri}/{key}: {cause}") from None


def _linked(written: Path, path: Path, uri: str) -> bool:
    """Give a whole file its name; False if the name is taken."""
    try:
        os.link(written, path)
    except FileExistsError:
        return False
    except OSError as error:
        if error.errno in _NO_LINKS:
            raise StorageError(
                f"{uri}: this file system has no hard links, so no two writers could be kept apart; "
                "choose a local disk (ext4, xfs, btrfs, APFS), NFS or S3"
            ) from None
        raise
    return True


def _make_folder(folder: Path) -> None:
    """Create a folder and its missing parents, each made durable in the one above."""
    if folder.is_dir():
        return
    if folder.parent != folder:
        _make_folder(folder.parent)
    folder.mkdir(exist_ok=True)
    _flush_folder(folder.parent)


def _flush_folder(folder: Path) -> None:
    """Make a folder's entries durable: without it a power cut may forget a new name."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP, errno.EBADF):  # some network file systems refuse
            raise
    finally:
        os.close(descriptor)


def _raise_unless_missing(error: OSError) -> None:
    if error.errno not in (errno.ENOENT,):
        raise error
