"""Batches from a dataset's shards, wherever they lie: split, order and augmentation are pure functions of a seed.

A shard is fetched whole (one object per array), once, and kept in memory up to
a limit; batches are made ahead of time by threads. Batch b of rank r in epoch e
is determined by (seed, e, b, r) and by nothing else: neither by the number of
threads nor by what was interrupted before, so training resumes exactly.
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections import OrderedDict, deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
from torch.utils.data import IterableDataset

from farm.errors import FormatError
from farm.seeds import Stream, generator
from workers.train.clips import Batch, GaitClip, batch_rand
from workers.train.keypoints import RATE_HZ

Part = Literal["train", "validation", "test"]
Place = tuple[str, int]
"""A gait: its shard, and its position in the shard."""

TEST_SHARE, VALIDATION_SHARE = 0.10, 0.10
SMALL_TEST_SHARE, SMALL_VALIDATION_SHARE = 0.20, 0.12
"""Of a dataset with too few shards to hold whole ones out."""

MIN_SHARDS_TO_SPLIT = 10
MEANINGFUL_TEST_GAITS = 30
"""Below this a correlation of 0.5 is not told from chance with any power (Fisher z: SE 0.19 at n = 30)."""

SHARDS_TOGETHER = 4
"""Gaits are shuffled across this many shards at a time, so that few shards are held at once."""

CLIP_S = (2.0, 6.0)
"""Lengths of the training cuts; all cuts of a batch are equally long."""

CACHE_BYTES = 1 << 30
MAX_RANKS = 1 << 16
MAX_STEPS = 1 << 32


class ClipSource(Protocol):
    """Where gaits come from: a dataset's URI, or memory."""

    @property
    def shards(self) -> Mapping[str, int]:
        """Number of accepted gaits in each shard."""

    def load(self, shard_id: str) -> Sequence[GaitClip | None]:
        """Every gait of a shard, in order; None where it cannot be learned from."""


@dataclass(frozen=True)
class Split:
    """Which gaits are for what; by shard, or by gait where there are too few shards.

    Attributes:
        unit: "shard" or "gait".
        parts: Gaits of each part, in the order of the dataset.
        warning: What to tell the user about it, or "".
    """

    unit: str
    parts: Mapping[Part, tuple[Place, ...]]
    warning: str = ""


def _position(seed: int, name: str) -> float:
    """A number in [0, 1) that depends on (seed, name) alone, so that a growing dataset keeps its held-out shards."""
    return int.from_bytes(hashlib.sha256(f"{seed}:{name}".encode()).digest()[:8], "big") / 2**64


def split(shards: Mapping[str, int], seed: int) -> Split:
    """Hold shards out for validation and test; of small datasets, hold gaits out.

    Every gait is a person of its own, so gaits of one shard share nothing but
    the file: a split by gait leaks nothing either. Whole shards are held out
    where there are enough of them because then no part reads another's bytes.

    Raises:
        FormatError: Fewer than three gaits.
    """
    total = sum(shards.values())
    if total < 3:
        raise FormatError(
            f"the dataset holds {total} accepted gaits; training needs 3 at the very least "
            "(one each to train, to validate and to test): generate more samples"
        )
    filled = [shard for shard, n in shards.items() if n > 0]
    by_shard = len(filled) >= MIN_SHARDS_TO_SPLIT
    units: list[tuple[Place, ...]]
    if by_shard:
        units = [tuple((shard, i) for i in range(shards[shard])) for shard in filled]
        names = list(filled)
    else:
        units = [((shard, i),) for shard in filled for i in range(shards[shard])]
        names = [f"{shard}/{i}" for shard in filled for i in range(shards[shard])]
    at = [_position(seed, name) for name in names]
    parts = _by_position(at) if by_shard else _by_rank(at)
    members: dict[Part, tuple[Place, ...]] = {
        part: tuple(place for unit, its in zip(units, parts, strict=True) if its == part for place in unit)
        for part in ("train", "validation", "test")
    }
    n_test = len(members["test"])
    warning = ""
    if n_test < MEANINGFUL_TEST_GAITS:
        warning = (
            f"only {n_test} of {total} gaits are held out for the test: too few for a meaningful correlation "
            f"(that takes {MEANINGFUL_TEST_GAITS}, a dataset of about {int(MEANINGFUL_TEST_GAITS / TEST_SHARE)})"
        )
        if not by_shard:
            warning += f"; with {len(filled)} shards, single gaits are held out instead of whole shards"
    return Split("shard" if by_shard else "gait", members, warning)


def _by_position(at: Sequence[float]) -> list[Part]:
    """A part for each unit by its position alone; the outermost units fill a part that chance left empty."""
    parts: list[Part] = [
        "test" if u < TEST_SHARE else "validation" if u < TEST_SHARE + VALIDATION_SHARE else "train" for u in at
    ]
    order = np.argsort(at, kind="stable")
    wanted: tuple[tuple[int, Part], ...] = ((0, "test"), (1, "validation"), (-1, "train"))
    for place, part in wanted:
        if part not in parts:
            parts[order[place]] = part
    return parts


def _by_rank(at: Sequence[float]) -> list[Part]:
    """A part for each unit by the rank of its position: of a dozen, chance alone may hold out one or six."""
    n_test = max(1, round(SMALL_TEST_SHARE * len(at)))
    n_validation = max(1, round(SMALL_VALIDATION_SHARE * len(at)))
    parts: list[Part] = ["train"] * len(at)
    for rank, unit in enumerate(np.argsort(at, kind="stable")):
        if rank < n_test + n_validation:
            parts[unit] = "test" if rank < n_test else "validation"
    return parts


def epoch_places(places: Sequence[Place], *, seed: int, epoch: int, rank: int, world: int, n: int) -> list[Place]:
    """The `n` gaits that a rank sees in an epoch, in order.

    Ranks take shards in turn (so that each fetches only its own), or gaits in
    turn where there are fewer shards than ranks. A rank that runs out starts
    over in another order, so that all ranks make equally many steps.
    """
    rng = generator(seed, Stream.SPLIT, epoch)
    by_shard: dict[str, list[Place]] = {}
    for place in places:
        by_shard.setdefault(place[0], []).append(place)
    shards = [list(by_shard)[i] for i in rng.permutation(len(by_shard))]
    if len(shards) >= world:
        mine = [by_shard[shard] for shard in shards[rank::world]]
    else:
        own = set(list(places)[rank::world] or places)
        mine = [[place for place in by_shard[shard] if place in own] for shard in shards]
    order: list[Place] = []
    turn = 0
    while len(order) < n:
        turns = generator(seed, Stream.SPLIT, ((epoch + 1) * MAX_RANKS + rank) * MAX_STEPS + turn)
        for first in range(0, len(mine), SHARDS_TOGETHER):
            together = [place for shard in mine[first : first + SHARDS_TOGETHER] for place in shard]
            order += [together[i] for i in turns.permutation(len(together))]
        turn += 1
    return order[:n]


class ShardCache:
    """Shards in memory, each fetched once, oldest dropped first; safe for threads."""

    def __init__(self, source: ClipSource, limit_bytes: int = CACHE_BYTES) -> None:
        self._source = source
        self._limit = limit_bytes
        self._lock = threading.Lock()
        self._shards: OrderedDict[str, Future[Sequence[GaitClip | None]]] = OrderedDict()
        self._bytes: dict[str, int] = {}
        self.fetched = 0

    def clip(self, place: Place) -> GaitClip | None:
        """The gait at `place`, fetching its shard if need be."""
        shard_id, index = place
        with self._lock:
            future = self._shards.get(shard_id)
            mine = future is None
            if future is None:
                future = self._shards[shard_id] = Future()
            self._shards.move_to_end(shard_id)
        if mine:
            self._fetch(shard_id, future)
        return future.result()[index]

    def _fetch(self, shard_id: str, future: Future[Sequence[GaitClip | None]]) -> None:
        try:
            clips = self._source.load(shard_id)
        except BaseException as error:
            with self._lock:
                self._shards.pop(shard_id, None)
            future.set_exception(error)
            return
        future.set_result(clips)
        with self._lock:
            self.fetched += 1
            self._bytes[shard_id] = sum(clip.nbytes for clip in clips if clip)
            while sum(self._bytes.values()) > self._limit and len(self._bytes) > 1:
                oldest = next(key for key in self._shards if key in self._bytes)
                if oldest == shard_id:
                    break
                del self._shards[oldest], self._bytes[oldest]


class GaitStream(IterableDataset[Batch]):
    """Endless training batches of one rank; `state_dict` says where it is, `load_state_dict` goes there.

    Iterating yields the rest of the current epoch and moves on to the next one.

    Args:
        source: Where the gaits are.
        places: The gaits to train on.
        seed: Of order and augmentation.
        batch_size: Clips in a batch of this rank.
        steps_per_epoch: Batches of an epoch, the same for every rank.
        rank, world: This rank, and how many there are.
        threads: How many batches are made at the same time; None for one per core, at most 8.
    """

    def __init__(
        self,
        source: ClipSource,
        places: Sequence[Place],
        *,
        seed: int,
        batch_size: int,
        steps_per_epoch: int,
        rank: int = 0,
        world: int = 1,
        threads: int | None = None,
    ) -> None:
        super().__init__()
        self._cache = ShardCache(source)
        self._places = tuple(places)
        self._seed = seed
        self._batch_size = batch_size
        self._rank, self._world = rank, world
        self._threads = threads or min(8, os.cpu_count() or 1)
        self.steps_per_epoch = steps_per_epoch
        self.epoch = 0
        self.step = 0

    def state_dict(self) -> dict[str, int]:
        """Epoch, and batches of it that were handed out."""
        return {"epoch": self.epoch, "step": self.step}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on after what `state` had handed out."""
        self.epoch, self.step = int(state["epoch"]), int(state["step"])

    def __iter__(self) -> Iterator[Batch]:
        epoch = self.epoch
        order = epoch_places(
            self._places, seed=self._seed, epoch=epoch, rank=self._rank, world=self._world,
            n=self.steps_per_epoch * self._batch_size,
        )  # fmt: skip
        waiting: deque[Future[Batch]] = deque()
        todo = iter(range(self.step, self.steps_per_epoch))
        with ThreadPoolExecutor(self._threads, thread_name_prefix="batches") as pool:
            try:
                for step in todo:
                    waiting.append(pool.submit(self.batch, order, epoch, step))
                    if len(waiting) > 2 * self._threads:
                        yield self._handed_out(waiting.popleft().result())
                while waiting:
                    yield self._handed_out(waiting.popleft().result())
            finally:
                for future in waiting:
                    future.cancel()
        self.epoch, self.step = epoch + 1, 0

    def _handed_out(self, batch: Batch) -> Batch:
        self.step += 1
        return batch

    def batch(self, order: Sequence[Place], epoch: int, step: int) -> Batch:
        """Batch `step` of `epoch`: the same whoever asks, and whenever."""
        rng = generator(self._seed, Stream.AUGMENTATION, (epoch * MAX_STEPS + step) * MAX_RANKS + self._rank)
        chosen = order[step * self._batch_size : (step + 1) * self._batch_size]
        clips = [clip for place in chosen if (clip := self._cache.clip(place)) is not None]
        if not clips:
            raise FormatError(
                f"no gait of shards {', '.join(sorted({p[0] for p in chosen}))} has all labels; see `gaitfarm verify`"
            )
        n_moments = int(np.exp(rng.uniform(np.log(CLIP_S[0]), np.log(CLIP_S[1]))) * RATE_HZ) // 4 * 4
        return batch_rand(rng, clips, n_moments)
