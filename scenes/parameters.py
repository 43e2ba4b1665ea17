"""Everything that was drawn for one sample's pictures: person, place, light, cameras.

Each part is drawn from a stream of its own (`farm.seeds`), so that other clothes
do not move the cameras, and everything else in `scenes` is a function of what
was drawn: a sample's pictures follow from (seed of the scenes, sample id).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from types import MappingProxyType
from typing import Any

import numpy as np

from farm.config import MAX_SAMPLES, Campaign, View
from farm.records import Sex, Side
from farm.scene_config import SceneGroup, SceneVariation
from farm.seeds import Stream, branch, generator
from scenes.aids import Aids, aids_rand
from scenes.drapery import Drapery, drapery_rand
from scenes.light import Light, light_rand
from scenes.place import Place, place_rand
from scenes.viewpoint import CameraDraw, camera_rand
from scenes.wardrobe import Clothes, clothes_rand

GROUPS: Mapping[Stream, SceneGroup] = MappingProxyType(
    {
        Stream.SCENE: "people", Stream.AIDS: "people", Stream.DRAPERY: "people", Stream.PLACE: "place",
        Stream.LIGHT: "light", Stream.CAMERAS: "cameras",
    }
)  # fmt: skip
"""Which of a campaign's groups (`scene: vary`) each stream draws."""

SHARED = MAX_SAMPLES
"""Stands for the sample's number where all samples have the same draw; no sample has this number."""


@dataclass(frozen=True)
class SceneParameters:
    """Everything that was drawn for one sample's pictures."""

    clothes: Clothes
    drapery: Drapery
    aids: Aids
    place: Place
    light: Light
    cameras: tuple[CameraDraw, ...]

    def record(self) -> dict[str, Any]:
        """As plain values, for the dataset's index."""
        drawn = {name: asdict(getattr(self, name)) for name in ("clothes", "drapery", "aids", "place", "light")}
        return {**drawn, "cameras": {camera.view.name: camera.record() for camera in self.cameras}}


def scene_generator(campaign: Campaign, sample_id: int, stream: Stream) -> np.random.Generator:
    """The generator of one of the `GROUPS` of a sample's scene."""
    own = GROUPS[stream] in campaign.scene.vary
    return generator(campaign.scene_seed, stream, sample_id if own else SHARED)


def scene_parameters_rand(
    rng_of: Callable[[Stream], np.random.Generator],
    *,
    variation: SceneVariation,
    views: Sequence[View],
    sex: Sex = "male",
    age_years: float = 40.0,
    condition: str = "healthy",
    side: Side = "none",
    arm_swing: float = 1.0,
) -> SceneParameters:
    """Draw one scene.

    Args:
        rng_of: The sample's generator of each stream, such as `scene_generator` gives.
        variation: What the campaign lets vary.
        views: The campaign's views, in order.
        sex: Shifts the shares of hair styles and cuts; none is excluded but by chance.
        age_years: The older, the more grey hair.
        condition, side: What the walker has and which legs are affected, which aids are for.
        arm_swing: How much the arms swing, relative to the generic.
    """
    cameras = branch(rng_of(Stream.CAMERAS), [view.name for view in views])
    clothes = clothes_rand(rng_of(Stream.SCENE), variation.people, sex, age_years)
    clothes, drapery = drapery_rand(rng_of(Stream.DRAPERY), variation.people, sex, clothes)
    return SceneParameters(
        clothes=clothes,
        drapery=drapery,
        aids=aids_rand(rng_of(Stream.AIDS), variation.aids, condition, side, arm_swing),
        place=place_rand(rng_of(Stream.PLACE), variation.place),
        light=light_rand(rng_of(Stream.LIGHT), variation.light),
        cameras=tuple(camera_rand(rng, view, variation.cameras) for rng, view in zip(cameras, views, strict=True)),
    )
