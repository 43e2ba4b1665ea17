"""A third opinion on the mechanics: pybullet's inverse dynamics against both of ours, on a recorded walk.

    python tools/third_opinion.py [--campaign demo] [--sample 0] [--seconds 3] [--engine opensim|twin]
        [--body-model planar|3d] [--json]

pybullet reads the skeleton as URDF (`workers/simulate/urdf.py`) and says which generalised
forces the recorded angles, speeds and accelerations need. Beside it stand

- OpenSim's InverseDynamicsSolver, on the skeleton that OpenSim built from the description, and
- the forces that acted: recorded muscle forces times moment arms, passive stops, springs and shoulder
  torques as their published equations state them, and the recorded ground reaction, mapped onto the
  coordinates by pybullet's own Jacobian.

Both of our engines solve for accelerations. Here accelerations go in and forces come out, by another
library's code, so that a mistake that our engines share (a frame, an inertia, the order of a joint's
rotations, a sign of the contact force) is left over as a difference. The table gives, for each
coordinate, the RMS of the force and the RMS of both differences. pybullet computes in double precision.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import get_args

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from farm.axes import GRAVITY_M_S2
from farm.config import Engine, load_campaign
from farm.control.reflex import GAIN_NAMES, GAIN_NAMES_3D
from farm.records import BODY_PLANS, BodyModel, GaitParameters, Trajectory
from farm.sampling.draw import gait_parameters_rand
from scenes.occlusion import pybullet  # imported there without its greeting on stdout
from workers.simulate.description import CoordinateLimit, ModelDescription, describe
from workers.simulate.engines import simulate
from workers.simulate.model import build, coordinate_order
from workers.simulate.opensim_library import osim
from workers.simulate.record import CONTACT_THRESHOLD_N, joint_moments
from workers.simulate.urdf import urdf

Array = NDArray[np.float64]

FEET = ("calcn_r", "calcn_l")
"""The bodies that `Trajectory.ground_reaction` acts on."""


class Skeleton:
    """A URDF in a pybullet world of its own; use `with`, or close it.

    A world each, because pybullet keeps the inverse dynamics of a removed body and
    answers with it for the next one (bullet3 issue 4809).

    Args:
        text: As `workers.simulate.urdf.urdf` writes it, perhaps changed by a test.
        coordinate_names: Order of the columns that go in and come out.
    """

    def __init__(self, text: str, coordinate_names: tuple[str, ...]) -> None:
        self._client = pybullet.connect(pybullet.DIRECT)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "skeleton.urdf"
            path.write_text(text, "utf-8")
            self._body = pybullet.loadURDF(
                str(path), useFixedBase=True, flags=pybullet.URDF_USE_INERTIA_FROM_FILE, physicsClientId=self._client
            )
        pybullet.setGravity(0.0, -GRAVITY_M_S2, 0.0, physicsClientId=self._client)
        joints = [
            pybullet.getJointInfo(self._body, i, physicsClientId=self._client)
            for i in range(pybullet.getNumJoints(self._body, physicsClientId=self._client))
        ]
        self._links = {joint[12].decode(): joint[0] for joint in joints}
        moving = [joint for joint in joints if joint[2] != pybullet.JOINT_FIXED]
        names = [joint[1].decode() for joint in moving]
        if sorted(names) != sorted(coordinate_names):
            raise ValueError(f"the URDF moves in {sorted(names)}, the walk in {sorted(coordinate_names)}")
        self._joints = [joint[0] for joint in moving]
        self._in = np.array([coordinate_names.index(name) for name in names])

    def __enter__(self) -> Skeleton:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        pybullet.disconnect(physicsClientId=self._client)

    def masses(self) -> Mapping[str, float]:
        """Mass (kg) of every link as pybullet has it."""
        return {
            name: pybullet.getDynamicsInfo(self._body, link, physicsClientId=self._client)[0]
            for name, link in self._links.items()
        }

    def inverse_dynamics(self, q: Array, u: Array, udot: Array) -> Array:
        """`[T, Q]` generalised forces (N, N m) that these coordinates, speeds and accelerations `[T, Q]` need."""
        forces = np.empty_like(q)
        for t in range(len(q)):
            forces[t, self._in] = pybullet.calculateInverseDynamics(
                self._body, *(values[t, self._in].tolist() for values in (q, u, udot)), physicsClientId=self._client
            )
        return forces

    def mass_center(self, body: str, q: Array) -> Array:
        """`[3]` world position (m) of a body's mass centre at coordinates `[Q]`."""
        for joint, value in zip(self._joints, q[self._in].tolist(), strict=True):
            pybullet.resetJointState(self._body, joint, value, physicsClientId=self._client)
        state = pybullet.getLinkState(
            self._body, self._links[body], computeForwardKinematics=True, physicsClientId=self._client
        )
        return np.array(state[0])

    def jacobians(self, body: str, q: Array) -> tuple[Array, Array]:
        """`[3, Q]` each: velocity of a body's mass centre, and its angular velocity, per speed, in world axes."""
        values = q[self._in].tolist()
        rest = [0.0] * len(values)
        # The point is taken from the joint, not from the mass centre as documented (bullet3 issue 4668).
        center = pybullet.getDynamicsInfo(self._body, self._links[body], physicsClientId=self._client)[3]
        found = pybullet.calculateJacobian(
            self._body, self._links[body], list(center), values, rest, rest, physicsClientId=self._client
        )
        linear, angular = np.empty((2, 3, len(q)))
        linear[:, self._in], angular[:, self._in] = found
        return linear, angular


# --- what ours say -------------------------------------------------------------------------------------------


def opensim_inverse_dynamics(description: ModelDescription, q: Array, u: Array, udot: Array) -> Array:
    """`[T, Q]` generalised forces that the bare skeleton needs, by OpenSim's InverseDynamicsSolver."""
    bare = dataclasses.replace(description, muscles=(), spheres=(), limits=(), springs=(), reflexes=())
    model = build(bare)
    state = model.initSystem()
    order = coordinate_order(model, description.coordinate_names)
    solver = osim.InverseDynamicsSolver(model)
    forces = np.empty_like(q)
    for t in range(len(q)):
        state.setQ(_vector(q[t], order))
        state.setU(_vector(u[t], order))
        model.realizeVelocity(state)
        needed = solver.solve(state, _vector(udot[t], order))
        forces[t] = needed.to_numpy()[order]
    return forces


def _vector(values: Array, order: NDArray[np.intp]) -> osim.Vector:
    vector = osim.Vector(len(values), 0.0)
    for at, value in zip(order.tolist(), values.tolist(), strict=True):
        vector.set(at, value)
    return vector


def acting_forces(description: ModelDescription, trajectory: Trajectory, skeleton: Skeleton) -> Array:
    """`[T, Q]` generalised forces of all that acted on the walk but gravity."""
    return (
        joint_moments(description, trajectory.coordinates, trajectory.muscle_force)
        + passive_moments(description, trajectory.coordinates, trajectory.coordinate_speeds)
        + reflex_torques(description, trajectory.coordinates, trajectory.coordinate_speeds)
        + ground_forces(description, trajectory, skeleton)
    )


def passive_moments(description: ModelDescription, q: Array, u: Array) -> Array:
    """`[T, Q]` of joint stops and springs."""
    at = {name: i for i, name in enumerate(description.coordinate_names)}
    moments = np.zeros_like(q)
    for limit in description.limits:
        i = at[limit.coordinate]
        moments[:, i] += _stop(limit, np.degrees(q[:, i]), np.degrees(u[:, i]))
    for spring in description.springs:
        i = at[spring.coordinate]
        moments[:, i] -= spring.stiffness_nm_rad * (q[:, i] - spring.rest_rad) + spring.damping_nm_s_rad * u[:, i]
    return moments


def _stop(limit: CoordinateLimit, angle_deg: Array, rate_deg_s: Array) -> Array:
    """OpenSim's CoordinateLimitForce as documented: stiffness and damping fade in over `transition_deg`."""

    def fade(beyond: Array) -> Array:
        x = np.clip(beyond / limit.transition_deg, 0.0, 1.0)
        return x**3 * (10.0 - 15.0 * x + 6.0 * x**2)

    over, under = angle_deg - limit.upper_deg, limit.lower_deg - angle_deg
    elastic = limit.stiffness_nm_deg * (fade(under) * under - fade(over) * over)
    return elastic - limit.damping_nm_s_deg * (fade(under) + fade(over)) * rate_deg_s


def reflex_torques(description: ModelDescription, q: Array, u: Array) -> Array:
    """`[T, Q]` of the arms' torque reflexes, which act without delay."""
    at = {name: i for i, name in enumerate(description.coordinate_names)}
    torques = np.zeros_like(q)
    for reflex in description.reflexes:
        i = at[reflex.coordinate]
        target = reflex.offset_rad + reflex.gain * q[:, at[reflex.driver]]
        torque = reflex.stiffness_nm_rad * (target - q[:, i]) - reflex.damping_nm_s_rad * u[:, i]
        torques[:, i] += np.clip(torque, -reflex.max_torque_nm, reflex.max_torque_nm)
    return torques


def ground_forces(description: ModelDescription, trajectory: Trajectory, skeleton: Skeleton) -> Array:
    """`[T, Q]` of the recorded ground reaction: force at the centre of pressure, and free moment.

    A foot that all but left the floor has no centre of pressure, and the record no moment for it
    (`record.CONTACT_THRESHOLD_N`); OpenSim's contact is asked again there.
    """
    forces = np.zeros_like(trajectory.coordinates)
    touching = _Touching(description)
    for t, q in enumerate(trajectory.coordinates):
        for side, foot in enumerate(FEET):
            force, point, moment = trajectory.ground_reaction[t, side].reshape(3, 3)
            if force[1] <= CONTACT_THRESHOLD_N:
                force, point, moment = touching.wrench(foot, q, trajectory.coordinate_speeds[t])
            linear, angular = skeleton.jacobians(foot, q)
            lever = point - skeleton.mass_center(foot, q)
            forces[t] += force @ linear + (moment + np.cross(lever, force)) @ angular
    return forces


class _Touching:
    """OpenSim's contact alone, for feet whose recorded ground reaction is cut off."""

    def __init__(self, description: ModelDescription) -> None:
        self._model = build(dataclasses.replace(description, muscles=(), limits=(), springs=(), reflexes=()))
        self._state = self._model.initSystem()
        self._order = coordinate_order(self._model, description.coordinate_names)
        self._spheres = description.spheres

    def wrench(self, body: str, q: Array, u: Array) -> tuple[Array, Array, Array]:
        """Force (N), a point (m) and the moment about it (N m) of the floor on a body, `[3]` each in world axes."""
        self._state.setQ(_vector(q, self._order))
        self._state.setU(_vector(u, self._order))
        self._model.realizeDynamics(self._state)
        elements = self._model.getForceSet()
        records = [
            osim.SmoothSphereHalfSpaceForce.safeDownCast(elements.get(f"contact_{sphere.name}")).getRecordValues(
                self._state
            )
            for sphere in self._spheres
            if sphere.body == body
        ]
        total = np.sum([[record.get(k) for k in range(6)] for record in records], axis=0)
        origin = self._model.getBodySet().get(body).getTransformInGround(self._state).p().to_numpy()
        return total[:3], np.array(origin), total[3:]


# --- the comparison ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Opinion:
    """One coordinate's generalised force (N or N m) by pybullet, and how far ours are from it.

    Attributes:
        force_rms: Of pybullet's force over the walk.
        opensim_rms: Of pybullet's minus OpenSim's inverse dynamics.
        acting_rms: Of pybullet's minus the forces that acted.
    """

    coordinate: str
    unit: str
    force_rms: float
    opensim_rms: float
    acting_rms: float

    @property
    def opensim_percent(self) -> float:
        return 100.0 * self.opensim_rms / self.force_rms

    @property
    def acting_percent(self) -> float:
        return 100.0 * self.acting_rms / self.force_rms


def opinions(description: ModelDescription, trajectory: Trajectory, *, text: str | None = None) -> list[Opinion]:
    """One row for each coordinate.

    Args:
        text: URDF to ask about instead of the description's own: what a test changes.
    """
    with Skeleton(text or urdf(description), trajectory.coordinate_names) as skeleton:
        motion = (trajectory.coordinates, trajectory.coordinate_speeds, trajectory.coordinate_accelerations)
        theirs = skeleton.inverse_dynamics(*motion)
        from_opensim = theirs - opensim_inverse_dynamics(description, *motion)
        from_acting = theirs - acting_forces(description, trajectory, skeleton)
    units = {c.name: "N m" if c.kind == "rotation" else "N" for joint in description.joints for c in joint.coordinates}
    return [
        Opinion(name, units[name], *(_rms(values[:, i]) for values in (theirs, from_opensim, from_acting)))
        for i, name in enumerate(trajectory.coordinate_names)
    ]


def _rms(values: Array) -> float:
    return float(np.sqrt(np.mean(values**2)))


def in_body_model(person: GaitParameters, body_model: BodyModel) -> GaitParameters:
    """The same person and reflexes in the other body; muscles and gains that it has more are at their defaults.

    Nobody searched for such gains: the walk may end in a fall. Mechanics holds in a fall, too.
    """
    plan = BODY_PLANS[body_model]

    def by_muscle(values: Array) -> Array:
        known = dict(zip(person.plan.muscles, values.tolist(), strict=True))
        return np.array([known.get(name, 1.0) for name in plan.muscles])

    names = GAIN_NAMES if body_model == "planar" else GAIN_NAMES_3D
    known = dict(zip(person.reflex_gain_names, person.reflex_gains.T, strict=True))
    return dataclasses.replace(
        person,
        body_model=body_model,
        strength=by_muscle(person.strength),
        fiber_length=by_muscle(person.fiber_length),
        tendon_length=by_muscle(person.tendon_length),
        reflex_gain_names=names,
        reflex_gains=np.stack([known.get(name, np.ones(2)) for name in names], axis=1),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--campaign", default="demo")
    parser.add_argument("--sample", type=int, default=0, help="which gait of the campaign")
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--engine", choices=get_args(Engine), default="opensim", help="which made the walk")
    parser.add_argument("--body-model", choices=tuple(BODY_PLANS), help="default: the campaign's")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    campaign = load_campaign(arguments.campaign)
    person = gait_parameters_rand(campaign, arguments.sample)
    if arguments.body_model is not None:
        person = in_body_model(person, arguments.body_model)
    walk = simulate(person, engine=arguments.engine, seed=campaign.seed, duration_s=arguments.seconds, budget_s=3600.0)
    rows = opinions(describe(person), walk)
    if arguments.json:
        worst = {
            "opensim_percent_max": max(row.opensim_percent for row in rows),
            "acting_percent_max": max(row.acting_percent for row in rows),
        }
        print(
            json.dumps(
                worst
                | {"engine": walk.engine, "end": walk.end, "coordinates": [dataclasses.asdict(row) for row in rows]}
            )
        )
        return
    table = Table(title=f"{walk.duration_s:.2f} s of walking ({walk.engine}, {walk.end}), sample {arguments.sample}")
    for heading in ("coordinate", "unit", "force, RMS", "- OpenSim's, RMS", "%", "- acting, RMS", "%"):
        table.add_column(heading, justify="left" if heading in ("coordinate", "unit") else "right")
    for row in rows:
        table.add_row(
            row.coordinate, row.unit, f"{row.force_rms:.3g}", f"{row.opensim_rms:.1e}", f"{row.opensim_percent:.1e}",
            f"{row.acting_rms:.1e}", f"{row.acting_percent:.1e}",
        )  # fmt: skip
    Console(width=100).print(table)


if __name__ == "__main__":
    main()
