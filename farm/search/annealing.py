"""From a walker to the next harder one: CMA-ES with warm starts along a way.

Gains that walk with a healthy body fall with an ill one, and no search finds a severe case's from nothing. So the
severity (or the speed, or the anatomy) is raised in steps, each search begins at the walker of the step before, and a
step that no walker takes is halved: a homotopy, as in Song & Geyer (2018, J Neuroeng Rehabil 15:59) for old bodies.
A search for a first walker is the way of one step.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from farm.search.candidates import Array, Candidate, Finalist, Outcome, State
from farm.search.evolution import Evolution

STEP_GROWTH = 1.5
"""A step that was taken lets the next be longer, up to the first step's length."""


@dataclass(frozen=True)
class Way:
    """Where annealing leads, and how long it may take.

    Attributes:
        along: Field of the job -> its value at the beginning and at the end; between them it runs linearly.
        step, least_step: First and smallest step, as shares of the way.
        generations: Longest search of one step.
        polish: Generations that go on improving a step's walker after the first has walked.
    """

    along: Mapping[str, tuple[float, float]]
    step: float
    least_step: float
    generations: int
    polish: int
    population: int
    sigma: float
    seed: int

    def at(self, share: float) -> dict[str, float]:
        """The fields at this share of the way."""
        return {name: (1.0 - share) * low + share * high for name, (low, high) in self.along.items()}


@dataclass(frozen=True)
class _Place:
    """Where annealing stands: plain values, of which the state is made.

    Attributes:
        reached: Share of the way that was walked; -1 before the first walker.
        target: Share that is searched for now.
        generation: Of this step's search.
        walked_at: Generation in which this step's first walker walked; -1 before.
        runs: Searches begun so far.
    """

    reached: float = -1.0
    target: float = 0.0
    step: float = 0.0
    generation: int = 0
    walked_at: int = -1
    runs: int = 0
    finalists: int = 0
    done: bool = False


class Annealing:
    """CMA-ES along a way; a `Searcher`.

    Args:
        way: Where to go.
        start: `[D]` gains to begin with.
    """

    def __init__(self, way: Way, start: Array) -> None:
        self._way = way
        self._parent = start.copy()
        self._place = _Place(step=way.step)
        self._evolution = self._begin()
        self._best: tuple[Array, Outcome] | None = None
        self._asked: Array | None = None

    @property
    def done(self) -> bool:
        return self._place.done

    @property
    def reached(self) -> float:
        """Share of the way that was walked, -1 if its beginning was not."""
        return self._place.reached

    @property
    def share(self) -> float:
        if self.done:
            return 1.0
        return max(0.0, self.reached) if self._way.along else self._place.generation / self._way.generations

    @property
    def covered(self) -> float:
        return max(0.0, self.reached)

    @property
    def standing(self) -> str:
        place, way = self._place, self._way
        where = ", ".join(f"{name} {value:.3g}" for name, value in way.at(place.target).items())
        walking = "walks" if place.walked_at >= 0 else "falls"
        return f"{where + ', ' if where else ''}generation {place.generation} of {way.generations}, best {walking}"

    def ask(self) -> list[Candidate]:
        self._asked = self._evolution.ask()
        at = self._way.at(self._place.target)
        return [Candidate(gains, at) for gains in self._asked]

    def tell(self, outcomes: Sequence[Outcome]) -> list[Finalist]:
        if self._asked is None:
            raise ValueError("tell comes after ask")
        self._evolution.tell([outcome.cost for outcome in outcomes])
        for gains, outcome in zip(self._asked, outcomes, strict=True):
            if self._best is None or _rank(outcome) < _rank(self._best[1]):
                self._best = gains.copy(), outcome
        self._asked = None
        place = replace(self._place, generation=self._place.generation + 1)
        best = self._best
        if best is not None and best[1].walked and place.walked_at < 0:
            place = replace(place, walked_at=place.generation)
        self._place = place
        polished = place.walked_at >= 0 and place.generation - place.walked_at >= self._way.polish
        if best is not None and (polished or place.generation >= self._way.generations or self._evolution.exhausted):
            return self._step_ends(*best)
        return []

    def _step_ends(self, gains: Array, outcome: Outcome) -> list[Finalist]:
        place, way = self._place, self._way
        finalists: list[Finalist] = []
        if outcome.walked:
            finalists = [Finalist(place.finalists, Candidate(gains, way.at(place.target)), outcome)]
            self._parent = gains
            step = min(place.step * STEP_GROWTH, way.step)
            ended = not way.along or place.target >= 1.0
            place = replace(place, reached=place.target, step=step, finalists=place.finalists + 1, done=ended)
        else:
            step = 0.5 * place.step
            # Where nobody walks at the beginning of the way, no shorter step helps.
            place = replace(place, step=step, done=place.reached < 0.0 or step < way.least_step)
        target = place.target if place.done else min(1.0, place.reached + place.step)
        self._place = replace(place, target=target, generation=0, walked_at=-1, runs=place.runs + 1)
        self._best = None
        if not self._place.done:
            self._evolution = self._begin()
        return finalists

    def _begin(self) -> Evolution:
        way = self._way
        return Evolution(self._parent, way.sigma, way.population, seed=way.seed, index=self._place.runs)

    def state(self) -> State:
        run = self._evolution.state()
        plain: dict[str, Any] = {"place": asdict(self._place), "evolution": dict(run.plain)}
        arrays = {"parent": self._parent} | {f"evolution_{name}": value for name, value in run.arrays.items()}
        if self._best is not None:
            plain["best"] = asdict(self._best[1])
            arrays["best"] = self._best[0]
        return State(plain, arrays)

    @classmethod
    def from_state(cls, way: Way, state: State) -> Annealing:
        """The search as it was."""
        search = cls(way, np.asarray(state.arrays["parent"], dtype=float))
        search._place = _Place(**state.plain["place"])
        prefix = "evolution_"
        arrays = {name.removeprefix(prefix): a for name, a in state.arrays.items() if name.startswith(prefix)}
        search._evolution = Evolution.from_state(State(state.plain["evolution"], arrays))
        if "best" in state.plain:
            search._best = np.asarray(state.arrays["best"], dtype=float), Outcome(**state.plain["best"])
        return search


def _rank(outcome: Outcome) -> tuple[bool, float]:
    """Walkers first, then the cheaper."""
    return not outcome.walked, outcome.cost
