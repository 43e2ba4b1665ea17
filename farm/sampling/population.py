"""Somebody of a population, and somebody like them: sex, age, size and build, without impairment."""

from __future__ import annotations

import math
from collections.abc import Mapping
from statistics import NormalDist
from typing import Any

import numpy as np

from farm.config import Population
from farm.records import GaitParameters, Sex
from farm.sampling.person import NUMBERS_OF_A_PERSON, Person

STATURE_M: dict[Sex, tuple[float, float]] = {"male": (1.754, 0.076), "female": (1.616, 0.071)}
"""Mean and SD of adults' stature (Fryar et al. 2021, NCHS Vital Health Stat 3:46)."""

BODY_MASS_INDEX = (25.5, 0.16)
"""Median (kg/m^2) and log-SD; the tail is cut by the campaign."""

AGE_LOSS_FROM_A, AGE_LOSS_TO_A, AGE_LOSS = 30.0, 80.0, 0.20
"""Strength falls linearly with age by this share: within the 30% of isometric loss between young and old adults
of Thelen 2003, the rest of which the condition `sarcopenia` adds."""

NEIGHBOUR_STATURE_SD, NEIGHBOUR_MASS_SD, NEIGHBOUR_PROPORTION_SD, NEIGHBOUR_STRENGTH_SD = 0.04, 0.10, 0.02, 0.05
"""Relative. Statures of one sex differ by 0.044; 0.02 and 0.05 are campaigns' own for proportions and muscles."""

NEIGHBOUR_NOISE, ARM_SWING = (0.0, 0.03), (0.5, 1.3)
"""From, to: what a campaign draws by default."""


def build_at(population: Population, strata: Mapping[str, float]) -> dict[str, Any]:
    """Sex, age, stature and mass of somebody for whom each is drawn already, as a number in [0, 1).

    Args:
        strata: "sex", "age", "stature" and "body_mass_index"; see `farm.sampling.strata`.
    """
    sexes = _sexes(population)
    sex = sexes[int(strata["sex"] * len(sexes))]
    low, high = population.age_years
    stature = _truncated_normal_at(strata["stature"], *STATURE_M[sex], *population.stature_m)
    index = _body_mass_index_at(population, strata["body_mass_index"])
    age = low + strata["age"] * (high - low)
    return {"sex": sex, "age_years": age, "stature_m": stature, "mass_kg": index * stature**2}


def body_rand(population: Population, rng: np.random.Generator, sample_id: int) -> GaitParameters:
    """Sex, age, size and proportions, as a person without impairment."""
    sexes = _sexes(population)
    sex = sexes[int(rng.integers(len(sexes)))]
    age = float(rng.uniform(*population.age_years))
    stature = _truncated_normal_at(rng.random(), *STATURE_M[sex], *population.stature_m)
    index = _body_mass_index_at(population, rng.random())
    proportions = 1.0 + population.proportion_sd * np.clip(rng.standard_normal(5), -2.5, 2.5)
    return GaitParameters(
        sample_id=sample_id,
        sex=sex,
        age_years=age,
        stature_m=stature,
        mass_kg=index * stature**2,
        thigh_proportion=float(proportions[0]),
        shank_proportion=float(proportions[1]),
        foot_proportion=float(proportions[2]),
        trunk_proportion=float(proportions[3]),
        arm_proportion=float(proportions[4]),
        arm_swing=float(rng.uniform(*ARM_SWING)),
        motor_noise=float(rng.uniform(*population.motor_noise)),
    )


def strength_at(age_years: float) -> float:
    """What age leaves of a young adult's strength."""
    aged = np.clip((age_years - AGE_LOSS_FROM_A) / (AGE_LOSS_TO_A - AGE_LOSS_FROM_A), 0.0, 1.0)
    return 1.0 - AGE_LOSS * float(aged)


def person_rand(population: Population, rng: np.random.Generator) -> Person:
    """The same in a search's words: all muscles share one factor of strength, of age and of scatter."""
    body = body_rand(population, rng, 0)
    scatter = math.exp(population.strength_sd * float(np.clip(rng.standard_normal(), -2.5, 2.5)))
    own = {name: getattr(body, name) for name in NUMBERS_OF_A_PERSON if name != "strength"}
    return Person(sex=body.sex, strength=strength_at(body.age_years) * scatter, **own)


def similar_rand(someone: Person, rng: np.random.Generator) -> Person:
    """Somebody of about this person's size and strength, with noise and arms as they come."""
    fields = someone.model_dump()
    sds = NEIGHBOUR_STATURE_SD, NEIGHBOUR_MASS_SD, NEIGHBOUR_STRENGTH_SD
    stature, mass, strength = (1.0 + sd * _within(rng.standard_normal()) for sd in sds)
    fields |= {
        "stature_m": _bounded("stature_m", fields["stature_m"] * stature),
        "mass_kg": _bounded("mass_kg", fields["mass_kg"] * stature**2 * mass),
        "strength": _bounded("strength", fields["strength"] * strength),
        "motor_noise": float(rng.uniform(*NEIGHBOUR_NOISE)),
        "arm_swing": float(rng.uniform(*ARM_SWING)),
    }
    for name in ("thigh", "shank", "foot", "trunk", "arm"):
        field = f"{name}_proportion"
        proportion = fields[field] * (1.0 + NEIGHBOUR_PROPORTION_SD * _within(rng.standard_normal()))
        fields[field] = _bounded(field, proportion)
    return Person.model_validate(fields)


def _within(normal: float) -> float:
    return float(np.clip(normal, -2.0, 2.0))


def _bounded(field: str, value: float) -> float:
    """Within what a person can be."""
    bounds = Person.model_fields[field].metadata
    low = next(bound.ge for bound in bounds if hasattr(bound, "ge"))
    high = next(bound.le for bound in bounds if hasattr(bound, "le"))
    return float(min(max(value, low), high))


def _sexes(population: Population) -> tuple[Sex, ...]:
    return ("female", "male") if population.sex == "both" else (population.sex,)


def _body_mass_index_at(population: Population, uniform: float) -> float:
    median, log_sd = BODY_MASS_INDEX
    low, high = (math.log(value) for value in population.body_mass_index)
    return math.exp(_truncated_normal_at(uniform, math.log(median), log_sd, low, high))


def _truncated_normal_at(uniform: float, mean: float, sd: float, low: float, high: float) -> float:
    """A normal variate within [low, high], by inversion of the cut distribution at a number in [0, 1)."""
    normal = NormalDist(mean, sd)
    least, most = normal.cdf(low), normal.cdf(high)
    share = least + (most - least) * uniform
    return min(max(normal.inv_cdf(min(max(float(share), 1e-12), 1 - 1e-12)), low), high)
