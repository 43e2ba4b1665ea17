"""Clothes as drawn: within what the campaign lets vary, and everything of it."""

from __future__ import annotations

from typing import Any, get_args

import numpy as np
import pytest

from farm.scene_config import HairStyle, LowerGarment, Pattern, PeopleVariation, SleeveCut
from scenes.wardrobe import MONK_SKIN_TONES, Clothes, clothes_rand


def drawn(count: int, **fields: Any) -> list[Clothes]:
    """So many people's clothes, women and men of all ages."""
    rng = np.random.default_rng(7)
    variation = PeopleVariation(**fields)
    return [clothes_rand(rng, variation, "female" if n % 2 else "male", 20.0 + n % 60) for n in range(count)]


def test_everything_that_may_vary_does() -> None:
    people = drawn(400)
    for field, kind in {
        "hair_style": HairStyle, "sleeves": SleeveCut, "shirt_pattern": Pattern, "tucked": None,
    }.items():  # fmt: skip
        assert {getattr(one, field) for one in people} == (set(get_args(kind)) if kind else {True, False})
    assert {one.lower_kind for one in people} == set(get_args(LowerGarment)) - {"skirt"}, "drawn in scenes.drapery"
    assert len({one.lower_pattern for one in people}) >= 3
    lightness = np.array([np.mean(one.skin) for one in people])
    assert np.histogram(lightness, bins=4, range=(0.1, 0.9))[0].min() >= 20, "skin tones of the whole scale"
    assert len(MONK_SKIN_TONES) == 10


@pytest.mark.parametrize(
    ("field", "allowed", "of"),
    [
        ("hair", ("bald",), lambda one: one.hair_style),
        ("hair", ("crop", "bun"), lambda one: one.hair_style),
        ("sleeves", ("long",), lambda one: one.sleeves),
        ("lower", ("short_trousers",), lambda one: one.lower_kind),
        ("patterns", ("dots",), lambda one: one.shirt_pattern),
        ("patterns", ("stripes", "plain"), lambda one: one.lower_pattern),
    ],
)
def test_only_what_the_campaign_names_is_drawn(field: str, allowed: tuple[str, ...], of: Any) -> None:
    assert {of(one) for one in drawn(60, **{field: allowed})} == set(allowed)


def test_a_skin_tone_and_fits_can_be_held() -> None:
    people = drawn(20, skin_tones=(10,), shirt_ease_m=(0.01, 0.01), lower_ease_m=(0.005, 0.006), pattern_m=(0.05, 0.06))
    for one in people:
        assert np.mean(one.skin) < 0.2
        assert one.shirt_ease_m == 0.01
        assert 0.005 <= one.lower_ease_m <= 0.006
        assert min(one.shirt_pattern_m, one.lower_pattern_m) >= 0.05
        assert max(one.shirt_pattern_m, one.lower_pattern_m) <= 0.06


def test_a_patterns_two_colours_can_be_told_apart() -> None:
    for one in drawn(100):
        assert abs(max(one.shirt) - max(one.shirt_accent)) > 0.15
        assert abs(max(one.lower) - max(one.lower_accent)) > 0.05
        for colour in (one.skin, one.shirt, one.shirt_accent, one.lower, one.lower_accent, one.socks):
            assert min(colour) >= 0.0
            assert max(colour) <= 1.0
