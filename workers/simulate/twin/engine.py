"""The compiled twin of `workers.simulate.forward.Walk`: the same walk, some hundred times as fast.

It searches and screens, and with `engine: twin` it integrates what is recorded; what a recording says of the states
comes from OpenSim even then (`workers.simulate.engines`).
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from farm.control.reflex import CONTROL_STEP_S
from farm.errors import SimulationDiverged
from farm.records import GaitParameters
from workers.simulate.description import describe
from workers.simulate.forward import (
    FALLEN_PELVIS_HEIGHT,
    INITIAL_ACTIVATION,
    INTEGRATION_STEP_S,
    MAX_SPEED,
    Rollout,
    initial_state,
    motor_noise,
    steps_per_sample,
)
from workers.simulate.twin.dynamics import HEIGHT, HEIGHT_OF_X, HEIGHT_OF_Y, HEIGHT_OF_Z, place, scratch
from workers.simulate.twin.loop import COMPLETED, FELL, NOT_A_NUMBER, walk
from workers.simulate.twin.pack import Floats, pack
from workers.simulate.twin.reflex import delays, fresh_phases, physical_gains, stretch_delays

STEPS_PER_SAMPLE = steps_per_sample(CONTROL_STEP_S)


class TwinWalk:
    """One person, ready to walk any number of times, with any gains, also from several threads at once.

    Args:
        parameters: Body, muscles and reflex gains.
        seed: Campaign seed; with the sample id it fixes the motor noise.
        substep_s: Step of the semi-explicit Euler method; by default that of the OpenSim engine.

    Raises:
        PathFitError: A muscle path that no polynomial describes, named.
    """

    def __init__(self, parameters: GaitParameters, *, seed: int, substep_s: float = INTEGRATION_STEP_S / 2) -> None:
        self.parameters = parameters
        self.description = describe(parameters)
        self.model = pack(self.description)
        self._substeps = round(CONTROL_STEP_S / substep_s)
        self._delays = delays(CONTROL_STEP_S, parameters.neural_delay_scale, frontal=parameters.body_model == "3d")
        self._stretch_delays = stretch_delays(
            CONTROL_STEP_S, parameters.neural_delay_scale, len(parameters.plan.muscles)
        )
        self._seed = seed
        self._noise = np.zeros((1, len(self.description.muscles)))
        self._lock = threading.Lock()
        self._start = self._stand()

    def _stand(self) -> tuple[Floats, Floats]:
        """Coordinates and speeds of a step's beginning, the lowest contact sphere just on the floor."""
        names = self.description.coordinate_names
        q, u = np.zeros(len(names)), np.zeros(len(names))
        pose, speeds = initial_state(self.parameters, self.model.lumbar_rest)
        for values, target in ((pose, q), (speeds, u)):
            for name, value in values.items():
                target[names.index(name)] = value
        work = scratch(self.model)
        motion = work.motion
        place(self.model, q, u, work.turn, motion, work.bias)
        heights = [
            motion[link, HEIGHT] + motion[link, HEIGHT_OF_X] * x + motion[link, HEIGHT_OF_Y] * y
            + motion[link, HEIGHT_OF_Z] * z - radius
            for (link, _), (x, y, z, radius, _) in zip(self.model.spheres, self.model.sphere_shapes, strict=True)
        ]  # fmt: skip
        q[self.model.height] = -min(heights)
        return q, u

    def run(self, *, duration_s: float, gains: Floats | None = None) -> Rollout:
        """Walk until `duration_s`, a fall or a divergence.

        Args:
            gains: `[2, G]` normalised reflex gains, right and left; by default the person's own.

        Returns:
            As `Walk.run`, but `states` are coordinates, speeds and activations, in the description's order.
        """
        began = time.monotonic()
        steps = round(duration_s / CONTROL_STEP_S)
        noise = self._noise_of(steps)
        q, u = self._start[0].copy(), self._start[1].copy()
        coordinates, muscles = len(q), len(self.description.muscles)
        activation = np.full(muscles, INITIAL_ACTIVATION)
        samples = steps // STEPS_PER_SAMPLE + 1
        states = np.zeros((samples, 2 * coordinates + muscles))
        controls = np.zeros((samples, muscles + len(self.description.reflexes)))
        loads = np.zeros((samples, 2))
        fallen_height = FALLEN_PELVIS_HEIGHT * float(self._start[0][self.model.height])
        code, step, rows, fault = walk(
            self.model, physical_gains(self.parameters.reflex_gains if gains is None else gains),
            *self._delays, self.parameters.stretch_reflex, *self._stretch_delays, noise, fresh_phases(),
            scratch(self.model), q, u, activation, steps, self._substeps, CONTROL_STEP_S / self._substeps,
            STEPS_PER_SAMPLE, fallen_height, MAX_SPEED, states, controls, loads,
        )  # fmt: skip
        end, detail = self._verdict(code, step * CONTROL_STEP_S, fault, u)
        return Rollout(
            end=end,
            detail=detail,
            times_s=np.array([sample * STEPS_PER_SAMPLE * CONTROL_STEP_S for sample in range(rows)]),
            states=states[:rows],
            coordinates=states[:rows, :coordinates],
            speeds=states[:rows, coordinates : 2 * coordinates],
            controls=controls[:rows],
            loads=loads[:rows],
            wall_s=time.monotonic() - began,
        )

    def _noise_of(self, steps: int) -> Floats:
        """Motor noise of a walk of so many control steps, kept for the next one of this length."""
        with self._lock:
            if self.parameters.motor_noise and len(self._noise) != steps + 1:
                self._noise = motor_noise(self.parameters, self._seed, steps + 1)
            return self._noise

    def _verdict(self, code: int, now_s: float, fault: int, u: Floats) -> tuple[str, str]:
        if code == COMPLETED:
            return "completed", ""
        if code == FELL:
            return "fell", f"at {now_s:.2f} s: the pelvis dropped below {FALLEN_PELVIS_HEIGHT:.0%} of its height"
        cause = (
            "a state is not a number"
            if code == NOT_A_NUMBER
            else f"a speed of {u[fault]:.0f} per second is out of any human range"
        )
        name = self.description.coordinate_names[fault]
        return "diverged", str(SimulationDiverged(cause, time_s=now_s, coordinate=name))


def walk_batch(
    walks: Sequence[TwinWalk], *, duration_s: float, gains: Sequence[Floats] | None = None, threads: int | None = None
) -> list[Rollout]:
    """Many walks, on several cores of this process: the compiled loop releases the GIL.

    Args:
        walks: Who walks; the same person may be there many times.
        gains: `[2, G]` normalised gains for each; by default everybody's own.
        threads: How many walk at once; by default one a core.

    Returns:
        One rollout each, in the order of `walks`; the same as from `TwinWalk.run`.

    Raises:
        ValueError: If there are not as many gains as walks.
    """
    if gains is not None and len(gains) != len(walks):
        raise ValueError(f"there are {len(walks)} walks and {len(gains)} sets of gains; give one for each walk")
    own: Sequence[Floats | None] = [None] * len(walks) if gains is None else gains
    with ThreadPoolExecutor(threads or os.cpu_count()) as pool:
        return list(pool.map(lambda walk, legs: walk.run(duration_s=duration_s, gains=legs), walks, own))
