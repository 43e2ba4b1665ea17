"""The order of an epoch, and each rank's share of it: pure functions of (seed, epoch, index).

`order(counts, seed=1, epoch=0)[i]` is the i-th gait of the epoch, for all ranks
together. It depends on nothing else: neither on how many ranks read, nor on
threads, nor on what was read before, so that a run goes on exactly where it
stopped, on more machines or on fewer.

Order "shards" is kind to object storage. Shards are shuffled, laid end to end and
cut into `lanes` of equal length; within a lane, gaits are shuffled over `window`
shards at a time; the lanes then take turns: gait i of the epoch comes from lane
i % lanes. A rank reads its own lanes as long as there are at least as many lanes as
ranks, so each shard is read once in an epoch (one that lies on the border between two
lanes, twice).

The shuffles are sorts by a hash of our own and not `numpy.random`, whose streams may
change from one numpy to the next (NEP 19): an order that is part of a published result
must outlive that.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from farm.errors import UserError

Ints = NDArray[np.int64]
Shuffle = Literal["shards", "full", "none"]
Tail = Literal["keep", "drop", "pad"]

WINDOW = 2
"""Shards over which the gaits of one lane are shuffled at a time."""

LANES = 8
"""Parts of an epoch that take turns. Ranks beyond this number share shards, and read them more than once."""

SPLITMIX_STEP, SPLITMIX_A, SPLITMIX_B = 0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB
"""The splitmix64 generator (Steele, Lea & Flood 2014, doi 10.1145/2660193.2660195): a bijection of 64-bit numbers."""


def key_of(*parts: int | str) -> int:
    """A 64-bit number that stands for these parts and for no others."""
    text = ":".join(str(part) for part in parts)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")


def hashed(key: int, numbers: Ints) -> NDArray[np.uint64]:
    """A 64-bit hash of each number under a key; different numbers never meet."""
    x = np.asarray(numbers, dtype=np.uint64) * np.uint64(SPLITMIX_STEP) + np.uint64(key)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(SPLITMIX_A)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(SPLITMIX_B)
    return np.asarray(x ^ (x >> np.uint64(31)))


def chance(key: int, numbers: Ints) -> NDArray[np.float64]:
    """A number in [0, 1) for each number, under a key."""
    return np.asarray((hashed(key, numbers) >> np.uint64(11)) / float(1 << 53))


@lru_cache(maxsize=64)
def permutation(key: int, n: int) -> Ints:
    """The numbers 0 to n - 1 in an order that the key decides; read-only."""
    order = np.argsort(hashed(key, np.arange(n, dtype=np.int64)), kind="stable").astype(np.int64)
    order.flags.writeable = False
    return order


@dataclass(frozen=True)
class Order:
    """The order of one epoch over gaits that lie in shards.

    Gaits are numbered 0 to n - 1 as they lie in the dataset: by shard, then by position.

    Attributes:
        counts: Gaits of each shard.
        seed, epoch: Of the shuffle.
        shuffle: "shards" as the module says; "full" over all gaits at once, which jumps from shard to shard;
            "none" as they lie.
        window, lanes: Of "shards". There are fewer lanes where each would not have a window of shards.
    """

    counts: tuple[int, ...]
    seed: int
    epoch: int
    shuffle: Shuffle = "shards"
    window: int = WINDOW
    lanes: int = LANES

    def __post_init__(self) -> None:
        if self.shuffle not in get_args(Shuffle):
            raise UserError(f"shuffle is {self.shuffle!r}; choose {', '.join(get_args(Shuffle))}")
        for name in ("window", "lanes"):
            if getattr(self, name) < 1:
                raise UserError(f"{name} is {getattr(self, name)!r}; it must be 1 or more")
        for name in ("seed", "epoch"):
            if getattr(self, name) < 0:
                raise UserError(f"{name} is {getattr(self, name)!r}; it must be 0 or more")

    def __len__(self) -> int:
        return sum(self.counts)

    def __getitem__(self, index: int) -> int:
        """The number of the gait at `index`; only its own window is shuffled for it."""
        if not 0 <= index < len(self):
            raise IndexError(f"index {index} of an epoch of {len(self)} gaits")
        return int(self.take(np.array([index]))[0])

    def take(self, indices: Ints) -> Ints:
        """The numbers of the gaits at many indices."""
        indices = np.asarray(indices, dtype=np.int64)
        if self.shuffle == "none" or not len(indices):
            return indices.copy()
        if self.shuffle == "full":
            return permutation(key_of("full", self.seed, self.epoch), len(self))[indices]
        lane, turn = indices % self.n_lanes, indices // self.n_lanes
        flat = self._lane_starts[lane] + turn
        window = np.searchsorted(self._window_starts, flat, side="right") - 1
        by_window = np.argsort(window, kind="stable")
        for some in np.split(by_window, np.flatnonzero(np.diff(window[by_window])) + 1):
            number = int(window[some[0]])
            begin, end = self._window_starts[number], self._window_starts[number + 1]
            turned = permutation(key_of("window", self.seed, self.epoch, number), int(end - begin))
            flat[some] = begin + turned[flat[some] - begin]
        shard = np.searchsorted(self._ends, flat, side="right")
        within = flat - np.concatenate([[0], self._ends])[shard]
        return np.asarray(self._starts_as_they_lie[self._shards[shard]] + within)

    def lane_of(self, indices: Ints) -> Ints:
        """The lane that each index belongs to; all the same where there are none."""
        return indices % self.n_lanes

    @cached_property
    def n_lanes(self) -> int:
        """Lanes that there are: as many as were asked for, if there are shards enough to shuffle in each."""
        if self.shuffle != "shards":
            return 1
        return max(1, min(self.lanes, sum(n > 0 for n in self.counts) // self.window))

    @cached_property
    def _shards(self) -> Ints:
        return permutation(key_of("shards", self.seed, self.epoch), len(self.counts))

    @cached_property
    def _starts_as_they_lie(self) -> Ints:
        return np.concatenate([[0], np.cumsum(self.counts, dtype=np.int64)]).astype(np.int64)

    @cached_property
    def _ends(self) -> Ints:
        """Where each shuffled shard ends, laid end to end."""
        return np.cumsum(np.asarray(self.counts, dtype=np.int64)[self._shards], dtype=np.int64)

    @cached_property
    def _lane_starts(self) -> Ints:
        """Where each lane begins; the first ones are one gait longer where they cannot all be equally long."""
        each, more = divmod(len(self), self.n_lanes)
        lengths = np.full(self.n_lanes, each) + (np.arange(self.n_lanes) < more)
        return np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)

    @cached_property
    def _window_starts(self) -> Ints:
        """Where each window begins, and the end of the last one."""
        starts: list[Ints] = []
        for begin, end in zip(self._lane_starts[:-1], self._lane_starts[1:], strict=True):
            first = int(np.searchsorted(self._ends, begin, side="right"))
            cuts = self._ends[first + self.window - 1 :: self.window]
            starts.append(np.concatenate([[begin], cuts[cuts < end]])[: end - begin])
        return np.concatenate([*starts, [len(self)]]).astype(np.int64)


def order(
    counts: Sequence[int], *, seed: int, epoch: int, shuffle: Shuffle = "shards", window: int = WINDOW,
    lanes: int = LANES,
) -> Order:  # fmt: skip
    """The order of an epoch: `order(...)[i]` is the number of its i-th gait, as they lie in the dataset.

    Raises:
        UserError: An argument is out of its range.
    """
    return Order(tuple(int(n) for n in counts), seed, epoch, shuffle, window, lanes)


@dataclass(frozen=True)
class Share:
    """What one of several ranks takes of an epoch, step by step.

    A step is `world * batch_size` gaits that follow one another in the epoch's order,
    whoever takes which: after any step, the epoch is done up to one index, from which
    any other number of ranks can go on.

    Attributes:
        rank, world: This rank, and how many there are.
        batch_size: Gaits that each rank takes in a step.
        tail: What becomes of the last step, if it is not full: "keep" gives each rank its share of what is left
            (shares differ by one gait at most, and may be empty: ranks may differ by one step), "drop" leaves it
            out, "pad" fills it from the epoch's beginning. With "drop" and "pad" all ranks make equally many steps.
    """

    rank: int
    world: int
    batch_size: int
    tail: Tail

    def __post_init__(self) -> None:
        if self.world < 1 or not 0 <= self.rank < self.world:
            raise UserError(f"rank {self.rank} of {self.world}: ranks count from 0 to world - 1")
        if self.batch_size < 1:
            raise UserError(f"batch_size is {self.batch_size!r}; it must be 1 or more")
        if self.tail not in get_args(Tail):
            raise UserError(f"tail is {self.tail!r}; choose {', '.join(get_args(Tail))}")

    @property
    def step_size(self) -> int:
        """Gaits of a step, over all ranks."""
        return self.world * self.batch_size

    def n_steps(self, n: int, begin: int = 0) -> int:
        """How many steps this rank makes from index `begin` of an epoch of `n` gaits on."""
        whole, rest = divmod(max(0, n - begin), self.step_size)
        return whole + (self.tail == "pad" and rest > 0) + (self.tail == "keep" and rest > self.rank)

    def steps(self, epoch: Order, begin: int = 0, first: int = 0, stop: int | None = None) -> list[Ints]:
        """Indices into the epoch's order that this rank takes in each step from index `begin` on.

        Args:
            first, stop: Only these steps, counted from `begin`; None for all.
        """
        stop = self.n_steps(len(epoch), begin) if stop is None else min(stop, self.n_steps(len(epoch), begin))
        left = max(0, len(epoch) - begin)
        full = stop if self.tail == "pad" else min(stop, left // self.step_size)
        starts = begin + np.arange(first, full, dtype=np.int64)[:, None] * self.step_size
        rows = starts + np.arange(self.step_size, dtype=np.int64)
        mine = _by_lane(epoch, rows)[:, self.rank * self.batch_size : (self.rank + 1) * self.batch_size]
        found = list(mine % max(1, len(epoch)))
        if first <= full < stop:  # the kept rest
            last = np.arange(begin + full * self.step_size, len(epoch), dtype=np.int64)
            found.append(np.array_split(_by_lane(epoch, last[None])[0], self.world)[self.rank])
        return found


def _by_lane(epoch: Order, rows: Ints) -> Ints:
    """The indices of each step sorted by their lanes, so that a rank meets the same lanes in every step."""
    keys = epoch.lane_of(rows)
    return np.take_along_axis(rows, np.argsort(keys, axis=1, kind="stable"), axis=1)


def as_ints(values: Any) -> Ints:
    """Numbers as a read-only array of our integer type."""
    array = np.array(values, dtype=np.int64)
    array.flags.writeable = False
    return array
