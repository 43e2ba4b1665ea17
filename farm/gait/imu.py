"""Virtual inertial sensors: what an accelerometer and a gyroscope strapped to a segment would read.

An accelerometer reads specific force, f = a - g: +9.81 m/s^2 upwards at rest,
nothing in free fall. A sensor at r from its segment's origin moves with

    a = a_o + alpha x r + omega x (omega x r)

(rigid-body kinematics; e.g. Zok 2014, Ann Ist Super Sanita 50:212). Sensor axes
are the segment's own: parallel to the world's (x forward, y up, z right) when
the person stands upright. No noise, bias or soft-tissue motion is added; that
is a matter of the training, which may add as much as it likes.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from farm.axes import GRAVITY_M_S2, rotate
from farm.sampling.anatomy import IMU_STATIONS, Anatomy

Array = NDArray[np.float64]
_GRAVITY = np.array([0.0, -GRAVITY_M_S2, 0.0])


def specific_force(pose: Array, velocity: Array, acceleration: Array, station: Array) -> Array:
    """What an ideal accelerometer at `station` reads.

    Args:
        pose: `[T, 7]` of the segment.
        velocity: `[T, 6]` angular (rad/s), linear (m/s) of the segment's origin, world axes.
        acceleration: `[T, 6]` angular (rad/s^2), linear (m/s^2), gravity not included.
        station: `[3]` m, segment axes.

    Returns:
        `[T, 3]` m/s^2, segment axes.
    """
    arm = rotate(pose[:, 3:], station)
    omega, alpha = velocity[:, :3], acceleration[:, :3]
    world = acceleration[:, 3:] + np.cross(alpha, arm) + np.cross(omega, np.cross(omega, arm)) - _GRAVITY
    return np.asarray(rotate(_inverse(pose[:, 3:]), world))


def virtual_imus(
    body: Anatomy, bodies: Sequence[str], body_pose: Array, body_velocity: Array, body_acceleration: Array
) -> tuple[Array, Array]:
    """Readings of all `IMU_STATIONS`, in that order.

    Args:
        bodies: Names of the B segments.
        body_pose, body_velocity, body_acceleration: `[T, B, 7]`, `[T, B, 6]`, `[T, B, 6]`, see `Trajectory`.

    Returns:
        Specific force `[T, S, 3]` (m/s^2) and angular velocity `[T, S, 3]` (rad/s), sensor axes.
    """
    forces, rates = [], []
    for name in IMU_STATIONS:
        segment, station = body.imu(name)
        b = list(bodies).index(segment)
        pose, velocity = body_pose[:, b], body_velocity[:, b]
        forces.append(specific_force(pose, velocity, body_acceleration[:, b], station))
        rates.append(rotate(_inverse(pose[:, 3:]), velocity[:, :3]))
    return np.stack(forces, axis=1), np.stack(rates, axis=1)


def _inverse(quaternion: Array) -> Array:
    return np.asarray(quaternion * np.array([1.0, -1.0, -1.0, -1.0]))
