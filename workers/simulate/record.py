"""From integrated states to a Trajectory: OpenSim is asked once more, sample by sample, for what it knows.

Kept apart from the integration, so that a search, which needs only the states,
does not pay for body accelerations and muscle lengths; and so that it does not
matter which engine integrated.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from farm.config import SAMPLE_RATE_HZ, Engine
from farm.records import Trajectory
from farm.sampling.anatomy import BODIES
from workers.simulate.description import ModelDescription
from workers.simulate.metabolics import BASAL_POWER_W_KG, metabolic_power, muscle_mass_kg
from workers.simulate.model import coordinate_order
from workers.simulate.opensim_library import osim

if TYPE_CHECKING:
    from workers.simulate.forward import Rollout

Array = NDArray[np.float64]

CONTACT_THRESHOLD_N = 1.0
"""Below this vertical force a centre of pressure is noise: the point is left under the foot and the moment zero."""


def replay(
    model: osim.Model, description: ModelDescription, rollout: Rollout, activations: Array, *, engine: Engine
) -> Trajectory:
    """Everything that a Trajectory holds, from what a rollout of either engine went through.

    Must be called after the integration is over: it writes into a state of its own.

    Args:
        model: The description, built and initialised (`initSystem`).
        rollout: Its `coordinates`, `speeds` and `controls` are read, in the description's order; not its `states`,
            whose order is its engine's own.
        activations: `[T, M]` of the muscles, in the description's order.
        engine: Which one integrated.
    """
    reader = _Reader(model, description)
    count = len(rollout.times_s)
    states = opensim_states(model, description, rollout.coordinates, rollout.speeds, activations)
    n_muscles = len(description.muscles)
    muscle = np.zeros((count, n_muscles, 6))
    grf = np.zeros((count, 2, 9))
    pose, velocity, acceleration = (np.zeros((count, len(BODIES), k)) for k in (7, 6, 6))
    names = description.coordinate_names
    udot = np.zeros((count, len(names)))
    order = coordinate_order(model, names)
    for i in range(count):
        reader.set(rollout.times_s[i], states[i], rollout.controls[i])
        udot[i] = reader.accelerations()[order]
        pose[i], velocity[i], acceleration[i] = reader.bodies()
        muscle[i] = reader.muscles()
        grf[i] = reader.ground_reaction()
    q = rollout.coordinates
    activation, length, speed, force, active, force_length = np.moveaxis(muscle, -1, 0)
    fmax = np.array([m.max_isometric_force_n for m in description.muscles])
    lopt = np.array([m.optimal_fiber_length_m for m in description.muscles])
    power = metabolic_power(
        excitation=rollout.controls[:, :n_muscles],
        activation=activation,
        normalised_length=length,
        fiber_velocity_m_s=speed,
        active_force_n=active,
        force_length=force_length,
        max_isometric_force_n=fmax,
        mass_kg=muscle_mass_kg(fmax, lopt),
    )
    return Trajectory(
        end=rollout.end,
        end_detail=rollout.detail,
        sample_rate_hz=SAMPLE_RATE_HZ,
        bodies=BODIES,
        coordinate_names=names,
        muscles=tuple(m.name for m in description.muscles),
        time=rollout.times_s,
        coordinates=q,
        coordinate_speeds=rollout.speeds,
        coordinate_accelerations=udot,
        body_pose=pose,
        body_velocity=velocity,
        body_acceleration=acceleration,
        muscle_activation=activation,
        muscle_excitation=rollout.controls[:, :n_muscles],
        muscle_fiber_length=length,
        muscle_force=force,
        metabolic_power=power.sum(axis=1) + BASAL_POWER_W_KG * description.anatomy.mass_kg,
        ground_reaction=grf,
        joint_moment=joint_moments(description, q, force),
        wall_s=rollout.wall_s,
        engine=engine,
    )


def opensim_states(
    model: osim.Model, description: ModelDescription, coordinates: Array, speeds: Array, activations: Array
) -> Array:
    """OpenSim's state vectors `[T, NY]` from coordinates, speeds `[T, Q]` and activations `[T, M]` by name.

    Raises:
        RuntimeError: The model has states beside these, which nobody would set.
    """
    order = coordinate_order(model, description.coordinate_names)
    places = activation_order(model, tuple(m.name for m in description.muscles))
    count, known = model.getWorkingState().getNY(), 2 * len(order) + len(places)
    if count != known:
        raise RuntimeError(
            f"the OpenSim model has {count} states, {known} are coordinates, speeds and activations of its "
            "description; replay would leave the others as they are"
        )
    states = np.empty((len(coordinates), count))
    states[:, order] = coordinates
    states[:, len(order) + order] = speeds
    states[:, places] = activations
    return states


def activation_order(model: osim.Model, names: tuple[str, ...]) -> NDArray[np.intp]:
    """Where each named muscle's activation stands in the state vector Y: `[M]` indices.

    Found as `coordinate_order` finds coordinates: by marking each one in a scratch state.
    """
    state = osim.State(model.getWorkingState())
    before = state.getNQ() + state.getNU()
    marks = 1e-3 * (1.0 + np.arange(len(names)))
    for name, mark in zip(names, marks.tolist(), strict=True):
        path = f"{model.getMuscles().get(name).getAbsolutePathString()}/activation"
        model.setStateVariableValue(state, path, mark)
    distance = np.abs(state.getY().to_numpy()[before:, None] - marks)
    return np.asarray(before + distance.argmin(axis=0))


def joint_moments(description: ModelDescription, q: Array, force: Array) -> Array:
    """Net muscle moment `[T, Q]` (N m) about each coordinate: tendon force times moment arm."""
    index = {name: i for i, name in enumerate(description.coordinate_names)}
    moments = np.zeros_like(q)
    for i, muscle in enumerate(description.muscles):
        columns = [index[f"{name}_{muscle.side}"] for name in muscle.path.coordinates]
        moments[:, columns] += force[:, i, None] * muscle.path.moment_arms(q[:, columns])
    return moments


class _Reader:
    """Sets a state and reads bodies, muscles and floor from it."""

    def __init__(self, model: osim.Model, description: ModelDescription) -> None:
        self._model = model
        self._state = osim.State(model.getWorkingState())
        self._controls = osim.Vector(model.getNumControls(), 0.0)
        bodies, forces, muscles = model.getBodySet(), model.getForceSet(), model.getMuscles()
        self._bodies = [bodies.get(name) for name in BODIES]
        self._muscles = [muscles.get(m.name) for m in description.muscles]
        self._contacts = [
            [
                osim.SmoothSphereHalfSpaceForce.safeDownCast(forces.get(f"contact_{s.name}"))
                for s in description.spheres
                if s.name.endswith(f"_{side}")
            ]
            for side in "rl"
        ]
        self._spheres = [
            [(bodies.get(s.body), osim.Vec3(*s.center)) for s in description.spheres if s.name.endswith(f"_{side}")]
            for side in "rl"
        ]
        self._heels = [spheres[0] for spheres in self._spheres]

    def set(self, time_s: float, y: Array, control: Array) -> None:
        self._state.setTime(float(time_s))
        vector = osim.Vector(len(y), 0.0)
        for i, value in enumerate(y.tolist()):
            vector.set(i, value)
        self._state.setY(vector)
        for i, value in enumerate(control.tolist()):
            self._controls.set(i, value)
        self._model.setDefaultControls(self._controls)
        self._model.realizeAcceleration(self._state)

    def accelerations(self) -> Array:
        return np.array(self._state.getUDot().to_numpy())

    def bodies(self) -> tuple[Array, Array, Array]:
        """Poses `[B, 7]`, velocities `[B, 6]` and accelerations `[B, 6]` (angular, then linear, of the origin)."""
        state = self._state
        pose = np.empty((len(self._bodies), 7))
        velocity, acceleration = np.empty((len(self._bodies), 6)), np.empty((len(self._bodies), 6))
        for i, body in enumerate(self._bodies):
            transform = body.getTransformInGround(state)
            quaternion = transform.R().convertRotationToQuaternion()
            pose[i, :3] = transform.p().to_numpy()
            pose[i, 3:] = [quaternion.get(k) for k in range(4)]
            for target, spatial in (
                (velocity, body.getVelocityInGround(state)),
                (acceleration, body.getAccelerationInGround(state)),
            ):
                target[i, :3] = spatial.get(0).to_numpy()
                target[i, 3:] = spatial.get(1).to_numpy()
        return pose, velocity, acceleration

    def muscles(self) -> Array:
        """`[M, 6]`: activation, normalised fibre length, fibre velocity, tendon force, active force, force-length."""
        state = self._state
        return np.array(
            [
                (
                    m.getActivation(state),
                    m.getNormalizedFiberLength(state),
                    m.getFiberVelocity(state),
                    m.getActuation(state),
                    m.getActiveFiberForce(state),
                    m.getActiveForceLengthMultiplier(state),
                )
                for m in self._muscles
            ]
        )

    def ground_reaction(self) -> Array:
        """`[2, 9]`: force, centre of pressure on the floor, and free moment, right and left.

        OpenSim reports each sphere's force and its moment about the sphere's body
        origin; the centre of pressure is where the floor's plane carries no
        horizontal moment (Winter 2009, chapter 5).
        """
        out = np.zeros((2, 9))
        for side, (contacts, spheres) in enumerate(zip(self._contacts, self._spheres, strict=True)):
            force, moment = np.zeros(3), np.zeros(3)
            for contact, (body, _) in zip(contacts, spheres, strict=True):
                record = contact.getRecordValues(self._state)
                f = np.array([record.get(k) for k in range(3)])
                origin = body.getTransformInGround(self._state).p().to_numpy()
                force += f
                moment += np.array([record.get(k) for k in range(3, 6)]) + np.cross(origin, f)
            body, center = self._heels[side]
            out[side, :3] = force
            if force[1] > CONTACT_THRESHOLD_N:
                x, z = moment[2] / force[1], -moment[0] / force[1]
                out[side, 3:6] = x, 0.0, z
                out[side, 7] = moment[1] - (z * force[0] - x * force[2])
            else:
                under = body.findStationLocationInGround(self._state, center)
                out[side, 3:6] = under.get(0), 0.0, under.get(2)
        return out
