"""Batches from a dataset's shards, wherever they lie: split, order and augmentation are pure functions of a seed.

Which gait is for what says `farm.dataset.split`, which comes when `farm.dataset.order`, as
for every reader of a dataset: gaits that `gaitfarm pull --split test` takes with the same
seed are those that training never saw (of datasets with hundreds of gaits, see `split`).
A shard is fetched whole (one object per array), once, and kept in memory up to
a limit; batches are made ahead of time by threads. Batch b of rank r in epoch e
is determined by (seed, e, b, r) and by nothing else: neither by the number of
threads nor by what was interrupted before, so training resumes exactly.
"""

from __future__ import annotations

import os
import threading
from collections import OrderedDict, deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from torch.utils.data import IterableDataset

from farm.dataset.order import order
from farm.dataset.split import PARTS, Part, place_of
from farm.dataset.split import Split as Division
from farm.errors import FormatError
from farm.seeds import Stream, generator
from workers.train.clips import Batch, GaitClip, batch_rand
from workers.train.keypoints import RATE_HZ

Place = tuple[str, int]
"""A gait: its shard, and its position in the shard."""

TEST_SHARE = Division().test
SMALL_TEST_SHARE, SMALL_VALIDATION_SHARE = 0.20, 0.12
"""Of a dataset with too few gaits to leave the parts' sizes to chance."""

MIN_GAITS_TO_DIVIDE = 100
"""From here on the shares of `farm.dataset.split` hold: 10 gaits to test and 10 to validate, give or take 3."""

MEANINGFUL_TEST_GAITS = 30
"""Below this a correlation of 0.5 is not told from chance with any power (Fisher z: SE 0.19 at n = 30)."""

CLIP_S = (2.0, 6.0)
"""Lengths of the training cuts; all cuts of a batch are equally long."""

CACHE_BYTES = 1 << 30
MAX_RANKS = 1 << 16
MAX_STEPS = 1 << 32


class ClipSource(Protocol):
    """Where gaits come from: a dataset's URI, or memory."""

    @property
    def sample_ids(self) -> Mapping[str, Sequence[int]]:
        """Ids of the accepted gaits of each shard, in their order."""

    def load(self, shard_id: str) -> Sequence[GaitClip | None]:
        """Every gait of a shard, in order; None where it cannot be learned from."""


@dataclass(frozen=True)
class Split:
    """Which gaits are for what.

    Attributes:
        unit: What is held out: "gait".
        parts: Gaits of each part, in the order of the dataset.
        warning: What to tell the user about it, or "".
    """

    unit: str
    parts: Mapping[Part, tuple[Place, ...]]
    warning: str = ""


def split(sample_ids: Mapping[str, Sequence[int]], seed: int) -> Split:
    """Hold gaits out for validation and test, as `farm.dataset.split` divides with this seed.

    Every gait is a person of its own, so gaits of one shard share nothing but the
    file, and no part can leak into another. In a small dataset the same positions are
    ranked rather than compared with the shares: of a dozen, chance alone may hold out
    one or six.

    Raises:
        FormatError: Fewer than three gaits.
    """
    places = [(shard, i) for shard, ids in sample_ids.items() for i in range(len(ids))]
    numbers = [int(sample_id) for ids in sample_ids.values() for sample_id in ids]
    total = len(places)
    if total < 3:
        raise FormatError(
            f"the dataset holds {total} accepted gaits; training needs 3 at the very least "
            "(one each to train, to validate and to test): generate more samples"
        )
    if total >= MIN_GAITS_TO_DIVIDE:
        division = Division(seed=seed)
        parts = [division.part_of(number) for number in numbers]
    else:
        parts = _by_rank([place_of(seed, number) for number in numbers])
    members: dict[Part, tuple[Place, ...]] = {
        part: tuple(place for place, its in zip(places, parts, strict=True) if its == part) for part in PARTS
    }
    n_test = len(members["test"])
    warning = ""
    if n_test < MEANINGFUL_TEST_GAITS:
        warning = (
            f"only {n_test} of {total} gaits are held out for the test: too few for a meaningful correlation "
            f"(that takes {MEANINGFUL_TEST_GAITS}, a dataset of about {int(MEANINGFUL_TEST_GAITS / TEST_SHARE)})"
        )
    return Split("gait", members, warning)


def _by_rank(at: Sequence[float]) -> list[Part]:
    """A part for each gait by the rank of its position, so that none is empty."""
    n_test = max(1, round(SMALL_TEST_SHARE * len(at)))
    n_validation = max(1, round(SMALL_VALIDATION_SHARE * len(at)))
    parts: list[Part] = ["train"] * len(at)
    for rank, gait in enumerate(np.argsort(at, kind="stable")):
        if rank < n_test + n_validation:
            parts[gait] = "test" if rank < n_test else "validation"
    return parts


def epoch_places(
    places: Sequence[Place], *, seed: int, epoch: int, rank: int, world: int, n: int, batch_size: int = 1
) -> list[Place]:
    """The `n` gaits that a rank sees in an epoch, in order.

    All ranks together go through the gaits again and again, each time in the order of
    another epoch of `farm.dataset.order`; an epoch of training is the next `n * world`
    of them, however many that are. Of each step every rank takes the gaits of its own
    lanes, so that ranks fetch different shards as long as there are lanes enough.
    """
    by_shard: dict[str, list[Place]] = {}
    for place in places:
        by_shard.setdefault(place[0], []).append(place)
    as_they_lie = [place for its in by_shard.values() for place in its]
    counts = [len(its) for its in by_shard.values()]
    first = order(counts, seed=seed, epoch=0)
    steps = epoch * n * world + np.arange(n * world).reshape(-1, world * batch_size)
    by_lane = np.argsort(first.lane_of(steps % len(first)), axis=1, kind="stable")
    mine = np.take_along_axis(steps, by_lane, axis=1)[:, rank * batch_size : (rank + 1) * batch_size].ravel()
    found = np.empty(len(mine), dtype=np.int64)
    for turn in np.unique(mine // len(first)):
        of_it = mine // len(first) == turn
        found[of_it] = order(counts, seed=seed, epoch=int(turn)).take(mine[of_it] % len(first))
    return [as_they_lie[number] for number in found]


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
        places = epoch_places(
            self._places, seed=self._seed, epoch=epoch, rank=self._rank, world=self._world,
            n=self.steps_per_epoch * self._batch_size, batch_size=self._batch_size,
        )  # fmt: skip
        waiting: deque[Future[Batch]] = deque()
        todo = iter(range(self.step, self.steps_per_epoch))
        with ThreadPoolExecutor(self._threads, thread_name_prefix="batches") as pool:
            try:
                for step in todo:
                    waiting.append(pool.submit(self.batch, places, epoch, step))
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

    def batch(self, places: Sequence[Place], epoch: int, step: int) -> Batch:
        """Batch `step` of `epoch`: the same whoever asks, and whenever."""
        rng = generator(self._seed, Stream.AUGMENTATION, (epoch * MAX_STEPS + step) * MAX_RANKS + self._rank)
        chosen = places[step * self._batch_size : (step + 1) * self._batch_size]
        clips = [clip for place in chosen if (clip := self._cache.clip(place)) is not None]
        if not clips:
            raise FormatError(
                f"no gait of shards {', '.join(sorted({p[0] for p in chosen}))} has all labels; see `gaitfarm verify`"
            )
        n_moments = int(np.exp(rng.uniform(np.log(CLIP_S[0]), np.log(CLIP_S[1]))) * RATE_HZ) // 4 * 4
        return batch_rand(rng, clips, n_moments)
