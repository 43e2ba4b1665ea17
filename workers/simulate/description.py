"""The musculoskeletal model as a plain value: what an engine needs to know, and no engine.

`describe(parameters)` is pure; `workers.simulate.model` builds it in OpenSim and
`workers.simulate.twin` compiles it. A joint lists the coordinates that move and
nothing else: the planar body has fewer coordinates than the one in three
dimensions, never locked ones.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from farm.records import BodyPlan, GaitParameters
from farm.sampling.anatomy import GENERIC_MASS_KG, GENERIC_STATURE_M, Anatomy, ScaledSegment, Vec3, anatomy
from workers.simulate.musculature import MAX_CONTRACTION_VELOCITY, MUSCLE_SPECS, WORKING_STRAIN
from workers.simulate.paths import PathPolynomial, fit_paths, path_length


@dataclass(frozen=True)
class JointCoordinate:
    """One degree of freedom of a joint: a rotation about, or a translation along, an axis of the parent."""

    name: str
    kind: str
    axis: Vec3
    range_rad_or_m: tuple[float, float]


@dataclass(frozen=True)
class Joint:
    """A joint between two bodies; without coordinates it is a weld.

    Translations act first, along the axes of the parent; rotations follow in the listed order, each about its axis
    as the rotations before have turned it (OpenSim's body-fixed sequence).
    """

    name: str
    body: str
    coordinates: tuple[JointCoordinate, ...]


@dataclass(frozen=True)
class Muscle:
    """DeGroote-Fregly (2016) muscle with a rigid tendon, on a polynomial path."""

    name: str
    max_isometric_force_n: float
    optimal_fiber_length_m: float
    tendon_slack_length_m: float
    pennation_rad: float
    passive_strain: float
    max_contraction_velocity: float
    side: str
    path: PathPolynomial


@dataclass(frozen=True)
class ContactSphere:
    """A sphere of the foot that meets the floor."""

    name: str
    body: str
    center: Vec3
    radius_m: float


@dataclass(frozen=True)
class ContactMaterial:
    """Hunt-Crossley contact, smoothed (Serrancoli et al. 2019, OpenSim's SmoothSphereHalfSpaceForce).

    Friction and its transition velocity as in Falisse et al. 2019. Stiffer than theirs, which has twice as many
    spheres: a heel sinks in by some 20 mm at its hardest, as heel pad and sole do together. The friction's slope,
    force over transition velocity, on a 1.6 kg foot is what limits the integration step (docs/physics.md).
    """

    stiffness_pa: float = 2.5e6
    dissipation_s_m: float = 1.0
    static_friction: float = 0.8
    dynamic_friction: float = 0.8
    viscous_friction_s_m: float = 0.0
    transition_velocity_m_s: float = 0.2


@dataclass(frozen=True)
class CoordinateLimit:
    """Passive stop of ligaments and capsule at the end of a joint's range (degrees, as OpenSim takes them)."""

    coordinate: str
    lower_deg: float
    upper_deg: float
    stiffness_nm_deg: float
    damping_nm_s_deg: float
    transition_deg: float = 10.0


@dataclass(frozen=True)
class CoordinateSpring:
    """A passive spring and damper about one coordinate."""

    coordinate: str
    stiffness_nm_rad: float
    damping_nm_s_rad: float
    rest_rad: float


@dataclass(frozen=True)
class TorqueReflex:
    """A shoulder that swings with the opposite hip: torque = stiffness (target - angle) - damping rate.

    target = offset + gain * (flexion of the opposite hip). Humans swing their arms
    with little muscle effort, passively excited and actively shaped (Collins,
    Adamczyk & Kuo 2009); the torques here stay below a few newton metres.
    """

    coordinate: str
    driver: str
    gain: float
    offset_rad: float
    stiffness_nm_rad: float
    damping_nm_s_rad: float
    max_torque_nm: float


@dataclass(frozen=True)
class ExcitationLag:
    """First-order lag of excitation before the muscle: what a person's muscles are slower than the young adult's.

    OpenSim 4.6 keeps the time constants of its first DeGroote-Fregly muscle for every muscle that the process
    makes later (function-local statics), so that they must be one value for everybody; what a person has beyond it
    acts here. Rising and falling excitation have a time constant each.
    """

    rise_s: float
    fall_s: float

    def keeps(self, step_s: float) -> tuple[float, float]:
        """Share of the old excitation that is left after `step_s`, rising and falling."""
        return tuple(math.exp(-step_s / lag) if lag > 0.0 else 0.0 for lag in (self.rise_s, self.fall_s))  # type: ignore[return-value]


ACTIVATION_TIME_S, DEACTIVATION_TIME_S = 0.010, 0.040
"""Of the public model; the same for every muscle of every person, see `ExcitationLag`."""


@dataclass(frozen=True)
class ModelDescription:
    """Everything that an engine builds. Bodies are in `anatomy`, parents before children."""

    anatomy: Anatomy
    joints: tuple[Joint, ...]
    muscles: tuple[Muscle, ...]
    spheres: tuple[ContactSphere, ...]
    material: ContactMaterial
    limits: tuple[CoordinateLimit, ...]
    springs: tuple[CoordinateSpring, ...]
    reflexes: tuple[TorqueReflex, ...]
    lag: ExcitationLag

    @property
    def coordinate_names(self) -> tuple[str, ...]:
        return tuple(coordinate.name for joint in self.joints for coordinate in joint.coordinates)

    def segment(self, joint: Joint) -> ScaledSegment:
        return self.anatomy.segments[joint.body]


_Z: Vec3 = (0.0, 0.0, 1.0)
_X: Vec3 = (1.0, 0.0, 0.0)
_Y: Vec3 = (0.0, 1.0, 0.0)
_MINUS_X: Vec3 = (-1.0, 0.0, 0.0)
_MINUS_Y: Vec3 = (0.0, -1.0, 0.0)

_TRANSLATIONS = frozenset({"pelvis_tx", "pelvis_ty", "pelvis_tz"})

_RANGES: Mapping[str, tuple[float, float]] = {
    "pelvis_tilt": (-1.57, 1.57), "pelvis_list": (-1.57, 1.57), "pelvis_rotation": (-3.14, 3.14),
    "pelvis_tx": (-100.0, 1000.0), "pelvis_ty": (-1.0, 3.0), "pelvis_tz": (-100.0, 100.0),
    "hip_flexion": (-0.70, 2.09), "hip_adduction": (-0.87, 0.52), "hip_rotation": (-0.87, 0.87),
    "knee_angle": (-2.44, 0.17), "ankle_angle": (-0.87, 0.70),
    "lumbar_extension": (-1.0, 0.5), "lumbar_bending": (-0.7, 0.7), "lumbar_rotation": (-0.9, 0.9),
    "arm_flex": (-1.57, 1.57), "elbow_flex": (0.0, 2.6),
}  # fmt: skip

# The public model's contact spheres (mm-exact) with toes carried by the foot.
_SPHERES: tuple[tuple[str, Vec3, float], ...] = (
    ("heel", (0.03, 0.02, 0.0), 0.05),
    ("toe_medial", (0.1988, -0.007, -0.026), 0.025),
    ("toe_lateral", (0.1988, -0.007, 0.026), 0.025),
)

_LIMITS: tuple[tuple[str, float, float, float], ...] = (
    # coordinate, lower, upper (deg), stiffness (N m/deg) of the public model
    ("hip_flexion", -30.0, 120.0, 20.0),
    ("hip_adduction", -40.0, 25.0, 20.0),
    ("hip_rotation", -40.0, 40.0, 20.0),
    ("knee_angle", -140.0, 0.0, 20.0),
    ("ankle_angle", -40.0, 20.0, 20.0),
)
_LIMIT_DAMPING_NM_S_DEG = 0.25

ANKLE_DAMPING_NM_S_RAD = 0.6
"""Passive viscosity of the ankle (0.2-1 N m s/rad, Weiss, Kearney & Hunter 1986). Without it the light foot of a leg in
swing, held by a position reflex that comes 20 ms late, trembles at 7 Hz."""

HIP_ROTATION_STIFFNESS_NM_RAD, HIP_ROTATION_DAMPING_NM_S_RAD = 120.0, 6.0
"""Capsule and small rotators together, which no muscle group of ours stands for: with it a loaded foot keeps its
direction while the pelvis turns over it. A design choice, some times the passive hip alone."""

LUMBAR_REST_RAD = -0.08727
"""Lumbar posture in which the public model is welded: 5 degrees of flexion."""


def describe(parameters: GaitParameters) -> ModelDescription:
    """The musculoskeletal model of one person.

    Raises:
        PathFitError: A muscle path that no polynomial describes, named.
        ValueError: A time constant below that of the young adult.
    """
    body = anatomy(parameters)
    lag = ExcitationLag(
        parameters.activation_time_s - ACTIVATION_TIME_S, parameters.deactivation_time_s - DEACTIVATION_TIME_S
    )
    if min(lag.rise_s, lag.fall_s) < -1e-9:
        raise ValueError(
            f"activation_time_s {parameters.activation_time_s!r} and deactivation_time_s "
            f"{parameters.deactivation_time_s!r} must be at least {ACTIVATION_TIME_S} and {DEACTIVATION_TIME_S}"
        )
    plan = parameters.plan
    moment_scale = body.mass_kg / GENERIC_MASS_KG * body.leg_length_m / _GENERIC_BODY.leg_length_m
    return ModelDescription(
        anatomy=body,
        lag=lag,
        joints=_joints(body, plan),
        muscles=_muscles(parameters, body),
        spheres=tuple(
            ContactSphere(f"{name}_{side}", f"calcn_{side}", tuple(body.point(f"calcn_{side}", (x, y, sign * z))),
                          radius * body.scale(f"calcn_{side}"))
            for side, sign in (("r", 1.0), ("l", -1.0))
            for name, (x, y, z), radius in _SPHERES
        ),
        # Force grows with modulus times area: softer for the light and small, so that feet sink in equally far.
        material=ContactMaterial(stiffness_pa=2.5e6 * body.mass_kg / GENERIC_MASS_KG / body.scale("calcn_r") ** 2),
        limits=tuple(
            CoordinateLimit(f"{name}_{side}", low, high, k * moment_scale, _LIMIT_DAMPING_NM_S_DEG * moment_scale)
            for side in "rl"
            for name, low, high, k in _LIMITS
            if f"{name}_{side}" in plan.coordinates
        ),
        springs=_springs(parameters, moment_scale),
        reflexes=tuple(
            TorqueReflex(f"arm_flex_{side}", f"hip_flexion_{other}", 0.9 * parameters.arm_swing, -0.08,
                         12.0 * moment_scale, 1.6 * moment_scale, 20.0 * moment_scale)
            for side, other in (("r", "l"), ("l", "r"))
        ),
    )  # fmt: skip


def _springs(parameters: GaitParameters, scale: float) -> tuple[CoordinateSpring, ...]:
    """Passive tissue about the coordinates that the body plan has; `scale` is this person's moments to the generic."""
    trunk = scale * parameters.trunk_stiffness
    lean = LUMBAR_REST_RAD - parameters.trunk_lean_rad
    springs = [
        # coordinate, stiffness, damping, rest
        ("lumbar_extension", 800.0 * trunk, 60.0 * scale, lean),
        ("lumbar_bending", 800.0 * trunk, 60.0 * scale, 0.0),
        ("lumbar_rotation", 400.0 * trunk, 30.0 * scale, 0.0),
        *((f"elbow_flex_{side}", 4.0 * scale, 0.4 * scale, 0.40) for side in "rl"),
        *((f"ankle_angle_{side}", 0.0, ANKLE_DAMPING_NM_S_RAD * scale, 0.0) for side in "rl"),
        *(
            (f"hip_rotation_{side}", HIP_ROTATION_STIFFNESS_NM_RAD * scale, HIP_ROTATION_DAMPING_NM_S_RAD * scale, 0.0)
            for side in "rl"
        ),
    ]
    return tuple(CoordinateSpring(*spring) for spring in springs if spring[0] in parameters.plan.coordinates)


def _joints(body: Anatomy, plan: BodyPlan) -> tuple[Joint, ...]:
    def joint(name: str, child: str, axes: Mapping[str, Vec3]) -> Joint:
        side = child[-2:] if child[-2:] in ("_r", "_l") else ""
        return Joint(
            name,
            child,
            tuple(
                JointCoordinate(f"{base}{side}", "translation" if base in _TRANSLATIONS else "rotation", axis,
                                _RANGES[base])
                for base, axis in axes.items()
                if f"{base}{side}" in plan.coordinates
            ),
        )  # fmt: skip

    pelvis = joint(
        "ground_pelvis", "pelvis",
        {"pelvis_tilt": _Z, "pelvis_list": _X, "pelvis_rotation": _Y,
         "pelvis_tx": _X, "pelvis_ty": _Y, "pelvis_tz": _Z},
    )  # fmt: skip
    legs, arms = [], []
    for side, inwards, inwards_turn in (("r", _X, _Y), ("l", _MINUS_X, _MINUS_Y)):
        hip = {"hip_flexion": _Z, "hip_adduction": inwards, "hip_rotation": inwards_turn}
        legs += [
            joint(f"hip_{side}", f"femur_{side}", hip),
            joint(f"knee_{side}", f"tibia_{side}", {"knee_angle": _Z}),
            joint(f"ankle_{side}", f"calcn_{side}", {"ankle_angle": _Z}),
        ]
        arms += [
            joint(f"shoulder_{side}", f"humerus_{side}", {"arm_flex": _Z}),
            joint(f"elbow_{side}", f"radius_{side}", {"elbow_flex": _Z}),
        ]
    back = joint("back", "torso", {"lumbar_extension": _Z, "lumbar_bending": _X, "lumbar_rotation": _Y})
    joints = (pelvis, *legs, back, Joint("neck", "head", ()), *arms)
    if tuple(c.name for joint in joints for c in joint.coordinates) != plan.coordinates:
        raise ValueError("the model's coordinates and the body plan's (farm.records) differ; keep them in one order")
    if {joint.body for joint in joints} != set(body.segments):
        raise ValueError("every body of farm.sampling.anatomy needs exactly one joint")
    return joints


_GENERIC_BODY = anatomy(GaitParameters(stature_m=GENERIC_STATURE_M, mass_kg=GENERIC_MASS_KG))


def _muscles(parameters: GaitParameters, body: Anatomy) -> tuple[Muscle, ...]:
    """Muscles scaled to the person.

    Strength grows with body mass: muscle volume is proportional to mass times
    stature (Handsfield et al. 2014), and force is volume over fibre length.
    Fibre and tendon keep their share of the path's length in the upright pose,
    so that scaled bodies work at the same normalised fibre lengths.
    """
    mass_ratio = body.mass_kg / GENERIC_MASS_KG
    upright = {"hip_flexion": np.zeros(())}
    groups = parameters.plan.muscle_groups
    muscles = []
    for side_index, side in enumerate("rl"):
        paths = fit_paths(body, side, parameters.plan)
        for index, group in enumerate(groups):
            spec = MUSCLE_SPECS[group]
            i = side_index * len(groups) + index
            stretch = float(path_length(spec, body, side, upright) / path_length(spec, _GENERIC_BODY, side, upright))
            muscles.append(
                Muscle(
                    name=f"{group}_{side}",
                    max_isometric_force_n=spec.max_isometric_force_n * mass_ratio * float(parameters.strength[i]),
                    optimal_fiber_length_m=spec.optimal_fiber_length_m * stretch * float(parameters.fiber_length[i]),
                    tendon_slack_length_m=spec.tendon_slack_length_m
                    * (1.0 + WORKING_STRAIN * spec.tendon_strain)
                    * stretch
                    * float(parameters.tendon_length[i]),
                    pennation_rad=spec.pennation_rad,
                    passive_strain=spec.passive_strain,
                    max_contraction_velocity=MAX_CONTRACTION_VELOCITY,
                    side=side,
                    path=paths[group],
                )
            )
    return tuple(muscles)
