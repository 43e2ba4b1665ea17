"""What an illness does to muscles and nerves, as a documented map from severity to parameters.

A condition multiplies parameters of the affected side; every factor runs
log-linearly from 1 at severity 0 to its value at severity 1. Nothing here
prescribes motion: the gait that comes of it is whatever the reflexes make of
such a body.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from farm.errors import CampaignError
from farm.records import PLANAR, SPATIAL, BodyPlan, Side


@dataclass(frozen=True)
class Condition:
    """One condition and its effects at severity 1.

    Attributes:
        strength: Muscle group -> factor on maximum isometric force.
        fiber_length: Muscle group -> factor on optimal fibre length (below 1: contracture).
        deactivation: Factor on the deactivation time constant.
        delay: Factor on sensory delays.
        sides: Sides that it can affect.
        source: Where the factors come from.
    """

    name: str
    description: str
    source: str
    sides: tuple[Side, ...]
    strength: Mapping[str, float] = field(default_factory=dict)
    fiber_length: Mapping[str, float] = field(default_factory=dict)
    deactivation: float = 1.0
    delay: float = 1.0


_ONE_OR_BOTH: tuple[Side, ...] = ("right", "left", "both")

CONDITIONS: Mapping[str, Condition] = MappingProxyType(
    {
        condition.name: condition
        for condition in (
            Condition("healthy", "No impairment.", "", ("none",)),
            Condition(
                "sarcopenia",
                "Loss of muscle strength and slowed muscles and nerves of old age.",
                "30-40% isometric loss, deactivation x1.2: Thelen 2003 (doi 10.1115/1.1531112); delays x1.2",
                ("both",),
                strength=dict.fromkeys(SPATIAL.muscle_groups, 0.6),
                deactivation=1.2,
                delay=1.2,
            ),
            Condition(
                "plantarflexor_weakness",
                "Weak calf (soleus and gastrocnemius), as after tendon injury or in neuropathy.",
                "Factors down to 0.25 of normal after Ong et al. 2019 (doi 10.1371/journal.pcbi.1006993)",
                _ONE_OR_BOTH,
                strength={"soleus": 0.25, "gastroc": 0.25},
            ),
            Condition(
                "foot_drop",
                "Weak ankle dorsiflexors (tibialis anterior), as in peroneal palsy.",
                "Tibialis anterior down to 0.10; range of Park et al. 2022 (Generative GaitNet), 0.05-1",
                _ONE_OR_BOTH,
                strength={"tib_ant": 0.10},
            ),
            Condition(
                "knee_extensor_weakness",
                "Weak quadriceps (vasti and rectus femoris), as after surgery or in myopathy.",
                "Factors down to 0.2; range of Park et al. 2022 (Generative GaitNet), 0.05-1",
                _ONE_OR_BOTH,
                strength={"vasti": 0.2, "rect_fem": 0.2},
            ),
            Condition(
                "hip_flexor_weakness",
                "Weak iliopsoas.",
                "Factors down to 0.25; range of Park et al. 2022 (Generative GaitNet), 0.05-1",
                _ONE_OR_BOTH,
                strength={"iliopsoas": 0.25},
            ),
            Condition(
                "equinus_contracture",
                "Shortened calf muscles.",
                "Optimal fibre length of soleus and gastrocnemius down to 0.70 (Ong et al. 2019)",
                _ONE_OR_BOTH,
                fiber_length={"soleus": 0.70, "gastroc": 0.70},
            ),
            Condition(
                "hemiparesis",
                "Weakness of one whole leg after stroke, distal muscles most.",
                "Strength 0.4-0.8, tibialis anterior 0.2-0.5, iliopsoas 0.5: design after Falisse et al. 2019 "
                "(doi 10.1098/rsif.2019.0402) and Jansen et al. 2014 (doi 10.1186/1743-0003-11-78)",
                ("right", "left"),
                strength={
                    "hamstrings": 0.5, "bifemsh": 0.5, "glut_max": 0.6, "iliopsoas": 0.5, "rect_fem": 0.6,
                    "vasti": 0.6, "gastroc": 0.4, "soleus": 0.4, "tib_ant": 0.25,
                },
            ),
        )
    }
)  # fmt: skip


@dataclass(frozen=True)
class Impairment:
    """A condition at one severity and side, resolved: factors by muscle."""

    strength: NDArray[np.float64]
    fiber_length: NDArray[np.float64]
    deactivation: float
    delay: float


def condition(name: str) -> Condition:
    """A condition by name.

    Raises:
        CampaignError: With the names there are.
    """
    if name not in CONDITIONS:
        raise CampaignError(f"there is no condition {name!r}; known conditions: {', '.join(CONDITIONS)}")
    return CONDITIONS[name]


def impair(name: str, severity: float, side: Side, *, plan: BodyPlan = PLANAR) -> Impairment:
    """The factors of one condition, `[M]` in the order of the body plan's muscles.

    Args:
        severity: 0 to 1; factors are `full ** severity`.
        side: Which legs are affected; "none" leaves every factor at 1.
    """
    spec = condition(name)
    affected = {"right": ("r",), "left": ("l",), "both": ("r", "l"), "none": ()}[side]

    def factors(table: Mapping[str, float]) -> NDArray[np.float64]:
        values = np.ones(len(plan.muscles))
        for i, muscle in enumerate(plan.muscles):
            group, leg = muscle[:-2], muscle[-1]
            if leg in affected:
                values[i] = table.get(group, 1.0) ** severity
        return values

    general = severity if affected else 0.0
    return Impairment(
        strength=factors(spec.strength),
        fiber_length=factors(spec.fiber_length),
        deactivation=spec.deactivation**general,
        delay=spec.delay**general,
    )
