"""Counter-based randomness: (seed, stream, sample id) is all that a draw depends on.

Any worker can make any sample, in any order, after any crash, because no
generator is shared and no state is carried from one sample to the next.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from enum import IntEnum

import numpy as np


class Stream(IntEnum):
    """One number for each independent use of randomness. Append only: numbers are part of the format."""

    BODY = 0
    CONDITION = 1
    MUSCLES = 2
    CONTROLLER = 3
    MOTOR_NOISE = 4
    SCENE = 5  # the person's looks
    CAMERAS = 6
    SPLIT = 7  # taken, but no longer drawn from: a split hashes (seed, sample id), see `farm.dataset.split`
    AUGMENTATION = 8
    RECHECK = 9
    PLACE = 10
    LIGHT = 11
    SENSOR = 12
    AIDS = 13  # what a walker wears and carries against an impairment
    DRAPERY = 14  # skirts and coats
    STRATA = 15  # of a whole campaign whose people are drawn evenly
    SEARCH = 100  # of controllers: draws no sample, and stands apart from the samples' numbers


def generator(seed: int, stream: Stream, index: int, *parts: int) -> np.random.Generator:
    """The generator of one stream of one sample, or of a part of it that can be made alone (`parts`: 32 bits each).

    `SeedSequence` keys never collide for different (stream, index), which adding
    seeds together does not promise.
    """
    key = (int(stream), index, *parts)
    return np.random.Generator(np.random.Philox(np.random.SeedSequence(seed, spawn_key=key)))


def name_key(name: str) -> int:
    """32 bits of a name, such as a view's, as one of a generator's `parts`."""
    return zlib.crc32(name.encode())


def branch(rng: np.random.Generator, names: Sequence[str]) -> list[np.random.Generator]:
    """A generator for each name, each a function of `rng`'s next numbers and its own name alone.

    So a view's camera stays as it is when others are added to the campaign.
    """
    entropy = [int(word) for word in rng.integers(0, 2**32, 4, dtype=np.uint64)]
    return [
        np.random.Generator(np.random.Philox(np.random.SeedSequence(entropy, spawn_key=(name_key(name),))))
        for name in names
    ]
