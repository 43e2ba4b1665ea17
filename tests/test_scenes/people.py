"""Bodies and scenes that the tests of pictures share."""

from __future__ import annotations

import numpy as np

from farm.config import Pictures
from farm.records import GaitParameters
from farm.scene_config import SceneVariation
from farm.seeds import generator
from scenes.parameters import SceneParameters, scene_parameters_rand

PEOPLE: dict[str, GaitParameters] = {
    "generic man": GaitParameters(),
    "small heavy woman": GaitParameters(sample_id=1, sex="female", stature_m=1.50, mass_kg=72.0, age_years=70.0),
    "tall thin man with a short right leg": GaitParameters(
        sample_id=2, stature_m=1.95, mass_kg=70.0, leg_length_difference_m=-0.04
    ),
    "thin woman": GaitParameters(sample_id=3, sex="female", stature_m=1.68, mass_kg=52.0, arm_proportion=0.95),
    "heavy man": GaitParameters(sample_id=4, stature_m=1.78, mass_kg=112.0, trunk_proportion=1.05),
}


def scene(parameters: GaitParameters, seed: int = 1) -> SceneParameters:
    """What a campaign with this seed draws for this sample."""
    return scene_parameters_rand(
        lambda stream: generator(seed, stream, parameters.sample_id),
        variation=SceneVariation(),
        views=Pictures().views,
        sex=parameters.sex,
        age_years=parameters.age_years,
    )


def standing_pose(origins: dict[str, np.ndarray], bodies: tuple[str, ...], floor_y: float) -> np.ndarray:
    """Poses `[1, B, 7]` of a body that stands upright on the floor."""
    pose = np.zeros((1, len(bodies), 7))
    pose[0, :, 3] = 1.0
    for number, name in enumerate(bodies):
        pose[0, number, :3] = origins[name] - np.array([0.0, floor_y, 0.0])
    return pose
