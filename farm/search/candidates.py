"""What a search asks about, and what it is told: candidates, outcomes, finalists."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

At = Mapping[str, float | str]
"""Fields of a job that its search sets: where on the way, or with whom, gains are tried."""

MEASURES: tuple[str, ...] = ("speed", "step_length", "step_time_asymmetry", "crouch", "effort")
"""How a walk is described while it is searched for: m/s; m of the pelvis's way in a step; (right - left) / (right +
left); rad of least knee flexion in stance, mean of both legs; mean squared excitation."""


@dataclass(frozen=True)
class Candidate:
    """Gains to be tried.

    Attributes:
        gains: `[G]` for both legs, or `[2 G]` right then left; normalised, for the generic leg's length.
        at: Where on the search's way, or with whom, they are tried: fields of the job, such as `severity`.
    """

    gains: Array
    at: At = field(default_factory=dict)


@dataclass(frozen=True)
class Outcome:
    """What became of a candidate.

    Attributes:
        cost: Lower is better; the sum of `terms`.
        walked: Nobody fell, nobody missed the speed by much, and in three dimensions the way was straight.
        terms: Parts of the cost, mean over the job's people.
        measures: By name of `MEASURES`, of the first of the job's people, where it walked.
    """

    cost: float
    walked: bool
    terms: Mapping[str, float] = field(default_factory=dict)
    measures: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Finalist:
    """A walker that the search puts forward: OpenSim decides whether it enters the archive.

    Attributes:
        number: From 0, in the order in which the search found them.
    """

    number: int
    candidate: Candidate
    outcome: Outcome


@dataclass(frozen=True)
class State:
    """All that a search has to remember: values that JSON holds, and arrays by name."""

    plain: Mapping[str, Any]
    arrays: Mapping[str, NDArray[Any]] = field(default_factory=dict)


class Searcher(Protocol):
    """A search, without anything that walks: it asks for candidates to be tried and is told what became of them.

    The same job gives the same candidates, whoever tries them and however often the search was
    taken up from its state in between, as long as it is told the same outcomes.
    """

    @property
    def done(self) -> bool:
        """Whether there is nothing more to ask."""
        ...

    @property
    def share(self) -> float:
        """How much of the search is done, 0 to 1."""
        ...

    @property
    def covered(self) -> float:
        """How much of its way, or of its map, the search has found walkers for, 0 to 1."""
        ...

    @property
    def standing(self) -> str:
        """Where the search is, in a few words."""
        ...

    def ask(self) -> list[Candidate]:
        """The next candidates. How many is the searcher's own matter: an evolution needs whole generations."""
        ...

    def tell(self, outcomes: Sequence[Outcome]) -> list[Finalist]:
        """What became of the candidates of the last `ask`, in their order; gives back the walkers worth confirming."""
        ...

    def state(self) -> State:
        """All that is needed to go on from here; asked for between `tell` and `ask`."""
        ...
