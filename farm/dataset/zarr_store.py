"""A committed shard as a read-only Zarr store, so that zarr reads it wherever it lies.

zarr's own remote stores would bring a second S3 client with its own settings and
its own error texts; this one keeps ours, and they pass through zarr unchanged.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable

from zarr.abc.store import ByteRequest, OffsetByteRequest, RangeByteRequest, Store, SuffixByteRequest
from zarr.core.buffer import Buffer, BufferPrototype

from farm.dataset.manifest import ShardRecord
from farm.errors import FormatError, ObjectNotFoundError
from farm.storage import Storage


class ShardStore(Store):
    """One shard's group, for `zarr.open_group(store, mode="r")`.

    What exists, and how large it is, is known from the shard's record: nothing is
    listed or asked for twice. zarr takes a missing object for fill values; here an
    object that the record names and the storage lacks is damage, and raises.
    """

    supports_writes = False
    supports_deletes = False
    supports_listing = True

    def __init__(self, storage: Storage, record: ShardRecord) -> None:
        """Name a shard; nothing is read yet.

        Args:
            storage: Where the dataset lies.
            record: The shard's commit record; its group must not be None.
        """
        super().__init__(read_only=True)
        self._storage = storage
        self._group = f"{record.group}/"
        self._sizes = {item.path.removeprefix(self._group): item.bytes for item in record.objects}

    def __str__(self) -> str:
        return f"{self._storage.uri}/{self._group}"

    def __repr__(self) -> str:
        return f"ShardStore({str(self)!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ShardStore) and str(self) == str(other)

    async def get(self, key: str, prototype: BufferPrototype, byte_range: ByteRequest | None = None) -> Buffer | None:
        if key not in self._sizes:
            return None
        data = await asyncio.to_thread(self._read, key, byte_range)
        return prototype.buffer.from_bytes(data)

    def _read(self, key: str, byte_range: ByteRequest | None) -> bytes:
        size = self._sizes[key]
        match byte_range:
            case None:
                start, length = 0, size
            case RangeByteRequest(start, end):
                length = end - start
            case OffsetByteRequest(start):
                length = size - start
            case SuffixByteRequest(length):
                start = max(0, size - length)
            case _:
                raise TypeError(f"unknown byte range {byte_range!r}")
        path = self._group + key
        try:
            data = self._storage.get(path) if byte_range is None else self._storage.get_range(path, start, length)
        except ObjectNotFoundError:
            raise FormatError(f"{self}{key} is missing, though its record names it; run `gaitfarm verify`") from None
        if len(data) < min(length, size - start):
            raise FormatError(f"{self}{key} is cut off: shorter than its record's {size} bytes; run `gaitfarm verify`")
        return data

    async def get_partial_values(
        self, prototype: BufferPrototype, key_ranges: Iterable[tuple[str, ByteRequest | None]]
    ) -> list[Buffer | None]:
        return await asyncio.gather(*(self.get(key, prototype, byte_range) for key, byte_range in key_ranges))

    async def exists(self, key: str) -> bool:
        return key in self._sizes

    async def set(self, key: str, value: Buffer) -> None:  # noqa: ARG002
        raise PermissionError(f"{self} is read-only: shards are immutable")

    async def delete(self, key: str) -> None:  # noqa: ARG002
        raise PermissionError(f"{self} is read-only: shards are immutable")

    async def list(self) -> AsyncIterator[str]:
        for key in self._sizes:
            yield key

    async def list_prefix(self, prefix: str) -> AsyncIterator[str]:
        for key in self._sizes:
            if key.startswith(prefix):
                yield key

    async def list_dir(self, prefix: str) -> AsyncIterator[str]:
        folder = f"{prefix.rstrip('/')}/" if prefix else ""
        names = (key.removeprefix(folder).partition("/")[0] for key in self._sizes if key.startswith(folder))
        for name in dict.fromkeys(names):
            yield name
