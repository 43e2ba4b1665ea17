"""Normalisation: what must not matter does not, what is missing stays missing."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from farm.sampling.anatomy import COCO_KEYPOINTS
from workers.train.keypoints import (
    ANKLES,
    CHANNELS,
    MIRROR,
    N_LAGS,
    N_RHYTHMS,
    RATE_HZ,
    apparent_height,
    features,
    fill,
    resample,
)

STEP_TIME_S = 0.55


def walker(rate_hz: float = RATE_HZ, duration_s: float = 4.0, *, height_px: float = 300.0) -> NDArray[np.float64]:
    """A stick figure that walks across: `[F, 17, 2]` px, analytic in time."""
    time = np.arange(round(duration_s * rate_hz) + 1) / rate_hz
    phase = np.pi * time / STEP_TIME_S
    points = np.zeros((len(time), 17, 2))
    base = {"nose": 0.93, "eye": 0.95, "ear": 0.94, "shoulder": 0.82, "elbow": 0.63, "wrist": 0.48,
            "hip": 0.53, "knee": 0.28, "ankle": 0.05}  # fmt: skip
    swing = {"knee": 0.12, "ankle": 0.2, "wrist": -0.12, "elbow": -0.06}
    for k, name in enumerate(COCO_KEYPOINTS):
        part = name.split("_")[-1]
        sign = 1.0 if name.startswith("right") else -1.0
        points[:, k, 0] = (0.4 * time + swing.get(part, 0.0) * sign * np.sin(phase) + 0.02 * sign) * height_px + 200.0
        points[:, k, 1] = 400.0 - base[part] * height_px
    return points


def every(points: NDArray[np.float64]) -> NDArray[np.bool_]:
    return np.ones(points.shape[:2], dtype=bool)


SIZE = np.array([[1280.0, 720.0]])


@given(scale=st.floats(0.1, 8.0))
@settings(max_examples=25, deadline=None)
def test_pixels_and_picture_scaled_together_change_nothing(scale: float) -> None:
    points = walker()[None]
    a = features(points, every(points[0])[None], SIZE)
    b = features(points * scale, every(points[0])[None], SIZE * scale)
    np.testing.assert_allclose(a.frames, b.frames, atol=2e-3)
    np.testing.assert_allclose(a.whole, b.whole, atol=2e-3)


@given(height=st.floats(60.0, 600.0))
@settings(max_examples=25, deadline=None)
def test_only_the_size_channels_know_how_large_the_person_appears(height: float) -> None:
    a = features(walker(height_px=300.0)[None], np.ones((1, 121, 17), dtype=bool), SIZE)
    b = features(walker(height_px=height)[None], np.ones((1, 121, 17), dtype=bool), SIZE)
    pose = [i for i, name in enumerate(CHANNELS) if name.startswith(("left", "right", "nose"))]
    np.testing.assert_allclose(a.frames[..., pose], b.frames[..., pose], atol=5e-3)
    size = CHANNELS.index("log_size")
    np.testing.assert_allclose(b.frames[0, :, size] - a.frames[0, :, size], np.log(height / 300.0), atol=1e-3)


@pytest.mark.parametrize("rate_hz", [15.0, 24.0, 25.0, 29.97, 50.0, 60.0, 100.0, 240.0])
def test_any_picture_rate_gives_the_same_clip(rate_hz: float) -> None:
    points = walker(rate_hz)
    found, present = resample(points, every(points), rate_hz)
    truth = walker(RATE_HZ)[: len(found)]
    assert abs(len(found) - 121) <= 2
    assert present.all()
    # a straight line between pictures at 15 Hz cuts a 0.9 Hz swing of 60 px by at most 1 px
    inner = slice(4, -4)
    np.testing.assert_allclose(found[inner], truth[inner], atol=1.3)


def test_a_short_gap_is_bridged_and_a_long_one_is_not() -> None:
    points = walker()
    present = every(points)
    present[30:35, ANKLES[0]] = False  # 6 intervals, 0.2 s
    present[60:75, ANKLES[1]] = False
    points[~present] = np.nan
    found, seen = resample(points, present, RATE_HZ)
    assert seen[:, ANKLES[0]].all()
    np.testing.assert_allclose(found[30:35, ANKLES[0]], walker()[30:35, ANKLES[0]], atol=4.0)
    assert not seen[60:75, ANKLES[1]].any()
    assert np.isfinite(found).all()


def test_apparent_height_is_the_persons_in_pixels() -> None:
    """Upright and square on, trunk plus leg over their share of stature; the stick figure's share is 0.77."""
    points = walker(height_px=250.0)[None]
    height, seen = apparent_height(points, every(points[0])[None])
    assert seen.all()
    assert np.median(height) == pytest.approx(250.0 * 0.77 / 0.747, rel=0.03)


def test_apparent_height_survives_wild_detections_and_missing_legs() -> None:
    points = walker()[None]
    clean, _ = apparent_height(points, every(points[0])[None])
    present = every(points[0])[None]
    present[0, 20:40, ANKLES] = False
    points[0, 60, ANKLES] += 5000.0
    found, _ = apparent_height(points, present)
    np.testing.assert_allclose(found, clean, rtol=0.25)
    assert np.median(np.abs(found / clean - 1)) < 0.03


def test_rhythm_turns_over_at_the_step_time_and_returns_at_the_stride_time() -> None:
    points = walker()[None]
    legs = features(points, every(points[0])[None], SIZE).whole[0, : N_RHYTHMS * N_LAGS].reshape(N_RHYTHMS, -1)[0]
    assert legs[0] == pytest.approx(1.0)
    assert abs(np.argmin(legs) / RATE_HZ - STEP_TIME_S) <= 1.0 / RATE_HZ
    after = int(STEP_TIME_S * RATE_HZ) + 3
    assert abs((after + np.argmax(legs[after:])) / RATE_HZ - 2 * STEP_TIME_S) <= 1.5 / RATE_HZ


def test_motion_in_depth_shows_in_the_depth_channel() -> None:
    """Somebody who walks to the camera at v statures per second: focal length over diagonal times the channel is v."""
    time = np.arange(121) / RATE_HZ
    depth = 6.0 - 0.8 * time  # statures
    still = walker()[:1] - [[[200.0, 400.0]]]
    focal = 900.0
    points = (still / 300.0 * focal / depth[:, None, None] + SIZE[0] / 2)[None]
    channel = features(points, every(points[0])[None], SIZE).frames[0, :, CHANNELS.index("depth_rate")]
    ratio = 0.77 / 0.747  # of apparent height to the stick figure's
    speed = -channel * ratio * focal / np.linalg.norm(SIZE)
    np.testing.assert_allclose(speed[10:-10], 0.8, atol=0.03)


def test_nobody_in_the_picture_is_not_valid() -> None:
    points = walker()[None]
    present = every(points[0])[None]
    present[0, 50:] = False
    found = features(points, present, SIZE)
    assert found.valid[0, :50].all()
    assert not found.valid[0, 50:].any()
    assert np.isfinite(found.frames).all()
    assert not found.frames[0, 50:].any()


def test_nothing_at_all_gives_zeros_and_no_warning() -> None:
    found = features(np.full((2, 60, 17, 2), np.nan), np.zeros((2, 60, 17), dtype=bool), SIZE.repeat(2, axis=0))
    assert not found.valid.any()
    assert np.isfinite(found.frames).all()
    assert np.isfinite(found.whole).all()


def test_fill_holds_the_ends_and_draws_straight_lines() -> None:
    values = np.array([[9.0, 1.0, 9.0, 3.0, 9.0]])
    present = np.array([[False, True, False, True, False]])
    np.testing.assert_allclose(fill(values, present), [[1.0, 1.0, 2.0, 3.0, 3.0]])


def test_mirror_pairs_left_with_right() -> None:
    assert [COCO_KEYPOINTS[i] for i in MIRROR[:5]] == ["nose", "right_eye", "left_eye", "right_ear", "left_ear"]
    np.testing.assert_array_equal(MIRROR[MIRROR], np.arange(17))
