"""The foot's sole: how high its rounded ends are above the floor and how fast they slide on it.

Heel and ball are two spheres, the same that carry the physics' contact forces
(gait14dof22musc's contact geometry), so that "below the floor" here is exactly
the depth that the contact law sees.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from farm.axes import rotate, transform_points
from farm.gait.keypoints import FLOOR_Y_M
from farm.sampling.anatomy import Anatomy, Vec3

Array = NDArray[np.float64]


@dataclass(frozen=True)
class SolePad:
    """One rounded end of the sole in generic `calcn` axes (m)."""

    center: Vec3
    radius_m: float


SOLE_PADS: tuple[SolePad, ...] = (SolePad((0.03, 0.02, 0.0), 0.05), SolePad((0.1988, -0.007, 0.0), 0.025))
"""Heel and ball. The ball's two spheres lie side by side; their midline stands for both."""


def sole_height(body: Anatomy, calcn_pose: Array, side: str) -> Array:
    """Height of heel and ball above the floor.

    Args:
        calcn_pose: `[T, 7]`.
        side: "r" or "l".

    Returns:
        `[T, 2]` m, negative where pressed into the floor.
    """
    name = f"calcn_{side}"
    heights = [
        transform_points(calcn_pose, body.point(name, pad.center))[:, 1] - pad.radius_m * body.scale(name) - FLOOR_Y_M
        for pad in SOLE_PADS
    ]
    return np.stack(heights, axis=-1)


def sole_slip_speed(body: Anatomy, calcn_pose: Array, calcn_velocity: Array, side: str) -> Array:
    """Horizontal speed of the sole's material where it is lowest: 0 for a foot that stands or rolls.

    v = v_o + omega x (p - o), p being the bottom of the lower of heel and ball.

    Args:
        calcn_pose: `[T, 7]`.
        calcn_velocity: `[T, 6]` angular (rad/s) and linear velocity of the origin (m/s), world axes.

    Returns:
        `[T]` m/s.
    """
    name = f"calcn_{side}"
    lowest = np.argmin(sole_height(body, calcn_pose, side), axis=1)
    arms = np.stack([rotate(calcn_pose[:, 3:], body.point(name, pad.center)) for pad in SOLE_PADS], axis=1)
    arms[:, :, 1] -= np.array([pad.radius_m for pad in SOLE_PADS]) * body.scale(name)
    arm = np.take_along_axis(arms, lowest[:, None, None], axis=1)[:, 0]
    velocity = calcn_velocity[:, 3:] + np.cross(calcn_velocity[:, :3], arm)
    return np.asarray(np.hypot(velocity[:, 0], velocity[:, 2]))
