"""From the world into a camera and back, as datasets store cameras: for makers of labels and for readers alike.

Camera axes are OpenCV's: x right, y down, z into the scene; depth is z, along the
optical axis. Pixel (0, 0) is the centre of the top-left pixel. `world_from_camera`
is a rigid motion, `intrinsics` has square or oblong pixels without skew, and
`distortion` is the lens's (`farm.lens`).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from farm.lens import PINHOLE, distort, undistort

Array = NDArray[np.float64]

_AHEAD_M = 1e-6
"""What is no farther ahead than this has no place in the picture."""


def in_camera(points: Array, world_from_camera: Array) -> Array:
    """World points `[F, ..., 3]` in the axes of the cameras `[F, 4, 4]`: `[F, ..., 3]` m."""
    points = np.asarray(points, dtype=float)
    return _in_camera(points, _spread(world_from_camera, points.ndim - 1))


def in_world(points: Array, world_from_camera: Array) -> Array:
    """Points in camera axes `[F, ..., 3]` in world axes: the inverse of `in_camera`."""
    points = np.asarray(points, dtype=float)
    poses = _spread(world_from_camera, points.ndim - 1)
    return np.asarray(np.einsum("...ij,...j->...i", poses[..., :3, :3], points) + poses[..., :3, 3])


def project(
    points: Array, world_from_camera: Array, intrinsics: Array, distortion: Array = PINHOLE
) -> tuple[Array, Array]:
    """Pixels `[F, ..., 2]` and depths `[F, ...]` (m) of world points `[F, ..., 3]` under poses `[F, 4, 4]`.

    Pixels are NaN for points that are not in front of the camera, or so far aside that no lens
    of this distortion sees them.
    """
    points = np.asarray(points, dtype=float)
    return project_each(points, _spread(world_from_camera, points.ndim - 1), intrinsics, distortion)


def project_each(points: Array, poses: Array, intrinsics: Array, distortion: Array) -> tuple[Array, Array]:
    """`project` with a pose for each point: `[..., 3]` and `[..., 4, 4]`, which broadcast."""
    local = _in_camera(points, poses)
    depth = local[..., 2]
    ahead = depth > _AHEAD_M
    scaled = np.where(ahead[..., None], local[..., :2] / np.where(ahead, depth, 1.0)[..., None], np.nan)
    return distort(scaled, distortion) * _focal(intrinsics) + intrinsics[:2, 2], depth


def unproject(
    pixels: Array, depth: Array, world_from_camera: Array, intrinsics: Array, distortion: Array = PINHOLE
) -> Array:
    """World points `[F, ..., 3]` of pixels `[F, ..., 2]` at `depth` `[F, ...]`: the inverse of `project`."""
    rays = undistort((pixels - intrinsics[:2, 2]) / _focal(intrinsics), distortion)
    return in_world(np.concatenate([rays * depth[..., None], depth[..., None]], axis=-1), world_from_camera)


def _in_camera(points: Array, poses: Array) -> Array:
    offset = points - poses[..., :3, 3]
    return np.asarray(np.einsum("...ij,...i->...j", poses[..., :3, :3], offset))


def _spread(poses: Array, dims: int) -> Array:
    """Poses `[F, 4, 4]` as `[F, 1, ..., 4, 4]`, with `dims` axes before the matrices."""
    return poses.reshape(len(poses), *(1,) * (dims - 1), 4, 4)


def _focal(intrinsics: Array) -> Array:
    return np.array([intrinsics[0, 0], intrinsics[1, 1]])
