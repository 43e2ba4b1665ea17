"""From a search's words to the bodies that walk: its people, at a place of its way, with a candidate's gains."""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import replace

import numpy as np

from farm.control.reflex import gain_names
from farm.control.similarity import rescale_gains
from farm.records import GaitParameters
from farm.sampling.impaired import impaired
from farm.sampling.person import Person, leg_ratio, own_body
from farm.sampling.population import similar_rand
from farm.search.candidates import Array, At
from farm.search.job import Job, SpreadJob
from farm.seeds import Stream, generator, name_key


def heads(job: Job) -> int:
    """How many people must walk with the same gains."""
    return 1 + job.companions if isinstance(job, SpreadJob) else len(job.people)


def person_at(job: Job, number: int, at: At) -> Person:
    """One of the job's people at a place of its way.

    Args:
        number: Which of the job's people; of a job that spreads the first is who was drawn, the others are like them.
        at: Fields that the search sets.
    """
    changed = {name: value for name, value in at.items() if name in Person.model_fields}
    if not isinstance(job, SpreadJob):
        return Person.model_validate(job.people[number].model_dump() | changed)
    first = Person.model_validate(job.people[0].model_dump() | changed)
    if number == 0:
        return first
    who = hashlib.sha256(json.dumps(dict(at), sort_keys=True).encode()).hexdigest()
    rng = generator(job.seed, Stream.SEARCH, int(who[:15], 16), number, name_key("companion"))
    return similar_rand(first, rng)


def severity_at(job: Job, at: At) -> float:
    """Severity at a place of the job's way."""
    return float(at.get("severity", job.severity))


def walker(job: Job, number: int, at: At, gains: Array) -> GaitParameters:
    """One of the job's people with the condition and a candidate's gains, scaled to their size.

    `sample_id` is the person's number: with the job's seed it fixes their motor noise.
    """
    healthy = own_body(person_at(job, number, at), job.body_model, number)
    ill = impaired(healthy, job.condition, severity_at(job, at), job.side)
    ratio = leg_ratio(ill)
    return replace(
        ill, target_speed_m_s=float(at.get("speed_m_s", job.speed_m_s)) * math.sqrt(ratio),
        reflex_gain_names=gain_names(job.body_model),
        reflex_gains=rescale_gains(both_legs(job, gains), leg_length_ratio=ratio),
    )  # fmt: skip


def both_legs(job: Job, gains: Array) -> Array:
    """`[2, G]` of a candidate's `[G]` or `[2 G]`."""
    legs = gains.reshape(-1, len(gain_names(job.body_model)))
    return legs if len(legs) == 2 else np.repeat(legs, 2, axis=0)
