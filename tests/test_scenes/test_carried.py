"""Canes and frames: who holds which, and that they stay in the hand and on the floor."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from farm.gait.labels import gait_labels
from farm.records import GaitLabels, Side
from farm.sampling.anatomy import anatomy
from farm.scene_config import AidShare, AidsVariation
from scenes.aids import FRAME_ARM_SWING, NO_AIDS, Aids, aids_rand
from scenes.body import BONES
from scenes.carried import GRIP_HALF_M, TIP_LIFT_M, carried, planted, stances
from scenes.figure import GRIP_GENERIC_M, Figure
from scenes.motion import Motion
from scenes.passer_by import PasserBy
from tests.norm_walk import norm_walk
from tests.test_scenes.people import PEOPLE

EVERYBODY = tuple(AidShare(condition=condition, share=1.0) for condition in ("antalgic", "parkinsonian"))
ALL = AidsVariation(cane=EVERYBODY, walker_frame=EVERYBODY, ankle_orthosis=EVERYBODY)
HOLDING: dict[Side, Aids] = {
    side: Aids("none", (1, 1, 1), (0, 0, 0), cane=side, frame=False, held_colour=(0.5, 0.4, 0.3))
    for side in ("right", "left")
}
FRAME = Aids("none", (1, 1, 1), (0, 0, 0), cane="none", frame=True, held_colour=(0.5, 0.4, 0.3))


def drawn(condition: str, side: Side, arm_swing: float = 1.0, variation: AidsVariation = ALL) -> list[Aids]:
    return [aids_rand(np.random.default_rng(n), variation, condition, side, arm_swing) for n in range(40)]


@cache
def held(name: str, aids: Aids) -> tuple[Figure, Motion, GaitLabels, PasserBy]:
    parameters = PEOPLE[name]
    body, walk = anatomy(parameters), norm_walk(parameters, duration_s=4.0)
    figure, motion = Figure(body, parameters.sex), Motion(body, walk)
    labels = gait_labels(walk, body, frame_rate_hz=30.0)
    (thing,) = carried(figure, aids, motion, labels)
    return figure, motion, labels, thing


def grips(figure: Figure, motion: Motion, times: np.ndarray, side: str) -> np.ndarray:
    bone = motion.bones(times)[:, BONES.index(f"radius_{side}")]
    return np.asarray(bone[:, :3, :3] @ figure.body.point(f"radius_{side}", GRIP_GENERIC_M[side]) + bone[:, :3, 3])


def test_a_cane_is_held_on_the_side_of_the_better_leg() -> None:
    assert {aids.cane for aids in drawn("antalgic", "right")} == {"left"}
    assert {aids.cane for aids in drawn("antalgic", "left")} == {"right"}
    assert {aids.cane for aids in drawn("antalgic", "none")} == {"right", "left"}
    assert {aids.cane for aids in drawn("healthy", "none")} == {"none"}


def test_a_frame_is_held_by_quiet_arms_alone_and_never_with_a_cane() -> None:
    quiet, swinging = drawn("parkinsonian", "both", FRAME_ARM_SWING), drawn("parkinsonian", "both", 0.5)
    assert all(aids.frame and aids.cane == "none" and aids.holding_sides == "rl" for aids in quiet)
    assert not any(aids.frame for aids in swinging)
    assert all(aids.cane != "none" for aids in swinging)


def test_kinds_are_drawn_apart() -> None:
    for kinds in ((), ("cane",), ("ankle_orthosis",), ("walker_frame",)):
        some = drawn("parkinsonian", "right", 0.2, ALL.model_copy(update={"kinds": kinds}))
        for aids, every in zip(some, drawn("parkinsonian", "right", 0.2), strict=True):
            assert aids.orthosis == (every.orthosis if "ankle_orthosis" in kinds else "none")
            assert aids.frame == ("walker_frame" in kinds)
            assert aids.cane == ("left" if "cane" in kinds else "none")
            assert aids.held_colour == every.held_colour


def test_who_holds_nothing_has_nothing() -> None:
    figure, motion, labels, _ = held("generic man", FRAME)
    assert carried(figure, NO_AIDS, motion, labels) == ()


@pytest.mark.parametrize("name", PEOPLE)
@pytest.mark.parametrize("side", ["right", "left"])
def test_a_cane_stays_in_the_hand_and_stands_still_while_the_other_foot_does(name: str, side: Side) -> None:
    figure, motion, labels, cane = held(name, HOLDING[side])
    times = np.arange(labels.frame_time[0], labels.frame_time[-1], 0.01)
    bones = cane.bones_at(times)
    assert bones[:, 0, :3, 3] == pytest.approx(grips(figure, motion, times, side[0]), abs=1e-9)
    tip = bones[:, 1, :3, 3]
    assert tip[:, 1].min() >= 0.0
    assert tip[:, 1].max() <= TIP_LIFT_M + 1e-9
    begin, end = stances(labels, "l" if side == "right" else "r")
    stood = 0
    for first, last in zip(begin, end, strict=True):
        during = tip[(times > first) & (times < first + 0.75 * (last - first))]
        assert np.ptp(during, axis=0).max(initial=0.0) < 1e-9
        stood += len(during)
    assert stood > 0.3 * len(times)
    assert (tip[-1] - tip[0]) @ (bones[-1, 0, :3, 3] - bones[0, 0, :3, 3]) > 0, "it comes along"
    turn = bones[:, 1, :3, :3]
    assert turn @ np.swapaxes(turn, 1, 2) == pytest.approx(np.broadcast_to(np.eye(3), turn.shape), abs=1e-9)
    lean = np.rad2deg(np.arccos(turn[:, 1, 1]))
    assert lean.max() < 35.0


@pytest.mark.parametrize("name", PEOPLE)
def test_a_canes_tubes_stay_in_each_other(name: str) -> None:
    _, _, labels, cane = held(name, HOLDING["right"])
    bones = cane.bones_at(labels.frame_time)
    apart = np.linalg.norm(bones[:, 0, :3, 3] - bones[:, 1, :3, 3], axis=-1)
    owner = cane.mesh.owner()
    upper_end, lower_end = -cane.mesh.vertices[owner == 0, 1].min(), cane.mesh.vertices[owner == 1, 1].max()
    assert (upper_end + lower_end - apart).min() > 0.02, "they overlap"
    assert (apart - lower_end).min() > 0.02, "the lower one ends below the handle"


@given(st.lists(st.tuples(st.floats(0.1, 1.5), st.floats(0.1, 1.0)), min_size=1, max_size=6))
def test_a_tip_stands_at_its_place_and_moves_without_a_jump(phases: list[tuple[float, float]]) -> None:
    ends = np.cumsum([length for phase in phases for length in phase])
    begin, end = np.concatenate([[0.0], ends[1:-1:2]]), ends[::2]
    plants = np.stack([np.arange(len(begin)) * 0.7, np.zeros(len(begin)), np.ones(len(begin))], axis=1)
    times = np.arange(-0.5, ends[-1] + 0.5, 1e-3)
    place = planted(times, plants, begin, end)
    for plant, first, last in zip(plants, begin, end, strict=True):
        during = place[(times >= first) & (times <= last)]
        assert during == pytest.approx(np.broadcast_to(plant, during.shape), abs=1e-9)
    assert np.linalg.norm(np.diff(place, axis=0), axis=1).max() < 0.02


def test_events_count_as_they_are_stored() -> None:
    labels = held("generic man", FRAME)[2]
    stored = labels.event_time.astype(np.float32).astype(float)
    assert not np.array_equal(stored, labels.event_time)
    for side in "rl":
        for begin_or_end in stances(labels, side):
            within = (begin_or_end > labels.frame_time[0]) & (begin_or_end < labels.frame_time[-1])
            assert np.isin(begin_or_end[within], stored).all()


@pytest.mark.parametrize("name", PEOPLE)
def test_a_frame_rolls_upright_on_the_floor_between_the_hands(name: str) -> None:
    figure, motion, labels, frame = held(name, FRAME)
    bones = frame.bones_at(labels.frame_time)
    assert bones[:, 0, 1, 1] == pytest.approx(1.0)
    assert bones[:, 0, 1, 3] == pytest.approx(0.0)
    assert frame.mesh.vertices[:, 1].min() == pytest.approx(0.0, abs=1e-6)
    right, left = (grips(figure, motion, labels.frame_time, side) for side in "rl")
    local = [np.einsum("fji,fj->fi", bones[:, 0, :3, :3], hand - bones[:, 0, :3, 3]) for hand in (right, left)]
    bars = [frame.mesh.vertices[frame.mesh.owner() == bone] for bone in (0, 5)]
    for hand, bar in zip(local, bars, strict=True):
        middle = 0.5 * (bar.min(axis=0) + bar.max(axis=0))
        assert np.ptp(bar[:, 0]) == pytest.approx(2 * GRIP_HALF_M)
        assert hand[:, 0].mean() == pytest.approx(middle[0], abs=0.06)
        assert np.abs(hand[:, 2] - middle[2]).max() < 0.05
        assert abs(hand[:, 1].mean() - middle[1]) < 0.03
