"""A sensor's noise: its published levels, its law, and that any picture's can be had again alone."""

from __future__ import annotations

import numpy as np
import pytest

from scenes.sensor import READ_LEVEL, READ_SD, READ_SLOPE, noise_rand, noisy, variates_rand


def test_levels_are_drawn_as_published() -> None:
    rng = np.random.default_rng(1)
    shot, read = np.log(np.array([noise_rand(rng, (0.0001, 0.012)) for _ in range(4000)])).T
    assert shot.min() >= np.log(0.0001)
    assert shot.max() <= np.log(0.012)
    assert np.histogram(shot, bins=4)[0].min() > 900, "evenly in its logarithm"
    slope, level = np.polyfit(shot, read, 1)
    assert (slope, level) == (pytest.approx(READ_SLOPE, abs=0.02), pytest.approx(READ_LEVEL, abs=0.15))
    assert (read - slope * shot - level).std() == pytest.approx(READ_SD, rel=0.05)
    assert noise_rand(rng, (0.0, 0.0)) == (0.0, 0.0)
    assert 0 < noise_rand(rng, (0.0, 0.01))[0] <= 0.01


def test_variates_are_normal_and_follow_from_their_generator_alone() -> None:
    first = variates_rand(np.random.Generator(np.random.Philox(5)), (200, 300, 3))
    assert first.dtype == np.float32
    assert np.array_equal(first, variates_rand(np.random.Generator(np.random.Philox(5)), (200, 300, 3)))
    assert first.mean() == pytest.approx(0.0, abs=0.01)
    assert first.var() == pytest.approx(1.0, rel=0.01)
    assert np.mean(first.astype(float) ** 4) == pytest.approx(3.0, rel=0.03)
    assert (np.abs(first) < 1).mean() == pytest.approx(0.6827, abs=0.005)
    assert np.corrcoef(first[:, 1:].ravel(), first[:, :-1].ravel())[0, 1] == pytest.approx(0.0, abs=0.01)


@pytest.mark.parametrize("light", [0.0, 0.04, 0.5])
def test_variance_is_read_plus_shot_times_light(light: float) -> None:
    variates = variates_rand(np.random.default_rng(2), (300, 300, 3))
    result = noisy(np.full(variates.shape, light, np.float32), variates, 0.004, 2e-4)
    assert result.mean() == pytest.approx(light, abs=1e-3)
    assert result.var() == pytest.approx(2e-4 + 0.004 * light, rel=0.02)
