"""Do the two engines agree? Random states, what each engine says of them, and two walks side by side.

What the tests hold the engines to and what `tools/bench_physics.py` reports are
the same figures, made here.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from farm.records import GaitParameters
from workers.simulate.description import ModelDescription
from workers.simulate.forward import Walk
from workers.simulate.model import build, coordinate_order
from workers.simulate.opensim_library import osim
from workers.simulate.record import opensim_states
from workers.simulate.twin.dynamics import scratch
from workers.simulate.twin.engine import TwinWalk
from workers.simulate.twin.loop import derivatives
from workers.simulate.twin.pack import pack

Floats = NDArray[np.float64]

MAX_ANGLE_RAD = 1.0
MAX_SPEED = 6.0
"""rad/s and m/s."""

PELVIS_HEIGHT_M = (0.60, 0.95)
"""Feet above, on and in the floor."""


@dataclass(frozen=True)
class BodyStates:
    """N instants of one body, in its description's order.

    Attributes:
        coordinates, speeds: `[N, Q]` rad and m, rad/s and m/s.
        activations: `[N, M]`.
        controls: `[N, M + R]` excitations, then shares of the torque reflexes' maximum.
    """

    coordinates: Floats
    speeds: Floats
    activations: Floats
    controls: Floats


def body_states_rand(description: ModelDescription, rng: np.random.Generator, count: int) -> BodyStates:
    """Postures that a fall may reach, at walking and stumbling speeds, feet above, on and in the floor."""
    names = description.coordinate_names
    shape, muscles = (count, len(names)), (count, len(description.muscles))
    coordinates = rng.uniform(-MAX_ANGLE_RAD, MAX_ANGLE_RAD, shape)
    coordinates[:, names.index("pelvis_ty")] = rng.uniform(*PELVIS_HEIGHT_M, count)
    torques = rng.uniform(-1.0, 1.0, (count, len(description.reflexes)))
    return BodyStates(
        coordinates=coordinates,
        speeds=rng.uniform(-MAX_SPEED, MAX_SPEED, shape),
        activations=rng.uniform(0.01, 1.0, muscles),
        controls=np.concatenate([rng.uniform(0.01, 1.0, muscles), torques], axis=1),
    )


def opensim_accelerations(description: ModelDescription, states: BodyStates) -> Floats:
    """What OpenSim says: `[N, Q]` (rad/s^2, m/s^2) in the description's order."""
    model = build(description)
    state = model.initSystem()
    order = coordinate_order(model, description.coordinate_names)
    vectors = opensim_states(model, description, states.coordinates, states.speeds, states.activations)
    accelerations = np.empty_like(states.coordinates)
    for row, vector in enumerate(vectors):
        model.setDefaultControls(osim.Vector.createFromMat(states.controls[row]))
        state.setY(osim.Vector.createFromMat(vector))
        model.realizeAcceleration(state)
        accelerations[row] = state.getUDot().to_numpy()[order]
    return accelerations


def twin_accelerations(description: ModelDescription, states: BodyStates) -> Floats:
    """What the twin says: `[N, Q]` (rad/s^2, m/s^2) in the description's order."""
    twin = pack(description)
    work = scratch(twin)
    accelerations = np.empty_like(states.coordinates)
    rates = np.zeros(states.activations.shape[1])
    for row in range(len(accelerations)):
        derivatives(
            twin, states.coordinates[row], states.speeds[row], states.activations[row], states.controls[row], work,
            accelerations[row], rates,
        )  # fmt: skip
    return accelerations


def acceleration_error(description: ModelDescription, states: BodyStates) -> float:
    """Largest difference of an acceleration between the engines, relative to the largest of its instant."""
    truth = opensim_accelerations(description, states)
    difference = np.abs(twin_accelerations(description, states) - truth).max(axis=1)
    return float(np.max(difference / np.abs(truth).max(axis=1)))


@dataclass(frozen=True)
class WalkAgreement:
    """Two walks from one start, in step for `compared_s`, their joint angles never further apart than `angle_deg`."""

    compared_s: float
    angle_deg: float


def walk_agreement(parameters: GaitParameters, *, seed: int, duration_s: float) -> WalkAgreement:
    """Let the person walk in both engines, controller and all, and compare every joint angle at 100 Hz.

    A walk that ends before `duration_s` (a fall) is compared until then.

    Call it in a process that has made no other person's muscles: OpenSim 4.6 keeps the activation times of a process's
    first DeGroote-Fregly muscle for all later ones (docs/physics.md).
    """
    truth = Walk(parameters, seed=seed).run(duration_s=duration_s, budget_s=3600.0)
    twin = TwinWalk(parameters, seed=seed)
    mine = twin.run(duration_s=duration_s)
    count = min(len(truth.times_s), len(mine.times_s))
    names = twin.description.coordinate_names
    angles = [i for i, name in enumerate(names) if name not in ("pelvis_tx", "pelvis_ty", "pelvis_tz")]
    apart = np.abs(mine.coordinates[:count, angles] - truth.coordinates[:count, angles])
    return WalkAgreement(compared_s=float(truth.times_s[count - 1]), angle_deg=float(np.degrees(apart.max())))
