"""Going through a dataset, once or for many epochs, alone or as one of many ranks, from wherever one was.

    stream = GaitDataset(uri).stream(fields=("keypoints_2d", "labels"), seed=1, batch_size=32)
    for batch in stream: ...          # the rest of the current epoch; then the stream stands at the next one

What comes, and in which order, is decided by (seed, epoch, index) in `farm.dataset.order`
and by nothing else: threads, memory and cache change only how soon it comes. Which stretch
of a gait is cut out is decided by (seed, epoch, sample id), whoever reads it. A stream
goes through the gaits that were there when it was made. Its `state_dict` is plain JSON and
leads back to the same gaits in a dataset that has grown; the number of ranks and the
batch size may be others then.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from farm.dataset import video
from farm.dataset.gaits import FRAMES, Gait, GaitBatch, collate, cut, cut_frames
from farm.dataset.load import Values, bytes_of, load, wanted
from farm.dataset.order import LANES, WINDOW, Ints, Order, Share, Shuffle, Tail, chance, key_of, order
from farm.dataset.places import Places, Shard, pinned, ranges_of
from farm.dataset.prefetch import Limits, prefetched
from farm.dataset.schema import ArrayPath
from farm.errors import FormatError, StateMismatchError, UserError

if TYPE_CHECKING:
    from farm.dataset.reader import GaitDataset

MEMORY_BYTES = 1 << 30
STATE_VERSION = 1

SHARES = "0.8/0.1/0.1"
"""Of train, validation and test, where nothing else is said."""

BLOCK = 1 << 16
"""Gaits whose order is laid out at a time; shards on the border of two blocks are read twice."""

Item = Gait | GaitBatch


@dataclass(frozen=True)
class StreamSettings:
    """What a stream gives, and to whom; see `GaitDataset.stream`, which documents each."""

    fields: tuple[str, ...] | None = None
    views: tuple[str, ...] | None = None
    frames: tuple[str, ...] = ()
    where: str | None = None
    split: str | None = None
    shares: str = SHARES
    split_seed: int = 0
    seed: int = 0
    shuffle: Shuffle = "shards"
    window: int = WINDOW
    lanes: int = LANES
    rank: int = 0
    world: int = 1
    batch_size: int | None = None
    tail: Tail | None = None
    cut_s: float | None = None
    threads: int | None = None
    memory_bytes: int = MEMORY_BYTES

    def __post_init__(self) -> None:
        if self.tail is None and self.world > 1:
            raise UserError(
                f"tail is not given, and {self.world} ranks share the gaits: choose tail='drop' (leaves out up to a "
                "step of gaits), 'pad' (gives up to a step of them twice) or 'keep' (ranks may differ by a step)"
            )
        if self.cut_s is not None and not 0 < self.cut_s < float("inf"):
            raise UserError(f"cut_s is {self.cut_s!r}; it must be a positive number of seconds")
        for name in ("threads", "memory_bytes"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise UserError(f"{name} is {value!r}; it must be 1 or more")
        if self.batch_size is not None and "video" in (self.fields or ()):
            raise UserError("video files cannot be batched; take frames=(...), which decodes them, or no batch_size")
        self.share()  # which checks the rest
        order((), seed=self.seed, epoch=0, shuffle=self.shuffle, window=self.window, lanes=self.lanes)

    def share(self) -> Share:
        """This rank's share."""
        return Share(self.rank, self.world, 1 if self.batch_size is None else self.batch_size, self.tail or "keep")

    def limits(self) -> Limits:
        """What loading ahead may take."""
        return Limits(self.threads or min(8, os.cpu_count() or 1), self.memory_bytes)

    def identity(self) -> dict[str, Any]:
        """What must be the same for a saved state to mean the same gaits in the same order."""
        return {
            "where": self.where, "split": self.split, "shares": self.shares, "split_seed": self.split_seed,
            "seed": self.seed, "shuffle": self.shuffle, "window": self.window, "lanes": self.lanes,
        }  # fmt: skip


class GaitStream:
    """An endless walk through a dataset's gaits; iterating gives the rest of the current epoch.

    Can be pickled, and goes on in the other process where it stood. One thread at a time may iterate.

    Attributes:
        epoch: The current epoch, from 0.
        index: Gaits of it that all ranks together have been given.
    """

    def __init__(self, dataset: GaitDataset, settings: StreamSettings, places: Places | None = None) -> None:
        """See `GaitDataset.stream`.

        Raises:
            UserError: Unknown fields, views or columns.
        """
        self._dataset = dataset
        self.settings = settings
        self._items = _items(dataset, settings)
        self._places = self._find() if places is None else places
        self.epoch = 0
        self.index = 0

    def __repr__(self) -> str:
        at = f"epoch {self.epoch}, {self.index} of {len(self._places)} gaits"
        return f"GaitStream({self._dataset!r}, {at}, rank {self.settings.rank} of {self.settings.world})"

    def __len__(self) -> int:
        """Items that this rank is still given in the current epoch."""
        return self.settings.share().n_steps(len(self._places), self.index)

    @property
    def n_gaits(self) -> int:
        """Gaits of an epoch, over all ranks."""
        return len(self._places)

    @property
    def sample_ids(self) -> Ints:
        """Their ids, as they lie in the dataset; `order(epoch)[i]` is a place in this list."""
        return self._places.sample_id

    @property
    def places(self) -> Places:
        """Where they lie."""
        return self._places

    def of_places(self, places: Places) -> GaitStream:
        """A stream through other places, from the beginning of the epoch that this one stands in."""
        moved = GaitStream(self._dataset, self.settings, places)
        moved.epoch = self.epoch
        return moved

    def sizes(self) -> tuple[int, int]:
        """Gaits of a shard, and bytes of a gait's arrays as they are loaded; by the first shard; 0, 0 without one."""
        if not len(self._places):
            return 0, 0
        return _ShardSource(self._dataset, self._places, self._items).measure(int(self._places.shard[0]))

    def order(self, epoch: int | None = None) -> Order:
        """The order of an epoch (None: the current one) over all ranks."""
        of_settings = self.settings
        return order(
            self._places.counts, seed=of_settings.seed, epoch=self.epoch if epoch is None else epoch,
            shuffle=of_settings.shuffle, window=of_settings.window, lanes=of_settings.lanes,
        )  # fmt: skip

    def set_epoch(self, epoch: int) -> None:
        """Go to the beginning of an epoch."""
        if epoch < 0:
            raise UserError(f"epoch is {epoch!r}; it must be 0 or more")
        self.epoch, self.index = epoch, 0

    def __iter__(self) -> Iterator[Item]:
        return self.every(0, 1)

    def every(self, worker: int, workers: int) -> Iterator[Item]:
        """The rest of the current epoch, of which this is one of several workers: every `workers`-th item of the rank.

        Taken in turns, one item from each worker, the items are those of a single worker in their order.
        """
        share, epoch, begin = self.settings.share(), self.order(), self.index
        n_steps = share.n_steps(len(self._places), begin)
        block = max(1, BLOCK // share.batch_size // workers) * workers
        for first in range(0, n_steps, block):
            steps = share.steps(epoch, begin, first, min(n_steps, first + block))[worker::workers]
            for number, item in enumerate(self._loaded(epoch, steps)):
                self.epoch, self.index = self._after(epoch.epoch, begin, first + worker + number * workers + 1)
                yield item
        if self.epoch == epoch.epoch:  # no step was left for this worker at the end of the epoch
            self.epoch, self.index = epoch.epoch + 1, 0

    def state_dict(self) -> dict[str, Any]:
        """Where the stream stands, as plain JSON; the same for every rank that has been given equally many items."""
        return self._state(self.epoch, self.index)

    def state_after(self, items: int) -> dict[str, Any]:
        """Where it will stand after so many more items of this rank; for whoever lets other processes iterate.

        Raises:
            UserError: There are fewer than 0 items, or no epoch has any for this rank.
        """
        if items < 0:
            raise UserError(f"items is {items!r}; it must be 0 or more")
        share, n = self.settings.share(), len(self._places)
        epoch, index, left = self.epoch, self.index, len(self)
        if items > left:  # the rest of this epoch, and then whole ones
            each = share.n_steps(n, 0)
            if not each:
                raise UserError(f"{items} items were counted, and no epoch has any for rank {share.rank}: {self!r}")
            whole, items = divmod(items - left, each)
            epoch, index = epoch + 1 + whole, 0
        return self._state(*self._after(epoch, index, items)) if items else self._state(epoch, index)

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go where a stream was when its state was saved: same gaits, same order, same index.

        Raises:
            StateMismatchError: The state is of another dataset, of shards that are gone, of another order or filter,
                or no state at all.
        """
        try:
            version, dataset_id, pin = state["version"], state["dataset_id"], state["pin"]
            ranges, n_gaits = list(state["shards"]), state["n_gaits"]
            epoch, index = int(state["epoch"]), int(state["index"])
            identity = {name: state[name] for name in self.settings.identity()}
        except (KeyError, TypeError, ValueError) as error:
            raise StateMismatchError(f"this is no state of a stream ({type(error).__name__}: {error})") from None
        if version != STATE_VERSION:
            raise StateMismatchError(f"the state has version {version!r}; this gaitfarm reads version {STATE_VERSION}")
        if dataset_id != self._dataset.manifest.dataset_id:
            raise StateMismatchError(
                f"the state is of the dataset {dataset_id!r}, {self._dataset.storage.uri} is "
                f"{self._dataset.manifest.dataset_id}; open the dataset that it was saved on"
            )
        for name, value in self.settings.identity().items():
            if identity[name] != value:
                raise StateMismatchError(
                    f"the state was saved with {name}={identity[name]!r}, this stream has {name}={value!r}; "
                    "make it the same"
                )
        places = self._places
        if pin != places.pin:
            everything = self._find()  # this stream may stand in an older state, of fewer shards
            places = everything if pin == everything.pin else self._find(pinned(everything.shards, ranges, pin))
        if n_gaits != len(places) or epoch < 0 or not 0 <= index <= len(places):
            raise StateMismatchError(
                f"the state stands at gait {index} of {n_gaits!r} in epoch {epoch}; this stream has {len(places)} gaits"
            )
        self._places, self.epoch, self.index = places, epoch, index

    def _find(self, shards: Sequence[Shard] | None = None) -> Places:
        of = self.settings
        return self._dataset.places(
            of.where, of.split, shares=of.shares, split_seed=of.split_seed, shards=shards
        )  # fmt: skip

    def _state(self, epoch: int, index: int) -> dict[str, Any]:
        return {
            "version": STATE_VERSION,
            "dataset_id": self._dataset.manifest.dataset_id,
            "shards": ranges_of(shard_id for shard_id, _ in self._places.shards),
            "pin": self._places.pin,
            "n_gaits": len(self._places),
            "epoch": epoch,
            "index": index,
            **self.settings.identity(),
        }

    def _after(self, epoch: int, begin: int, steps: int) -> tuple[int, int]:
        """Epoch and index after some steps from `begin` on."""
        share, n = self.settings.share(), len(self._places)
        index = min(n, begin + steps * share.step_size)
        over = index == n or (share.tail == "drop" and n - index < share.step_size)
        return (epoch + 1, 0) if over else (epoch, index)

    def _loaded(self, epoch: Order, steps: Sequence[Ints]) -> Iterator[Item]:
        """The gaits of some steps, one by one or by batches."""
        if not steps:
            return
        indices = np.concatenate(steps)
        sequence = epoch.take(indices)
        source = _ShardSource(self._dataset, self._places, self._items)
        chances = chance(key_of("cut", self.settings.seed, epoch.epoch), self._places.sample_id[sequence])

        def finish(number: int, raw: Values) -> Gait:
            place = int(sequence[number])
            return self._finished(source, place, raw, float(chances[number]))

        with closing(prefetched(source, self._places, sequence, finish, _size, self.settings.limits())) as gaits:
            if self.settings.batch_size is None:
                yield from gaits
            else:
                for step in steps:
                    yield collate([next(gaits) for _ in step], self.settings.cut_s)

    def _finished(self, source: _ShardSource, place: int, raw: Values, begin: float) -> Gait:
        """A gait of its own: decoded, cut, sharing memory with no other."""
        shard, position = int(self._places.shard[place]), int(self._places.position[place])
        row, attributes = source.row_of(shard, position)
        arrays = dict(raw)
        encoded: dict[str, bytes] = {}
        for view in self.settings.frames:
            if f"views/{view}/rgb" in arrays:
                arrays[f"views/{view}/{FRAMES}"] = arrays.pop(f"views/{view}/rgb")
            else:
                kept = "video" in (self.settings.fields or ())
                path = f"views/{view}/video"
                encoded[view] = (arrays[path] if kept else arrays.pop(path)).tobytes()
        gait = Gait(int(self._places.sample_id[place]), row, arrays, attributes)
        if not gait.sample_id == row["sample_id"] == int(arrays["sample_id"]):
            raise FormatError(
                f"shard {self._places.shards[shard][0]}, gait {position}: the index says sample {gait.sample_id}, the "
                f"commit {row['sample_id']}, the array {int(arrays['sample_id'])}; run `gaitfarm verify`"
            )
        needed: slice | None = None
        if self.settings.cut_s is not None:
            needed = cut_frames(gait, self.settings.cut_s, begin)
            gait = cut(gait, self.settings.cut_s, begin)
        own = {path: value if value.base is None else value.copy() for path, value in gait.arrays.items()}
        own |= {f"views/{view}/{FRAMES}": video.decode(data, at=needed) for view, data in encoded.items()}
        return replace(gait, arrays=own)


class _ShardSource:
    """A dataset's shards, as `prefetch.Source`."""

    def __init__(self, dataset: GaitDataset, places: Places, items: Sequence[ArrayPath]) -> None:
        self._dataset = dataset
        self._places = places
        self._items = items

    def measure(self, shard: int) -> tuple[int, int]:
        return bytes_of(self._dataset.shard(self._id(shard)), self._items)

    def load(self, shard: int, positions: Sequence[int], *, whole: bool) -> Sequence[Values]:
        return load(self._dataset.shard(self._id(shard)), self._items, positions, whole=whole)

    def row_of(self, shard: int, position: int) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
        """A gait's row of the index, as its commit has it, and the attributes of its shard."""
        shard_id, attempt_id = self._places.shards[shard]
        record = self._dataset.record(shard_id)
        if record.attempt_id != attempt_id:
            raise FormatError(
                f"shard {shard_id} was made anew since this stream was opened: attempt {record.attempt_id} instead of "
                f"{attempt_id}; open the dataset again"
            )
        if position >= len(record.index):
            raise FormatError(
                f"the index has a gait {position} in shard {shard_id}, whose commit names {len(record.index)}; "
                "run `gaitfarm verify`"
            )
        place = {"shard_id": shard_id, "attempt_id": attempt_id, "position": position}
        return {**record.index[position], **place}, self._dataset.attributes(shard_id)

    def _id(self, shard: int) -> str:
        return self._places.shards[shard][0]


def _items(dataset: GaitDataset, settings: StreamSettings) -> tuple[ArrayPath, ...]:
    """The arrays to load: what was asked for, and what decoding takes."""
    manifest = dataset.manifest
    items = wanted(manifest, settings.fields, settings.views, companions=True)
    for view in settings.frames:
        dataset.check_pictures(view)
        field = "rgb" if f"views/{view}/rgb" in manifest.arrays else "video"
        items += tuple(item for item in wanted(manifest, (field,), (view,), companions=True) if item not in items)
    return items


def _size(gait: Gait) -> int:
    return sum(value.nbytes for value in gait.arrays.values())
