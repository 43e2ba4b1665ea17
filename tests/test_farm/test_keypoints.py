import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from farm.axes import transform_points
from farm.gait.keypoints import MAX_TOE_FLEXION_RAD, bend_toe, keypoints_3d, mtp_centre, toe_flexion
from farm.records import GaitParameters
from farm.sampling.anatomy import KEYPOINT_STATIONS, KEYPOINTS, SOLE_Y_M, TOE_TIP_X_M, anatomy
from tests.norm_walk import norm_walk

BODY = anatomy(GaitParameters())
SMALL = anatomy(GaitParameters(stature_m=1.52, mass_kg=50.0, foot_proportion=0.95))


def foot(pitch: float, height: float, roll: float = 0.0) -> np.ndarray:
    """A foot whose MTP axis is `height` above the floor, toes down by `pitch`, tilted sideways by `roll`."""
    a, b = -pitch / 2, roll / 2  # about z, then about x (world)
    q = np.array([np.cos(b) * np.cos(a), np.sin(b) * np.cos(a), -np.sin(b) * np.sin(a), np.cos(b) * np.sin(a)])
    pose = np.concatenate([np.zeros(3), q])
    pose[1] = height - transform_points(pose, mtp_centre(BODY, "r"))[1]
    return pose


def tip(pose: np.ndarray) -> np.ndarray:
    """Where the sole's tip is, toes bent."""
    straight = BODY.point("calcn_r", (TOE_TIP_X_M, SOLE_Y_M, 0.0))
    return transform_points(pose, bend_toe(BODY, straight, toe_flexion(BODY, pose, "r"), "r"))


@given(st.floats(-0.5, 1.35), st.floats(0.0, 0.3), st.floats(-0.3, 0.3))
def test_toe_is_never_below_the_floor(pitch: float, height: float, roll: float) -> None:
    assert tip(foot(pitch, height, roll))[1] >= -1e-9


@given(st.floats(0.05, 1.3), st.floats(0.0, 0.004))
def test_a_toe_that_must_bend_lies_on_the_floor(pitch: float, height: float) -> None:
    """No more than needed: the tip touches."""
    pose = foot(pitch, height)
    bend = float(toe_flexion(BODY, pose, "r"))
    if 0 < bend < MAX_TOE_FLEXION_RAD:
        assert tip(pose)[1] == pytest.approx(0.0, abs=1e-9)
    if height == 0.0:
        assert bend == pytest.approx(min(pitch, MAX_TOE_FLEXION_RAD))


def test_a_lifted_or_flat_foot_has_straight_toes() -> None:
    assert toe_flexion(BODY, foot(0.5, 0.2), "r") == 0.0
    assert toe_flexion(BODY, foot(0.0, 0.0), "r") == pytest.approx(0.0, abs=1e-12)
    assert toe_flexion(BODY, foot(-0.4, 0.0), "r") == 0.0


def test_bending_keeps_the_toes_length_and_moves_nothing_behind_the_axis() -> None:
    centre = mtp_centre(BODY, "r")
    toe, heel = BODY.point("calcn_r", (0.24, -0.01, 0.01)), BODY.point("calcn_r", (0.0, 0.0, 0.0))
    bent = bend_toe(BODY, toe, np.array(0.7), "r")
    assert np.linalg.norm(bent - centre) == pytest.approx(np.linalg.norm(toe - centre))
    assert bent[1] > toe[1]
    assert bend_toe(BODY, heel, np.array(0.7), "r") == pytest.approx(heel)


def test_toes_bend_at_push_off_and_at_no_other_time() -> None:
    walk = norm_walk()
    bend = np.rad2deg(toe_flexion(BODY, walk.pose("calcn_r"), "r"))
    assert 20 < bend.max() < 70
    heel_strike = walk.ground_reaction[:, 0, 1] > 0
    first = np.flatnonzero(np.diff(heel_strike.astype(int)) == 1) + 1
    assert bend[first].max() == 0.0


def test_every_keypoint_is_its_station_of_its_body() -> None:
    walk = norm_walk(duration_s=1.0)
    points = keypoints_3d(BODY, walk.body_pose, walk.bodies)
    assert points.shape == (walk.n_samples, len(KEYPOINTS), 3)
    for k, name in enumerate(KEYPOINTS):
        if not name.endswith("big_toe"):
            segment, station = BODY.keypoint(name)
            assert points[:, k] == pytest.approx(transform_points(walk.pose(segment), station)), name
    assert set(KEYPOINT_STATIONS) == set(KEYPOINTS)


def test_right_is_right_up_is_up_and_front_is_front() -> None:
    walk = norm_walk(duration_s=2.0)
    points = dict(zip(KEYPOINTS, keypoints_3d(BODY, walk.body_pose, walk.bodies).transpose(1, 0, 2), strict=True))
    for part in ("shoulder", "hip", "ankle", "ear"):
        assert np.all(points[f"right_{part}"][:, 2] > points[f"left_{part}"][:, 2])
    assert np.all(points["nose"][:, 0] > points["right_ear"][:, 0])
    assert np.all(points["neck"][:, 1] > points["mid_trunk"][:, 1])
    assert np.all(points["right_big_toe"][:, 0] > points["right_heel"][:, 0])
    assert points["nose"][:, 1].max() < 1.80


def test_lengths_follow_the_anatomy() -> None:
    walk = norm_walk(GaitParameters(stature_m=1.52, mass_kg=50.0, foot_proportion=0.95), duration_s=1.0)
    points = dict(zip(KEYPOINTS, keypoints_3d(SMALL, walk.body_pose, walk.bodies).transpose(1, 0, 2), strict=True))
    shank = np.linalg.norm(points["right_ankle"] - points["right_knee"], axis=1)
    assert shank == pytest.approx(np.full(len(shank), 0.43 * SMALL.scale("tibia_r")))
    assert SMALL.scale("tibia_r") < BODY.scale("tibia_r")
