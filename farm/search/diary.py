"""What a search has done so far, beside the searcher's own state: the whole of a checkpoint.

Walkers that the search has put forward stand here from the moment they are found until OpenSim has judged each of the
job's people, so that none is lost with the process.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from farm.control.archived import ArchivedController
from farm.search.candidates import Candidate, Finalist, Outcome, State


@dataclass(frozen=True)
class Verdict:
    """What OpenSim made of one finalist and one of the job's people.

    Attributes:
        walker: Row for the archive; None if it was turned down.
        reason: Why it was turned down.
    """

    finalist: int
    person: int
    walker: ArchivedController | None
    reason: str = ""


@dataclass
class Diary:
    """A search's history, grown by the driver.

    Attributes:
        best_cost: Least cost of each generation.
        walked: Share of each generation's candidates that walked on the twin.
        covered: How much of the way, or of the map, had walkers after each generation.
        finalists: Walkers that were put forward, by number.
        verdicts: Those of OpenSim, by (finalist, person).
    """

    best_cost: list[float] = field(default_factory=list)
    walked: list[float] = field(default_factory=list)
    covered: list[float] = field(default_factory=list)
    finalists: dict[int, Finalist] = field(default_factory=dict)
    verdicts: dict[tuple[int, int], Verdict] = field(default_factory=dict)

    def note(self, outcomes: list[Outcome], covered: float) -> None:
        """A generation was tried."""
        self.best_cost.append(min(outcome.cost for outcome in outcomes))
        self.walked.append(sum(outcome.walked for outcome in outcomes) / len(outcomes))
        self.covered.append(covered)

    def pending(self, people: int) -> list[tuple[int, int]]:
        """(finalist, person) that OpenSim has still to judge, oldest first."""
        wanted = [(number, person) for number in sorted(self.finalists) for person in range(people)]
        return [key for key in wanted if key not in self.verdicts]

    def walkers(self) -> list[ArchivedController]:
        """Those that walked in OpenSim, in the order in which the search found them."""
        return [verdict.walker for _, verdict in sorted(self.verdicts.items()) if verdict.walker is not None]

    def best(self) -> Finalist | None:
        """The last finalist of which anybody walked in OpenSim: with annealing the farthest along the way."""
        numbers = [number for (number, _), verdict in self.verdicts.items() if verdict.walker is not None]
        return self.finalists[max(numbers)] if numbers else None

    def turned_down(self) -> list[Verdict]:
        """Finalists that did not walk in OpenSim."""
        return [verdict for _, verdict in sorted(self.verdicts.items()) if verdict.walker is None]


def to_state(job: Mapping[str, Any], search: State, diary: Diary) -> State:
    """One state of all that a search has to remember, with the job it belongs to."""
    finalists = [
        {"number": f.number, "at": dict(f.candidate.at), "outcome": asdict(f.outcome)} for f in diary.finalists.values()
    ]
    verdicts = [
        {"finalist": v.finalist, "person": v.person, "reason": v.reason, "walker": v.walker and v.walker.cells()}
        for v in diary.verdicts.values()
    ]
    plain = {"job": dict(job), "search": dict(search.plain), "finalists": finalists, "verdicts": verdicts}
    arrays: dict[str, NDArray[Any]] = {f"search_{name}": array for name, array in search.arrays.items()}
    if diary.finalists:
        arrays["finalists"] = np.array([finalist.candidate.gains for finalist in diary.finalists.values()])
    arrays["history"] = np.array([diary.best_cost, diary.walked, diary.covered], dtype=float)
    return State(plain, arrays)


def from_state(state: State) -> tuple[Mapping[str, Any], State, Diary]:
    """The job, the searcher's state and the diary that `to_state` put together."""
    prefix = "search_"
    arrays = {name.removeprefix(prefix): array for name, array in state.arrays.items() if name.startswith(prefix)}
    best_cost, walked, covered = state.arrays["history"].tolist()
    diary = Diary(best_cost, walked, covered)
    for place, kept in enumerate(state.plain["finalists"]):
        gains = np.asarray(state.arrays["finalists"][place], dtype=float)
        diary.finalists[kept["number"]] = Finalist(
            kept["number"], Candidate(gains, kept["at"]), Outcome(**kept["outcome"])
        )
    for kept in state.plain["verdicts"]:
        cells = kept["walker"]
        walker = ArchivedController.from_cells(cells) if cells else None
        diary.verdicts[kept["finalist"], kept["person"]] = Verdict(
            kept["finalist"], kept["person"], walker, kept["reason"]
        )
    return state.plain["job"], State(state.plain["search"], arrays), diary
