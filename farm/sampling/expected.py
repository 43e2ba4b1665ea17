"""How many of a campaign's people will walk, by condition, before anything walks: what the proposal model says."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from farm.config import Campaign
from farm.control.likeness import features, who_is
from farm.control.proposal import has_ensemble, shipped_ensemble
from farm.sampling.draw import drawn_rand

PEOPLE = 512
"""So many of a campaign's samples are drawn, the first ones: every so-manieth would miss strata of an even campaign."""


@dataclass(frozen=True)
class Expected:
    """Of the people of one condition and side.

    Attributes:
        share: Of the campaign's samples.
        walk: Mean cautious chance that they walk for ten seconds; some walks are turned down for other faults.
    """

    condition: str
    side: str
    share: float
    walk: float


def expected_walkers(campaign: Campaign, *, people: int = PEOPLE) -> tuple[Expected, ...]:
    """By condition and side, the healthy first; empty where no model knows the campaign's bodies.

    Raises:
        CampaignError: A condition for which the archive has no walker.
    """
    if not has_ensemble(campaign.body_model):
        return ()
    ensemble = shipped_ensemble(campaign.body_model)
    count = min(people, campaign.samples)
    chances: dict[tuple[str, str], list[float]] = defaultdict(list)
    for number in range(count):
        drawn = drawn_rand(campaign, number)
        told = features({**who_is(drawn.healthy), "severity": drawn.severity}, drawn.condition, [drawn.teacher])
        chances[drawn.condition, drawn.side].append(float(ensemble.opinion(told).cautious[0]))
    found = [
        Expected(condition, side, len(of) / count, float(np.mean(of)))
        for (condition, side), of in sorted(chances.items())
    ]
    return tuple(sorted(found, key=lambda one: one.condition != "healthy"))


def walking_share(expected: Sequence[Expected]) -> float | None:
    """Of all of a campaign's samples; None if nothing is expected."""
    return sum(one.share * one.walk for one in expected) if expected else None
