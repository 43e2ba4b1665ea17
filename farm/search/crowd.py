"""Who a spreading search draws, how far they are from each other, and who walks already."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from farm.control.archive import shipped_archive
from farm.control.archive_file import read_archive
from farm.control.archived import ArchivedController
from farm.control.likeness import at, place
from farm.control.similarity import rescale_gains
from farm.errors import CampaignError
from farm.sampling.anatomy import GENERIC_HIP_HEIGHT_M
from farm.sampling.population import person_rand
from farm.search.candidates import Array, At
from farm.search.job import SpreadJob
from farm.search.spread import Crowd, Walkers
from farm.seeds import Stream, generator, name_key


def crowd(job: SpreadJob) -> Crowd:
    """Whom the job draws."""

    def draw(number: int) -> At:
        rng = generator(job.seed, Stream.SEARCH, number, name_key("person"))
        who = person_rand(job.who, rng).model_dump()
        severity, speed_m_s = float(rng.uniform(*job.over.severity)), float(rng.uniform(*job.over.speed_m_s))
        return who | {"severity": severity if job.side != "none" else 0.0, "speed_m_s": speed_m_s}

    return Crowd(
        draw=draw, place=place, targets=job.targets, generations=job.generations, polish=job.polish,
        population=job.population, sigma=job.sigma, seed=job.seed,
    )  # fmt: skip


def known_walkers(name: str, job: SpreadJob) -> Walkers:
    """Everybody of the job's start from whom it can learn: who walks with its condition and side, and the healthy.

    Args:
        name: Of the search, for messages.

    Raises:
        CampaignError: The start is no archive, or has nobody.
        FormatError: It is damaged.
    """
    rows = [row for row in _start(name, job) if row.body_model == job.body_model and _teaches(row, job)]
    if not rows:
        raise CampaignError(
            f"{name}: start {job.start!r} has nobody in body model {job.body_model!r} who walks with {job.condition} "
            f"on side {job.side!r}, nor anybody healthy; search first walkers by `method: cmaes` or `anneal`"
        )
    return Walkers(tuple(at(row) for row in rows), np.array([_gains(row, job) for row in rows]))


def _start(name: str, job: SpreadJob) -> tuple[ArchivedController, ...]:
    if job.start == "archive":
        return shipped_archive()
    path = Path(str(job.start))
    if not path.is_file():
        raise CampaignError(f"{name}: there is no archive {job.start!r}; write `archive`, or name a Parquet file")
    return tuple(read_archive(path))


def _teaches(row: ArchivedController, job: SpreadJob) -> bool:
    lame = not job.asymmetric and not np.array_equal(row.gains[0], row.gains[1])
    if lame or row.explored:  # a map's walkers are kept because they are odd
        return False
    return row.condition == "healthy" or (row.condition == job.condition and row.side == job.side)


def _gains(row: ArchivedController, job: SpreadJob) -> Array:
    generic = rescale_gains(row.gains, leg_length_ratio=GENERIC_HIP_HEIGHT_M / row.leg_length_m)
    return generic.ravel() if job.asymmetric else generic[0]
