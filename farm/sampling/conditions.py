"""What an illness does to muscles, nerves and body, as a documented map from severity to parameters.

A condition multiplies parameters of the affected side; every factor runs
log-linearly from 1 at severity 0 to its value at severity 1, and what is added
runs linearly from 0. Nothing here prescribes motion: the gait that comes of it
is whatever the reflexes make of such a body.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from farm.errors import CampaignError
from farm.records import BODY_PLANS, PLANAR, SPATIAL, BodyModel, BodyPlan, Side


@dataclass(frozen=True)
class Condition:
    """One condition and its effects at severity 1.

    Attributes:
        strength: Muscle group -> factor on maximum isometric force.
        fiber_length: Muscle group -> factor on optimal fibre length (below 1: contracture).
        stretch_reflex: Muscle group -> added to the gain of its stretch reflex (s): spasticity.
        deactivation: Factor on the deactivation time constant.
        delay: Factor on sensory delays.
        noise: Added to the standard deviation of the excitation's noise.
        lean_rad: Added to the forward set-point of the lumbar joint.
        trunk_stiffness: Factor on passive lumbar stiffness.
        arm_swing: Factor on the gain from the opposite hip to the shoulder.
        shortening_m: By how much the affected leg is shorter than the other.
        body_mass_index: kg/m^2 towards which a lighter body's mass goes; 0 leaves it.
        sides: Sides that it can affect.
        source: Where the factors come from.
    """

    name: str
    description: str
    source: str
    sides: tuple[Side, ...]
    strength: Mapping[str, float] = field(default_factory=dict)
    fiber_length: Mapping[str, float] = field(default_factory=dict)
    stretch_reflex: Mapping[str, float] = field(default_factory=dict)
    deactivation: float = 1.0
    delay: float = 1.0
    noise: float = 0.0
    lean_rad: float = 0.0
    trunk_stiffness: float = 1.0
    arm_swing: float = 1.0
    shortening_m: float = 0.0
    body_mass_index: float = 0.0

    def shows_in(self, body_model: BodyModel) -> bool:
        """Whether such a body has anything that the condition changes: the planar one has no hip abductors."""
        groups = BODY_PLANS[body_model].muscle_groups
        muscles = {*self.strength, *self.fiber_length, *self.stretch_reflex}
        whole = (self.deactivation, self.delay, self.trunk_stiffness, self.arm_swing) != (1.0, 1.0, 1.0, 1.0)
        return not muscles or whole or bool(self.noise) or bool(muscles & set(groups))


_BOTH: tuple[Side, ...] = ("both",)
_ONE_OR_BOTH: tuple[Side, ...] = ("right", "left", "both")

_GAITNET = "the range of Park et al. 2023 (Bidirectional GaitNet, doi 10.1145/3588432.3591492)"

CONDITIONS: Mapping[str, Condition] = MappingProxyType(
    {
        condition.name: condition
        for condition in (
            Condition("healthy", "No impairment.", "", ("none",)),
            Condition(
                "sarcopenia",
                "Loss of muscle strength and slowed muscles and nerves of old age.",
                "30-40% isometric loss, deactivation x1.2: Thelen 2003 (doi 10.1115/1.1531112); delays x1.2",
                _BOTH,
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
                "equinus_hyperreflexia",
                "Spastic calf: soleus and gastrocnemius contract when they are stretched fast, in every phase of gait.",
                "Velocity feedback of the calf after Jansen et al. 2014 (doi 10.1186/1743-0003-11-78) and Bruel et al. "
                "2022 (doi 10.1113/JP282609); the gain of 0.2 s is a design choice",
                _ONE_OR_BOTH,
                stretch_reflex={"soleus": 0.2, "gastroc": 0.2},
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
            Condition(
                "hip_extensor_weakness",
                "Weak gluteus maximus and hamstrings.",
                "Factors down to 0.2; " + _GAITNET,
                _ONE_OR_BOTH,
                strength={"glut_max": 0.2, "hamstrings": 0.2},
            ),
            Condition(
                "hip_abductor_weakness",
                "Weak gluteus medius and minimus (Trendelenburg); in three dimensions only.",
                "Abductors down to 0.10; " + _GAITNET,
                _ONE_OR_BOTH,
                strength={"hip_abd": 0.10},
            ),
            Condition(
                "myopathy",
                "Weakness of the muscles near the trunk, as in limb-girdle dystrophy.",
                "Which muscles is the definition; factors 0.3 are a design choice within " + _GAITNET,
                _BOTH,
                strength={
                    "iliopsoas": 0.3, "glut_max": 0.3, "hamstrings": 0.4, "vasti": 0.4, "rect_fem": 0.4, "hip_abd": 0.3,
                    "hip_add": 0.4,
                },
            ),
            Condition(
                "hip_flexor_contracture",
                "Shortened iliopsoas: the hip does not extend.",
                "Optimal fibre length down to 0.70: a design choice; psoas 0.66 and iliacus 0.75 as whole lengths in "
                + _GAITNET,
                _ONE_OR_BOTH,
                fiber_length={"iliopsoas": 0.70},
            ),
            Condition(
                "crouch",
                "Shortened hamstrings and psoas with weak knee extensors, as in spastic diplegia.",
                "Hamstrings 0.75 as in SCONE's tutorial 5b; the others a design choice within " + _GAITNET,
                _BOTH,
                strength={"vasti": 0.6, "rect_fem": 0.6},
                fiber_length={"hamstrings": 0.75, "bifemsh": 0.75, "iliopsoas": 0.80},
            ),
            Condition(
                "diplegia",
                "Cerebral palsy of both legs: weak, slow muscles, shortened calf, hamstrings and psoas together.",
                "A design choice: strengths and lengths within " + _GAITNET + "; gaits to compare with: "
                "Kidzinski et al. 2020 (doi 10.1038/s41467-020-17807-z)",
                _BOTH,
                strength=dict.fromkeys(SPATIAL.muscle_groups, 0.6) | {"tib_ant": 0.4},
                fiber_length={"gastroc": 0.80, "soleus": 0.85, "hamstrings": 0.85, "iliopsoas": 0.85},
                deactivation=1.3,
            ),
            Condition(
                "stiff_knee",
                "Shortened quadriceps: the knee bends too little in swing. A spastic one would need stretch reflexes.",
                "Fibres of rectus femoris 0.70, of vasti 0.75: a design choice; vasti 0.78 as whole lengths in "
                + _GAITNET,
                _ONE_OR_BOTH,
                fiber_length={"rect_fem": 0.70, "vasti": 0.75},
            ),
            Condition(
                "parkinsonian",
                "Stooped, stiff trunk, little arm swing, weak drive of the legs, slow release of muscles.",
                "A design choice: lean 20 deg, stiff trunk, strength 0.75; gaits to compare with: Zanardi et al. 2021 "
                "(doi 10.1038/s41598-020-80768-2)",
                _BOTH,
                strength=dict.fromkeys(SPATIAL.muscle_groups, 0.75) | {"iliopsoas": 0.6},
                deactivation=1.3,
                lean_rad=0.35,
                trunk_stiffness=1.5,
                arm_swing=0.2,
                noise=0.02,
            ),
            Condition(
                "cerebellar_ataxia",
                "Late and noisy control.",
                "A design choice: delays x1.6, four times the noise that the healthy are drawn with; gaits to compare "
                "with: Stolze et al. 2002 (doi 10.1136/jnnp.73.3.310)",
                _BOTH,
                delay=1.6,
                noise=0.12,
            ),
            Condition(
                "antalgic",
                "One painful leg whose extensors are inhibited, as in osteoarthritis of the knee.",
                "Extensors down to 0.5, a design choice; gaits to compare with: Wiik et al. 2017 "
                "(doi 10.5312/wjo.v8.i4.322)",
                ("right", "left"),
                strength={"vasti": 0.5, "rect_fem": 0.5, "glut_max": 0.6, "gastroc": 0.6, "soleus": 0.6},
            ),
            Condition(
                "leg_length_difference",
                "One leg shorter than the other, thigh and shank alike; the affected side is the short one.",
                "4 cm, a design choice: gait is asymmetric from about 2 cm on (Kaufman et al. 1996, J Pediatr Orthop "
                "16:144); review: Gurney 2002 (doi 10.1016/S0966-6362(01)00148-5)",
                ("right", "left"),
                shortening_m=0.04,
            ),
            Condition(
                "obesity",
                "A heavy body whose muscles are weak for its mass.",
                "Body mass index 40, where the WHO's class III begins; strength for its mass 0.7, more in all and less "
                "per kg (review: Tomlinson et al. 2016, doi 10.1007/s10522-015-9626-4)",
                _BOTH,
                strength=dict.fromkeys(SPATIAL.muscle_groups, 0.7),
                body_mass_index=40.0,
            ),
        )
    }
)  # fmt: skip


@dataclass(frozen=True)
class Impairment:
    """A condition at one severity and side, resolved: factors by muscle, and the rest as in `Condition`."""

    strength: NDArray[np.float64]
    fiber_length: NDArray[np.float64]
    stretch_reflex: NDArray[np.float64]
    deactivation: float
    delay: float
    noise: float
    lean_rad: float
    trunk_stiffness: float
    arm_swing: float
    leg_length_difference_m: float


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

    def by_muscle(table: Mapping[str, float], other: float) -> NDArray[np.float64]:
        return np.array([table.get(muscle[:-2], other) if muscle[-1] in affected else other for muscle in plan.muscles])

    general = severity if affected else 0.0
    return Impairment(
        strength=by_muscle({group: factor**severity for group, factor in spec.strength.items()}, 1.0),
        fiber_length=by_muscle({group: factor**severity for group, factor in spec.fiber_length.items()}, 1.0),
        stretch_reflex=by_muscle({group: gain * severity for group, gain in spec.stretch_reflex.items()}, 0.0),
        deactivation=spec.deactivation**general,
        delay=spec.delay**general,
        noise=spec.noise * general,
        lean_rad=spec.lean_rad * general,
        trunk_stiffness=spec.trunk_stiffness**general,
        arm_swing=spec.arm_swing**general,
        leg_length_difference_m=spec.shortening_m * severity * (("r" not in affected) - ("l" not in affected)),
    )


def impaired_mass(name: str, severity: float, side: Side, *, mass_kg: float, stature_m: float) -> float:
    """Mass (kg) of a body with a condition: log-linear from its own to that of the condition's body mass index."""
    full = condition(name).body_mass_index * stature_m**2
    general = severity if side != "none" else 0.0
    return mass_kg * (full / mass_kg) ** general if full > mass_kg else mass_kg
