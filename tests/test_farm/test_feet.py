"""The sole: a rolling foot does not slip, a pushed one slips by as much as it is pushed."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from farm.axes import transform_points
from farm.gait.feet import SOLE_PADS, sole_height, sole_slip
from farm.records import GaitParameters
from farm.sampling.anatomy import anatomy

BODY = anatomy(GaitParameters(stature_m=1.7))
SCALE = BODY.scale("calcn_r")
HEEL, BALL = SOLE_PADS


def poses(pitch: np.ndarray, center: np.ndarray, pad: int) -> np.ndarray:
    """Feet turned by `pitch` (toes down) whose pad's centre is at `center` `[T, 3]`."""
    zero = np.zeros_like(pitch)
    pose = np.stack([zero, zero, zero, np.cos(pitch / 2), zero, zero, -np.sin(pitch / 2)], axis=1)
    pose[:, :3] = center - transform_points(pose, BODY.point("calcn_r", SOLE_PADS[pad].center))
    return pose


def rolling(radius: float, from_rad: float, to_rad: float, pad: int, extra_m: float = 0.0) -> np.ndarray:
    """The pad rolls on the floor from one pitch to another in a second, pushed forward by `extra_m` besides."""
    share = np.linspace(0.0, 1.0, 101)
    pitch = from_rad + share * (to_rad - from_rad)
    center = np.stack([radius * (pitch - from_rad) + share * extra_m, 0 * pitch + radius, 0 * pitch], axis=1)
    return poses(pitch, center, pad)


def test_a_flat_foot_stands_on_both_pads() -> None:
    foot = poses(np.zeros(3), np.array([[0.0, HEEL.radius_m * SCALE, 0.0]] * 3), 0)
    # the ball's spheres reach 2 mm lower than the heel's
    assert sole_height(BODY, foot, "r") == pytest.approx(np.array([[0.0, -0.002 * SCALE]] * 3))


@given(st.floats(0.2, 1.2))
def test_rolling_over_the_ball_is_no_slip(pitch: float) -> None:
    foot = rolling(BALL.radius_m * SCALE, 0.1, pitch, 1)
    assert sole_slip(BODY, foot, "r").sum() < 1e-4


@given(st.floats(0.0, 0.3), st.floats(-0.3, 0.3))
def test_a_push_is_measured_whole(pitch: float, push_m: float) -> None:
    foot = rolling(BALL.radius_m * SCALE, 0.1, 0.1 + pitch, 1, extra_m=push_m)
    assert sole_slip(BODY, foot, "r").sum() == pytest.approx(abs(push_m), abs=1e-4)


def test_turning_on_the_spot_about_the_ball_without_rolling_slips() -> None:
    """The centre stays, the sphere spins: its bottom sweeps radius times angle."""
    pitch = np.linspace(0.1, 0.6, 101)
    center = np.tile([0.0, BALL.radius_m * SCALE, 0.0], (101, 1))
    assert sole_slip(BODY, poses(pitch, center, 1), "r").sum() == pytest.approx(0.5 * BALL.radius_m * SCALE, rel=1e-3)
