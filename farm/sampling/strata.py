"""Even draws: a campaign's samples spread over condition, severity, speed, side and build better than chance does.

A Sobol' sequence (Sobol' 1967; direction numbers of Joe & Kuo 2008, SIAM J Sci Comput 30:2635) with a digital shift
by the campaign's seed. Each of the numbers is uniform; beside that, every aligned block of 2^k samples covers each
single one of them in 2^k equal strata, and pairs of them nearly so. A sample's point is a function of (seed, sample id)
alone: nothing is shuffled, so that samples are made in any order, and half a campaign covers as evenly as a whole.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from types import MappingProxyType

import numpy as np

from farm.seeds import Stream, generator

STRATIFIED: tuple[str, ...] = ("condition", "severity", "speed", "side", "sex", "stature", "body_mass_index", "age")
"""What is drawn evenly; the first are the most even in pairs."""

BITS = 32

_JOE_KUO: tuple[tuple[int, int, tuple[int, ...]], ...] = (
    # degree and coefficients of the primitive polynomial, first direction numbers; the first dimension needs none
    (1, 0, (1,)),
    (2, 1, (1, 3)),
    (3, 1, (1, 3, 1)),
    (3, 2, (1, 1, 1)),
    (4, 1, (1, 1, 3, 3)),
    (4, 4, (1, 3, 5, 13)),
    (5, 2, (1, 1, 5, 5, 17)),
)


def strata(seed: int, sample_id: int) -> Mapping[str, float]:
    """The sample's numbers in [0, 1), by `STRATIFIED`.

    Raises:
        ValueError: The sample id has more than 32 bits.
    """
    if not 0 <= sample_id < 1 << BITS:
        raise ValueError(f"sample id {sample_id} is not within 32 bits")
    shift = generator(seed, Stream.STRATA, 0).integers(0, 1 << BITS, len(STRATIFIED), dtype=np.uint64)
    point = dict(zip(STRATIFIED, (int(bits) for bits in shift), strict=True))
    for dimension, name in enumerate(STRATIFIED):
        for bit, direction in enumerate(_directions(dimension)):
            if sample_id >> bit & 1:
                point[name] ^= direction
    return MappingProxyType({name: bits / (1 << BITS) for name, bits in point.items()})


@cache
def _directions(dimension: int) -> tuple[int, ...]:
    """Direction numbers of one dimension, scaled to 32 bits: what bit j of the index adds to the point."""
    if dimension == 0:
        return tuple(1 << (BITS - 1 - bit) for bit in range(BITS))
    degree, coefficients, first = _JOE_KUO[dimension - 1]
    numbers = [first[bit] << (BITS - 1 - bit) for bit in range(degree)]
    for bit in range(degree, BITS):
        number = numbers[bit - degree] ^ (numbers[bit - degree] >> degree)
        for back in range(1, degree):
            if coefficients >> (degree - 1 - back) & 1:
                number ^= numbers[bit - back]
        numbers.append(number)
    return tuple(numbers)
