"""A body's poses between samples: what a picture taken at any moment shows.

Pictures at 30 Hz fall between samples at 100 Hz. Positions follow the cubic
that has the sampled positions and velocities at both ends (error below
0.01 mm for walking); orientations follow the normalised straight line between
quaternions (steps are below 0.2 rad, error below 0.001 rad).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from farm.records import Trajectory

Array = NDArray[np.float64]


def frame_times(trajectory: Trajectory, frame_rate_hz: float) -> Array:
    """Times `[F]` s of the pictures: the first at the first sample, the last within the walk."""
    if trajectory.n_samples == 0:
        return np.empty(0)
    n = int(np.floor(trajectory.duration_s * frame_rate_hz + 1e-9)) + 1
    return np.asarray(trajectory.time[0] + np.arange(n) / frame_rate_hz)


def body_pose_at(trajectory: Trajectory, times: Array) -> Array:
    """Poses of every body at `times` `[F]` (s, within the walk): `[F, B, 7]`."""
    times = np.asarray(times, dtype=float)
    if trajectory.n_samples < 2:
        return np.repeat(trajectory.body_pose[:1], len(times), axis=0)
    clock = trajectory.time
    left = np.clip(np.searchsorted(clock, times, side="right") - 1, 0, len(clock) - 2)
    step = (clock[left + 1] - clock[left])[:, None, None]
    u = np.clip((times - clock[left])[:, None, None] / step, 0.0, 1.0)
    p0, p1 = trajectory.body_pose[left], trajectory.body_pose[left + 1]
    v0, v1 = (step * trajectory.body_velocity[i, :, 3:] for i in (left, left + 1))
    position = (
        (1 + 2 * u) * (1 - u) ** 2 * p0[..., :3]
        + u * (1 - u) ** 2 * v0
        + u**2 * (3 - 2 * u) * p1[..., :3]
        - u**2 * (1 - u) * v1
    )
    q0, q1 = p0[..., 3:], p1[..., 3:]
    near = np.where(np.sum(q0 * q1, axis=-1, keepdims=True) < 0, -q1, q1)  # q and -q are the same rotation
    quaternion = (1 - u) * q0 + u * near
    quaternion /= np.linalg.norm(quaternion, axis=-1, keepdims=True)
    return np.concatenate([position, quaternion], axis=-1)
