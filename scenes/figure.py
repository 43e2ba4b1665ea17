"""The shape of a person, as signed distances: trunk, head, arms, hands, legs and feet of one anatomy.

Lengths come from the anatomy, so joint centres are those of the physics; cross
sections are typical of adults (breadths, depths and circumferences about the
medians of ANSUR II, Gordon et al. 2014, at 1.80 m and body mass index 23) and
grow with `Anatomy.girth`, most at the belly, hardly at the ankles and the skull.

Two sets of axes: *straight* ones, in which the person stands with arms and legs
hanging (origin at the pelvis body, axes of the world), and *bind* ones, which
differ by arms and legs spread sideways, so that the skin of one limb is far
from that of another.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.interpolate import PchipInterpolator

from farm.records import Sex
from farm.sampling.anatomy import GENERIC_STATURE_M, MTP_X_M, SOLE_Y_M, Anatomy
from farm.scene_config import HairStyle
from scenes.surface import Array, Ellipsoid, Loft, RoundCone, union

LEG_SPREAD_RAD = float(np.deg2rad(14.0))
ARM_SPREAD_RAD = float(np.deg2rad(38.0))

SIDES = (("r", 1.0), ("l", -1.0))

# Rows of the tables: position along the segment (0 proximal joint, 1 distal joint; trunk: generic metres above the
# segment's origin), half depth, half breadth, forward and lateral offset of the centre from the bone line (generic
# metres), growth with girth (1: in proportion).
_THIGH = (
    (-0.16, 0.060, 0.062, -0.008, -0.004, 1.0),
    (0.00, 0.092, 0.084, -0.006, 0.001, 1.1),
    (0.22, 0.089, 0.082, 0.003, 0.001, 1.2),
    (0.50, 0.079, 0.071, 0.009, 0.000, 1.1),
    (0.78, 0.066, 0.060, 0.008, 0.000, 0.8),
    (0.93, 0.060, 0.054, 0.006, 0.000, 0.6),
)
_SHANK = (
    (0.02, 0.058, 0.052, 0.002, 0.000, 0.6),
    (0.12, 0.056, 0.051, -0.007, 0.000, 0.7),
    (0.28, 0.060, 0.055, -0.017, 0.002, 0.8),
    (0.48, 0.051, 0.048, -0.014, 0.001, 0.8),
    (0.70, 0.039, 0.037, -0.007, 0.000, 0.6),
    (0.88, 0.034, 0.030, -0.004, 0.000, 0.4),
    (1.02, 0.037, 0.031, -0.004, 0.000, 0.3),
)
_UPPER_ARM = (
    (-0.12, 0.024, 0.018, 0.000, -0.012, 0.6),
    (-0.06, 0.042, 0.034, 0.000, -0.009, 0.8),
    (0.04, 0.053, 0.045, 0.000, -0.003, 0.8),
    (0.14, 0.055, 0.047, 0.001, 0.000, 0.9),
    (0.32, 0.050, 0.044, 0.002, 0.001, 1.0),
    (0.62, 0.046, 0.041, 0.002, 0.000, 0.9),
    (0.90, 0.041, 0.037, -0.001, 0.000, 0.6),
)
_FOREARM = (
    (0.02, 0.041, 0.038, -0.002, 0.000, 0.5),
    (0.14, 0.043, 0.041, 0.001, 0.000, 0.6),
    (0.32, 0.042, 0.038, 0.001, 0.000, 0.6),
    (0.65, 0.033, 0.029, 0.000, 0.000, 0.5),
    (0.92, 0.028, 0.022, 0.000, 0.000, 0.3),
    (1.06, 0.028, 0.020, 0.000, 0.000, 0.3),
)
_PELVIS = (
    (-0.150, 0.055, 0.060, -0.090, 0.0, 0.8),
    (-0.105, 0.100, 0.125, -0.088, 0.0, 1.0),
    (-0.055, 0.119, 0.166, -0.088, 0.0, 1.0),
    (0.000, 0.116, 0.164, -0.088, 0.0, 1.1),
    (0.045, 0.106, 0.152, -0.086, 0.0, 1.3),
)
_TORSO = (
    (0.030, 0.100, 0.143, 0.016, 0.0, 1.6),
    (0.100, 0.100, 0.140, 0.016, 0.0, 1.7),
    (0.180, 0.105, 0.147, 0.008, 0.0, 1.5),
    (0.270, 0.114, 0.160, -0.004, 0.0, 1.2),
    (0.330, 0.110, 0.164, -0.011, 0.0, 1.0),
    (0.375, 0.094, 0.150, -0.016, 0.0, 0.9),
    (0.410, 0.078, 0.112, -0.020, 0.0, 0.7),
    (0.440, 0.066, 0.080, -0.020, 0.0, 0.5),
    (0.475, 0.058, 0.060, -0.017, 0.0, 0.4),
)
HEEL_X_M, TOE_X_M = -0.032, 0.258
"""Ends of the shoe in generic `calcn` axes."""

FEMALE_FACTORS = {
    "depth": 0.94, "waist": 0.84, "chest": 0.90, "hips": 1.08, "arm": 0.84, "neck": 0.86, "shoulder": 0.86,
}  # fmt: skip
"""Female over male cross sections at equal stature (ratios of ANSUR II medians)."""

_HAIR_THICKNESS: Mapping[HairStyle, float] = {
    "crop": 0.005, "short": 0.011, "curly": 0.022, "long": 0.013, "ponytail": 0.008, "bun": 0.008,
}  # fmt: skip
"""Over the skull of the generic head (m)."""

WRIST_GENERIC_M = 0.24
GRIP_GENERIC_M = {side: (0.004, -(WRIST_GENERIC_M + 0.098), -sign * 0.026) for side, sign in (("r", 1.0), ("l", -1.0))}
"""Middle of what a closed hand holds, in generic `radius` axes."""

HEEL_BEVEL_X_M, HEEL_BEVEL_RADIUS_M = 0.012, 0.042
"""The shoe's heel edge is round like the physics' heel sphere, so that it rolls at foot strike and does not dig in."""


_SHAPE_AGE_YEARS = 40.0
"""Age of the table's adults."""

_WAIST_PER_YEAR, _LIMB_PER_YEAR = 0.0022, -0.0010
"""By how much waist and limbs grow or shrink with each year at equal stature and mass: fat moves to the trunk and
muscle is lost with age. The direction is well known; these rates are design choices."""

_SHAPE_AGES = (20.0, 85.0)


def smooth_step(low: float, high: float, value: Array) -> Array:
    """0 below `low`, 1 above `high`, smooth between."""
    t = np.clip((value - low) / (high - low), 0.0, 1.0)
    return np.asarray(t * t * (3.0 - 2.0 * t))


def turn_x(angle: float) -> Array:
    """Rotation `[3, 3]` about the x axis."""
    c, s = np.cos(angle), np.sin(angle)
    return np.array([[1.0, 0.0, 0.0], [0.0, c, -s], [0.0, s, c]])


@dataclass(frozen=True)
class Figure:
    """One person's shape without clothes."""

    body: Anatomy
    sex: Sex
    age_years: float = _SHAPE_AGE_YEARS

    @property
    def size(self) -> float:
        """Stature relative to the generic body."""
        return self.body.stature_m / GENERIC_STATURE_M

    def width(self, growth: float) -> float:
        """Scale of a cross section that grows with girth to this degree."""
        return self.size * (1.0 + growth * (self.body.girth - 1.0))

    def aged(self, per_year: float) -> float:
        """Factor of a cross section that changes by so much a year."""
        return 1.0 + per_year * (float(np.clip(self.age_years, *_SHAPE_AGES)) - _SHAPE_AGE_YEARS)

    @property
    def _female(self) -> bool:
        return self.sex == "female"

    @cached_property
    def origins(self) -> dict[str, Array]:
        """Origin of each body in straight axes (m)."""
        at: dict[str, Array] = {}
        for name, segment in self.body.segments.items():
            if segment.parent is None:
                at[name] = np.zeros(3)
            else:
                at[name] = at[segment.parent] + np.array(segment.joint_in_parent) - np.array(segment.joint_in_body)
        return at

    @property
    def floor_y(self) -> float:
        """Height of the longer leg's sole in straight axes (m)."""
        return min(self._sole_y(side) for side, _ in SIDES)

    def point(self, body: str, generic: tuple[float, float, float]) -> Array:
        """A generic station of a body in straight axes `[3]` (m)."""
        return self.origins[body] + self.body.point(body, generic)

    def limb_axes(self, limb: str, side: str) -> tuple[Array, Array]:
        """Pivot `[3]` and rotation `[3, 3]` that take the straight limb to the bind pose."""
        sign = 1.0 if side == "r" else -1.0
        pivot = self.origins["femur_" + side if limb == "leg" else "humerus_" + side]
        return pivot, turn_x(-sign * (LEG_SPREAD_RAD if limb == "leg" else ARM_SPREAD_RAD))

    def straight(self, points: Array, limb: str, side: str) -> Array:
        """Points in bind axes, in the straight axes of one limb."""
        pivot, turn = self.limb_axes(limb, side)
        return (points - pivot) @ turn + pivot

    def bind(self, points: Array, limb: str, side: str) -> Array:
        """Points in a limb's straight axes, in bind axes."""
        pivot, turn = self.limb_axes(limb, side)
        return (points - pivot) @ turn.T + pivot

    def _tube(
        self, rows: Sequence[tuple[Array, tuple[float, ...]]], side: float, factor: tuple[float, float] = (1.0, 1.0)
    ) -> Loft:
        """A loft through (point of the bone line, table row) pairs."""
        ordered = sorted(rows, key=lambda row: float(row[0][1]))
        grow = np.array([self.width(row[1][5]) for row in ordered])
        table = np.array([row[1][1:5] for row in ordered])
        bone = np.array([row[0] for row in ordered])
        return Loft(
            y=bone[:, 1],
            radius_x=table[:, 0] * grow * factor[0],
            radius_z=table[:, 1] * grow * factor[1],
            centre_x=bone[:, 0] + table[:, 2] * self.size,
            centre_z=bone[:, 2] + side * table[:, 3] * self.size,
        )

    @cached_property
    def _legs(self) -> dict[str, Loft]:
        legs = {}
        for side, sign in SIDES:
            hip, knee = self.origins[f"femur_{side}"], self.origins[f"tibia_{side}"]
            ankle = knee + np.array([0.0, -0.43 * self.body.scale(f"tibia_{side}"), 0.0])
            rows = [(hip + row[0] * (knee - hip), row) for row in _THIGH]
            rows += [(knee + row[0] * (ankle - knee), row) for row in _SHANK]
            legs[side] = self._tube(rows, sign, (self.aged(_LIMB_PER_YEAR),) * 2)
        return legs

    def leg(self, points: Array, side: str) -> Array:
        """Distance to one leg from above the hip to the ankle; straight axes."""
        return self._legs[side](points)

    def leg_section(self, y: Array, side: str) -> Array:
        """Half axes in x and z and centre in x and z `[..., 4]` (m) of one leg at heights `y`; straight axes.

        Below the ankle it is the ankle's, which the shoe hides.
        """
        tube = self._legs[side]
        return tube.section(np.clip(y, tube.y[0], tube.y[-1]))

    @cached_property
    def _arms(self) -> dict[str, Loft]:
        arms = {}
        factor = (FEMALE_FACTORS["arm"] if self._female else 1.0) * self.aged(_LIMB_PER_YEAR)
        for side, sign in SIDES:
            shoulder, elbow = self.origins[f"humerus_{side}"], self.origins[f"radius_{side}"]
            wrist = elbow + np.array([0.0, -WRIST_GENERIC_M * self.body.scale(f"radius_{side}"), 0.0])
            rows = [(shoulder + row[0] * (elbow - shoulder), row) for row in _UPPER_ARM]
            rows += [(elbow + row[0] * (wrist - elbow), row) for row in _FOREARM]
            arms[side] = self._tube(rows, sign, (factor, factor))
        return arms

    def arm(self, points: Array, side: str) -> Array:
        """Distance to one arm from above the shoulder to the wrist; straight axes."""
        return self._arms[side](points)

    def hand(self, points: Array, side: str, *, closed: bool = False) -> Array:
        """Distance to one hand, palm towards the thigh, relaxed or closed around what it holds; straight axes."""
        sign = 1.0 if side == "r" else -1.0
        radius = f"radius_{side}"
        k = self.body.scale(radius) * (0.93 if self._female else 1.0)
        wrist = self.point(radius, (0.0, -WRIST_GENERIC_M, 0.0))

        def at(x: float, down: float, medial: float) -> Array:
            return wrist + k * np.array([x, -down, -sign * medial])

        sections = [
            (0.012, 0.027, 0.019), (-0.03, 0.031, 0.017), (-0.065, 0.041, 0.015), (-0.095, 0.041, 0.013),
            (-0.108, 0.034, 0.010),
        ]  # fmt: skip
        rows = sorted(sections)
        palm = Loft(
            y=np.array([wrist[1] + k * row[0] for row in rows]),
            radius_x=np.array([k * row[1] for row in rows]),
            radius_z=np.array([k * row[2] for row in rows]),
            centre_x=np.full(len(rows), wrist[0]),
            centre_z=np.array([wrist[2] - sign * k * 0.02 * min(0.0, row[0]) * -1.0 for row in rows]),
        )
        parts = [palm(points)]
        for x, tip in ((0.030, 0.162), (0.010, 0.172), (-0.010, 0.166), (-0.029, 0.148)):
            middle = 0.095 + 0.55 * (tip - 0.095)
            knuckle, end = at(x * 0.97, middle, 0.010), at(x * 0.9, tip, 0.030)
            if closed:
                knuckle, end = at(x, 0.121, 0.018), at(x, 0.104, 0.049)
            parts.append(
                union(
                    [
                        RoundCone(at(x, 0.095, 0.002), knuckle, 0.0105 * k, 0.0098 * k)(points),
                        RoundCone(knuckle, end, 0.0098 * k, 0.0085 * k)(points),
                    ],
                    0.004,
                )
            )
        joint, end = at(0.050, 0.072, 0.020), at(0.051, 0.108, 0.026)
        if closed:
            joint, end = at(0.040, 0.068, 0.030), at(0.022, 0.084, 0.050)
        thumb = union(
            [
                RoundCone(at(0.026, 0.030, 0.008), joint, 0.016 * k, 0.0125 * k)(points),
                RoundCone(joint, end, 0.0125 * k, 0.0095 * k)(points),
            ],
            0.006,
        )
        return union([parts[0], *parts[1:], thumb], 0.008)

    @cached_property
    def _trunk(self) -> Loft:
        rows = [(self.point("pelvis", (0.0, row[0], 0.0)), row) for row in _PELVIS]
        rows += [(self.point("torso", (0.0, row[0], 0.0)), row) for row in _TORSO]
        tube = self._tube(rows, 0.0)
        levels = [self.origins["torso"][1] + self.size * y for y in (-0.10, 0.05, 0.15, 0.30)]
        belly = np.interp(tube.y, levels, [0.0, 0.10, 0.10, 0.0]) * self.size * (self.body.girth - 1.0)
        waist = 1.0 + np.interp(tube.y, levels, [0.0, 1.0, 1.0, 0.0]) * (self.aged(_WAIST_PER_YEAR) - 1.0)
        forward = np.interp(tube.y, levels, [0.0, 1.0, 1.0, 0.0]) * 0.5 * (self.aged(_WAIST_PER_YEAR) - 1.0)
        loft = Loft(
            tube.y, tube.radius_x * waist, tube.radius_z * (1.0 + 0.6 * (waist - 1.0)),
            tube.centre_x + belly + forward * tube.radius_x, tube.centre_z,
        )  # fmt: skip
        if not self._female:
            return loft
        pelvis, torso = self.origins["pelvis"], self.origins["torso"]
        levels = [pelvis[1] - 0.10, pelvis[1], torso[1] + 0.09, torso[1] + 0.28, torso[1] + 0.38, torso[1] + 0.5]
        f = FEMALE_FACTORS
        breadth = np.interp(loft.y, levels, [f["hips"], f["hips"], f["waist"], f["chest"], f["shoulder"], f["neck"]])
        depth = np.interp(loft.y, levels, [1.0, 1.0, f["waist"] + 0.03, f["depth"] - 0.04, f["shoulder"], f["neck"]])
        return Loft(loft.y, loft.radius_x * depth, loft.radius_z * breadth, loft.centre_x, loft.centre_z)

    def trunk(self, points: Array) -> Array:
        """Distance to pelvis, belly, chest, shoulders' slope and neck base; the same in straight and bind axes."""
        parts = [self._trunk(points)]
        k = self.width(0.7)
        slim = FEMALE_FACTORS["shoulder"] if self._female else 1.0
        for side, sign in SIDES:
            shoulder = self.origins[f"humerus_{side}"]
            base = self.point("torso", (-0.028, 0.455, sign * 0.030))
            tip = shoulder + np.array([-0.006, -0.004, -sign * 0.018]) * k
            parts.append(RoundCone(base, tip, 0.040 * k * slim, 0.034 * k * slim)(points))
            # buttocks
            seat = self.point("pelvis", (-0.135, -0.062, sign * 0.070))
            parts.append(Ellipsoid(seat, np.array([0.074, 0.088, 0.080]) * self.width(1.0))(points))
            if self._female:
                breast = self.point("torso", (0.056, 0.262, sign * 0.066))
                parts.append(Ellipsoid(breast, np.array([0.060, 0.062, 0.062]) * self.width(1.4))(points))
        return union(parts, 0.045)

    def head(self, points: Array) -> Array:
        """Distance to head and neck; the same in straight and bind axes."""
        k = self.body.scale("head") * (1.0 + 0.08 * (self.body.girth - 1.0))
        origin = self.origins["head"]

        def ball(centre: tuple[float, float, float], radii: tuple[float, float, float]) -> Array:
            return Ellipsoid(origin + k * np.array(centre), k * np.array(radii))(points)

        def cone(a: tuple[float, float, float], b: tuple[float, float, float], ra: float, rb: float) -> Array:
            return RoundCone(origin + k * np.array(a), origin + k * np.array(b), k * ra, k * rb)(points)

        slim = 0.95 if self._female else 1.0
        skull = ball((0.0, 0.163, 0.0), (0.097, 0.091, 0.075))
        face = ball((0.034, 0.103, 0.0), (0.062, 0.088, 0.060 * slim))
        jaw = ball((0.042, 0.050, 0.0), (0.044, 0.036, 0.044 * slim))
        shape = union([skull, face, jaw], 0.030)
        nose = cone((0.092, 0.146, 0.0), (0.110, 0.114, 0.0), 0.008, 0.0125)
        shape = union([shape, nose], 0.010)
        ears = [ball((-0.004, 0.128, sign * 0.076), (0.019, 0.031, 0.009)) for _, sign in SIDES]
        neck_radius = 0.060 * (FEMALE_FACTORS["neck"] if self._female else 1.0) * self.width(0.6) / k
        base = (self.point("torso", (-0.022, 0.40, 0.0)) - origin) / k
        neck = cone((float(base[0]), float(base[1]), 0.0), (0.0, 0.075, 0.0), neck_radius * 1.03, neck_radius * 0.95)
        return union([shape, *ears, neck], 0.018)

    def hair(self, points: Array, style: HairStyle) -> Array:
        """Distance to the hair of any style but "bald"; straight axes."""
        k = self.body.scale("head")
        local = (points - self.origins["head"]) / k
        thickness = _HAIR_THICKNESS[style]
        cap = Ellipsoid(np.array([-0.002, 0.163, 0.0]), np.array([0.097, 0.091, 0.075]) + thickness)(local)
        x, y, z = local[..., 0], local[..., 1], local[..., 2]
        strands = np.sin(85.0 * z + 4.0 * np.sin(38.0 * y)) * np.sin(70.0 * x + 55.0 * y + 3.0 * np.sin(45.0 * z))
        if style == "curly":
            strands = np.sin(150.0 * x + 2.0) * np.sin(150.0 * y) * np.sin(150.0 * z + 1.0)
        cap = cap - 0.22 * thickness * strands
        # hairline: from the forehead back past the temple, down before the ear, around it, and across the nape
        below = (x - 0.070) * 0.80 - (y - 0.215) * 0.60 + 0.004 * np.sin(120.0 * z)
        ear = np.where(x > -0.030, 0.122 - y, -1.0)
        nape = (0.065 if style != "crop" else 0.085) - y
        shape = np.maximum.reduce([cap, below, ear, nape])
        if style == "long":
            back = Loft(
                y=np.array([-0.075, -0.03, 0.05, 0.13, 0.18]),
                radius_x=np.array([0.022, 0.034, 0.050, 0.062, 0.060]),
                radius_z=np.array([0.060, 0.078, 0.085, 0.086, 0.075]),
                centre_x=np.array([-0.088, -0.082, -0.066, -0.050, -0.045]),
                centre_z=np.zeros(5),
            )(local)
            shape = union([shape, np.maximum(back - 0.002 * strands, x - 0.004)], 0.02)
        if style == "ponytail":
            tail = [((-0.095, 0.190, 0.0), (-0.150, 0.165, 0.0), 0.020, 0.027),
                    ((-0.150, 0.165, 0.0), (-0.148, 0.020, 0.0), 0.027, 0.012)]  # fmt: skip
            cones = [RoundCone(np.array(a), np.array(b), ra, rb)(local) for a, b, ra, rb in tail]
            shape = union([shape, union(cones, 0.012) - 0.0015 * strands], 0.006)
        if style == "bun":
            knot = Ellipsoid(np.array([-0.118, 0.190, 0.0]), np.array([0.036, 0.036, 0.040]))(local)
            shape = union([shape, knot], 0.012)
        return np.asarray(shape * k)

    def shoe(self, points: Array, side: str) -> Array:
        """Distance to a shoe's upper; straight axes."""
        return np.maximum(self._last(points, side), self._tread(points, side) - points[..., 1])

    def outsole(self, points: Array, side: str) -> Array:
        """Distance to the shoe's sole, a slab a little wider than the upper; straight axes."""
        k = self.body.scale(f"calcn_{side}")
        bottom = self._tread(points, side)
        slab = np.maximum(bottom - points[..., 1], points[..., 1] - (self._sole_y(side) + 0.022 * k))
        return np.maximum(self._outline(points, side, 0.0035 * k), slab)

    def _tread(self, points: Array, side: str) -> Array:
        """Height of the sole's underside: flat, with a round heel edge and a little toe spring."""
        k = self.body.scale(f"calcn_{side}")
        x = (points[..., 0] - self.origins[f"calcn_{side}"][0]) / k
        back = np.clip((HEEL_BEVEL_X_M - x) / HEEL_BEVEL_RADIUS_M, 0.0, 0.99)
        rise = HEEL_BEVEL_RADIUS_M * (1.0 - np.sqrt(1.0 - back**2))
        front = np.clip((x - 0.215) / 0.043, 0.0, 1.0)
        return np.asarray(self._sole_y(side) + k * (rise + 0.010 * front**2))

    def _sole_y(self, side: str) -> float:
        return float(self.point(f"calcn_{side}", (0.0, SOLE_Y_M, 0.0))[1])

    def _foot_width(self, along: Array) -> tuple[Array, Array]:
        """Half breadth of the shoe and medial offset of its middle line, generic metres ahead of the heel's origin."""
        x = np.array([HEEL_X_M, -0.026, -0.012, 0.03, 0.09, 0.15, MTP_X_M + 0.005, 0.215, 0.240, 0.253, TOE_X_M])
        half = np.array([0.002, 0.018, 0.030, 0.034, 0.034, 0.044, 0.048, 0.044, 0.033, 0.017, 0.002])
        middle = np.array([0.0, 0.0, 0.0, 0.0, -0.002, -0.002, 0.0, 0.006, 0.012, 0.014, 0.014])
        return np.asarray(PchipInterpolator(x, half)(along)), np.asarray(PchipInterpolator(x, middle)(along))

    def _outline(self, points: Array, side: str, margin: float) -> Array:
        """Distance to the vertical wall of the shoe's outline, widened by `margin`."""
        sign = 1.0 if side == "r" else -1.0
        k = self.body.scale(f"calcn_{side}")
        local = (points - self.origins[f"calcn_{side}"]) / k
        x = np.clip(local[..., 0], HEEL_X_M, TOE_X_M)
        half, medial = self._foot_width(x)
        across = np.abs(sign * local[..., 2] + medial) - half
        ends = np.maximum(HEEL_X_M - local[..., 0], local[..., 0] - TOE_X_M)
        return np.maximum(across * 0.9, ends) * k - margin

    def _last(self, points: Array, side: str) -> Array:
        """The upper's rounded volume above the outline."""
        sign = 1.0 if side == "r" else -1.0
        k = self.body.scale(f"calcn_{side}")
        local = (points - self.origins[f"calcn_{side}"]) / k
        x = np.clip(local[..., 0], HEEL_X_M, TOE_X_M)
        half, medial = self._foot_width(x)
        height = PchipInterpolator(
            np.array([HEEL_X_M, -0.024, 0.02, 0.075, 0.12, 0.17, 0.22, 0.245, TOE_X_M]),
            np.array([0.030, 0.083, 0.088, 0.086, 0.067, 0.051, 0.044, 0.032, 0.010]),
        )(x)
        middle = sign * local[..., 2] + medial
        up = np.maximum(local[..., 1] - SOLE_Y_M, 0.0)
        half, height = np.maximum(half, 0.003), np.maximum(height, 0.006)
        # superellipse: fuller than an ellipse, so that the shoe has shoulders
        rho = ((np.abs(middle) / half) ** 2.6 + (up / height) ** 2.6) ** (1 / 2.6)
        across = (rho - 1.0) * np.minimum(half, height)
        ends = np.maximum(HEEL_X_M - local[..., 0], local[..., 0] - TOE_X_M)
        return np.asarray(np.maximum(across, ends) * k)
