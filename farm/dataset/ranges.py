"""Of a shard's objects the bytes that some gaits need, and no more than pays; each proved to be whole.

An array's object ends with an index of where each gait's chunk lies. It is read
first, and then the chosen chunks: those that lie close together in one request.
Where most of an object would come along anyway it is read whole. What was read
whole is compared with the SHA-256 of the shard's record; a chunk that was read
alone with its own checksum (`farm.dataset.guard.Layout.seal`), and of an array
whose chunks have none the whole object is read.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import google_crc32c
import numpy as np
from numpy.typing import NDArray

from farm.dataset.chunks import zstd_has_checksum
from farm.dataset.fetch import fault_of
from farm.dataset.guard import MAX_METADATA_BYTES, MEND, Layout, check_root, layout_of, read_metadata
from farm.dataset.manifest import ShardRecord, StoredBytes
from farm.errors import FormatError, ObjectNotFoundError
from farm.storage import Storage

WINDOW_BYTES = 16 << 20
"""A larger range is read in pieces of this size, side by side: one connection to S3 carries 50 to 90 MB/s."""

_NO_CHUNK = 2**64 - 1


@dataclass(frozen=True)
class Economy:
    """When bytes that nobody asked for are cheaper than another request.

    Attributes:
        gap_bytes: Ranges that lie no further apart are read as one, and objects that are no larger as a whole.
            A request to S3 takes some 20 ms before the first byte comes, in which one connection carries 1 MB; it
            costs $0.0000004, bytes within a region nothing, and bytes that leave it $0.00001 for 128 KiB.
        whole_share: An object of which a larger share is needed is read whole.
    """

    gap_bytes: int = 128 << 10
    whole_share: float = 0.6

    def takes_whole(self, needed_bytes: float, object_bytes: int) -> bool:
        """Whether an object of which this much is needed is read whole."""
        return object_bytes <= self.gap_bytes or needed_bytes > self.whole_share * object_bytes


class InterruptedReadError(Exception):
    """Reading was told to stop; nothing is wrong."""


class Meter:
    """Counts what is read, for any number of threads, and can stop them."""

    def __init__(self, storage: Storage, progress: Callable[[int], None] | None = None) -> None:
        """Count the reads of `storage`.

        Args:
            progress: Called with the bytes of each answer, by one thread at a time.
        """
        self._storage = storage
        self._progress = progress
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self.bytes = 0
        self.requests = 0

    @property
    def uri(self) -> str:
        return self._storage.uri

    def get_range(self, key: str, start: int, length: int) -> bytes:
        """As the storage's own. Raises InterruptedReadError once `stop` was called."""
        if self._stopped.is_set():
            raise InterruptedReadError
        data = self._storage.get_range(key, start, length)
        with self._lock:
            self.bytes += len(data)
            self.requests += 1
            if self._progress is not None:
                self._progress(len(data))
        return data

    def stop(self) -> None:
        """Let no further read begin."""
        self._stopped.set()


def merged(spans: Iterable[tuple[int, int]], gap_bytes: int) -> list[tuple[int, int]]:
    """Ranges (begin, end) as few as may be: those no further apart than `gap_bytes` become one."""
    runs: list[tuple[int, int]] = []
    for begin, end in sorted(spans):
        if runs and begin - runs[-1][1] <= gap_bytes:
            runs[-1] = (runs[-1][0], max(runs[-1][1], end))
        else:
            runs.append((begin, end))
    return runs


class ShardReader:
    """One committed shard, of which some arrays and some gaits are read. May be asked by many threads."""

    def __init__(self, meter: Meter, record: ShardRecord, requests: ThreadPoolExecutor, economy: Economy) -> None:
        """Read the group's metadata.

        Args:
            record: The shard's commit; its group must not be None.
            requests: What carries the requests out. Whoever calls must not run in it.

        Raises:
            FormatError: The metadata is damaged or hostile.
        """
        self._meter = meter
        self._record = record
        self._requests = requests
        self._economy = economy
        self._items = {item.path.removeprefix(f"{record.group}/"): item for item in record.objects}
        self._where = f"{meter.uri}/{record.group}"
        self._root = read_metadata(self._metadata("zarr.json"), f"{self._where}/zarr.json")
        self._layouts = self._named(check_root, self._root, record)

    @cached_property
    def attributes(self) -> Mapping[str, Any]:
        """The group's attributes."""
        return dict(self._root["attributes"])

    def array(self, path: str, chunks: Sequence[int] | None = None) -> dict[str, bytes]:
        """An array's two objects, `path/zarr.json` and its data, by key relative to the group.

        Args:
            chunks: Those that are needed; what else the object holds may then be missing, as padding. None for all.

        Raises:
            FormatError: An object is missing, damaged, or not what the format says.
        """
        metadata, layout = self._array(path)
        key = f"{path}/{layout.chunk_key}"
        item = self._item(key)
        data = None if chunks is None or layout.seal == "none" else self._some(item, layout, chunks)
        if data is None:
            data = self._whole(item)
            self._named(layout.check_object, data)
        return {f"{path}/zarr.json": metadata, key: data}

    def chunks_of(self, path: str) -> int:
        """How many chunks an array has."""
        return self._array(path)[1].chunks

    def _some(self, item: StoredBytes, layout: Layout, chunks: Sequence[int]) -> bytes | None:
        """The object with these chunks alone, or None where it is better read whole."""
        if self._economy.takes_whole(item.bytes * len(chunks) / layout.chunks, item.bytes):
            return None
        index = self._range(item, item.bytes - layout.index_bytes, item.bytes)
        spans = self._named(layout.spans, index, item.bytes)
        runs = merged(((int(begin), int(end)) for begin, end in spans[list(chunks)]), self._economy.gap_bytes)
        if self._economy.takes_whole(sum(end - begin for begin, end in runs), item.bytes):
            return None
        pieces = list(self._requests.map(lambda run: self._piece(item, layout, spans, run), runs))
        return _sparse(layout, spans, chunks, [begin for begin, _ in runs], pieces)

    def _piece(self, item: StoredBytes, layout: Layout, spans: NDArray[np.int64], run: tuple[int, int]) -> bytes:
        """The bytes of a run, its chunks checked before any codec sees them."""
        data = self._range(item, *run)
        self._named(layout.check_chunks, data, run[0], spans)
        if layout.seal == "zstd":
            inside = (spans[:, 0] >= run[0]) & (spans[:, 1] <= run[1])
            for begin, end in spans[inside] - run[0]:
                if not zstd_has_checksum(memoryview(data)[begin:end]):
                    raise FormatError(
                        f"{self._where}/{layout.path}: a chunk lacks the checksum that it must have; {MEND}"
                    )
        return data

    def _array(self, path: str) -> tuple[bytes, Layout]:
        """An array's metadata as bytes, and what it says. The group's consolidated copy of it spares a request."""
        if self._layouts is not None:
            if path not in self._layouts:
                raise FormatError(f"{self._where}/{path} is missing; run `gaitfarm verify`")
            member = self._root["consolidated_metadata"]["metadata"][path]
            return json.dumps(member, indent=2).encode(), self._layouts[path]
        data = self._metadata(f"{path}/zarr.json")
        layout: Layout = self._named(layout_of, read_metadata(data, f"{self._where}/{path}"), path, self._record)
        return data, layout

    def _metadata(self, key: str) -> bytes:
        item = self._item(key)
        if item.bytes > MAX_METADATA_BYTES:
            raise FormatError(f"{self._where}/{key} has {item.bytes} bytes, metadata has at most {MAX_METADATA_BYTES}")
        return self._whole(item)

    def _item(self, key: str) -> StoredBytes:
        if key not in self._items:
            raise FormatError(f"{self._where}/{key} is not named by the shard's record; run `gaitfarm verify`")
        return self._items[key]

    def _whole(self, item: StoredBytes) -> bytes:
        """An object, in pieces if it is large. One byte more is asked for, which must not be there."""
        starts = range(0, max(1, item.bytes), WINDOW_BYTES)
        ranges = [(start, min(WINDOW_BYTES, item.bytes - start)) for start in starts]
        ranges[-1] = (ranges[-1][0], ranges[-1][1] + 1)
        pieces = self._requests.map(lambda part: self._get(item.path, *part), ranges)
        data = b"".join(pieces) if len(ranges) > 1 else next(iter(pieces))
        fault = fault_of(item, data)
        if fault:
            raise FormatError(f"{self._meter.uri}/{item.path} {fault}; run `gaitfarm verify`")
        return data

    def _range(self, item: StoredBytes, begin: int, end: int) -> bytes:
        data = self._get(item.path, begin, end - begin)
        if len(data) != end - begin:
            raise FormatError(
                f"{self._meter.uri}/{item.path} is cut off: shorter than its record's {item.bytes} bytes; "
                "run `gaitfarm verify`"
            )
        return data

    def _get(self, key: str, start: int, length: int) -> bytes:
        try:
            return self._meter.get_range(key, start, length)
        except ObjectNotFoundError:
            raise FormatError(f"{self._meter.uri}/{key} is missing; run `gaitfarm verify`") from None

    def _named(self, check: Callable[..., Any], *arguments: Any) -> Any:
        """Say which shard a fault is in."""
        try:
            return check(*arguments)
        except FormatError as error:
            raise FormatError(f"{self._where}/{error}") from None


def _sparse(
    layout: Layout, spans: NDArray[np.int64], chunks: Sequence[int], begins: Sequence[int], pieces: Sequence[bytes]
) -> bytes:
    """An object of some of another one's chunks, each at its number; the others are left out.

    Args:
        begins: Where in the other object each of `pieces` begins, ascending.
    """
    table = np.full((layout.chunks, 2), _NO_CHUNK, dtype="<u8")
    parts: list[bytes] = []
    at = 0
    for number in sorted(set(chunks)):
        begin, end = (int(place) for place in spans[number])
        piece = int(np.searchsorted(begins, begin, side="right")) - 1
        parts.append(pieces[piece][begin - begins[piece] : end - begins[piece]])
        table[number] = at, end - begin
        at += end - begin
    index = table.tobytes()
    return b"".join([*parts, index, google_crc32c.value(index).to_bytes(4, "little")])
