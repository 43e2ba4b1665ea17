"""Which searcher runs which job."""

from __future__ import annotations

from farm.search.annealing import Annealing, Way
from farm.search.candidates import Array, Searcher, State
from farm.search.job import AnnealJob, Job


def searcher(job: Job, start: Array) -> Searcher:
    """A fresh search from these gains."""
    return Annealing(_way(job), start)


def searcher_from_state(job: Job, state: State) -> Searcher:
    """The search as it was when the state was taken."""
    return Annealing.from_state(_way(job), state)


def _way(job: Job) -> Way:
    if isinstance(job, AnnealJob):
        return Way(
            along=job.along, step=job.step, least_step=job.least_step, generations=job.generations, polish=job.polish,
            population=job.population, sigma=job.sigma, seed=job.seed,
        )  # fmt: skip
    return Way(
        along={}, step=1.0, least_step=1.0, generations=job.generations, polish=job.generations,
        population=job.population, sigma=job.sigma, seed=job.seed,
    )  # fmt: skip
