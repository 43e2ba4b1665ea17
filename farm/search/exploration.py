"""Many different walkers instead of one best: quality diversity (CMA-ME, Fontaine et al. 2020; `ribs`) in rounds.

A map is cut into cells over measures of a walk, such as speed and step length, and each cell keeps the cheapest walker
that fell into it. Evolutions set out from walkers of the map and are drawn to cells that are empty or can be bettered.

The library's evolutions cannot be written out. So a search goes in rounds: a round begins with fresh evolutions from
walkers of the map, and is kept as the map at its beginning and what it was told since; replayed, it is the same to the
last bit. Where another machine's arithmetic differs, a digest shows it, and a new round begins from the map as it is.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from farm.search.candidates import Array, Candidate, Finalist, Outcome, State
from farm.seeds import Stream, generator

if TYPE_CHECKING:
    from ribs.emitters import EvolutionStrategyEmitter

BETTER = 0.9
"""A cell's walker is put forward again where its cost has fallen below this share of what it was when it last was."""

NOT_ADDED = -1e6
"""What ranks those below all others who did not walk, or walked off the map."""


@dataclass(frozen=True)
class Chart:
    """The map, and how it is explored.

    Attributes:
        axes: Measure -> its range and into how many cells it is cut.
        rounds: How often evolutions set out.
        generations: Of a round.
        evolutions: Side by side.
        population: Candidates of one evolution's generation.
    """

    axes: Mapping[str, tuple[tuple[float, float], int]]
    rounds: int
    generations: int
    evolutions: int
    population: int
    sigma: float
    seed: int

    @property
    def cells(self) -> int:
        """Of the map."""
        return int(np.prod([count for _, count in self.axes.values()]))


@dataclass
class _Elites:
    """The map's walkers: `[N, D]` gains, `[N]` costs, `[N, A]` measures."""

    gains: Array
    costs: Array
    measures: Array


class Exploration:
    """Quality diversity; a `Searcher`.

    Args:
        start: `[D]` gains that walk; around them the first walkers are looked for.
    """

    def __init__(self, chart: Chart, start: Array) -> None:
        self._chart = chart
        self._start = start.copy()
        self._round = -1  # before the first: the start and what is around it
        self._finalists = 0
        self._put_forward: dict[int, float] = {}
        self._done = False
        none = np.zeros(0)
        self._begin_round(_Elites(none.reshape(0, len(start)), none, none.reshape(0, len(chart.axes))))

    def _begin_round(self, elites: _Elites) -> None:
        """Fresh evolutions from walkers of the map, by chance; what is told from here on belongs to this round."""
        from ribs.archives import GridArchive
        from ribs.emitters import EvolutionStrategyEmitter

        chart, axes = self._chart, self._chart.axes.values()
        # What is around the start is drawn as a round of its own, numbered after the last.
        rng = generator(chart.seed, Stream.SEARCH, self._round if self._round >= 0 else chart.rounds)
        self._rng = rng
        self._map = GridArchive(
            solution_dim=len(self._start), dims=[count for _, count in axes], ranges=[ends for ends, _ in axes],
            seed=int(rng.integers(2**63)),  # of where evolutions go that get nowhere
        )  # fmt: skip
        if len(elites.costs):
            self._map.add(elites.gains, -elites.costs, elites.measures)
        self._at_begin = elites
        self._told: list[Array] = []
        self._digest = hashlib.sha256()
        self._asked: Array | None = None
        self._evolutions: list[EvolutionStrategyEmitter] = []
        if self._round >= 0:
            chosen = rng.permutation(len(elites.costs))
            self._evolutions = [
                EvolutionStrategyEmitter(
                    self._map, x0=elites.gains[chosen[number % len(chosen)]], sigma0=chart.sigma, ranker="2imp",
                    batch_size=chart.population, seed=int(rng.integers(2**63)),
                )
                for number in range(chart.evolutions)
            ]  # fmt: skip

    @property
    def done(self) -> bool:
        return self._done

    @property
    def share(self) -> float:
        if self._done:
            return 1.0
        chart = self._chart
        return (max(0, self._round) + len(self._told) / chart.generations * (self._round >= 0)) / chart.rounds

    @property
    def covered(self) -> float:
        return float(self._map.stats.num_elites) / self._chart.cells

    @property
    def standing(self) -> str:
        cells = f"{self._map.stats.num_elites} of {self._chart.cells} cells"
        if self._round < 0:
            return "around the start"
        where = f"round {self._round + 1} of {self._chart.rounds}, generation {len(self._told)}"
        return f"{where} of {self._chart.generations}, {cells}"

    def ask(self) -> list[Candidate]:
        chart = self._chart
        if self._round < 0:
            asked = self._start + chart.sigma * self._rng.standard_normal((chart.population, len(self._start)))
            asked[0] = self._start
        else:
            asked = np.concatenate([evolution.ask() for evolution in self._evolutions])
        self._digest.update(np.ascontiguousarray(asked, dtype=float).tobytes())
        self._asked = np.asarray(asked, dtype=float)
        return [Candidate(gains) for gains in self._asked]

    def tell(self, outcomes: Sequence[Outcome]) -> list[Finalist]:
        names = list(self._chart.axes)
        self._hear(np.array([[o.cost, o.walked, *(o.measures.get(name, np.nan) for name in names)] for o in outcomes]))
        if self._round < 0:
            if self._map.empty:
                self._done = True  # the start does not walk, or off the map
                return []
        elif len(self._told) < self._chart.generations:
            return []
        found = self._new_elites() if self._round >= 0 else []
        self._round += 1
        if self._round == self._chart.rounds:
            self._done = True
        else:
            self._begin_round(self._elites())
        return found

    def _hear(self, told: Array) -> None:
        """Take `[B, 2 + A]` in: cost, whether it walked, measures."""
        if self._asked is None:
            raise ValueError("tell comes after ask")
        ends = np.array([ends for ends, _ in self._chart.axes.values()])
        measures = told[:, 2:]
        with np.errstate(invalid="ignore"):
            on_map = (told[:, 1] > 0) & np.all((measures >= ends[:, 0]) & (measures <= ends[:, 1]), axis=1)
        status, value = np.zeros(len(told), dtype=np.int32), NOT_ADDED - told[:, 0]
        if on_map.any():
            info = self._map.add(self._asked[on_map], -told[on_map, 0], measures[on_map])
            status[on_map], value[on_map] = info["status"], info["value"]
        measures = np.where(on_map[:, None], measures, ends.mean(axis=1))
        for number, evolution in enumerate(self._evolutions):
            part = slice(number * self._chart.population, (number + 1) * self._chart.population)
            evolution.tell(
                self._asked[part], -told[part, 0], measures[part], {"status": status[part], "value": value[part]}
            )
        self._told.append(told)
        self._asked = None

    def _new_elites(self) -> list[Finalist]:
        """Walkers of cells that were empty, or are much better filled, since they were last put forward."""
        data = self._map.data(["index", "solution", "objective", "measures"])
        found: list[Finalist] = []
        for place in np.argsort(data["index"]):
            cell, cost = int(data["index"][place]), -float(data["objective"][place])
            if cost < BETTER * self._put_forward.get(cell, np.inf):
                self._put_forward[cell] = cost
                measures = dict(zip(self._chart.axes, map(float, data["measures"][place]), strict=True))
                candidate = Candidate(np.array(data["solution"][place], dtype=float))
                found.append(Finalist(self._finalists, candidate, Outcome(cost, True, measures=measures)))
                self._finalists += 1
        return found

    def _elites(self) -> _Elites:
        data = self._map.data(["index", "solution", "objective", "measures"])
        order = np.argsort(data["index"])
        return _Elites(data["solution"][order], -data["objective"][order], data["measures"][order])

    def state(self) -> State:
        now, begin = self._elites(), self._at_begin
        plain: dict[str, Any] = {
            "round": self._round, "finalists": self._finalists, "done": self._done, "asked": self._digest.hexdigest(),
            "put_forward": {str(cell): cost for cell, cost in self._put_forward.items()},
        }  # fmt: skip
        arrays: dict[str, NDArray[Any]] = {"start": self._start}
        for when, elites in (("begin", begin), ("now", now)):
            arrays |= {
                f"{when}_gains": elites.gains,
                f"{when}_costs": elites.costs,
                f"{when}_measures": elites.measures,
            }
        if self._told:
            arrays["told"] = np.array(self._told)
        return State(plain, arrays)

    @classmethod
    def from_state(cls, chart: Chart, state: State) -> Exploration:
        """The search as it was: equal to the last bit where arithmetic is equal, else a new round from its map."""
        if state.plain["done"]:
            return cls._at_round_begin(chart, state, "now")
        search = cls._at_round_begin(chart, state, "begin")
        for told in state.arrays.get("told", ()):
            search.ask()
            search._hear(told)
        if search._digest.hexdigest() == state.plain["asked"]:
            return search
        return cls._at_round_begin(chart, state, "now")

    @classmethod
    def _at_round_begin(cls, chart: Chart, state: State, when: str) -> Exploration:
        search, plain = cls(chart, np.asarray(state.arrays["start"], dtype=float)), state.plain
        search._round, search._finalists = plain["round"], plain["finalists"]
        search._put_forward = {int(cell): cost for cell, cost in plain["put_forward"].items()}
        gains, costs, measures = (state.arrays[f"{when}_{name}"] for name in ("gains", "costs", "measures"))
        search._begin_round(_Elites(gains, costs, measures))
        search._done = plain["done"]
        return search
