"""The foot's sole: how high its rounded ends are above the floor and how far they slide on it.

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


def sole_slip(body: Anatomy, calcn_pose: Array, side: str) -> Array:
    """How far the sole slides over the floor from each sample to the next: 0 for a foot that stands or rolls.

    The material point under the centre of the lower of heel and ball, midway
    between undeformed surface and floor (where Hunt-Crossley contact applies its
    force), is followed to the next sample. Positions alone are used, so that the
    chatter of a stiff contact's velocities does not count.

    Args:
        calcn_pose: `[T, 7]`.
        side: "r" or "l".

    Returns:
        `[T]` m, horizontal; 0 for the last sample.
    """
    name = f"calcn_{side}"
    height = sole_height(body, calcn_pose, side)
    lowest = np.argmin(height, axis=1)
    centers = np.array([body.point(name, pad.center) for pad in SOLE_PADS])
    radius = np.array([pad.radius_m for pad in SOLE_PADS]) * body.scale(name)
    down = rotate(calcn_pose[:, 3:] * np.array([1.0, -1.0, -1.0, -1.0]), np.array([0.0, -1.0, 0.0]))
    depth = np.minimum(height, 0.0)[np.arange(len(lowest)), lowest]
    station = centers[lowest] + (radius[lowest] + depth / 2)[:, None] * down
    here, there = transform_points(calcn_pose[:-1], station[:-1]), transform_points(calcn_pose[1:], station[:-1])
    return np.append(np.hypot(*(there - here)[:, [0, 2]].T), 0.0)
