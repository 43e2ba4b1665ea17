"""Is this gait good enough to be kept? Every reason why not, with its figure.

The limits are wide: they turn down what no walking person, healthy or ill, does
(falls, feet in the floor, joints beyond their ligaments, energy out of nowhere),
not what is unusual. What a campaign may tighten is in `QualityLimits`; the rest
are the constants below, each with its source. Feet, forces and powers are
judged, like the labels, after the first two steps: the body is set down in a
pose and has to find its stride.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from farm.axes import GRAVITY_M_S2
from farm.config import QualityLimits
from farm.gait.events import STRIKE_L, STRIKE_R
from farm.gait.feet import sole_height, sole_slip
from farm.gait.joint_angles import forward_lean, joint_angles
from farm.gait.observation import progression
from farm.gait.parameters import SKIPPED_STEPS
from farm.records import GaitLabels, QualityReport, Trajectory
from farm.sampling.anatomy import Anatomy

MAX_PENETRATION_M = 0.045
"""A heel pad is pressed by 9 to 11 mm in walking (De Clercq, Aerts & Kunnen 1994, J Biomech 27:1213) and a shoe's
midsole by about as much; the 1 MPa spheres of the public models, which lump both, give way by 30 to 37 mm
under 1.1 to 1.4 body weights. A foot that is deeper has been stamped into the floor."""

MAX_SLIP_M = 0.05
"""Way that a loaded sole slides in one stance. Slips beyond 3 cm are noticed, beyond 10 cm people fall
(Strandberg & Lanshammar 1981, J Occup Accid 3:153)."""

SLIP_LOAD_BW = 0.2
"""Only a foot that carries so much of body weight is asked not to slip; a scuff is none."""

JOINT_LIMITS_DEG: dict[str, tuple[float, float]] = {
    # passive ranges of adults (Norkin & White 2016, "Measurement of Joint Motion", AAOS values: hip -20 (-30) to 120,
    # knee 0 (hyperextension to -10) to 135, ankle -50 to 20, 40 with weight), plus about 10 deg of soft tissue
    "hip_flexion": (-40.0, 130.0),
    "knee_flexion": (-15.0, 145.0),
    "ankle_dorsiflexion": (-60.0, 45.0),
}
MAX_TRUNK_LEAN_DEG = 60.0
"""Forward or backward. Camptocormia, the most bent walk that is described, begins at 45 deg (Djaldetti 1999)."""

MAX_VERTICAL_FORCE_BW = 3.0
"""One foot. Walking reaches 1.5 at 2 m/s; running 2.5 (Nilsson & Thorstensson 1989, Acta Physiol Scand 136:217)."""

MEAN_FORCE_TOLERANCE = 0.05
"""Over whole strides the floor carries the body's weight, mean force / weight = 1: Newton. Strides differ a little."""

COST_OF_TRANSPORT_J_KG_M = (1.0, 15.0)
"""Healthy 3 to 4 gross (Ralston 1958); the dearest pathological gaits up to three times that (Waters & Mulroy 1999,
Gait Posture 9:207). Below 1 no muscle model has walked."""

MAX_JOINT_POWER_W_KG = 15.0
"""One joint, per body mass. Ankle push-off makes 3 to 5 in walking, 15 in running (Winter 1983, J Biomech 16:91)."""

Array = NDArray[np.float64]


@dataclass(frozen=True)
class _Case:
    trajectory: Trajectory
    labels: GaitLabels
    body: Anatomy
    limits: QualityLimits


def judge(trajectory: Trajectory, labels: GaitLabels, body: Anatomy, limits: QualityLimits) -> QualityReport:
    """Judge a gait; the report names every fault, not only the first.

    Codes: "fell", "diverged", "stuck" (or whatever ended the simulation), "not_finite", "too_short",
    "too_few_strides", "speed_out_of_range", "foot_penetration", "foot_slip", "joint_angle", "trunk_lean",
    "ground_force", "weight_not_carried", "energy", "joint_power".
    """
    case = _Case(trajectory, labels, body, limits)
    faults: dict[str, str] = {}
    if trajectory.end != "completed":
        faults[trajectory.end] = trajectory.end_detail or f"ended after {trajectory.duration_s:.2f} s"
    bad = [name for name in _MUST_BE_FINITE if not np.all(np.isfinite(getattr(trajectory, name)))]
    if bad:
        faults["not_finite"] = f"{', '.join(bad)} hold numbers that are not finite"
    faults |= {code: detail for code, rule in _ALWAYS if (detail := rule(case))}
    if not bad and trajectory.n_samples > 1:  # nothing more can be said of numbers that are none
        faults |= {code: detail for code, rule in _IF_FINITE if (detail := rule(case))}
    return QualityReport(tuple(faults), faults)


_MUST_BE_FINITE = (
    "coordinates", "coordinate_speeds", "body_pose", "body_velocity", "body_acceleration", "ground_reaction",
    "muscle_activation", "muscle_force", "joint_moment", "metabolic_power",
)  # fmt: skip


def _settled(case: _Case) -> slice:
    """The samples after the first two steps; all of them if there are no two steps."""
    strikes = case.labels.event_time[np.isin(case.labels.event_type, (STRIKE_R, STRIKE_L))]
    if len(strikes) <= SKIPPED_STEPS:
        return slice(None)
    return slice(int(np.searchsorted(case.trajectory.time, strikes[SKIPPED_STEPS])), None)


def _too_short(case: _Case) -> str:
    duration, wanted = case.trajectory.duration_s, case.limits.min_duration_s
    slack = 1.5 / case.trajectory.sample_rate_hz
    return f"{duration:.2f} s, wanted {wanted:g} s" if duration < wanted - slack else ""


def _too_few_strides(case: _Case) -> str:
    n = case.labels.values["n_strides"]
    return f"{n:.0f} whole strides after the first two steps, wanted {case.limits.min_strides}" * (
        not n >= case.limits.min_strides
    )


def _speed(case: _Case) -> str:
    low, high = case.limits.speed_m_s
    speed = case.labels.values["gait_speed"]
    if np.isnan(speed) or low <= speed <= high:
        return ""  # without a whole stride there is no speed, and too_few_strides says so
    return f"{speed:.2f} m/s, allowed {low:g} to {high:g}"


def _penetration(case: _Case) -> str:
    part = _settled(case)
    depth = {
        side: -float(sole_height(case.body, case.trajectory.pose(f"calcn_{side}")[part], side).min()) for side in "rl"
    }
    side = max(depth, key=lambda key: depth[key])
    if depth[side] <= MAX_PENETRATION_M:
        return ""
    return f"sole {side} {1000 * depth[side]:.0f} mm below the floor, allowed {1000 * MAX_PENETRATION_M:.0f}"


def _slip(case: _Case) -> str:
    trajectory, body, part = case.trajectory, case.body, _settled(case)
    worst = 0.0
    for foot, side in enumerate("rl"):
        slip = sole_slip(body, trajectory.pose(f"calcn_{side}")[part], side)
        loaded = trajectory.ground_reaction[part, foot, 1] > SLIP_LOAD_BW * body.mass_kg * GRAVITY_M_S2
        way = np.cumsum(np.where(loaded, slip, 0.0))
        edge = np.diff(loaded.astype(np.int8), prepend=0, append=0)
        starts, ends = np.flatnonzero(edge == 1), np.flatnonzero(edge == -1)
        before = np.concatenate([[0.0], way])
        worst = max([worst, *(before[ends] - before[starts]).tolist()])
    return f"a loaded sole slid {100 * worst:.1f} cm, allowed {100 * MAX_SLIP_M:.0f}" if worst > MAX_SLIP_M else ""


def _joint_angle(case: _Case) -> str:
    faults = []
    for name, angle in joint_angles(case.trajectory).items():
        low, high = JOINT_LIMITS_DEG.get(name[:-2], (-np.inf, np.inf))
        least, most = float(np.rad2deg(angle.min())), float(np.rad2deg(angle.max()))
        if least < low or most > high:
            faults.append(f"{name} {least:.0f} to {most:.0f} deg, allowed {low:.0f} to {high:.0f}")
    return "; ".join(faults)


def _trunk_lean(case: _Case) -> str:
    forward = progression(case.trajectory.pose("pelvis")[:, :3])
    lean = np.rad2deg(forward_lean(case.trajectory.pose("torso"), forward))
    most = float(lean[np.argmax(np.abs(lean))])
    return f"{most:.0f} deg, allowed {MAX_TRUNK_LEAN_DEG:.0f}" if abs(most) > MAX_TRUNK_LEAN_DEG else ""


def _ground_force(case: _Case) -> str:
    peak = float(case.trajectory.ground_reaction[_settled(case), :, 1].max()) / (case.body.mass_kg * GRAVITY_M_S2)
    return f"peak {peak:.2f} body weights, allowed {MAX_VERTICAL_FORCE_BW:g}" if peak > MAX_VERTICAL_FORCE_BW else ""


def _weight_not_carried(case: _Case) -> str:
    mean = case.labels.values["mean_vertical_force"]
    if np.isnan(mean) or abs(mean - 1.0) <= MEAN_FORCE_TOLERANCE:
        return ""
    return f"mean vertical force {mean:.3f} body weights over whole strides, wanted 1 +- {MEAN_FORCE_TOLERANCE:g}"


def _energy(case: _Case) -> str:
    low, high = COST_OF_TRANSPORT_J_KG_M
    cost = case.labels.values["cost_of_transport"]
    return "" if np.isnan(cost) or low <= cost <= high else f"{cost:.1f} J/(kg m), plausible {low:g} to {high:g}"


def _joint_power(case: _Case) -> str:
    trajectory = case.trajectory
    # rates from positions: the instantaneous ones chatter while a foot lands on a stiff contact
    rate = np.gradient(trajectory.coordinates, 1.0 / trajectory.sample_rate_hz, axis=0)
    power = np.abs(trajectory.joint_moment * rate) / case.body.mass_kg
    names = [i for i, name in enumerate(trajectory.coordinate_names) if name[:-2] in _LEG_COORDINATES]
    peaks = power[_settled(case)][:, names].max(axis=0)
    worst = int(np.argmax(peaks))
    if peaks[worst] <= MAX_JOINT_POWER_W_KG:
        return ""
    name = trajectory.coordinate_names[names[worst]]
    return f"{name} {peaks[worst]:.1f} W/kg, allowed {MAX_JOINT_POWER_W_KG:g}"


_LEG_COORDINATES = ("hip_flexion", "knee_angle", "ankle_angle")

_Rule = Callable[[_Case], str]
_ALWAYS: tuple[tuple[str, _Rule], ...] = (("too_short", _too_short), ("too_few_strides", _too_few_strides))
_IF_FINITE: tuple[tuple[str, _Rule], ...] = (
    ("speed_out_of_range", _speed),
    ("foot_penetration", _penetration),
    ("foot_slip", _slip),
    ("joint_angle", _joint_angle),
    ("trunk_lean", _trunk_lean),
    ("ground_force", _ground_force),
    ("weight_not_carried", _weight_not_carried),
    ("energy", _energy),
    ("joint_power", _joint_power),
)
