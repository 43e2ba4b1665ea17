"""The model's description, built through OpenSim's API.

No XML is edited and no coordinate is locked: a locked coordinate is a
constraint, and constraints cost 40% of every evaluation of the public model.
The result can be written as an `.osim` file that any OpenSim user opens.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from farm.axes import GRAVITY_M_S2
from farm.records import GaitParameters
from farm.sampling.anatomy import Vec3
from workers.simulate.checks import check
from workers.simulate.description import (
    ACTIVATION_TIME_S,
    DEACTIVATION_TIME_S,
    Joint,
    ModelDescription,
    Muscle,
    describe,
)
from workers.simulate.opensim_library import osim

CREDITS = (
    "Built by gaitfarm from the tables of gait14dof22musc (A. Seth, D.G. Thelen, F.C. Anderson, S.L. Delp; adjusted "
    "by C. Ong), licence CC BY 3.0; trunk, head and arms after Rajagopal et al. 2016 and de Leva 1996. Knees are "
    "hinges; muscle paths are polynomials fitted to the scaled geometry."
)


_X, _Y, _Z = (1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)


def opensim_model(parameters: GaitParameters) -> osim.Model:
    """One person's OpenSim model, connected and finalised, without a controller.

    Raises:
        PathFitError: A muscle path that no polynomial describes, named.
    """
    return build(describe(parameters), name=f"gaitfarm_{parameters.sample_id}")


def build(description: ModelDescription, *, name: str = "gaitfarm") -> osim.Model:
    """Build a description; actuators are ordered muscles first, then torque reflexes.

    Raises:
        DescriptionError: What cannot be built, every fault with its part.
    """
    check(description)
    osim.Logger.setLevelString("off")  # it would print at every integrate
    model = osim.Model()
    model.setName(name)
    model.set_credits(CREDITS)
    model.setGravity(osim.Vec3(0.0, -GRAVITY_M_S2, 0.0))
    _add_bodies(model, description)
    _add_muscles(model, description)
    _add_passive(model, description)
    _add_reflex_actuators(model, description)
    _add_contact(model, description)
    model.finalizeConnections()
    return model


def coordinate_order(model: osim.Model, names: tuple[str, ...]) -> NDArray[np.intp]:
    """Where each named coordinate stands in the state's Q (and U): `[Q]` indices.

    Simbody numbers coordinates by the level of their body in the tree, not by
    the model's order. Found by marking each coordinate in a scratch state.
    """
    state = osim.State(model.getWorkingState())
    coordinates = model.getCoordinateSet()
    for i, name in enumerate(names):
        coordinates.get(name).setValue(state, 1e-3 * (i + 1), False)
    marks = state.getQ().to_numpy()
    return np.array([int(np.argmin(np.abs(marks - 1e-3 * (i + 1)))) for i in range(len(names))])


def _add_bodies(model: osim.Model, description: ModelDescription) -> None:
    built: dict[str, osim.PhysicalFrame] = {}
    for joint in description.joints:
        segment = description.segment(joint)
        body = osim.Body(
            segment.name, segment.mass_kg, osim.Vec3(*segment.mass_center), osim.Inertia(*segment.inertia, 0, 0, 0)
        )
        _draw(body, segment.name, segment.scale)
        model.addBody(body)
        parent = built[segment.parent] if segment.parent else model.getGround()
        model.addJoint(_joint(joint, parent, body, segment.joint_in_parent, segment.joint_in_body))
        built[segment.name] = body


_TURN_ZXY = osim.Vec3(-math.pi / 2, 0.0, -math.pi / 2)
"""Turns a joint's frames so that their x, y, z are the body's z, x, y: a GimbalJoint's body-fixed x-y-z sequence is
then flexion about z, adduction or list about x, rotation about y, at half the cost of a CustomJoint."""


def _joint(joint: Joint, parent: osim.PhysicalFrame, body: osim.Body, at_parent: Vec3, at_body: Vec3) -> osim.Joint:
    """The OpenSim joint whose speeds are its coordinates' derivatives; FreeJoint and BallJoint are not of that kind."""
    kinds = tuple(coordinate.kind for coordinate in joint.coordinates)
    axes = tuple(tuple(abs(part) for part in coordinate.axis) for coordinate in joint.coordinates)
    signs = [sum(coordinate.axis) for coordinate in joint.coordinates]
    at = (osim.Vec3(*at_parent), osim.Vec3(*at_body))

    def frames(turn: osim.Vec3) -> tuple[osim.PhysicalFrame | osim.Vec3, ...]:
        return parent, at[0], turn, body, at[1], turn

    if not joint.coordinates:
        return osim.WeldJoint(joint.name, *frames(osim.Vec3(0)))
    if kinds == ("rotation",) and axes == (_Z,) and signs == [1.0]:
        built: osim.Joint = osim.PinJoint(joint.name, *frames(osim.Vec3(0)))
        updates = [built.updCoordinate()]
    elif kinds == ("rotation",) * 3 and axes == (_Z, _X, _Y) and signs[0] == 1.0 and signs[1] == signs[2]:
        # A left hip's adduction and internal rotation turn about -x and -y.
        turn = _TURN_ZXY if signs[1] > 0.0 else osim.Vec3(math.pi / 2, 0.0, math.pi / 2)
        built = osim.GimbalJoint(joint.name, *frames(turn))
        updates = [built.updCoordinate(i) for i in range(3)]
    elif kinds == ("rotation", "translation", "translation") and axes == (_Z, _X, _Y) and signs == [1.0] * 3:
        built = osim.PlanarJoint(joint.name, *frames(osim.Vec3(0)))
        updates = [built.updCoordinate(i) for i in range(3)]
    elif kinds == ("rotation",) * 3 + ("translation",) * 3:
        built = osim.CustomJoint(joint.name, *frames(osim.Vec3(0)), _six_coordinates(joint))
        built.finalizeFromProperties()  # makes the coordinates
        updates = [built.updCoordinate(i) for i in range(6)]
    else:
        described = ", ".join(f"{c.kind} about or along {c.axis}" for c in joint.coordinates)
        raise ValueError(f"joint {joint.name!r}: no OpenSim joint for {described}")
    for coordinate, spec in zip(updates, joint.coordinates, strict=True):
        coordinate.setName(spec.name)
        coordinate.setRangeMin(spec.range_rad_or_m[0])
        coordinate.setRangeMax(spec.range_rad_or_m[1])
    return built


def _six_coordinates(joint: Joint) -> osim.SpatialTransform:
    """Three rotations, then three translations, each its own coordinate's value."""
    transform = osim.SpatialTransform()
    parts = [
        getattr(transform, f"upd_{kind}{number}")() for kind in ("rotation", "translation") for number in (1, 2, 3)
    ]
    for part, coordinate in zip(parts, joint.coordinates, strict=True):
        names = osim.ArrayStr()
        names.append(coordinate.name)
        part.setCoordinateNames(names)
        part.setAxis(osim.Vec3(*coordinate.axis))
        # `setFunction` would give the function to C++ and to Python at once: a double free.
        part.set_function(osim.LinearFunction(1.0, 0.0))
    return transform


def _add_muscles(model: osim.Model, description: ModelDescription) -> None:
    joint_of = {c.name: joint.name for joint in description.joints for c in joint.coordinates}
    for spec in description.muscles:
        muscle = osim.DeGrooteFregly2016Muscle()
        muscle.setName(spec.name)
        muscle.set_max_isometric_force(spec.max_isometric_force_n)
        muscle.set_optimal_fiber_length(spec.optimal_fiber_length_m)
        muscle.set_tendon_slack_length(spec.tendon_slack_length_m)
        muscle.set_pennation_angle_at_optimal(spec.pennation_rad)
        muscle.set_max_contraction_velocity(spec.max_contraction_velocity)
        muscle.set_passive_fiber_strain_at_one_norm_force(spec.passive_strain)
        muscle.set_activation_time_constant(ACTIVATION_TIME_S)
        muscle.set_deactivation_time_constant(DEACTIVATION_TIME_S)
        muscle.set_ignore_tendon_compliance(True)
        muscle.set_path(_path(spec, joint_of))
        model.addForce(muscle)


def _path(spec: Muscle, joint_of: dict[str, str]) -> osim.FunctionBasedPath:
    coefficients = osim.Vector(len(spec.path.coefficients), 0.0)
    for i, value in enumerate(spec.path.coefficients):
        coefficients.set(i, value)
    path = osim.FunctionBasedPath()
    path.setName("path")
    path.setLengthFunction(
        osim.MultivariatePolynomialFunction(coefficients, len(spec.path.coordinates), spec.path.order)
    )
    names = osim.StdVectorString()
    for coordinate in spec.path.coordinates:
        full = f"{coordinate}_{spec.side}"
        names.append(f"/jointset/{joint_of[full]}/{full}")
    path.setCoordinatePaths(names)
    return path


def _add_passive(model: osim.Model, description: ModelDescription) -> None:
    for limit in description.limits:
        force = osim.CoordinateLimitForce(
            limit.coordinate, limit.upper_deg, limit.stiffness_nm_deg, limit.lower_deg, limit.stiffness_nm_deg,
            limit.damping_nm_s_deg, limit.transition_deg, False,
        )  # fmt: skip
        force.setName(f"{limit.coordinate}_limit")
        model.addForce(force)
    for spring in description.springs:
        passive = osim.SpringGeneralizedForce(spring.coordinate)
        passive.setName(f"{spring.coordinate}_spring")
        passive.setStiffness(spring.stiffness_nm_rad)
        passive.setViscosity(spring.damping_nm_s_rad)
        passive.setRestLength(spring.rest_rad)
        model.addForce(passive)


def _add_reflex_actuators(model: osim.Model, description: ModelDescription) -> None:
    for reflex in description.reflexes:
        actuator = osim.CoordinateActuator(reflex.coordinate)
        actuator.setName(f"{reflex.coordinate}_torque")
        actuator.setOptimalForce(reflex.max_torque_nm)
        actuator.setMinControl(-1.0)
        actuator.setMaxControl(1.0)
        model.addForce(actuator)


def _add_contact(model: osim.Model, description: ModelDescription) -> None:
    # A half space fills x > 0 of its own axes: turned by -90 degrees about z it is the floor, up to y = 0.
    floor = osim.ContactHalfSpace(osim.Vec3(0), osim.Vec3(0, 0, -math.pi / 2), model.getGround(), "floor")
    model.addContactGeometry(floor)
    material = description.material
    bodies = model.getBodySet()
    for spec in description.spheres:
        sphere = osim.ContactSphere(spec.radius_m, osim.Vec3(*spec.center), bodies.get(spec.body), spec.name)
        model.addContactGeometry(sphere)
        force = osim.SmoothSphereHalfSpaceForce(f"contact_{spec.name}", sphere, floor)
        force.set_stiffness(material.stiffness_pa)
        force.set_dissipation(material.dissipation_s_m)
        force.set_static_friction(material.static_friction)
        force.set_dynamic_friction(material.dynamic_friction)
        force.set_viscous_friction(material.viscous_friction_s_m)
        force.set_transition_velocity(material.transition_velocity_m_s)
        model.addForce(force)


# Ellipsoids (centre, half-axes; generic metres) that show the segments in OpenSim's GUI, which has no skin of ours.
_SHAPES: dict[str, tuple[Vec3, Vec3]] = {
    "pelvis": ((-0.07, 0.0, 0.0), (0.09, 0.09, 0.15)),
    "femur": ((0.0, -0.2, 0.0), (0.07, 0.21, 0.07)),
    "tibia": ((0.0, -0.21, 0.0), (0.05, 0.22, 0.05)),
    "calcn": ((0.1, 0.0, 0.0), (0.13, 0.03, 0.045)),
    "torso": ((-0.03, 0.22, 0.0), (0.10, 0.28, 0.17)),
    "head": ((0.01, 0.13, 0.0), (0.10, 0.125, 0.08)),
    "humerus": ((0.0, -0.14, 0.0), (0.04, 0.15, 0.04)),
    "radius": ((0.0, -0.16, 0.0), (0.035, 0.17, 0.035)),
}


def _draw(body: osim.Body, name: str, scale: float) -> None:
    base = name[:-2] if name[-2:] in ("_r", "_l") else name
    center, half = _SHAPES[base]
    frame = osim.PhysicalOffsetFrame(
        f"{name}_shape", body, osim.Transform(osim.Vec3(*(scale * value for value in center)))
    )
    shape = osim.Ellipsoid(*(scale * value for value in half))
    shape.setColor(osim.Vec3(0.85, 0.75, 0.65))
    frame.attachGeometry(shape)
    body.addComponent(frame)
