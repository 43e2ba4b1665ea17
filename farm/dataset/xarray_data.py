"""Gaits as labelled arrays of xarray: dimensions, names along them, seconds, units.

Padding stays what it is in the dataset, NaN in floats and 0 in integers: `n_samples`
and `n_frames` say how much of each gait is valid. Arrays of a view carry its name in
front: `side_keypoints_2d`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from farm.dataset.gaits import FRAMES, Gait, GaitBatch, collate
from farm.dataset.load import names_of
from farm.dataset.schema import ArrayPath, find
from farm.dataset.zarr_store import ShardStore
from farm.errors import FormatError

if TYPE_CHECKING:
    from farm.dataset.reader import GaitDataset

MAX_GAITS = 4096
"""More than this many at once is what `stream` is for."""

LabelledGaits = xr.Dataset
"""What is made here, for signatures in files that do not import xarray."""

Named = tuple[tuple[str, ...], Any]
"""An array's dimensions, and the array."""

TIME = "time"
"""What the format's axis `sample` is called here: seconds from the walk's beginning."""

COMPONENTS: Mapping[str, tuple[str, ...]] = {
    "xyz": ("x", "y", "z"),
    "uv": ("u", "v"),
    "pose": ("x", "y", "z", "qw", "qx", "qy", "qz"),
    "foot": ("right", "left"),
    "wrench": ("force_x", "force_y", "force_z", "point_x", "point_y", "point_z", "moment_x", "moment_y", "moment_z"),
    "corner": ("x0", "y0", "x1", "y1"),
    "channel": ("red", "green", "blue"),
}
"""Names along axes whose meaning the format fixes."""


def of_gait(dataset: GaitDataset, gait: Gait, shard_id: str) -> xr.Dataset:
    """One gait, without padding and without the gait axis."""
    arrays = {path: (_dims(path)[1:], value) for path, value in gait.arrays.items() if _dims(path)}
    return _labelled(dataset, shard_id, arrays, gait.attributes).assign_coords(sample_id=gait.sample_id)


def of_gaits(dataset: GaitDataset, gaits: Sequence[Gait], shard_id: str) -> xr.Dataset:
    """Several gaits, padded to the longest."""
    batch: GaitBatch = collate(gaits)
    arrays = {path: (_dims(path), value) for path, value in batch.arrays.items() if _dims(path)}
    made = _labelled(dataset, shard_id, arrays, batch.attributes)
    return made.assign_coords(sample_id=("gait", batch.sample_ids))


def of_shard(dataset: GaitDataset, shard_id: str, items: Iterable[ArrayPath]) -> xr.Dataset:
    """A whole shard, whose arrays are read when they are used; a slice along "gait" reads that gait alone."""
    store = dataset.store(shard_id)
    opened: dict[str, xr.Dataset] = {}
    arrays: dict[str, Named] = {}
    for item in items:
        group, _, name = item.path.rpartition("/")
        if group not in opened:
            opened[group] = _open(store, group)
        if name not in opened[group].variables:
            raise FormatError(f"{store}{item.path} is missing; run `gaitfarm verify`")
        arrays[item.path] = (item.spec.dims, opened[group].variables[name])
    made = _labelled(dataset, shard_id, arrays, dataset.attributes(shard_id))
    return made.set_coords("sample_id") if "sample_id" in made else made


def _open(store: ShardStore, group: str) -> xr.Dataset:
    """One level of a shard's group: nothing is read but metadata, and nothing is masked or scaled."""
    opened: xr.Dataset = xr.open_zarr(
        store, group=group or None, consolidated=not group, zarr_format=3, chunks=None, mask_and_scale=False,
        decode_times=False, decode_coords=False,
    )  # fmt: skip
    return opened


def _labelled(
    dataset: GaitDataset,
    shard_id: str,
    arrays: Mapping[str, tuple[tuple[str, ...], Any]],
    attributes: Mapping[str, Any],
) -> xr.Dataset:
    """Arrays with names, coordinates, units."""
    variables: dict[str, Any] = {}
    sizes: dict[str, int] = {}
    for path, (dims, value) in arrays.items():
        named = tuple(TIME if dim == "sample" else dim for dim in dims)
        data = value if not isinstance(value, xr.Variable) else value._data
        variables[_name(path)] = xr.Variable(named, data, _attributes(path), fastpath=isinstance(value, xr.Variable))
        sizes |= dict(zip(named, value.shape, strict=True))
    coordinates: dict[str, Any] = {}
    for dim, size in sizes.items():
        found = COMPONENTS.get(dim) or names_of(attributes, dim) or _columns(dataset, shard_id, dim)
        if found is not None and len(found) == size:
            coordinates[dim] = (dim, np.array(found, dtype=object).astype(str))
    for dim, name, rate in ((TIME, TIME, "sample_rate_hz"), ("frame", "frame_time", "frame_rate_hz")):
        if dim in sizes:
            seconds = np.arange(sizes[dim]) / float(attributes[rate])
            coordinates[name] = (dim, seconds, {"units": "s"})
    about = {"dataset_id": dataset.manifest.dataset_id, "name": dataset.manifest.name}
    rates = {name: attributes[name] for name in ("sample_rate_hz", "frame_rate_hz")}
    return xr.Dataset(variables, coordinates, about | rates)


def _dims(path: str) -> tuple[str, ...]:
    """The axes of an array, gait first; none for an encoded video, which has no gait axis."""
    if path.endswith(f"/{FRAMES}"):
        return ("gait", "frame", "row", "column", "channel")
    item = find(path)
    return item.spec.dims if item is not None and item.spec.dims[0] == "gait" else ()


def _name(path: str) -> str:
    """ "views/side/keypoints_2d" is side_keypoints_2d: a slash in a name is a group to netCDF and Zarr."""
    return path.removeprefix("views/").replace("/", "_")


def _attributes(path: str) -> dict[str, Any]:
    item = find(path)
    if item is None:
        return {"units": "1"}
    about = {"units": item.spec.unit, "axes": item.spec.axes, "description": item.spec.description}
    return about | ({"view": item.view} if item.view else {})


def _columns(dataset: GaitDataset, shard_id: str, dim: str) -> tuple[str, ...] | None:
    """Names of parameters and labels, which the arrays themselves carry."""
    return dataset.columns(shard_id, f"{dim}s") if dim in ("parameter", "label") else None
