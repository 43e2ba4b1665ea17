"""Metabolic power of muscles (Bhargava, Pandy & Anderson 2004, J Biomech 37:81), in plain numpy.

The constants are those of OpenSim's Bhargava2004MuscleMetabolicsProbe; half of
each muscle's fibres are taken to be slow.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

MUSCLE_DENSITY_KG_M3 = 1059.7
SPECIFIC_TENSION_PA = 0.6e6
"""60 N/cm2, with which the model's strengths were made from volumes (Ong et al. 2019)."""

SLOW_FIBER_SHARE = 0.5
BASAL_POWER_W_KG = 1.2
"""Basal rate of a standing adult (Umberger 2010)."""

_ACTIVATION_W_KG = (40.0, 133.0)
_MAINTENANCE_W_KG = (74.0, 111.0)
_LENGTH_KNOTS = ([0.0, 0.5, 1.0, 1.5], [0.5, 0.5, 1.0, 0.0])


def muscle_mass_kg(max_isometric_force_n: Array, optimal_fiber_length_m: Array) -> Array:
    """Mass `[M]` from volume = force / specific tension * fibre length."""
    return MUSCLE_DENSITY_KG_M3 * max_isometric_force_n / SPECIFIC_TENSION_PA * optimal_fiber_length_m


def metabolic_power(
    *,
    excitation: Array,
    activation: Array,
    normalised_length: Array,
    fiber_velocity_m_s: Array,
    active_force_n: Array,
    force_length: Array,
    max_isometric_force_n: Array,
    mass_kg: Array,
) -> Array:
    """Power `[T, M]` (W) of each muscle; arrays are `[T, M]`, the last two `[M]`.

    Args:
        fiber_velocity_m_s: Lengthening positive.
        force_length: Active force-length multiplier.
    """
    activation_heat = mass_kg * _recruited(excitation, _ACTIVATION_W_KG)
    maintenance_heat = (
        mass_kg * np.interp(normalised_length, *_LENGTH_KNOTS) * _recruited(activation, _MAINTENANCE_W_KG)
    )
    isometric = activation * max_isometric_force_n * force_length
    shortening = -fiber_velocity_m_s
    coefficient = np.where(shortening > 0.0, 0.16 * isometric + 0.18 * active_force_n, 0.157 * active_force_n)
    total = activation_heat + maintenance_heat + coefficient * shortening + active_force_n * shortening
    # A muscle does not give metabolic energy back (OpenSim: forbid_negative_total_power).
    return np.maximum(total, 0.0)


def _recruited(level: Array, rates: tuple[float, float]) -> Array:
    """Slow fibres are recruited first (sine), fast ones last (cosine)."""
    slow = SLOW_FIBER_SHARE * rates[0] * np.sin(np.pi / 2 * level)
    fast = (1.0 - SLOW_FIBER_SHARE) * rates[1] * (1.0 - np.cos(np.pi / 2 * level))
    return np.asarray(slow + fast)
