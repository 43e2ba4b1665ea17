"""Somebody in a few words: how they differ from the generic man, before any condition and without a controller.

What a search's job says of the people who must walk, and what the archive remembers of those who did.
"""

from __future__ import annotations

import numpy as np
from pydantic import Field

from farm.frozen import Frozen
from farm.records import BODY_PLANS, BodyModel, GaitParameters, Sex
from farm.sampling.anatomy import GENERIC_HIP_HEIGHT_M, anatomy


class Person(Frozen):
    """What differs from the generic man of 1.80 m and 75.2 kg."""

    sex: Sex = "male"
    age_years: float = Field(30.0, ge=18.0, le=95.0)
    stature_m: float = Field(1.80, ge=1.40, le=2.05)
    mass_kg: float = Field(75.2, ge=30.0, le=190.0)
    thigh_proportion: float = Field(1.0, ge=0.8, le=1.25)
    shank_proportion: float = Field(1.0, ge=0.8, le=1.25)
    foot_proportion: float = Field(1.0, ge=0.8, le=1.25)
    trunk_proportion: float = Field(1.0, ge=0.8, le=1.25)
    arm_proportion: float = Field(1.0, ge=0.8, le=1.25)
    strength: float = Field(1.0, ge=0.2, le=2.0, description="one factor for all muscles, beside the condition's")
    motor_noise: float = Field(0.0, ge=0.0, le=0.3)
    arm_swing: float = Field(1.0, ge=0.0, le=2.0)
    trunk_stiffness: float = Field(1.0, ge=0.2, le=5.0)
    trunk_lean_rad: float = Field(0.0, ge=-0.5, le=0.8)
    neural_delay_scale: float = Field(1.0, ge=0.5, le=3.0)


NUMBERS_OF_A_PERSON = tuple(name for name in Person.model_fields if name != "sex")


def own_body(someone: Person, body_model: BodyModel, number: int) -> GaitParameters:
    """This person's body: healthy, and without gains.

    Args:
        number: Sample id; with a seed it fixes the motor noise.
    """
    fields = someone.model_dump()
    strength = np.full(len(BODY_PLANS[body_model].muscles), fields.pop("strength"))
    return GaitParameters(sample_id=number, body_model=body_model, strength=strength, **fields)


def leg_ratio(someone: GaitParameters) -> float:
    """This body's leg length over the generic man's."""
    return anatomy(someone).leg_length_m / GENERIC_HIP_HEIGHT_M
