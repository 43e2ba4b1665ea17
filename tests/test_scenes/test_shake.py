"""A hand's shake: where its power lies, how large it is, and that its key alone decides."""

from __future__ import annotations

import numpy as np
import pytest

from scenes.shake import SWAY_HZ, SWAY_M, SWAY_RAD, TREMOR_HZ, TREMOR_M, TREMOR_RAD, Shake

RATE_HZ = 100.0
LONG = np.arange(int(600 * RATE_HZ)) / RATE_HZ


def power(signal: np.ndarray, band_hz: tuple[float, float]) -> np.ndarray:
    """Mean square of each column of `signal` `[T, D]` within a band, a little beyond its ends, by Fourier."""
    window = np.hanning(len(signal))[:, None]  # else a thousandth of the sway leaks to where the tremor is
    spectrum = np.abs(np.fft.rfft(window * signal, axis=0)) ** 2 / len(signal) / (window**2).sum()
    frequency = np.fft.rfftfreq(len(signal), 1 / RATE_HZ)
    inside = (frequency > 0.8 * band_hz[0]) & (frequency < 1.1 * band_hz[1])
    return 2 * spectrum[inside].sum(axis=0)


@pytest.mark.parametrize("key", [1, 2**32 - 1])
def test_all_power_lies_in_sway_and_tremor_and_is_what_was_measured_in_people(key: int) -> None:
    for signal, sway, tremor in zip(Shake(1.0, key).at(LONG), (SWAY_M, SWAY_RAD), (TREMOR_M, TREMOR_RAD), strict=True):
        slow, fast = power(signal, SWAY_HZ), power(signal, TREMOR_HZ)
        assert np.sqrt(slow) == pytest.approx(sway, rel=0.15)
        assert np.sqrt(fast) == pytest.approx(tremor, rel=0.05)
        assert slow + fast == pytest.approx(signal.var(axis=0) + signal.mean(axis=0) ** 2, rel=0.05)


def test_a_hands_tremor_is_the_published_acceleration() -> None:
    """0.01 g at its peak is the modal value of Wade et al. 1982."""
    fast = 2 * np.pi * 10.0
    assert np.sqrt(2) * TREMOR_M[0] * fast**2 == pytest.approx(0.01 * 9.81, rel=0.1)


def test_the_six_motions_and_two_hands_have_nothing_in_common() -> None:
    motions = np.concatenate([*Shake(1.0, 5).at(LONG), *Shake(1.0, 6).at(LONG)], axis=1)
    alike = np.abs(np.corrcoef(motions.T) - np.eye(12))
    assert alike.max() < 0.35


def test_size_scales_it_and_the_key_alone_decides() -> None:
    times = np.array([[0.0, 0.013], [1.0, 2.0]])
    small, large = Shake(0.5, 9).at(times), Shake(2.0, 9).at(times)
    assert small[0].shape == (2, 2, 3)
    for one, other in zip(small, large, strict=True):
        assert 4 * one == pytest.approx(other)
