"""Joint angles as clinicians draw them, and their curves over the gait cycle.

Clinical signs: hip and knee flexion, ankle dorsiflexion, anterior pelvic tilt
and forward trunk lean are positive. The model's own coordinates count knee
flexion and forward tilt as negative (OpenSim's convention).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from farm.axes import rotate
from farm.gait.norms import CYCLE_PERCENT
from farm.records import Trajectory

Array = NDArray[np.float64]

_SIGNS: Mapping[str, tuple[str, float]] = {
    "hip_flexion": ("hip_flexion", 1.0),
    "knee_flexion": ("knee_angle", -1.0),
    "ankle_dorsiflexion": ("ankle_angle", 1.0),
    "arm_flexion": ("arm_flex", 1.0),
}


def joint_angles(trajectory: Trajectory) -> dict[str, Array]:
    """Clinical angles `[T]` in rad, by name.

    `hip_flexion`, `knee_flexion`, `ankle_dorsiflexion`, `arm_flexion`, each with `_r` and `_l`, and
    `pelvis_anterior_tilt`.
    """
    return angles_from_coordinates(trajectory.coordinate_names, trajectory.coordinates)


def angles_from_coordinates(names: tuple[str, ...], coordinates: Array) -> dict[str, Array]:
    """The same from coordinates `[T, Q]`, which a reader of the dataset has; what the model lacks is left out."""
    at = {name: coordinates[:, i] for i, name in enumerate(names)}
    angles = {
        f"{clinical}_{side}": sign * at[f"{coordinate}_{side}"]
        for clinical, (coordinate, sign) in _SIGNS.items()
        for side in "rl"
        if f"{coordinate}_{side}" in at
    }
    if "pelvis_tilt" in at:
        angles["pelvis_anterior_tilt"] = -at["pelvis_tilt"]
    return angles


def forward_lean(pose: Array, progression: Array) -> Array:
    """Lean of a segment's long axis (its y) from the vertical, in the plane of progression.

    Args:
        pose: `[T, 7]`.
        progression: `[3]` unit vector of the walking direction.

    Returns:
        `[T]` rad, forwards positive.
    """
    up = rotate(pose[:, 3:], np.array([0.0, 1.0, 0.0]))
    return np.asarray(np.arctan2(up @ progression, up[:, 1]))


def cycles(time: Array, values: Array, strikes: Array) -> Array:
    """Cut a signal into gait cycles, each from one foot strike to the next of the same foot.

    Args:
        time: `[T]` s.
        values: `[T]` any unit.
        strikes: `[n + 1]` s, successive strikes of one foot within `time`.

    Returns:
        `[n, 101]` at `farm.gait.norms.CYCLE_PERCENT`, by linear interpolation.
    """
    strikes = np.asarray(strikes, dtype=float)
    if len(strikes) < 2:
        return np.empty((0, len(CYCLE_PERCENT)))
    start, length = strikes[:-1, None], np.diff(strikes)[:, None]
    return np.asarray(np.interp(start + length * CYCLE_PERCENT[None, :] / 100.0, time, values))
