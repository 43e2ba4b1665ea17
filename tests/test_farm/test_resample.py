"""Poses between samples: exact at the samples, true between them, and the same from a shard as from a walk."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from farm.dataset.gaits import Gait
from farm.dataset.reader import GaitDataset
from farm.errors import UserError
from farm.gait.resample import StoredWalk, body_pose_at, frame_times
from farm.records import GaitParameters, Trajectory
from tests.datasets import make_dataset
from tests.norm_walk import norm_walk
from tests.samples import make_campaign, make_samples_for

RATE_HZ = 100.0


@pytest.fixture(scope="module")
def walk() -> Trajectory:
    return norm_walk(GaitParameters(), duration_s=3.0)


def spun(n: int, rate_rad_s: float) -> StoredWalk:
    """One body that turns about z at a steady rate, and flies a parabola along y."""
    t = np.arange(n) / RATE_HZ
    pose = np.zeros((n, 1, 7))
    pose[:, 0, 1] = 2.0 * t - 4.9 * t**2
    pose[:, 0, 3], pose[:, 0, 6] = np.cos(rate_rad_s * t / 2), np.sin(rate_rad_s * t / 2)
    return StoredWalk(RATE_HZ, ("stone",), pose)


def test_samples_are_hit_exactly(walk: Trajectory) -> None:
    found = body_pose_at(walk, walk.time)
    stored = walk.body_pose.astype(np.float32)
    same = np.sign(np.sum(found[..., 3:] * stored[..., 3:], axis=-1, keepdims=True))
    assert found[..., :3] == pytest.approx(stored[..., :3], abs=1e-12)
    assert same * found[..., 3:] == pytest.approx(stored[..., 3:], abs=1e-7)  # made of unit length again


def test_a_flight_and_a_turn_between_samples_are_those_of_mechanics() -> None:
    times = np.linspace(0.0, 0.39, 400)
    pose = body_pose_at(spun(40, 3.0), times)[:, 0]
    assert pose[:, 1] == pytest.approx(2.0 * times - 4.9 * times**2, abs=2e-7)  # float32 keeps seven digits
    assert np.abs(2 * np.arctan2(pose[:, 6], pose[:, 3]) - 3.0 * times).max() < 1e-6


def test_a_quaternion_that_changes_its_sign_is_the_same_rotation() -> None:
    steady = spun(40, 3.0)
    flipped = StoredWalk(RATE_HZ, steady.bodies, steady.body_pose * np.r_[1, 1, 1, [-1] * 4])
    torn = StoredWalk(RATE_HZ, steady.bodies, np.concatenate([steady.body_pose[:17], flipped.body_pose[17:]]))
    times = np.linspace(0.0, 0.39, 100)
    assert np.array_equal(body_pose_at(torn, times), body_pose_at(steady, times))


def test_the_walks_own_velocities_lie_near(walk: Trajectory) -> None:
    """Differences of what is given back, against the velocities that the walk has and that are not asked for."""
    middle, h = walk.time[2:-3] + 0.5 / RATE_HZ, 1e-4
    found = (body_pose_at(walk, middle + h) - body_pose_at(walk, middle - h))[..., :3] / (2 * h)
    v = walk.body_velocity[..., 3:]
    true = (9 * (v[2:-3] + v[3:-2]) - v[1:-4] - v[4:-1]) / 16
    assert np.abs(found - true).max() < 0.02  # m/s; feet reach 4 m/s


def test_a_stored_walk_and_a_simulated_one_give_the_same_bits(walk: Trajectory) -> None:
    stored = StoredWalk(walk.sample_rate_hz, walk.bodies, walk.body_pose.astype(np.float32))
    times = frame_times(walk, 29.97)
    assert np.array_equal(frame_times(stored, 29.97), times)
    assert np.array_equal(body_pose_at(stored, times), body_pose_at(walk, times))


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5])
def test_short_walks_stand_still_outside_and_are_finite_inside(n: int) -> None:
    walk = spun(n, 1.0)
    pose = body_pose_at(walk, np.array([-1.0, 0.0, (n - 1) / RATE_HZ, 9.0]))
    assert np.array_equal(pose[0], pose[1])
    assert np.array_equal(pose[2], pose[3])
    assert pose[2, 0, :3] == pytest.approx(walk.body_pose[-1, 0, :3], abs=1e-7)
    assert np.isfinite(body_pose_at(walk, np.linspace(0, (n - 1) / RATE_HZ, 7))).all()


def test_pictures_begin_with_the_walk_and_end_within_it() -> None:
    assert frame_times(spun(101, 0.0), 30.0) == pytest.approx(np.arange(31) / 30.0)
    assert frame_times(spun(100, 0.0), 30.0) == pytest.approx(np.arange(30) / 30.0)
    assert frame_times(spun(1, 0.0), 30.0) == pytest.approx([0.0])
    assert len(frame_times(spun(0, 0.0), 30.0)) == 0


def test_a_gait_that_was_read_can_be_posed(tmp_path: Path) -> None:
    campaign = make_campaign(samples=1, gaits_per_shard=1)
    make_dataset(str(tmp_path / "data"), campaign)
    gait = GaitDataset(str(tmp_path / "data")).gait(0)
    (sample,) = make_samples_for(campaign, [0], n_samples=[len(gait["body_pose"])])
    made = sample.trajectory
    assert np.array_equal(body_pose_at(gait.walk, np.array([0.123])), body_pose_at(made, np.array([0.123])))
    with pytest.raises(UserError, match="'body_pose'"):
        _ = Gait(0, {}, {}, {}).walk
