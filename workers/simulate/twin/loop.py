"""The compiled walk: sense, control, integrate, 200 times a second, and record every second time.

The same order of things as `workers.simulate.forward.Walk.run`. The integrator
is the semi-explicit Euler method: OpenSim's SemiExplicitEuler2 at step h takes
two such half steps (its full step only estimates an error that a fixed step
ignores), so that both engines take the same steps.
"""

from __future__ import annotations

import math

import numpy as np

from farm.control.reflex import BASE_STIMULATION
from workers.simulate.twin.compiled import compiled, inlined
from workers.simulate.twin.dynamics import Scratch, accelerate, gather
from workers.simulate.twin.forces import activation_rates
from workers.simulate.twin.pack import Floats, Ints, TwinModel
from workers.simulate.twin.reflex import FRONTAL, delayed, reflexes, stretch_reflex

COMPLETED, FELL, NOT_A_NUMBER, TOO_FAST = range(4)


@compiled
def derivatives(
    model: TwinModel, q: Floats, u: Floats, activation: Floats, control: Floats, work: Scratch,
    udot: Floats, adot: Floats,
) -> None:  # fmt: skip
    """Accelerations `[Q]` and activation rates `[M]` under controls `[M + R]` (muscles, then shoulders)."""
    gather(model, q, u, activation, work)
    _finish(model, activation, control, work, udot, adot)


@inlined
def _finish(model: TwinModel, activation: Floats, control: Floats, work: Scratch, udot: Floats, adot: Floats) -> None:
    muscles = len(activation)
    for r in range(len(model.reflexes)):
        work.torque[model.reflex_coordinates[r, 0]] += control[muscles + r] * model.reflexes[r, 4]
    accelerate(model, work, udot)
    activation_rates(model, control, activation, adot)


@inlined
def sense(model: TwinModel, q: Floats, u: Floats, work: Scratch, senses: Floats) -> None:
    """The controller's sense vector, `[24]` or in three dimensions `[29]`, from what `gather` left in `work`."""
    at = model.sense_coordinates
    tilt, forward, lumbar = at[0], at[1], at[2]
    senses[0] = -q[tilt]
    senses[1] = -q[tilt] - (q[lumbar] - model.lumbar_rest)
    senses[2] = -u[tilt] - u[lumbar]
    senses[3] = u[forward]
    for side in range(2):
        k = 4 + 10 * side
        hip, knee, ankle = at[3 + 3 * side], at[4 + 3 * side], at[5 + 3 * side]
        senses[k] = work.load[side] / model.weight
        senses[k + 1] = math.pi - q[hip]
        senses[k + 2] = -u[hip]
        senses[k + 3] = math.pi + q[knee]
        senses[k + 4] = u[knee]
        senses[k + 5] = math.pi / 2 - q[ankle]
        for i in range(4):
            m = model.sense_muscles[side, i]
            senses[k + 6 + i] = work.muscle_force[m] / model.muscles[0, m]
    if len(senses) > FRONTAL:
        lean, bending = at[9], at[10]
        senses[FRONTAL] = q[lean] + q[bending]
        senses[FRONTAL + 1] = u[lean] + u[bending]
        senses[FRONTAL + 2] = u[at[11]]
        senses[FRONTAL + 3] = q[at[12]]
        senses[FRONTAL + 4] = q[at[13]]


@inlined
def lengthening(model: TwinModel, work: Scratch, speed: Floats) -> None:
    """Lengthening speeds of the fibres `[M]` (optimal lengths per second), from what `gather` left in `work`."""
    for m in range(len(speed)):
        speed[m] = work.unit[1, m] * work.unit[2, m] / model.muscles[1, m]


@compiled
def walk(
    model: TwinModel, gains: Floats, whole: Ints, part: Floats, stretch: Floats, stretch_whole: Ints,
    stretch_part: Floats, noise: Floats, phases: Floats, work: Scratch,
    q: Floats, u: Floats, activation: Floats, steps: int, substeps: int, substep_s: float, steps_per_sample: int,
    fallen_height: float, max_speed: float, states: Floats, controls: Floats, loads: Floats,
) -> tuple[int, int, int, int]:  # fmt: skip
    """Walk for `steps` control steps, or until a fall or a divergence.

    Args:
        whole, part: Delays of the senses, in control steps; stretch_whole, stretch_part: of the stretch reflex.
        stretch: `[M]` gains of the stretch reflex (s).
        noise: `[N, M]` motor noise factors by control step; the last row holds on.
        q, u, activation: The start; left at the end.
        states, controls, loads: `[T, 2 Q + M]`, `[T, M + R]`, `[T, 2]`, filled.

    Returns:
        How it ended, the last control step, recorded samples, and the coordinate at fault.
    """
    coordinates, muscles = len(q), len(activation)
    udot, adot = np.zeros(coordinates), np.zeros(muscles)
    senses, arrived = np.zeros(len(whole)), np.zeros(len(whole))
    ring = np.zeros((whole.max() + 2, len(whole)))
    spastic = np.any(stretch > 0.0)
    speed, felt = np.zeros(muscles), np.zeros(muscles)
    stretch_ring = np.zeros((stretch_whole.max() + 2, muscles))
    control = np.zeros(muscles + len(model.reflexes))
    # OpenSim has taken the derivatives of a control interval's first instant before the new controls come: its first
    # half step still runs under the controls of the interval before, and the very first under none.
    held = np.zeros(len(control))
    now, stretch_now, rows = -1, -1, 0
    for step in range(steps + 1):
        for i in range(coordinates):
            if not (math.isfinite(q[i]) and math.isfinite(u[i])):
                return NOT_A_NUMBER, step, rows, i
            if abs(u[i]) > max_speed:
                return TOO_FAST, step, rows, i
        for m in range(muscles):
            if not math.isfinite(activation[m]):
                return NOT_A_NUMBER, step, rows, 0
        gather(model, q, u, activation, work)
        sense(model, q, u, work, senses)
        now = delayed(ring, now, whole, part, senses, arrived)
        reflexes(arrived, gains, phases, control[:muscles])
        if spastic:
            lengthening(model, work, speed)
            stretch_now = delayed(stretch_ring, stretch_now, stretch_whole, stretch_part, speed, felt)
            stretch_reflex(stretch, felt, control[:muscles])
        _excite(model, noise[min(step, len(noise) - 1)], held, control, step > 0)
        _shoulders(model, q, u, control)
        if step % steps_per_sample == 0:
            states[rows, :coordinates] = q
            states[rows, coordinates : 2 * coordinates] = u
            states[rows, 2 * coordinates :] = activation
            controls[rows] = control
            loads[rows] = work.load / model.weight
            rows += 1
        if q[model.height] < fallen_height:
            return FELL, step, rows, model.height
        if step == steps:
            break
        for k in range(substeps):
            if k > 0:
                gather(model, q, u, activation, work)
            _finish(model, activation, control if k > 0 else held, work, udot, adot)
            for i in range(coordinates):
                u[i] += substep_s * udot[i]
                q[i] += substep_s * u[i]
            for m in range(muscles):
                activation[m] += substep_s * adot[m]
        held[:] = control
    return COMPLETED, steps, rows, 0


@compiled
def _excite(model: TwinModel, noise: Floats, before: Floats, control: Floats, lagging: bool) -> None:
    """Motor noise and the lag of slow muscles, on the stimulations in `control`."""
    for m in range(len(noise)):
        control[m] = min(max(control[m] * (1.0 + noise[m]), BASE_STIMULATION), 1.0)
        if lagging:
            keep = model.lag_keeps[0] if control[m] > before[m] else model.lag_keeps[1]
            control[m] += keep * (before[m] - control[m])


@compiled
def _shoulders(model: TwinModel, q: Floats, u: Floats, control: Floats) -> None:
    """Arm swing: the torque reflexes' controls, after the muscles' in `control`."""
    muscles, laws = len(model.paths), model.reflexes
    for r in range(len(model.reflexes)):
        at, driver = model.reflex_coordinates[r, 0], model.reflex_coordinates[r, 1]
        target = laws[r, 1] + laws[r, 0] * q[driver]
        torque = laws[r, 2] * (target - q[at]) - laws[r, 3] * u[at]
        control[muscles + r] = min(max(torque / laws[r, 4], -1.0), 1.0)
