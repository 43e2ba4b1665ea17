"""The campaign's `scene` section: what of the pictures may vary, and how much.

Every field narrows what is drawn for a sample; what was drawn is stored with it.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from farm.condition_name import ConditionName
from farm.frozen import Frozen
from farm.ranges import closed_count, closed_range

PlaceKind = Literal["corridor", "gait_lab", "living_room", "gym", "street"]
HairStyle = Literal["bald", "crop", "short", "curly", "long", "ponytail", "bun"]
SleeveCut = Literal["cap", "short", "long"]
Pattern = Literal["plain", "stripes", "hoops", "checks", "dots", "yoke"]
LowerGarment = Literal["long_trousers", "short_trousers", "skirt"]
AidKind = Literal["ankle_orthosis", "cane", "walker_frame"]

MONK_TONES = 10
"""Tones of the Monk Skin Tone scale."""


class PeopleVariation(Frozen):
    """Looks of the walkers.

    Of garments, patterns and hair, those that are named may be drawn, in the proportions that
    `scenes.wardrobe` has for a walker's sex and age.
    """

    skin_tones: tuple[Annotated[int, Field(ge=1, le=MONK_TONES)], ...] = Field(
        tuple(range(1, MONK_TONES + 1)),
        min_length=1,
        description="tones of the Monk Skin Tone scale, 1 light to 10 dark, each as often as it is named",
    )
    hair: tuple[HairStyle, ...] = Field(
        ("bald", "crop", "short", "curly", "long", "ponytail", "bun"), min_length=1, description="hair styles"
    )
    sleeves: tuple[SleeveCut, ...] = Field(("cap", "short", "long"), min_length=1, description="sleeves of shirts")
    lower: tuple[LowerGarment, ...] = Field(
        ("long_trousers", "short_trousers", "skirt"), min_length=1, description="what is worn below the waist"
    )
    coat_share: float = Field(
        0.12, ge=0.0, le=1.0, description="share of the walkers in trousers who wear a coat over their shirt; 0 none"
    )
    patterns: tuple[Pattern, ...] = Field(
        ("plain", "stripes", "hoops", "checks", "dots", "yoke"),
        min_length=1,
        description="patterns of shirts; trousers and skirts have those that suit them, or none",
    )
    pattern_m: closed_range(0.02, 0.20) = Field(  # type: ignore[valid-type]
        (0.03, 0.12), description="how often patterns repeat: a stripe and the gap after it (m)"
    )
    shirt_ease_m: closed_range(0.003, 0.04) = Field(  # type: ignore[valid-type]
        (0.006, 0.020), description="how far shirts stand off the skin (m)"
    )
    lower_ease_m: closed_range(0.002, 0.03) = Field(  # type: ignore[valid-type]
        (0.004, 0.016), description="how far trousers and skirts stand off the skin (m)"
    )


class AidShare(Frozen):
    """How often walkers with one condition have an aid."""

    condition: ConditionName
    share: float = Field(ge=0.0, le=1.0)


_ORTHOSIS_SHARES = {
    "foot_drop": 0.6, "hemiparesis": 0.4, "diplegia": 0.4, "plantarflexor_weakness": 0.35, "crouch": 0.3,
    "equinus_hyperreflexia": 0.3, "equinus_contracture": 0.15,
}  # fmt: skip


_CANE_SHARES = {
    "antalgic": 0.35, "hemiparesis": 0.35, "knee_extensor_weakness": 0.3, "myopathy": 0.25,
    "hip_extensor_weakness": 0.25, "sarcopenia": 0.2, "cerebellar_ataxia": 0.2, "diplegia": 0.15,
    "plantarflexor_weakness": 0.15, "parkinsonian": 0.15, "foot_drop": 0.1,
}  # fmt: skip
_FRAME_SHARES = {"parkinsonian": 0.5}


def _shares(share: dict[str, float]) -> tuple[AidShare, ...]:
    return tuple(AidShare(condition=condition, share=value) for condition, value in share.items())


class AidsVariation(Frozen):
    """What walkers wear and carry against an impairment. It is drawn on top of the simulated gait and changes none."""

    kinds: tuple[AidKind, ...] = Field(
        ("ankle_orthosis", "cane", "walker_frame"),
        description="aids that there may be; `[]` for none. The others are drawn as ever",
    )
    ankle_orthosis: tuple[AidShare, ...] = Field(
        _shares(_ORTHOSIS_SHARES),
        description="shares of the walkers with a condition who wear one, on each affected leg; of conditions that are "
        "not named, none",
    )
    cane: tuple[AidShare, ...] = Field(
        _shares(_CANE_SHARES), description="the same of a cane, held on the side of the better leg"
    )
    walker_frame: tuple[AidShare, ...] = Field(
        _shares(_FRAME_SHARES),
        description="the same of a frame on wheels, of those whose arms swing too little to slip off its grips",
    )


class PlaceVariation(Frozen):
    """Where they walk."""

    kinds: tuple[PlaceKind, ...] = Field(
        ("corridor", "gait_lab", "living_room", "gym", "street"),
        min_length=1,
        description="places to draw from, each as often as it is named",
    )
    furniture: closed_count(0, 30) = Field(  # type: ignore[valid-type]
        (6, 16), description="how many pieces are drawn; those that find no room are left out"
    )
    passers_by: closed_count(0, 4) = Field(  # type: ignore[valid-type]
        (0, 2),
        description="other people who are drawn; those whom the place does not suit or who find no room are left out",
    )
    walking_share: float = Field(
        0.6, ge=0.0, le=1.0, description="share of the other people who walk past; the others stand"
    )
    foreground_share: float = Field(
        0.12,
        ge=0.0,
        le=1.0,
        description="share of the samples in which a piece of furniture or another person may come between a camera "
        "and the walker and hide part of the walk; 0 never",
    )


class LightVariation(Frozen):
    """How it is lit, and how the cameras are set to that light."""

    lamp_elevation_deg: closed_range(25.0, 85.0) = Field(  # type: ignore[valid-type]
        (48.0, 78.0), description="how high the lamp that casts the shadows stands"
    )
    lamp_breadth_deg: closed_range(0.5, 30.0) = Field(  # type: ignore[valid-type]
        (0.5, 14.0), description="how broad that lamp looks: 0.5 is the sun's hard shadow, 30 a wide ceiling's soft one"
    )
    fill: closed_range(0.0, 0.6) = Field(  # type: ignore[valid-type]
        (0.0, 0.35), description="strength of a second, low lamp without shadows, such as a window"
    )
    warmth: closed_range(-1.0, 1.0) = Field(  # type: ignore[valid-type]
        (-0.6, 1.0), description="colour of the lamps: -1 bluish, 1 yellowish"
    )
    exposure_ev: closed_range(-3.0, 3.0) = Field(  # type: ignore[valid-type]
        (-0.6, 0.6), description="stops by which pictures are brighter (positive) or darker than well exposed"
    )
    white_balance_k: closed_range(2500.0, 15000.0) = Field(  # type: ignore[valid-type]
        (5000.0, 8500.0),
        description="colour temperature that the camera takes for white; 6500 leaves colours as they are",
    )


class CameraVariation(Frozen):
    """What cameras do to pictures, for all views alike; how much of it is each view's own (`pictures: views`).

    What is switched off is drawn all the same, so that nothing else changes with it.
    """

    shake: bool = Field(True, description="hands sway and tremble; false: every camera stands on a tripod")
    distortion: bool = Field(True, description="lenses bend straight lines; false: pinholes")
    motion_blur: bool = Field(True, description="rows are exposed for a time; false: for an instant")
    rolling_shutter: bool = Field(True, description="rows are exposed one after the other; false: all at once")
    noise: bool = Field(True, description="sensors add shot and read noise; false: none")


SceneGroup = Literal["people", "place", "light", "cameras"]
"""What varies together, and apart from everything else; walkers' aids vary with the people."""


class SceneVariation(Frozen):
    """The `scene` section."""

    seed: int | None = Field(
        None,
        ge=0,
        lt=2**63,
        description="of all that is drawn for the pictures; null: the campaign's seed. Another one gives the same "
        "gaits other scenes",
    )
    vary: tuple[SceneGroup, ...] = Field(
        ("people", "place", "light", "cameras"),
        description="what differs from sample to sample; what is not named is drawn once, for all samples alike",
    )
    people: PeopleVariation = PeopleVariation()
    aids: AidsVariation = AidsVariation()
    place: PlaceVariation = PlaceVariation()
    light: LightVariation = LightVariation()
    cameras: CameraVariation = CameraVariation()
