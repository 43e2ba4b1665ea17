"""Gains for another size: the same gait on a body of other length, by dynamic similarity.

At equal Froude number lengths scale with L, times with sqrt(L), speeds with
sqrt(L) (Alexander 1989, Physiol Rev 69:1199). Gains on rates are times, the
speed feedback of the leg's target angle is an inverse speed; all others are
free of dimension, because loads and forces are normalised.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from farm.control.reflex import GAIN_NAMES_3D

_RATE_GAINS = frozenset(
    {
        "HFL_3_DG",
        "HFL_6_DG",
        "GLU_3_DG",
        "GLU_6_DG",
        "RF_8_DG_knee",
        "BFSH_7_DG_alpha",
        "BFSH_8_DG",
        "HAB_3_DG",
        "HAD_3_DG",
    }
)
_SPEED_GAINS = frozenset({"cv", "cv_f"})


def rescale_gains(gains: NDArray[np.float64], *, leg_length_ratio: float) -> NDArray[np.float64]:
    """Gains `[2, 37]` (3D: `[2, 46]`) for a body whose legs are `leg_length_ratio` times as long."""
    time = math.sqrt(leg_length_ratio)
    factor = np.array(
        [time if name in _RATE_GAINS else 1.0 / time if name in _SPEED_GAINS else 1.0 for name in GAIN_NAMES_3D]
    )
    return np.asarray(gains * factor[: gains.shape[1]])
