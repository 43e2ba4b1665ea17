"""The reflex controller's laws: bounds, mirror symmetry, delays, phases."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from farm.control.archive import archive, nearest
from farm.control.reflex import (
    BASE_STIMULATION,
    GAIN_NAMES,
    GAIN_NAMES_3D,
    HIP_DELAY_S,
    LEG_SENSES,
    SENSES,
    SENSES_3D,
    DelayLine,
    LegGains,
    ReflexController,
)
from farm.errors import CampaignError
from farm.records import MUSCLE_GROUPS, MUSCLES, SPATIAL

STEP_S = 0.005
# The published order of magnitude of every gain (normalised 1), and a second leg that differs.
GAINS = LegGains.from_normalised(np.ones(len(GAIN_NAMES)))
OTHER = LegGains.from_normalised(np.linspace(0.8, 1.2, len(GAIN_NAMES)))

standing = np.zeros(len(SENSES))
for _side in "rl":
    standing[SENSES.index(f"load_{_side}")] = 0.5
    standing[SENSES.index(f"phi_hip_{_side}")] = math.pi
    standing[SENSES.index(f"phi_knee_{_side}")] = math.pi - 0.1
    standing[SENSES.index(f"phi_ankle_{_side}")] = math.pi / 2

any_senses = hnp.arrays(float, (12, len(SENSES)), elements=st.floats(-4.0, 4.0))


def exchanged(senses: np.ndarray) -> np.ndarray:
    legs = len(LEG_SENSES)
    return np.concatenate([senses[:4], senses[4 + legs :], senses[4 : 4 + legs]])


@settings(max_examples=40, deadline=None)
@given(any_senses)
def test_stimulations_stay_between_the_base_and_one(sequence: np.ndarray) -> None:
    controller = ReflexController((GAINS, OTHER), STEP_S)
    for senses in sequence:
        stimulation = np.array(controller.step(senses))
        assert stimulation.shape == (len(MUSCLES),)
        assert stimulation.min() >= BASE_STIMULATION
        assert stimulation.max() <= 1.0


@settings(max_examples=40, deadline=None)
@given(any_senses)
def test_exchanging_the_legs_exchanges_the_muscles(sequence: np.ndarray) -> None:
    one, mirrored = ReflexController((GAINS, OTHER), STEP_S), ReflexController((OTHER, GAINS), STEP_S)
    count = len(MUSCLE_GROUPS)
    for senses in sequence:
        trailing = senses[[4 + 1, 4 + len(LEG_SENSES) + 1]]
        if trailing[0] == trailing[1]:  # a tie in double support goes to the left leg
            continue
        ours, theirs = one.step(senses), mirrored.step(exchanged(senses))
        if abs(_lead(senses)) > 1e-9:
            assert ours[:count] == pytest.approx(theirs[count:])
            assert ours[count:] == pytest.approx(theirs[:count])


def _lead(senses: np.ndarray) -> float:
    """How much more the right leg trails than the left, against each one's own target."""
    alpha = [senses[4 + i * len(LEG_SENSES) + 1] - 0.5 * senses[4 + i * len(LEG_SENSES) + 3] for i in (0, 1)]
    target = [g.values["c0"] - g.values["cv"] * senses[3] for g in (GAINS, OTHER)]
    return float((alpha[0] - target[0]) - (alpha[1] - target[1]))


@pytest.mark.parametrize("scale", [1.0, 1.5, 2.0])
def test_a_signal_arrives_after_its_delay(scale: float) -> None:
    line = DelayLine(STEP_S, scale)
    silent = np.zeros(len(SENSES))
    loud = np.ones(len(SENSES))
    line.push(silent)
    arrived = [line.push(loud).copy() for _ in range(12)]
    for name, delay in (("pelvis_pitch", HIP_DELAY_S), ("phi_knee_r", 0.010), ("phi_ankle_l", 0.020)):
        column = SENSES.index(name)
        steps = delay * scale / STEP_S
        for i, vector in enumerate(arrived):
            expected = min(max(i + 1 - steps, 0.0), 1.0)
            assert vector[column] == pytest.approx(expected), (name, i)


def test_a_loaded_calf_calls_for_more_calf_and_only_in_stance() -> None:
    def soleus(load: float) -> float:
        controller = ReflexController((GAINS, GAINS), STEP_S)
        senses = standing.copy()
        senses[SENSES.index("load_r")] = load
        senses[SENSES.index("force_soleus_r")] = 0.5
        for _ in range(10):
            out = controller.step(senses)
        return out[MUSCLES.index("soleus_r")]

    assert soleus(0.9) > BASE_STIMULATION + 0.05
    assert soleus(0.0) == pytest.approx(BASE_STIMULATION)


def test_gains_of_the_wrong_number_are_refused() -> None:
    with pytest.raises(ValueError, match="37 finite reflex gains, in three dimensions 46; got 3"):
        LegGains.from_normalised([1.0, 2.0, 3.0])
    with pytest.raises(ValueError, match="finite"):
        LegGains.from_normalised([math.nan] * len(GAIN_NAMES))


SPATIAL_GAINS = LegGains.from_normalised(np.ones(len(GAIN_NAMES_3D)))


def sideways(**changes: float) -> dict[str, float]:
    """Stimulations over the base of the four frontal muscles, by name, of somebody standing on the right leg."""
    controller = ReflexController((SPATIAL_GAINS, SPATIAL_GAINS), STEP_S)
    senses = np.zeros(len(SENSES_3D))
    senses[: len(SENSES)] = standing
    senses[SENSES.index("load_r")], senses[SENSES.index("load_l")] = 1.0, 0.0
    for name, value in changes.items():
        senses[SENSES_3D.index(name)] = value
    for _ in range(10):
        out = dict(zip(SPATIAL.muscles, controller.step(senses), strict=True))
    return {name: out[name] - BASE_STIMULATION for name in out if name.startswith(("hip_abd", "hip_add"))}


def test_a_trunk_that_falls_inwards_is_held_by_the_stance_legs_abductors() -> None:
    target = SPATIAL_GAINS.values["theta_tgt_f"]
    falling_in, falling_out = sideways(trunk_roll=-0.1), sideways(trunk_roll=target + 0.1)
    assert falling_in["hip_abd_r"] > 0.1
    assert falling_in["hip_add_r"] == pytest.approx(0.0)
    assert falling_out["hip_add_r"] > 0.1
    assert falling_out["hip_abd_r"] == pytest.approx(0.0)


def test_a_body_that_moves_to_a_side_swings_its_leg_to_that_side() -> None:
    """The left leg swings: moving left (negative) it abducts, moving right it adducts."""
    left, right = sideways(lateral_velocity=-2.0), sideways(lateral_velocity=2.0)
    assert left["hip_abd_l"] > right["hip_abd_l"]
    assert right["hip_add_l"] > left["hip_add_l"]


def test_the_frontal_plane_is_mirrored() -> None:
    """Exchanging the legs and turning every sideways sense round exchanges the muscles."""
    gains = [LegGains.from_normalised(np.linspace(a, b, len(GAIN_NAMES_3D))) for a, b in ((0.8, 1.2), (1.3, 0.7))]
    one, mirrored = ReflexController((gains[0], gains[1]), STEP_S), ReflexController((gains[1], gains[0]), STEP_S)
    rng = np.random.default_rng(4)
    count = len(SPATIAL.muscle_groups)
    for _ in range(200):
        senses = np.concatenate([standing + rng.normal(0.0, 0.3, len(SENSES)), rng.normal(0.0, 0.3, 5)])
        other = np.concatenate([exchanged(senses[: len(SENSES)]), -senses[24:27], senses[[28, 27]]])
        ours, theirs = one.step(senses), mirrored.step(other)
        assert ours[:count] == pytest.approx(theirs[count:])
        assert ours[count:] == pytest.approx(theirs[:count])


def test_legs_of_different_dimensions_are_refused() -> None:
    with pytest.raises(ValueError, match="both legs need gains for the frontal plane, or neither"):
        ReflexController((GAINS, SPATIAL_GAINS), STEP_S)


def test_the_archive_offers_the_walker_that_is_most_like() -> None:
    rows = [row for row in archive() if row.condition == "healthy" and not row.explored]
    for row in rows:
        found = nearest("healthy", 0.0, "none", row.speed_m_s, row.leg_length_m)[0]
        if found is not row:  # somebody nearly as near, whose gains carry more people
            assert found.speed_m_s == pytest.approx(row.speed_m_s, abs=0.2)
            assert found.robustness > row.robustness or found.speed_m_s == pytest.approx(row.speed_m_s, abs=1e-9)
    with pytest.raises(CampaignError, match="no walker for condition 'levitation'"):
        nearest("levitation", 0.0, "none", 1.0, 0.9)


def test_the_archive_does_not_offer_the_walkers_of_maps(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [row for row in archive() if row.condition == "healthy" and not row.explored]
    odd = dataclasses.replace(rows[0], name="odd", source="explore map", robustness=1.0)
    monkeypatch.setattr("farm.control.archive.archive", lambda body_model: (odd, *rows))
    offered = nearest("healthy", 0.0, "none", odd.speed_m_s, odd.leg_length_m, count=99)
    assert offered
    assert {row.name for row in offered} <= {row.name for row in rows}


def test_who_is_far_off_does_not_compete_with_who_is_near() -> None:
    for severity in (0.2, 0.9):
        offered = nearest("foot_drop", severity, "both", 1.0, 0.9, count=99)
        assert 3 <= len(offered) < 24
        assert all(abs(row.severity - severity) <= 0.3 for row in offered[:3])


def test_of_two_that_walk_alike_the_archive_offers_whose_gains_carry_more_people(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    row = archive()[0]
    frail, robust = (dataclasses.replace(row, name=str(share), robustness=share) for share in (0.1, 0.9))
    monkeypatch.setattr("farm.control.archive.archive", lambda body_model: (frail, robust))
    offered = nearest(row.condition, row.severity, row.side, row.speed_m_s, row.leg_length_m)
    assert [walker.name for walker in offered] == ["0.9"]


def test_names_in_the_archive_are_unique() -> None:
    names = [row.name for row in archive()]
    assert len(names) == len(set(names))
