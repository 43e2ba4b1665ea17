"""One forward simulation: the reflexes read the body, the muscles move it, and a gait emerges or does not.

OpenSim's Manager integrates at a fixed step between control steps; nothing but
muscles, passive joint tissue, gravity and the floor acts on the legs and the
pelvis. The state is checked after every control step, and each early end has a
name.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from farm.axes import GRAVITY_M_S2
from farm.config import SAMPLE_RATE_HZ
from farm.control.reflex import BASE_STIMULATION, CONTROL_STEP_S, LEG_SENSES, LegGains, ReflexController, StretchReflex
from farm.errors import SimulationDiverged
from farm.records import GaitParameters
from farm.seeds import Stream, generator
from workers.simulate.description import ModelDescription, describe
from workers.simulate.model import build, coordinate_order
from workers.simulate.opensim_library import osim

INTEGRATION_STEP_S = CONTROL_STEP_S / 6
"""SemiExplicitEuler2 at 0.83 ms. With longer steps friction on a loaded foot's small mass alternates from step to
step, in time with the samples, and the recorded force is off by a tenth of body weight (docs/physics.md)."""

FALLEN_PELVIS_HEIGHT = 0.68
"""Below this share of its height in the initial pose the pelvis has dropped for good."""

MAX_SPEED = 200.0
"""rad/s or m/s: no human joint reaches it, a diverging integration does."""

NOISE_CORRELATION_S = 0.05
"""Correlation time of the excitation noise: motor units of a muscle fire at 10 to 30 Hz."""

INITIAL_POSE_RAD = {
    "pelvis_tilt": -0.12, "hip_flexion_r": 0.6952, "knee_angle_r": -0.3231, "ankle_angle_r": -0.1709,
    "hip_flexion_l": 0.0528, "knee_angle_l": -0.8042, "ankle_angle_l": 0.1745,
    "arm_flex_r": -0.15, "elbow_flex_r": 0.40, "arm_flex_l": 0.35, "elbow_flex_l": 0.40,
}  # fmt: skip
"""A step's beginning (right heel ahead, left leg leaving the floor), after Kidzinski et al. 2018."""

INITIAL_SPEED_FACTOR = 1.15
"""The body starts a little faster than its target and settles."""

INITIAL_SPEED_TO_RIGHT_M_S = 0.10
"""In three dimensions the body moves towards the foot that has just landed, the right one."""

INITIAL_ACTIVATION = 0.05

MakeManager = Callable[[osim.Model, osim.State], osim.Manager]


@dataclass(frozen=True)
class Rollout:
    """What the integration left behind, before anything is derived from it.

    Attributes:
        end: "completed", "fell", "diverged" or "stuck"; `detail` says more.
        times_s: `[T]`.
        states: `[T, NY]` OpenSim's state vector, in Simbody's order.
        coordinates, speeds: `[T, Q]` in the description's order.
        controls: `[T, M + R]` muscles, then torque reflexes.
        loads: `[T, 2]` vertical ground force over body weight, right and left.
    """

    end: str
    detail: str
    times_s: NDArray[np.float64]
    states: NDArray[np.float64]
    coordinates: NDArray[np.float64]
    speeds: NDArray[np.float64]
    controls: NDArray[np.float64]
    loads: NDArray[np.float64]
    wall_s: float


@dataclass(frozen=True)
class _Handles:
    """OpenSim objects that the loop reads at every control step, fetched once after `initSystem`.

    Handles fetched before it would be stale: using them is a segmentation fault.
    """

    state: osim.State
    muscles: tuple[osim.Muscle, ...]
    reflex_muscles: tuple[tuple[osim.Muscle, ...], ...]
    contacts: tuple[tuple[osim.SmoothSphereHalfSpaceForce, ...], ...]


class Walk:
    """One person, one controller, one integration. Make it, `run` it, throw it away.

    Args:
        parameters: Body, muscles and reflex gains.
        seed: Campaign seed; with the sample id it fixes the motor noise.
        manager: Makes the integrator; only studies of the integration give another than the farm's.
        control_step_s: Between two calls of the controller, a whole part of the 10 ms between samples; only studies
            of the control rate give another than the farm's.

    Raises:
        ValueError: The samples would fall between control steps.
    """

    def __init__(
        self,
        parameters: GaitParameters,
        *,
        seed: int,
        manager: MakeManager | None = None,
        control_step_s: float = CONTROL_STEP_S,
    ) -> None:
        self.parameters = parameters
        self.description: ModelDescription = describe(parameters)
        self.model = build(self.description, name=f"gaitfarm_{parameters.sample_id}")
        self._seed = seed
        self._steps_per_sample = steps_per_sample(control_step_s)
        self._control_step_s = control_step_s
        self._lag_keeps = self.description.lag.keeps(control_step_s)
        self._excitation: NDArray[np.float64] | None = None
        self._make_manager = manager or farm_manager
        self._weight_n = self.description.anatomy.mass_kg * GRAVITY_M_S2
        self._at = {name: i for i, name in enumerate(self.description.coordinate_names)}
        self._handles = self._start()
        self._order = coordinate_order(self.model, self.description.coordinate_names)
        self.controller = ReflexController(
            gains=(
                LegGains.from_normalised(parameters.reflex_gains[0]),
                LegGains.from_normalised(parameters.reflex_gains[1]),
            ),
            control_step_s=control_step_s,
            delay_scale=parameters.neural_delay_scale,
        )
        self.stretch_reflex = (
            StretchReflex(parameters.stretch_reflex, control_step_s, parameters.neural_delay_scale)
            if np.any(parameters.stretch_reflex)
            else None  # asking OpenSim for 18 muscles' speeds costs healthy people's time
        )

    def _start(self) -> _Handles:
        state = self.model.initSystem()
        coordinates = self.model.getCoordinateSet()
        pose, speeds = initial_state(self.parameters, self._lumbar_rest)
        for name, value in pose.items():
            coordinates.get(name).setValue(state, value, False)
        for name, value in speeds.items():
            coordinates.get(name).setSpeedValue(state, value)
        muscles = self.model.getMuscles()
        for name in self.parameters.plan.muscles:
            osim.DeGrooteFregly2016Muscle.safeDownCast(muscles.get(name)).setActivation(state, INITIAL_ACTIVATION)
        self._stand_on_floor(state)
        forces = self.model.getForceSet()
        return _Handles(
            state,
            tuple(muscles.get(name) for name in self.parameters.plan.muscles),
            tuple(
                tuple(muscles.get(f"{group}_{side}") for group in ("rect_fem", "vasti", "gastroc", "soleus"))
                for side in "rl"
            ),
            tuple(
                tuple(
                    osim.SmoothSphereHalfSpaceForce.safeDownCast(forces.get(f"contact_{sphere.name}"))
                    for sphere in self.description.spheres
                    if sphere.name.endswith(f"_{side}")
                )
                for side in "rl"
            ),
        )

    @property
    def _lumbar_rest(self) -> float:
        return next(s.rest_rad for s in self.description.springs if s.coordinate == "lumbar_extension")

    def _stand_on_floor(self, state: osim.State) -> None:
        """Lower the pelvis until the lowest contact sphere just touches."""
        height = self.model.getCoordinateSet().get("pelvis_ty")
        height.setValue(state, 1.0, False)
        self.model.realizePosition(state)
        bodies = self.model.getBodySet()
        lowest = min(
            bodies.get(s.body).findStationLocationInGround(state, osim.Vec3(*s.center)).get(1) - s.radius_m
            for s in self.description.spheres
        )
        self._pelvis_height_m = 1.0 - lowest
        height.setValue(state, self._pelvis_height_m, False)

    def run(self, *, duration_s: float, budget_s: float) -> Rollout:
        """Integrate until `duration_s`, a fall, a divergence, or the wall-clock budget."""
        began = time.monotonic()
        state = self._handles.state
        manager = self._make_manager(self.model, state)
        control_step_s = self._control_step_s
        steps = round(duration_s / control_step_s)
        noise = motor_noise(self.parameters, self._seed, steps + 1, control_step_s=control_step_s)
        times: list[float] = []
        states: list[tuple[NDArray[np.float64], ...]] = []
        controls: list[NDArray[np.float64]] = []
        loads: list[tuple[float, float]] = []
        end, detail = "completed", ""
        for step in range(steps + 1):
            now_s = step * control_step_s
            y = state.getY().to_numpy().copy()
            q, u = y[self._order], y[len(self._order) + self._order]
            try:
                self._check(y, u, now_s)
            except SimulationDiverged as error:
                end, detail = "diverged", str(error)
                break
            senses = self._sense(state, q, u)
            control = self._control(self._stimulate(state, senses), q, u, noise[step])
            if step % self._steps_per_sample == 0:
                times.append(now_s)
                states.append((y, q, u))
                controls.append(control)
                loads.append((senses[4], senses[4 + len(LEG_SENSES)]))
            if q[self._at["pelvis_ty"]] < FALLEN_PELVIS_HEIGHT * self._pelvis_height_m:
                end = "fell"
                detail = f"at {now_s:.2f} s: the pelvis dropped below {FALLEN_PELVIS_HEIGHT:.0%} of its height"
                break
            if time.monotonic() - began > budget_s:
                end, detail = "stuck", f"at {now_s:.2f} s: the wall-clock budget of {budget_s:g} s was spent"
                break
            if step == steps:
                break
            self.model.setDefaultControls(osim.Vector.createFromMat(control))
            try:
                state = manager.integrate(now_s + control_step_s)
            except RuntimeError as error:
                end, detail = "diverged", f"at {now_s:.3f} s OpenSim stopped: {' '.join(str(error).split())}"
                break
        return Rollout(
            end=end,
            detail=detail,
            times_s=np.array(times),
            states=np.array([y for y, _, _ in states]),
            coordinates=np.array([q for _, q, _ in states]),
            speeds=np.array([u for _, _, u in states]),
            controls=np.array(controls),
            loads=np.array(loads),
            wall_s=time.monotonic() - began,
        )

    def _check(self, y: NDArray[np.float64], speeds: NDArray[np.float64], now_s: float) -> None:
        names = self.description.coordinate_names
        if not np.all(np.isfinite(y)):
            first = int(np.argmin(np.isfinite(speeds)))
            raise SimulationDiverged("a state is not a number", time_s=now_s, coordinate=names[first])
        fastest = int(np.argmax(np.abs(speeds)))
        if abs(speeds[fastest]) > MAX_SPEED:
            raise SimulationDiverged(
                f"a speed of {speeds[fastest]:.0f} per second is out of any human range",
                time_s=now_s, coordinate=names[fastest],
            )  # fmt: skip

    def _sense(
        self, state: osim.State, coordinates: NDArray[np.float64], speeds: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """The controller's sense vector of this instant, in the order of `SENSES` or `SENSES_3D`."""
        self.model.realizeDynamics(state)
        at = self._at
        q, u = coordinates.tolist(), speeds.tolist()
        pitch, pitch_rate = -q[at["pelvis_tilt"]], -u[at["pelvis_tilt"]]
        trunk = pitch - (q[at["lumbar_extension"]] - self._lumbar_rest)
        senses = [pitch, trunk, pitch_rate - u[at["lumbar_extension"]], u[at["pelvis_tx"]]]
        for side, muscles, contacts in zip("rl", self._handles.reflex_muscles, self._handles.contacts, strict=True):
            hip, knee, ankle = (at[f"{name}_{side}"] for name in ("hip_flexion", "knee_angle", "ankle_angle"))
            senses += [
                sum(contact.getRecordValues(state).get(1) for contact in contacts) / self._weight_n,
                math.pi - q[hip], -u[hip], math.pi + q[knee], u[knee], math.pi / 2 - q[ankle],
                *(muscle.getActuation(state) / muscle.getMaxIsometricForce() for muscle in muscles),
            ]  # fmt: skip
        if "pelvis_list" in at:
            lean, bending = at["pelvis_list"], at["lumbar_bending"]
            adduction = [q[at[f"hip_adduction_{side}"]] for side in "rl"]
            senses += [q[lean] + q[bending], u[lean] + u[bending], u[at["pelvis_tz"]], *adduction]
        return np.array(senses)

    def _stimulate(self, state: osim.State, senses: NDArray[np.float64]) -> NDArray[np.float64]:
        """What the reflexes make of this instant: `[M]` stimulations."""
        stimulation = np.asarray(self.controller.step(senses))
        if self.stretch_reflex is None:
            return stimulation
        lengthening = [
            muscle.getFiberVelocity(state) / muscle.getOptimalFiberLength() for muscle in self._handles.muscles
        ]
        return self.stretch_reflex.added_to(stimulation, np.array(lengthening))

    def _control(
        self,
        stimulation: NDArray[np.float64],
        q: NDArray[np.float64],
        u: NDArray[np.float64],
        noise: NDArray[np.float64],
    ) -> NDArray[np.float64]:
        """Muscle excitations with their noise and lag, then the shoulders' torques over their maximum."""
        excitation = np.clip(stimulation * (1.0 + noise), BASE_STIMULATION, 1.0)
        if self._excitation is not None:
            rise, fall = self._lag_keeps
            keep = np.where(excitation > self._excitation, rise, fall)
            excitation = excitation + keep * (self._excitation - excitation)
        self._excitation = excitation
        torques = []
        for reflex in self.description.reflexes:
            at, driver = self._at[reflex.coordinate], self._at[reflex.driver]
            target = reflex.offset_rad + reflex.gain * q[driver]
            torque = reflex.stiffness_nm_rad * (target - q[at]) - reflex.damping_nm_s_rad * u[at]
            torques.append(min(max(torque / reflex.max_torque_nm, -1.0), 1.0))
        return np.concatenate([excitation, torques])


def steps_per_sample(control_step_s: float) -> int:
    """Control steps between two samples.

    Raises:
        ValueError: The samples would fall between control steps.
    """
    steps = round(1.0 / (SAMPLE_RATE_HZ * control_step_s))
    if steps < 1 or not math.isclose(steps * control_step_s * SAMPLE_RATE_HZ, 1.0):
        raise ValueError(
            f"control_step_s {control_step_s!r} must divide the {1.0 / SAMPLE_RATE_HZ:g} s between two samples; "
            f"the farm's is {CONTROL_STEP_S:g}"
        )
    return steps


def farm_manager(model: osim.Model, state: osim.State) -> osim.Manager:
    """The farm's integrator, ready at `state`."""
    manager = osim.Manager(model)
    manager.setIntegratorMethod(osim.Manager.IntegratorMethod_SemiExplicitEuler2)
    manager.setIntegratorFixedStepSize(INTEGRATION_STEP_S)
    # The manager would otherwise store every step and run every analysis: half of the time.
    manager.setWriteToStorage(False)
    manager.setPerformAnalyses(False)
    manager.setRecordStatesTrajectory(False)
    manager.initialize(state)
    return manager


def initial_state(parameters: GaitParameters, lumbar_rest_rad: float) -> tuple[dict[str, float], dict[str, float]]:
    """Coordinates and speeds, by name, from which a walk starts; what is not named is zero, the height comes later.

    Whose left leg is affected starts as the mirror image of whose right leg is: their gains were searched for on the
    right. With the other foot in front, none of 19 people of the conditions campaign with a foot drop or a weak hip
    flexor on the left walked on the twin; as mirror images 6 do.
    """
    left = parameters.side == "left"
    pose = {_other_leg(name) if left else name: angle for name, angle in INITIAL_POSE_RAD.items()}
    pose |= {"lumbar_extension": lumbar_rest_rad}
    speeds = {"pelvis_tx": INITIAL_SPEED_FACTOR * parameters.target_speed_m_s}
    if parameters.body_model == "3d":
        speeds["pelvis_tz"] = -INITIAL_SPEED_TO_RIGHT_M_S if left else INITIAL_SPEED_TO_RIGHT_M_S
    return pose, speeds


def _other_leg(coordinate: str) -> str:
    """The coordinate of the other side; the same in the middle of the body."""
    name, _, side = coordinate.rpartition("_")
    return f"{name}_{'l' if side == 'r' else 'r'}" if side in ("r", "l") else coordinate


def motor_noise(
    parameters: GaitParameters, seed: int, steps: int, *, control_step_s: float = CONTROL_STEP_S
) -> NDArray[np.float64]:
    """Signal-dependent noise factors `[steps, M]` (Harris & Wolpert 1998), an Ornstein-Uhlenbeck process."""
    rng = generator(seed, Stream.MOTOR_NOISE, parameters.sample_id)
    keep = math.exp(-control_step_s / NOISE_CORRELATION_S)
    muscles = len(parameters.plan.muscles)
    white = rng.standard_normal((steps, muscles)) * math.sqrt(1.0 - keep * keep)
    noise = np.empty_like(white)
    level = rng.standard_normal(muscles)
    for step in range(steps):
        level = keep * level + white[step]
        noise[step] = level
    return parameters.motor_noise * noise
