"""Where a camera is and where it looks at any moment, between two pictures as well."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scenes.shake import Shake

Array = NDArray[np.float64]

_UP = np.array([0.0, 1.0, 0.0])


@dataclass(frozen=True)
class CameraPath:
    """A camera's steady way, straight between knots, and the shake of the hand on top.

    Attributes:
        time: `[F]` s, ascending.
        position: `[F, 3]` m.
        yaw: `[F]` rad, about the vertical, 0 along world x and positive towards z, without jumps.
        pitch: `[F]` rad, up.
        roll: rad.
    """

    time: Array
    position: Array
    yaw: Array
    pitch: Array
    roll: float
    shake: Shake | None = None

    def at(self, times: Array) -> Array:
        """World from camera `[..., 4, 4]` at `times` `[...]` s; before the first knot and after the last as there."""
        times = np.asarray(times, dtype=float)
        position = np.stack([np.interp(times, self.time, self.position[:, axis]) for axis in range(3)], axis=-1)
        yaw, pitch = np.interp(times, self.time, self.yaw), np.interp(times, self.time, self.pitch)
        if self.shake is None:
            return look(position, _forward(yaw, pitch), self.roll)
        shift, turn = self.shake.at(times)
        pose = look(position, _forward(yaw + turn[..., 0], pitch + turn[..., 1]), self.roll + turn[..., 2])
        pose[..., :3, 3] += np.einsum("...ij,...j->...i", pose[..., :3, :3], shift)
        return pose


def look(position: Array, forward: Array, roll_rad: float | Array = 0.0) -> Array:
    """Poses `[..., 4, 4]` of cameras at `position` `[..., 3]` that look along `forward` `[..., 3]`, top upwards.

    Args:
        roll_rad: Of all cameras, or `[...]` of each.
    """
    z = forward / np.linalg.norm(forward, axis=-1, keepdims=True)
    x = np.cross(z, np.broadcast_to(_UP, z.shape))
    x /= np.linalg.norm(x, axis=-1, keepdims=True)
    y = np.cross(z, x)
    roll = np.broadcast_to(np.asarray(roll_rad, dtype=float), z.shape[:-1])[..., None]
    c, s = np.cos(roll), np.sin(roll)
    pose = np.zeros((*z.shape[:-1], 4, 4))
    pose[..., :3, 0] = c * x + s * y
    pose[..., :3, 1] = c * y - s * x
    pose[..., :3, 2] = z
    pose[..., :3, 3] = position
    pose[..., 3, 3] = 1.0
    return pose


def _forward(yaw: Array, pitch: Array) -> Array:
    """Unit vectors `[..., 3]`."""
    return np.stack([np.cos(yaw) * np.cos(pitch), np.sin(pitch), np.sin(yaw) * np.cos(pitch)], axis=-1)
