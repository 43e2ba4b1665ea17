"""What a search for controllers minimises: falling first, then wrong speed, effort, discomfort, unlikeness.

The terms and their order follow Geyer & Herr 2010 and Ong et al. 2019 (fall,
speed, effort, joint limits). For walkers that are meant to be healthy a mild
last term asks for joint angles near the published norm, which tells apart the
many gaits of nearly equal effort; nothing enforces it while a gait is simulated.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from farm.config import SAMPLE_RATE_HZ
from farm.control.reflex import CONTROL_STEP_S
from farm.gait.norms import norm_band
from farm.records import BodyPlan, GaitParameters
from farm.search.job import Aims
from workers.simulate.forward import Rollout

SETTLED_AFTER_S = 2.0
"""Start-up that is not judged, where the walk lasts longer."""

START_S = 4.0
"""Progress of somebody who falls counts for so long; later on, lasting longer is all that counts."""

STRAIGHT_M = 0.5
"""In three dimensions a walk keeps so close to the line on which it began."""

CONTACT_LOAD = 0.05


def strayed(rollout: Rollout, someone: GaitParameters, aims: Aims) -> str:
    """Why a rollout is no walk at the speed that was asked; empty if it is one."""
    if _fell(rollout):
        return "fell"
    plan = someone.plan
    if abs(mean_speed(rollout, plan) - someone.target_speed_m_s) > aims.speed_tolerance_m_s:
        return "missed the speed"
    if "pelvis_tz" in plan.coordinates:
        z = rollout.coordinates[:, plan.coordinates.index("pelvis_tz")]
        if float(np.max(np.abs(z))) > STRAIGHT_M:
            return "strayed"
    return ""


def mean_speed(rollout: Rollout, plan: BodyPlan) -> float:
    """Forward speed (m/s) after the start-up."""
    settled = rollout.times_s >= SETTLED_AFTER_S
    x = rollout.coordinates[settled, plan.coordinates.index("pelvis_tx")]
    return float(x[-1] - x[0]) / (float(rollout.times_s[-1]) - SETTLED_AFTER_S)


def _fell(rollout: Rollout) -> bool:
    return rollout.end != "completed" or float(rollout.times_s[-1]) < SETTLED_AFTER_S + 1.0


def cost(rollout: Rollout, someone: GaitParameters, aims: Aims) -> dict[str, float]:
    """Terms of the cost of one rollout of this person; their sum is the cost, lower is better.

    A fall costs more than any other fault together, and less the later it comes.
    """
    plan, speed_m_s = someone.plan, someone.target_speed_m_s
    names = plan.coordinates
    lasted = float(rollout.times_s[-1]) if len(rollout.times_s) else 0.0
    if _fell(rollout):
        # Style is not judged before somebody walks: its terms would make it dear to fall a little later.
        travelled = float(rollout.coordinates[-1, names.index("pelvis_tx")]) if lasted else 0.0
        terms = {
            "fall": 100.0 * max(0.0, 1.0 - lasted / aims.duration_s),
            "start": 60.0 - 5.0 * max(0.0, min(travelled, speed_m_s * min(lasted, START_S))),
        }
        if "pelvis_tz" in names and lasted:
            terms["sideways"] = min(_sideways(rollout.coordinates, names), 10.0)
        return terms
    terms = {}
    settled = rollout.times_s >= SETTLED_AFTER_S
    q = rollout.coordinates[settled]
    terms["speed"] = aims.speed_weight * max(0.0, abs(mean_speed(rollout, plan) - speed_m_s) - 0.02)
    excitation = rollout.controls[settled][:, : len(plan.muscles)]
    terms["effort"] = aims.effort_weight * float(np.mean(excitation**2))
    terms["roughness"] = 2.0 * max(0.0, float(np.mean(np.abs(np.diff(excitation, axis=0)))) * SAMPLE_RATE_HZ - 1.5)
    terms["discomfort"] = _discomfort(q, names)
    loads = rollout.loads[settled]
    terms["impact"] = 4.0 * float(np.mean(np.maximum(loads - 1.3, 0.0) ** 2)) * 10.0
    terms["tremor"] = _tremor(rollout.speeds[settled], names)
    # Forward is negative. Who is stooped by a condition is not asked to be upright.
    trunk = q[:, names.index("pelvis_tilt")] + q[:, names.index("lumbar_extension")] + someone.trunk_lean_rad
    terms["posture"] = 30.0 * float(np.mean(np.maximum(np.abs(trunk + 0.06) - 0.05, 0.0))) + 10.0 * float(np.std(trunk))
    both_off = np.mean(np.all(loads < CONTACT_LOAD, axis=1))
    terms["flight"] = 20.0 * float(both_off)
    if aims.norm_weight:
        terms["norm"] = aims.norm_weight * _norm_distance(q, loads, names)
    terms["rhythm"] = _arrhythmia(loads)
    if "pelvis_tz" in names:
        terms["sideways"] = _sideways(q, names)
        terms["width"] = _width(q, loads, names)
        terms["haste"] = aims.haste_weight * _haste(rollout.speeds[settled], names)
    return terms


def _discomfort(q: NDArray[np.float64], names: tuple[str, ...]) -> float:
    """Joints at their passive stops, radians beyond, mean over time."""
    total = 0.0
    for side in "rl":
        knee = q[:, names.index(f"knee_angle_{side}")]
        ankle = q[:, names.index(f"ankle_angle_{side}")]
        hip = q[:, names.index(f"hip_flexion_{side}")]
        total += float(np.mean(np.maximum(knee + 0.02, 0.0))) * 60.0
        total += float(np.mean(np.maximum(ankle - 0.35, 0.0) + np.maximum(-0.6 - ankle, 0.0))) * 40.0
        total += float(np.mean(np.maximum(-0.45 - hip, 0.0) + np.maximum(hip - 0.9, 0.0))) * 40.0
    return total


def _sideways(q: NDArray[np.float64], names: tuple[str, ...]) -> float:
    """What a straight walk has little of: drift and turning, a swaying trunk, hips far out of the sagittal plane."""

    def beyond(name: str, least: float, most: float) -> float:
        value = q[:, names.index(name)]
        return float(np.mean(np.maximum(value - most, 0.0) + np.maximum(least - value, 0.0)))

    z = q[:, names.index("pelvis_tz")]
    drift = max(0.0, float(np.max(np.abs(z))) - 0.25)
    roll = q[:, names.index("pelvis_list")] + q[:, names.index("lumbar_bending")]
    total = 10.0 * drift + 15.0 * float(np.std(roll)) + 20.0 * beyond("pelvis_rotation", -0.12, 0.12)
    for side in "rl":
        total += 40.0 * beyond(f"hip_adduction_{side}", -0.20, 0.14)
        total += 20.0 * beyond(f"hip_rotation_{side}", -0.15, 0.15)
    return total


def _haste(u: NDArray[np.float64], names: tuple[str, ...]) -> float:
    """Hips beyond 5 and knees beyond 8 rad/s, which walking does not reach: legs thrown forward by bursts of power."""
    total = 0.0
    for joint, most in (("hip_flexion", 5.0), ("knee_angle", 8.0)):
        speed = np.abs(u[:, [names.index(f"{joint}_{side}") for side in "rl"]])
        total += float(np.mean(np.maximum(speed - most, 0.0) ** 2))
    return total


def _width(q: NDArray[np.float64], loads: NDArray[np.float64], names: tuple[str, ...]) -> float:
    """Loaded legs that slant outwards: at 0.01 rad inwards feet are some 0.15 m apart, as a person's are."""
    total = 0.0
    for side_index, (side, outwards) in enumerate((("r", 1.0), ("l", -1.0))):
        inwards = q[:, names.index(f"hip_adduction_{side}")] + outwards * q[:, names.index("pelvis_list")]
        loaded = loads[:, side_index] > 0.5
        total += 80.0 * max(0.0, 0.01 - float(np.mean(inwards[loaded]))) if loaded.any() else 0.0
    return total


def _tremor(u: NDArray[np.float64], names: tuple[str, ...]) -> float:
    """Mean squared ankle speed beyond that of walking, 2 (rad/s)^2: late reflexes on a light foot oscillate."""
    ankles = u[:, [names.index(f"ankle_angle_{side}") for side in "rl"]]
    return 0.4 * max(0.0, float(np.mean(ankles**2)) - 2.0)


def strikes(load: NDArray[np.float64]) -> NDArray[np.intp]:
    """Indices at which a foot takes load, swings shorter than 0.15 s bridged."""
    on = load > CONTACT_LOAD
    rises = np.flatnonzero(on[1:] & ~on[:-1]) + 1
    kept: list[int] = []
    for i in rises.tolist():
        before = on[max(0, i - 15) : i]
        if not before.any():
            kept.append(i)
    return np.array(kept, dtype=np.intp)


def _arrhythmia(loads: NDArray[np.float64]) -> float:
    """Strides that differ in length of time cost; so does a walk that has too few of them."""
    total = 0.0
    for side in range(2):
        times = np.diff(strikes(loads[:, side])) * (2 * CONTROL_STEP_S)
        if len(times) < 3:
            total += 10.0
        else:
            total += 10.0 * float(np.std(times) / np.mean(times))
    return total


def _norm_distance(q: NDArray[np.float64], loads: NDArray[np.float64], names: tuple[str, ...]) -> float:
    """Mean squared distance from the adult norm, in total SDs, over hip, knee and ankle of both legs."""
    distances = []
    for side_index, side in enumerate("rl"):
        at = strikes(loads[:, side_index])
        for name, curve, sign in (
            ("hip_flexion", "hip_flexion", 1.0),
            ("knee_angle", "knee_flexion", -1.0),
            ("ankle_angle", "ankle_dorsiflexion", 1.0),
        ):
            band = norm_band(curve)
            angle = np.degrees(sign * q[:, names.index(f"{name}_{side}")])
            cycles = [
                np.interp(np.linspace(a, b, len(band.mean)), np.arange(len(angle)), angle)
                for a, b in pairwise(at.tolist())
            ]
            if cycles:
                distances.append(np.mean(((np.mean(cycles, axis=0) - band.mean) / band.total_sd) ** 2))
    return float(np.mean(distances)) if distances else 20.0
