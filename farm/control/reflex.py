"""The spinal reflex controller: senses in, muscle stimulations out; it knows no engine.

After Geyer & Herr 2010 (IEEE Trans Neural Syst Rehabil Eng 18:263) and Song &
Geyer 2015 (J Physiol 593:3493), in the reduced form that Kidzinski et al. 2018
published with the 22-muscle model, with the sensory delays that the reduced
form leaves out. Joint angles follow those papers: `phi_hip` is pi when the
thigh is in line with the trunk and smaller in flexion, `phi_knee` is pi when
straight and smaller in flexion, `phi_ankle` is pi/2 in neutral and larger in
plantarflexion. The leg angle `alpha = phi_hip - phi_knee / 2` is measured
against the pelvis; below pi/2 the foot is ahead of the hip.

One term differs from the public code, whose third term of BFSH adds a knee rate
to a knee angle: here it is the rate alone, which brakes knee extension in late swing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from farm.records import BodyModel

DEG = math.pi / 180.0

GAINS: dict[str, tuple[float, float]] = {
    # name: (scale, offset); physical value = normalised value * scale + offset
    "theta_tgt": (10 * DEG, 0.0),
    "c0": (20 * DEG, 55 * DEG),
    "cv": (2 * DEG, 0.0),
    "alpha_delta": (5 * DEG, 0.0),
    "knee_sw_tgt": (20 * DEG, 120 * DEG),
    "knee_tgt": (15 * DEG, 160 * DEG),
    "knee_off_st": (10 * DEG, 165 * DEG),
    "ankle_tgt": (20 * DEG, 60 * DEG),
    "HFL_3_PG": (2.0, 0.0),
    "HFL_3_DG": (1.0, 0.0),
    "HFL_6_PG": (1.0, 0.0),
    "HFL_6_DG": (0.1, 0.0),
    "HFL_10_PG": (1.0, 0.0),
    "GLU_3_PG": (2.0, 0.0),
    "GLU_3_DG": (0.5, 0.0),
    "GLU_6_PG": (1.0, 0.0),
    "GLU_6_DG": (0.1, 0.0),
    "GLU_10_PG": (0.5, 0.0),
    "HAM_3_GLU": (1.0, 0.0),
    "HAM_9_PG": (2.0, 0.0),
    "RF_1_FG": (0.3, 0.0),
    "RF_8_DG_knee": (0.1, 0.0),
    "VAS_1_FG": (1.0, 0.0),
    "VAS_2_PG": (2.0, 0.0),
    "VAS_10_PG": (0.3, 0.0),
    "BFSH_2_PG": (2.0, 0.0),
    "BFSH_7_DG_alpha": (0.2, 0.0),
    "BFSH_7_PG": (2.0, 0.0),
    "BFSH_8_DG": (1.0, 0.0),
    "BFSH_8_PG": (1.0, 0.0),
    "BFSH_9_G_HAM": (2.0, 0.0),
    "BFSH_9_HAM0": (0.3, 0.0),
    "BFSH_10_PG": (2.0, 0.0),
    "GAS_2_FG": (1.2, 0.0),
    "SOL_1_FG": (1.2, 0.0),
    "TA_5_PG": (2.0, 0.0),
    "TA_5_G_SOL": (0.5, 0.0),
}
"""Names, scales and offsets of the published normalised gains (their numbers name the reflex module)."""

FRONTAL_GAINS: dict[str, tuple[float, float]] = {
    "theta_tgt_f": (5 * DEG, 0.0),
    "c0_f": (20 * DEG, 60 * DEG),
    "cv_f": (10 * DEG, 0.0),
    "HAB_3_PG": (10.0, 0.0),
    "HAB_3_DG": (1.0, 0.0),
    "HAB_6_PG": (2.0, 0.0),
    "HAD_3_PG": (2.0, 0.0),
    "HAD_3_DG": (0.3, 0.0),
    "HAD_6_PG": (2.0, 0.0),
}
"""The same for the frontal plane: balance of the trunk by the stance leg, placement of the swing leg."""

GAIN_NAMES: tuple[str, ...] = tuple(GAINS)
GAIN_NAMES_3D: tuple[str, ...] = (*GAINS, *FRONTAL_GAINS)

_SCALES = GAINS | FRONTAL_GAINS


def gain_names(body_model: BodyModel) -> tuple[str, ...]:
    """The gains that one leg of this body has."""
    return GAIN_NAMES_3D if body_model == "3d" else GAIN_NAMES


LEG_SENSES: tuple[str, ...] = (
    "load", "phi_hip", "phi_hip_rate", "phi_knee", "phi_knee_rate", "phi_ankle",
    "force_rect_fem", "force_vasti", "force_gastroc", "force_soleus",
)  # fmt: skip
SENSES: tuple[str, ...] = (
    "pelvis_pitch", "trunk_pitch", "trunk_pitch_rate", "forward_velocity",
    *(f"{name}_{side}" for side in "rl" for name in LEG_SENSES),
)  # fmt: skip
"""The flat vector that the body sends: angles in rad, rates in rad/s, velocity in m/s,
loads over body weight, muscle forces over maximum isometric force. Pitch is positive forward."""

SENSES_3D: tuple[str, ...] = (
    *SENSES, "trunk_roll", "trunk_roll_rate", "lateral_velocity", "hip_adduction_r", "hip_adduction_l",
)  # fmt: skip
"""What a body in three dimensions sends: roll and velocity are positive to the right, adduction inwards."""

HIP_DELAY_S, KNEE_DELAY_S, ANKLE_DELAY_S = 0.005, 0.010, 0.020
"""Sensory delays of Geyer & Herr (2010) by the level from which the signal comes."""

CONTROL_STEP_S = HIP_DELAY_S
"""200 Hz: one step is the shortest delay."""

STRETCH_DELAY_S = 0.030
"""From a calf muscle's stretch to the excitation that it calls: a design choice between the 20 ms of this model's other
reflexes of the ankle and the 40 ms after which the calf's electromyogram answers a stretch (Sinkjaer et al. 1996)."""

STRETCH_THRESHOLD = 1.0
"""Optimal fibre lengths per second below which a stretched muscle stays silent. A design choice: our tendons are rigid,
so that the calf's fibres of healthy walkers lengthen at 0.3 while the ankle rocks over the standing foot, and at 2 to 4
when the foot is loaded and when it is lifted in swing."""

_DELAYS: dict[str, float] = {
    "pelvis_pitch": HIP_DELAY_S, "trunk_pitch": HIP_DELAY_S, "trunk_pitch_rate": HIP_DELAY_S,
    "forward_velocity": HIP_DELAY_S, "load": KNEE_DELAY_S, "phi_hip": HIP_DELAY_S, "phi_hip_rate": HIP_DELAY_S,
    "phi_knee": KNEE_DELAY_S, "phi_knee_rate": KNEE_DELAY_S, "phi_ankle": ANKLE_DELAY_S,
    "force_rect_fem": KNEE_DELAY_S, "force_vasti": KNEE_DELAY_S,
    "force_gastroc": ANKLE_DELAY_S, "force_soleus": ANKLE_DELAY_S,
    "trunk_roll": HIP_DELAY_S, "trunk_roll_rate": HIP_DELAY_S, "lateral_velocity": HIP_DELAY_S,
    "hip_adduction": HIP_DELAY_S, "lengthening": STRETCH_DELAY_S,
}  # fmt: skip

CONTACT_LOAD = 0.1
"""Share of body weight from which a foot counts as standing (Song & Geyer 2015)."""

BASE_STIMULATION = 0.01
"""Every muscle's stimulation starts here: a muscle is never silent (Geyer & Herr 2010)."""


@dataclass(frozen=True)
class LegGains:
    """The physical gains of one leg, by `GAIN_NAMES` or `GAIN_NAMES_3D`."""

    values: dict[str, float]

    @classmethod
    def from_normalised(cls, gains: Sequence[float] | NDArray[np.float64]) -> LegGains:
        """Gains in the order of `GAIN_NAMES`, or of `GAIN_NAMES_3D` if there are as many.

        Raises:
            ValueError: If their number is wrong or one is not finite.
        """
        if len(gains) not in (len(GAIN_NAMES), len(GAIN_NAMES_3D)) or not np.all(np.isfinite(gains)):
            raise ValueError(
                f"a leg has {len(GAIN_NAMES)} finite reflex gains, in three dimensions {len(GAIN_NAMES_3D)}; "
                f"got {len(gains)}: {gains!r}"
            )
        return cls({name: float(g) * _SCALES[name][0] + _SCALES[name][1] for name, g in zip(GAIN_NAMES_3D, gains)})  # noqa: B905

    @property
    def frontal(self) -> bool:
        """Whether there are gains for the frontal plane."""
        return len(self.values) == len(GAIN_NAMES_3D)


class DelayLine:
    """A ring of past sense vectors, each sense read back at its own delay (linear between steps)."""

    def __init__(self, control_step_s: float, delay_scale: float = 1.0, *, senses: tuple[str, ...] = SENSES) -> None:
        lags = np.array([_DELAYS[_base(name)] for name in senses]) * delay_scale / control_step_s
        self._whole = np.floor(lags).astype(int)
        self._part = lags - self._whole
        self._columns = np.arange(len(senses))
        self._ring = np.zeros((int(self._whole.max()) + 2, len(senses)))
        self._now = -1

    def push(self, senses: NDArray[np.float64]) -> NDArray[np.float64]:
        """Store the present senses (`[24]`, 3D `[29]`) and return what arrives at the spinal cord now.

        Before the first signal has arrived the body is taken to have stood still
        in its first pose.
        """
        if self._now < 0:
            self._ring[:] = senses
            self._now = 0
        else:
            self._now = (self._now + 1) % len(self._ring)
            self._ring[self._now] = senses
        newer = self._ring[(self._now - self._whole) % len(self._ring), self._columns]
        older = self._ring[(self._now - self._whole - 1) % len(self._ring), self._columns]
        return np.asarray(newer + self._part * (older - newer))


class StretchReflex:
    """Spasticity: each muscle is called by its own fibres' fast lengthening, some 30 ms ago, in every phase of gait.

    stimulation += gain * max(0, lengthening - `STRETCH_THRESHOLD`), the velocity part of a hyperactive muscle spindle
    loop whose modulation by the gait's phases is lost (Jansen et al. 2014, doi 10.1186/1743-0003-11-78).

    Args:
        gains: `[M]` s, by muscle.
        control_step_s: Time between two calls of `added_to`.
        delay_scale: As of `ReflexController`.
    """

    def __init__(self, gains: NDArray[np.float64], control_step_s: float, delay_scale: float = 1.0) -> None:
        self._gains = gains
        self._delay = DelayLine(control_step_s, delay_scale, senses=("lengthening",) * len(gains))

    def added_to(self, stimulation: NDArray[np.float64], lengthening: NDArray[np.float64]) -> NDArray[np.float64]:
        """Stimulations `[M]` with what the stretch adds, at most 1.

        Args:
            stimulation: `[M]` of the other reflexes.
            lengthening: `[M]` of the fibres at this instant (optimal fibre lengths per second), delayed here.
        """
        stretch = np.maximum(self._delay.push(lengthening) - STRETCH_THRESHOLD, 0.0)
        return np.minimum(stimulation + self._gains * stretch, 1.0)


def _base(sense: str) -> str:
    return sense[:-2] if sense[-2:] in ("_r", "_l") else sense


@dataclass
class _Leg:
    """What one leg's spinal circuits remember between steps: where it is in its cycle."""

    stance: bool = True
    flexing_knee: bool = False
    holding_knee: bool = False
    stopping_leg: bool = False
    holding_leg: bool = False


@dataclass
class ReflexController:
    """Two legs' reflexes with their delays and phase memory.

    Args:
        gains: Right and left leg.
        control_step_s: Time between two calls of `step`.
        delay_scale: Multiplies all sensory delays (1 is the young adult).
    """

    gains: tuple[LegGains, LegGains]
    control_step_s: float
    delay_scale: float = 1.0
    _legs: tuple[_Leg, _Leg] = field(default_factory=lambda: (_Leg(), _Leg()))

    def __post_init__(self) -> None:
        if self.gains[0].frontal != self.gains[1].frontal:
            raise ValueError("both legs need gains for the frontal plane, or neither")
        senses = SENSES_3D if self.gains[0].frontal else SENSES
        self._delay = DelayLine(self.control_step_s, self.delay_scale, senses=senses)

    def step(self, senses: NDArray[np.float64]) -> list[float]:
        """Stimulations (0.01 to 1) of the right, then the left leg's muscle groups, in the body plan's order.

        Args:
            senses: `[24]` in the order of `SENSES`, or `[29]` of `SENSES_3D` where the gains have a frontal plane,
                of this instant; the controller delays them itself.
        """
        # Plain floats: numpy scalars would triple the cost of these few hundred operations.
        arrived: list[float] = self._delay.push(senses).tolist()
        trunk, sides, frontal = arrived[:4], (arrived[4:14], arrived[14:24]), arrived[24:]
        targets = [gains.values["c0"] - gains.values["cv"] * trunk[3] - trunk[0] for gains in self.gains]
        alphas = [leg[1] - 0.5 * leg[3] for leg in sides]
        for index, leg in enumerate(self._legs):
            _advance(leg, sides[index], alphas[index], targets[index], self.gains[index].values)
        both = self._legs[0].stance and self._legs[1].stance
        # In double support the trailing leg, whose leg angle exceeds its target more, prepares to swing.
        lead = alphas[0] - targets[0] > alphas[1] - targets[1]
        stimulations: list[float] = []
        for index, leg in enumerate(self._legs):
            about_to_swing = both and (lead if index == 0 else not lead)
            gains = self.gains[index].values
            stimulations += _stimulate(
                leg, gains, trunk, sides[index], sides[1 - index][0], alphas[index], targets[index],
                about_to_swing=about_to_swing,
            )  # fmt: skip
            if frontal:
                carried = min(sides[index][0], 1.5) if leg.stance else 0.0
                w_swing = _swing_share(leg, sides[1 - index][0], about_to_swing=about_to_swing)
                stimulations += _balance_sideways(
                    gains, frontal, 1.0 if index == 0 else -1.0, frontal[3 + index], carried, w_swing
                )
        return stimulations


def _advance(leg: _Leg, sense: list[float], alpha: float, target: float, g: dict[str, float]) -> None:
    """Move one leg through stance and the four overlapping phases of swing."""
    load, phi_knee = sense[0], sense[3]
    alpha_rate = sense[2] - 0.5 * sense[4]
    stance = load > CONTACT_LOAD
    if stance:
        leg.flexing_knee = leg.holding_knee = leg.stopping_leg = leg.holding_leg = False
    else:
        if leg.stance:
            leg.flexing_knee = True
        if leg.flexing_knee and phi_knee < g["knee_sw_tgt"]:
            leg.flexing_knee, leg.holding_knee = False, True
        if leg.holding_knee and alpha < target:
            leg.holding_knee = False
        if not leg.stopping_leg and alpha < target + g["alpha_delta"]:
            leg.stopping_leg = True
        if leg.stopping_leg and not leg.holding_leg and alpha_rate > 0.0:
            leg.holding_leg = True
    leg.stance = stance


def _stimulate(
    leg: _Leg, g: dict[str, float], trunk: list[float], sense: list[float], load_other: float, alpha: float,
    target: float, *, about_to_swing: bool,
) -> list[float]:  # fmt: skip
    """The ten reflex modules of one leg, summed by muscle."""
    _, theta, theta_rate, _ = trunk
    load, phi_hip, phi_hip_rate, phi_knee, phi_knee_rate, phi_ankle, f_rf, f_vas, f_gas, f_sol = sense
    alpha_rate = phi_hip_rate - 0.5 * phi_knee_rate
    stance = 1.0 if leg.stance else 0.0
    firm = 1.0 if leg.stance and not about_to_swing else 0.0
    leaving = 1.0 if about_to_swing else 0.0
    unload = min(max(load_other, 0.0), 1.0)
    w_stance = firm + leaving * (1.0 - unload)
    w_swing = _swing_share(leg, load_other, about_to_swing=about_to_swing)
    hip_target = target + 0.5 * g["knee_tgt"]
    lean = theta - g["theta_tgt"]
    error = alpha - target
    hold = 1.0 if leg.holding_leg else 0.0
    carried = stance * min(load, 1.5)

    hfl = carried * _pos(-g["HFL_3_PG"] * lean - g["HFL_3_DG"] * theta_rate)
    hfl += w_swing * _pos(g["HFL_6_PG"] * error + g["HFL_6_DG"] * alpha_rate)
    hfl += hold * _pos(g["HFL_10_PG"] * (phi_hip - hip_target))

    glu_balance = carried * _pos(g["GLU_3_PG"] * lean + g["GLU_3_DG"] * theta_rate)
    glu = glu_balance + w_swing * _pos(-g["GLU_6_PG"] * error - g["GLU_6_DG"] * alpha_rate)
    glu += hold * _pos(-g["GLU_10_PG"] * (phi_hip - hip_target))

    ham_stop = _pos(-g["HAM_9_PG"] * (error - g["alpha_delta"])) if leg.stopping_leg else 0.0
    ham = g["HAM_3_GLU"] * glu_balance + ham_stop

    rf = w_stance * _pos(g["RF_1_FG"] * f_rf)
    vas = w_stance * _pos(g["VAS_1_FG"] * f_vas)
    # Hyperextension stops the knee's extensor and calls its short flexor.
    over = phi_knee - g["knee_off_st"]
    vas -= w_stance * _pos(g["VAS_2_PG"] * over)
    vas += hold * _pos(-g["VAS_10_PG"] * (phi_knee - g["knee_tgt"]))
    bfsh = w_stance * _pos(g["BFSH_2_PG"] * over)
    early = leaving * unload + (1.0 if leg.flexing_knee else 0.0)
    bfsh += early * _pos(-g["BFSH_7_DG_alpha"] * alpha_rate + g["BFSH_7_PG"] * (phi_knee - g["knee_sw_tgt"]))
    if leg.holding_knee:
        rf += _pos(-g["RF_8_DG_knee"] * phi_knee_rate)
        bfsh += _pos(g["BFSH_8_DG"] * phi_knee_rate) * _pos(g["BFSH_8_PG"] * error)
    if leg.stopping_leg:
        bfsh += _pos(g["BFSH_9_G_HAM"] * (ham_stop - g["BFSH_9_HAM0"]))
    bfsh += hold * _pos(g["BFSH_10_PG"] * (phi_knee - g["knee_tgt"]))

    gas = stance * _pos(g["GAS_2_FG"] * f_gas)
    sol = stance * _pos(g["SOL_1_FG"] * f_sol)
    ta = _pos(g["TA_5_PG"] * (phi_ankle - g["ankle_tgt"])) - stance * _pos(g["TA_5_G_SOL"] * sol)
    return [_within(u) for u in (ham, bfsh, glu, hfl, rf, vas, gas, sol, ta)]


def _swing_share(leg: _Leg, load_other: float, *, about_to_swing: bool) -> float:
    """How far the leg is on its way into swing: 1 in swing, in double support the share that the other leg bears."""
    share = 0.0 if leg.stance else 1.0
    return share + min(max(load_other, 0.0), 1.0) if about_to_swing else share


def _balance_sideways(
    g: dict[str, float], frontal: list[float], outward: float, adduction: float, carried: float, w_swing: float
) -> list[float]:
    """Abductors and adductors of one leg: the trunk upright in stance, the foot under the body in swing.

    Args:
        frontal: Trunk roll (rad), its rate, lateral velocity (m/s), all positive to the right.
        outward: +1 for the right leg, -1 for the left.
        carried: Share of body weight that the standing leg bears, 0 in swing.
    """
    roll, roll_rate, velocity = outward * frontal[0], outward * frontal[1], outward * frontal[2]
    alpha = math.pi / 2 + adduction  # below pi/2 the foot is outside of the hip
    # A body that moves outwards needs its foot further out (Song & Geyer 2015).
    error = alpha - (g["c0_f"] - g["cv_f"] * velocity - roll)
    lean = roll - g["theta_tgt_f"]
    abductors = carried * _pos(-g["HAB_3_PG"] * lean - g["HAB_3_DG"] * roll_rate)
    abductors += w_swing * _pos(g["HAB_6_PG"] * error)
    adductors = carried * _pos(g["HAD_3_PG"] * lean + g["HAD_3_DG"] * roll_rate)
    adductors += w_swing * _pos(-g["HAD_6_PG"] * error)
    return [_within(abductors), _within(adductors)]


def _within(stimulation: float) -> float:
    return min(max(BASE_STIMULATION + stimulation, BASE_STIMULATION), 1.0)


def _pos(value: float) -> float:
    return value if value > 0.0 else 0.0
