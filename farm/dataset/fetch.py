"""Objects of a committed shard: what is wrong with their bytes, and arrays out of those that are in memory."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

import zarr
from zarr.core.buffer import default_buffer_prototype
from zarr.storage import MemoryStore

from farm.dataset.manifest import StoredBytes
from farm.errors import FormatError


def fault_of(item: StoredBytes, data: bytes) -> str | None:
    """What is wrong with an object's bytes, or None."""
    if len(data) != item.bytes:
        return f"has {len(data)} bytes, its record says {item.bytes}: cut off or replaced"
    if hashlib.sha256(data).hexdigest() != item.sha256:
        return "has other bytes than its record says (SHA-256): tampered with or damaged"
    return None


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
