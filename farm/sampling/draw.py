"""Drawing one sample's person: (seed, sample id) in, `GaitParameters` out.

Each group of choices has a stream of its own, so that a change in how one is
drawn leaves the others as they were.
"""

from __future__ import annotations

import math
from dataclasses import replace
from statistics import NormalDist

import numpy as np

from farm.config import Campaign, ConditionShare, Population, load_campaign
from farm.control.archive import nearest
from farm.control.archived import ArchivedController
from farm.control.reflex import gain_names
from farm.control.similarity import rescale_gains
from farm.records import BODY_PLANS, GaitParameters, Sex, Side
from farm.sampling.anatomy import GENERIC_HIP_HEIGHT_M, anatomy
from farm.sampling.impaired import impaired
from farm.seeds import Stream, generator

STATURE_M: dict[Sex, tuple[float, float]] = {"male": (1.754, 0.076), "female": (1.616, 0.071)}
"""Mean and SD of adults' stature (Fryar et al. 2021, NCHS Vital Health Stat 3:46)."""

BODY_MASS_INDEX = (25.5, 0.16)
"""Median (kg/m^2) and log-SD; the tail is cut by the campaign."""

SPEED_CANDIDATES = 3
"""A sample takes one of this many nearest controllers, so that neighbours in speed differ in gait, too."""

AGE_LOSS_FROM_A, AGE_LOSS_TO_A, AGE_LOSS = 30.0, 80.0, 0.20
"""Strength falls linearly with age by this share: within the 30% of isometric loss between young and old adults
of Thelen 2003, the rest of which the condition `sarcopenia` adds."""


def gait_parameters_rand(campaign: Campaign, sample_id: int) -> GaitParameters:
    """Everything that is drawn for one sample; the same for the same (campaign, sample id) anywhere.

    Raises:
        CampaignError: A condition that is unknown or for which the archive has no walker.
    """
    seed = campaign.seed
    share, severity, side = _condition_rand(campaign, generator(seed, Stream.CONDITION, sample_id))
    person = _body_rand(campaign.population, generator(seed, Stream.BODY, sample_id), sample_id)
    leg_length_m = anatomy(person).leg_length_m
    rng = generator(seed, Stream.CONTROLLER, sample_id)
    wanted = float(rng.uniform(*campaign.target_speed_m_s))
    candidates = nearest(share.condition, severity, side, wanted, leg_length_m, count=SPEED_CANDIDATES,
                         body_model=campaign.body_model)  # fmt: skip
    # The nearest is likeliest; a farther one must not stand for a far severity, so only near ones compete.
    controller = candidates[min(int(rng.geometric(0.6)) - 1, len(candidates) - 1)]
    ratio = leg_length_m / controller.leg_length_m
    gains = controller.mirrored() if side == "left" else controller.gains.copy()
    gains = rescale_gains(gains, leg_length_ratio=ratio)
    # Both legs of a symmetric walker vary together: a random limp is not health.
    spread = campaign.population.gain_sd * rng.standard_normal(gains.shape[1])
    groups = len(BODY_PLANS[campaign.body_model].muscle_groups)
    muscles = _muscles_rand(campaign.population, person, groups, generator(seed, Stream.MUSCLES, sample_id))
    severity = _near(severity, controller, share)
    # As the body model has other muscles than the one of `_body_rand`, all factors are set anew.
    healthy = replace(
        person, body_model=campaign.body_model, strength=muscles, fiber_length=np.ones(0), tendon_length=np.ones(0)
    )
    return replace(
        impaired(healthy, share.condition, severity, side),
        target_speed_m_s=controller.target_speed_m_s * math.sqrt(ratio),
        controller=controller.name,
        reflex_gain_names=gain_names(campaign.body_model),
        reflex_gains=gains + spread,
    )


def load_drawable_campaign(name_or_path: str, *, samples: int | None = None, seed: int | None = None) -> Campaign:
    """A campaign (see `farm.config.load_campaign`) for whose people controllers are known.

    Raises:
        CampaignError: Also where the archive has no walker for a condition on a side, before any work.
    """
    campaign = load_campaign(name_or_path, samples=samples, seed=seed)
    for share in campaign.conditions:
        for side in share.sides:
            nearest(share.condition, share.severity[0], side, campaign.target_speed_m_s[0], GENERIC_HIP_HEIGHT_M,
                    body_model=campaign.body_model)  # fmt: skip
    return campaign


def _condition_rand(campaign: Campaign, rng: np.random.Generator) -> tuple[ConditionShare, float, Side]:
    weights = np.array([share.weight for share in campaign.conditions])
    share = campaign.conditions[int(rng.choice(len(weights), p=weights / weights.sum()))]
    severity = float(rng.uniform(*share.severity))
    side = share.sides[int(rng.integers(len(share.sides)))]
    return share, severity if side != "none" else 0.0, side


def _near(severity: float, controller: ArchivedController, share: ConditionShare) -> float:
    """The drawn severity, held within the reach of the controller that was found for it."""
    reach = 0.10
    low, high = share.severity
    held = min(max(severity, controller.severity - reach), controller.severity + reach)
    return min(max(held, low), high) if controller.condition != "healthy" else 0.0


def _body_rand(population: Population, rng: np.random.Generator, sample_id: int) -> GaitParameters:
    """Sex, age, size and proportions, as a person without impairment."""
    sexes: tuple[Sex, ...] = ("female", "male") if population.sex == "both" else (population.sex,)
    sex = sexes[int(rng.integers(len(sexes)))]
    age = float(rng.uniform(*population.age_years))
    stature = _truncated_normal_rand(rng, *STATURE_M[sex], *population.stature_m)
    median, log_sd = BODY_MASS_INDEX
    low, high = (math.log(value) for value in population.body_mass_index)
    index = math.exp(_truncated_normal_rand(rng, math.log(median), log_sd, low, high))
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
        arm_swing=float(rng.uniform(0.5, 1.3)),
        motor_noise=float(rng.uniform(*population.motor_noise)),
    )


def _muscles_rand(population: Population, person: GaitParameters, groups: int, rng: np.random.Generator) -> np.ndarray:
    """Strength factors `[2 groups]`: age, and each group's own scatter, alike on both sides."""
    aged = np.clip((person.age_years - AGE_LOSS_FROM_A) / (AGE_LOSS_TO_A - AGE_LOSS_FROM_A), 0.0, 1.0)
    scatter = np.exp(population.strength_sd * np.clip(rng.standard_normal(groups), -2.5, 2.5))
    return np.tile(scatter, 2) * (1.0 - AGE_LOSS * float(aged))


def _truncated_normal_rand(rng: np.random.Generator, mean: float, sd: float, low: float, high: float) -> float:
    """A normal variate within [low, high], by inversion of the cut distribution."""
    normal = NormalDist(mean, sd)
    share = rng.uniform(normal.cdf(low), normal.cdf(high))
    return min(max(normal.inv_cdf(min(max(float(share), 1e-12), 1 - 1e-12)), low), high)
