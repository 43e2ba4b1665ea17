"""Pictured shoes on the floor, of walks that the physics made: each foot that stands, stands on it."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from farm.config import load_campaign
from farm.gait.labels import gait_labels
from farm.sampling.anatomy import anatomy
from farm.sampling.draw import gait_parameters_rand
from scenes.body import BONES, Skin, body_mesh, bone_transforms
from scenes.carried import stances
from scenes.figure import Figure
from tests.test_scenes.people import scene
from workers.simulate.engines import simulate

SAMPLES = (1, 2)
DURATION_S = 4.0


@pytest.mark.parametrize("sample", SAMPLES)
def test_the_sole_of_a_standing_foot_neither_sinks_nor_floats(sample: int) -> None:
    """From strike to off a foot's own shoe is within 6 mm of the floor and never below it.

    The physics' feet are soft and sink by up to 3 cm; the pictured soles are flattened by as much.
    """
    campaign = load_campaign("demo")
    person = gait_parameters_rand(campaign, sample)
    walk = simulate(person, engine="twin", seed=campaign.seed, duration_s=DURATION_S, budget_s=120.0)
    assert walk.duration_s > 0.9 * DURATION_S, walk.end_detail
    body = anatomy(person)
    figure = Figure(body, person.sex, person.age_years)
    labels = gait_labels(walk, body, frame_rate_hz=30.0)
    mesh = body_mesh(figure, scene(person).clothes, cell_m=0.03)
    moments = np.arange(len(walk.body_pose)) / walk.sample_rate_hz
    bones = bone_transforms(body, walk.body_pose, walk.bodies)
    skin, hard = Skin(mesh), Skin(dataclasses.replace(mesh, shoe=np.zeros_like(mesh.shoe)))
    seen = 0
    for side in "rl":
        foot = mesh.shoe & np.isin(mesh.owner(), [BONES.index(f"calcn_{side}"), BONES.index(f"toes_{side}")])
        for first, last in zip(*stances(labels, side), strict=True):
            if first <= labels.frame_time[0] or last >= labels.frame_time[-1]:
                continue  # cut off by the film, not by the foot
            for number in np.flatnonzero((moments >= first) & (moments <= last))[::6]:
                lowest = skin.pose(bones[number])[0][foot, 1].min()
                assert 0.0 < lowest < 0.006
                assert hard.pose(bones[number])[0][foot, 1].min() > -0.03
                seen += 1
    assert seen > 30
