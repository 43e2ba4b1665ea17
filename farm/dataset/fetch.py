"""Whole objects of a committed shard, each checked against its record before anybody uses it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

import zarr
from zarr.core.buffer import default_buffer_prototype
from zarr.storage import MemoryStore

from farm.dataset.guard import layout_of, read_metadata
from farm.dataset.manifest import ShardRecord, StoredBytes
from farm.errors import FormatError, ObjectNotFoundError
from farm.storage import Storage


def fault_of(item: StoredBytes, data: bytes) -> str | None:
    """What is wrong with an object's bytes, or None."""
    if len(data) != item.bytes:
        return f"has {len(data)} bytes, its record says {item.bytes}: cut off or replaced"
    if hashlib.sha256(data).hexdigest() != item.sha256:
        return "has other bytes than its record says (SHA-256): tampered with or damaged"
    return None


def fetch_arrays(storage: Storage, record: ShardRecord, paths: Iterable[str]) -> dict[str, bytes]:
    """Every object of some of a shard's arrays, metadata included, by key relative to the group.

    What comes back is safe to unpack: it has been through `farm.dataset.guard`.

    Raises:
        FormatError: An object is missing, is not what its record says, or not what the format says.
    """
    paths = tuple(paths)
    wanted = tuple(f"{record.group}/{path}/" for path in paths)
    found: dict[str, bytes] = {}
    for item in record.objects:
        if item.path.startswith(wanted):
            try:
                data = storage.get_range(item.path, 0, item.bytes + 1)
            except ObjectNotFoundError:
                raise FormatError(f"{storage.uri}/{item.path} is missing; run `gaitfarm verify`") from None
            fault = fault_of(item, data)
            if fault:
                raise FormatError(f"{storage.uri}/{item.path} {fault}; run `gaitfarm verify`")
            found[item.path.removeprefix(f"{record.group}/")] = data
    for path in paths:
        try:
            check_array(found, path, record)
        except FormatError as error:
            raise FormatError(f"{storage.uri}/{record.group}/{error}") from None
    return found


def check_array(objects: Mapping[str, bytes], path: str, record: ShardRecord) -> None:
    """Check an array whose objects are in memory, before zarr or a codec reads it.

    Raises:
        FormatError: Its metadata is not what the format says, or its object does not unpack to what that declares.
    """
    if f"{path}/zarr.json" not in objects:
        raise FormatError(f"{path} has no metadata; run `gaitfarm verify`")
    layout = layout_of(read_metadata(objects[f"{path}/zarr.json"], f"{path}/zarr.json"), path, record)
    layout.check_object(objects[f"{path}/{layout.chunk_key}"])


def memory_store(objects: Mapping[str, bytes]) -> MemoryStore:
    """Objects as a Zarr store in memory."""
    buffer = default_buffer_prototype().buffer
    return MemoryStore({key: buffer.from_bytes(data) for key, data in objects.items()})


def arrays_of(objects: Mapping[str, bytes], paths: Iterable[str]) -> dict[str, Any]:
    """Open arrays whose objects are in memory, by path.

    Raises:
        FormatError: One of them is not there, or no array.
    """
    store = memory_store(objects)
    opened: dict[str, Any] = {}
    for path in paths:
        try:
            opened[path] = zarr.open_array(store, path=path, mode="r", zarr_format=3)
        except Exception as error:  # zarr lets many kinds out of damaged metadata
            raise FormatError(f"{path} is no Zarr array ({type(error).__name__}); run `gaitfarm verify`") from None
    return opened
