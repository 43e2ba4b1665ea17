"""Passers-by: feet stay where they stand, walks go where and as fast as was drawn, and nothing floats or sinks."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from scenes.body import BONES, Skin
from scenes.passer_by import GIRTH_M, PasserByDraw, Way, passer_by, passer_by_rand

STEP_S = 0.02
TIME = np.arange(60) * STEP_S


def drawn(seed: int, walking_share: float) -> PasserByDraw:
    return passer_by_rand(np.random.default_rng(seed), walking_share)


@pytest.mark.parametrize("seed", [1, 2])
def test_the_standing_foot_of_somebody_who_walks_does_not_slide(seed: int) -> None:
    draw = drawn(seed, 1.0)
    person = passer_by(draw, Way(1.0, -2.0, np.deg2rad(draw.turn_deg), draw.speed_m_s), TIME)
    skin = Skin(person.mesh)
    posed = np.stack([skin.pose(bones)[0] for bones in person.bones])[:, person.mesh.shoe]
    assert -0.001 < posed[..., 1].min() < 0.004
    low = (posed[1:, :, 1] < 0.003) & (posed[:-1, :, 1] < 0.003)
    speed = np.linalg.norm(np.diff(posed, axis=0)[..., [0, 2]], axis=-1) / STEP_S
    assert low.sum() > 200
    assert np.median(speed[low]) < 0.05 * draw.speed_m_s
    assert np.quantile(speed[low], 0.9) < 0.25 * draw.speed_m_s


@pytest.mark.parametrize(("turn_deg", "sign"), [(0.0, 1.0), (180.0, -1.0)])
def test_somebody_who_walks_is_where_the_way_says(turn_deg: float, sign: float) -> None:
    draw = dataclasses.replace(drawn(3, 1.0), turn_deg=turn_deg)
    way = Way(1.0, -2.0, np.deg2rad(turn_deg), draw.speed_m_s)
    person = passer_by(draw, way, TIME)
    assert person.moves
    pelvis = person.bones[:, 0, :3, 3]
    assert np.abs(pelvis[:, 0] - 1.0 - sign * draw.speed_m_s * TIME).max() < 0.12, "a walking body sways along"
    assert np.abs(pelvis[:, 2] + 2.0).max() < 0.01
    assert np.sign(person.bones[0, 0, 0, 0]) == sign, "looks where it goes"
    low, high = way.space(TIME, draw.stature_m)
    assert (person.bones[..., :3, 3] > low[:, None]).all()
    assert (person.bones[..., :3, 3] < high[:, None]).all()
    assert np.allclose(person.bones_at(TIME[7:9]), person.bones[7:9])


@pytest.mark.parametrize("seed", [4, 5, 6])
def test_somebody_who_stands_stands_still_on_both_feet(seed: int) -> None:
    draw = drawn(seed, 0.0)
    person = passer_by(draw, Way(0.0, 3.0, 0.7, 0.0), TIME)
    assert not person.moves
    assert np.array_equal(person.bones[0], person.bones[-1])
    posed = Skin(person.mesh).pose(person.bones[0])[0]
    for side in ("r", "l"):
        foot = person.mesh.weights[:, BONES.index(f"calcn_{side}")] > 0.5
        assert -0.001 < posed[foot, 1].min() < 0.006
    assert abs(posed[:, 1].max() - draw.stature_m) < 0.06
    assert np.hypot(posed[:, 0], posed[:, 2] - 3.0).max() < 2.0 * GIRTH_M
