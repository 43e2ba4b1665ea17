"""What the proposal model learns from: people who were never searched for, trying the gains of an archive's walkers.

Each person is drawn from a population, with a condition of the archive and any severity, and walks on the compiled twin
with the gains of a few of those who would be proposed to them. Person n is the same for the same seed and archive; the
log holds whole people only, so that an interrupted run goes on with the next.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from farm.config import Population
from farm.control.archive import nearest
from farm.control.archived import ArchivedController
from farm.control.likeness import FEATURES, features, who_is
from farm.control.proposal import POOL
from farm.errors import FormatError
from farm.records import BodyModel, GaitParameters, Side
from farm.sampling.anatomy import anatomy
from farm.sampling.person import own_body
from farm.sampling.population import person_rand
from farm.sampling.taught import walking_as
from farm.seeds import Stream, generator, name_key
from workers.simulate.twin.engine import TwinWalk

TRIED = 5
"""Walkers whose gains a person tries: the nearest, and others by chance of those who would be looked at."""

HELD_OUT = 5
"""Every so-manieth person is kept for testing, and the next for telling when to stop learning."""

WALK_S = 10.0

SEVERITIES = (0.05, 1.0)


@dataclass(frozen=True)
class Stranger:
    """Somebody whom no search has seen.

    Attributes:
        healthy: Their body without the condition and without gains.
        speed_m_s: At which they should walk.
    """

    number: int
    healthy: GaitParameters
    condition: str
    severity: float
    side: Side
    speed_m_s: float
    leg_length_m: float

    @property
    def who(self) -> dict[str, float | str]:
        """As the model is told."""
        return {**who_is(self.healthy), "severity": self.severity}


@dataclass(frozen=True)
class Trials:
    """What strangers tried.

    Attributes:
        people: `[N]` number of the person.
        told: `[N, F]` by `farm.control.likeness.FEATURES`.
        walked: `[N]` whether they walked to the end.
    """

    people: NDArray[np.int64]
    told: NDArray[np.float64]
    walked: NDArray[np.bool_]

    @property
    def held_out(self) -> NDArray[np.bool_]:
        """`[N]` whether the person is kept for testing."""
        return np.equal(self.people % HELD_OUT, 0)

    @property
    def watched(self) -> NDArray[np.bool_]:
        """`[N]` whether the person tells when the model has learned enough."""
        return np.equal(self.people % HELD_OUT, 1)


def stranger_rand(
    rows: Sequence[ArchivedController], number: int, seed: int, body_model: BodyModel, *, healthy: bool | None = None
) -> Stranger:
    """Person `number`, with a condition and side that the archive has walkers of; each kind is as likely as another.

    Args:
        healthy: Only the healthy, or only the ill; None takes all.
    """
    rng = generator(seed, Stream.SEARCH, number, name_key("stranger"))
    kinds = sorted({(row.condition, row.side) for row in rows if row.body_model == body_model and not row.explored})
    kinds = [kind for kind in kinds if healthy is None or (kind[0] == "healthy") == healthy]
    condition, side = kinds[int(rng.integers(len(kinds)))]
    body = own_body(person_rand(Population(), rng), body_model, number)
    severity = float(rng.uniform(*SEVERITIES)) if side != "none" else 0.0
    speeds = [row.speed_m_s for row in rows if (row.condition, row.side) == (condition, side)]
    low, high = np.percentile(speeds, [5.0, 95.0])
    speed_m_s = float(rng.uniform(low, high))
    return Stranger(number, body, condition, severity, side, speed_m_s, anatomy(body).leg_length_m)


def walks_on_twin(someone: Stranger, teacher: ArchivedController, seed: int) -> bool:
    """Whether somebody walks for `WALK_S` with a walker's gains."""
    taught = walking_as(
        someone.healthy, someone.condition, someone.severity, someone.side, teacher, someone.leg_length_m
    )
    return TwinWalk(taught, seed=seed).run(duration_s=WALK_S).end == "completed"


def tried_by(
    rows: Sequence[ArchivedController], numbers: Sequence[int], seed: int, body_model: BodyModel
) -> list[dict[str, Any]]:
    """Trials of a few people, a line of the log each."""
    lines = []
    for number in numbers:
        someone = stranger_rand(rows, number, seed, body_model)
        near = nearest(
            someone.condition, someone.severity, someone.side, someone.speed_m_s, someone.leg_length_m,
            count=POOL, body_model=body_model, competing=False, everybody=rows,
        )  # fmt: skip
        rng = generator(seed, Stream.SEARCH, number, name_key("teachers"))
        others = rng.permutation(np.arange(1, len(near)))[: TRIED - 1]
        teachers = [near[0], *(near[place] for place in sorted(others.tolist()))]
        told = features(someone.who, someone.condition, teachers)
        walked = [walks_on_twin(someone, teacher, seed) for teacher in teachers]
        lines.append(
            {"person": number, "walked": walked, "told": [[round(cell, 6) for cell in row] for row in told.tolist()]}
        )
    return lines


def read_trials(log: Path, *, people: int) -> Trials:
    """The log's trials of the first so many people, by number, whatever the order in which they ended.

    Raises:
        FormatError: It is damaged, or of a gaitfarm that tells other things of people.
    """
    lines = {int(line["person"]): line for line in logged(log)}
    kept = [lines[number] for number in sorted(lines) if number < people]
    told = [row for line in kept for row in line["told"]]
    if any(len(row) != len(FEATURES) for row in told):
        raise FormatError(f"{log}: trials of another gaitfarm; take another --out")
    return Trials(
        people=np.array([line["person"] for line in kept for _ in line["walked"]], dtype=np.int64),
        told=np.array(told, dtype=float).reshape(-1, len(FEATURES)),
        walked=np.array([walked for line in kept for walked in line["walked"]], dtype=bool),
    )


def logged(log: Path) -> list[dict[str, Any]]:
    """The log's lines, one for each person; a last one that a crash cut off is left out.

    Raises:
        FormatError: It is damaged.
    """
    if not log.is_file():
        return []
    lines = log.read_text("utf-8").splitlines()
    found = []
    for number, line in enumerate(lines):
        try:
            found.append(json.loads(line))
        except ValueError:
            if number < len(lines) - 1:
                raise FormatError(f"{log}: line {number + 1} is no trial; remove it to begin anew") from None
    return found
