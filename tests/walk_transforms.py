"""The same walk seen otherwise: turned, moved, mirrored, later. What a label must not notice, or must swap."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from farm.records import Trajectory

Array = NDArray[np.float64]


def moved(walk: Trajectory, dx: float, dz: float) -> Trajectory:
    """The walk elsewhere on the floor."""
    pose, reaction, coordinates = walk.body_pose.copy(), walk.ground_reaction.copy(), walk.coordinates.copy()
    pose[:, :, [0, 2]] += (dx, dz)
    reaction[:, :, [3, 5]] += (dx, dz)
    coordinates[:, walk.coordinate_names.index("pelvis_tx")] += dx
    return replace(walk, body_pose=pose, ground_reaction=reaction, coordinates=coordinates)


def later(walk: Trajectory, seconds: float) -> Trajectory:
    """The walk at another time of day."""
    return replace(walk, time=walk.time + seconds)


def turned(walk: Trajectory, yaw: float) -> Trajectory:
    """The walk in another direction: everything turned by `yaw` (rad) about the vertical."""
    c, s = np.cos(yaw), np.sin(yaw)
    matrix = np.array([[c, 0.0, s], [0.0, 1.0, 0.0], [-s, 0.0, c]])

    def turn(vectors: Array) -> Array:
        return vectors @ matrix.T

    pose = walk.body_pose.copy()
    pose[..., :3] = turn(pose[..., :3])
    w, x, y, z = np.moveaxis(walk.body_pose[..., 3:], -1, 0)
    a, b = np.cos(yaw / 2), np.sin(yaw / 2)  # quaternion (a, 0, b, 0) times (w, x, y, z)
    pose[..., 3:] = np.stack([a * w - b * y, a * x + b * z, a * y + b * w, a * z - b * x], axis=-1)
    vectors = {
        name: np.concatenate([turn(getattr(walk, name)[..., i : i + 3]) for i in (0, 3)], axis=-1)
        for name in ("body_velocity", "body_acceleration")
    }
    reaction = np.concatenate([turn(walk.ground_reaction[..., i : i + 3]) for i in (0, 3, 6)], axis=-1)
    return replace(walk, body_pose=pose, ground_reaction=reaction, **vectors)


def mirrored(walk: Trajectory) -> Trajectory:
    """The walk in a mirror: z changes sign, right becomes left. Turning vectors are mirrored as axial vectors."""
    polar, axial = np.array([1.0, 1.0, -1.0]), np.array([-1.0, -1.0, 1.0])

    def swap(names: tuple[str, ...]) -> list[int]:
        other = {"_r": "_l", "_l": "_r"}
        return [names.index(name[:-2] + other[name[-2:]] if name[-2:] in other else name) for name in names]

    bodies, coordinates, muscles = (swap(names) for names in (walk.bodies, walk.coordinate_names, walk.muscles))
    pose = walk.body_pose[:, bodies] * np.concatenate([polar, [1.0, -1.0, -1.0, 1.0]])
    motion = np.concatenate([axial, polar])
    return replace(
        walk,
        body_pose=pose,
        body_velocity=walk.body_velocity[:, bodies] * motion,
        body_acceleration=walk.body_acceleration[:, bodies] * motion,
        ground_reaction=walk.ground_reaction[:, ::-1] * np.concatenate([polar, polar, axial]),
        **{
            name: getattr(walk, name)[:, coordinates]
            for name in ("coordinates", "coordinate_speeds", "coordinate_accelerations", "joint_moment")
        },
        **{
            name: getattr(walk, name)[:, muscles]
            for name in ("muscle_activation", "muscle_excitation", "muscle_fiber_length", "muscle_force")
        },
    )


def limping(walk: Trajectory, *, delay_s: float = 0.04, stiffness: float = 0.7) -> Trajectory:
    """A walk whose right foot lands and leaves late and whose right knee bends less: no longer symmetric.

    Only what labels read is changed (ground force, joint angles); it is not a possible motion.
    """
    n = round(delay_s * walk.sample_rate_hz)
    reaction, coordinates = walk.ground_reaction.copy(), walk.coordinates.copy()
    reaction[n:, 0] = reaction[:-n, 0]
    reaction[:n, 0] = 0.0
    coordinates[:, walk.coordinate_names.index("knee_angle_r")] *= stiffness
    return replace(walk, ground_reaction=reaction, coordinates=coordinates)
