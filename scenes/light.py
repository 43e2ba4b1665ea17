"""The light of a scene, and how it is drawn."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from farm.scene_config import LightVariation


@dataclass(frozen=True)
class Light:
    """One far lamp that casts shadows, and light from everywhere.

    Attributes:
        direction: Unit vector in which the light travels, world axes (points down).
        key: Strength of the lamp; ambient: strength of the surrounding light; sums to about 1 on a lit floor.
        warmth: -1 bluish to 1 yellowish.
    """

    direction: tuple[float, float, float]
    key: float
    ambient: float
    warmth: float


def light_rand(rng: np.random.Generator, variation: LightVariation) -> Light:  # noqa: ARG001
    """Draw one light, within what the campaign lets vary."""
    azimuth = rng.uniform(0.0, 2 * np.pi)
    elevation = np.deg2rad(rng.uniform(48.0, 78.0))
    key = float(rng.uniform(0.42, 0.62))
    return Light(
        direction=(
            float(-np.cos(elevation) * np.cos(azimuth)),
            float(-np.sin(elevation)),
            float(-np.cos(elevation) * np.sin(azimuth)),
        ),
        key=key,
        ambient=float(rng.uniform(0.95, 1.08) - key),
        warmth=float(rng.uniform(-0.6, 1.0)),
    )
