"""Axes, quaternions and the few rotations that every room needs.

World axes are OpenSim's: x forward (the direction of progression), y up, z to
the walker's right. Camera axes are OpenCV's: x right, y down, z into the scene.
A pose is `[..., 7]`: position xyz in metres, unit quaternion wxyz, world from body.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

GRAVITY_M_S2 = 9.80665
"""Standard gravity (CGPM 1901); the value that the OpenSim model uses."""

FloatArray = NDArray[np.floating]


def rotation_from_quaternion(quaternion_wxyz: FloatArray) -> FloatArray:
    """Rotation matrices `[..., 3, 3]` from unit quaternions `[..., 4]` (w, x, y, z)."""
    q = np.asarray(quaternion_wxyz, dtype=float)
    w, x, y, z = np.moveaxis(q, -1, 0)
    rows = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
    ]
    return np.stack([np.stack(row, axis=-1) for row in rows], axis=-2)


def rotate(quaternion_wxyz: FloatArray, vector: FloatArray) -> FloatArray:
    """Rotate vectors `[..., 3]` by unit quaternions `[..., 4]`; both broadcast."""
    q = np.asarray(quaternion_wxyz, dtype=float)
    v = np.asarray(vector, dtype=float)
    u = 2.0 * np.cross(q[..., 1:], v)
    return v + q[..., :1] * u + np.cross(q[..., 1:], u)


def transform_points(pose: FloatArray, point: FloatArray) -> FloatArray:
    """World positions `[..., 3]` of body-fixed points `[..., 3]` under poses `[..., 7]`."""
    pose = np.asarray(pose, dtype=float)
    return pose[..., :3] + rotate(pose[..., 3:], point)
