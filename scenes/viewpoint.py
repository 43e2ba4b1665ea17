"""What is drawn for one camera; `scenes.cameras` places it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from farm.config import View
from farm.scene_config import CameraVariation
from scenes.sensor import noise_rand

_OF_RANGES = {
    "follow": ("follow",),
    "shake": ("shake", "shake_key"),
    "k1": ("k1",),
    "k2": ("k2",),
    "tangential": ("p1", "p2"),
    "exposure_s": ("exposure_s",),
    "readout_s": ("readout_s",),
    "shot_noise": ("shot_noise", "read_noise"),
}
"""Fields of a view that are off unless a campaign asks for them -> what is drawn for them."""


@dataclass(frozen=True)
class CameraDraw:
    """What was drawn for one view; `scenes.cameras` places it. Lengths in m, angles in degrees.

    Attributes:
        distance_m: From the nearer end of the walk (fixed) or from its middle (panning, phone).
        follow: Share of the walker's way that the camera goes along.
        shake: Size of the hand's sway and tremor, and the key of their frequencies and phases (`scenes.shake`).
        k1, k2, p1, p2: Lens distortion (`farm.lens`).
        exposure_s, readout_s: How long a row is exposed; from the first row's exposure to the last one's.
        shot_noise, read_noise: Variance of the sensor's noise for each unit of light, and without light
            (`scenes.sensor`).
        crf: H.264 constant rate factor, or None for the campaign's.
    """

    view: View
    azimuth_deg: float
    distance_m: float
    height_m: float
    pitch_offset_deg: float
    yaw_offset_deg: float
    roll_deg: float
    vertical_fov_deg: float
    follow: float = 0.0
    shake: float = 0.0
    shake_key: int = 0
    k1: float = 0.0
    k2: float = 0.0
    p1: float = 0.0
    p2: float = 0.0
    exposure_s: float = 0.0
    readout_s: float = 0.0
    shot_noise: float = 0.0
    read_noise: float = 0.0
    crf: int | None = None

    def record(self) -> dict[str, Any]:
        """As plain values, without what this view cannot vary: a fixed pinhole has no shake to tell of."""
        off = {
            name
            for field, names in _OF_RANGES.items()
            if not any(getattr(self.view, field))
            for name in names
        } | ({"crf"} if self.crf is None else set())  # fmt: skip
        return {name: value for name, value in vars(self).items() if name != "view" and name not in off}


def camera_rand(rng: np.random.Generator, view: View, variation: CameraVariation) -> CameraDraw:
    """Draw one camera within the campaign's view; what `variation` switches off is drawn and then left out."""
    azimuth = view.azimuth_deg + rng.uniform(-1.0, 1.0) * view.azimuth_jitter_deg
    distance, height = rng.uniform(*view.distance_m), rng.uniform(*view.height_m)
    pitch, yaw = rng.uniform(-1.0, 1.0, 2) * view.pitch_jitter_deg * np.array([1.0, 0.5])
    roll, fov = rng.uniform(*view.roll_deg), rng.uniform(*view.vertical_fov_deg)
    follow = rng.uniform(*view.follow) if view.kind == "phone" else 0.0
    shake, shake_key = rng.uniform(*view.shake), int(rng.integers(2**32))
    lens = [rng.uniform(*bounds) for bounds in (view.k1, view.k2, view.tangential, view.tangential)]
    exposure, readout = rng.uniform(*view.exposure_s), rng.uniform(*view.readout_s)
    shot, read = noise_rand(rng, view.shot_noise)
    crf = int(rng.integers(view.crf[0], view.crf[1] + 1)) if view.crf is not None else None
    k1, k2, p1, p2 = lens if variation.distortion else np.zeros(4)
    return CameraDraw(
        view=view,
        azimuth_deg=float(azimuth),
        distance_m=float(distance),
        height_m=float(height),
        pitch_offset_deg=float(pitch),
        yaw_offset_deg=float(yaw),
        roll_deg=float(roll),
        vertical_fov_deg=float(fov),
        follow=float(follow),
        shake=float(shake) if variation.shake else 0.0,
        shake_key=shake_key,
        k1=float(k1),
        k2=float(k2),
        p1=float(p1),
        p2=float(p2),
        exposure_s=float(exposure) if variation.motion_blur else 0.0,
        readout_s=float(readout) if variation.rolling_shutter else 0.0,
        shot_noise=shot if variation.noise else 0.0,
        read_noise=read if variation.noise else 0.0,
        crf=crf,
    )
