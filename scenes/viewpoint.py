"""What is drawn for one camera; `scenes.cameras` places it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from farm.config import View


@dataclass(frozen=True)
class CameraDraw:
    """What was drawn for one view; `scenes.cameras` places it. Lengths in m, angles in degrees.

    Attributes:
        distance_m: From the nearer end of the walk (fixed) or from the walkway (panning).
        aim_height_m: Height at which the camera would look without jitter, relative to stature.
    """

    view: View
    azimuth_deg: float
    distance_m: float
    height_m: float
    pitch_offset_deg: float
    yaw_offset_deg: float
    roll_deg: float
    vertical_fov_deg: float
    aim_height: float


def camera_rand(rng: np.random.Generator, view: View) -> CameraDraw:
    """Draw one camera within the campaign's view."""
    return CameraDraw(
        view=view,
        azimuth_deg=float(view.azimuth_deg + rng.uniform(-1.0, 1.0) * view.azimuth_jitter_deg),
        distance_m=float(rng.uniform(*view.distance_m)),
        height_m=float(rng.uniform(*view.height_m)),
        pitch_offset_deg=float(rng.uniform(-1.0, 1.0) * view.pitch_jitter_deg),
        yaw_offset_deg=float(rng.uniform(-1.0, 1.0) * 0.5 * view.pitch_jitter_deg),
        roll_deg=float(rng.normal(0.0, 0.5)),
        vertical_fov_deg=float(rng.uniform(*view.vertical_fov_deg)),
        aim_height=float(rng.uniform(0.50, 0.58)),
    )
