"""Drawing one sample's person: (seed, sample id) in, `GaitParameters` out.

Each group of choices has a stream of its own, so that a change in how one is
drawn leaves the others as they were.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from farm.config import Campaign, ConditionShare, Population, load_campaign
from farm.control.archive import nearest
from farm.control.archived import ArchivedController
from farm.control.likeness import who_is
from farm.control.proposal import proposals, shipped_ensemble
from farm.records import BODY_PLANS, GaitParameters, Side
from farm.sampling.anatomy import GENERIC_HIP_HEIGHT_M, anatomy
from farm.sampling.population import body_rand, build_at, strength_at
from farm.sampling.strata import strata
from farm.sampling.taught import walking_as
from farm.seeds import Stream, generator

SPEED_CANDIDATES = 3
"""A sample takes one of this many nearest controllers, so that neighbours in speed differ in gait, too."""


@dataclass(frozen=True)
class Drawn:
    """Somebody who was drawn, and whose gains they walk with.

    Attributes:
        healthy: Their own body, without the condition and without gains.
        gain_scatter: `[G]` what is added to the gains of both legs.
    """

    healthy: GaitParameters
    condition: str
    severity: float
    side: Side
    teacher: ArchivedController
    leg_length_m: float
    gain_scatter: NDArray[np.float64]

    @property
    def parameters(self) -> GaitParameters:
        """All that their simulation needs."""
        taught = walking_as(self.healthy, self.condition, self.severity, self.side, self.teacher, self.leg_length_m)
        return replace(taught, reflex_gains=taught.reflex_gains + self.gain_scatter)


def gait_parameters_rand(campaign: Campaign, sample_id: int) -> GaitParameters:
    """Everything that is drawn for one sample; the same for the same (campaign, sample id) anywhere.

    Raises:
        CampaignError: A condition that is unknown or for which the archive has no walker.
    """
    return drawn_rand(campaign, sample_id).parameters


def drawn_rand(campaign: Campaign, sample_id: int) -> Drawn:
    """The same, before the condition and the gains are laid over the person.

    Raises:
        CampaignError: As `gait_parameters_rand`.
    """
    seed = campaign.seed
    person = body_rand(campaign.population, generator(seed, Stream.BODY, sample_id), sample_id)
    rng = generator(seed, Stream.CONTROLLER, sample_id)
    wanted = float(rng.uniform(*campaign.target_speed_m_s))
    if campaign.sampling == "stratified":
        even = strata(seed, sample_id)
        share, severity, side = _condition_at(campaign, even)
        person = replace(person, **build_at(campaign.population, even))
        low, high = campaign.target_speed_m_s
        wanted = low + even["speed"] * (high - low)
    else:
        share, severity, side = _condition_rand(campaign, generator(seed, Stream.CONDITION, sample_id))
    leg_length_m = anatomy(person).leg_length_m
    groups = len(BODY_PLANS[campaign.body_model].muscle_groups)
    muscles = _muscles_rand(campaign.population, person, groups, generator(seed, Stream.MUSCLES, sample_id))
    # As the body model has other muscles than the one of `body_rand`, all factors are set anew.
    healthy = replace(
        person, body_model=campaign.body_model, strength=muscles, fiber_length=np.ones(0), tendon_length=np.ones(0)
    )
    candidates = _teachers(campaign, healthy, share.condition, severity, side, wanted, leg_length_m)
    # The nearest is likeliest; a farther one must not stand for a far severity, so only near ones compete.
    controller = candidates[min(int(rng.geometric(0.6)) - 1, len(candidates) - 1)]
    if campaign.controllers == "nearest":
        severity = _near(severity, controller, share)
    # Both legs of a symmetric walker vary together: a random limp is not health.
    scatter = np.asarray(campaign.population.gain_sd * rng.standard_normal(controller.gains.shape[1]))
    return Drawn(healthy, share.condition, severity, side, controller, leg_length_m, scatter)


def _teachers(
    campaign: Campaign, healthy: GaitParameters, condition: str, severity: float, side: Side, speed_m_s: float,
    leg_length_m: float,
) -> list[ArchivedController]:  # fmt: skip
    """Walkers whose gains compete for a person, the best first."""
    if campaign.controllers == "nearest":
        return nearest(condition, severity, side, speed_m_s, leg_length_m, count=SPEED_CANDIDATES,
                       body_model=campaign.body_model)  # fmt: skip
    who = {**who_is(healthy), "severity": severity}
    return proposals(shipped_ensemble(campaign.body_model), who, condition, side, speed_m_s, leg_length_m,
                     count=SPEED_CANDIDATES, body_model=campaign.body_model)  # fmt: skip


def load_drawable_campaign(name_or_path: str, *, samples: int | None = None, seed: int | None = None) -> Campaign:
    """A campaign (see `farm.config.load_campaign`) for whose people controllers are known.

    Raises:
        CampaignError: Also where the archive has no walker for a condition on a side, or no model proposes gains for
            the campaign's bodies, before any work.
    """
    campaign = load_campaign(name_or_path, samples=samples, seed=seed)
    if campaign.controllers == "proposed":
        shipped_ensemble(campaign.body_model)
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


def _condition_at(campaign: Campaign, even: Mapping[str, float]) -> tuple[ConditionShare, float, Side]:
    """The same for a sample whose numbers in [0, 1) are drawn already."""
    weights = np.array([share.weight for share in campaign.conditions])
    ends = np.cumsum(weights) / weights.sum()
    share = campaign.conditions[min(int(np.searchsorted(ends, even["condition"], side="right")), len(ends) - 1)]
    low, high = share.severity
    side = share.sides[int(even["side"] * len(share.sides))]
    return share, low + even["severity"] * (high - low) if side != "none" else 0.0, side


def _near(severity: float, controller: ArchivedController, share: ConditionShare) -> float:
    """The drawn severity, held within the reach of the controller that was found for it."""
    reach = 0.10
    low, high = share.severity
    held = min(max(severity, controller.severity - reach), controller.severity + reach)
    return min(max(held, low), high) if controller.condition != "healthy" else 0.0


def _muscles_rand(population: Population, person: GaitParameters, groups: int, rng: np.random.Generator) -> np.ndarray:
    """Strength factors `[2 groups]`: age, and each group's own scatter, alike on both sides."""
    scatter = np.exp(population.strength_sd * np.clip(rng.standard_normal(groups), -2.5, 2.5))
    return np.tile(scatter, 2) * strength_at(person.age_years)
