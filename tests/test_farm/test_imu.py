"""Laws of the virtual sensors: rest, free fall, spin, and the second derivative of the way."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from farm.axes import GRAVITY_M_S2, rotate, transform_points
from farm.gait.imu import specific_force, virtual_imus
from farm.records import GaitParameters
from farm.sampling.anatomy import IMU_STATIONS, anatomy
from tests.norm_walk import norm_walk

STATION = np.array([0.1, -0.2, 0.05])
numbers = st.floats(-1.0, 1.0)
quaternions = st.tuples(numbers, numbers, numbers, numbers).filter(lambda q: np.linalg.norm(q) > 0.1)


def pose(quaternion: tuple[float, ...] = (1.0, 0.0, 0.0, 0.0)) -> np.ndarray:
    unit = np.array(quaternion) / np.linalg.norm(quaternion)
    return np.concatenate([[1.0, 2.0, 3.0], unit])[None]


def motion(angular: tuple[float, ...] = (0.0, 0.0, 0.0), linear: tuple[float, ...] = (0.0, 0.0, 0.0)) -> np.ndarray:
    return np.concatenate([angular, linear])[None]


def test_at_rest_it_reads_g_upwards() -> None:
    reading = specific_force(pose(), motion(), motion(), STATION)
    assert reading[0] == pytest.approx([0.0, GRAVITY_M_S2, 0.0])


@given(quaternions)
def test_at_rest_it_reads_g_along_the_vertical_in_every_posture(quaternion: tuple[float, ...]) -> None:
    placed = pose(quaternion)
    reading = specific_force(placed, motion(), motion(), STATION)
    assert np.linalg.norm(reading) == pytest.approx(GRAVITY_M_S2)
    assert rotate(placed[:, 3:], reading)[0] == pytest.approx([0.0, GRAVITY_M_S2, 0.0], abs=1e-9)


@given(quaternions)
def test_in_free_fall_it_reads_nothing(quaternion: tuple[float, ...]) -> None:
    falling = motion(linear=(0.0, -GRAVITY_M_S2, 0.0))
    assert specific_force(pose(quaternion), motion(linear=(3.0, -5.0, 1.0)), falling, STATION) == pytest.approx(
        np.zeros((1, 3)), abs=1e-12
    )


def test_spin_reads_centripetal_acceleration() -> None:
    """About z at w, a sensor at radius r along x reads -w^2 r along x (towards the axis), besides g."""
    reading = specific_force(pose(), motion((0.0, 0.0, 3.0)), motion(), np.array([0.5, 0.0, 0.0]))
    assert reading[0] == pytest.approx([-9.0 * 0.5, GRAVITY_M_S2, 0.0])


def test_angular_acceleration_reads_tangential_acceleration() -> None:
    reading = specific_force(pose(), motion(), motion((0.0, 0.0, 2.0)), np.array([0.5, 0.0, 0.0]))
    assert reading[0] == pytest.approx([0.0, GRAVITY_M_S2 + 2.0 * 0.5, 0.0])


@settings(deadline=None, max_examples=3)
@given(st.sampled_from([0.7, 1.25, 1.8]))
def test_reading_is_the_second_derivative_of_the_sensors_way(speed: float) -> None:
    """Independently of the formula: differentiate the sensor's positions twice, add g, turn into sensor axes."""
    body = anatomy(GaitParameters())
    walk = norm_walk(speed_m_s=speed, duration_s=3.0)
    force, rate = virtual_imus(body, walk.bodies, walk.body_pose, walk.body_velocity, walk.body_acceleration)
    assert force.shape == rate.shape == (walk.n_samples, len(IMU_STATIONS), 3)
    h = 1.0 / walk.sample_rate_hz
    for s, name in enumerate(IMU_STATIONS):
        segment, station = body.imu(name)
        placed = walk.pose(segment)
        way = transform_points(placed, station)
        # fourth-order second difference
        second = (-way[4:] + 16 * way[3:-1] - 30 * way[2:-2] + 16 * way[1:-3] - way[:-4]) / (12 * h * h)
        world = rotate(placed[2:-2, 3:], force[2:-2, s])
        expected = second + np.array([0.0, GRAVITY_M_S2, 0.0])
        assert np.sqrt(np.mean((world - expected) ** 2)) < 0.02 * np.sqrt(np.mean(expected**2)), name


def test_gyroscope_of_a_leg_reads_its_pitch_rate() -> None:
    body = anatomy(GaitParameters())
    walk = norm_walk(duration_s=2.0)
    _, rate = virtual_imus(body, walk.bodies, walk.body_pose, walk.body_velocity, walk.body_acceleration)
    thigh = walk.coordinate("pelvis_tilt") + walk.coordinate("hip_flexion_r")
    measured = rate[:, list(IMU_STATIONS).index("thigh_r")]
    slope = (thigh[:-4] - 8 * thigh[1:-3] + 8 * thigh[3:-1] - thigh[4:]) * walk.sample_rate_hz / 12
    assert measured[2:-2, 2] == pytest.approx(slope, abs=0.01 * np.ptp(slope))
    assert measured[:, :2] == pytest.approx(np.zeros((walk.n_samples, 2)), abs=1e-12)


def test_mean_reading_over_a_stride_is_g() -> None:
    """Nobody accelerates on average: over whole strides the world-frame reading averages to g."""
    body = anatomy(GaitParameters())
    walk = norm_walk()
    force, _ = virtual_imus(body, walk.bodies, walk.body_pose, walk.body_velocity, walk.body_acceleration)
    world = rotate(walk.pose("pelvis")[:, 3:], force[:, list(IMU_STATIONS).index("waist")])
    assert world.mean(axis=0) == pytest.approx([0.0, GRAVITY_M_S2, 0.0], abs=0.1)
