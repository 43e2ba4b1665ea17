"""A person with a condition: what the illness does, laid over somebody's own muscles and nerves."""

from __future__ import annotations

from dataclasses import replace

from farm.records import GaitParameters, Side
from farm.sampling.conditions import impair


def impaired(person: GaitParameters, condition: str, severity: float, side: Side) -> GaitParameters:
    """The same person with a condition; their own strength, fibres, delays are multiplied by its factors.

    Raises:
        CampaignError: There is no such condition.
    """
    effect = impair(condition, severity, side, plan=person.plan)
    return replace(
        person,
        condition=condition,
        severity=severity,
        side=side,
        strength=person.strength * effect.strength,
        fiber_length=person.fiber_length * effect.fiber_length,
        deactivation_time_s=person.deactivation_time_s * effect.deactivation,
        neural_delay_scale=person.neural_delay_scale * effect.delay,
    )
