"""What gait analysis needs to see of a walk, whether it was simulated or measured in a laboratory.

Anybody with markers and force plates can fill a `WalkObservation`; ours come
from a `Trajectory` by `observe`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from farm.axes import transform_points
from farm.gait.feet import sole_height
from farm.gait.joint_angles import forward_lean, joint_angles
from farm.records import Trajectory
from farm.sampling.anatomy import TOE_TIP_X_M, Anatomy

Array = NDArray[np.float64]
UP = np.array([0.0, 1.0, 0.0])
MIN_DISPLACEMENT_M = 0.2
"""Below this the body has no direction of walking; the world's x axis is taken."""


@dataclass(frozen=True)
class WalkObservation:
    """One walk, seen from outside. World axes (y up), SI units; feet in the order right, left.

    Attributes:
        time: `[T]` s.
        mass_kg, leg_length_m: Of the person; leg length is hip centre to sole.
        vertical_force_n: `[T, 2]` upward ground force under each foot.
        hips: `[T, 3]` midpoint of the hip joint centres.
        heels, toes, ankles: `[T, 2, 3]`.
        sole_height: `[T, 2]` height of the lowest point of each sole.
        center_of_mass, center_of_mass_velocity: `[T, 3]`.
        angles: Clinical joint angles `[T]` rad by name, see `joint_angles`; what is missing gives NaN labels.
        trunk_lean: `[T]` rad, forwards positive, or None.
        metabolic_power_w: `[T]`, or None.
    """

    time: Array
    mass_kg: float
    leg_length_m: float
    vertical_force_n: Array
    hips: Array
    heels: Array
    toes: Array
    ankles: Array
    sole_height: Array
    center_of_mass: Array
    center_of_mass_velocity: Array
    angles: Mapping[str, Array] = field(default_factory=dict)
    trunk_lean: Array | None = None
    metabolic_power_w: Array | None = None

    def at(self, signal: Array, times: Array) -> Array:
        """`signal` `[T, ...]` at `times` `[n]` (s), by linear interpolation: `[n, ...]`."""
        flat = np.asarray(signal, dtype=float).reshape(len(self.time), -1)
        columns = [np.interp(times, self.time, column) for column in flat.T]
        return np.stack(columns, axis=-1).reshape(len(np.atleast_1d(times)), *np.shape(signal)[1:])


def progression(hips: Array) -> Array:
    """The walking direction: unit horizontal vector `[3]` from first to last position of the hips `[T, 3]`."""
    way = (hips[-1] - hips[0]) * np.array([1.0, 0.0, 1.0]) if len(hips) else np.zeros(3)
    length = float(np.linalg.norm(way))
    return way / length if length >= MIN_DISPLACEMENT_M else np.array([1.0, 0.0, 0.0])


def rightwards(forward: Array) -> Array:
    """Horizontal unit vector to the walker's right, `[3]`."""
    return np.cross(forward, UP)


def observe(trajectory: Trajectory, body: Anatomy) -> WalkObservation:
    """See a simulated walk as a gait laboratory would."""
    poses = {name: trajectory.pose(name) for name in trajectory.bodies}
    thighs = [poses[f"femur_{side}"][:, :3] for side in "rl"]
    feet = [poses[f"calcn_{side}"] for side in "rl"]
    ankles = [
        transform_points(foot, np.array(body.segments[f"calcn_{side}"].joint_in_body))
        for side, foot in zip("rl", feet, strict=True)
    ]
    toes = [
        transform_points(foot, body.point(f"calcn_{side}", (TOE_TIP_X_M, 0.0, 0.0)))
        for side, foot in zip("rl", feet, strict=True)
    ]
    hips = (thighs[0] + thighs[1]) / 2
    center, velocity = center_of_mass(trajectory, body)
    return WalkObservation(
        time=trajectory.time,
        mass_kg=body.mass_kg,
        leg_length_m=body.leg_length_m,
        vertical_force_n=trajectory.ground_reaction[:, :, 1],
        hips=hips,
        heels=np.stack([foot[:, :3] for foot in feet], axis=1),
        toes=np.stack(toes, axis=1),
        ankles=np.stack(ankles, axis=1),
        sole_height=np.stack(
            [sole_height(body, foot, side).min(axis=1) for side, foot in zip("rl", feet, strict=True)], axis=1
        ),
        center_of_mass=center,
        center_of_mass_velocity=velocity,
        angles=joint_angles(trajectory),
        trunk_lean=forward_lean(poses["torso"], progression(hips)),
        metabolic_power_w=trajectory.metabolic_power,
    )


def center_of_mass(trajectory: Trajectory, body: Anatomy) -> tuple[Array, Array]:
    """Position (m) and velocity (m/s) of the whole body's centre of mass, each `[T, 3]`."""
    position = np.zeros((trajectory.n_samples, 3))
    velocity = np.zeros_like(position)
    total = sum(body.segments[name].mass_kg for name in trajectory.bodies)
    for b, name in enumerate(trajectory.bodies):
        segment = body.segments[name]
        share = segment.mass_kg / total
        point = transform_points(trajectory.body_pose[:, b], np.array(segment.mass_center))
        spin, linear = trajectory.body_velocity[:, b, :3], trajectory.body_velocity[:, b, 3:]
        position += share * point
        velocity += share * (linear + np.cross(spin, point - trajectory.body_pose[:, b, :3]))
    return position, velocity
