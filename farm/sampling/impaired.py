"""A person with a condition: what the illness does, laid over somebody's own muscles, nerves and body."""

from __future__ import annotations

from dataclasses import replace

from farm.records import GaitParameters, Side
from farm.sampling.conditions import impair, impaired_mass


def impaired(person: GaitParameters, condition: str, severity: float, side: Side) -> GaitParameters:
    """The same person with a condition: factors multiply what is theirs, the rest is added to it.

    Raises:
        CampaignError: There is no such condition.
    """
    effect = impair(condition, severity, side, plan=person.plan)
    mass_kg = impaired_mass(condition, severity, side, mass_kg=person.mass_kg, stature_m=person.stature_m)
    return replace(
        person,
        condition=condition,
        severity=severity,
        side=side,
        mass_kg=mass_kg,
        strength=person.strength * effect.strength,
        fiber_length=person.fiber_length * effect.fiber_length,
        stretch_reflex=person.stretch_reflex + effect.stretch_reflex,
        deactivation_time_s=person.deactivation_time_s * effect.deactivation,
        neural_delay_scale=person.neural_delay_scale * effect.delay,
        motor_noise=person.motor_noise + effect.noise,
        trunk_lean_rad=person.trunk_lean_rad + effect.lean_rad,
        trunk_stiffness=person.trunk_stiffness * effect.trunk_stiffness,
        arm_swing=person.arm_swing * effect.arm_swing,
        leg_length_difference_m=person.leg_length_difference_m + effect.leg_length_difference_m,
    )
