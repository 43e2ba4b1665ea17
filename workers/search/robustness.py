"""How many people like a walker walk with its gains: a campaign never draws that very walker."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from farm.control.archived import ArchivedController
from farm.control.similarity import rescale_gains
from farm.records import GaitParameters
from farm.sampling.anatomy import anatomy
from farm.sampling.impaired import impaired
from farm.sampling.person import Person, own_body
from farm.seeds import Stream, generator, name_key
from workers.simulate.twin.engine import TwinWalk

NEIGHBOURS = 8
STATURE_SD, MASS_SD, PROPORTION_SD, STRENGTH_SD = 0.04, 0.10, 0.02, 0.05
"""Relative. Statures of one sex differ by 0.044; 0.02 and 0.05 are campaigns' own for proportions and muscles."""
NOISE, ARM_SWING = (0.0, 0.03), (0.5, 1.3)
"""From, to: what a campaign draws by default."""


def robustness(row: ArchivedController) -> float:
    """Share of `NEIGHBOURS` that walk on the twin for as long as the walker did, with its gains rescaled to them.

    Who they are is a matter of the walker's digest alone.
    """
    entropy = int(row.digest()[:15], 16)
    walked = 0
    for number in range(NEIGHBOURS):
        someone = neighbour_rand(row, generator(entropy, Stream.SEARCH, number, name_key("neighbour")), number)
        walked += TwinWalk(someone, seed=entropy).run(duration_s=row.duration_s).end == "completed"
    return walked / NEIGHBOURS


def neighbour_rand(row: ArchivedController, rng: np.random.Generator, number: int) -> GaitParameters:
    """Somebody of about the walker's size and strength with the same condition, and its gains."""
    fields = row.person.model_dump()
    stature, mass, strength = (1.0 + sd * _within(rng.standard_normal()) for sd in (STATURE_SD, MASS_SD, STRENGTH_SD))
    fields |= {
        "stature_m": _bounded("stature_m", fields["stature_m"] * stature),
        "mass_kg": _bounded("mass_kg", fields["mass_kg"] * stature**2 * mass),
        "strength": _bounded("strength", fields["strength"] * strength),
        "motor_noise": float(rng.uniform(*NOISE)),
        "arm_swing": float(rng.uniform(*ARM_SWING)),
    }
    for name in ("thigh", "shank", "foot", "trunk", "arm"):
        field = f"{name}_proportion"
        fields[field] = _bounded(field, fields[field] * (1.0 + PROPORTION_SD * _within(rng.standard_normal())))
    healthy = own_body(Person.model_validate(fields), row.body_model, number)
    someone = impaired(healthy, row.condition, row.severity, row.side)
    ratio = anatomy(someone).leg_length_m / row.leg_length_m
    own = row.parameters()
    return replace(
        someone,
        target_speed_m_s=row.target_speed_m_s * math.sqrt(ratio),
        reflex_gain_names=own.reflex_gain_names,
        reflex_gains=rescale_gains(row.gains, leg_length_ratio=ratio),
    )


def _within(normal: float) -> float:
    return float(np.clip(normal, -2.0, 2.0))


def _bounded(field: str, value: float) -> float:
    """Within what a person can be."""
    bounds = Person.model_fields[field].metadata
    low = next(bound.ge for bound in bounds if hasattr(bound, "ge"))
    high = next(bound.le for bound in bounds if hasattr(bound, "le"))
    return float(min(max(value, low), high))
