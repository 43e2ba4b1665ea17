"""Forward simulation: a gait emerges, obeys mechanics, is the same twice, and ends with a name when it fails."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from farm.axes import GRAVITY_M_S2, rotate
from farm.control.archive import archive
from farm.control.reflex import GAIN_NAMES
from farm.control.similarity import rescale_gains
from farm.records import GaitParameters, Trajectory
from farm.sampling.anatomy import GENERIC_STATURE_M, anatomy
from workers.simulate.engines import simulate


def healthy(**changes: object) -> GaitParameters:
    # Found for the generic man; maps keep odd ones, and the others' gains are for bodies of other sizes.
    rows = [row for row in archive() if row.condition == "healthy" and row.source.startswith("cmaes")]
    row = min(rows, key=lambda r: abs(r.speed_m_s - 1.2))
    person = GaitParameters(
        stature_m=GENERIC_STATURE_M,
        target_speed_m_s=row.target_speed_m_s,
        reflex_gain_names=GAIN_NAMES,
        reflex_gains=row.gains,
    )
    return dataclasses.replace(person, **changes)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def walk() -> Trajectory:
    return simulate(healthy(), engine="opensim", seed=0, duration_s=10.0, budget_s=300.0)


def test_it_walks_ten_seconds_from_the_initial_pose(walk: Trajectory) -> None:
    assert walk.end == "completed", walk.end_detail
    assert walk.duration_s == pytest.approx(10.0)
    forward = walk.coordinate("pelvis_tx")
    assert forward[-1] - forward[0] > 5.0
    # both feet take turns: neither ever carries the body alone for long
    loads = walk.ground_reaction[:, :, 1] > 20.0
    assert 0.45 < loads[:, 0].mean() < 0.85
    assert 0.45 < loads[:, 1].mean() < 0.85
    assert loads.any(axis=1).mean() > 0.97  # walking, not running


def test_the_floor_carries_the_body_weight_on_average(walk: Trajectory) -> None:
    """Over whole strides the vertical impulse is body weight times time (Newton's second law)."""
    weight = healthy().mass_kg * GRAVITY_M_S2
    settled = walk.time > 2.0
    mean = walk.ground_reaction[settled, :, 1].sum(axis=1).mean()
    vertical_speed = walk.coordinate_speeds[:, walk.coordinate_names.index("pelvis_ty")][settled]
    drift = (vertical_speed[-1] - vertical_speed[0]) / (walk.time[-1] - 2.0) / GRAVITY_M_S2
    assert mean / weight == pytest.approx(1.0 + drift, abs=0.04)


def test_the_floor_force_accelerates_the_centre_of_mass(walk: Trajectory) -> None:
    """Sum of segment mass times acceleration = ground force + weight, at every sample."""
    body = anatomy(healthy())
    total = np.zeros((walk.n_samples, 3))
    for index, name in enumerate(walk.bodies):
        segment = body.segments[name]
        pose, velocity, acceleration = (
            array[:, index] for array in (walk.body_pose, walk.body_velocity, walk.body_acceleration)
        )
        arm = rotate(pose[:, 3:], np.broadcast_to(np.asarray(segment.mass_center), (walk.n_samples, 3)))
        omega, alpha = velocity[:, :3], acceleration[:, :3]
        center = acceleration[:, 3:] + np.cross(alpha, arm) + np.cross(omega, np.cross(omega, arm))
        total += segment.mass_kg * center
    weight = np.array([0.0, -body.mass_kg * GRAVITY_M_S2, 0.0])
    force = walk.ground_reaction[:, :, :3].sum(axis=1) + weight
    np.testing.assert_allclose(total[:, :2], force[:, :2], atol=0.5)


def test_the_centre_of_pressure_lies_under_the_foot(walk: Trajectory) -> None:
    body = anatomy(healthy())
    for side, name in enumerate(("calcn_r", "calcn_l")):
        loaded = walk.ground_reaction[:, side, 1] > 50.0
        x = walk.ground_reaction[loaded, side, 3] - walk.pose(name)[loaded, 0]
        reach = 0.245 * body.scale(name)
        assert x.min() > -0.06
        assert x.max() < reach + 0.03


def test_muscles_stay_in_their_range(walk: Trajectory) -> None:
    assert walk.muscle_activation.min() > 0.0
    assert walk.muscle_activation.max() <= 1.0
    assert walk.muscle_force.min() > -1.0
    assert walk.muscle_fiber_length.min() > 0.3
    assert walk.muscle_fiber_length.max() < 1.8


def test_the_same_sample_is_the_same_bytes(walk: Trajectory) -> None:
    again = simulate(healthy(), engine="opensim", seed=0, duration_s=2.0, budget_s=300.0)
    count = again.n_samples
    assert np.array_equal(again.coordinates, walk.coordinates[:count])
    assert np.array_equal(again.muscle_force, walk.muscle_force[:count])
    assert np.array_equal(again.body_acceleration, walk.body_acceleration[:count])


def test_noise_depends_on_seed_and_sample() -> None:
    noisy = healthy(motor_noise=0.05)
    walks = [
        simulate(person, engine="opensim", seed=seed, duration_s=0.5, budget_s=60.0)
        for person, seed in ((noisy, 0), (noisy, 1), (dataclasses.replace(noisy, sample_id=1), 0), (noisy, 0))
    ]
    ends = [walk.coordinates[-1] for walk in walks]
    assert np.array_equal(ends[0], ends[3])
    assert not np.array_equal(ends[0], ends[1])
    assert not np.array_equal(ends[0], ends[2])


def test_without_reflexes_it_falls_and_says_so() -> None:
    row = healthy()
    limp = dataclasses.replace(row, strength=np.full(18, 0.05))
    fallen = simulate(limp, engine="opensim", seed=0, duration_s=5.0, budget_s=60.0)
    assert fallen.end == "fell"
    assert fallen.duration_s < 4.0
    assert "pelvis" in fallen.end_detail


def test_a_spent_budget_has_a_name() -> None:
    slow = simulate(healthy(), engine="opensim", seed=0, duration_s=10.0, budget_s=0.05)
    assert slow.end == "stuck"
    assert "0.05 s" in slow.end_detail


def test_gains_scale_by_dynamic_similarity_and_back() -> None:
    gains = healthy().reflex_gains
    there = rescale_gains(gains, leg_length_ratio=0.81)
    np.testing.assert_allclose(rescale_gains(there, leg_length_ratio=1 / 0.81), gains)
    rate = GAIN_NAMES.index("HFL_3_DG")
    np.testing.assert_allclose(there[:, rate], 0.9 * gains[:, rate])
    position = GAIN_NAMES.index("HFL_3_PG")
    np.testing.assert_allclose(there[:, position], gains[:, position])
