"""A kinematic walker made from published norm curves: known events, step length and speed, no physics.

Joint angles follow healthy adults' mean curves (`farm.gait.norms`); the pelvis
goes where the standing feet, rolling from heel to ball, take it, and hip, knee and
ankle are then adjusted by a few degrees so that the standing sole neither floats nor slips.
Ground forces follow the norm curves with known contact times. Every quantity
is a smooth periodic function of phase, so speeds and accelerations are exact.

Truth, for tests: `WalkTruth` from `norm_walk_truth` with the same arguments.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from farm.axes import GRAVITY_M_S2, transform_points
from farm.config import SAMPLE_RATE_HZ
from farm.gait.feet import SOLE_PADS
from farm.gait.norms import CYCLE_PERCENT, norm_band
from farm.records import COORDINATES, MUSCLE_GROUPS, MUSCLES, GaitParameters, Trajectory
from farm.sampling.anatomy import BODIES, MTP_X_M, SOLE_Y_M, Anatomy, anatomy

FOOT_OFF_PHASE = 0.62
"""Share of the stride that a foot is on the floor; the norm force curve ends there."""

FIRST_STRIKE_S = 0.15
"""Time of the first right foot strike."""

STANDARD_TRUNK_LEAN_RAD = np.deg2rad(2.0)
REACH_RESERVE_M = 0.002
"""The pelvis is carried so much lower than straight knees would have it, so that both feet reach the floor."""

PLACED_UNTIL_PHASE = 0.59
"""Until here the sole is held to the floor; then the load has passed on and the foot peels off."""

SWING_CLEARANCE_M = 0.006
"""The swinging sole is carried at least about so high in mid-swing; the pictured toe needs no more, it bends."""


N_HARMONICS = 12
COST_OF_TRANSPORT = 3.3
"""J/kg/m, about the measured minimum of adults (Ralston 1958)."""

Array = NDArray[np.float64]
_PHASE = np.arange(200) / 200.0


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


class _Series:
    """A smooth function of phase (period 1) from its values at `_PHASE`: a short Fourier series."""

    def __init__(self, values: Array) -> None:
        spectrum = np.fft.rfft(values) / len(values)
        self._k = np.arange(N_HARMONICS + 1)
        self._c = spectrum[: N_HARMONICS + 1] * np.where(self._k == 0, 1.0, 2.0)

    def __call__(self, phase: Array) -> Array:
        return np.real(np.exp(2j * np.pi * np.outer(phase, self._k)) @ self._c)


def _norm(name: str, phase: Array) -> Array:
    band = norm_band(name)
    return np.interp(phase % 1.0 * 100.0, CYCLE_PERCENT, band.mean)


class _Walker:
    """All coordinates as functions of time for one body and speed."""

    def __init__(self, parameters: GaitParameters, speed_m_s: float) -> None:
        self.body: Anatomy = anatomy(parameters)
        # step length after the law of Fukuchi's 51 adults, 0.553 v^0.528 (m), scaled to this leg
        wanted = 2 * 0.553 * speed_m_s**0.528 * self.body.leg_length_m / 0.90
        excursion = 1.0
        for _ in range(6):  # stride length grows nearly in proportion to hip excursion
            self.stride_length_m = self._build(excursion)
            excursion *= wanted / self.stride_length_m
        self.speed_m_s = speed_m_s
        self.stride_time_s = self.stride_length_m / speed_m_s

    def _build(self, excursion: float) -> float:
        """Set the coordinates' series for a hip excursion relative to the norm's; returns the stride length."""
        angles = np.zeros((len(_PHASE), len(COORDINATES)))
        at = {name: i for i, name in enumerate(COORDINATES)}
        limb = min(1.0, 0.35 + 0.65 * excursion)  # knees and ankles of slow walkers move less, too
        tilt = -np.deg2rad(np.mean(norm_band("pelvis_anterior_tilt").mean))
        angles[:, at["pelvis_tilt"]] = tilt
        angles[:, at["lumbar_extension"]] = -tilt - STANDARD_TRUNK_LEAN_RAD
        for side, shift in (("r", 0.0), ("l", 0.5)):
            phase = _PHASE - shift
            hip, knee, ankle = (_norm(name, phase) for name in ("hip_flexion", "knee_flexion", "ankle_dorsiflexion"))
            centre = np.mean(norm_band("hip_flexion").mean)
            angles[:, at[f"hip_flexion_{side}"]] = np.deg2rad(centre + excursion * (hip - centre))
            angles[:, at[f"knee_angle_{side}"]] = -np.deg2rad(limb * knee)
            angles[:, at[f"ankle_angle_{side}"]] = np.deg2rad(limb * ankle)
            # the arm swings with the opposite leg
            angles[:, at[f"arm_flex_{side}"]] = np.deg2rad(-4.0 - 16.0 * excursion * np.cos(2 * np.pi * phase))
            angles[:, at[f"elbow_flex_{side}"]] = np.deg2rad(22.0 - 8.0 * excursion * np.cos(2 * np.pi * phase))
        # the pelvis goes where the loaded feet take it: as high as they reach, as fast as they sweep back
        height, advance = np.zeros(len(_PHASE)), np.zeros(len(_PHASE))
        load = np.stack([_norm("vertical_force", _PHASE - shift) for shift in (0.0, 0.5)])
        for share, side in zip(load / load.sum(axis=0), "rl", strict=True):
            low, sweep = self._sole(angles, side)
            height -= share * low
            advance -= share * sweep
        stride = float(advance.sum())
        angles[:, at["pelvis_ty"]] = _Series(height - REACH_RESERVE_M)(_PHASE)
        drift = _Series(np.cumsum(advance) - stride * _PHASE)(_PHASE)
        angles[:, at["pelvis_tx"]] = drift + stride * _PHASE
        for side, shift in (("r", 0.0), ("l", 0.5)):
            self._place_foot(angles, side, shift)
        angles[:, at["pelvis_tx"]] = drift
        self._angles = [_Series(column) for column in angles.T]
        return stride

    def _sole(self, angles: Array, side: str) -> tuple[Array, Array]:
        """Height of the sole's lowest point (m), and how far its material moves forward per sample (m)."""
        calcn = _poses(self.body, angles)[:, BODIES.index(f"calcn_{side}")]
        name = f"calcn_{side}"
        low, sweep = [], []
        for pad in SOLE_PADS:
            radius = pad.radius_m * self.body.scale(name)
            center = transform_points(calcn, self.body.point(name, pad.center))
            pitch = np.unwrap(2 * np.arctan2(calcn[:, 6], calcn[:, 3]))
            rolled = center[:, 0] + radius * pitch  # a sphere that rolls: its centre moves by -radius x turn
            turn = rolled[-1] + (rolled[1] - rolled[0]) - rolled[0] if abs(rolled[-1] - rolled[0]) > 0.2 else 0.0
            padded = np.concatenate([[rolled[-1] - turn], rolled, [rolled[0] + turn]])
            sweep.append((padded[2:] - padded[:-2]) / 2)
            low.append(center[:, 1] - radius)
        heights, sweeps = np.stack(low), np.stack(sweep)
        weight = np.exp(-(heights - heights.min(axis=0)) / 0.003)  # rolling from heel to ball is smooth
        weight /= weight.sum(axis=0)
        return (weight * heights).sum(axis=0), (weight * sweeps).sum(axis=0)

    def _place_foot(self, angles: Array, side: str, shift: float) -> None:
        """Change hip, knee and ankle a little so that the standing foot neither floats nor slips; its pitch stays."""
        own = np.round((_PHASE - shift) * len(_PHASE)).astype(int) % len(_PHASE)  # grid index of this leg's phase
        order = np.argsort(own)
        low, sweep = (signal[order] for signal in self._sole(angles, side))
        stance = round(PLACED_UNTIL_PHASE * len(_PHASE))
        aside = -np.cumsum(sweep)
        aside -= aside[:stance].mean()
        lift = -low
        lift, aside = _bridged(lift, stance), _bridged(aside, stance)
        swing = np.arange(len(_PHASE)) >= stance
        bump = np.where(swing, np.sin(np.pi * (np.arange(len(_PHASE)) - stance) / (len(_PHASE) - stance)), 0.0) ** 2
        middle = bump > 0.4
        lift += bump * max(0.0, float(np.max((SWING_CLEARANCE_M - low - lift)[middle] / bump[middle])))
        correction = np.stack([aside, lift], axis=1)[own]

        columns = [COORDINATES.index(f"{joint}_{side}") for joint in ("hip_flexion", "knee_angle", "ankle_angle")]
        poses = _poses(self.body, angles)
        hip = poses[:, BODIES.index(f"femur_{side}"), :2]
        foot = self.body.segments[f"calcn_{side}"]
        ankle = transform_points(poses[:, BODIES.index(foot.name)], np.array(foot.joint_in_body))[:, :2] + correction
        knee_in_thigh = np.array(self.body.segments[f"tibia_{side}"].joint_in_parent[:2])
        ankle_in_shank = np.array(foot.joint_in_parent[:2])
        thigh, shank = np.hypot(*knee_in_thigh), np.hypot(*ankle_in_shank)
        reach = ankle - hip
        distance = np.minimum(np.hypot(*reach.T), (thigh + shank) * np.cos(np.deg2rad(1.0)))
        to_ankle = np.arctan2(reach[:, 1], reach[:, 0])
        at_hip = np.arccos(np.clip((thigh**2 + distance**2 - shank**2) / (2 * thigh * distance), -1, 1))
        at_ankle = np.arccos(np.clip((shank**2 + distance**2 - thigh**2) / (2 * shank * distance), -1, 1))
        thigh_pitch = to_ankle + at_hip - np.arctan2(knee_in_thigh[1], knee_in_thigh[0])
        shank_pitch = to_ankle - at_ankle - np.arctan2(ankle_in_shank[1], ankle_in_shank[0])
        foot_pitch = angles[:, COORDINATES.index("pelvis_tilt")] + angles[:, columns].sum(axis=1)
        pitches = [angles[:, COORDINATES.index("pelvis_tilt")], thigh_pitch, shank_pitch, foot_pitch]
        for column, before, after in zip(columns, pitches[:-1], pitches[1:], strict=True):
            angles[:, column] = (after - before + np.pi) % (2 * np.pi) - np.pi

    def phase(self, time: Array) -> Array:
        return (time - FIRST_STRIKE_S) / self.stride_time_s

    def coordinates(self, time: Array) -> Array:
        phase = self.phase(time)
        values = np.stack([series(phase) for series in self._angles], axis=1)
        values[:, COORDINATES.index("pelvis_tx")] += self.speed_m_s * time
        return values


def _bridged(signal: Array, stance: int) -> Array:
    """`signal` as it is during stance; during swing a smooth way from its last to its first stance value."""
    n = len(signal)
    end, start = stance - 1, n  # grid positions of the last stance sample and of the next strike
    span = start - end
    u = (np.arange(end, n) - end) / span
    blend = u**2 * (3 - 2 * u)
    return np.concatenate([signal[:end], (1 - blend) * signal[end] + blend * signal[0]])


def sole_points(body: Anatomy, side: str) -> tuple[Array, Array]:
    """Heel and ball of the foot on the sole, in `calcn` axes (m)."""
    name = f"calcn_{side}"
    return body.point(name, (0.0, SOLE_Y_M, 0.0)), body.point(name, (MTP_X_M, SOLE_Y_M, 0.0))


def _poses(body: Anatomy, coordinates: Array) -> Array:
    """Forward kinematics of the planar body: `[T, B, 7]`."""
    value = dict(zip(COORDINATES, coordinates.T, strict=True))
    turn = {
        "pelvis": value["pelvis_tilt"], "torso": value["lumbar_extension"], "head": 0.0,
        **{f"femur_{s}": value[f"hip_flexion_{s}"] for s in "rl"},
        **{f"tibia_{s}": value[f"knee_angle_{s}"] for s in "rl"},
        **{f"calcn_{s}": value[f"ankle_angle_{s}"] for s in "rl"},
        **{f"humerus_{s}": value[f"arm_flex_{s}"] for s in "rl"},
        **{f"radius_{s}": value[f"elbow_flex_{s}"] for s in "rl"},
    }  # fmt: skip
    poses = np.zeros((len(coordinates), len(BODIES), 7))
    pitch: dict[str, Array] = {}
    for i, (name, segment) in enumerate(body.segments.items()):
        if segment.parent is None:
            pitch[name] = turn[name]
            origin = np.stack([value["pelvis_tx"], value["pelvis_ty"], np.zeros(len(coordinates))], axis=1)
        else:
            pitch[name] = pitch[segment.parent] + turn[name]
            joint = transform_points(poses[:, BODIES.index(segment.parent)], np.array(segment.joint_in_parent))
            origin = joint - transform_points(_turned(pitch[name]), np.array(segment.joint_in_body))
        poses[:, i] = _turned(pitch[name])
        poses[:, i, :3] = origin
    return poses


def _turned(angle: Array) -> Array:
    """Poses at the world's origin, turned about z."""
    zero = np.zeros_like(angle)
    return np.stack([zero, zero, zero, np.cos(angle / 2), zero, zero, np.sin(angle / 2)], axis=1)


def _rates(function: Callable[[Array], Array], time: Array) -> tuple[Array, Array]:
    """First and second derivative of a smooth function of time, by central differences far below 0.1 %."""
    h = 1e-4
    before, at, after = function(time - h), function(time), function(time + h)
    return (after - before) / (2 * h), (after - 2 * at + before) / h**2


def norm_walk_truth(
    parameters: GaitParameters | None = None, *, speed_m_s: float = 1.25, duration_s: float = 10.0
) -> WalkTruth:
    """What `norm_walk` with the same arguments really does; events from first to last sample."""
    walker = _Walker(parameters or GaitParameters(), speed_m_s)
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
    walker = _Walker(parameters, speed_m_s)
    body = walker.body
    n = round(duration_s * SAMPLE_RATE_HZ) + 1
    time = np.arange(n) / SAMPLE_RATE_HZ
    coordinates = walker.coordinates(time)
    speeds, accelerations = _rates(walker.coordinates, time)

    poses = _poses(body, coordinates)
    linear, linear_rate = _rates(lambda t: _poses(body, walker.coordinates(t))[:, :, :3].reshape(len(t), -1), time)
    velocity, acceleration = np.zeros((n, len(BODIES), 6)), np.zeros((n, len(BODIES), 6))
    velocity[:, :, 3:] = linear.reshape(n, len(BODIES), 3)
    acceleration[:, :, 3:] = linear_rate.reshape(n, len(BODIES), 3)
    for rates, out in ((speeds, velocity), (accelerations, acceleration)):
        out[:, :, 2] = _pitch(rates)

    phase = walker.phase(time)
    reaction = np.zeros((n, 2, 9))
    weight = body.mass_kg * GRAVITY_M_S2
    mean_load = np.mean(_norm("vertical_force", _PHASE)) * 2
    for i, (side, shift) in enumerate((("r", 0.0), ("l", 0.5))):
        load = _norm("vertical_force", phase - shift) / mean_load
        reaction[:, i, 0] = _norm("ap_force", phase - shift) * weight
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
