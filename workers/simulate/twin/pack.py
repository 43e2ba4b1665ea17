"""A model description as the flat arrays that the compiled equations read.

Planar: only x, y and rotation about z. Each body is described from the joint
that carries it, and a welded body is merged into the body that it is welded to.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from farm.axes import GRAVITY_M_S2
from farm.control.reflex import CONTROL_STEP_S
from workers.simulate.description import ACTIVATION_TIME_S, DEACTIVATION_TIME_S, ModelDescription
from workers.simulate.paths import exponents

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

PASSIVE_SHAPE = 4.0
"""Exponential shape of the passive force-length curve (De Groote et al. 2016)."""

MIN_NORMALISED_LENGTH = 0.2
"""Fibre length at which OpenSim lets the passive force vanish."""

_SENSE_COORDINATES = (
    "pelvis_tilt", "pelvis_tx", "lumbar_extension",
    "hip_flexion_r", "knee_angle_r", "ankle_angle_r", "hip_flexion_l", "knee_angle_l", "ankle_angle_l",
)  # fmt: skip
_SENSE_MUSCLES = ("rect_fem", "vasti", "gastroc", "soleus")


class TwinModel(NamedTuple):
    """One person, compiled in: B moving bodies, Q coordinates, M muscles, C spheres, L limits, S springs, R reflexes.

    Few wide arrays instead of many narrow ones: every array of a tuple costs time at every call that passes it.

    Attributes:
        links: `[B, 2]` carrying body (-1 for the pelvis, body 0, whose coordinates are 0, 1, 2), hinge's coordinate.
        bodies: `[B, 6]` joint centre x, y from the parent's joint centre, parent axes (m); mass (kg); inertia about
            the mass centre (kg m^2); mass centre x, y from the own joint centre (m).
        paths: `[M, 4]` number of coordinates, order of the polynomial, first and second coordinate.
        path: `[M, 7, 7]` coefficient of x^i y^j.
        muscles: `[M, 10]` maximum isometric force (N); optimal fibre length, tendon slack length, constant width of
            the pennated fibre (m); maximum contraction speed (m/s); gain, offset, scale of the passive force
            (exp(gain (l - 1)) - offset) * scale; activation and deactivation time (s).
        spheres: `[C, 2]` body; side, 0 for right, 1 for left.
        sphere_shapes: `[C, 4]` centre x, y from the body's joint centre, radius (m); Hertz constant (N/m^1.5).
        contact: `[5]` dissipation (s/m), static, dynamic, viscous friction, transition velocity (m/s).
        limit_coordinates: `[L]`; limits: `[L, 5]` lower, upper, stiffness, damping, transition, in radians.
        spring_coordinates: `[S]`; springs: `[S, 3]` stiffness, damping, rest.
        reflex_coordinates: `[R, 2]` coordinate, driver.
        reflexes: `[R, 5]` gain, offset, stiffness, damping, maximum torque.
        sense_coordinates: `[9]` tilt, forward, lumbar, then hip, knee, ankle of the right and the left leg.
        sense_muscles: `[2, 4]` the muscles of a leg that the controller feels, in its order.
        lag_keeps: Share of the old excitation that a control step leaves, rising and falling.
        lumbar_rest: Lumbar angle (rad) at which the trunk counts as straight.
        gravity: m/s^2; weight: body weight (N).
    """

    links: Ints
    bodies: Floats
    paths: Ints
    path: Floats
    muscles: Floats
    spheres: Ints
    sphere_shapes: Floats
    contact: Floats
    limit_coordinates: Ints
    limits: Floats
    spring_coordinates: Ints
    springs: Floats
    reflex_coordinates: Ints
    reflexes: Floats
    sense_coordinates: Ints
    sense_muscles: Ints
    lag_keeps: Floats
    lumbar_rest: float
    gravity: float
    weight: float


class _Rigid(NamedTuple):
    """Mass, mass centre from some origin, and inertia about the mass centre."""

    mass: float
    center: Floats
    inertia: float

    def joined(self, other: _Rigid) -> _Rigid:
        mass = self.mass + other.mass
        center = (self.mass * self.center + other.mass * other.center) / mass
        inertia = sum(
            part.inertia + part.mass * float((part.center - center) @ (part.center - center)) for part in (self, other)
        )
        return _Rigid(mass, center, inertia)


def _index(description: ModelDescription, muscle: str) -> int:
    return [item.name for item in description.muscles].index(muscle)


def _plane(vector: tuple[float, float, float]) -> Floats:
    return np.array(vector[:2])


def pack(description: ModelDescription) -> TwinModel:
    """The description as arrays.

    Raises:
        ValueError: Naming a joint or muscle that the planar twin does not know.
    """
    names = description.coordinate_names
    bodies: dict[str, int] = {}
    origins: dict[str, Floats] = {}
    rigid: list[_Rigid] = []
    links: list[tuple[int, int]] = []
    offsets: list[Floats] = []
    for joint in description.joints:
        segment = description.segment(joint)
        origin = _plane(segment.joint_in_body)
        part = _Rigid(segment.mass_kg, _plane(segment.mass_center) - origin, segment.inertia[2])
        offset = _plane(segment.joint_in_parent) - (origins[segment.parent] if segment.parent else 0.0)
        kinds = [(coordinate.kind, coordinate.axis) for coordinate in joint.coordinates]
        if not kinds and segment.parent:
            carrier = bodies[segment.parent]
            rigid[carrier] = rigid[carrier].joined(part._replace(center=part.center + offset))
            bodies[segment.name] = carrier
            origins[segment.name] = origin - offset
            continue
        root = not rigid and [kind for kind, _ in kinds] == ["rotation", "translation", "translation"]
        if not (root or [kind for kind, _ in kinds] == ["rotation"]) or kinds[0][1] != (0.0, 0.0, 1.0):
            raise ValueError(
                f"joint {joint.name!r}: the planar twin knows a free pelvis, hinges about z and welds, not {kinds}"
            )
        bodies[segment.name] = len(rigid)
        origins[segment.name] = origin
        rigid.append(part)
        links.append((bodies[segment.parent] if segment.parent else -1, names.index(joint.coordinates[0].name)))
        offsets.append(offset)
    paths, path = _paths(description)
    material = description.material
    half_stiffness = 0.5 * material.stiffness_pa ** (2.0 / 3.0)
    return TwinModel(
        links=np.array(links),
        bodies=np.array(
            [(*offset, part.mass, part.inertia, *part.center) for offset, part in zip(offsets, rigid, strict=True)]
        ),
        paths=paths,
        path=path,
        muscles=_muscles(description),
        spheres=np.array([(bodies[s.body], 0 if s.body.endswith("_r") else 1) for s in description.spheres]),
        sphere_shapes=np.array(
            [
                (*(_plane(s.center) - origins[s.body]), s.radius_m,
                 4.0 / 3.0 * half_stiffness * math.sqrt(s.radius_m * half_stiffness))
                for s in description.spheres
            ]
        ),
        contact=np.array(
            [material.dissipation_s_m, material.static_friction, material.dynamic_friction,
             material.viscous_friction_s_m, material.transition_velocity_m_s]
        ),
        limit_coordinates=np.array([names.index(limit.coordinate) for limit in description.limits]),
        limits=np.array(
            [
                (math.radians(limit.lower_deg), math.radians(limit.upper_deg), math.degrees(limit.stiffness_nm_deg),
                 math.degrees(limit.damping_nm_s_deg), math.radians(limit.transition_deg))
                for limit in description.limits
            ]
        ),
        spring_coordinates=np.array([names.index(spring.coordinate) for spring in description.springs]),
        springs=np.array([(s.stiffness_nm_rad, s.damping_nm_s_rad, s.rest_rad) for s in description.springs]),
        reflex_coordinates=np.array([(names.index(r.coordinate), names.index(r.driver)) for r in description.reflexes]),
        reflexes=np.array(
            [(r.gain, r.offset_rad, r.stiffness_nm_rad, r.damping_nm_s_rad, r.max_torque_nm)
             for r in description.reflexes]
        ),
        sense_coordinates=np.array([names.index(name) for name in _SENSE_COORDINATES]),
        sense_muscles=np.array(
            [[_index(description, f"{group}_{side}") for group in _SENSE_MUSCLES] for side in "rl"]
        ),
        lag_keeps=np.array(description.lag.keeps(CONTROL_STEP_S)),
        lumbar_rest=next(s.rest_rad for s in description.springs if s.coordinate == "lumbar_extension"),
        gravity=GRAVITY_M_S2,
        weight=description.anatomy.mass_kg * GRAVITY_M_S2,
    )  # fmt: skip


def _paths(description: ModelDescription) -> tuple[Ints, Floats]:
    names = description.coordinate_names
    size = 1 + max(muscle.path.order for muscle in description.muscles)
    rows = np.zeros((len(description.muscles), 4), dtype=np.int64)
    path = np.zeros((len(description.muscles), size, size))
    for index, muscle in enumerate(description.muscles):
        dimension = len(muscle.path.coordinates)
        if dimension > 2:
            raise ValueError(f"muscle {muscle.name!r}: the twin's paths have one or two coordinates, not {dimension}")
        rows[index, :2] = dimension, muscle.path.order
        for axis, name in enumerate(muscle.path.coordinates):
            rows[index, 2 + axis] = names.index(f"{name}_{muscle.side}")
        powers = exponents(dimension, muscle.path.order)
        for power, coefficient in zip(powers, muscle.path.coefficients, strict=True):
            path[(index, *power) if dimension == 2 else (index, power[0], 0)] = coefficient
    return rows, path


def _muscles(description: ModelDescription) -> Floats:
    rows = []
    for muscle in description.muscles:
        gain = PASSIVE_SHAPE / muscle.passive_strain
        offset = math.exp(gain * (MIN_NORMALISED_LENGTH - 1.0))
        rows.append(
            (
                muscle.max_isometric_force_n,
                muscle.optimal_fiber_length_m,
                muscle.tendon_slack_length_m,
                muscle.optimal_fiber_length_m * math.sin(muscle.pennation_rad),
                muscle.optimal_fiber_length_m * muscle.max_contraction_velocity,
                gain,
                offset,
                1.0 / (math.exp(PASSIVE_SHAPE) - offset),
                ACTIVATION_TIME_S,
                DEACTIVATION_TIME_S,
            )
        )
    return np.array(rows)
