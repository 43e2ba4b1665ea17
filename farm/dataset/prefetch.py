"""Gaits in a given order, loaded ahead of time by threads, within a bound on memory.

The order of what comes out is the order that went in, whatever the threads do. Where all
shards that are in use at the same time fit into memory, each is loaded once, whole if at
least half of it is needed; where they do not fit, gait by gait.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

import numpy as np

from farm.dataset.order import Ints
from farm.dataset.places import Places

Raw = TypeVar("Raw")
Loaded = TypeVar("Loaded", covariant=True)
Ready = TypeVar("Ready")

WORTH_WHOLE = 0.5
"""Share of a shard's gaits from which on its objects are read whole."""


class Source(Protocol[Loaded]):
    """Where gaits come from."""

    def measure(self, shard: int) -> tuple[int, int]:
        """Gaits in a shard, and the memory that one of them takes once it is loaded, in bytes."""

    def load(self, shard: int, positions: Sequence[int], *, whole: bool) -> Sequence[Loaded]:
        """The gaits at some positions of a shard."""


@dataclass(frozen=True)
class Limits:
    """What loading ahead may take.

    Attributes:
        threads: Loads at a time, and gaits made ready at a time.
        memory_bytes: What is loaded and not handed out yet; one gait, or one shard where they are loaded by shard,
            may come on top. Measured by the first shard: those of a dataset are alike.
    """

    threads: int
    memory_bytes: int


@dataclass
class _Unit(Generic[Raw]):
    """Gaits that are loaded together."""

    shard: int
    positions: list[int]
    whole: bool
    n_bytes: int
    left: int
    future: Future[Sequence[Raw]] | None = None


def prefetched(
    source: Source[Raw],
    places: Places,
    sequence: Ints,
    finish: Callable[[int, Raw], Ready],
    size_of: Callable[[Ready], int],
    limits: Limits,
) -> Generator[Ready, None, None]:
    """Gaits of `sequence` (numbers into `places`), one after the other.

    Args:
        finish: Makes a loaded gait ready, given its number in the sequence; runs in a thread.
        size_of: Bytes of one that is ready, by which it is decided how many are made ready ahead.

    Raises:
        FormatError, StorageError: As the source and `finish` do, when the gait's turn has come.
    """
    if not len(sequence):
        return
    units, unit_of, place_in_unit = _units(source, places, sequence, limits)
    with (
        ThreadPoolExecutor(limits.threads, thread_name_prefix="gaits-load") as loaders,
        ThreadPoolExecutor(limits.threads, thread_name_prefix="gaits-finish") as finishers,
    ):
        ahead = _Ahead(source, units, limits, loaders)
        waiting: deque[tuple[int, Future[Ready]]] = deque()
        largest, begun = 0, 0
        try:
            for _ in range(len(sequence)):
                depth = max(1, min(limits.threads + 1, limits.memory_bytes // largest)) if largest else 1
                while begun < len(sequence) and len(waiting) < depth:
                    loaded, at = ahead.loading(unit_of[begun]), int(place_in_unit[begun])
                    waiting.append((unit_of[begun], finishers.submit(_finished, finish, begun, loaded, at)))
                    begun += 1
                ahead.fill()
                unit, future = waiting.popleft()
                ready = future.result()
                largest = max(largest, size_of(ready))
                ahead.used(unit)
                yield ready
        finally:
            for _, pending in waiting:
                pending.cancel()
            ahead.cancel()


def _finished(finish: Callable[[int, Raw], Ready], number: int, loaded: Future[Sequence[Raw]], at: int) -> Ready:
    return finish(number, loaded.result()[at])


class _Ahead(Generic[Raw]):
    """Loads units in order of first use, as far ahead as memory allows."""

    def __init__(
        self, source: Source[Raw], units: Sequence[_Unit[Raw]], limits: Limits, pool: ThreadPoolExecutor
    ) -> None:
        self._source = source
        self._units = units
        self._limits = limits
        self._pool = pool
        self._next = 0
        self._held = 0

    def loading(self, number: int) -> Future[Sequence[Raw]]:
        """A unit's gaits, soon; all before it have been begun already."""
        while self._next <= number:
            self._begin()
        future = self._units[number].future
        assert future is not None  # units are released after their last use only
        return future

    def fill(self) -> None:
        """Begin more loads while they fit."""
        while self._next < len(self._units) and self._held + self._units[self._next].n_bytes <= (
            self._limits.memory_bytes
        ):
            if sum(1 for unit in self._recent() if unit.future is not None and not unit.future.done()) >= (
                self._limits.threads
            ):
                return
            self._begin()

    def used(self, number: int) -> None:
        """One gait of a unit was handed out."""
        unit = self._units[number]
        unit.left -= 1
        if not unit.left:
            unit.future = None
            self._held -= unit.n_bytes

    def cancel(self) -> None:
        for unit in self._units:
            if unit.future is not None:
                unit.future.cancel()

    def _recent(self) -> Sequence[_Unit[Raw]]:
        """The last few that were begun: loads are done about in order."""
        return self._units[max(0, self._next - 4 * self._limits.threads) : self._next]

    def _begin(self) -> None:
        unit = self._units[self._next]
        unit.future = self._pool.submit(self._source.load, unit.shard, unit.positions, whole=unit.whole)
        self._held += unit.n_bytes
        self._next += 1


def _units(
    source: Source[Raw], places: Places, sequence: Ints, limits: Limits
) -> tuple[list[_Unit[Raw]], list[int], Ints]:
    """What is loaded together; for each gait of the sequence its unit, and its place among the unit's gaits."""
    shard, position = places.shard[sequence], places.position[sequence]
    n_gaits, gait_bytes = source.measure(int(shard[0]))
    values, first, inverse, counts = np.unique(shard, return_index=True, return_inverse=True, return_counts=True)
    last = len(shard) - 1 - np.unique(shard[::-1], return_index=True)[1]
    opened = np.zeros(len(shard) + 1, dtype=np.int64)
    np.add.at(opened, first, 1)
    np.add.at(opened, last + 1, -1)
    if int(np.cumsum(opened).max()) * n_gaits * gait_bytes > limits.memory_bytes:
        single: list[_Unit[Raw]] = [
            _Unit(int(s), [int(p)], False, gait_bytes, 1) for s, p in zip(shard, position, strict=True)
        ]
        return single, list(range(len(single))), np.zeros(len(single), dtype=np.int64)
    rank = np.empty(len(values), dtype=np.int64)
    by_first = np.argsort(first, kind="stable")
    rank[by_first] = np.arange(len(values))
    units: list[_Unit[Raw]] = []
    for at in by_first:
        whole = counts[at] >= WORTH_WHOLE * n_gaits
        n_bytes = gait_bytes * (n_gaits if whole else int(counts[at]))
        units.append(_Unit(int(values[at]), [], bool(whole), n_bytes, int(counts[at])))
    unit_of = [int(n) for n in rank[inverse]]
    place_in_unit = np.empty(len(shard), dtype=np.int64)
    for number, (unit, at) in enumerate(zip(unit_of, position, strict=True)):
        place_in_unit[number] = len(units[unit].positions)
        units[unit].positions.append(int(at))
    return units, unit_of, place_in_unit
