"""Which searcher runs which job."""

from __future__ import annotations

from pathlib import Path

from farm.search.annealing import Annealing, Way
from farm.search.candidates import Array, Searcher, State
from farm.search.crowd import crowd, known_walkers
from farm.search.exploration import Chart, Exploration
from farm.search.job import AnnealJob, CmaesJob, ExploreJob, Job, SpreadJob
from farm.search.spread import Spreading
from farm.search.start import start_gains


def begun(name: str, job: Job, folder: Path) -> Searcher:
    """A fresh search from where its job says.

    Args:
        name: Of the search, for messages.
        folder: Of the searches, where others leave their best.

    Raises:
        CampaignError: There is no such start.
    """
    if isinstance(job, SpreadJob):
        return Spreading(crowd(job), known_walkers(name, job))
    return searcher(job, start_gains(name, job, folder))


def searcher(job: CmaesJob | AnnealJob | ExploreJob, start: Array) -> Searcher:
    """A fresh search from these gains."""
    return Exploration(_chart(job), start) if isinstance(job, ExploreJob) else Annealing(_way(job), start)


def searcher_from_state(job: Job, state: State) -> Searcher:
    """The search as it was when the state was taken."""
    if isinstance(job, SpreadJob):
        return Spreading.from_state(crowd(job), state)
    if isinstance(job, ExploreJob):
        return Exploration.from_state(_chart(job), state)
    return Annealing.from_state(_way(job), state)


def _chart(job: ExploreJob) -> Chart:
    return Chart(
        axes={name: (axis.range, axis.cells) for name, axis in job.map.items()}, rounds=job.rounds,
        generations=job.generations, evolutions=job.evolutions, population=job.population, sigma=job.sigma,
        seed=job.seed,
    )  # fmt: skip


def _way(job: CmaesJob | AnnealJob) -> Way:
    if isinstance(job, AnnealJob):
        return Way(
            along=job.along, step=job.step, least_step=job.least_step, generations=job.generations, polish=job.polish,
            population=job.population, sigma=job.sigma, seed=job.seed,
        )  # fmt: skip
    return Way(
        along={}, step=1.0, least_step=1.0, generations=job.generations, polish=job.generations,
        population=job.population, sigma=job.sigma, seed=job.seed,
    )  # fmt: skip
