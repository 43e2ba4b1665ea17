"""A committed shard as a read-only Zarr store, so that zarr reads it wherever it lies.

zarr's own remote stores would bring a second S3 client with its own settings and
its own error texts; this one keeps ours, and they pass through zarr unchanged.
Whatever zarr gets from here has been through `farm.dataset.guard`.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterable
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from zarr.abc.store import ByteRequest, OffsetByteRequest, RangeByteRequest, Store, SuffixByteRequest
from zarr.core.buffer import Buffer, BufferPrototype

from farm.dataset.fetch import fault_of
from farm.dataset.guard import MAX_METADATA_BYTES, Layout, check_inner_group, check_root, layout_of, read_metadata
from farm.dataset.manifest import ShardRecord, StoredBytes
from farm.errors import FormatError, ObjectNotFoundError, UserError

METADATA = "zarr.json"


class ReadableStorage(Protocol):
    """What a shard asks of a storage; a cache in front of one will do."""

    @property
    def uri(self) -> str: ...

    def get_range(self, key: str, start: int, length: int) -> bytes: ...


def decoded(array: Any, selection: Any, where: str) -> NDArray[Any]:
    """`array[selection]` of a Zarr array.

    Raises:
        FormatError: A codec complains about damaged bytes; they may raise anything.
    """
    try:
        return np.asarray(array[selection])
    except UserError:
        raise
    except Exception as error:
        words = f"{type(error).__name__}: {' '.join(str(error).split())[:120]}"
        raise FormatError(f"{where} cannot be decoded ({words}); run `gaitfarm verify`") from None


class ShardStore(Store):
    """One shard's group, for `zarr.open_group(store, mode="r")`.

    What exists, and how large it is, is known from the shard's record: nothing is
    listed or asked for twice. zarr takes a missing object for fill values; here an
    object that the record names and the storage lacks is damage, and raises.
    Metadata is checked by its SHA-256 and against the format before zarr sees it;
    of a chunk, before a codec sees it, that it unpacks to the size of a chunk.
    """

    supports_writes = False
    supports_deletes = False
    supports_listing = True

    def __init__(self, storage: ReadableStorage, record: ShardRecord) -> None:
        """Name a shard; nothing is read yet.

        Args:
            storage: Where the dataset lies.
            record: The shard's commit record; its group must not be None.
        """
        super().__init__(read_only=True)
        self._storage = storage
        self._record = record
        self._group = f"{record.group}/"
        self._items = {item.path.removeprefix(self._group): item for item in record.objects}
        self._lock = threading.RLock()
        self._root: bytes | None = None
        self._members: dict[str, Any] | None = None
        self._layouts: dict[str, Layout] = {}
        self._spans: dict[str, NDArray[np.int64]] = {}

    def __reduce__(self) -> tuple[type[ShardStore], tuple[ReadableStorage, ShardRecord]]:
        return type(self), (self._storage, self._record)

    def __str__(self) -> str:
        return f"{self._storage.uri}/{self._group}"

    def __repr__(self) -> str:
        return f"ShardStore({str(self)!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ShardStore) and str(self) == str(other)

    async def get(self, key: str, prototype: BufferPrototype, byte_range: ByteRequest | None = None) -> Buffer | None:
        if key not in self._items:
            return None
        data = await asyncio.to_thread(self._read, key, byte_range)
        return prototype.buffer.from_bytes(data)

    def _read(self, key: str, byte_range: ByteRequest | None) -> bytes:
        name = key.rpartition("/")[2]
        if name == METADATA:
            data = self._root_metadata() if key == METADATA else self._member_metadata(key)
            start, end = _extent(byte_range, len(data))
            return data[start:end]
        layout = self._layout(key.rpartition("/c/")[0])
        if key != f"{layout.path}/{layout.chunk_key}":
            raise FormatError(f"{self}{key} is not an object of the array {layout.path}; run `gaitfarm verify`")
        size = self._items[key].bytes
        if byte_range is None:
            data = self._fetch(key, 0, size)
            layout.check_object(data)
            return data
        start, end = _extent(byte_range, size)
        if not 0 <= start <= end <= size:
            raise FormatError(
                f"{self}{key}: bytes {start} to {end} are asked for, it has {size}; run `gaitfarm verify`"
            )
        if (start, end) == (size - layout.index_bytes, size):
            index = self._fetch(key, start, end)
            self._spans[key] = layout.spans(index, size)
            return index
        data = self._fetch(key, start, end)
        layout.check_chunks(data, start, self._index(key, layout, size))
        return data

    def _index(self, key: str, layout: Layout, size: int) -> NDArray[np.int64]:
        if key not in self._spans:
            self._spans[key] = layout.spans(self._fetch(key, size - layout.index_bytes, size), size)
        return self._spans[key]

    def _fetch(self, key: str, start: int, end: int) -> bytes:
        """Bytes of an object; of a whole one one more is asked for, which must not be there."""
        path, size = self._group + key, self._items[key].bytes
        whole = (start, end) == (0, size)
        try:
            data = self._storage.get_range(path, start, end - start + whole)
        except ObjectNotFoundError:
            raise FormatError(f"{self}{key} is missing, though its record names it; run `gaitfarm verify`") from None
        if len(data) < end - start:
            raise FormatError(f"{self}{key} is cut off: shorter than its record's {size} bytes; run `gaitfarm verify`")
        if len(data) > end - start:
            raise FormatError(f"{self}{key} is longer than its record's {size} bytes; run `gaitfarm verify`")
        return data

    def _layout(self, path: str) -> Layout:
        with self._lock:
            self._root_metadata()
            if path not in self._layouts:
                if f"{path}/{METADATA}" not in self._items:
                    raise FormatError(f"{self}{path} has no metadata; run `gaitfarm verify`")
                self._member_metadata(f"{path}/{METADATA}")
            if path not in self._layouts:
                raise FormatError(f"{self}{path} is no array; run `gaitfarm verify`")
            return self._layouts[path]

    def _root_metadata(self) -> bytes:
        with self._lock:
            if self._root is None:
                data = self._checked(METADATA)
                metadata = read_metadata(data, f"{self}{METADATA}")
                layouts = self._named(check_root, metadata, self._record)
                if layouts is not None:
                    self._layouts, self._members = layouts, metadata["consolidated_metadata"]["metadata"]
                self._root = data
            return self._root

    def _member_metadata(self, key: str) -> bytes:
        """One array's or inner group's own metadata; consolidated metadata must say the same."""
        self._root_metadata()
        data, path = self._checked(key), key.removesuffix(f"/{METADATA}")
        metadata = read_metadata(data, f"{self}{key}")
        if self._members is not None and path not in self._members:
            raise FormatError(f"{self}{key} is not in the consolidated metadata; run `gaitfarm verify`")
        if metadata.get("node_type") == "group":
            self._named(check_inner_group, metadata, path)
            return data
        layout = self._named(layout_of, metadata, path, self._record)
        with self._lock:
            if self._layouts.setdefault(path, layout) != layout:
                raise FormatError(f"{self}{key} disagrees with the consolidated metadata; run `gaitfarm verify`")
        return data

    def check_members(self) -> None:
        """Read every array's own metadata, which must be what the consolidated metadata says.

        Raises:
            FormatError: It is not, or is not what the format says.
        """
        self._root_metadata()
        for path, member in sorted((self._members or {}).items()):
            data = self._member_metadata(f"{path}/{METADATA}")
            if member.get("node_type") == "array" and read_metadata(data, path) != member:
                raise FormatError(f"{self}{path}/{METADATA} disagrees with the consolidated metadata")

    def _named(self, check: Any, *arguments: Any) -> Any:
        """Say which shard a fault is in."""
        try:
            return check(*arguments)
        except FormatError as error:
            raise FormatError(f"{self}{error}") from None

    def _checked(self, key: str) -> bytes:
        item: StoredBytes | None = self._items.get(key)
        if item is None:
            raise FormatError(f"{self}{key} is not named by the shard's record; run `gaitfarm verify`")
        if item.bytes > MAX_METADATA_BYTES:
            raise FormatError(f"{self}{key} has {item.bytes} bytes, metadata has at most {MAX_METADATA_BYTES}")
        data = self._fetch(key, 0, item.bytes)
        fault = fault_of(item, data)
        if fault:
            raise FormatError(f"{self}{key} {fault}; run `gaitfarm verify`")
        return data

    async def get_partial_values(
        self, prototype: BufferPrototype, key_ranges: Iterable[tuple[str, ByteRequest | None]]
    ) -> list[Buffer | None]:
        return await asyncio.gather(*(self.get(key, prototype, byte_range) for key, byte_range in key_ranges))

    async def exists(self, key: str) -> bool:
        return key in self._items

    async def set(self, key: str, value: Buffer) -> None:  # noqa: ARG002
        raise PermissionError(f"{self} is read-only: shards are immutable")

    async def delete(self, key: str) -> None:  # noqa: ARG002
        raise PermissionError(f"{self} is read-only: shards are immutable")

    async def list(self) -> AsyncIterator[str]:
        for key in self._items:
            yield key

    async def list_prefix(self, prefix: str) -> AsyncIterator[str]:
        for key in self._items:
            if key.startswith(prefix):
                yield key

    async def list_dir(self, prefix: str) -> AsyncIterator[str]:
        folder = f"{prefix.rstrip('/')}/" if prefix else ""
        names = (key.removeprefix(folder).partition("/")[0] for key in self._items if key.startswith(folder))
        for name in dict.fromkeys(names):
            yield name


def _extent(byte_range: ByteRequest | None, size: int) -> tuple[int, int]:
    """First byte and the one after the last."""
    match byte_range:
        case None:
            return 0, size
        case RangeByteRequest(start, end):
            return start, end
        case OffsetByteRequest(start):
            return start, size
        case SuffixByteRequest(length):
            return max(0, size - length), size
        case _:
            raise TypeError(f"unknown byte range {byte_range!r}")
