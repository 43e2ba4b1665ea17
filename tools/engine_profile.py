"""Where OpenSim's time goes: the same person with parts left out, evaluated side by side.

What a part costs is what it adds to the evaluation of the bare skeleton. The variants take
turns in one process, and the fastest of many short turns counts: on a machine that
others use, too, that is the one which nobody disturbed.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from timed_walks import evaluation_us, evaluator

from farm.control.reflex import CONTROL_STEP_S
from farm.records import GaitParameters
from workers.simulate.description import ModelDescription, Muscle, describe
from workers.simulate.forward import INTEGRATION_STEP_S, Walk, farm_manager, initial_state
from workers.simulate.model import build

if TYPE_CHECKING:
    from workers.simulate.opensim_library import osim


@dataclass(frozen=True)
class Cost:
    """One line of the profile: microseconds of CPU time, for each evaluation or each control step."""

    part: str
    us: float


@dataclass(frozen=True)
class Profile:
    """Where the time goes.

    Attributes:
        evaluation: Parts of one `realizeAcceleration`; they add up to its whole.
        control_step: Parts of one control step of a walk; they add up to its whole.
    """

    evaluation: tuple[Cost, ...]
    control_step: tuple[Cost, ...]


def profile(person: GaitParameters, *, turns: int, seconds: float) -> Profile:
    """Measure one person's model: `turns` of each variant, and `seconds` of walking."""
    whole = describe(person)
    bare = dataclasses.replace(whole, muscles=(), spheres=(), limits=(), springs=(), reflexes=())
    add = partial(dataclasses.replace, bare)
    straight = tuple(_straightened(muscle) for muscle in whole.muscles)
    variants = {
        "skeleton": bare,
        "passive": add(limits=whole.limits, springs=whole.springs, reflexes=whole.reflexes),
        "contact": add(spheres=whole.spheres),
        "muscles": add(muscles=straight),
        "muscles on their paths": add(muscles=whole.muscles),
        "whole": whole,
    }
    cost = evaluation_us({name: _evaluator(variant, person) for name, variant in variants.items()}, turns=turns)
    parts = {
        "skeleton": cost["skeleton"],
        "passive joints, torques": cost["passive"] - cost["skeleton"],
        "contact": cost["contact"] - cost["skeleton"],
        "muscles": cost["muscles"] - cost["skeleton"],
        "path polynomials": cost["muscles on their paths"] - cost["muscles"],
    }
    # What is paid once, whichever part comes first, makes this negative.
    parts["together"] = cost["whole"] - sum(parts.values())
    return Profile(
        evaluation=tuple(Cost(name, us) for name, us in parts.items()),
        control_step=_control_step(person, cost["whole"], seconds),
    )


def _evaluator(description: ModelDescription, person: GaitParameters) -> Callable[[], None]:
    model = build(description)
    state = model.initSystem()
    rest = next((s.rest_rad for s in description.springs if s.coordinate == "lumbar_extension"), 0.0)
    pose, speeds = initial_state(person, rest)
    coordinates = model.getCoordinateSet()
    for name, value in pose.items():
        coordinates.get(name).setValue(state, value, False)
    for name, value in speeds.items():
        coordinates.get(name).setSpeedValue(state, value)
    return evaluator(model, state)


def _straightened(muscle: Muscle) -> Muscle:
    """The muscle on a path that no coordinate changes: the least polynomial that OpenSim takes."""
    dimension = len(muscle.path.coordinates)
    coefficients = (muscle.path.coefficients[0], *(0.0 for _ in range(dimension)))
    return dataclasses.replace(muscle, path=dataclasses.replace(muscle.path, order=1, coefficients=coefficients))


class _Stopwatch:
    """A manager that takes the time in and between its integrations."""

    def __init__(self, manager: Any) -> None:
        self._manager = manager
        self._left = time.process_time()
        self.inside_s: list[float] = []
        self.between_s: list[float] = []

    def integrate(self, time_s: float) -> osim.State:
        start = time.process_time()
        self.between_s.append(start - self._left)
        state = self._manager.integrate(time_s)
        self._left = time.process_time()
        self.inside_s.append(self._left - start)
        return state


def _control_step(person: GaitParameters, evaluation: float, seconds: float) -> tuple[Cost, ...]:
    """Of a walk's fastest control step, as the evaluations are of the fastest turn."""
    watches: list[_Stopwatch] = []

    def watched(model: osim.Model, state: osim.State) -> _Stopwatch:
        watches.append(_Stopwatch(farm_manager(model, state)))
        return watches[-1]

    Walk(person, seed=0, manager=watched).run(duration_s=seconds, budget_s=3600.0)
    integration, between = (min(spent) * 1e6 for spent in (watches[0].inside_s, watches[0].between_s[1:]))
    evaluations = 2 * round(CONTROL_STEP_S / INTEGRATION_STEP_S)
    return (
        Cost(f"{evaluations} evaluations", evaluations * evaluation),
        Cost("integrator", integration - evaluations * evaluation),
        Cost("senses, control, records", between),
    )
