"""A part of one shard, as a shard of another dataset: some arrays of some gaits.

Where all gaits are taken, arrays are copied byte by byte. Where some are, their
chunks alone are read, unpacked, and written anew, padded to the longest of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import zarr

from farm.dataset.fetch import arrays_of, memory_store
from farm.dataset.group import finish_group
from farm.dataset.guard import MEND
from farm.dataset.laws import faults_of_gait
from farm.dataset.manifest import DatasetManifest, ShardRecord
from farm.dataset.pack import PackedGait, PackedPicture, Value
from farm.dataset.ranges import ShardReader
from farm.dataset.schema import LENGTH_AXES, VIDEO_BLOCK_BYTES, ArrayPath
from farm.dataset.writer import EncodedShard, encode_gaits
from farm.dataset.zarr_store import decoded
from farm.errors import FormatError

ARRAYS_AT_ONCE = 8
"""Arrays of one shard that are asked for at the same time: each takes two turns, its index and then its chunks."""

_OWN_ATTRIBUTES = ("unit", "axes", "description", "psnr_db")
"""What the writer says of an array itself; everything else of its attributes is taken along."""


def part_of_shard(
    reader: ShardReader | None,
    record: ShardRecord,
    positions: Sequence[int],
    paths: Sequence[ArrayPath],
    manifest: DatasetManifest,
    *,
    with_rejected: bool,
) -> EncodedShard:
    """Some gaits of a shard, as the shard of the same number of another dataset.

    Args:
        reader: Of the shard; None where no gait was accepted.
        positions: Of the gaits to take, ascending.
        manifest: Of the other dataset.
        with_rejected: Whether the samples that were turned down are taken along.

    Raises:
        FormatError: The shard is damaged.
    """
    rejected = record.rejected if with_rejected else ()
    rows = tuple(record.index[position] for position in positions)
    objects: Mapping[str, bytes] = {}
    if rows and reader is not None:
        if len(positions) == record.n_accepted:
            objects = _copied(reader, paths, manifest)
        else:
            gaits = _unpacked(reader, record, positions, paths)
            objects = encode_gaits(paths, gaits, manifest.dataset_id, record.shard_id)
    ids = sorted([*(int(row["sample_id"]) for row in rows), *(gait.sample_id for gait in rejected)])  # type: ignore[arg-type]
    return EncodedShard(record.shard_id, tuple(ids), objects, rows, rejected)


def views_of(paths: Iterable[ArrayPath]) -> tuple[str, ...]:
    """The views that these arrays belong to, in their order."""
    return tuple(dict.fromkeys(item.view for item in paths if item.view is not None))


def blocks_of(begin: int, end: int) -> range:
    """The blocks of a video array that hold these bytes."""
    return range(begin // VIDEO_BLOCK_BYTES, -(-end // VIDEO_BLOCK_BYTES))


def _copied(reader: ShardReader, paths: Sequence[ArrayPath], manifest: DatasetManifest) -> dict[str, bytes]:
    """A shard's chosen arrays as they are, under a group that says whose they are now."""
    store = memory_store(_fetched(reader, {item.path: None for item in paths}))
    attributes = dict(reader.attributes)
    attributes |= {"dataset_id": manifest.dataset_id, "views": list(manifest.views)}
    group = zarr.create_group(store, zarr_format=3, attributes=attributes)
    for view in manifest.views:
        group.require_group(f"views/{view}")
    return finish_group(store)


def _fetched(reader: ShardReader, wanted: Mapping[str, Sequence[int] | None]) -> dict[str, bytes]:
    """Both objects of each array, with the chunks that are wanted of it (None: all)."""
    with ThreadPoolExecutor(ARRAYS_AT_ONCE) as pool:
        found = pool.map(lambda path: reader.array(path, wanted[path]), wanted)
        return {key: data for objects in found for key, data in objects.items()}


def _unpacked(
    reader: ShardReader, record: ShardRecord, positions: Sequence[int], paths: Sequence[ArrayPath]
) -> list[PackedGait]:
    """Some gaits of a shard, as they were before they were written."""
    arrays, offsets = _opened(reader, positions, paths)
    # Of small arrays everything between the first and the last gait at once: what was not read is padding there.
    first, last = positions[0], positions[-1] + 1
    runs = {
        item.path: decoded(arrays[item.path], slice(first, last), f"{record.group}/{item.path}")
        for item in paths
        if item.spec.dims[0] == "gait" and not item.spec.is_picture
    }
    attributes = {
        key: value
        for key, value in reader.attributes.items()
        if key not in ("format_version", "dataset_id", "shard_id")
    }
    attributes["views"] = list(views_of(paths))
    array_attributes = {
        path: {key: value for key, value in dict(array.attrs).items() if key not in _OWN_ATTRIBUTES}
        for path, array in arrays.items()
    }
    gaits = []
    for position in positions:
        here = {path: run[position - first] for path, run in runs.items()}
        values = _values(position, paths, arrays, here, offsets)
        faults = faults_of_gait(values, attributes)
        if faults:
            raise FormatError(f"{record.group}: gait {position}: {faults[0]}; run `gaitfarm verify`")
        row, sample_id = record.index[position], int(here["sample_id"])
        if sample_id != row["sample_id"]:
            raise FormatError(
                f"{record.group}: gait {position} is sample {sample_id}, its index row says "
                f"{row['sample_id']}; run `gaitfarm verify`"
            )
        psnr_db = {
            item.path: _psnr_db(arrays[item.path], position, record) for item in paths if item.spec.field == "video"
        }
        gaits.append(PackedGait(sample_id, row, values, attributes, array_attributes, psnr_db))
    return gaits


def _psnr_db(video: Any, position: int, record: ShardRecord) -> float | None:
    """How true a gait's video is to what was rendered, by the array's own word."""
    said = video.attrs.get("psnr_db")
    if not isinstance(said, list) or len(said) != record.n_accepted:
        raise FormatError(f"{record.group}/{video.path}: attribute psnr_db is not one number a gait; {MEND}")
    value = said[position]
    return float(value) if isinstance(value, int | float) else None


def _opened(
    reader: ShardReader, positions: Sequence[int], paths: Sequence[ArrayPath]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The arrays, in memory as far as they are needed, and the offsets of the videos."""
    wanted: dict[str, Sequence[int] | None] = {
        item.path: list(positions) if item.spec.dims[0] == "gait" else None
        for item in paths
        if item.spec.field != "video"
    }
    videos = [item.path for item in paths if item.spec.field == "video"]
    lengths = {item.spec.length for item in paths if item.spec.length}
    needed = [*sorted(lengths), *(f"{path}_offsets" for path in videos), "sample_id"]
    lacking = next((path for path in needed if path not in wanted), None)
    if lacking is not None:
        raise FormatError(f"the dataset does not name its array {lacking}, without which others cannot be read; {MEND}")
    arrays = arrays_of(_fetched(reader, wanted), wanted)
    offsets = {path: decoded(arrays[f"{path}_offsets"], ..., f"{path}_offsets") for path in videos}
    for path, bounds in offsets.items():
        if bounds[0] != 0 or np.any(bounds[1:] < bounds[:-1]):
            raise FormatError(f"{path}_offsets are not ascending from 0 on; {MEND}")
        if -(-int(bounds[-1]) // VIDEO_BLOCK_BYTES) != reader.chunks_of(path):
            raise FormatError(f"{path} has not the size that its offsets say; {MEND}")
    blocks = {
        path: sorted({block for at in positions for block in blocks_of(int(bounds[at]), int(bounds[at + 1]))})
        for path, bounds in offsets.items()
    }
    return arrays | arrays_of(_fetched(reader, blocks), videos), offsets


def _values(
    position: int,
    paths: Sequence[ArrayPath],
    arrays: Mapping[str, Any],
    here: Mapping[str, Any],
    offsets: Mapping[str, Any],
) -> dict[str, Value]:
    """One gait's values without padding.

    Args:
        here: The gait's values of the arrays that are no pictures, with padding.
    """
    lengths = {name: int(here[name]) for name in LENGTH_AXES.values() if name in here}
    values: dict[str, Value] = {}
    for item in paths:
        spec = item.spec
        if spec.field == "video_offsets":
            continue
        if spec.field == "video":
            begin, end = (int(value) for value in offsets[item.path][position : position + 2])
            if not 0 <= begin <= end <= arrays[item.path].shape[0]:
                raise FormatError(f"{item.path}_offsets leads from {begin} to {end}; run `gaitfarm verify`")
            values[item.path] = decoded(arrays[item.path], slice(begin, end), item.path).tobytes()
            continue
        value = here[item.path] if item.path in here else decoded(arrays[item.path], position, item.path)
        value = np.asarray(value[: lengths[spec.length]] if spec.length else value)
        values[item.path] = PackedPicture.of(value) if spec.is_picture else value
    return values
