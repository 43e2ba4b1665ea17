"""How a hand that holds a camera moves it: slow sway and fast tremor, in place and in direction.

Each of the six motions is a sum of sines of frequencies spread over two bands,
so that it is known at every moment, within a picture's exposure too:

    tremor, 8 to 12 Hz: physiological tremor peaks between 6 and 12 Hz (Lakie et al. 2015, J Physiol 593:4411).
        An outstretched hand's is 0.01 g at its peak in most people (0.0015 to 0.035 g; Wade, Gresty and Findley
        1982, Arch Neurol 39:358), thus 0.018 mm RMS at 10 Hz; and, turning about a wrist 0.1 m behind, 0.01 deg.
    sway, 0.1 to 1 Hz: the body's sway in standing moves hand and phone by some 5 mm RMS (the centre of pressure's;
        Prieto et al. 1996, IEEE Trans Biomed Eng 43:956). That the aim wanders by 0.4 deg is a design choice,
        made by eye; roll is half of it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

SWAY_HZ = (0.1, 1.0)
TREMOR_HZ = (8.0, 12.0)
SWAY_M = np.array([0.005, 0.004, 0.005])
"""RMS along the camera's x, y, z."""
SWAY_RAD = np.deg2rad([0.4, 0.4, 0.2])
"""RMS of yaw, pitch, roll."""
TREMOR_M = np.array([1.8e-5, 1.8e-5, 1.8e-5])
TREMOR_RAD = np.deg2rad([0.010, 0.010, 0.005])

_SINES = 9
"""In each band of each motion: enough that none of them is seen to repeat."""


@dataclass(frozen=True)
class Shake:
    """One hand's motion.

    Attributes:
        size: 1 for a usual hand.
        key: 32 bits from which frequencies and phases follow.
    """

    size: float
    key: int

    def at(self, times: Array) -> tuple[Array, Array]:
        """Shifts `[..., 3]` m along the camera's axes, and turns `[..., 3]` rad (yaw, pitch, roll), at `times` s."""
        sway = _sines(times, SWAY_HZ, self.key, 0)
        tremor = _sines(times, TREMOR_HZ, self.key, 1)
        shift = SWAY_M * sway[..., :3] + TREMOR_M * tremor[..., :3]
        turn = SWAY_RAD * sway[..., 3:] + TREMOR_RAD * tremor[..., 3:]
        return self.size * shift, self.size * turn


def _sines(times: Array, band_hz: tuple[float, float], key: int, number: int) -> Array:
    """Six motions of RMS 1 within a band: `[..., 6]`. The band is cut evenly in its logarithm, a sine in each piece."""
    words = np.random.SeedSequence(key, spawn_key=(number,)).generate_state(2 * 6 * _SINES).reshape(2, 6, _SINES)
    phase, place = words / 2.0**32
    low, high = np.log(band_hz)
    frequency_hz = np.exp(low + (high - low) * (np.arange(_SINES) + place) / _SINES)
    angle = 2 * np.pi * (frequency_hz * np.asarray(times, dtype=float)[..., None, None] + phase)
    return np.asarray(np.sin(angle).sum(axis=-1) * np.sqrt(2.0 / _SINES))
