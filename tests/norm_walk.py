"""The trajectory of a kinematic walker: known events, step length and speed, no physics.

It moves as `farm.gait.norm_walker` says. Ground forces follow the norm curves with
known contact times. Every quantity is a smooth periodic function of phase, so
speeds and accelerations are exact.

Truth, for tests: `WalkTruth` from `norm_walk_truth` with the same arguments.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from farm.axes import GRAVITY_M_S2, transform_points
from farm.config import SAMPLE_RATE_HZ
from farm.gait.norm_walker import PHASE, NormWalker, norm_curve, planar_poses
from farm.records import COORDINATES, MUSCLE_GROUPS, MUSCLES, GaitParameters, Trajectory
from farm.sampling.anatomy import BODIES, MTP_X_M, SOLE_Y_M, Anatomy, anatomy

FOOT_OFF_PHASE = 0.62
"""Share of the stride that a foot is on the floor; the norm force curve ends there."""

FIRST_STRIKE_S = 0.15
"""Time of the first right foot strike."""

COST_OF_TRANSPORT = 3.3
"""J/kg/m, about the measured minimum of adults (Ralston 1958)."""

Array = NDArray[np.float64]


@dataclass(frozen=True)
class WalkTruth:
    """What an exact labeller must find. Times in s, lengths in m."""

    speed_m_s: float
    stride_time_s: float
    step_length_m: float
    stance_fraction: float
    strike_r: Array
    off_r: Array
    strike_l: Array
    off_l: Array


def sole_points(body: Anatomy, side: str) -> tuple[Array, Array]:
    """Heel and ball of the foot on the sole, in `calcn` axes (m)."""
    name = f"calcn_{side}"
    return body.point(name, (0.0, SOLE_Y_M, 0.0)), body.point(name, (MTP_X_M, SOLE_Y_M, 0.0))


def _rates(function: Callable[[Array], Array], time: Array) -> tuple[Array, Array]:
    """First and second derivative of a smooth function of time, by central differences far below 0.1 %."""
    h = 1e-4
    before, at, after = function(time - h), function(time), function(time + h)
    return (after - before) / (2 * h), (after - 2 * at + before) / h**2


def norm_walk_truth(
    parameters: GaitParameters | None = None, *, speed_m_s: float = 1.25, duration_s: float = 10.0
) -> WalkTruth:
    """What `norm_walk` with the same arguments really does; events from first to last sample."""
    walker = NormWalker(anatomy(parameters or GaitParameters()), speed_m_s, first_strike_s=FIRST_STRIKE_S)
    stride = walker.stride_time_s

    def times(phase: float) -> Array:
        all_times = FIRST_STRIKE_S + stride * (np.arange(-2, int(duration_s / stride) + 3) + phase)
        return np.asarray(all_times[(all_times > 0) & (all_times < duration_s)], dtype=float)

    return WalkTruth(
        speed_m_s=speed_m_s,
        stride_time_s=stride,
        step_length_m=walker.stride_length_m / 2,
        stance_fraction=FOOT_OFF_PHASE,
        strike_r=times(0.0),
        off_r=times(FOOT_OFF_PHASE),
        strike_l=times(0.5),
        off_l=times(0.5 + FOOT_OFF_PHASE),
    )


# phase (share of the stride) of each muscle's main burst and its half width; after Perry & Burnfield 2010, ch. 4-6
_BURSTS = {
    "hamstrings": (0.95, 0.10), "bifemsh": (0.65, 0.08), "glut_max": (0.05, 0.09), "iliopsoas": (0.60, 0.10),
    "rect_fem": (0.60, 0.06), "vasti": (0.06, 0.09), "gastroc": (0.42, 0.11), "soleus": (0.40, 0.14),
    "tib_ant": (0.85, 0.18),
}  # fmt: skip


def norm_walk(
    parameters: GaitParameters | None = None, *, speed_m_s: float = 1.25, duration_s: float = 10.0
) -> Trajectory:
    """A healthy adult of these dimensions walking at `speed_m_s` for `duration_s`, from the norm curves."""
    parameters = parameters or GaitParameters()
    walker = NormWalker(anatomy(parameters), speed_m_s, first_strike_s=FIRST_STRIKE_S)
    body = walker.body
    n = round(duration_s * SAMPLE_RATE_HZ) + 1
    time = np.arange(n) / SAMPLE_RATE_HZ
    coordinates = walker.coordinates(time)
    speeds, accelerations = _rates(walker.coordinates, time)

    poses = planar_poses(body, coordinates)
    linear, linear_rate = _rates(
        lambda t: planar_poses(body, walker.coordinates(t))[:, :, :3].reshape(len(t), -1), time
    )
    velocity, acceleration = np.zeros((n, len(BODIES), 6)), np.zeros((n, len(BODIES), 6))
    velocity[:, :, 3:] = linear.reshape(n, len(BODIES), 3)
    acceleration[:, :, 3:] = linear_rate.reshape(n, len(BODIES), 3)
    for rates, out in ((speeds, velocity), (accelerations, acceleration)):
        out[:, :, 2] = _pitch(rates)

    phase = walker.phase(time)
    reaction = np.zeros((n, 2, 9))
    weight = body.mass_kg * GRAVITY_M_S2
    mean_load = np.mean(norm_curve("vertical_force", PHASE)) * 2
    for i, (side, shift) in enumerate((("r", 0.0), ("l", 0.5))):
        load = norm_curve("vertical_force", phase - shift) / mean_load
        reaction[:, i, 0] = norm_curve("ap_force", phase - shift) * weight
        reaction[:, i, 1] = load * weight
        heel, ball = (transform_points(poses[:, BODIES.index(f"calcn_{side}")], p) for p in sole_points(body, side))
        roll = np.clip((phase - shift) % 1.0 / 0.5, 0.0, 1.0)[:, None]
        centre = heel + roll * (ball - heel)
        centre[:, 1] = 0.0
        reaction[:, i, 3:6] = np.where(load[:, None] > 0, centre, 0.0)

    activation = np.zeros((n, len(MUSCLES)))
    for j, muscle in enumerate(MUSCLES):
        group, side = muscle.rsplit("_", 1)
        centre_phase, width = _BURSTS[group]
        distance = (phase - (0.5 if side == "l" else 0.0) - centre_phase + 0.5) % 1.0 - 0.5
        activation[:, j] = 0.02 + 0.5 * np.exp(-0.5 * (distance / width) ** 2)
    excitation = np.roll(activation, -2, axis=0)
    assert {muscle.rsplit("_", 1)[0] for muscle in MUSCLES} == set(MUSCLE_GROUPS) == set(_BURSTS)
    return Trajectory(
        end="completed",
        sample_rate_hz=SAMPLE_RATE_HZ,
        bodies=BODIES,
        coordinate_names=COORDINATES,
        muscles=MUSCLES,
        time=time,
        coordinates=coordinates,
        coordinate_speeds=speeds,
        coordinate_accelerations=accelerations,
        body_pose=poses,
        body_velocity=velocity,
        body_acceleration=acceleration,
        muscle_activation=activation,
        muscle_excitation=excitation,
        muscle_fiber_length=1.0 - 0.15 * activation,
        muscle_force=activation * 1500.0,
        metabolic_power=np.full(n, COST_OF_TRANSPORT * body.mass_kg * speed_m_s),
        ground_reaction=reaction,
        joint_moment=_moments(body, poses, reaction),
    )


def _pitch(rates: Array) -> Array:
    """Rate of each body's pitch `[T, B]` from the coordinates' rates: angles about z add up along the chain."""
    value = dict(zip(COORDINATES, rates.T, strict=True))
    pelvis = value["pelvis_tilt"]
    torso = pelvis + value["lumbar_extension"]
    total = {"pelvis": pelvis, "torso": torso, "head": torso}
    for s in "rl":
        total[f"femur_{s}"] = pelvis + value[f"hip_flexion_{s}"]
        total[f"tibia_{s}"] = total[f"femur_{s}"] + value[f"knee_angle_{s}"]
        total[f"calcn_{s}"] = total[f"tibia_{s}"] + value[f"ankle_angle_{s}"]
        total[f"humerus_{s}"] = torso + value[f"arm_flex_{s}"]
        total[f"radius_{s}"] = total[f"humerus_{s}"] + value[f"elbow_flex_{s}"]
    return np.stack([total[name] for name in BODIES], axis=1)


def _moments(body: Anatomy, poses: Array, reaction: Array) -> Array:
    """Joint moments `[T, Q]` that would balance the ground force alone (segments without mass)."""
    moment = np.zeros((len(poses), len(COORDINATES)))
    for i, side in enumerate("rl"):
        joints = {"hip_flexion": f"femur_{side}", "knee_angle": f"tibia_{side}"}
        for joint, name in joints.items():
            arm = reaction[:, i, 3:6] - poses[:, BODIES.index(name), :3]
            moment[:, COORDINATES.index(f"{joint}_{side}")] = -np.cross(arm, reaction[:, i, :3])[:, 2]
        foot = body.segments[f"calcn_{side}"]
        ankle = transform_points(poses[:, BODIES.index(foot.name)], np.array(foot.joint_in_body))
        arm = reaction[:, i, 3:6] - ankle
        moment[:, COORDINATES.index(f"ankle_angle_{side}")] = -np.cross(arm, reaction[:, i, :3])[:, 2]
    return moment
