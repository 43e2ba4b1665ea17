"""One view of a campaign: where its camera stands, how it moves, its lens, shutter, sensor and compression.

Whatever is a range is drawn for each sample, evenly within it, and stored with the sample.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from pydantic import Field

from farm.frozen import Frozen
from farm.lens import undistort
from farm.ranges import closed_count, closed_range

ViewKind = Literal["fixed", "pan", "phone"]

WIDEST_DRAWN = 2.0
"""How many times as broad or high as the picture a pinhole's may become from which a distorted picture is made."""


class View(Frozen):
    """One camera: fixed; panning on the spot to follow the walker; or a phone in somebody's hand.

    `azimuth_deg` is where the camera stands as seen from the middle of the walk:
    0 ahead of the walker (who comes towards it), 90 to the walker's right, 180 behind.
    """

    name: str = Field(
        pattern=r"^[a-z][a-z0-9_]{0,31}$", description="what the view's arrays and columns are called after"
    )
    kind: ViewKind = Field(
        "fixed",
        description="fixed; pan: turns on the spot after the walker; phone: in a hand that turns and tilts after them",
    )
    azimuth_deg: float = Field(
        ge=-360.0, le=360.0, description="0 ahead of the walker, 90 to the walker's right, 180 behind"
    )
    azimuth_jitter_deg: float = Field(3.0, ge=0.0, le=45.0, description="most by which the azimuth differs from that")
    distance_m: closed_range(1.0, 40.0) = Field(  # type: ignore[valid-type]
        (2.5, 4.0),
        description="from the nearer end of the walk (fixed) or from its middle; more where `keep_in_view` asks for it",
    )
    height_m: closed_range(0.2, 8.0) = Field((0.9, 1.5), description="above the floor")  # type: ignore[valid-type]
    pitch_jitter_deg: float = Field(
        1.5, ge=0.0, le=20.0, description="most by which the camera looks above or below the walker's middle"
    )
    roll_deg: closed_range(-45.0, 45.0) = Field(  # type: ignore[valid-type]
        (-1.0, 1.0), description="turn about the optical axis, positive clockwise as the camera looks"
    )
    vertical_fov_deg: closed_range(15.0, 100.0) = Field(  # type: ignore[valid-type]
        (40.0, 55.0), description="angle between the picture's upper and lower edge, of the lens without distortion"
    )
    keep_in_view: bool = Field(
        True, description="step back until the whole walk is in the picture; false: stand and look as drawn"
    )
    follow: closed_range(0.0, 1.0) = Field(  # type: ignore[valid-type]
        (0.0, 0.0), description="phone: share of the walker's way that its holder goes along; 0 stands, 1 keeps pace"
    )
    shake: closed_range(0.0, 5.0) = Field(  # type: ignore[valid-type]
        (0.0, 0.0), description="sway and tremor of the hand that holds the camera; 1 is a usual hand's, 0 a tripod"
    )
    k1: closed_range(-0.5, 0.5) = Field(  # type: ignore[valid-type]
        (0.0, 0.0), description="lens distortion, Brown and Conrady's r^2 term; negative: a barrel"
    )
    k2: closed_range(-0.5, 0.5) = Field((0.0, 0.0), description="the r^4 term")  # type: ignore[valid-type]
    tangential: closed_range(-0.01, 0.01) = Field(  # type: ignore[valid-type]
        (0.0, 0.0), description="p1 and p2, each drawn alone: a lens that is not quite parallel to its sensor"
    )
    exposure_s: closed_range(0.0, 0.1) = Field(  # type: ignore[valid-type]
        (0.0, 0.0), description="how long a row is exposed: motion blur; 0 is none, and costs nothing"
    )
    readout_s: closed_range(0.0, 0.1) = Field(  # type: ignore[valid-type]
        (0.0, 0.0), description="from the first row's exposure to the last one's: rolling shutter; 0 is a global one"
    )
    shot_noise: closed_range(0.0, 0.1) = Field(  # type: ignore[valid-type]
        (0.0, 0.0),
        description="variance of the sensor's noise for each unit of light (white is 1); drawn evenly in its "
        "logarithm, with a read noise to match; 0 is none",
    )
    crf: closed_count(0, 51) | None = Field(  # type: ignore[valid-type]
        None, description="H.264 constant rate factor; null: that of `pictures`"
    )

    def lens_fault(self, image_size: tuple[int, int]) -> str | None:
        """Why some lens of these ranges cannot fill a picture of `image_size` (width, height), or None."""
        if not any((*self.k1, *self.k2, *self.tangential)):
            return None
        width, height = image_size
        fov = self.vertical_fov_deg[1]
        up = float(np.tan(np.deg2rad(fov) / 2))
        side = up * width / height
        edge = np.array([[x * side, y * up] for x in (-1.0, 0.0, 1.0) for y in (-1.0, 0.0, 1.0)])
        for k1 in self.k1:
            for k2 in self.k2:
                for p in sorted({0.0, *self.tangential}):
                    rays = undistort(edge, np.array([k1, k2, p, p, 0.0]))
                    if not np.isfinite(rays).all() or (np.abs(rays) > WIDEST_DRAWN * np.array([side, up])).any():
                        return (
                            f"{self.name}: a lens of k1 {k1}, k2 {k2} cannot fill a picture {fov} degrees high "
                            f"of {width}x{height} pixels; take k1 nearer to 0, more k2, or less vertical_fov_deg"
                        )
        return None


STANDARD_VIEWS: dict[str, View] = {
    # As in Yamada et al. (2025): F and B on the walkway's axis, side camera that rotates to follow.
    # Distances of fixed views are measured from the nearer end of the walk.
    "front": View(name="front", kind="fixed", azimuth_deg=0.0),
    "back": View(name="back", kind="fixed", azimuth_deg=180.0),
    "side": View(name="side", kind="pan", azimuth_deg=90.0, distance_m=(4.0, 6.0), vertical_fov_deg=(30.0, 42.0)),
    "oblique": View(name="oblique", azimuth_deg=45.0, azimuth_jitter_deg=15.0, height_m=(1.0, 1.8)),
    # Under the ceiling of a hall or on a lamp post: steep, wide, and not quite level.
    "surveillance": View(
        name="surveillance",
        azimuth_deg=30.0,
        azimuth_jitter_deg=20.0,
        distance_m=(1.5, 3.0),
        height_m=(2.6, 4.5),
        pitch_jitter_deg=3.0,
        vertical_fov_deg=(60.0, 85.0),
        k1=(-0.10, -0.05),
        k2=(0.01, 0.02),
        shot_noise=(0.0001, 0.0004),
    ),
    # Somebody beside the walkway films with a phone, at the height of chest or eyes, and may go along a little.
    "phone": View(
        name="phone",
        kind="phone",
        azimuth_deg=60.0,
        azimuth_jitter_deg=30.0,
        distance_m=(3.0, 5.0),
        height_m=(1.2, 1.7),
        pitch_jitter_deg=2.0,
        roll_deg=(-2.5, 2.5),
        vertical_fov_deg=(42.0, 60.0),
        follow=(0.0, 0.4),
        shake=(0.5, 1.5),
        k1=(-0.06, -0.01),
        k2=(0.0, 0.01),
        exposure_s=(0.002, 0.010),
        readout_s=(0.008, 0.025),
        shot_noise=(0.0001, 0.0004),
    ),
}
"""Views that a campaign may name, or take as the rest of its own (`like`)."""
