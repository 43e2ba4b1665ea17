"""The light of a scene and how a camera is set to it, and how both are drawn."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from farm.scene_config import LightVariation
from scenes.surface import Array

DAYLIGHT_K = 6500.0
"""Colour temperature at which a camera leaves the picture as it is: sRGB's own white."""

_LINEAR_SRGB_FROM_XYZ = np.array(
    [[3.2404542, -1.5371385, -0.4985314], [-0.9692660, 1.8760108, 0.0415560], [0.0556434, -0.2040259, 1.0572252]]
)
"""IEC 61966-2-1."""


@dataclass(frozen=True)
class Light:
    """A main lamp that casts shadows, a second one that casts none, light from everywhere, and the camera's setting.

    Attributes:
        direction: Unit vector in which the main lamp's light travels, world axes (points down).
        key: Strength of the main lamp; ambient: strength of the surrounding light; sums to about 1 on a lit floor.
        warmth: -1 bluish to 1 yellowish.
        lamp_breadth_deg: How broad the main lamp looks from the floor; shadows are the softer (the sun: 0.5).
        fill_direction: Unit vector of the second lamp's light, from a window or from lamps farther off.
        fill: Strength of the second lamp.
        exposure_ev: By how many stops the camera's exposure lies above (brighter) or below the right one.
        white_balance_k: Colour temperature (K) that the camera takes for white; below 6500 the picture turns bluish.
    """

    direction: tuple[float, float, float]
    key: float
    ambient: float
    warmth: float
    lamp_breadth_deg: float
    fill_direction: tuple[float, float, float]
    fill: float
    exposure_ev: float
    white_balance_k: float

    def camera_gain(self) -> NDArray[np.float64]:
        """What exposure and white balance multiply linear red, green and blue by: `[3]`."""
        balance = _white(DAYLIGHT_K) / _white(self.white_balance_k)
        return np.asarray(2.0**self.exposure_ev * balance / balance[1])


def light_rand(rng: np.random.Generator, variation: LightVariation) -> Light:
    """Draw one light and camera setting, within what the campaign lets vary."""
    key = float(rng.uniform(0.42, 0.62))
    ambient = float(rng.uniform(0.95, 1.08) - key)
    fill = float(rng.uniform(*variation.fill))
    return Light(
        direction=_direction(rng.uniform(0.0, 2 * np.pi), rng.uniform(*variation.lamp_elevation_deg)),
        key=key,
        ambient=ambient * (1.0 - 0.5 * fill),
        warmth=float(rng.uniform(*variation.warmth)),
        lamp_breadth_deg=float(np.exp(rng.uniform(*np.log(variation.lamp_breadth_deg)))),
        fill_direction=_direction(rng.uniform(0.0, 2 * np.pi), rng.uniform(8.0, 35.0)),
        fill=fill,
        exposure_ev=float(rng.uniform(*variation.exposure_ev)),
        white_balance_k=float(1.0 / rng.uniform(*sorted(1.0 / np.array(variation.white_balance_k)))),
    )


def _direction(azimuth: float, elevation_deg: float) -> tuple[float, float, float]:
    """Unit vector of light that comes from this azimuth (rad, about y) and elevation."""
    up = np.deg2rad(elevation_deg)
    return (
        float(-np.cos(up) * np.cos(azimuth)),
        float(-np.sin(up)),
        float(-np.cos(up) * np.sin(azimuth)),
    )


def _white(kelvin: float) -> Array:
    """Linear sRGB `[3]` of a black body, brightest channel not fixed.

    Chromaticity after Kim et al. 2002 (US patent 7024034), good to 1e-3 between 1667 K and 25000 K.
    """
    t = 1e3 / kelvin
    if kelvin < 4000.0:
        x = ((-0.2661239 * t - 0.2343589) * t + 0.8776956) * t + 0.179910
    else:
        x = ((-3.0258469 * t + 2.1070379) * t + 0.2226347) * t + 0.240390
    if kelvin < 2222.0:
        y = ((-1.1063814 * x - 1.34811020) * x + 2.18555832) * x - 0.20219683
    elif kelvin < 4000.0:
        y = ((-0.9549476 * x - 1.37418593) * x + 2.09137015) * x - 0.16748867
    else:
        y = ((3.0817580 * x - 5.87338670) * x + 3.75112997) * x - 0.37001483
    return np.asarray(_LINEAR_SRGB_FROM_XYZ @ np.array([x / y, 1.0, (1.0 - x - y) / y]))
