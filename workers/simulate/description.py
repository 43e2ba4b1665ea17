"""The musculoskeletal model as a plain value: what an engine needs to know, and no engine.

`describe(parameters)` is pure; `workers.simulate.model` builds it in OpenSim, and
another engine can build the same from the same value. Planar for now: a joint
lists the coordinates that move and nothing else, so that a third dimension adds
coordinates, two muscle groups and the feet's lateral spheres, and changes none.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from farm.records import COORDINATES, MUSCLE_GROUPS, GaitParameters
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
    """A joint between two bodies; without coordinates it is a weld."""

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

_RANGES: Mapping[str, tuple[float, float]] = {
    "pelvis_tilt": (-1.57, 1.57), "pelvis_tx": (-100.0, 1000.0), "pelvis_ty": (-1.0, 3.0),
    "hip_flexion": (-0.70, 2.09), "knee_angle": (-2.44, 0.17), "ankle_angle": (-0.87, 0.70),
    "lumbar_extension": (-1.0, 0.5), "arm_flex": (-1.57, 1.57), "elbow_flex": (0.0, 2.6),
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
    ("knee_angle", -140.0, 0.0, 20.0),
    ("ankle_angle", -40.0, 20.0, 20.0),
)
_LIMIT_DAMPING_NM_S_DEG = 0.25

ANKLE_DAMPING_NM_S_RAD = 0.6
"""Passive viscosity of the ankle (0.2-1 N m s/rad, Weiss, Kearney & Hunter 1986). Without it the light foot of a leg in
swing, held by a position reflex that comes 20 ms late, trembles at 7 Hz."""

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
    moment_scale = body.mass_kg / GENERIC_MASS_KG * body.leg_length_m / _GENERIC_BODY.leg_length_m
    return ModelDescription(
        anatomy=body,
        lag=lag,
        joints=_joints(body),
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
        ),
        springs=(
            CoordinateSpring("lumbar_extension", 800.0 * moment_scale * parameters.trunk_stiffness,
                             60.0 * moment_scale, LUMBAR_REST_RAD - parameters.trunk_lean_rad),
            *(CoordinateSpring(f"elbow_flex_{side}", 4.0 * moment_scale, 0.4 * moment_scale, 0.40) for side in "rl"),
            *(CoordinateSpring(f"ankle_angle_{side}", 0.0, ANKLE_DAMPING_NM_S_RAD * moment_scale, 0.0)
              for side in "rl"),
        ),
        reflexes=tuple(
            TorqueReflex(f"arm_flex_{side}", f"hip_flexion_{other}", 0.9 * parameters.arm_swing, -0.08,
                         12.0 * moment_scale, 1.6 * moment_scale, 20.0 * moment_scale)
            for side, other in (("r", "l"), ("l", "r"))
        ),
    )  # fmt: skip


def _joints(body: Anatomy) -> tuple[Joint, ...]:
    def hinge(joint: str, child: str, coordinate: str) -> Joint:
        base = coordinate[:-2] if coordinate[-2:] in ("_r", "_l") else coordinate
        return Joint(joint, child, (JointCoordinate(coordinate, "rotation", _Z, _RANGES[base]),))

    pelvis = Joint(
        "ground_pelvis",
        "pelvis",
        (
            JointCoordinate("pelvis_tilt", "rotation", _Z, _RANGES["pelvis_tilt"]),
            JointCoordinate("pelvis_tx", "translation", _X, _RANGES["pelvis_tx"]),
            JointCoordinate("pelvis_ty", "translation", _Y, _RANGES["pelvis_ty"]),
        ),
    )
    legs = [
        joint
        for side in "rl"
        for joint in (
            hinge(f"hip_{side}", f"femur_{side}", f"hip_flexion_{side}"),
            hinge(f"knee_{side}", f"tibia_{side}", f"knee_angle_{side}"),
            hinge(f"ankle_{side}", f"calcn_{side}", f"ankle_angle_{side}"),
        )
    ]
    arms = [
        joint
        for side in "rl"
        for joint in (
            hinge(f"shoulder_{side}", f"humerus_{side}", f"arm_flex_{side}"),
            hinge(f"elbow_{side}", f"radius_{side}", f"elbow_flex_{side}"),
        )
    ]
    joints = (pelvis, *legs, hinge("back", "torso", "lumbar_extension"), Joint("neck", "head", ()), *arms)
    if tuple(c.name for joint in joints for c in joint.coordinates) != COORDINATES:
        raise ValueError("the model's coordinates and farm.records.COORDINATES differ; keep them in one order")
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
    muscles = []
    for side_index, side in enumerate("rl"):
        paths = fit_paths(body, side)
        for index, group in enumerate(MUSCLE_GROUPS):
            spec = MUSCLE_SPECS[group]
            i = side_index * len(MUSCLE_GROUPS) + index
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
