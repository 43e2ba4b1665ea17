"""One candidate tried on the compiled twin: the job's people walk, and the cost says how well."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from farm.control.reflex import gain_names
from farm.search.candidates import Candidate, Outcome
from farm.search.job import Job, job_from_json
from farm.search.person import heads, walker
from workers.search.measures import measures
from workers.simulate.score import cost, strayed
from workers.simulate.twin.engine import TwinWalk

BODIES_KEPT = 64
"""Bodies that a process keeps ready: building one takes as long as its walk. A job has at most 16 people."""

COST_OF_THE_UNTRIED = 160.0
"""What those count who were not asked to walk any more: the dearest fall, and a start that got nowhere."""


def try_on_twin(job: Job, candidate: Candidate) -> Outcome:
    """What becomes of a candidate: terms are the mean over the job's people, and nobody may fall.

    Raises:
        PathFitError: One of the people has a muscle path that no polynomial describes.
    """
    text, at = job.model_dump_json(), tuple(sorted(candidate.at.items()))
    count = heads(job)
    total: dict[str, float] = {}
    walked, measured = True, dict[str, float]()
    for number in range(count):
        someone = walker(job, number, candidate.at, candidate.gains)
        rollout = _body(text, number, at).run(duration_s=job.aim.duration_s, gains=someone.reflex_gains)
        for name, part in cost(rollout, someone, job.aim).items():
            total[name] = total.get(name, 0.0) + part / count
        fault = strayed(rollout, someone, job.aim)
        if number == 0 and not fault:
            measured = measures(rollout, someone)
        walked = walked and not fault
        if fault == "fell":
            # Who falls first ends the trial: those after count as fallen at once, which is cheap to know.
            total["fall"] += COST_OF_THE_UNTRIED * (count - 1 - number) / count
            break
    return Outcome(sum(total.values()), walked, total, measured)


@lru_cache(maxsize=BODIES_KEPT)
def _body(job_text: str, number: int, at: tuple[tuple[str, float | str], ...]) -> TwinWalk:
    """One of a job's people, ready to walk with any gains."""
    job = job_from_json(job_text)
    none = np.zeros(len(gain_names(job.body_model)))
    return TwinWalk(walker(job, number, dict(at), none), seed=job.seed)
