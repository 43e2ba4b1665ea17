"""Skirts and coats: who wears which, and how it is cut."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from farm.records import Sex
from farm.scene_config import PeopleVariation
from farm.seeds import branch
from scenes.colours import Rgb, pick
from scenes.drape import Cut, Drape
from scenes.figure import Figure
from scenes.garments import COAT_HEM_Y_M, TUCKED_M, WAIST_Y_M, coat_ease_m
from scenes.wardrobe import Clothes

_SKIRT_SHARE: dict[Sex, float] = {"female": 0.22, "male": 0.0}
_COAT_COLOURS: tuple[str, ...] = ("1d2026", "2a3346", "5a4a3a", "7d6a52", "3c4538", "8b8d90", "5e2329", "b3a184")
"""Shares and colours are design choices."""

_FOLD = 0.06
"""Depth of the folds at the hem for each unit of flare (m)."""

_SKIRT_LENGTH = (0.42, 0.64)
_COAT_LENGTH = (0.14, 0.50)
_SKIRT_FLARE = (0.05, 0.22)
_COAT_FLARE = (0.02, 0.12)
"""Hems, as shares of the way from the hip to the sole; the knee is half way. And metres of flare for each metre."""


@dataclass(frozen=True)
class Drapery:
    """How what hangs from a walker's hips is cut.

    Attributes:
        skirt_length, coat_length: Where the hem is: 0 at the hips, 1 at the soles; also where nobody wears one.
        skirt_flare, coat_flare: Metres by which the radius grows for each metre below the hips.
        coat: Whether a coat is worn over the shirt, with trousers.
    """

    skirt_length: float
    skirt_flare: float
    coat: bool
    coat_length: float
    coat_flare: float
    coat_colour: Rgb


NO_COAT = Drapery(
    skirt_length=0.5, skirt_flare=0.1, coat=False, coat_length=0.3, coat_flare=0.1, coat_colour=(0.2, 0.2, 0.2)
)


def drapery_rand(
    rng: np.random.Generator, variation: PeopleVariation, sex: Sex, clothes: Clothes
) -> tuple[Clothes, Drapery]:
    """Draw who wears a skirt instead of the trousers in `clothes`, or a coat, and how they are cut.

    Each is drawn apart from the other and from all other clothes, which stay as they are.
    """
    skirt_rng, coat_rng = branch(rng, ["skirt", "coat"])
    if skirt_rng.uniform() < _SKIRT_SHARE[sex] and "skirt" in variation.lower:
        clothes = replace(clothes, lower_kind="skirt")
    coat = coat_rng.uniform() < variation.coat_share and clothes.lower_kind != "skirt"
    return clothes, Drapery(
        skirt_length=float(skirt_rng.uniform(*_SKIRT_LENGTH)),
        skirt_flare=float(skirt_rng.uniform(*_SKIRT_FLARE)),
        coat=bool(coat),
        coat_length=float(coat_rng.uniform(*_COAT_LENGTH)),
        coat_flare=float(coat_rng.uniform(*_COAT_FLARE)),
        coat_colour=pick(coat_rng, _COAT_COLOURS, 0.04),
    )


def drapes(figure: Figure, clothes: Clothes, drapery: Drapery) -> dict[str, Drape]:
    """What hangs from one dressed person's hips, by name: "skirt", "coat", or nothing."""
    leg = float(figure.origins["femur_r"][1] - figure.floor_y)
    ease = clothes.lower_ease_m * figure.size
    if clothes.lower_kind == "skirt":
        return {
            "skirt": Drape(
                figure,
                Cut(
                    top_y_m=WAIST_Y_M,
                    length_m=drapery.skirt_length * leg,
                    waist_ease_m=max(0.5 * ease + 0.002, TUCKED_M if clothes.tucked else 0.0),
                    ease_m=ease + 0.006,
                    flare=drapery.skirt_flare,
                    fold_m=_FOLD * drapery.skirt_flare,
                ),
            )
        }
    if drapery.coat:
        over = coat_ease_m(figure, clothes)
        return {
            "coat": Drape(
                figure,
                Cut(
                    top_y_m=COAT_HEM_Y_M + 0.02,
                    length_m=drapery.coat_length * leg,
                    waist_ease_m=over + 0.002,
                    ease_m=over + 0.002,
                    flare=drapery.coat_flare,
                    fold_m=_FOLD * drapery.coat_flare,
                ),
            )
        }
    return {}
