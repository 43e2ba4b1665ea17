"""What must hold of every stored gait, whoever made it: checked before a shard is written, and by `verify`.

Each check gives back every fault that it finds, in words; the caller decides.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from farm.dataset.schema import LENGTH_AXES, SIZES, ArraySpec, find

QUATERNION_TOLERANCE = 1e-4
ROTATION_TOLERANCE = 1e-4
"""float32 keeps seven digits; these allow for a thousand roundings and no more."""

ACTIVATION_TOLERANCE = 1e-3
EVENT_TYPES = 4
VISIBILITIES = 3

_ATTRIBUTE_OF_AXIS = {
    "coordinate": "coordinates",
    "body": "bodies",
    "muscle": "muscles",
    "imu": "imus",
    "keypoint": "keypoints",
}
"""Axes whose entries the group's attributes name."""


def faults_of_gait(values: Mapping[str, Any], attributes: Mapping[str, Any]) -> list[str]:
    """Every law that one gait breaks.

    Args:
        values: By array path, without gait axis and padding. What is no numpy array (a video, a compressed
            picture) is passed over.
        attributes: The group's: names of coordinates, bodies, ...; rates; image size.
    """
    arrays = {path: value for path, value in values.items() if isinstance(value, np.ndarray)}
    sizes = axis_sizes(attributes)
    lengths = {axis: int(arrays[name]) for axis, name in LENGTH_AXES.items() if name in arrays}
    faults: list[str] = []
    for path, array in arrays.items():
        item = find(path)
        if item is None:
            continue
        shape_faults = list(_shape(path, item.spec, array, sizes | lengths))
        faults += shape_faults
        if not shape_faults:
            faults += _values(path, item.spec, array)
    faults += _times(arrays, attributes)
    faults += _sight(arrays, attributes)
    return faults


def axis_sizes(attributes: Mapping[str, Any]) -> dict[str, int]:
    """Sizes of the axes that are known from the group's attributes, or fixed by the format."""
    sizes = dict(SIZES)
    for axis, name in _ATTRIBUTE_OF_AXIS.items():
        if isinstance(attributes.get(name), list | tuple):
            sizes[axis] = len(attributes[name])
    image_size = attributes.get("image_size")
    if isinstance(image_size, list | tuple) and len(image_size) == 2:
        sizes["column"], sizes["row"] = int(image_size[0]), int(image_size[1])
    return sizes


def _shape(path: str, spec: ArraySpec, array: NDArray[np.generic], sizes: Mapping[str, int]) -> Iterator[str]:
    dims = spec.dims[1:] if spec.dims[0] == "gait" else spec.dims
    expected = tuple(sizes.get(dim, -1) for dim in dims)
    fits = len(expected) == array.ndim and all(
        want in (-1, have) for want, have in zip(expected, array.shape, strict=True)
    )
    if not fits:
        words = ", ".join(f"{dim} {'any' if size < 0 else size}" for dim, size in zip(dims, expected, strict=True))
        yield f"{path} must have the shape [{words}], got {list(array.shape)}"


def _values(path: str, spec: ArraySpec, array: NDArray[np.generic]) -> Iterator[str]:
    """Laws of one array alone."""
    if spec.dtype == "float32":
        if not spec.may_be_nan and not np.all(np.isfinite(array)):
            yield f"{path} has values that are not finite"
            return
        if np.any(np.isinf(array)):
            yield f"{path} has infinite values"
    law = _LAWS.get(spec.field)
    if law is not None and array.size and not law(array):
        yield f"{path} {_LAW_TEXTS[spec.field]}"


def _are_rotations(matrix: NDArray[Any]) -> bool:
    rotation = matrix[..., :3, :3].astype(float)
    identity = rotation @ np.swapaxes(rotation, -1, -2)
    return bool(
        np.all(np.abs(identity - np.eye(3)) < ROTATION_TOLERANCE)
        and np.all(np.linalg.det(rotation) > 0)
        and np.all(matrix[..., 3, :] == np.array([0, 0, 0, 1]))
    )


def _boxes_are_ordered(box: NDArray[Any]) -> bool:
    seen = box[~np.any(np.isnan(box), axis=-1)]
    return bool(np.all(seen[:, 0] <= seen[:, 2]) and np.all(seen[:, 1] <= seen[:, 3]))


_LAWS = {
    "body_pose": lambda a: np.all(np.abs(np.linalg.norm(a[..., 3:].astype(float), axis=-1) - 1) < QUATERNION_TOLERANCE),
    "muscle_activation": lambda a: a.min() >= -ACTIVATION_TOLERANCE and a.max() <= 1 + ACTIVATION_TOLERANCE,
    "muscle_fiber_length": lambda a: a.min() > 0,
    "event_time": lambda a: np.all(np.diff(a) >= 0) and a[0] >= 0,
    "event_type": lambda a: a.max() < EVENT_TYPES,
    "visibility": lambda a: a.max() < VISIBILITIES,
    "world_from_camera": _are_rotations,
    "intrinsics": lambda a: np.all(a[2] == np.array([0, 0, 1])) and a[0, 0] > 0 and a[1, 1] > 0,
    "bbox": _boxes_are_ordered,
}

_LAW_TEXTS = {
    "body_pose": "has quaternions that are not of unit length",
    "muscle_activation": "lies outside 0 to 1",
    "muscle_fiber_length": "has lengths that are not positive",
    "event_time": "is not ascending from 0 on",
    "event_type": f"has types above {EVENT_TYPES - 1}",
    "visibility": f"has values above {VISIBILITIES - 1}",
    "world_from_camera": "is not a rotation with a translation",
    "intrinsics": "is not a pinhole matrix",
    "bbox": "has boxes whose corners are exchanged",
}


def _times(arrays: Mapping[str, NDArray[Any]], attributes: Mapping[str, Any]) -> Iterator[str]:
    """Laws between time series: events and pictures lie within the walk."""
    if "n_samples" not in arrays or not attributes.get("sample_rate_hz"):
        return
    n_samples = int(arrays["n_samples"])
    if n_samples < 1:
        yield f"n_samples is {n_samples}; a gait has at least one sample"
        return
    sample_s = 1.0 / float(attributes["sample_rate_hz"])
    end_s = (n_samples - 1) * sample_s
    events = arrays.get("event_time")
    if events is not None and len(events) and events[-1] > end_s + sample_s:
        yield f"event_time ends at {float(events[-1]):.3f} s, after the walk's {end_s:.3f} s"
    if "n_frames" in arrays and attributes.get("frame_rate_hz"):
        last_s = (int(arrays["n_frames"]) - 1) / float(attributes["frame_rate_hz"])
        if last_s > end_s + sample_s:
            yield f"n_frames puts the last picture at {last_s:.3f} s, after the walk's {end_s:.3f} s"


def _sight(arrays: Mapping[str, NDArray[Any]], attributes: Mapping[str, Any]) -> Iterator[str]:
    """A visible keypoint has a place in the picture."""
    for view in attributes.get("views", ()):
        points = arrays.get(f"views/{view}/keypoints_2d")
        visibility = arrays.get(f"views/{view}/visibility")
        if points is None or visibility is None or points.shape[:-1] != visibility.shape:
            continue
        if np.any(np.isnan(points[visibility > 0])):
            yield f"views/{view}/visibility calls keypoints visible or occluded that have no place in the picture"
