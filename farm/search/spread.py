"""From those who walk to others like them: walkers for a whole population, a person at a time.

An archive of walkers carries more people than the ones it was searched with: somebody of another size, strength or
severity often walks with the gains of the nearest, or of a mixture of the nearest few. So people are drawn from a
population, not too far from those who walk already; each tries what the nearest walk with, and whoever still falls is
helped by a short evolution. Everybody who walks is one more from whom the next can learn: the archive spreads over the
population as a quality-diversity search spreads over its map, only that its cells are people.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from farm.search.candidates import Array, At, Candidate, Finalist, Outcome, State
from farm.search.evolution import Evolution
from farm.seeds import Stream, generator, name_key

DRAWN_AT_ONCE, TAKEN = 8, 2
"""Of so many people drawn the third nearest to those who walk comes next: a step outwards, but no leap."""

MIXED = 3
"""A mixture of gains is one of at most so many of the nearest walkers."""


@dataclass(frozen=True)
class Crowd:
    """Who shall walk, and how long each is helped.

    Attributes:
        draw: Number of a person -> who they are, as fields of the job.
        place: The same person as a point; walkers one unit apart are much alike.
        targets: How many people are tried.
        generations: Longest search for one of them.
        polish: Generations that improve somebody who walks.
    """

    draw: Callable[[int], At]
    place: Callable[[At], Array]
    targets: int
    generations: int
    polish: int
    population: int
    sigma: float
    seed: int


@dataclass(frozen=True)
class Walkers:
    """Those who walk: where they are, `[N]`, and their gains `[N, D]`."""

    at: tuple[At, ...]
    gains: Array


@dataclass(frozen=True)
class _Progress:
    """Plain values, of which the state is made.

    Attributes:
        target: Number of the person who is tried now.
        drawn: How many people were drawn so far.
        generation: Of this person's search.
        walked_at: Generation in which they first walked; -1 before.
        carried: How many walked.
    """

    target: int = 0
    drawn: int = 0
    generation: int = 0
    walked_at: int = -1
    carried: int = 0


class Spreading:
    """Walkers for a population; a `Searcher`.

    Args:
        known: Whom to learn from at first; at least one.
    """

    def __init__(self, crowd: Crowd, known: Walkers) -> None:
        if not known.at:
            raise ValueError("nobody walks yet: a first walker is a matter of cmaes or anneal")
        self._crowd = crowd
        self._at = list(known.at)
        self._gains = known.gains.copy()
        self._places = np.array([crowd.place(at) for at in known.at])
        self._progress = _Progress()
        self._who: At = {}
        self._evolution: Evolution | None = None
        self._best: tuple[Array, Outcome] | None = None
        self._asked: Array | None = None
        self._next_person()

    @property
    def done(self) -> bool:
        return self._progress.target >= self._crowd.targets

    @property
    def share(self) -> float:
        return self._progress.target / self._crowd.targets

    @property
    def covered(self) -> float:
        return self._progress.carried / self._crowd.targets

    @property
    def standing(self) -> str:
        progress, crowd = self._progress, self._crowd
        number = min(progress.target + 1, crowd.targets)
        return f"person {number} of {crowd.targets}, generation {progress.generation}, {progress.carried} walk"

    def ask(self) -> list[Candidate]:
        self._asked = self._first_guesses() if self._evolution is None else self._evolution.ask()
        return [Candidate(gains, self._who) for gains in self._asked]

    def tell(self, outcomes: Sequence[Outcome]) -> list[Finalist]:
        if self._asked is None:
            raise ValueError("tell comes after ask")
        if self._evolution is not None:
            self._evolution.tell([outcome.cost for outcome in outcomes])
        for gains, outcome in zip(self._asked, outcomes, strict=True):
            if self._best is None or _rank(outcome) < _rank(self._best[1]):
                self._best = gains.copy(), outcome
        self._asked = None
        if self._best is None:
            raise ValueError("a generation has at least one candidate")
        gains, outcome = self._best
        progress = replace(self._progress, generation=self._progress.generation + 1)
        if outcome.walked and progress.walked_at < 0:
            progress = replace(progress, walked_at=progress.generation)
        self._progress = progress
        polished = progress.walked_at >= 0 and progress.generation - progress.walked_at >= self._crowd.polish
        exhausted = self._evolution is not None and self._evolution.exhausted
        if polished or exhausted or progress.generation >= self._crowd.generations:
            return self._person_ends(gains, outcome)
        if self._evolution is None:
            crowd = self._crowd
            self._evolution = Evolution(gains, crowd.sigma, crowd.population, seed=crowd.seed, index=progress.target)
        return []

    def _person_ends(self, gains: Array, outcome: Outcome) -> list[Finalist]:
        progress, found = self._progress, []
        if outcome.walked:
            found = [Finalist(progress.carried, Candidate(gains, self._who), outcome)]
            self._at.append(self._who)
            self._gains = np.vstack([self._gains, gains])
            self._places = np.vstack([self._places, self._crowd.place(self._who)])
        self._progress = replace(
            progress, target=progress.target + 1, generation=0, walked_at=-1, carried=progress.carried + len(found)
        )
        self._next_person()
        return found

    def _next_person(self) -> None:
        first = self._progress.drawn
        drawn = [self._crowd.draw(number) for number in range(first, first + DRAWN_AT_ONCE)]
        far = [float(self._far(at).min()) for at in drawn]
        self._who = drawn[int(np.argsort(far, kind="stable")[TAKEN])]
        self._progress = replace(self._progress, drawn=first + DRAWN_AT_ONCE)
        self._evolution = self._best = None

    def _far(self, at: At) -> Array:
        """`[N]` from each who walks."""
        return np.asarray(np.linalg.norm(self._places - self._crowd.place(at), axis=1))

    def _first_guesses(self) -> Array:
        """`[population, D]`: the gains of the nearest as they are, then mixtures of the nearest with some noise."""
        crowd, far = self._crowd, self._far(self._who)
        nearest = self._gains[np.argsort(far, kind="stable")[: max(crowd.population // 2, MIXED)]]
        as_they_are = nearest[: crowd.population // 2]
        rng = generator(crowd.seed, Stream.SEARCH, self._progress.target, name_key("guesses"))
        mixed = nearest[:MIXED]
        count = crowd.population - len(as_they_are)
        shares = rng.dirichlet(np.ones(len(mixed)), count)
        noise = crowd.sigma * rng.standard_normal((count, mixed.shape[1]))
        return np.vstack([as_they_are, shares @ mixed + noise])

    def state(self) -> State:
        plain: dict[str, Any] = {
            "progress": asdict(self._progress), "who": dict(self._who), "at": [dict(at) for at in self._at],
        }  # fmt: skip
        arrays: dict[str, NDArray[Any]] = {"gains": self._gains}
        if self._evolution is not None:
            run = self._evolution.state()
            plain["evolution"] = dict(run.plain)
            arrays |= {f"evolution_{name}": value for name, value in run.arrays.items()}
        if self._best is not None:
            plain["best"] = asdict(self._best[1])
            arrays["best"] = self._best[0]
        return State(plain, arrays)

    @classmethod
    def from_state(cls, crowd: Crowd, state: State) -> Spreading:
        """The search as it was."""
        plain, arrays = state.plain, state.arrays
        search = cls(crowd, Walkers(tuple(plain["at"]), np.asarray(arrays["gains"], dtype=float)))
        search._progress = _Progress(**plain["progress"])
        search._who = plain["who"]
        if "evolution" in plain:
            prefix = "evolution_"
            run = {name.removeprefix(prefix): a for name, a in arrays.items() if name.startswith(prefix)}
            search._evolution = Evolution.from_state(State(plain["evolution"], run))
        if "best" in plain:
            search._best = np.asarray(arrays["best"], dtype=float), Outcome(**plain["best"])
        return search


def _rank(outcome: Outcome) -> tuple[bool, float]:
    """Walkers first, then the cheaper."""
    return not outcome.walked, outcome.cost
