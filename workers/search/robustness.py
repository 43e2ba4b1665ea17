"""How many people like a walker walk with its gains: a campaign never draws that very walker."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from farm.control.archived import ArchivedController
from farm.control.similarity import rescale_gains
from farm.records import GaitParameters
from farm.sampling.anatomy import anatomy
from farm.sampling.impaired import impaired
from farm.sampling.person import own_body
from farm.sampling.population import similar_rand
from farm.seeds import Stream, generator, name_key
from workers.simulate.twin.engine import TwinWalk

NEIGHBOURS = 8


def robustness(row: ArchivedController) -> float:
    """Share of `NEIGHBOURS` that walk on the twin for as long as the walker did, with its gains rescaled to them.

    Who they are is a matter of the walker's digest alone.
    """
    entropy = int(row.digest()[:15], 16)
    walked = 0
    for number in range(NEIGHBOURS):
        someone = neighbour_rand(row, generator(entropy, Stream.SEARCH, number, name_key("neighbour")), number)
        walked += TwinWalk(someone, seed=entropy).run(duration_s=row.duration_s).end == "completed"
    return walked / NEIGHBOURS


def neighbour_rand(row: ArchivedController, rng: np.random.Generator, number: int) -> GaitParameters:
    """Somebody of about the walker's size and strength with the same condition, and its gains."""
    healthy = own_body(similar_rand(row.person, rng), row.body_model, number)
    someone = impaired(healthy, row.condition, row.severity, row.side)
    ratio = anatomy(someone).leg_length_m / row.leg_length_m
    own = row.parameters()
    return replace(
        someone,
        target_speed_m_s=row.target_speed_m_s * math.sqrt(ratio),
        reflex_gain_names=own.reflex_gain_names,
        reflex_gains=rescale_gains(row.gains, leg_length_ratio=ratio),
    )
