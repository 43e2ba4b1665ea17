"""Walkers as numbers: where somebody stands among others, and what a model of who walks with which gains is told."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from farm.control.archive import SEVERITY_UNIT, SPEED_UNIT
from farm.control.archived import ArchivedController
from farm.records import GaitParameters
from farm.sampling.anatomy import GENERIC_HIP_HEIGHT_M
from farm.sampling.conditions import CONDITIONS
from farm.sampling.person import Person

STATURE_UNIT, BODY_MASS_INDEX_UNIT, STRENGTH_UNIT, PROPORTION_UNIT = 0.08, 0.15, 0.10, 0.05
"""Logarithms; a design choice: about one and a half standard deviations of a population."""

ARM_UNIT, NOISE_UNIT = 0.4, 0.03
"""Half of what campaigns draw arm swings over; all that they draw noise over."""

Who = Mapping[str, float | str]
"""Fields of a `Person`, with `severity` and `speed_m_s`, the speed that is asked of the generic stature."""

PLACE: tuple[str, ...] = (
    "severity", "speed", "stature", "body_mass_index", "strength", "thigh_to_shank", "trunk", "arm_swing",
    "motor_noise",
)  # fmt: skip


def place(who: Who) -> NDArray[np.float64]:
    """`[9]` by `PLACE`, in units: walkers one unit apart are much alike."""

    def of(name: str) -> float:
        return float(who[name])

    return np.array([
        of("severity") / SEVERITY_UNIT,
        of("speed_m_s") / SPEED_UNIT,
        math.log(of("stature_m")) / STATURE_UNIT,
        math.log(of("mass_kg") / of("stature_m") ** 2) / BODY_MASS_INDEX_UNIT,
        math.log(of("strength")) / STRENGTH_UNIT,
        math.log(of("thigh_proportion") / of("shank_proportion")) / PROPORTION_UNIT,
        math.log(of("trunk_proportion")) / PROPORTION_UNIT,
        of("arm_swing") / ARM_UNIT,
        of("motor_noise") / NOISE_UNIT,
    ])  # fmt: skip


def who_is(someone: GaitParameters) -> dict[str, float | str]:
    """Somebody's own body, without condition, as `place` wants it; who is ill is placed by what they were before."""
    fields: dict[str, float | str] = {
        name: getattr(someone, name) for name in Person.model_fields if name != "strength"
    }
    return fields | {"strength": float(np.exp(np.mean(np.log(someone.strength))))}


OF_A_TEACHER: tuple[str, ...] = ("robustness", "speed", "asked_speed", "step_length", "double_support", "rhythm")
"""How the walker walks whose gains are taken over: share of people like them who walk with their gains; speeds and step
length at the generic leg's length; double support; coefficient of variation of the stride time."""

FEATURES: tuple[str, ...] = (
    *(f"own_{name}" for name in PLACE if name != "speed"),
    *(f"from_{name}" for name in PLACE if name != "speed"),
    *(f"off_{name}" for name in PLACE if name != "speed"),
    "distance", "other_sex", *(f"teacher_{name}" for name in OF_A_TEACHER),
    *(name for name in CONDITIONS), *(f"{name}_severity" for name in CONDITIONS if name != "healthy"),
)  # fmt: skip


def features(who: Who, condition: str, teachers: Sequence[ArchivedController]) -> NDArray[np.float64]:
    """`[K, F]` by `FEATURES`: somebody with a condition, and walkers of it whose gains they could take over.

    Args:
        who: With `severity`. What is asked of their speed says nothing: it comes with the teacher's gains.
    """
    unspeeded = [name != "speed" for name in PLACE]
    own = place({**who, "speed_m_s": 0.0})[unspeeded]
    theirs = np.array([place(at(row))[unspeeded] for row in teachers])
    which = np.array([name == condition for name in CONDITIONS], dtype=float)
    ill = which[[name != "healthy" for name in CONDITIONS]] * float(who["severity"])
    rows = []
    for row, there in zip(teachers, theirs, strict=True):
        froude = math.sqrt(row.leg_length_m / GENERIC_HIP_HEIGHT_M)
        walk = row.descriptors
        teacher = [
            row.robustness, row.speed_m_s / froude, row.target_speed_m_s / froude,
            walk.get("step_length", 0.0) / froude**2, walk.get("double_support_fraction", 0.0),
            walk.get("stride_time_cv", 0.0),
        ]  # fmt: skip
        apart = own - there
        rows.append(
            np.concatenate(
                [own, apart, np.abs(apart), [np.linalg.norm(apart), row.person.sex != who["sex"]], teacher, which, ill]
            )
        )
    return np.array(rows).reshape(-1, len(FEATURES))


def at(row: ArchivedController) -> Who:
    """A walker of the archive as a place."""
    froude = math.sqrt(row.leg_length_m / GENERIC_HIP_HEIGHT_M)
    return row.person.model_dump() | {"severity": row.severity, "speed_m_s": row.target_speed_m_s / froude}
