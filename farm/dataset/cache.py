"""A local cache of a dataset's objects, whole or in parts, that never grows beyond a bound.

Any number of threads and processes may share a folder. Only who holds the folder's lock
writes, and makes room before it writes, so the bound holds at every moment (but for the
one unfinished file that a killed process may leave, which the next writer replaces).
An entry appears whole, by a rename; it carries no trust: its bytes are checked against
the SHA-256 in the shard's record when they come in, and once more by each process that
first reads them. Who holds no lock reads, and an entry that vanishes meanwhile is
fetched again. A cache that cannot be written (a full disk) caches less and fails nobody.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import re
import stat
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from farm.dataset.fetch import fault_of
from farm.dataset.manifest import ShardRecord, StoredBytes
from farm.dataset.zarr_store import ReadableStorage
from farm.errors import FormatError, StorageError, UserError

MARKER = "gaitfarm-cache"
ENTRIES, INCOMING, LOCK, TOTAL = "entries", "incoming", "lock", "total"
DEFAULT_BYTES = 16 << 30

MAKE_ROOM = 0.9
"""Share of the bound that is left after room was made, so that the folder is not listed for every new entry."""

DIGEST_BYTES = 32
"""The SHA-256 at the head of a part's entry; a whole object has its own in the record."""

_ENTRY = re.compile(r"^[0-9a-f]{64}$")


class DiskCache:
    """Entries by object path, SHA-256 and extent, least recently used dropped first.

    Attributes:
        folder: Where the entries are; ours alone.
        limit_bytes: What they may take together.
    """

    def __init__(self, folder: str | Path, limit_bytes: int = DEFAULT_BYTES) -> None:
        """Open a cache, making its folder if need be.

        Raises:
            UserError: The bound is not positive, or the folder is a symbolic link, somebody else's, open to others'
                writing, or holds other things.
            StorageError: It cannot be made.
        """
        if limit_bytes < 1:
            raise UserError(f"cache_bytes is {limit_bytes!r}; it must be 1 or more")
        self.folder = Path(folder).absolute()
        self.limit_bytes = limit_bytes
        self._guard = threading.Lock()
        self._coming: dict[str, Future[bytes]] = {}
        self._seen: dict[str, tuple[int, int]] = {}
        _claim(self.folder)

    def __reduce__(self) -> tuple[type[DiskCache], tuple[Path, int]]:
        return type(self), (self.folder, self.limit_bytes)

    def __repr__(self) -> str:
        return f"DiskCache({str(self.folder)!r}, {self.limit_bytes})"

    def whole(self, item: StoredBytes, fetch: Callable[[], bytes]) -> bytes:
        """A whole object; `fetch` is called if it is not here.

        Raises:
            FormatError: What was fetched is not what the record says.
        """

        def checked() -> bytes:
            data = fetch()
            fault = fault_of(item, data)
            if fault:
                raise FormatError(f"{item.path} {fault}; run `gaitfarm verify`")
            return data

        return self._get(_name(item, ""), lambda data: fault_of(item, data) is None, checked)

    def part(self, item: StoredBytes, start: int, length: int, fetch: Callable[[], bytes]) -> bytes:
        """`length` bytes of an object from `start` on: out of the whole object, if it is here, or kept as a part.

        A part is kept with a SHA-256 of its own, against damage here; the record's cannot vouch for it.
        """
        stored = self._read(_name(item, ""), lambda data: fault_of(item, data) is None, start, length)
        if stored is not None:
            return stored

        def checked() -> bytes:
            data = fetch()
            return hashlib.sha256(data).digest() + data

        entry = self._get(_name(item, f"{start}+{length}"), _is_sound_part, checked)
        return entry[DIGEST_BYTES:]

    def _get(self, name: str, sound: Callable[[bytes], bool], fetch: Callable[[], bytes]) -> bytes:
        """An entry, fetched once however many threads ask for it."""
        with self._guard:
            future = self._coming.get(name)
            mine = future is None
            if future is None:
                future = self._coming[name] = Future()
        if not mine:
            return future.result()
        try:
            data = self._read(name, sound)
            if data is None:
                data = fetch()
                self._add(name, data)
            future.set_result(data)
        except BaseException as error:
            future.set_exception(error)
            raise
        finally:
            with self._guard:
                del self._coming[name]
        return data

    def _read(
        self, name: str, sound: Callable[[bytes], bool], start: int = 0, length: int | None = None
    ) -> bytes | None:
        """An entry's bytes, or None if there is none; what is not sound is thrown away."""
        path = self.folder / ENTRIES / name
        try:
            with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC), "rb") as file:  # noqa: PTH123
                state = os.fstat(file.fileno())
                if not stat.S_ISREG(state.st_mode) or state.st_uid != os.getuid():
                    return None
                is_seen = self._seen.get(name) == (state.st_ino, state.st_size)
                if is_seen:
                    file.seek(start)
                    data = file.read(-1 if length is None else length)
                else:
                    data = file.read()
            if not is_seen:
                if not sound(data):
                    self._drop(name)
                    return None
                self._seen[name] = (state.st_ino, state.st_size)
                data = data[start:] if length is None else data[start : start + length]
            os.utime(path)
        except OSError:  # there is none, it has just been dropped, or the disk fails: it is fetched
            return None
        return data

    def _add(self, name: str, data: bytes) -> None:
        if len(data) > self.limit_bytes:
            return
        with contextlib.suppress(OSError), self._locked():
            path = self.folder / ENTRIES / name
            if path.exists():
                return
            total = self._total()
            if total + len(data) > self.limit_bytes:
                total = self._make_room(min(self.limit_bytes - len(data), int(MAKE_ROOM * self.limit_bytes)))
            # Counted before it is there: a total that is too large costs a listing, one too small the bound.
            (self.folder / TOTAL).write_text(str(total + len(data)), encoding="ascii")
            incoming = self.folder / INCOMING
            try:
                incoming.write_bytes(data)
                incoming.rename(path)
            except OSError:
                incoming.unlink(missing_ok=True)
                raise

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """Hold the folder's lock; it goes with the process, however that ends."""
        descriptor = os.open(self.folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def _total(self) -> int:
        """Bytes of all entries, or more; the lock is held."""
        try:
            return int((self.folder / TOTAL).read_text(encoding="ascii"))
        except (OSError, ValueError):
            return sum(size for _, size, _ in self._entries())

    def _make_room(self, target: int) -> int:
        """Drop the least recently used entries until `target` bytes are left; how many are. The lock is held."""
        entries = sorted(self._entries())
        total = sum(size for _, size, _ in entries)
        for _, size, path in entries:
            if total <= target:
                break
            path.unlink(missing_ok=True)
            self._seen.pop(path.name, None)
            total -= size
        return total

    def _entries(self) -> list[tuple[int, int, Path]]:
        """Time of last use, size and path of each entry."""
        found = []
        for path in sorted((self.folder / ENTRIES).iterdir()):
            if _ENTRY.match(path.name):
                with contextlib.suppress(FileNotFoundError):
                    state = path.lstat()
                    found.append((state.st_mtime_ns, state.st_size, path))
        return found

    def _drop(self, name: str) -> None:
        with self._locked():
            (self.folder / ENTRIES / name).unlink(missing_ok=True)


class CachedShard:
    """A shard's objects by key: whole ones are checked by SHA-256, and kept in a cache if there is one."""

    def __init__(self, storage: ReadableStorage, record: ShardRecord, cache: DiskCache | None = None) -> None:
        self._storage = storage
        self._record = record
        self._items = {item.path: item for item in record.objects}
        self._cache = cache

    def __reduce__(self) -> tuple[type[CachedShard], tuple[Any, ...]]:
        return type(self), (self._storage, self._record, self._cache)

    @property
    def uri(self) -> str:
        return self._storage.uri

    def get_range(self, key: str, start: int, length: int) -> bytes:
        """As `Storage.get_range`.

        Raises:
            FormatError: A whole object is not what the record says.
        """
        item = self._items[key]

        def fetch() -> bytes:
            return self._storage.get_range(key, start, length)

        if start == 0 and length >= item.bytes:
            if self._cache is not None:
                return self._cache.whole(item, fetch)
            data = fetch()
            fault = fault_of(item, data)
            if fault:
                raise FormatError(f"{self.uri}/{key} {fault}; run `gaitfarm verify`")
            return data
        return fetch() if self._cache is None else self._cache.part(item, start, length, fetch)


def _name(item: StoredBytes, extent: str) -> str:
    return hashlib.sha256(f"{item.path}\n{item.sha256}\n{extent}".encode()).hexdigest()


def _is_sound_part(entry: bytes) -> bool:
    return hashlib.sha256(entry[DIGEST_BYTES:]).digest() == entry[:DIGEST_BYTES]


def _claim(folder: Path) -> None:
    """Make a folder ours, or see that it is."""
    choose = "choose another cache_dir"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        state = folder.lstat()
        if not stat.S_ISDIR(state.st_mode):
            raise UserError(f"cache_dir {folder} is a symbolic link or no folder; give the folder itself")
        if state.st_uid != os.getuid():
            raise UserError(f"cache_dir {folder} belongs to another user; {choose}")
        if state.st_mode & 0o022:
            raise UserError(f"cache_dir {folder} may be written by others; run `chmod go-w` on it, or {choose}")
        names = {path.name for path in sorted(folder.iterdir())}  # the marker is made first: who is not alone has one
        if names and MARKER not in names and not (folder / MARKER).exists():
            raise UserError(f"cache_dir {folder} holds other things; {choose}, or an empty one")
        (folder / MARKER).touch(mode=0o600)
        entries = folder / ENTRIES
        entries.mkdir(mode=0o700, exist_ok=True)
        if not stat.S_ISDIR(entries.lstat().st_mode):
            raise UserError(f"{entries} is a symbolic link; remove it, or {choose}")
    except FileExistsError:
        raise UserError(f"cache_dir {folder} is a symbolic link or no folder; give the folder itself") from None
    except OSError as error:
        raise StorageError(f"cache_dir {folder} cannot be used: {error.strerror or error}; {choose}") from None
