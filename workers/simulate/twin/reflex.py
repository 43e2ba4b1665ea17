"""`farm.control.reflex.ReflexController`, compiled: the same modules, phases and delays, step for step."""

from __future__ import annotations

import math

import numpy as np

from farm.control.reflex import (
    BASE_STIMULATION,
    CONTACT_LOAD,
    GAIN_NAMES,
    GAIN_NAMES_3D,
    SENSES,
    SENSES_3D,
    STRETCH_THRESHOLD,
    DelayLine,
    LegGains,
)
from workers.simulate.twin.compiled import compiled
from workers.simulate.twin.pack import Floats, Ints

(
    _THETA_TGT, _C0, _CV, _ALPHA_DELTA, _KNEE_SW_TGT, _KNEE_TGT, _KNEE_OFF_ST, _ANKLE_TGT,
    _HFL_3_PG, _HFL_3_DG, _HFL_6_PG, _HFL_6_DG, _HFL_10_PG,
    _GLU_3_PG, _GLU_3_DG, _GLU_6_PG, _GLU_6_DG, _GLU_10_PG, _HAM_3_GLU, _HAM_9_PG,
    _RF_1_FG, _RF_8_DG_KNEE, _VAS_1_FG, _VAS_2_PG, _VAS_10_PG,
    _BFSH_2_PG, _BFSH_7_DG_ALPHA, _BFSH_7_PG, _BFSH_8_DG, _BFSH_8_PG, _BFSH_9_G_HAM, _BFSH_9_HAM0, _BFSH_10_PG,
    _GAS_2_FG, _SOL_1_FG, _TA_5_PG, _TA_5_G_SOL,
) = (
    GAIN_NAMES.index(name)
    for name in (
        "theta_tgt", "c0", "cv", "alpha_delta", "knee_sw_tgt", "knee_tgt", "knee_off_st", "ankle_tgt",
        "HFL_3_PG", "HFL_3_DG", "HFL_6_PG", "HFL_6_DG", "HFL_10_PG",
        "GLU_3_PG", "GLU_3_DG", "GLU_6_PG", "GLU_6_DG", "GLU_10_PG", "HAM_3_GLU", "HAM_9_PG",
        "RF_1_FG", "RF_8_DG_knee", "VAS_1_FG", "VAS_2_PG", "VAS_10_PG",
        "BFSH_2_PG", "BFSH_7_DG_alpha", "BFSH_7_PG", "BFSH_8_DG", "BFSH_8_PG", "BFSH_9_G_HAM", "BFSH_9_HAM0",
        "BFSH_10_PG", "GAS_2_FG", "SOL_1_FG", "TA_5_PG", "TA_5_G_SOL",
    )
)  # fmt: skip

(
    _THETA_TGT_F, _C0_F, _CV_F, _HAB_3_PG, _HAB_3_DG, _HAB_6_PG, _HAD_3_PG, _HAD_3_DG, _HAD_6_PG,
) = (
    GAIN_NAMES_3D.index(name)
    for name in (
        "theta_tgt_f", "c0_f", "cv_f", "HAB_3_PG", "HAB_3_DG", "HAB_6_PG", "HAD_3_PG", "HAD_3_DG", "HAD_6_PG",
    )
)  # fmt: skip

_TRUNK, _PER_LEG = 4, 10
FRONTAL = len(SENSES)
"""Where the senses of the frontal plane begin."""

_SAGITTAL_GROUPS = 9
_STANCE, _FLEXING_KNEE, _HOLDING_KNEE, _STOPPING_LEG, _HOLDING_LEG = range(5)


def physical_gains(normalised: Floats) -> Floats:
    """Gains `[2, 37]`, in three dimensions `[2, 46]`, in physical units.

    Raises:
        ValueError: If their number is wrong or one is not finite.
    """
    legs = [LegGains.from_normalised(leg).values for leg in normalised]
    return np.array([list(leg.values()) for leg in legs])


def delays(control_step_s: float, delay_scale: float, *, frontal: bool = False) -> tuple[Ints, Floats]:
    """Sensory delays (`[24]`, with the frontal plane `[29]`) in control steps: whole steps, and the fraction left."""
    line = DelayLine(control_step_s, delay_scale, senses=SENSES_3D if frontal else SENSES)
    return line._whole.astype(np.int64), line._part


def stretch_delays(control_step_s: float, delay_scale: float, muscles: int) -> tuple[Ints, Floats]:
    """Delays `[M]` of the stretch reflex, as `delays`."""
    line = DelayLine(control_step_s, delay_scale, senses=("lengthening",) * muscles)
    return line._whole.astype(np.int64), line._part


def fresh_phases() -> Floats:
    """Phase memory `[2, 5]` of two legs in stance."""
    phases = np.zeros((2, 5))
    phases[:, _STANCE] = 1.0
    return phases


@compiled
def delayed(ring: Floats, now: int, whole: Ints, part: Floats, senses: Floats, arrived: Floats) -> int:
    """Store the present senses, fill in what arrives; returns the ring's new position (-1: empty)."""
    rows = ring.shape[0]
    if now < 0:
        for row in range(rows):
            ring[row] = senses
        now = 0
    else:
        now = (now + 1) % rows
        ring[now] = senses
    for i in range(len(senses)):
        newer = ring[(now - whole[i]) % rows, i]
        older = ring[(now - whole[i] - 1) % rows, i]
        arrived[i] = newer + part[i] * (older - newer)
    return now


@compiled
def reflexes(arrived: Floats, gains: Floats, phases: Floats, stimulation: Floats) -> None:
    """Stimulations `[M]` from delayed senses (`[24]`, or `[29]` in three dimensions); `phases` `[2, 5]` is moved on."""
    right, left = arrived[_TRUNK : _TRUNK + _PER_LEG], arrived[_TRUNK + _PER_LEG : FRONTAL]
    target_r = gains[0, _C0] - gains[0, _CV] * arrived[3] - arrived[0]
    target_l = gains[1, _C0] - gains[1, _CV] * arrived[3] - arrived[0]
    alpha_r = right[1] - 0.5 * right[3]
    alpha_l = left[1] - 0.5 * left[3]
    _advance(phases[0], right, alpha_r, target_r, gains[0])
    _advance(phases[1], left, alpha_l, target_l, gains[1])
    both = phases[0, _STANCE] > 0.0 and phases[1, _STANCE] > 0.0
    lead = alpha_r - target_r > alpha_l - target_l
    half = len(stimulation) // 2
    _stimulate(phases[0], gains[0], arrived, right, left[0], alpha_r, target_r, both and lead, stimulation[:half])
    _stimulate(phases[1], gains[1], arrived, left, right[0], alpha_l, target_l, both and not lead, stimulation[half:])
    if len(arrived) > FRONTAL:
        frontal = arrived[FRONTAL:]
        _balance_sideways(
            phases[0],
            gains[0],
            frontal,
            1.0,
            frontal[3],
            right[0],
            left[0],
            both and lead,
            stimulation[half - 2 : half],
        )
        _balance_sideways(
            phases[1],
            gains[1],
            frontal,
            -1.0,
            frontal[4],
            left[0],
            right[0],
            both and not lead,
            stimulation[2 * half - 2 :],
        )


@compiled
def stretch_reflex(gains: Floats, arrived: Floats, stimulation: Floats) -> None:
    """Add to stimulations `[M]` what delayed lengthening speeds `[M]` call: see `farm.control.reflex.StretchReflex`."""
    for m in range(len(gains)):
        stimulation[m] = min(stimulation[m] + gains[m] * _pos(arrived[m] - STRETCH_THRESHOLD), 1.0)


@compiled
def _advance(phase: Floats, sense: Floats, alpha: float, target: float, g: Floats) -> None:
    if sense[0] > CONTACT_LOAD:
        phase[:] = 0.0
        phase[_STANCE] = 1.0
        return
    if phase[_STANCE] > 0.0:
        phase[_FLEXING_KNEE] = 1.0
    if phase[_FLEXING_KNEE] > 0.0 and sense[3] < g[_KNEE_SW_TGT]:
        phase[_FLEXING_KNEE] = 0.0
        phase[_HOLDING_KNEE] = 1.0
    if phase[_HOLDING_KNEE] > 0.0 and alpha < target:
        phase[_HOLDING_KNEE] = 0.0
    if alpha < target + g[_ALPHA_DELTA]:
        phase[_STOPPING_LEG] = 1.0
    if phase[_STOPPING_LEG] > 0.0 and sense[2] - 0.5 * sense[4] > 0.0:
        phase[_HOLDING_LEG] = 1.0
    phase[_STANCE] = 0.0


@compiled
def _pos(value: float) -> float:
    return value if value > 0.0 else 0.0


@compiled
def _stimulate(
    phase: Floats, g: Floats, trunk: Floats, sense: Floats, load_other: float, alpha: float, target: float,
    about_to_swing: bool, out: Floats,
) -> None:  # fmt: skip
    theta, theta_rate = trunk[1], trunk[2]
    load, phi_hip, phi_knee, phi_knee_rate, phi_ankle = sense[0], sense[1], sense[3], sense[4], sense[5]
    alpha_rate = sense[2] - 0.5 * phi_knee_rate
    stance, hold = phase[_STANCE], phase[_HOLDING_LEG]
    leaving = 1.0 if about_to_swing else 0.0
    unload = min(max(load_other, 0.0), 1.0)
    w_stance = (0.0 if about_to_swing else stance) + leaving * (1.0 - unload)
    w_swing = leaving * unload + (1.0 - stance)
    hip_target = target + 0.5 * g[_KNEE_TGT]
    lean = theta - g[_THETA_TGT]
    error = alpha - target
    carried = stance * min(load, 1.5)

    hfl = carried * _pos(-g[_HFL_3_PG] * lean - g[_HFL_3_DG] * theta_rate)
    hfl += w_swing * _pos(g[_HFL_6_PG] * error + g[_HFL_6_DG] * alpha_rate)
    hfl += hold * _pos(g[_HFL_10_PG] * (phi_hip - hip_target))

    balance = carried * _pos(g[_GLU_3_PG] * lean + g[_GLU_3_DG] * theta_rate)
    glu = balance + w_swing * _pos(-g[_GLU_6_PG] * error - g[_GLU_6_DG] * alpha_rate)
    glu += hold * _pos(-g[_GLU_10_PG] * (phi_hip - hip_target))

    stop = phase[_STOPPING_LEG] * _pos(-g[_HAM_9_PG] * (error - g[_ALPHA_DELTA]))
    ham = g[_HAM_3_GLU] * balance + stop

    rf = w_stance * _pos(g[_RF_1_FG] * sense[6])
    vas = w_stance * _pos(g[_VAS_1_FG] * sense[7])
    vas -= w_stance * _pos(g[_VAS_2_PG] * (phi_knee - g[_KNEE_OFF_ST]))
    vas += hold * _pos(-g[_VAS_10_PG] * (phi_knee - g[_KNEE_TGT]))
    bfsh = w_stance * _pos(g[_BFSH_2_PG] * (phi_knee - g[_KNEE_OFF_ST]))
    early = leaving * unload + phase[_FLEXING_KNEE]
    bfsh += early * _pos(-g[_BFSH_7_DG_ALPHA] * alpha_rate + g[_BFSH_7_PG] * (phi_knee - g[_KNEE_SW_TGT]))
    if phase[_HOLDING_KNEE] > 0.0:
        rf += _pos(-g[_RF_8_DG_KNEE] * phi_knee_rate)
        bfsh += _pos(g[_BFSH_8_DG] * phi_knee_rate) * _pos(g[_BFSH_8_PG] * error)
    if phase[_STOPPING_LEG] > 0.0:
        bfsh += _pos(g[_BFSH_9_G_HAM] * (stop - g[_BFSH_9_HAM0]))
    bfsh += hold * _pos(g[_BFSH_10_PG] * (phi_knee - g[_KNEE_TGT]))

    gas = stance * _pos(g[_GAS_2_FG] * sense[8])
    sol = stance * _pos(g[_SOL_1_FG] * sense[9])
    ta = _pos(g[_TA_5_PG] * (phi_ankle - g[_ANKLE_TGT])) - stance * _pos(g[_TA_5_G_SOL] * sol)

    out[0], out[1], out[2], out[3], out[4], out[5], out[6], out[7], out[8] = ham, bfsh, glu, hfl, rf, vas, gas, sol, ta
    for i in range(_SAGITTAL_GROUPS):
        out[i] = _within(out[i])


@compiled
def _balance_sideways(
    phase: Floats, g: Floats, frontal: Floats, outward: float, adduction: float, load: float, load_other: float,
    about_to_swing: bool, out: Floats,
) -> None:  # fmt: skip
    """Abductors and adductors: see `farm.control.reflex._balance_sideways`."""
    roll, roll_rate, velocity = outward * frontal[0], outward * frontal[1], outward * frontal[2]
    carried = phase[_STANCE] * min(load, 1.5)
    w_swing = 1.0 - phase[_STANCE]
    if about_to_swing:
        w_swing += min(max(load_other, 0.0), 1.0)
    error = 0.5 * math.pi + adduction - (g[_C0_F] - g[_CV_F] * velocity - roll)
    lean = roll - g[_THETA_TGT_F]
    abductors = carried * _pos(-g[_HAB_3_PG] * lean - g[_HAB_3_DG] * roll_rate) + w_swing * _pos(g[_HAB_6_PG] * error)
    adductors = carried * _pos(g[_HAD_3_PG] * lean + g[_HAD_3_DG] * roll_rate) + w_swing * _pos(-g[_HAD_6_PG] * error)
    out[0], out[1] = _within(abductors), _within(adductors)


@compiled
def _within(stimulation: float) -> float:
    return min(max(BASE_STIMULATION + stimulation, BASE_STIMULATION), 1.0)
