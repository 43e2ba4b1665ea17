"""One person's dimensions: what was asked for is exact, and legs of different length differ by what was asked for."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from farm.records import MAX_LEG_DIFFERENCE_M, GaitParameters
from farm.sampling.anatomy import KEYPOINT_STATIONS, SEGMENTS, Anatomy, anatomy
from workers.simulate.description import describe


def hip_to_ankle_m(body: Anatomy, side: str) -> float:
    """Straight leg, joint by joint, as an engine reads it."""
    knee, ankle = (np.array(body.segments[f"{name}_{side}"].joint_in_parent) for name in ("tibia", "calcn"))
    return -float(knee[1] + ankle[1])


@settings(max_examples=50, deadline=None)
@given(st.floats(-MAX_LEG_DIFFERENCE_M, MAX_LEG_DIFFERENCE_M), st.floats(1.5, 2.0), st.floats(0.9, 1.1))
def test_legs_differ_by_what_was_drawn_and_nothing_else_does(difference_m: float, stature_m: float, k: float) -> None:
    even = GaitParameters(stature_m=stature_m, thigh_proportion=k, sex="female")
    limping = anatomy(replace(even, leg_length_difference_m=difference_m))
    straight = anatomy(even)
    assert hip_to_ankle_m(limping, "r") - hip_to_ankle_m(limping, "l") == pytest.approx(difference_m, abs=1e-12)
    longer = "r" if difference_m > 0.0 else "l"
    assert hip_to_ankle_m(limping, longer) == hip_to_ankle_m(straight, longer)
    assert (limping.stature_m, limping.leg_length_m) == (straight.stature_m, straight.leg_length_m)
    assert sum(segment.mass_kg for segment in limping.segments.values()) == pytest.approx(even.mass_kg)
    shortened = {f"{name}_{'l' if difference_m > 0.0 else 'r'}" for name in ("femur", "tibia")}
    for name in set(SEGMENTS) - shortened:
        assert limping.scale(name) == straight.scale(name)


def test_the_short_leg_carries_its_keypoints_and_its_muscles_keep_their_working_length() -> None:
    even = GaitParameters()
    short_right = replace(even, leg_length_difference_m=-0.04)
    body, straight = anatomy(short_right), anatomy(even)
    ratio = hip_to_ankle_m(body, "r") / hip_to_ankle_m(straight, "r")
    _, ankle = body.keypoint("right_ankle")
    np.testing.assert_allclose(ankle, ratio * straight.keypoint("right_ankle")[1])
    assert KEYPOINT_STATIONS["right_ankle"][0] == "tibia_r"
    for muscle, before in zip(describe(short_right).muscles, describe(even).muscles, strict=True):
        fibre = muscle.optimal_fiber_length_m / before.optimal_fiber_length_m
        tendon = muscle.tendon_slack_length_m / before.tendon_slack_length_m
        assert fibre == pytest.approx(tendon)
        assert (fibre < 1.0 - 1e-6) == muscle.name.endswith("_r"), muscle.name


def test_legs_further_apart_than_anybody_walks_on_are_refused() -> None:
    with pytest.raises(ValueError, match=r"leg_length_difference_m must be from -0.15 to 0.15 m, got 0.4"):
        GaitParameters(leg_length_difference_m=0.4)
