"""One committed shard under the magnifying glass, for `farm.dataset.verify`."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray

from farm.dataset import video
from farm.dataset.fetch import fault_of
from farm.dataset.laws import axis_sizes, faults_of_gait
from farm.dataset.manifest import DatasetManifest, ShardRecord, StoredBytes
from farm.dataset.schema import FORMAT_VERSION, LENGTH_AXES, VIDEO_BLOCK_BYTES, ArrayPath, find
from farm.dataset.writer import renderers_of
from farm.dataset.zarr_store import ShardStore, decoded
from farm.errors import FormatError, ObjectNotFoundError, StorageError
from farm.storage import Storage

Found = tuple[str, str]
"""Where, and what."""

KEPT_BYTES = 1 << 30
"""Objects of one shard that are kept in memory between hashing and decoding; larger ones are read a second time."""

WINDOW_BYTES = 64 << 20
"""What is read at once of an object that is not kept."""

WHOLE_BYTES = 256 << 20
"""Arrays that are decoded in one go; larger ones gait by gait."""


@dataclass(frozen=True)
class ShardFindings:
    """What is wrong with one shard.

    Attributes:
        faults: Of the shard itself: it is damaged.
        doubts: Faults that making it again would not mend: storage that could not be read, objects that somebody
            laid beside its own.
        named: Keys of every object that its record names, and of such strangers.
    """

    faults: tuple[Found, ...]
    doubts: tuple[Found, ...]
    named: frozenset[str]


def inspect_shard(
    storage: Storage,
    manifest: DatasetManifest,
    record: ShardRecord,
    stored: Mapping[str, int],
    *,
    thorough: bool,
) -> ShardFindings:
    """Every fault of one shard.

    Args:
        stored: Size of every object under the shard's folder, by key.
        thorough: Read every object, and decode it; False reads none.
    """
    faults: list[Found] = []
    doubts: list[Found] = []
    kept = _Kept(storage)
    for item in record.objects:
        if item.path not in stored:
            faults.append((item.path, "is missing"))
        elif stored[item.path] != item.bytes:
            faults.append(
                (item.path, f"has {stored[item.path]} bytes, its record says {item.bytes}: cut off or replaced")
            )
        elif thorough:
            try:
                fault = kept.take(item)
            except StorageError as error:
                doubts.append((item.path, str(error)))
                continue
            if fault:
                faults.append((item.path, fault))
    named = frozenset(item.path for item in record.objects)
    strays = sorted(key for key in stored if record.group and key.startswith(f"{record.group}/") and key not in named)
    doubts += [(key, "lies in a committed group, and its record does not name it; remove it") for key in strays]
    if (
        thorough and record.group is not None and not faults and not doubts
    ):  # what is broken outside needs no look inside
        faults += [(f"{record.group}{path}", what) for path, what in _inside(manifest, record, kept)]
    return ShardFindings(tuple(faults), tuple(doubts), named | frozenset(strays))


class _Kept:
    """A shard's objects: in memory once they were hashed, as far as they fit."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._objects: dict[str, bytes] = {}
        self._bytes = 0

    @property
    def uri(self) -> str:
        return self._storage.uri

    def get_range(self, key: str, start: int, length: int) -> bytes:
        if key in self._objects:
            return self._objects[key][start : start + length]
        return self._storage.get_range(key, start, length)

    def take(self, item: StoredBytes) -> str | None:
        """Read an object and keep it if there is room. Returns what is wrong with it, or None. Raises StorageError."""
        try:
            if self._bytes + item.bytes > KEPT_BYTES:
                return self._hashed(item)
            data = self._storage.get_range(item.path, 0, item.bytes + 1)  # one more, which must not be there
        except ObjectNotFoundError:
            return "is missing"
        fault = fault_of(item, data)
        if fault is None:
            self._objects[item.path] = data
            self._bytes += len(data)
        return fault

    def _hashed(self, item: StoredBytes) -> str | None:
        digest = hashlib.sha256()
        for start in range(0, item.bytes, WINDOW_BYTES):
            data = self._storage.get_range(item.path, start, min(WINDOW_BYTES, item.bytes - start))
            digest.update(data)
        if digest.hexdigest() != item.sha256:
            return "has other bytes than its record says (SHA-256): tampered with or damaged"
        return None


def _inside(manifest: DatasetManifest, record: ShardRecord, kept: _Kept) -> Iterator[Found]:
    store = ShardStore(kept, record)
    try:
        group = zarr.open_group(store, mode="r", zarr_format=3)
        store.check_members()
        attributes = dict(group.attrs)
        present = {path: member for path, member in group.members(max_depth=None) if isinstance(member, zarr.Array)}
    except Exception as error:  # zarr lets many kinds out of damaged metadata
        words = str(error).removeprefix(str(store)) if isinstance(error, FormatError) else _words(error)
        yield "/zarr.json", f"is no Zarr group of ours ({words})"
        return
    identity = {"format_version": FORMAT_VERSION, "dataset_id": manifest.dataset_id, "shard_id": record.shard_id}
    identity |= {"views": list(manifest.views), "keypoints": list(manifest.keypoints)}
    for name, value in identity.items():
        if attributes.get(name) != value:
            yield "/zarr.json", f"attribute {name} is {attributes.get(name)!r}, must be {value!r}"
    told = renderers_of(record.index)
    if attributes.get("renderers", []) != told:
        yield "/zarr.json", f"attribute renderers is {attributes.get('renderers')!r}, the index rows say {told!r}"
    for path in sorted(set(manifest.arrays) ^ set(present)):
        yield f"/{path}", "is missing" if path not in present else "is not among the dataset's arrays"
    sizes = _sizes(record, attributes)
    sound = True
    for path in manifest.known_arrays:
        item = find(path)
        if item is not None and path in present:
            for what in _layout(item, present[path], sizes):
                sound = False
                yield f"/{path}", what
    if sound and not set(manifest.known_arrays) - set(present):
        yield from _contents(record, {path: present[path] for path in manifest.known_arrays}, attributes)


def _sizes(record: ShardRecord, attributes: Mapping[str, Any]) -> dict[str, int]:
    """Axis lengths that this shard's arrays must have; time is as long as its longest gait."""
    sizes = axis_sizes(attributes) | {"gait": record.n_accepted, "offset": record.n_accepted + 1}
    for axis, name in LENGTH_AXES.items():
        lengths = [row[name] for row in record.index if isinstance(row.get(name), int)]
        if len(lengths) == record.n_accepted:
            sizes[axis] = max(1, *(int(length) for length in lengths))  # type: ignore[arg-type]
    return sizes


def _layout(item: ArrayPath, array: Any, sizes: Mapping[str, int]) -> Iterator[str]:
    """Faults of an array's metadata against the schema."""
    spec = item.spec
    if array.dtype != np.dtype(spec.dtype):
        yield f"has the type {array.dtype}, must be {spec.dtype}"
    if tuple(array.metadata.dimension_names or ()) != spec.dims:
        yield f"has the dimensions {array.metadata.dimension_names}, must be {list(spec.dims)}"
        return
    for dim, size in zip(spec.dims, array.shape, strict=True):
        if size != sizes.get(dim, size):
            yield f"has {size} along {dim!r}, must have {sizes[dim]}"
    chunk = {"gait": (1, *array.shape[1:]), "whole": array.shape, "blocks": (VIDEO_BLOCK_BYTES,)}[spec.chunk]
    if array.chunks != chunk or array.shards is None:
        yield f"has chunks {array.chunks} in shards {array.shards}, must have {chunk} in one shard"
    if array.attrs.get("unit") != spec.unit:
        yield f"has the unit {array.attrs.get('unit')!r}, must be {spec.unit!r}"


def _contents(record: ShardRecord, arrays: Mapping[str, Any], attributes: Mapping[str, Any]) -> Iterator[Found]:
    """Decode everything, one gait's pictures at a time."""
    items = [item for path in arrays if (item := find(path)) is not None]
    whole: dict[str, NDArray[Any]] = {}
    for item in items:
        if not item.spec.is_picture and arrays[item.path].nbytes <= WHOLE_BYTES:
            try:
                whole[item.path] = decoded(arrays[item.path], ..., "the array")
            except FormatError as error:
                yield f"/{item.path}", str(error)
                return
    for position, row in enumerate(record.index):
        name = f"sample {row['sample_id']}"
        lengths = {field: int(whole[field][position]) for field in LENGTH_AXES.values() if field in whole}
        values: dict[str, Any] = {}
        for item in items:
            if item.spec.dims[0] == "gait":
                source = whole.get(item.path, arrays[item.path])
                value, what = _valid_part(item, source, position, lengths)
                if what:
                    yield f"/{item.path}", f"{name}: {what}"
                if value is not None:
                    values[item.path] = value
        for what in faults_of_gait(values, attributes):
            yield "", f"{name}: {what}"
        yield from _against_index(name, row, values, arrays)
        if row.get("engine") != attributes.get("engine"):
            yield (
                "/zarr.json",
                f"{name}: engine is {attributes.get('engine')!r}, its index row says {row.get('engine')!r}",
            )
        yield from _parts_are_named(name, values, arrays)
        for item in items:
            if item.spec.field == "video":
                source, offsets = whole.get(item.path, arrays[item.path]), whole.get(f"{item.path}_offsets")
                if offsets is None:
                    yield f"/{item.path}", "has no offsets among the dataset's arrays"
                    return
                yield from _plays(name, position, item.path, source, offsets, lengths, attributes)


def _valid_part(
    item: ArrayPath, source: Any, position: int, lengths: Mapping[str, int]
) -> tuple[NDArray[Any] | None, str]:
    """One gait of an array without its padding, and what is wrong with either."""
    try:
        value = decoded(source, position, "the array")
    except FormatError as error:
        return None, str(error)
    length = lengths.get(item.spec.length) if item.spec.length else None
    if length is None:
        return value, ""
    if not 0 <= length <= len(value):
        return None, f"{item.spec.length} is {length}, the array holds {len(value)}"
    rest = value[length:]
    return value[:length], "" if _is_padding(rest) else f"has values beyond its {length} valid ones"


def _parts_are_named(name: str, values: Mapping[str, NDArray[Any]], arrays: Mapping[str, Any]) -> Iterator[Found]:
    for path, value in values.items():
        if path.endswith("/mask") and value.size:
            parts = arrays[path].attrs.get("parts", [])
            if int(value.max()) >= len(parts):
                yield f"/{path}", f"{name}: has part ids beyond the {len(parts)} in `parts`"


def _is_padding(rest: NDArray[Any]) -> bool:
    return bool(np.all(np.isnan(rest)) if np.issubdtype(rest.dtype, np.floating) else not np.any(rest))


def _against_index(
    name: str, row: Mapping[str, Any], values: Mapping[str, NDArray[Any]], arrays: Mapping[str, Any]
) -> Iterator[Found]:
    """The index row says what the arrays say."""
    for path in ("sample_id", "n_samples", "n_frames"):
        if path in values and int(values[path]) != row.get(path):
            yield f"/{path}", f"{name}: is {int(values[path])}, its index row says {row.get(path)!r}"
    for path in ("parameters", "labels"):
        if path not in values:
            continue
        columns: Sequence[Any] = arrays[path].attrs.get("columns", [])
        if len(columns) != len(values[path]):
            yield f"/{path}", f"{name}: has {len(values[path])} numbers for {len(columns)} columns"
            continue
        for column, value in zip(columns, values[path], strict=True):
            cell = row.get(column["name"])
            if isinstance(cell, str | bool):
                yield f"/{path}", f"{name}: {column['name']} is {float(value)!r}, its index row says {cell!r}"
                continue
            with np.errstate(over="ignore"):
                expected = np.float32(np.nan if cell is None else cell)
            if not np.array_equal(value, expected, equal_nan=True):
                yield f"/{path}", f"{name}: {column['name']} is {float(value)!r}, its index row says {cell!r}"


def _plays(
    name: str,
    position: int,
    path: str,
    source: Any,
    offsets: NDArray[Any],
    lengths: Mapping[str, int],
    attributes: Mapping[str, Any],
) -> Iterator[Found]:
    """One gait's video has one picture for each instant, in the right size."""
    if offsets[0] != 0 or offsets[-1] != len(source) or np.any(offsets[1:] < offsets[:-1]):
        yield f"/{path}_offsets", f"do not run from 0 to {len(source)}, ascending"
        return
    begin, end = int(offsets[position]), int(offsets[position + 1])
    width, height = attributes["image_size"]
    expected = (lengths.get("n_frames", -1), height, width, 3)
    try:
        data = decoded(source, slice(begin, end), "the video").tobytes()
        # One picture more than there must be, so that one too many is told from many too many.
        pictures = video.decode(data, max_bytes=(max(0, expected[0]) + 1) * height * width * 3)
    except FormatError as error:
        yield f"/{path}", f"{name}: {error}"
        return
    if pictures.shape != expected:
        yield f"/{path}", f"{name}: decodes to {list(pictures.shape)}, must be {list(expected)}"


def _words(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())[:120]}"
