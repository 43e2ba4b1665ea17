"""Loading ahead keeps the order, loads each shard once where it fits, and keeps to its memory where it does not."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Sequence

import numpy as np
import pytest

from farm.dataset.order import as_ints, order
from farm.dataset.places import Places
from farm.dataset.prefetch import Limits, prefetched
from farm.errors import FormatError

GAIT_BYTES, PER_SHARD, SHARDS = 100, 5, 12
PLACES = Places(
    tuple((f"{n:02d}", "a") for n in range(SHARDS)),
    as_ints(np.repeat(np.arange(SHARDS), PER_SHARD)),
    as_ints(np.tile(np.arange(PER_SHARD), SHARDS)),
    as_ints(np.arange(SHARDS * PER_SHARD)),
)


class Shelves:
    """A source whose gaits are (shard, position); remembers what was loaded, and how."""

    def __init__(self, broken: int = -1) -> None:
        self.loads: Counter[int] = Counter()
        self.gaits: Counter[bool] = Counter()
        self.broken = broken
        self.lock = threading.Lock()

    def measure(self, shard: int) -> tuple[int, int]:
        return PER_SHARD, GAIT_BYTES

    def load(self, shard: int, positions: Sequence[int], *, whole: bool) -> Sequence[tuple[int, int]]:
        if shard == self.broken:
            raise FormatError(f"shard {shard} is damaged")
        with self.lock:
            self.loads[shard] += 1
            self.gaits[whole] += len(positions)
        return [(shard, position) for position in positions]


def walk(source: Shelves, sequence: np.ndarray, *, threads: int = 4, memory_bytes: int = 10_000) -> list[int]:
    gaits = prefetched(
        source, PLACES, sequence, lambda _, raw: raw[0] * PER_SHARD + raw[1], lambda _: GAIT_BYTES,
        Limits(threads, memory_bytes),
    )  # fmt: skip
    return list(gaits)


@pytest.mark.parametrize("threads", [1, 2, 9])
@pytest.mark.parametrize("memory_bytes", [1, 450, 2000, 100_000])
def test_the_order_is_kept(threads: int, memory_bytes: int) -> None:
    sequence = order(PLACES.counts, seed=3, epoch=1).take(np.arange(len(PLACES)))
    assert walk(Shelves(), sequence, threads=threads, memory_bytes=memory_bytes) == list(sequence)


def test_shards_that_fit_are_loaded_once_and_whole() -> None:
    source = Shelves()
    walk(source, order(PLACES.counts, seed=3, epoch=1).take(np.arange(len(PLACES))))
    assert set(source.loads.values()) == {1}
    assert source.gaits == {True: len(PLACES)}


def test_of_shards_that_are_needed_in_part_only_that_part_is_loaded() -> None:
    source = Shelves()
    assert walk(source, np.array([0, 5, 10, 1])) == [0, 5, 10, 1]
    assert source.loads == {0: 1, 1: 1, 2: 1}
    assert source.gaits == {False: 4}


def test_a_shuffle_over_everything_loads_gait_by_gait_where_memory_is_short() -> None:
    source = Shelves()
    sequence = order(PLACES.counts, seed=3, epoch=1, shuffle="full").take(np.arange(len(PLACES)))
    walk(source, sequence, memory_bytes=1000)
    assert source.gaits == {False: len(PLACES)}


@pytest.mark.parametrize("shuffle", ["none", "full"])
def test_no_more_is_loaded_than_fits(shuffle: str) -> None:
    """While one gait is looked at, what was begun and not handed out stays within the bound, and one unit."""
    source, threads, memory_bytes = Shelves(), 3, 1200
    sequence = order(PLACES.counts, seed=3, epoch=1, shuffle=shuffle).take(np.arange(len(PLACES)))  # type: ignore[arg-type]
    gaits = prefetched(
        source, PLACES, sequence, lambda _, raw: raw, lambda _: GAIT_BYTES, Limits(threads, memory_bytes)
    )
    for handed_out, _ in enumerate(gaits, start=1):
        with source.lock:
            loaded = sum(source.gaits.values())
        assert (loaded - handed_out) * GAIT_BYTES <= memory_bytes + PER_SHARD * GAIT_BYTES


def test_a_fault_comes_when_its_turn_comes() -> None:
    gaits = prefetched(
        Shelves(broken=2), PLACES, np.arange(len(PLACES)), lambda _, raw: raw, lambda _: 1, Limits(4, 10_000)
    )
    for n in range(2 * PER_SHARD):
        assert next(gaits) == divmod(n, PER_SHARD)
    with pytest.raises(FormatError, match="shard 2 is damaged"):
        next(gaits)


def test_what_is_repeated_is_given_again() -> None:
    assert walk(Shelves(), np.array([3, 3, 40, 3])) == [3, 3, 40, 3]
    assert walk(Shelves(), np.array([], dtype=np.int64)) == []
