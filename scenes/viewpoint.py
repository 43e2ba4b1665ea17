"""What is drawn for one camera; `scenes.cameras` places it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from farm.config import View
from farm.scene_config import CameraVariation

_OF_RANGES = {
    "follow": ("follow",),
    "shake": ("shake", "shake_key"),
}
"""Fields of a view that are off unless a campaign asks for them -> what is drawn for them."""


@dataclass(frozen=True)
class CameraDraw:
    """What was drawn for one view; `scenes.cameras` places it. Lengths in m, angles in degrees.

    Attributes:
        distance_m: From the nearer end of the walk (fixed) or from its middle (panning, phone).
        aim_height: Height at which the camera would look without jitter, relative to stature.
        follow: Share of the walker's way that the camera goes along.
        shake: Size of the hand's sway and tremor, and the key of their frequencies and phases (`scenes.shake`).
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
    follow: float = 0.0
    shake: float = 0.0
    shake_key: int = 0

    def record(self) -> dict[str, Any]:
        """As plain values, without what this view cannot vary: a fixed pinhole has no shake to tell of."""
        off = {name for field, names in _OF_RANGES.items() if not any(getattr(self.view, field)) for name in names}
        return {name: value for name, value in vars(self).items() if name != "view" and name not in off}


def camera_rand(rng: np.random.Generator, view: View, variation: CameraVariation) -> CameraDraw:
    """Draw one camera within the campaign's view; what `variation` switches off is drawn and then left out."""
    azimuth = view.azimuth_deg + rng.uniform(-1.0, 1.0) * view.azimuth_jitter_deg
    distance, height = rng.uniform(*view.distance_m), rng.uniform(*view.height_m)
    pitch, yaw = rng.uniform(-1.0, 1.0, 2) * view.pitch_jitter_deg * np.array([1.0, 0.5])
    roll, fov, aim = rng.uniform(*view.roll_deg), rng.uniform(*view.vertical_fov_deg), rng.uniform(0.50, 0.58)
    follow = rng.uniform(*view.follow) if view.kind == "phone" else 0.0
    shake, shake_key = rng.uniform(*view.shake), int(rng.integers(2**32))
    return CameraDraw(
        view=view,
        azimuth_deg=float(azimuth),
        distance_m=float(distance),
        height_m=float(height),
        pitch_offset_deg=float(pitch),
        yaw_offset_deg=float(yaw),
        roll_deg=float(roll),
        vertical_fov_deg=float(fov),
        aim_height=float(aim),
        follow=float(follow),
        shake=float(shake) if variation.shake else 0.0,
        shake_key=shake_key,
    )
