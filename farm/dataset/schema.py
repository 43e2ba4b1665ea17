"""The one list of stored arrays: format version 1.

Writer, reader, verifier, puller, the documentation's table and the tests all
read this list; an array that is not here does not exist. Within a version,
arrays may be added and never renamed.

Every array leads with the gait axis, but `video` (one stream of bytes) and its
offsets. Time is padded to the shard's longest gait: `length` names the array
that says how much of each gait is valid. One chunk is one gait, and the sharding
codec's shard is the whole array: one object for an array, one range read for a gait.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

import numpy as np
from numpy.typing import DTypeLike, NDArray

from farm.config import Pictures

FORMAT_VERSION = 1

VIDEO_BLOCK_BYTES = 256 * 1024
"""Inner chunk of `video`: a 10 s clip of 256x256 pictures is a few of them, so little is read in excess."""

Chunk = Literal["gait", "blocks", "whole"]
When = Literal["always", "video", "lossless", "mask", "depth"]

SIZES: Mapping[str, int] = MappingProxyType({"pose": 7, "foot": 2, "wrench": 9, "xyz": 3, "uv": 2, "corner": 4,
                                             "matrix_row": 4, "matrix_column": 4, "ray_row": 3, "ray_column": 3,
                                             "channel": 3, "lens": 5, "shutter": 2})  # fmt: skip
"""Axes whose size the format fixes."""

LENGTH_AXES: Mapping[str, str] = MappingProxyType({"sample": "n_samples", "event": "n_events", "frame": "n_frames"})
"""Padded axes, each with the array that says how much of it is valid."""


@dataclass(frozen=True)
class ArraySpec:
    """One stored array.

    Attributes:
        name: Path in the shard's group; `{view}` stands for each view's name.
        dims: Names of the axes, as stored in `dimension_names`.
        dtype: Numpy name of the stored type.
        unit: SI unit, "1" for pure numbers, "px" for pixels, "columns" where each column has its own.
        axes: What the last axes mean.
        description: One sentence for whoever reads the dataset.
        source: Where the writer finds one gait's value: a path into `farm.records.GaitSample`
            (`view.` for the view's pictures), or a word for what the writer makes itself.
        when: Which campaigns store it.
        chunk: "gait" one chunk for each gait, "blocks" of `VIDEO_BLOCK_BYTES`, "whole" one chunk.
        may_be_nan: Whether a valid value may be NaN; elsewhere only padding is.
    """

    name: str
    dims: tuple[str, ...]
    dtype: str
    unit: str
    axes: str
    description: str
    source: str
    when: When = "always"
    chunk: Chunk = "gait"
    may_be_nan: bool = False

    @property
    def field(self) -> str:
        """The last part of the name: what `pull --fields` and `video_offsets` are about."""
        return self.name.rpartition("/")[2]

    @property
    def per_view(self) -> bool:
        return "{view}" in self.name

    @property
    def length(self) -> str | None:
        """The array that says how much of the padded axis is valid, or None if nothing is padded."""
        return next((LENGTH_AXES[dim] for dim in self.dims if dim in LENGTH_AXES), None)

    @property
    def padding(self) -> float | int:
        """What stands beyond the valid length: NaN in floats, 0 in integers."""
        return float("nan") if np.issubdtype(np.dtype(self.dtype), np.floating) else 0

    @property
    def is_series(self) -> bool:
        """A float array over time: stored with time running fastest, which compresses a third better."""
        return len(self.dims) > 2 and self.dims[1] in LENGTH_AXES and self.dtype == "float32"

    @property
    def is_picture(self) -> bool:
        return "row" in self.dims

    def blank(self, shape: tuple[int, ...]) -> NDArray[np.generic]:
        """An array of nothing but padding."""
        return np.full(shape, self.padding, dtype=self.numpy_dtype)

    @property
    def numpy_dtype(self) -> DTypeLike:
        return np.dtype(self.dtype)


def _per_sample(name: str, axis: str, unit: str, axes: str, description: str) -> ArraySpec:
    return ArraySpec(name, ("gait", "sample", axis), "float32", unit, axes, description, f"trajectory.{name}")


def _of_view(
    name: str,
    dims: tuple[str, ...],
    dtype: str,
    unit: str,
    axes: str,
    description: str,
    when: When = "always",
    *,
    may_be_nan: bool = False,
) -> ArraySpec:
    path = f"views/{{view}}/{name}"
    return ArraySpec(path, dims, dtype, unit, axes, description, f"view.{name}", when, may_be_nan=may_be_nan)


_WORLD = "world: x forward, y up, z to the right"
_PIXELS = "x right, y down; (0, 0) is the centre of the top-left pixel"

ARRAYS: tuple[ArraySpec, ...] = (
    ArraySpec("sample_id", ("gait",), "uint64", "1", "", "number of the sample in its campaign",
              "parameters.sample_id"),
    ArraySpec("parameters", ("gait", "parameter"), "float32", "columns", "attribute `columns`",
              "what was drawn: body, muscles, reflexes, condition", "parameters"),
    ArraySpec("labels", ("gait", "label"), "float32", "columns", "attribute `columns`",
              "gait parameters, means over whole strides after the first two steps; NaN where undefined", "labels",
              may_be_nan=True),
    ArraySpec("n_samples", ("gait",), "int32", "1", "", "valid samples, at `sample_rate_hz`", "n_samples"),
    _per_sample("coordinates", "coordinate", "rad or m", "attribute `coordinates` of the group",
                "generalized coordinates, in OpenSim's signs"),
    _per_sample("coordinate_speeds", "coordinate", "rad/s or m/s", "attribute `coordinates` of the group",
                "rates of the generalized coordinates"),
    ArraySpec("body_pose", ("gait", "sample", "body", "pose"), "float32", "m, 1", f"xyz, quaternion wxyz; {_WORLD}",
              "position and unit quaternion of each body, world from body", "trajectory.body_pose"),
    _per_sample("muscle_activation", "muscle", "1", "attribute `muscles` of the group", "activation, 0 to 1"),
    _per_sample("muscle_excitation", "muscle", "1", "attribute `muscles` of the group", "excitation, 0 to 1"),
    _per_sample("muscle_fiber_length", "muscle", "1", "attribute `muscles` of the group",
                "fibre length over optimal fibre length"),
    _per_sample("muscle_force", "muscle", "N", "attribute `muscles` of the group", "force along the tendon"),
    ArraySpec("ground_reaction", ("gait", "sample", "foot", "wrench"), "float32", "N, m, N m",
              f"right, left; force xyz, point xyz, moment xyz; {_WORLD}",
              "force of the ground on each foot, its point, and the free moment there; no point while unloaded",
              "trajectory.ground_reaction", may_be_nan=True),
    _per_sample("joint_moment", "coordinate", "N m", "attribute `coordinates` of the group",
                "net muscle moment about each coordinate"),
    ArraySpec("imu_acceleration", ("gait", "sample", "imu", "xyz"), "float32", "m/s^2", "the sensor's own",
              "specific force (acceleration minus gravity) of each virtual sensor", "labels.imu_acceleration"),
    ArraySpec("imu_angular_velocity", ("gait", "sample", "imu", "xyz"), "float32", "rad/s", "the sensor's own",
              "angular velocity of each virtual sensor", "labels.imu_angular_velocity"),
    ArraySpec("n_events", ("gait",), "int32", "1", "", "valid events", "n_events"),
    ArraySpec("event_time", ("gait", "event"), "float32", "s", "", "time of each gait event, ascending",
              "labels.event_time"),
    ArraySpec("event_type", ("gait", "event"), "uint8", "1", "",
              "0 foot strike right, 1 foot off right, 2 foot strike left, 3 foot off left", "labels.event_type"),
    ArraySpec("n_frames", ("gait",), "int32", "1", "", "valid pictures, at `frame_rate_hz`", "n_frames"),
    ArraySpec("keypoints_3d", ("gait", "frame", "keypoint", "xyz"), "float32", "m", _WORLD,
              "keypoints at the instant of each picture, in the order of the group's `keypoints`",
              "labels.keypoints_3d"),
    _of_view("keypoints_2d", ("gait", "frame", "keypoint", "uv"), "float32", "px", _PIXELS,
             "exact projection, also outside the picture; NaN where the lens cannot see, as behind it",
             may_be_nan=True),
    _of_view("visibility", ("gait", "frame", "keypoint"), "uint8", "1", "",
             "0 outside the picture, 1 occluded by body or scene, 2 visible"),
    _of_view("world_from_camera", ("gait", "frame", "matrix_row", "matrix_column"), "float32", "1, m",
             "camera: x right, y down, z into the scene", "camera coordinates to world coordinates"),
    _of_view("intrinsics", ("gait", "ray_row", "ray_column"), "float32", "px", _PIXELS,
             "pinhole matrix: focal lengths and principal point"),
    _of_view("distortion", ("gait", "lens"), "float32", "1", "k1, k2, p1, p2, k3 (OpenCV's order)",
             "the lens's distortion by Brown and Conrady, already in all that is in pixels; zeros for a pinhole"),
    _of_view("shutter", ("gait", "shutter"), "float32", "s", "exposure of a row; first row's to the last one's",
             "how long each row is exposed, and how long the readout takes; pixels hold at the middle of their own "
             "row's exposure, poses and world points at the middle of the middle row's"),
    _of_view("bbox", ("gait", "frame", "corner"), "float32", "px", f"x0 y0 x1 y1; {_PIXELS}",
             "bounding box of the whole person, also where something hides a part, cut to the picture; NaN where "
             "nothing of the person is in it", may_be_nan=True),
    ArraySpec("views/{view}/video", ("byte",), "uint8", "1", "",
              "one MP4 file for each gait: bytes `video_offsets[i]` to `video_offsets[i + 1]`", "video", "video",
              "blocks"),
    ArraySpec("views/{view}/video_offsets", ("offset",), "int64", "1", "",
              "where each gait's file begins in `video`, and where the last one ends", "video_offsets", "video",
              "whole"),
    _of_view("rgb", ("gait", "frame", "row", "column", "channel"), "uint8", "1", "red, green, blue (sRGB)",
             "pictures, lossless", "lossless"),
    _of_view("mask", ("gait", "frame", "row", "column"), "uint8", "1", "",
             "0 background, else the body part in attribute `parts`", "mask"),
    _of_view("depth", ("gait", "frame", "row", "column"), "uint16", "mm", "along the optical axis",
             "distance of the nearest surface; 0 where there is none", "depth"),
)  # fmt: skip

SPECS: Mapping[str, ArraySpec] = MappingProxyType({spec.name: spec for spec in ARRAYS})

ALWAYS_KEPT = ("sample_id", "n_samples", "n_frames")
"""Arrays without which a shard cannot be read; a pull keeps them whatever was asked for."""


@dataclass(frozen=True)
class ArrayPath:
    """One array of a dataset: its spec, with the view that it belongs to if it has one."""

    spec: ArraySpec
    view: str | None

    @property
    def path(self) -> str:
        return self.spec.name.replace("{view}", self.view) if self.view is not None else self.spec.name


def stored_arrays(pictures: Pictures) -> tuple[ArrayPath, ...]:
    """The arrays that each shard of a campaign with these pictures holds."""
    kinds: dict[When, bool] = {
        "always": True,
        "video": pictures.rgb == "video",
        "lossless": pictures.rgb == "lossless",
        "mask": pictures.mask,
        "depth": pictures.depth,
    }
    views = [view.name for view in pictures.views]
    return expand((spec for spec in ARRAYS if kinds[spec.when]), views)


def expand(specs: Iterable[ArraySpec], views: Iterable[str]) -> tuple[ArrayPath, ...]:
    """Each spec once, or once for each view."""
    views = tuple(views)
    return tuple(ArrayPath(spec, view) for spec in specs for view in (views if spec.per_view else (None,)))


def find(path: str) -> ArrayPath | None:
    """The array of this path, or None if version 1 has none of that name."""
    if path in SPECS:
        return None if SPECS[path].per_view else ArrayPath(SPECS[path], None)
    parts = path.split("/")
    if len(parts) == 3 and parts[0] == "views" and parts[1]:
        spec = SPECS.get(f"views/{{view}}/{parts[2]}")
        return ArrayPath(spec, parts[1]) if spec else None
    return None


def fields() -> tuple[str, ...]:
    """The name of every array, without its view: what `pull --fields` accepts."""
    return tuple(spec.field for spec in ARRAYS)


def with_companions(wanted: Iterable[str]) -> frozenset[str]:
    """Field names, with those that they cannot be read without: lengths, offsets, an event's other half."""
    kept = set(wanted) | set(ALWAYS_KEPT)
    if kept & {"video", "video_offsets"}:
        kept |= {"video", "video_offsets"}
    if kept & {"event_time", "event_type", "n_events"}:
        kept |= {"event_time", "event_type", "n_events"}
    return frozenset(kept)
