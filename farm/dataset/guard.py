"""What a shard's metadata may say, checked before zarr or any codec acts on it.

zarr believes what it reads: it loads codecs and types by name from whatever
packages are installed, reserves the shape that is declared, and a codec reserves
what the first bytes of a chunk declare. Here a group is taken only if every array
is what the format says (name, type, axes, one sharded object, zstd or blosc), of
sizes that its commit bears out; and a chunk only if it unpacks to exactly the
size of a chunk. What is refused is a `FormatError`; memory stays within a small
multiple of what the shard's record says it stores.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from farm.dataset import strict_json
from farm.dataset.chunks import MAX_SPREAD, chunk_fault, index_bytes, read_spans
from farm.dataset.laws import axis_sizes
from farm.dataset.manifest import MAX_COLUMNS, MAX_TEXT, ShardRecord
from farm.dataset.schema import LENGTH_AXES, SIZES, find
from farm.errors import FormatError

MAX_METADATA_BYTES = 16 << 20
"""The consolidated metadata of 4096 gaits, most of which is the PSNR of their videos, takes about 1 MB."""

MAX_LENGTH = 120 * 100 + 1
"""Valid samples, pictures or events of one gait: the longest campaign's 120 s, at its highest rate of 100 Hz."""

MAX_NAMES = 1024
"""Bodies, coordinates, muscles, sensors, keypoints, parts."""

MAX_PIXELS = 8192
"""Width or height; campaigns may ask for 2048."""

MAX_CHUNK_BYTES = 2**31 - 1
"""One gait's pictures of one view, unpacked: what zstd and blosc take in one piece."""

MAX_SERIES_BYTES = 256 << 20
"""One gait's values of an array that is no picture: 120 s of 400 bodies."""

MAX_VIDEO_RATIO = 64
"""A video is compressed already; its index of pictures packs well, nothing else does."""

MEND = "it is damaged or hostile; run `gaitfarm verify`"

_PLAIN_TYPES = frozenset({"bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64",
                          "float16", "float32", "float64", "complex64", "complex128"})  # fmt: skip
"""Zarr v3's core data types. Arrays that a later writer adds may have any of them; extensions load code by name."""

Packing = Literal["zstd", "blosc", "none"]
Seal = Literal["crc32c", "zstd", "none"]
_PACKINGS: Mapping[tuple[str, ...], Packing] = {
    ("bytes",): "none",
    ("bytes", "zstd"): "zstd",
    ("bytes", "blosc"): "blosc",
}

Name = Annotated[str, Field(max_length=MAX_TEXT)]
Names = Annotated[list[Name], Field(max_length=MAX_NAMES)]
Pixels = Annotated[int, Field(ge=1, le=MAX_PIXELS)]
Rate = Annotated[float, Field(gt=0, le=1e6)]


class _Attributes(BaseModel):
    """Attributes are read by key; what we read has the type that we expect."""

    model_config = ConfigDict(extra="ignore", strict=True, allow_inf_nan=False)


class GroupAttributes(_Attributes):
    """What the readers take from a group's attributes."""

    format_version: int
    dataset_id: Name
    shard_id: Name
    sample_rate_hz: Rate
    frame_rate_hz: Rate
    image_size: Annotated[list[Pixels], Field(min_length=2, max_length=2)]
    views: Names
    keypoints: Names
    bodies: Names
    coordinates: Names
    muscles: Names
    imus: Names
    engine: Name = "opensim"


class ColumnAttributes(_Attributes):
    name: Name
    unit: Name
    description: Name


class ArrayAttributes(_Attributes):
    unit: Name | None = None
    columns: Annotated[list[ColumnAttributes], Field(max_length=MAX_COLUMNS)] = []
    parts: Names = []


@dataclass(frozen=True)
class Layout:
    """Where an array's bytes are, and what they unpack to.

    Attributes:
        chunk_key: Of its one object, relative to the array: "c/0/0".
        chunks: How many chunks the object holds.
        chunk_bytes: One of them, unpacked.
        compressor: "zstd", "blosc" or "none".
        seal: By what a chunk that is read alone proves to be whole: a "crc32c" behind it, the "zstd" frame's own
            checksum, or "none", where only the object's SHA-256 does (blosc in shards of before there was crc32c).
    """

    path: str
    shape: tuple[int, ...]
    dtype: str
    chunk_key: str
    chunks: int
    chunk_bytes: int
    compressor: Packing
    seal: Seal

    @property
    def index_bytes(self) -> int:
        """Bytes of the index at the object's end."""
        return index_bytes(self.chunks)

    @property
    def nbytes(self) -> int:
        """The whole array, unpacked."""
        return math.prod(self.shape) * np.dtype(self.dtype).itemsize

    def check_size(self, stored_bytes: int) -> None:
        """Refuse an object whose size cannot be this array's.

        Raises:
            FormatError: It is too small for its index, or larger than its chunks can be.
        """
        largest = self.index_bytes + self.chunks * (self.chunk_bytes + self.chunk_bytes // 64 + MAX_SPREAD)
        if not self.index_bytes < stored_bytes <= largest:
            raise FormatError(
                f"{self.path} declares {self.chunks} chunks of {self.chunk_bytes} bytes, its object has "
                f"{stored_bytes} bytes; {MEND}"
            )
        if self.path.endswith("/video") and self.nbytes > MAX_VIDEO_RATIO * stored_bytes + (1 << 20):
            raise FormatError(f"{self.path} declares {self.nbytes} bytes of video in {stored_bytes} bytes; {MEND}")

    def spans(self, index: bytes, stored_bytes: int) -> NDArray[np.int64]:
        """Begin and end of each chunk in the object: `[chunks, 2]`.

        Raises:
            FormatError: The index is damaged, leaves a chunk out, or leads outside the object or into itself.
        """
        try:
            return read_spans(index, self.chunks, stored_bytes)
        except ValueError as error:
            raise FormatError(f"{self.path}: its index of chunks {error}; {MEND}") from None

    def check_chunks(self, data: bytes | memoryview, at: int, spans: NDArray[np.int64]) -> None:
        """Check each chunk that begins within `data`, before a codec unpacks it.

        Args:
            data: A part of the object.
            at: Where in the object it begins.

        Raises:
            FormatError: One of them would not unpack to `chunk_bytes`.
        """
        view = memoryview(data)
        inside = np.flatnonzero((spans[:, 0] >= at) & (spans[:, 0] < at + len(view)))
        for number in inside:
            begin, end = (int(place) - at for place in spans[number])
            sealed = self.seal == "crc32c"
            fault = chunk_fault(view[begin:end], end - begin, self.compressor, self.chunk_bytes, crc32c=sealed)
            if fault:
                raise FormatError(f"{self.path}: chunk {number} {fault}; {MEND}")

    def check_object(self, data: bytes) -> None:
        """Check a whole object: its size, its index, every chunk."""
        self.check_size(len(data))
        spans = self.spans(data[len(data) - self.index_bytes :], len(data))
        self.check_chunks(data, 0, spans)


def read_metadata(data: bytes, where: str) -> dict[str, Any]:
    """A `zarr.json`, as a mapping.

    Raises:
        FormatError: It is too large, no JSON, or no mapping.
    """
    if len(data) > MAX_METADATA_BYTES:
        raise FormatError(f"{where} is larger than {MAX_METADATA_BYTES} bytes; {MEND}")
    try:
        value = strict_json.parse(data)
    except ValueError as error:
        raise FormatError(f"{where} {error}; {MEND}") from None
    if not isinstance(value, dict):
        raise FormatError(f"{where} is no mapping; {MEND}")
    return value


def check_root(metadata: Mapping[str, Any], record: ShardRecord) -> dict[str, Layout] | None:
    """Check a group's own metadata, and the arrays' where it is consolidated.

    Returns:
        The layout of every array by path, or None where the metadata is not consolidated.

    Raises:
        FormatError: The first fault.
    """
    check_node(metadata, "zarr.json", "group")
    _attributes(GroupAttributes, metadata, "zarr.json")
    consolidated = metadata.get("consolidated_metadata")
    if consolidated is None:
        return None
    members = consolidated.get("metadata") if isinstance(consolidated, dict) else None
    if not isinstance(members, dict) or consolidated.get("kind") != "inline":
        raise FormatError(f"zarr.json: its consolidated metadata is of an unknown kind; {MEND}")
    layouts: dict[str, Layout] = {}
    for path, member in members.items():
        if not isinstance(member, dict):
            raise FormatError(f"zarr.json: {path[:80]!r} is no mapping; {MEND}")
        if member.get("node_type") == "group":
            check_inner_group(member, path)
        else:
            layouts[path] = layout_of(member, path, record)
    _check_named_axes(metadata["attributes"], layouts.values())
    return layouts


def _check_named_axes(attributes: Mapping[str, Any], layouts: Iterable[Layout]) -> None:
    """An axis whose entries the group names is as long as the names are many; pictures are as large as it says."""
    sizes = axis_sizes(attributes)
    for layout in layouts:
        item = find(layout.path)
        for dim, size in zip(item.spec.dims if item is not None else (), layout.shape, strict=False):
            if size != sizes.get(dim, size):
                raise FormatError(f"{layout.path}: has {size} along {dim!r}, its group tells of {sizes[dim]}; {MEND}")


def check_inner_group(metadata: Mapping[str, Any], path: str) -> None:
    """A group within the group is a folder of arrays and says nothing of its own."""
    check_node(metadata, path, "group")
    nested = metadata.get("consolidated_metadata")
    if nested is not None and not (isinstance(nested, dict) and nested.get("metadata") == {}):
        raise FormatError(f"{path}: a group inside a shard consolidates metadata of its own; {MEND}")


def check_node(metadata: Mapping[str, Any], path: str, kind: str) -> None:
    """Zarr v3, and of the right kind."""
    if metadata.get("zarr_format") != 3 or metadata.get("node_type") != kind:
        raise FormatError(
            f"{path[:80]} is no Zarr v3 {kind}: zarr_format {_shown(metadata.get('zarr_format'))}, "
            f"node_type {_shown(metadata.get('node_type'))}; {MEND}"
        )


def layout_of(metadata: Mapping[str, Any], path: str, record: ShardRecord) -> Layout:
    """Check one array's metadata.

    Raises:
        FormatError: Another type, other axes or other sizes than the format and the shard's record give it, a codec
            or extension that is not the format's, or more than fits in memory.
    """
    check_node(metadata, path, "array")
    _attributes(ArrayAttributes, metadata, path)
    if metadata.get("storage_transformers") or not _is_default_keys(metadata.get("chunk_key_encoding")):
        raise FormatError(f"{path}: its objects are not named as the format names them; {MEND}")
    dtype = metadata.get("data_type")
    item = find(path)
    allowed = {item.spec.dtype} if item is not None else _PLAIN_TYPES
    if not isinstance(dtype, str) or dtype not in allowed:
        raise FormatError(f"{path}: has the type {_shown(dtype)}, must be {' or '.join(sorted(allowed))}; {MEND}")
    _check_fill(metadata.get("fill_value"), np.dtype(dtype), path)
    shape = _whole_numbers(metadata.get("shape"), path, "shape")
    dims = metadata.get("dimension_names")
    if item is not None and (not isinstance(dims, list) or tuple(dims) != item.spec.dims):
        raise FormatError(f"{path}: has the dimensions {_shown(dims)}, must have {', '.join(item.spec.dims)}; {MEND}")
    if item is not None:
        if len(shape) != len(item.spec.dims):
            raise FormatError(f"{path}: has {len(shape)} dimensions, must have {len(item.spec.dims)}; {MEND}")
        _check_shape(path, item.spec.dims, shape, record)
        named = metadata.get("attributes", {}).get("columns", [])
        if item.spec.unit == "columns" and len(named) != shape[-1]:
            raise FormatError(f"{path}: has {shape[-1]} columns and names {len(named)}; {MEND}")
    outer = _grid(metadata.get("chunk_grid"), path)
    inner, compressor, seal = _sharding(metadata.get("codecs"), path, len(shape))
    one_object = len(outer) == len(inner) == len(shape) and all(
        0 <= whole - size < chunk and whole % chunk == 0 for whole, size, chunk in zip(outer, shape, inner, strict=True)
    )
    if not one_object:
        raise FormatError(
            f"{path}: has chunks {_shown(inner)} in shards {_shown(outer)}, must have its whole shape "
            f"{_shown(shape)} in one shard; {MEND}"
        )
    if item is not None and item.spec.chunk == "gait" and inner != [1, *shape[1:]]:
        raise FormatError(f"{path}: has chunks {_shown(inner)}, must have one for each gait; {MEND}")
    chunk_bytes = math.prod(inner) * np.dtype(dtype).itemsize
    limit = MAX_CHUNK_BYTES if item is None or item.spec.is_picture else MAX_SERIES_BYTES
    if chunk_bytes > limit:
        raise FormatError(f"{path}: declares {chunk_bytes} bytes for one gait, {limit} is the most; {MEND}")
    chunks = math.prod(whole // chunk for whole, chunk in zip(outer, inner, strict=True))
    key = "/".join(["c", *("0" for _ in shape)])
    layout = Layout(path, tuple(shape), dtype, key, chunks, chunk_bytes, compressor, seal)
    _check_stored(layout, record)
    return layout


def _check_stored(layout: Layout, record: ShardRecord) -> None:
    """The record's size of the array's object fits what the metadata declares."""
    name = f"{record.group}/{layout.path}/{layout.chunk_key}"
    stored = next((item.bytes for item in record.objects if item.path == name), None)
    if stored is None:
        raise FormatError(f"{layout.path}: its record names no object for it; {MEND}")
    layout.check_size(stored)


def _check_fill(fill: Any, dtype: np.dtype[Any], path: str) -> None:
    """What stands for missing chunks is a number of the array's type; zarr would turn others into one, or fail."""
    if dtype.kind == "f":
        fits = fill in ("NaN", "Infinity", "-Infinity") or (
            type(fill) in (int, float) and abs(fill) <= float(np.finfo(dtype).max)
        )
    elif dtype.kind == "b":
        fits = isinstance(fill, bool)
    else:
        fits = type(fill) is int and np.iinfo(dtype).min <= fill <= np.iinfo(dtype).max
    if not fits:
        raise FormatError(f"{path}: its fill_value {_shown(fill)} is no {dtype.name}; {MEND}")


def _check_shape(path: str, dims: Iterable[str], shape: Iterable[int], record: ShardRecord) -> None:
    known = {"gait": record.n_accepted, "offset": record.n_accepted + 1, **SIZES}
    limits = {"row": MAX_PIXELS, "column": MAX_PIXELS, "byte": record.bytes * MAX_VIDEO_RATIO + (1 << 20)}
    limits |= dict.fromkeys(LENGTH_AXES, MAX_LENGTH) | dict.fromkeys(("parameter", "label"), MAX_COLUMNS)
    for dim, size in zip(dims, shape, strict=True):
        if size != known.get(dim, size):
            raise FormatError(f"{path}: has {size} along {dim!r}, must have {known[dim]}; {MEND}")
        if size > limits.get(dim, MAX_NAMES) and dim not in known:
            raise FormatError(f"{path}: has {size} along {dim!r}, {limits.get(dim, MAX_NAMES)} is the most; {MEND}")


def _grid(grid: Any, path: str) -> list[int]:
    if not isinstance(grid, dict) or grid.get("name") != "regular" or not isinstance(grid.get("configuration"), dict):
        raise FormatError(f"{path}: its chunk grid is not a regular one; {MEND}")
    return _whole_numbers(grid["configuration"].get("chunk_shape"), path, "chunk_shape")


def _sharding(codecs: Any, path: str, ndim: int) -> tuple[list[int], Packing, Seal]:
    """Shape of the chunks inside the object, what they are packed with, and what proves one of them whole."""
    outer = _codecs(codecs, path)
    if _names(outer) != ["sharding_indexed"]:
        raise FormatError(f"{path}: has the codecs {_shown(_names(outer))}, must have sharding_indexed alone; {MEND}")
    settings = outer[0].get("configuration")
    if not isinstance(settings, dict) or settings.get("index_location", "end") != "end":
        raise FormatError(f"{path}: its chunks' index must be at the end of the object; {MEND}")
    index = _codecs(settings.get("index_codecs"), path)
    if _names(index) != ["bytes", "crc32c"] or _is_big(index[0]):
        raise FormatError(f"{path}: its chunks' index must have the codecs bytes (little endian), crc32c; {MEND}")
    inner = _codecs(settings.get("codecs"), path)
    if _names(inner[:1]) == ["transpose"]:
        order = inner[0].get("configuration")
        if not isinstance(order, dict) or _sorted(order.get("order")) != list(range(ndim)):
            raise FormatError(f"{path}: its transpose is not an order of {ndim} axes; {MEND}")
        inner = inner[1:]
    sealed = _names(inner[-1:]) == ["crc32c"]
    inner = inner[:-1] if sealed else inner
    packing = _PACKINGS.get(tuple(_names(inner)))
    if packing is None or _is_big(inner[0]):
        raise FormatError(
            f"{path}: its chunks have the codecs {_shown(_names(inner))}; the format knows transpose, "
            f"bytes (little endian), zstd and blosc, crc32c; {MEND}"
        )
    seal: Seal = "crc32c" if sealed else "zstd" if packing == "zstd" and _has_checksum(inner[1]) else "none"
    return _whole_numbers(settings.get("chunk_shape"), path, "chunk_shape of the shard"), packing, seal


def _codecs(codecs: Any, path: str) -> list[dict[str, Any]]:
    if not isinstance(codecs, list) or len(codecs) > 8:
        raise FormatError(f"{path}: its codecs are no list; {MEND}")
    for codec in codecs:
        if not isinstance(codec, dict) or not isinstance(codec.get("name"), str):
            raise FormatError(f"{path}: {_shown(codec)} is no codec; {MEND}")
    return codecs


def _names(codecs: list[dict[str, Any]]) -> list[str]:
    return [codec["name"] for codec in codecs]


def _is_big(codec: Mapping[str, Any]) -> bool:
    """Whether a `bytes` codec is set to anything but little endian; single bytes need no setting."""
    settings = codec.get("configuration", {})
    return not isinstance(settings, dict) or settings.get("endian", "little") not in ("little", None)


def _has_checksum(codec: Mapping[str, Any]) -> bool:
    settings = codec.get("configuration")
    return isinstance(settings, dict) and settings.get("checksum") is True


def _is_default_keys(encoding: Any) -> bool:
    if not isinstance(encoding, dict) or encoding.get("name") != "default":
        return False
    settings = encoding.get("configuration", {})
    return isinstance(settings, dict) and settings.get("separator", "/") == "/"


def _sorted(order: Any) -> list[int] | None:
    whole = isinstance(order, list) and all(type(axis) is int for axis in order)
    return sorted(order) if whole else None


def _whole_numbers(value: Any, path: str, what: str) -> list[int]:
    """A shape: one to eight positive whole numbers."""
    good = isinstance(value, list) and 1 <= len(value) <= 8
    if not good or not all(type(size) is int and 1 <= size < 2**48 for size in value):
        raise FormatError(f"{path}: its {what} is {_shown(value)}, must be positive whole numbers; {MEND}")
    return list(value)


def _attributes(model: type[BaseModel], metadata: Mapping[str, Any], path: str) -> None:
    try:
        model.model_validate(metadata.get("attributes", {}))
    except ValidationError as error:
        fault = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in ("attributes", *fault["loc"][:3]))
        raise FormatError(f"{path}: {place}: {fault['msg']}; {MEND}") from None


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
