"""What one person looks like: skin, hair, clothes, shoes; and how that is drawn."""

from __future__ import annotations

import colorsys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from farm.records import Sex
from farm.scene_config import HairStyle, LowerGarment, Pattern, PeopleVariation, SleeveCut
from scenes.colours import Rgb, choose, pick, rgb

MONK_SKIN_TONES: tuple[str, ...] = (
    "f6ede4", "f3e7db", "f7ead0", "eadaba", "d7bd96", "a07e56", "825c43", "604134", "3a312a", "292420",
)  # fmt: skip
"""The ten tones of the Monk Skin Tone scale (Monk 2019, skintone.google), light to dark."""

_PALE_SKIN = np.array([0.93, 0.82, 0.76])
"""Swatches are flat patches on white; pale skin under a lamp would look like plaster without these factors."""

_HAIR_COLOURS: tuple[str, ...] = ("17120f", "2b1d14", "4a2f1c", "6e4a2a", "9a7040", "b9b3ac", "8a8680")
_GREY_HAIR: tuple[str, ...] = ("b9b3ac", "d8d4cf", "8a8680")
_SHOE_COLOURS: tuple[str, ...] = ("1b1b1d", "2c3138", "55402e", "8c8f94", "e6e4df", "7c2126", "25406b")
_SOLE_COLOURS: tuple[str, ...] = ("efece6", "d9d5cc", "3a3a3c", "a58a63")
_LOWER_COLOURS: tuple[str, ...] = (
    "1f2430", "2d3b55", "46587a", "23262a", "5b5148", "8b7d68", "b6a98f", "3b4a3a", "6b6e73", "11151c",
)  # fmt: skip
_SOCK_COLOURS: tuple[str, ...] = ("e4e4e2", "e4e4e2", "2a2c30", "6c7078", "3c4a66")

_HAIR: Mapping[Sex, Mapping[HairStyle, float]] = {
    "female": {"long": 0.36, "ponytail": 0.14, "bun": 0.16, "short": 0.22, "curly": 0.10, "crop": 0.02},
    "male": {"short": 0.48, "crop": 0.26, "bald": 0.12, "curly": 0.10, "long": 0.03, "ponytail": 0.01},
}
_SLEEVES: Mapping[SleeveCut, float] = {"short": 0.5, "long": 0.4, "cap": 0.1}
_LOWER: Mapping[Sex, Mapping[LowerGarment, float]] = {
    "female": {"long_trousers": 0.74, "short_trousers": 0.26},
    "male": {"long_trousers": 0.72, "short_trousers": 0.28},
}
_PATTERNS: Mapping[Pattern, float] = {
    "plain": 0.44, "stripes": 0.12, "hoops": 0.14, "checks": 0.14, "dots": 0.06, "yoke": 0.10,
}  # fmt: skip
_LOWER_PATTERNS: Mapping[LowerGarment, Mapping[Pattern, float]] = {
    "long_trousers": {"plain": 0.86, "stripes": 0.07, "checks": 0.07},
    "short_trousers": {"plain": 0.80, "stripes": 0.06, "checks": 0.14},
    "skirt": {"plain": 0.70, "stripes": 0.08, "checks": 0.22},
}
"""Shares are design choices: everyday clothes, with what is rare in a clinic common enough to be learnt."""


@dataclass(frozen=True)
class Clothes:
    """Colours and cut of one person.

    Attributes:
        shirt_ease_m, lower_ease_m: The cloth's distance from the skin.
        shirt_pattern_m, lower_pattern_m: How often the pattern repeats.
        tucked: Whether the shirt is worn inside the trousers.
        lower: Colour of the trousers.
    """

    skin: Rgb
    hair: Rgb
    hair_style: HairStyle
    shirt: Rgb
    shirt_accent: Rgb
    shirt_pattern: Pattern
    shirt_pattern_m: float
    sleeves: SleeveCut
    shirt_ease_m: float
    tucked: bool
    lower_kind: LowerGarment
    lower: Rgb
    lower_accent: Rgb
    lower_pattern: Pattern
    lower_pattern_m: float
    lower_ease_m: float
    shoes: Rgb
    soles: Rgb
    socks: Rgb
    fold_phase: float


def _cloth_colour_rand(rng: np.random.Generator) -> Rgb:
    """A shirt's colour: any hue, mostly muted, sometimes white or dark."""
    values = [rng.uniform(0.15, 0.35), rng.uniform(0.4, 0.75), rng.uniform(0.82, 0.93)]
    value = float(rng.choice(values, p=[0.25, 0.5, 0.25]))
    saturation = float(rng.uniform(0.05, 0.75) * (1.0 if value < 0.8 else 0.4))
    return colorsys.hsv_to_rgb(float(rng.uniform()), saturation, value)


def _accent_rand(rng: np.random.Generator, main: Rgb) -> Rgb:
    """A pattern's second colour: clearly lighter than a dark cloth, clearly darker than a light one."""
    hue, saturation, value = colorsys.rgb_to_hsv(*main)
    other = value + rng.uniform(0.22, 0.5) if value < 0.5 else value * rng.uniform(0.3, 0.65)
    other_hue = (hue + float(rng.choice([0.0, 0.0, 0.5, 0.08]))) % 1.0
    return colorsys.hsv_to_rgb(other_hue, saturation * float(rng.uniform(0.3, 1.0)), float(other))


def _among(rng: np.random.Generator, shares: Mapping[Any, float], allowed: Sequence[Any]) -> Any:
    """One of the allowed names in proportion to the shares; in equal ones where the shares have none of them."""
    left = {name: shares[name] for name in shares if name in allowed}
    return choose(rng, left or dict.fromkeys(dict.fromkeys(allowed), 1.0))


def _skin_rand(rng: np.random.Generator, tone: int) -> Rgb:
    """The colour of a tone of the Monk scale (1 to 10) as it looks under a lamp."""
    swatch = np.array(rgb(MONK_SKIN_TONES[tone - 1]))
    skin = swatch * (1.0 - swatch.mean() * (1.0 - _PALE_SKIN)) * rng.uniform(0.95, 1.03)
    return (float(skin[0]), float(skin[1]), float(skin[2]))


def clothes_rand(rng: np.random.Generator, variation: PeopleVariation, sex: Sex, age_years: float) -> Clothes:
    """Draw one person's looks, within what the campaign lets vary."""
    tone = variation.skin_tones[int(rng.integers(len(variation.skin_tones)))]
    grey = rng.uniform() < np.clip((age_years - 35.0) / 45.0, 0.0, 0.9)
    dark_hair = _HAIR_COLOURS[: 3 if tone >= 6 else len(_HAIR_COLOURS)]
    lower: LowerGarment = _among(rng, _LOWER[sex], variation.lower)
    shirt, lower_rgb = _cloth_colour_rand(rng), pick(rng, _LOWER_COLOURS, 0.03)
    suited = _LOWER_PATTERNS[lower]
    return Clothes(
        skin=_skin_rand(rng, tone),
        hair=pick(rng, _GREY_HAIR if grey else dark_hair),
        hair_style=_among(rng, _HAIR[sex], variation.hair),
        shirt=shirt,
        shirt_accent=_accent_rand(rng, shirt),
        shirt_pattern=_among(rng, _PATTERNS, variation.patterns),
        shirt_pattern_m=float(rng.uniform(*variation.pattern_m)),
        sleeves=_among(rng, _SLEEVES, variation.sleeves),
        shirt_ease_m=float(rng.uniform(*variation.shirt_ease_m)),
        tucked=bool(rng.uniform() < 0.35),
        lower_kind=lower,
        lower=lower_rgb,
        lower_accent=_accent_rand(rng, lower_rgb),
        lower_pattern=_among(rng, suited, [name for name in suited if name in variation.patterns] or ["plain"]),
        lower_pattern_m=float(rng.uniform(*variation.pattern_m)),
        lower_ease_m=float(rng.uniform(*variation.lower_ease_m)),
        shoes=pick(rng, _SHOE_COLOURS),
        soles=pick(rng, _SOLE_COLOURS),
        socks=pick(rng, _SOCK_COLOURS),
        fold_phase=float(rng.uniform(0.0, 2 * np.pi)),
    )
