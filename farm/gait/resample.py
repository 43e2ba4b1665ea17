"""A body's poses between samples: what a picture taken at any moment shows.

Pictures at 30 Hz fall between samples at 100 Hz. All that is asked of a walk is
what a shard stores of it, poses in single precision, so that a stored gait can be
posed, and filmed again, exactly as it was when it was simulated.

Each number of a pose follows the cubic that has its sampled values, and rates from
five samples (three at the walk's ends), at both ends. Against the simulation's own
velocities that puts 99.9 % of a walk within 0.1 mm, and the worst, a foot that
strikes, within 0.5 mm; turned bodies that each cut the corner between two samples,
on the straight line between quaternions, were off by as much as 0.001 rad.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


class PosedWalk(Protocol):
    """What can be posed: a `farm.records.Trajectory`, or a `StoredWalk`."""

    @property
    def sample_rate_hz(self) -> float:
        """The first sample is at time 0."""

    @property
    def bodies(self) -> tuple[str, ...]:
        """Names of the B bodies."""

    @property
    def body_pose(self) -> NDArray[np.floating]:
        """`[T, B, 7]` position xyz (m), unit quaternion wxyz, world from body."""


@dataclass(frozen=True, eq=False)
class StoredWalk:
    """A walk's poses alone, as a dataset stores them: see `PosedWalk`."""

    sample_rate_hz: float
    bodies: tuple[str, ...]
    body_pose: NDArray[np.floating]


def frame_times(walk: PosedWalk, frame_rate_hz: float) -> Array:
    """Times `[F]` s of the pictures: the first at the first sample, the last within the walk."""
    n_samples = len(walk.body_pose)
    if n_samples == 0:
        return np.empty(0)
    n = int(np.floor((n_samples - 1) / walk.sample_rate_hz * frame_rate_hz + 1e-9)) + 1
    return np.arange(n) / frame_rate_hz


def body_pose_at(walk: PosedWalk, times: Array) -> Array:
    """Poses of every body at `times` `[F]` (s): `[F, B, 7]`; before the first sample and after the last, theirs.

    A walk as it was simulated and as it was stored give the same bits.
    """
    pose = np.asarray(walk.body_pose, dtype=np.float32).astype(float)
    at = np.clip(np.asarray(times, dtype=float) * walk.sample_rate_hz, 0.0, max(len(pose) - 1, 0))
    if len(pose) < 2:
        return np.repeat(pose[:1], len(at), axis=0)
    pose[..., 3:] = _without_jumps(pose[..., 3:])
    rate = _rates(pose)
    left = np.minimum(at.astype(int), len(pose) - 2)
    u = (at - left)[:, None, None]
    result = (
        (1 + 2 * u) * (1 - u) ** 2 * pose[left]
        + u * (1 - u) ** 2 * rate[left]
        + u**2 * (3 - 2 * u) * pose[left + 1]
        - u**2 * (1 - u) * rate[left + 1]
    )
    result[..., 3:] /= np.linalg.norm(result[..., 3:], axis=-1, keepdims=True)
    return np.asarray(result)


def _without_jumps(quaternions: Array) -> Array:
    """`[T, B, 4]` the same rotations, each nearer to the one before than its opposite, which turns alike."""
    same = np.sum(quaternions[1:] * quaternions[:-1], axis=-1) >= 0
    sign = np.cumprod(np.where(same, 1.0, -1.0), axis=0)
    return np.concatenate([quaternions[:1], quaternions[1:] * sign[..., None]])


def _rates(values: Array) -> Array:
    """Change per sample of `[T >= 2, ...]`: by five samples, by three beside the ends, by what there is at the ends."""
    rate = np.gradient(values, axis=0, edge_order=2 if len(values) > 2 else 1)
    if len(values) >= 5:
        rate[2:-2] = (values[:-4] - 8 * values[1:-3] + 8 * values[3:-1] - values[4:]) / 12
    return np.asarray(rate)
