"""What one person looks like: skin, hair, clothes, shoes; and how that is drawn."""

from __future__ import annotations

import colorsys
from dataclasses import dataclass
from typing import Literal

import numpy as np

from farm.records import Sex
from farm.scene_config import PeopleVariation
from scenes.colours import Rgb, choose, pick, rgb

HairStyle = Literal["bald", "crop", "short", "long", "bun"]
SleeveCut = Literal["short", "long", "cap"]
TrouserCut = Literal["long", "short"]
ShirtPattern = Literal["plain", "hoops", "yoke"]

MONK_SKIN_TONES: tuple[str, ...] = (
    "f6ede4", "f3e7db", "f7ead0", "eadaba", "d7bd96", "a07e56", "825c43", "604134", "3a312a", "292420",
)  # fmt: skip
"""The ten tones of the Monk Skin Tone scale (Monk 2019, skintone.google), drawn uniformly."""

_PALE_SKIN = np.array([0.93, 0.82, 0.76])
"""Swatches are flat patches on white; pale skin under a lamp would look like plaster without these factors."""

_HAIR_COLOURS: tuple[str, ...] = ("17120f", "2b1d14", "4a2f1c", "6e4a2a", "9a7040", "b9b3ac", "8a8680")
_GREY_HAIR: tuple[str, ...] = ("b9b3ac", "d8d4cf", "8a8680")
_SHOE_COLOURS: tuple[str, ...] = ("1b1b1d", "2c3138", "55402e", "8c8f94", "e6e4df", "7c2126", "25406b")
_SOLE_COLOURS: tuple[str, ...] = ("efece6", "d9d5cc", "3a3a3c", "a58a63")
_TROUSER_COLOURS: tuple[str, ...] = (
    "1f2430", "2d3b55", "46587a", "23262a", "5b5148", "8b7d68", "b6a98f", "3b4a3a", "6b6e73", "11151c",
)  # fmt: skip


@dataclass(frozen=True)
class Clothes:
    """Colours and cut of one person; eases are the cloth's distance from the skin (m)."""

    skin: Rgb
    hair: Rgb
    hair_style: HairStyle
    shirt: Rgb
    shirt_accent: Rgb
    shirt_pattern: ShirtPattern
    sleeves: SleeveCut
    shirt_ease_m: float
    trousers: Rgb
    trouser_cut: TrouserCut
    trouser_ease_m: float
    shoes: Rgb
    soles: Rgb
    fold_phase: float


def _cloth_colour_rand(rng: np.random.Generator) -> Rgb:
    """A shirt's colour: any hue, mostly muted, sometimes white or dark."""
    values = [rng.uniform(0.15, 0.35), rng.uniform(0.4, 0.75), rng.uniform(0.82, 0.93)]
    value = float(rng.choice(values, p=[0.25, 0.5, 0.25]))
    saturation = float(rng.uniform(0.05, 0.75) * (1.0 if value < 0.8 else 0.4))
    return colorsys.hsv_to_rgb(float(rng.uniform()), saturation, value)


def clothes_rand(
    rng: np.random.Generator,
    variation: PeopleVariation,  # noqa: ARG001
    sex: Sex,
    age_years: float,
) -> Clothes:
    """Draw one person's looks, within what the campaign lets vary."""
    tone = int(rng.integers(len(MONK_SKIN_TONES)))
    grey = rng.uniform() < np.clip((age_years - 35.0) / 45.0, 0.0, 0.9)
    dark_hair = _HAIR_COLOURS[: 3 if tone >= 5 else len(_HAIR_COLOURS)]
    if sex == "female":
        styles = {"long": 0.45, "bun": 0.25, "short": 0.28, "crop": 0.02}
    else:
        styles = {"short": 0.55, "crop": 0.28, "bald": 0.12, "long": 0.05}
    swatch = np.array(rgb(MONK_SKIN_TONES[tone]))
    skin = swatch * (1.0 - swatch.mean() * (1.0 - _PALE_SKIN)) * rng.uniform(0.95, 1.03)
    return Clothes(
        skin=(float(skin[0]), float(skin[1]), float(skin[2])),
        hair=pick(rng, _GREY_HAIR if grey else dark_hair),
        hair_style=choose(rng, styles),
        shirt=_cloth_colour_rand(rng),
        shirt_accent=_cloth_colour_rand(rng),
        shirt_pattern=choose(rng, {"plain": 0.6, "hoops": 0.25, "yoke": 0.15}),
        sleeves=choose(rng, {"short": 0.6, "long": 0.3, "cap": 0.1}),
        shirt_ease_m=float(rng.uniform(0.008, 0.020)),
        trousers=pick(rng, _TROUSER_COLOURS, 0.03),
        trouser_cut=choose(rng, {"long": 0.72, "short": 0.28}),
        trouser_ease_m=float(rng.uniform(0.004, 0.014)),
        shoes=pick(rng, _SHOE_COLOURS),
        soles=pick(rng, _SOLE_COLOURS),
        fold_phase=float(rng.uniform(0.0, 2 * np.pi)),
    )
