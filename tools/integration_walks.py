"""Walks and falls with another integrator than the farm's: what `bench_simulation.py` studies.

A walk comes to a foot strike one way and is integrated another way from there on, so that
every setting begins its stride with the same state and the same controller.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from timed_walks import Timing

from farm.axes import GRAVITY_M_S2
from farm.config import SAMPLE_RATE_HZ
from farm.control.reflex import CONTROL_STEP_S
from farm.gait.events import force_events
from farm.records import GaitParameters
from workers.simulate.description import ModelDescription
from workers.simulate.forward import MakeManager, Rollout, Walk
from workers.simulate.model import build
from workers.simulate.musculature import MUSCLE_SPECS, WORKING_STRAIN
from workers.simulate.opensim_library import osim

AFTER_START_S = 0.3
"""The initial pose is a right foot's strike; one earlier than this is that one."""

BUDGET_S = 900.0
"""Of wall-clock time for one walk: a setting that needs more is of no use."""

TUMBLE_S = 1.0
TUMBLE_HEIGHT_M = 20.0


@dataclass(frozen=True)
class Setting:
    """One way to integrate: a fixed step (s), or an error-controlled accuracy."""

    label: str
    method: str
    step_s: float | None = None
    accuracy: float | None = None

    def manager(self, model: osim.Model, state: osim.State) -> osim.Manager:
        """The integrator, ready at `state`."""
        manager = osim.Manager(model)
        manager.setIntegratorMethod(getattr(osim.Manager, f"IntegratorMethod_{self.method}"))
        if self.step_s is not None:
            manager.setIntegratorFixedStepSize(self.step_s)
        if self.accuracy is not None:
            manager.setIntegratorAccuracy(self.accuracy)
        manager.setWriteToStorage(False)
        manager.setPerformAnalyses(False)
        manager.setRecordStatesTrajectory(False)
        manager.initialize(state)
        return manager


class ElasticWalk(Walk):
    """The same person with elastic tendons, their force a state (explicit dynamics, De Groote et al. 2016).

    The tendons get the public model's slack length back: the farm's rigid ones are as long as elastic ones at work.
    """

    def _start(self) -> Any:
        muscles = self.model.getMuscles()
        for spec in self.description.muscles:
            strain = MUSCLE_SPECS[spec.name.removesuffix(f"_{spec.side}")].tendon_strain
            muscle = osim.DeGrooteFregly2016Muscle.safeDownCast(muscles.get(spec.name))
            muscle.set_ignore_tendon_compliance(False)
            muscle.set_tendon_compliance_dynamics_mode("explicit")
            muscle.set_tendon_strain_at_one_norm_force(strain)
            muscle.set_tendon_slack_length(spec.tendon_slack_length_m / (1.0 + WORKING_STRAIN * strain))
        self.model.finalizeFromProperties()
        self.model.finalizeConnections()
        handles = super()._start()
        self.model.equilibrateMuscles(handles.state)
        return handles


class Handover:
    """A manager that integrates one way up to an instant and another way from there on, on a stopwatch."""

    def __init__(
        self, model: osim.Model, state: osim.State, *, before: MakeManager, after: MakeManager, at_s: float
    ) -> None:
        self._model, self._state, self._after, self._at_s = model, state, after, at_s
        self._managers = [before(model, state)]  # the first is kept: its state is what the second starts from
        self._wall = self._cpu = 0.0
        self.wall_s = self.cpu_s = 0.0
        if at_s <= 0.0:
            self._start_watch()

    def _start_watch(self) -> None:
        self._managers.append(self._after(self._model, self._state))
        self._wall, self._cpu = time.perf_counter(), time.process_time()

    def integrate(self, time_s: float) -> osim.State:
        """Advance to `time_s`; the reading of the watch is the time since the change, control included."""
        if len(self._managers) == 1 and time_s > self._at_s + 1e-9:
            self._start_watch()
        self._state = self._managers[-1].integrate(time_s)
        if len(self._managers) == 2:
            self.wall_s, self.cpu_s = time.perf_counter() - self._wall, time.process_time() - self._cpu
        return self._state


@dataclass(frozen=True)
class Window:
    """The time that is compared: a stride, from one strike of a foot to its next.

    Attributes:
        kind: "stride"; "step" (a strike to the other foot's) where the walker falls before a stride is whole.
        start_s, end_s: At samples.
    """

    kind: str
    start_s: float
    end_s: float


def windows(rollout: Rollout, weight_n: float, count: int) -> tuple[Window, ...]:
    """The first `count` whole strides after the start, of either foot, or those that there are; else one step.

    Raises:
        ValueError: There is not even a step: the walker falls at once.
    """
    times, right = force_events(rollout.times_s, rollout.loads * weight_n).sequence()
    times, right = times[times > AFTER_START_S], right[times > AFTER_START_S]
    if len(times) < 2:
        raise ValueError(f"no step to compare: the walker {rollout.end} after {rollout.times_s[-1]:.2f} s")
    feet = [times[right], times[~right]]
    strides = sorted((float(a), float(b)) for foot in feet for a, b in pairwise(foot))
    found = [("stride", *stride) for stride in strides[:count]] or [("step", float(times[0]), float(times[1]))]
    return tuple(
        Window(kind, round(start * SAMPLE_RATE_HZ) / SAMPLE_RATE_HZ, round(end * SAMPLE_RATE_HZ) / SAMPLE_RATE_HZ)
        for kind, start, end in found
    )


@dataclass(frozen=True)
class Body:
    """Whose stride it is.

    Attributes:
        person: Body, muscles, gains.
        make: `Walk` or `ElasticWalk`.
        approach: Integrates up to the stride.
    """

    person: GaitParameters
    make: Callable[..., Walk]
    approach: Setting

    def strides(self, count: int) -> tuple[Window, ...]:
        """Where this body's first whole strides are (see `windows`)."""
        walk = self.make(self.person, seed=0, manager=self.approach.manager)
        weight_n = walk.description.anatomy.mass_kg * GRAVITY_M_S2
        return windows(walk.run(duration_s=1.5 + 0.75 * count, budget_s=BUDGET_S), weight_n, count)

    def run(self, setting: Setting, over: Window, *, control_step_s: float = CONTROL_STEP_S) -> tuple[Rollout, Timing]:
        """Walk to the window's end, the setting from its start on; what it left there and what that cost."""
        watches: list[Handover] = []

        def manager(model: osim.Model, state: osim.State) -> Handover:
            watches.append(
                Handover(model, state, before=self.approach.manager, after=setting.manager, at_s=over.start_s)
            )
            return watches[-1]

        walk = self.make(self.person, seed=0, manager=manager, control_step_s=control_step_s)
        rollout = walk.run(duration_s=over.end_s, budget_s=BUDGET_S)
        last_s = float(rollout.times_s[-1]) if len(rollout.times_s) else 0.0
        watch = watches[0]
        return rollout, Timing(last_s - over.start_s, watch.wall_s, watch.cpu_s, None, 1, rollout.end)


class Tumble:
    """The bare skeleton in the air, from one instant of a walk on."""

    def __init__(self, description: ModelDescription, coordinates: NDArray[np.float64], speeds: NDArray[np.float64]):
        self._names = description.coordinate_names
        self._coordinates, self._speeds = coordinates, speeds
        bare = dataclasses.replace(description, muscles=(), spheres=(), limits=(), springs=(), reflexes=())
        self._models = {"fall": build(bare), "weightless": build(bare)}
        self._models["weightless"].setGravity(osim.Vec3(0.0))

    def drift(self, setting: Setting, *, seconds: float = TUMBLE_S) -> dict[str, float]:
        """Largest relative change of energy in `seconds`: falling, and weightless (see the module's docstring)."""
        return {name: self._drift(model, setting, seconds) for name, model in self._models.items()}

    def _drift(self, model: osim.Model, setting: Setting, seconds: float) -> float:
        state = model.initSystem()
        coordinates = model.getCoordinateSet()
        for name, value, speed in zip(self._names, self._coordinates, self._speeds, strict=True):
            still = name in ("pelvis_tx", "pelvis_ty", "pelvis_tz")
            height = TUMBLE_HEIGHT_M if name == "pelvis_ty" else 0.0
            coordinates.get(name).setValue(state, float(value) + height, False)
            coordinates.get(name).setSpeedValue(state, 0.0 if still else float(speed))

        def energies(at: osim.State) -> tuple[float, float]:
            model.realizeDynamics(at)
            return float(model.calcKineticEnergy(at)), float(model.calcPotentialEnergy(at))

        manager = setting.manager(model, state)
        kinetic, potential = energies(state)
        whole, change, turned_over = kinetic + potential, 0.0, kinetic
        for step in range(1, round(seconds / CONTROL_STEP_S) + 1):
            # In the steps of a walk: a longer one would let an error-controlled integrator stride out.
            now_kinetic, now_potential = energies(manager.integrate(step * CONTROL_STEP_S))
            change = max(change, abs(now_kinetic + now_potential - whole))
            turned_over = max(turned_over, potential - now_potential)
        return change / turned_over
