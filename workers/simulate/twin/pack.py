"""A model description as the flat arrays that the compiled equations read.

A joint becomes a chain of links with one coordinate each, of which the last
carries the body's mass; a link is described from its own joint centre. A welded
body is merged into the body that it is welded to. The planar model is the same
with fewer links.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from farm.axes import GRAVITY_M_S2
from farm.control.reflex import CONTROL_STEP_S
from workers.simulate.checks import check
from workers.simulate.description import (
    ACTIVATION_TIME_S,
    DEACTIVATION_TIME_S,
    JointCoordinate,
    ModelDescription,
)
from workers.simulate.paths import ORDER, exponents

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

PASSIVE_SHAPE = 4.0
"""Exponential shape of the passive force-length curve (De Groote et al. 2016)."""

MIN_NORMALISED_LENGTH = 0.2
"""Fibre length at which OpenSim lets the passive force vanish."""

PATH_ORDERS = (ORDER[1], ORDER[2], ORDER[3])
"""Order of a path's polynomial of one, two, three coordinates as compiled in; lower ones are filled with zeros."""

TRANSLATION, ROTATION = 0, 1
"""Kinds of links. Translations come first, between the ground and the pelvis."""

_SENSE_COORDINATES = (
    "pelvis_tilt", "pelvis_tx", "lumbar_extension",
    "hip_flexion_r", "knee_angle_r", "ankle_angle_r", "hip_flexion_l", "knee_angle_l", "ankle_angle_l",
    "pelvis_list", "lumbar_bending", "pelvis_tz", "hip_adduction_r", "hip_adduction_l",
)  # fmt: skip
_SENSE_MUSCLES = ("rect_fem", "vasti", "gastroc", "soleus")


class TwinModel(NamedTuple):
    """One person, compiled in: L links, Q coordinates, M muscles, C spheres, S stops, P springs, R reflexes.

    Few wide arrays instead of many narrow ones: every array of a tuple costs time at every call that passes it.

    Attributes:
        links: `[L, 6]` parent link (-1 for the ground), coordinate, kind, axis (0, 1, 2 for x, y, z); 1 where the joint
            centre differs from the parent's; 1 where the parent has no mass, and so no other child.
        shapes: `[L, 14]` joint centre from the parent's, parent axes (m); +-1, the sense of the axis; mass (kg; 0 for
            the inner links of a joint); mass centre from the own joint centre (m); inertia about the mass centre,
            xx yy zz xy xz yz (kg m^2).
        paths: `[M, 5]` number of coordinates, the first of its coefficients, up to three coordinates.
        path: `[K]` coefficients of x^i y^j z^k of all muscles, as Horner's scheme reads them: highest powers first.
        muscles: `[10, M]` maximum isometric force (N); optimal fibre length, tendon slack length, constant width of
            the pennated fibre (m); maximum contraction speed (m/s); gain, offset, scale of the passive force
            (exp(gain (l - 1)) - offset) * scale; activation and deactivation time (s).
        spheres: `[C, 2]` link; side, 0 for right, 1 for left.
        sphere_shapes: `[C, 5]` centre from the link's joint centre, radius (m); Hertz constant (N/m^1.5).
        contact: `[5]` dissipation (s/m), static, dynamic, viscous friction, transition velocity (m/s).
        limit_coordinates: `[S]`; limits: `[S, 5]` lower, upper, stiffness, damping, transition, in radians.
        spring_coordinates: `[P]`; springs: `[P, 3]` stiffness, damping, rest.
        reflex_coordinates: `[R, 2]` coordinate, driver.
        reflexes: `[R, 5]` gain, offset, stiffness, damping, maximum torque.
        sense_coordinates: `[14]` tilt, forward, lumbar; hip, knee, ankle of the right and the left leg; then list,
            lumbar bending, sideways, right and left adduction, -1 in the planar model.
        sense_muscles: `[2, 4]` the muscles of a leg that the controller feels, in its order.
        lag_keeps: Share of the old excitation that a control step leaves, rising and falling.
        height: Coordinate of the pelvis' height.
        lumbar_rest: Lumbar angle (rad) at which the trunk counts as straight.
        gravity: m/s^2; weight: body weight (N).
    """

    links: Ints
    shapes: Floats
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
    height: int
    lumbar_rest: float
    gravity: float
    weight: float


class _Rigid(NamedTuple):
    """Mass, mass centre `[3]` from some origin, and inertia `[3, 3]` about the mass centre."""

    mass: float
    center: Floats
    inertia: Floats

    def joined(self, other: _Rigid) -> _Rigid:
        mass = self.mass + other.mass
        center = (self.mass * self.center + other.mass * other.center) / mass
        inertia = np.zeros((3, 3))
        for part in (self, other):
            arm = part.center - center
            inertia += part.inertia + part.mass * (arm @ arm * np.eye(3) - np.outer(arm, arm))
        return _Rigid(mass, center, inertia)


class _Chain:
    """The links of a description, as they are added."""

    def __init__(self, description: ModelDescription) -> None:
        self.links: list[tuple[int, int, int, int, int]] = []
        self.offsets: list[tuple[Floats, float]] = []
        self.rigid: dict[int, _Rigid] = {}
        self.link_of: dict[str, int] = {}
        self.origins: dict[str, Floats] = {}
        names = description.coordinate_names
        for joint in description.joints:
            segment = description.segment(joint)
            origin = np.array(segment.joint_in_body)
            part = _Rigid(segment.mass_kg, np.array(segment.mass_center) - origin, np.diag(segment.inertia))
            parent = self.link_of[segment.parent] if segment.parent else -1
            offset = np.array(segment.joint_in_parent) - (self.origins[segment.parent] if segment.parent else 0.0)
            if not joint.coordinates and parent >= 0:
                self.rigid[parent] = self.rigid[parent].joined(part._replace(center=part.center + offset))
                self.link_of[segment.name], self.origins[segment.name] = parent, origin - offset
                continue
            for coordinate in sorted(joint.coordinates, key=lambda c: c.kind != "translation"):
                parent = self._link(joint.name, coordinate, parent, names.index(coordinate.name), offset)
                offset = np.zeros(3)
            self.rigid[parent] = part
            self.link_of[segment.name], self.origins[segment.name] = parent, origin

    def _link(self, joint: str, coordinate: JointCoordinate, parent: int, index: int, offset: Floats) -> int:
        axis = int(np.argmax(np.abs(coordinate.axis)))
        sense = coordinate.axis[axis]
        kind = TRANSLATION if coordinate.kind == "translation" else ROTATION
        if abs(sense) != 1.0 or np.count_nonzero(coordinate.axis) != 1:
            raise ValueError(
                f"joint {joint!r}: the twin's axes are x, y or z or their opposites; "
                f"{coordinate.name} has {coordinate.axis}"
            )
        if kind == TRANSLATION and parent >= 0 and self.links[parent][2] != TRANSLATION:
            raise ValueError(f"joint {joint!r}: the twin translates only between ground and pelvis ({coordinate.name})")
        self.links.append((parent, index, kind, axis, int(np.any(offset != 0.0))))
        self.offsets.append((offset, sense))
        return len(self.links) - 1

    def table(self) -> Ints:
        rows = [(*link, int(link[0] not in self.rigid)) for link in self.links]
        return np.array(rows)

    def shapes(self) -> Floats:
        rows = []
        for link, (offset, sense) in enumerate(self.offsets):
            part = self.rigid.get(link, _Rigid(0.0, np.zeros(3), np.zeros((3, 3))))
            i = part.inertia
            rows.append((*offset, sense, part.mass, *part.center, i[0, 0], i[1, 1], i[2, 2], i[0, 1], i[0, 2], i[1, 2]))
        return np.array(rows)


def _index(description: ModelDescription, muscle: str) -> int:
    return [item.name for item in description.muscles].index(muscle)


def pack(description: ModelDescription) -> TwinModel:
    """The description as arrays.

    Raises:
        DescriptionError: What cannot be built, every fault with its part.
        ValueError: Naming a joint or muscle that the twin does not know.
    """
    check(description)
    names = description.coordinate_names
    chain = _Chain(description)
    paths, path = _paths(description)
    material = description.material
    half_stiffness = 0.5 * material.stiffness_pa ** (2.0 / 3.0)
    return TwinModel(
        links=chain.table(),
        shapes=chain.shapes(),
        paths=paths,
        path=path,
        muscles=_muscles(description),
        spheres=np.array([(chain.link_of[s.body], 0 if s.body.endswith("_r") else 1) for s in description.spheres]),
        sphere_shapes=np.array(
            [
                (*(np.array(s.center) - chain.origins[s.body]), s.radius_m,
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
        sense_coordinates=np.array([names.index(name) if name in names else -1 for name in _SENSE_COORDINATES]),
        sense_muscles=np.array(
            [[_index(description, f"{group}_{side}") for group in _SENSE_MUSCLES] for side in "rl"]
        ),
        lag_keeps=np.array(description.lag.keeps(CONTROL_STEP_S)),
        height=names.index("pelvis_ty"),
        lumbar_rest=next(s.rest_rad for s in description.springs if s.coordinate == "lumbar_extension"),
        gravity=GRAVITY_M_S2,
        weight=description.anatomy.mass_kg * GRAVITY_M_S2,
    )  # fmt: skip


def _paths(description: ModelDescription) -> tuple[Ints, Floats]:
    names = description.coordinate_names
    rows = np.zeros((len(description.muscles), 5), dtype=np.int64)
    coefficients: list[float] = []
    for index, muscle in enumerate(description.muscles):
        dimension, order = len(muscle.path.coordinates), muscle.path.order
        if not (1 <= dimension <= len(PATH_ORDERS) and order <= PATH_ORDERS[dimension - 1]):
            raise ValueError(
                f"muscle {muscle.name!r}: the twin's paths have one to three coordinates and orders up to "
                f"{PATH_ORDERS}, not {dimension} coordinates and order {order}"
            )
        rows[index, 0], rows[index, 1] = dimension, len(coefficients)
        for axis, name in enumerate(muscle.path.coordinates):
            rows[index, 2 + axis] = names.index(f"{name}_{muscle.side}")
        given = dict(zip(exponents(dimension, order), muscle.path.coefficients, strict=True))
        # Exponents ascend, the last variable's fastest: reversed they are in Horner's order.
        coefficients += [
            given.get(powers, 0.0) for powers in reversed(exponents(dimension, PATH_ORDERS[dimension - 1]))
        ]
    return rows, np.array(coefficients)


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
    return np.ascontiguousarray(np.array(rows).T)
