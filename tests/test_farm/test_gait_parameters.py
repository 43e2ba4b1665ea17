import math
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from farm.gait.keypoints import keypoints_3d
from farm.gait.labels import gait_labels
from farm.gait.norm_walker import STANDARD_TRUNK_LEAN_RAD
from farm.gait.parameters import LABEL_COLUMNS
from farm.records import GaitLabels, GaitParameters, Trajectory
from farm.sampling.anatomy import anatomy
from tests.norm_walk import COST_OF_TRANSPORT, norm_walk, norm_walk_truth
from tests.walk_transforms import later, limping, mirrored, moved, turned

FORMAT_LABELS = (
    "gait_speed", "cadence", "step_length", "step_length_r", "step_length_l", "step_time", "step_time_r",
    "step_time_l", "stride_time", "stride_length", "step_width", "stance_fraction_r", "stance_fraction_l",
    "double_support_fraction", "swing_time_r", "swing_time_l", "step_length_asymmetry", "step_time_asymmetry",
    "stride_time_cv", "margin_of_stability_ml", "foot_clearance_min", "walk_ratio", "peak_knee_flexion_r",
    "peak_knee_flexion_l", "hip_range_r", "hip_range_l", "ankle_range_r", "ankle_range_l", "cost_of_transport",
    "n_strides",
)  # fmt: skip
WOMAN = GaitParameters(sex="female", stature_m=1.58, mass_kg=55.0)


@cache
def walk_of(speed: float, woman: bool = False) -> Trajectory:
    return norm_walk(WOMAN if woman else None, speed_m_s=speed)


def labels_of(walk: Trajectory, *, woman: bool = False) -> GaitLabels:
    return gait_labels(walk, anatomy(WOMAN if woman else GaitParameters()), frame_rate_hz=30.0)


def test_every_promised_label_is_there() -> None:
    names = [column.name for column in LABEL_COLUMNS]
    assert len(names) == len(set(names))
    assert set(FORMAT_LABELS) <= set(names)
    values = labels_of(walk_of(1.25)).values
    assert list(values) == names
    assert all(math.isfinite(value) for value in values.values())


@pytest.mark.parametrize("woman", [False, True])
@pytest.mark.parametrize("speed", [0.6, 1.25, 1.8])
def test_norm_walk_truth_is_recovered(speed: float, woman: bool) -> None:
    truth = norm_walk_truth(WOMAN if woman else None, speed_m_s=speed)
    values = labels_of(walk_of(speed, woman), woman=woman).values
    assert values["gait_speed"] == pytest.approx(speed, rel=0.002)
    for name in ("step_length", "step_length_r", "step_length_l"):
        assert values[name] == pytest.approx(truth.step_length_m, abs=0.005), name
    assert values["stride_length"] == pytest.approx(2 * truth.step_length_m, abs=0.005)
    assert values["stride_time"] == pytest.approx(truth.stride_time_s, rel=0.003)
    assert values["cadence"] == pytest.approx(120 / truth.stride_time_s, rel=0.003)
    for side in "rl":
        assert values[f"step_time_{side}"] == pytest.approx(truth.stride_time_s / 2, abs=0.004)
        assert values[f"stance_fraction_{side}"] == pytest.approx(truth.stance_fraction, abs=0.015)
        swing = (1 - truth.stance_fraction) * truth.stride_time_s
        assert values[f"swing_time_{side}"] == pytest.approx(swing, abs=0.012)
    assert values["double_support_fraction"] == pytest.approx(2 * truth.stance_fraction - 1, abs=0.02)
    assert values["cost_of_transport"] == pytest.approx(COST_OF_TRANSPORT, rel=0.003)
    assert values["trunk_lean_mean"] == pytest.approx(STANDARD_TRUNK_LEAN_RAD, abs=0.003)
    assert values["mean_vertical_force"] == pytest.approx(1.0, abs=0.01)
    assert values["stride_time_cv"] < 0.005
    assert abs(values["step_length_asymmetry"]) < 0.005
    assert 0.0 < values["foot_clearance_min"] < 0.06


def test_width_and_margin_follow_the_pelvis() -> None:
    """In the plane the feet stay under the hips: width and margin are what the bones say, for each size."""
    for woman in (False, True):
        body = anatomy(WOMAN if woman else GaitParameters())
        values = labels_of(walk_of(1.25, woman), woman=woman).values
        ankle = body.segments["femur_r"].joint_in_parent[2]
        heel = ankle - body.segments["calcn_r"].joint_in_body[2]
        assert values["step_width"] == pytest.approx(2 * heel, abs=1e-6)
        assert values["margin_of_stability_ml"] == pytest.approx(ankle, abs=1e-6)


@settings(max_examples=6, deadline=None)
@given(st.floats(0.5, 1.9), st.booleans(), st.booleans())
def test_identities(speed: float, woman: bool, limp: bool) -> None:
    parameters = WOMAN if woman else GaitParameters()
    walk = norm_walk(parameters, speed_m_s=speed)
    values = gait_labels(limping(walk) if limp else walk, anatomy(parameters), frame_rate_hz=30.0).values
    assert values["gait_speed"] == pytest.approx(values["step_length"] * values["cadence"] / 60, rel=0.01)
    assert values["stance_fraction_r"] + values["stance_fraction_l"] == pytest.approx(
        1 + values["double_support_fraction"], abs=0.004
    )
    assert values["step_length_r"] + values["step_length_l"] == pytest.approx(values["stride_length"], abs=0.004)
    assert values["step_time_r"] + values["step_time_l"] == pytest.approx(values["stride_time"], abs=0.003)
    for side in "rl":
        stance = values[f"stance_fraction_{side}"] * values["stride_time"]
        assert stance + values[f"swing_time_{side}"] == pytest.approx(values["stride_time"], abs=0.003)
    assert values["walk_ratio"] == pytest.approx(values["step_length"] / values["cadence"])
    assert values["stride_time"] == pytest.approx(120 / values["cadence"], rel=0.005)


def test_limp_is_seen_on_the_right_side() -> None:
    values = labels_of(limping(walk_of(1.25), delay_s=0.04, stiffness=0.7)).values
    # the right foot lands 40 ms late: its step takes 40 ms longer, the next one 40 ms less
    assert values["step_time_r"] - values["step_time_l"] == pytest.approx(0.08, abs=0.005)
    assert values["step_time_asymmetry"] > 0.05
    assert values["peak_knee_flexion_r"] == pytest.approx(0.7 * values["peak_knee_flexion_l"], rel=0.01)
    assert values["stride_time_cv"] < 0.005  # a limp is regular


def test_mirror_swaps_right_and_left() -> None:
    walk = limping(walk_of(1.25))
    seen, mirror = labels_of(walk).values, labels_of(mirrored(walk)).values
    for name, value in seen.items():
        other = {"_r": "_l", "_l": "_r"}.get(name[-2:])
        twin = mirror[name[:-2] + other] if other else mirror[name]
        expected = -value if name.endswith("asymmetry") else value
        assert twin == pytest.approx(expected, rel=1e-9, abs=1e-12), name


@settings(max_examples=5, deadline=None)
@given(st.floats(-50, 50), st.floats(-50, 50), st.floats(-math.pi, math.pi))
def test_place_and_direction_do_not_matter(dx: float, dz: float, yaw: float) -> None:
    walk = limping(walk_of(1.25))
    seen = labels_of(walk)
    other = labels_of(moved(turned(walk, yaw), dx, dz))
    assert other.values == pytest.approx(dict(seen.values), rel=1e-6, abs=1e-8)
    assert other.imu_acceleration == pytest.approx(seen.imu_acceleration, abs=1e-8)
    # a micrometre: pictures and keypoints follow the poses as they are stored, in single precision
    assert other.keypoints_3d[..., 1] == pytest.approx(seen.keypoints_3d[..., 1], abs=1e-6)


@settings(max_examples=5, deadline=None)
@given(st.floats(-100, 100))
def test_time_of_day_does_not_matter(seconds: float) -> None:
    walk = walk_of(1.25)
    seen, other = labels_of(walk), labels_of(later(walk, seconds))
    assert other.values == pytest.approx(dict(seen.values), rel=1e-6, abs=1e-8)
    assert other.event_time - seconds == pytest.approx(seen.event_time, abs=1e-9)
    assert other.keypoints_3d == pytest.approx(seen.keypoints_3d, abs=1e-9)


def test_first_two_steps_do_not_count() -> None:
    """A stumble in the first step changes no mean."""
    walk = walk_of(1.25)
    reaction = walk.ground_reaction.copy()
    reaction[: round(0.30 * 100), 0] = 0.0  # the first right strike comes 150 ms late
    seen, stumbled = labels_of(walk), labels_of(replace(walk, ground_reaction=reaction))
    assert stumbled.event_time[0] != pytest.approx(seen.event_time[0], abs=0.05)
    assert stumbled.values == pytest.approx(dict(seen.values))


@pytest.mark.parametrize("duration_s", [0.0, 0.01, 0.3, 1.0, 1.6])
def test_a_walk_that_ended_early_has_labels_without_values(duration_s: float) -> None:
    walk = norm_walk(duration_s=duration_s)
    labels = labels_of(walk)
    assert labels.values["n_strides"] == 0
    assert all(math.isnan(value) for name, value in labels.values.items() if name != "n_strides")
    assert labels.keypoints_3d.shape[0] == labels.n_frames >= 1
    assert np.all(np.isfinite(labels.keypoints_3d))
    assert labels.imu_acceleration.shape[0] == walk.n_samples


def test_a_foot_that_never_lifts_gives_no_whole_stride() -> None:
    walk = walk_of(1.25)
    reaction = walk.ground_reaction.copy()
    reaction[:, 1, 1] = 300.0
    values = labels_of(replace(walk, ground_reaction=reaction)).values
    assert values["n_strides"] == 0
    assert math.isnan(values["gait_speed"])


def test_frames_are_where_the_body_is() -> None:
    """Keypoints at 30 Hz lie on the motion sampled at 300 Hz."""
    walk = walk_of(1.25)
    labels = labels_of(walk)
    assert labels.n_frames == 301
    assert labels.frame_time[-1] == pytest.approx(10.0)
    at_samples = keypoints_3d(anatomy(GaitParameters()), walk.body_pose, walk.bodies)
    # every 100 ms both clocks agree, to what single precision keeps of a place 13 m away
    assert labels.keypoints_3d[::3] == pytest.approx(at_samples[::10], abs=2e-6)
    between = labels.keypoints_3d[1::3]  # at 33 ms, 3/10 of the way from sample 3 to sample 4
    straight = at_samples[3::10][: len(between)] * (2 / 3) + at_samples[4::10][: len(between)] * (1 / 3)
    assert np.abs(between - straight).max() < 0.003
