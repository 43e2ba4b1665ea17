"""The compiled twin of `workers.simulate.forward.Walk`: the same walk, some hundred times as fast.

It searches and screens; what is recorded comes from OpenSim.
"""

from __future__ import annotations

import time

import numpy as np

from farm.config import SAMPLE_RATE_HZ
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
)
from workers.simulate.twin.dynamics import HEIGHT, HEIGHT_OF_X, HEIGHT_OF_Y, HEIGHT_OF_Z, place, scratch
from workers.simulate.twin.loop import COMPLETED, FELL, NOT_A_NUMBER, walk
from workers.simulate.twin.pack import Floats, pack
from workers.simulate.twin.reflex import delays, fresh_phases, physical_gains

STEPS_PER_SAMPLE = round(1.0 / (SAMPLE_RATE_HZ * CONTROL_STEP_S))


class TwinWalk:
    """One person, ready to walk any number of times, with any gains.

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
        self._work = scratch(self.model)
        self._delays = delays(CONTROL_STEP_S, parameters.neural_delay_scale, frontal=parameters.body_model == "3d")
        self._seed = seed
        self._noise = np.zeros((1, len(self.description.muscles)))
        self._start = self._stand()

    def _stand(self) -> tuple[Floats, Floats]:
        """Coordinates and speeds of a step's beginning, the lowest contact sphere just on the floor."""
        names = self.description.coordinate_names
        q, u = np.zeros(len(names)), np.zeros(len(names))
        pose, speeds = initial_state(self.parameters, self.model.lumbar_rest)
        for values, target in ((pose, q), (speeds, u)):
            for name, value in values.items():
                target[names.index(name)] = value
        motion = self._work.motion
        place(self.model, q, u, motion, self._work.bias)
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
        if self.parameters.motor_noise and len(self._noise) != steps + 1:
            self._noise = motor_noise(self.parameters, self._seed, steps + 1)
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
            *self._delays, self._noise, fresh_phases(), self._work, q, u, activation, steps, self._substeps,
            CONTROL_STEP_S / self._substeps, STEPS_PER_SAMPLE, fallen_height, MAX_SPEED, states, controls, loads,
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
