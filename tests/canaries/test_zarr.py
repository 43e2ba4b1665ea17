"""What the dataset's format relies on in zarr 3."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import zarr
from zarr.core.buffer import default_buffer_prototype
from zarr.storage import MemoryStore

N_GAITS, N_SAMPLES = 4, 50


def one_object_per_array(store: MemoryStore, data: np.ndarray[Any, Any]) -> zarr.Array[Any]:
    """An array whose chunk is one gait and whose shard is the whole array, empty chunks included."""
    group = zarr.create_group(store)
    array = group.create_array(
        "a",
        shape=data.shape,
        dtype=data.dtype,
        chunks=(1, *data.shape[1:]),
        shards=data.shape,
        config={"write_empty_chunks": True},
        dimension_names=["gait", "time"],
        fill_value=0,
    )
    array[...] = data
    return array


def keys(store: MemoryStore) -> list[str]:
    return sorted(store._store_dict)


def test_shard_of_the_whole_array_is_one_object() -> None:
    store = MemoryStore()
    one_object_per_array(store, np.random.default_rng(1).normal(size=(N_GAITS, N_SAMPLES)).astype(np.float32))
    assert keys(store) == ["a/c/0/0", "a/zarr.json", "zarr.json"]


def test_all_zero_array_is_written_too() -> None:
    """A missing object then always means damage, never an empty chunk."""
    store = MemoryStore()
    one_object_per_array(store, np.zeros((N_GAITS, N_SAMPLES), np.float32))
    assert "a/c/0/0" in keys(store)


def test_one_gait_is_read_without_the_others() -> None:
    """Reading gait i fetches ranges of the object, not the object."""
    rng = np.random.default_rng(2)
    data = rng.integers(0, 2**62, size=(N_GAITS, 4000))  # does not compress: ranges can be told from the whole
    store = MemoryStore()
    one_object_per_array(store, data)
    whole = len(store._store_dict["a/c/0/0"])
    fetched = []

    class Counting(MemoryStore):
        async def get(self, key: str, prototype: Any = None, byte_range: Any = None) -> Any:
            found = await super().get(key, prototype or default_buffer_prototype(), byte_range)
            if found is not None and key.endswith("c/0/0"):
                fetched.append(len(found))
            return found

    array = zarr.open_group(Counting(store._store_dict), mode="r")["a"]
    assert isinstance(array, zarr.Array)
    np.testing.assert_array_equal(array[2], data[2])
    assert 0 < sum(fetched) < 0.5 * whole


def test_dimension_names_and_attributes_stand_in_the_metadata() -> None:
    store = MemoryStore()
    array = one_object_per_array(store, np.zeros((N_GAITS, N_SAMPLES), np.float32))
    array.attrs["unit"] = "m"
    again = zarr.open_group(store, mode="r")["a"]
    assert isinstance(again, zarr.Array)
    assert again.metadata.dimension_names == ("gait", "time")  # type: ignore[union-attr]
    assert again.attrs["unit"] == "m"


def test_damaged_chunk_is_noticed() -> None:
    """The shard's index carries a checksum: a truncated object raises and does not read as zeros."""
    store = MemoryStore()
    one_object_per_array(store, np.ones((N_GAITS, N_SAMPLES), np.float32))
    buffer = store._store_dict["a/c/0/0"]
    store._store_dict["a/c/0/0"] = buffer[: len(buffer) - 7]
    array = zarr.open_group(store, mode="r")["a"]
    with pytest.raises(Exception, match=r"(?i)checksum|crc"):
        np.asarray(array[0])  # type: ignore[index]
