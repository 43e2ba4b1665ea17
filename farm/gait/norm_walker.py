"""A kinematic walker made from published norm curves: known step length and speed, no physics.

Joint angles follow healthy adults' mean curves (`farm.gait.norms`); the pelvis
goes where the standing feet, rolling from heel to ball, take it, and hip, knee and
ankle are then adjusted by a few degrees so that the standing sole neither floats nor slips.
Every quantity is a smooth periodic function of phase.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from farm.axes import transform_points
from farm.gait.feet import SOLE_PADS
from farm.gait.norms import CYCLE_PERCENT, norm_band
from farm.records import COORDINATES
from farm.sampling.anatomy import BODIES, Anatomy

Array = NDArray[np.float64]

STANDARD_TRUNK_LEAN_RAD = float(np.deg2rad(2.0))
REACH_RESERVE_M = 0.002
"""The pelvis is carried so much lower than straight knees would have it, so that both feet reach the floor."""

PLACED_UNTIL_PHASE = 0.59
"""Until here the sole is held to the floor; then the load has passed on and the foot peels off."""

SWING_CLEARANCE_M = 0.006
"""The swinging sole is carried at least about so high in mid-swing; the pictured toe needs no more, it bends."""

N_HARMONICS = 12

PHASE: Array = np.arange(200) / 200.0
"""Where a stride is worked out: 0 is the right foot's strike."""


class _Series:
    """A smooth function of phase (period 1) from its values at `PHASE`: a short Fourier series."""

    def __init__(self, values: Array) -> None:
        spectrum = np.fft.rfft(values) / len(values)
        self._k = np.arange(N_HARMONICS + 1)
        self._c = spectrum[: N_HARMONICS + 1] * np.where(self._k == 0, 1.0, 2.0)

    def __call__(self, phase: Array) -> Array:
        return np.real(np.exp(2j * np.pi * np.outer(phase, self._k)) @ self._c)


def norm_curve(name: str, phase: Array) -> Array:
    """One of the norm bands' means at `phase` (of any stride), in the band's unit."""
    band = norm_band(name)
    return np.interp(phase % 1.0 * 100.0, CYCLE_PERCENT, band.mean)


class NormWalker:
    """All coordinates of the planar body as functions of time for one anatomy and speed.

    Attributes:
        stride_length_m, stride_time_s: Of a whole stride, two steps.
    """

    def __init__(self, body: Anatomy, speed_m_s: float, *, first_strike_s: float = 0.0) -> None:
        """Args:
        first_strike_s: Time of a right foot strike.
        """
        self.body = body
        self._first_strike_s = first_strike_s
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
        angles = np.zeros((len(PHASE), len(COORDINATES)))
        at = {name: i for i, name in enumerate(COORDINATES)}
        limb = min(1.0, 0.35 + 0.65 * excursion)  # knees and ankles of slow walkers move less, too
        tilt = -np.deg2rad(np.mean(norm_band("pelvis_anterior_tilt").mean))
        angles[:, at["pelvis_tilt"]] = tilt
        angles[:, at["lumbar_extension"]] = -tilt - STANDARD_TRUNK_LEAN_RAD
        for side, shift in (("r", 0.0), ("l", 0.5)):
            phase = PHASE - shift
            hip, knee, ankle = (
                norm_curve(name, phase) for name in ("hip_flexion", "knee_flexion", "ankle_dorsiflexion")
            )
            centre = np.mean(norm_band("hip_flexion").mean)
            angles[:, at[f"hip_flexion_{side}"]] = np.deg2rad(centre + excursion * (hip - centre))
            angles[:, at[f"knee_angle_{side}"]] = -np.deg2rad(limb * knee)
            angles[:, at[f"ankle_angle_{side}"]] = np.deg2rad(limb * ankle)
            # the arm swings with the opposite leg
            angles[:, at[f"arm_flex_{side}"]] = np.deg2rad(-4.0 - 16.0 * excursion * np.cos(2 * np.pi * phase))
            angles[:, at[f"elbow_flex_{side}"]] = np.deg2rad(22.0 - 8.0 * excursion * np.cos(2 * np.pi * phase))
        # the pelvis goes where the loaded feet take it: as high as they reach, as fast as they sweep back
        height, advance = np.zeros(len(PHASE)), np.zeros(len(PHASE))
        load = np.stack([norm_curve("vertical_force", PHASE - shift) for shift in (0.0, 0.5)])
        for share, side in zip(load / load.sum(axis=0), "rl", strict=True):
            low, sweep = self._sole(angles, side)
            height -= share * low
            advance -= share * sweep
        stride = float(advance.sum())
        angles[:, at["pelvis_ty"]] = _Series(height - REACH_RESERVE_M)(PHASE)
        drift = _Series(np.cumsum(advance) - stride * PHASE)(PHASE)
        angles[:, at["pelvis_tx"]] = drift + stride * PHASE
        for side, shift in (("r", 0.0), ("l", 0.5)):
            self._place_foot(angles, side, shift)
        angles[:, at["pelvis_tx"]] = drift
        self._angles = [_Series(column) for column in angles.T]
        return stride

    def _sole(self, angles: Array, side: str) -> tuple[Array, Array]:
        """Height of the sole's lowest point (m), and how far its material moves forward per sample (m)."""
        calcn = planar_poses(self.body, angles)[:, BODIES.index(f"calcn_{side}")]
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
        own = np.round((PHASE - shift) * len(PHASE)).astype(int) % len(PHASE)  # grid index of this leg's phase
        order = np.argsort(own)
        low, sweep = (signal[order] for signal in self._sole(angles, side))
        stance = round(PLACED_UNTIL_PHASE * len(PHASE))
        aside = -np.cumsum(sweep)
        aside -= aside[:stance].mean()
        lift = -low
        lift, aside = _bridged(lift, stance), _bridged(aside, stance)
        swing = np.arange(len(PHASE)) >= stance
        bump = np.where(swing, np.sin(np.pi * (np.arange(len(PHASE)) - stance) / (len(PHASE) - stance)), 0.0) ** 2
        middle = bump > 0.4
        lift += bump * max(0.0, float(np.max((SWING_CLEARANCE_M - low - lift)[middle] / bump[middle])))
        correction = np.stack([aside, lift], axis=1)[own]

        columns = [COORDINATES.index(f"{joint}_{side}") for joint in ("hip_flexion", "knee_angle", "ankle_angle")]
        poses = planar_poses(self.body, angles)
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
        """Strides since the first right strike."""
        return np.asarray((time - self._first_strike_s) / self.stride_time_s)

    def coordinates(self, time: Array) -> Array:
        """`[T, Q]`, in the order of `COORDINATES`."""
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


def planar_poses(body: Anatomy, coordinates: Array) -> Array:
    """Forward kinematics of the planar body: `[T, B, 7]`, world from body, from coordinates `[T, Q]`."""
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
