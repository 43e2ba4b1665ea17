"""Arrays of some gaits out of one shard's group: which ones a reader asked for, and how they are read.

Two ways lead to a gait. An array's one object is read whole, which is one request for
all gaits, checked against its SHA-256; or the chunk of one gait is read out of it, which
is two requests for a few per cent of the bytes.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import Any, overload

import numpy as np
import zarr
from numpy.typing import NDArray

from farm.dataset.manifest import DatasetManifest
from farm.dataset.schema import LENGTH_AXES, ArrayPath, fields, find, with_companions
from farm.dataset.zarr_store import decoded
from farm.errors import FormatError, UserError

Values = dict[str, NDArray[Any]]


@overload
def several(argument: str, names: Sequence[str]) -> tuple[str, ...]: ...


@overload
def several(argument: str, names: Sequence[str] | None) -> tuple[str, ...] | None: ...


def several(argument: str, names: Sequence[str] | None) -> tuple[str, ...] | None:
    """Names that a caller gave, as a tuple; None stays None.

    Raises:
        UserError: It is one word, whose letters would be taken for names.
    """
    if isinstance(names, str):
        raise UserError(f"{argument} is the word {names!r}; give a tuple of names: {argument}=({names!r},)")
    return None if names is None else tuple(names)


def wanted(
    manifest: DatasetManifest, names: Sequence[str] | None, views: Sequence[str] | None = None, *, companions: bool
) -> tuple[ArrayPath, ...]:
    """The arrays of a dataset that a reader asked for.

    Args:
        names: Fields without their view, such as ("coordinates", "keypoints_2d"); None for all but pictures.
        views: None for all.
        companions: Take in what they cannot be read without: lengths, an event's other half.

    Raises:
        UserError: The dataset has no such field or view.
    """
    names, views = several("fields", names), several("views", views)
    known = [item for path in manifest.known_arrays if (item := find(path)) is not None]
    for view in views or ():
        if view not in manifest.views:
            raise UserError(f"the dataset has no view {view!r}; it has {', '.join(manifest.views) or 'none'}")
    if names is None:
        kept = [item for item in known if item.spec.dims[0] == "gait" and not item.spec.is_picture]
    else:
        present = {item.spec.field for item in known}
        for name in names:
            if name not in present:
                raise UserError(_no_field(name, present))
        chosen = with_companions(names) if companions else frozenset(names)
        kept = [item for item in known if item.spec.field in chosen]
    return tuple(
        item for item in kept if (views is None or item.view in (None, *views)) and item.spec.field != "video_offsets"
    )


def _no_field(name: str, present: set[str]) -> str:
    if name in fields():
        return f"the dataset holds no {name!r}: its campaign did not ask for it, or it was not pulled (`gaitfarm info`)"
    close = difflib.get_close_matches(name, sorted(present), n=1)
    return f"there is no field {name!r}; " + (
        f"did you mean {close[0]!r}?" if close else f"fields are {', '.join(sorted(present))}"
    )


def load(group: zarr.Group, items: Sequence[ArrayPath], positions: Sequence[int], *, whole: bool) -> list[Values]:
    """Arrays of the gaits at `positions`, cut to their valid length; a video is its file's bytes `[n]` uint8.

    Args:
        whole: Read each array's object whole, rather than one gait's chunk at a time. Values are the same, but then
            share memory.

    Raises:
        FormatError: An array is missing or damaged.
    """
    n = int(array(group, "sample_id").shape[0])
    beyond = next((at for at in positions if not 0 <= at < n), None)
    if beyond is not None:
        raise FormatError(f"{group.store_path} holds {n} gaits, the index has one at {beyond}; run `gaitfarm verify`")
    found: list[Values] = [{} for _ in positions]
    needed = {item.spec.length for item in items} | {item.path for item in items}
    lengths = {name: decoded(array(group, name), slice(None), name) for name in LENGTH_AXES.values() if name in needed}
    for item in items:
        values: list[NDArray[Any]]
        if item.path in lengths:
            values = [np.asarray(lengths[item.path][at]) for at in positions]
        elif item.spec.field == "video":
            values = _videos(group, item, positions, whole=whole)
        else:
            source = array(group, item.path)
            stored = decoded(source, slice(None), item.path) if whole else None
            values = [decoded(source, at, item.path) if stored is None else np.asarray(stored[at]) for at in positions]
        for number, (at, value) in enumerate(zip(positions, values, strict=True)):
            valid = int(lengths[item.spec.length][at]) if item.spec.length else None
            if valid is not None and not 0 <= valid <= len(value):
                raise FormatError(f"{item.path}: {item.spec.length} is {valid} of {len(value)}; run `gaitfarm verify`")
            found[number][item.path] = value if valid is None else value[:valid]
    return found


def _videos(group: zarr.Group, item: ArrayPath, positions: Sequence[int], *, whole: bool) -> list[NDArray[Any]]:
    source, offsets = array(group, item.path), array(group, f"{item.path}_offsets")
    bounds = decoded(offsets, slice(None), offsets.path)
    stored = decoded(source, slice(None), item.path) if whole else None
    files = []
    for at in positions:
        begin, end = int(bounds[at]), int(bounds[at + 1])
        if not 0 <= begin <= end <= source.shape[0]:
            raise FormatError(f"{offsets.path} leads from {begin} to {end}; run `gaitfarm verify`")
        # a view would keep all of them in memory
        files.append(decoded(source, slice(begin, end), item.path) if stored is None else stored[begin:end].copy())
    return files


def bytes_of(group: zarr.Group, items: Sequence[ArrayPath]) -> tuple[int, int]:
    """How many gaits a shard holds, and the memory that these arrays take for one of them, padding included."""
    n = int(array(group, "sample_id").shape[0])
    total = sum(int(array(group, item.path).nbytes) for item in items)
    return n, -(-total // max(1, n))


def array(group: zarr.Group, path: str) -> Any:
    """One array of a group; `Any`, because zarr's own type for it allows for groups and scalars too.

    Raises:
        FormatError: The group has no array of this path.
    """
    try:
        found = group[path]
    except KeyError:
        raise FormatError(f"{path} is missing from {group.store_path}; run `gaitfarm verify`") from None
    if not isinstance(found, zarr.Array):
        raise FormatError(f"{path} is no array; run `gaitfarm verify`")
    return found


def names_of(attributes: Mapping[str, Any], axis: str) -> tuple[str, ...] | None:
    """The names along an axis (coordinate, body, muscle, keypoint, imu), where the shard's attributes give them."""
    found = attributes.get(f"{'bodie' if axis == 'body' else axis}s")
    return tuple(str(name) for name in found) if isinstance(found, list | tuple) else None
