"""Varied walks: the keypoints obey the labels that they are given, and cameras obey geometry."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from farm.gait.labels import gait_labels
from farm.records import GaitParameters
from farm.sampling.anatomy import anatomy
from tests.norm_walk import norm_walk
from workers.train.cameras import Cameras, cameras_rand, inside, look_at, project
from workers.train.clips import GaitClip, batch_rand
from workers.train.keypoints import ANKLES, HIPS, KNEES
from workers.train.noise import mirrored, noisy_rand
from workers.train.variation import (
    LABELS,
    STEP_WIDTH_M,
    Variation,
    retimed,
    unchanged,
    variation_rand,
    varied_labels,
    vary,
)


@cache
def clip(speed_m_s: float = 1.2) -> GaitClip:
    """A kinematic walker with exact labels, planar."""
    parameters = GaitParameters(stature_m=1.75)
    trajectory = norm_walk(parameters, speed_m_s=speed_m_s, duration_s=6.0)
    labels = gait_labels(trajectory, anatomy(parameters), frame_rate_hz=30.0)
    return GaitClip(
        sample_id=0,
        points=labels.keypoints_3d[:, :17].astype(np.float32),
        rate_hz=30.0,
        labels=np.array([labels.values[name] for name in LABELS]),
        stature_m=1.75,
    )


def changed(labels: NDArray[np.float64], **what: float) -> Variation:
    """A variation that changes only `what`."""
    still = unchanged(labels)
    fields = {name: getattr(still, name) for name in Variation.__dataclass_fields__}
    return Variation(**fields | {name: np.full(len(labels), value) for name, value in what.items()})


def foot_separation(points: NDArray[np.float64], clip_labels: NDArray[np.float64]) -> float:
    """Largest forward distance of the ankles over the strides: about the step length."""
    apart = np.abs(points[0, :, ANKLES[1], 0] - points[0, :, ANKLES[0], 0])
    return float(np.quantile(apart, 0.98))


@given(body=st.floats(0.8, 1.25), time=st.floats(0.6, 1.7), stride=st.floats(0.6, 1.6), width=st.floats(0.02, 0.3))
@settings(max_examples=50, deadline=None)
def test_labels_keep_their_identities(body: float, time: float, stride: float, width: float) -> None:
    labels = clip().labels[None]
    v = changed(labels, body_scale=body, time_scale=time, stride_scale=stride, step_width_m=width)
    before = dict(zip(LABELS, labels[0], strict=True))
    after = dict(zip(LABELS, varied_labels(labels, v)[0], strict=True))
    for name in (before, after):
        assert name["gait_speed"] == pytest.approx(name["step_length"] / name["step_time"], rel=0.02)
    assert after["gait_speed"] * after["step_time"] / after["step_length"] == pytest.approx(
        before["gait_speed"] * before["step_time"] / before["step_length"], rel=1e-9
    )
    assert after["cadence"] * after["step_time"] == pytest.approx(before["cadence"] * before["step_time"], rel=1e-9)
    assert after["step_width"] == pytest.approx(width * body, rel=1e-9)


@given(body=st.floats(0.8, 1.25))
@settings(max_examples=20, deadline=None)
def test_dynamic_similarity_keeps_the_froude_number(body: float) -> None:
    labels = clip().labels[None]
    after = varied_labels(labels, retimed(labels, np.array([body]), np.sqrt([body])))[0]
    assert after[0] == pytest.approx(labels[0, 0] * np.sqrt(body), rel=1e-9)
    assert after[1] == pytest.approx(labels[0, 1] * body, rel=1e-9)
    assert after[2] == pytest.approx(labels[0, 2] * np.sqrt(body), rel=1e-9)
    assert after[3] == pytest.approx(labels[0, 3] / np.sqrt(body), rel=1e-9)
    assert after[0] ** 2 / (after[1] * 9.81) == pytest.approx(labels[0, 0] ** 2 / (labels[0, 1] * 9.81), rel=1e-9)


def test_no_variation_changes_nothing_but_the_start() -> None:
    c = clip()
    points = vary(c.points[None], c.labels[None, 4], unchanged(c.labels[None]))
    expected = np.array(c.points, dtype=float)
    expected[..., 0] -= expected[0, HIPS, 0].mean()
    np.testing.assert_allclose(points[0], expected, atol=1e-4)


@pytest.mark.parametrize("stride", [0.7, 0.9, 1.15, 1.35])
def test_stretched_strides_walk_as_far_as_the_label_says_on_feet_that_stay_planted(stride: float) -> None:
    c = clip()
    before = vary(c.points[None], c.labels[None, 4], unchanged(c.labels[None]))
    after = vary(c.points[None], c.labels[None, 4], changed(c.labels[None], stride_scale=stride))
    walked = [p[0, -1, HIPS, 0].mean() - p[0, 0, HIPS, 0].mean() for p in (before, after)]
    assert walked[1] == pytest.approx(stride * walked[0], rel=1e-6)
    assert foot_separation(after, c.labels) == pytest.approx(stride * foot_separation(before, c.labels), rel=1e-6)
    # where an ankle stood still before, it stands still after
    for k in ANKLES:
        rest = np.abs(np.diff(before[0, :, k, 0])) < 0.003
        assert rest.sum() > 20
        assert np.abs(np.diff(after[0, :, k, 0]))[rest].max() < 0.003 * 1.5
    # legs keep their length while they carry: hip to ankle of the lower foot
    lower = before[0, :, ANKLES, 1].argmin(axis=0)
    for points, limit in ((after, 0.05),):
        length = [
            np.linalg.norm(p[0, :, HIPS].mean(axis=0) - p[0, np.arange(len(lower)), np.array(ANKLES)[lower]], axis=-1)
            for p in (before, points)
        ]
        assert np.abs(length[1] / length[0] - 1).mean() < limit


@pytest.mark.parametrize("width", [0.03, 0.12, 0.25])
def test_the_feet_stand_as_far_apart_as_the_new_step_width(width: float) -> None:
    c = clip()
    after = vary(c.points[None], c.labels[None, 4], changed(c.labels[None], step_width_m=width, sway_m=0.03))
    apart = after[0, :, ANKLES[1], 2] - after[0, :, ANKLES[0], 2]
    before = c.points[:, ANKLES[1], 2] - c.points[:, ANKLES[0], 2]
    np.testing.assert_allclose(apart, before + width - c.labels[4], atol=1e-5)
    knees = after[0, :, KNEES[1], 2] - after[0, :, KNEES[0], 2]
    assert knees.mean() == pytest.approx(
        (c.points[:, KNEES[1], 2] - c.points[:, KNEES[0], 2]).mean() + (width - c.labels[4]) / 2, abs=1e-4
    )


def test_the_pelvis_sways_over_the_standing_foot_once_a_stride() -> None:
    c = clip()
    after = vary(c.points[None], c.labels[None, 4], changed(c.labels[None], sway_m=0.03))
    sway = after[0, :, HIPS, 2].mean(axis=0)
    height = after[0, :, ANKLES, 1]  # left, right
    right_stands = height[1] + 0.03 < height[0]
    left_stands = height[0] + 0.03 < height[1]
    assert sway[right_stands].mean() > 0.01
    assert sway[left_stands].mean() < -0.01
    assert 0.02 < np.ptp(sway) / 2 <= 0.0301


def test_a_curved_path_keeps_its_length_and_its_shape() -> None:
    c = clip()
    straight = vary(c.points[None], c.labels[None, 4], unchanged(c.labels[None]))
    curved = vary(c.points[None], c.labels[None, 4], changed(c.labels[None], curvature_1_m=0.08))
    path = [
        np.linalg.norm(np.diff(p[0, :, HIPS].mean(axis=0)[:, [0, 2]], axis=0), axis=1).sum() for p in (straight, curved)
    ]
    assert path[1] == pytest.approx(path[0], rel=1e-3)
    assert curved[0, -1, HIPS, 2].mean() > 1.0
    thigh = [np.linalg.norm(p[0, :, HIPS[0]] - p[0, :, KNEES[0]], axis=-1) for p in (straight, curved)]
    np.testing.assert_allclose(thigh[1], thigh[0], rtol=0.02)


def test_variation_stays_among_people() -> None:
    c = clip()
    n = 4000
    labels = np.repeat(c.labels[None], n, axis=0)
    v = variation_rand(np.random.default_rng(1), labels, np.full(n, c.stature_m), planar=np.ones(n))
    after = varied_labels(labels, v)
    stature = c.stature_m * v.body_scale
    assert stature.min() >= 1.42 - 1e-9
    assert stature.max() <= 2.0 + 1e-9
    assert v.step_width_m.min() >= STEP_WIDTH_M[0]
    assert v.step_width_m.max() <= STEP_WIDTH_M[1]
    assert np.quantile(after[:, 0], 0.01) > 0.3
    assert np.quantile(after[:, 0], 0.99) < 2.6
    # speed changes along people's law: step length ~ v^0.53 among all that was drawn
    slope = np.polyfit(np.log(after[:, 0]), np.log(after[:, 1] / stature), 1)[0]
    assert slope == pytest.approx(0.53, abs=0.08)
    assert np.corrcoef(after[:, 4], after[:, 0])[0, 1] == pytest.approx(0.0, abs=0.05)


def test_a_walker_with_its_own_sway_is_given_none() -> None:
    c = clip()
    v = variation_rand(np.random.default_rng(1), c.labels[None], np.array([1.75]), planar=np.zeros(1))
    assert v.sway_m == v.pelvis_rotation_rad == v.pelvis_list_rad == 0


def test_a_camera_sees_what_a_pinhole_sees() -> None:
    position = np.array([[[3.0, 1.0, 0.0]]])
    axes = look_at(position, np.array([[[0.0, 1.0, 0.0]]]), np.zeros((1, 1)))
    size = np.array([[640.0, 480.0]])
    cameras = Cameras(position, axes, np.array([500.0]), size / 2 - 0.5, size)
    # 3 m ahead of the walker: the walker's right (+z) is on the picture's left, up is up
    points = np.array([[[[0.0, 1.0, 0.0], [0.0, 1.0, 0.6], [0.0, 1.6, 0.0], [4.0, 1.0, 0.0]]]])
    pixels, before = project(points, cameras)
    np.testing.assert_allclose(pixels[0, 0, :3], [[319.5, 239.5], [219.5, 239.5], [319.5, 139.5]], atol=1e-3)
    np.testing.assert_array_equal(before[0, 0], [True, True, True, False])


def test_drawn_cameras_see_the_walker() -> None:
    c = clip()
    n = 600
    walk = vary(
        np.repeat(c.points[None, :120], n, axis=0),
        np.repeat(c.labels[4], n),
        unchanged(np.repeat(c.labels[None], n, axis=0)),
    )
    cameras = cameras_rand(np.random.default_rng(3), walk, np.full(n, 1.75))
    pixels, before = project(walk, cameras)
    assert before.mean() > 0.99
    within = inside(pixels, cameras.image_size).mean(axis=(1, 2))
    assert np.median(within) > 0.85
    assert (within > 0.3).mean() > 0.85


def test_mirroring_twice_is_nothing_and_once_exchanges_sides() -> None:
    rng = np.random.default_rng(0)
    points, present = rng.uniform(0, 640, (2, 5, 17, 2)), rng.random((2, 5, 17)) < 0.8
    size = np.array([[640.0, 480.0], [640.0, 480.0]])
    which = np.array([True, False])
    once = mirrored(points, present, size, which)
    np.testing.assert_allclose(once[0][0, :, ANKLES[0], 0], 639.0 - points[0, :, ANKLES[1], 0])
    np.testing.assert_array_equal(once[0][1], points[1])
    twice = mirrored(*once, size, which)
    np.testing.assert_allclose(twice[0], points)
    np.testing.assert_array_equal(twice[1], present)


def test_noise_is_of_the_size_of_a_pose_estimators_and_leaves_its_input_alone() -> None:
    n = 400
    points = np.full((n, 60, 17, 2), 300.0, dtype=np.float32)
    present = np.ones((n, 60, 17), dtype=bool)
    size = np.full((n, 2), 600.0)
    found, seen = noisy_rand(np.random.default_rng(2), points, present, np.full((n, 60), 200.0), size)
    assert (points == 300.0).all()
    assert present.all()
    error = np.abs(found - points)[seen] / 200.0
    assert 0.001 < np.median(error) < 0.01
    assert 0.5 < seen.mean() < 0.95


def test_a_batch_is_a_pure_function_of_its_seed() -> None:
    clips = [clip(), clip(0.8)]
    a, b, other = (batch_rand(np.random.default_rng(seed), clips, 60) for seed in (5, 5, 6))
    np.testing.assert_array_equal(a.features.frames, b.features.frames)
    np.testing.assert_array_equal(a.labels, b.labels)
    assert not np.array_equal(a.features.frames, other.features.frames)


def test_a_cut_longer_than_the_gait_is_empty_beyond_it() -> None:
    batch = batch_rand(np.random.default_rng(5), [clip()] * 4, 400)
    assert batch.features.valid[:, :100].mean() > 0.5
    assert not batch.features.valid[:, -60:].any()
