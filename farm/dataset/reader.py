"""Reading a dataset: small enough for downstream teams, who install neither OpenSim nor Ray, GL or torch.

One gait (`gait`, `frames`), all of them in a shuffled order that can be resumed
(`stream`), or a shard's arrays (`shard(id)["labels"][:]`, one request). Stay clear of
lists of gaits as an index into a Zarr array: zarr 3.1.6 takes half a minute for what two
slices do in a tenth of a second.
"""

from __future__ import annotations

import contextlib
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict, TypeVar, Unpack

import numpy as np
import zarr
from numpy.typing import NDArray

from farm.dataset import video
from farm.dataset.cache import DEFAULT_BYTES, CachedShard, DiskCache
from farm.dataset.catalogue import load_index, read_records
from farm.dataset.gaits import Gait, GaitBatch
from farm.dataset.load import array, load, several, wanted
from farm.dataset.manifest import DatasetManifest, ShardRecord, committed_shards, read_manifest, read_record
from farm.dataset.order import LANES, WINDOW, Shuffle, Tail
from farm.dataset.places import Places, Shard, check_places, places_of
from farm.dataset.split import Split, part_named
from farm.dataset.stream import MEMORY_BYTES, SHARES, GaitStream, StreamSettings
from farm.dataset.table import IndexTable
from farm.dataset.zarr_store import ShardStore
from farm.errors import FormatError, MissingDependencyError, UserError
from farm.storage import Storage, open_storage

if TYPE_CHECKING:
    from farm.dataset.ray_data import GaitDatasource
    from farm.dataset.torch_data import GaitTensors
    from farm.dataset.xarray_data import LabelledGaits

__all__ = ["Gait", "GaitBatch", "GaitDataset", "GaitStream"]

KEPT_SHARDS = 128
"""Shards whose record and metadata are kept in memory; of the others they are read again when they are needed."""

Kept = TypeVar("Kept")


class StreamArguments(TypedDict, total=False):
    """Keywords of `GaitDataset.stream`, for those that pass them on."""

    views: Sequence[str] | None
    frames: Sequence[str]
    where: str | None
    split: str | None
    shares: str
    split_seed: int
    seed: int
    epoch: int
    shuffle: Shuffle
    window: int
    lanes: int
    batch_size: int | None
    tail: Tail | None
    cut_s: float | None
    threads: int | None
    memory_bytes: int


@contextlib.contextmanager
def extra(*libraries: str, name: str) -> Iterator[None]:
    """Say how to install what an import lacks.

    Raises:
        MissingDependencyError: The library is not installed.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        library = (error.name or "").partition(".")[0]
        if library not in libraries:
            raise
        raise MissingDependencyError(f"{library} is not installed here: pip install 'gaitfarm[{name}]'") from None


class GaitDataset:
    """A dataset as it was when it was opened; `refresh` looks again for what is newer.

    Attributes:
        storage: Where it lies.
        manifest: `dataset.json`.
    """

    def __init__(
        self,
        uri: str | Storage,
        *,
        endpoint_url: str | None = None,
        cache_dir: str | Path | None = None,
        cache_bytes: int = DEFAULT_BYTES,
    ) -> None:
        """Open a dataset; only `dataset.json` is read.

        Args:
            uri: Path, `file:///...` or `s3://bucket/prefix`; or an open storage.
            endpoint_url: S3-compatible service other than AWS.
            cache_dir: Folder on a local disk that keeps what was read; several processes and datasets may share it.
                None keeps nothing.
            cache_bytes: What the folder may grow to, at most.

        Raises:
            FormatError: There is no dataset, or one that this software cannot read.
            StorageError: The storage or the cache's folder cannot be read.
            UserError: The cache's folder is not one that is ours alone.
        """
        self.storage = open_storage(uri, endpoint_url=endpoint_url) if isinstance(uri, str) else uri
        self.manifest: DatasetManifest = read_manifest(self.storage)
        self._cache = DiskCache(cache_dir, cache_bytes) if cache_dir is not None else None
        self._lock = threading.Lock()
        self._groups: OrderedDict[str, tuple[zarr.Group, Mapping[str, Any]]] = OrderedDict()
        self._records: OrderedDict[str, ShardRecord] = OrderedDict()

    def __getstate__(self) -> dict[str, Any]:
        """For another process, which reads again what it needs; commits of which this one knows may be older there."""
        return {"storage": self.storage, "manifest": self.manifest, "_cache": self._cache}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._lock = threading.Lock()
        self._groups = OrderedDict()
        self._records = OrderedDict()

    def __repr__(self) -> str:
        return f"GaitDataset({self.storage.uri!r}, {self.manifest.name!r})"

    def refresh(self) -> None:
        """Forget the commits and what was read of their shards, so that newer ones and repaired ones are seen.

        Streams that were made before stay with the shards that they know, and say so of one that was made anew.
        """
        with self._lock:
            for name in ("shard_ids", "table"):
                self.__dict__.pop(name, None)
            # New ones, so that what other threads are reading now goes to the old ones.
            self._groups = OrderedDict()
            self._records = OrderedDict()

    @cached_property
    def shard_ids(self) -> tuple[str, ...]:
        """Ids of the committed shards, sorted."""
        return committed_shards(self.storage)

    @property
    def records(self) -> tuple[ShardRecord, ...]:
        """Every commit, in the order of `shard_ids`; of a large dataset that is much, and nothing of it is kept."""
        return tuple(read_records(self.storage, self.shard_ids))

    @cached_property
    def table(self) -> IndexTable:
        """The index, ready for filters."""
        return load_index(self.storage)

    def index(self, where: str | None = None, columns: Sequence[str] | None = None) -> list[dict[str, Any]]:
        """Rows of the index, by sample id: parameters, labels, and the place (`shard_id`, `position`).

        Args:
            where: SQL expression over the columns, such as "gait_speed < 0.8"; None takes every gait.
            columns: Those to return; None for all.

        Raises:
            UserError: The expression or a column is not known.
        """
        return self.table.rows(where, columns)

    def record(self, shard_id: str) -> ShardRecord:
        """One shard's commit."""
        return self._kept(self._records, shard_id, lambda: read_record(self.storage, shard_id))

    def shard(self, shard_id: str) -> zarr.Group:
        """One shard's Zarr group, read-only.

        Raises:
            FormatError: No gait of this shard was accepted, so that it has no group, or it is damaged.
            ObjectNotFoundError: The shard is not committed.
        """
        return self._kept(self._groups, shard_id, lambda: self._open(shard_id))[0]

    def attributes(self, shard_id: str) -> Mapping[str, Any]:
        """What a shard says of its arrays: names of coordinates, bodies, muscles, keypoints; rates."""
        return self._kept(self._groups, shard_id, lambda: self._open(shard_id))[1]

    def store(self, shard_id: str) -> ShardStore:
        """One shard as a read-only Zarr store, for zarr itself or for xarray.

        Raises:
            FormatError: No gait of this shard was accepted, so that it has no group.
            ObjectNotFoundError: The shard is not committed.
        """
        record = self.record(shard_id)
        if record.group is None:
            raise FormatError(f"shard {shard_id} holds no gait: all {record.n_rejected} samples were rejected")
        return ShardStore(CachedShard(self.storage, record, self._cache), record)

    def _open(self, shard_id: str) -> tuple[zarr.Group, Mapping[str, Any]]:
        store = self.store(shard_id)
        try:
            group = zarr.open_group(store, mode="r", zarr_format=3)
        except (ValueError, KeyError, TypeError, FileNotFoundError) as error:
            raise FormatError(f"{store} is no Zarr group ({type(error).__name__}); run `gaitfarm verify`") from None
        return group, dict(group.attrs)

    def _kept(self, kept: OrderedDict[str, Kept], key: str, read: Callable[[], Kept]) -> Kept:
        """What was read before, or is read now; the most recently used are kept."""
        with self._lock:
            if key in kept:
                kept.move_to_end(key)
                return kept[key]
        value = read()
        with self._lock:
            kept[key] = value
            while len(kept) > KEPT_SHARDS:
                kept.popitem(last=False)
        return value

    def gait(self, sample_id: int, fields: Sequence[str] | None = None, views: Sequence[str] | None = None) -> Gait:
        """One gait with its arrays, cut to their valid length.

        Args:
            fields: Names without their view, such as ("coordinates", "keypoints_2d"); None for all but pictures.
                "video" gives the MP4 file's bytes.
            views: None for all.

        Raises:
            UserError: The dataset has no gait of this number, no such field or view.
            FormatError: The shard is damaged, or its commit says otherwise than the catalogue.
        """
        row = self._row(sample_id)
        shard_id, position = str(row["shard_id"]), row["position"]
        check_places(self.record(shard_id), row["attempt_id"], [(position, int(sample_id))], self.storage.uri)
        items = wanted(self.manifest, fields, views, companions=False)
        (arrays,) = load(self.shard(shard_id), items, (position,), whole=False)
        return Gait(sample_id, row, arrays, self.attributes(shard_id))

    def frames(self, sample_id: int, view: str, at: Sequence[int] | slice | None = None) -> NDArray[np.uint8]:
        """One gait's pictures from one view: `[F, H, W, 3]` uint8, decoded if they are video.

        Args:
            at: Numbers of the pictures that are wanted, from 0, in any order, or a slice of them; only what these
                need is decoded. None for all.

        Raises:
            UserError: The dataset has no such gait, view or picture, or no pictures at all.
            FormatError: The video is damaged.
        """
        self.check_pictures(view)
        if f"views/{view}/rgb" in self.manifest.arrays:
            pictures = self.gait(sample_id, ("rgb",), (view,))[f"views/{view}/rgb"]
            return pictures if at is None else pictures[list(video.picture_numbers(at, len(pictures)))]
        return video.decode(self.video(sample_id, view), at=at)

    def video(self, sample_id: int, view: str) -> bytes:
        """One gait's MP4 file of one view, as it is stored."""
        return self.gait(sample_id, ("video",), (view,))[f"views/{view}/video"].tobytes()

    def check_pictures(self, view: str) -> None:
        """See that the dataset has pictures of a view.

        Raises:
            UserError: It has no such view, or no pictures.
        """
        if view not in self.manifest.views:
            raise UserError(f"the dataset has no view {view!r}; it has {', '.join(self.manifest.views) or 'none'}")
        if not {f"views/{view}/rgb", f"views/{view}/video"} & set(self.manifest.arrays):
            raise UserError(
                f"{self.storage.uri} holds no pictures: its campaign has rgb: none, or they were not pulled"
            )

    def stream(
        self,
        fields: Sequence[str] | None = None,
        *,
        views: Sequence[str] | None = None,
        frames: Sequence[str] = (),
        where: str | None = None,
        split: str | None = None,
        shares: str = SHARES,
        split_seed: int = 0,
        seed: int = 0,
        epoch: int = 0,
        shuffle: Shuffle = "shards",
        window: int = WINDOW,
        lanes: int = LANES,
        rank: int = 0,
        world: int = 1,
        batch_size: int | None = None,
        tail: Tail | None = None,
        cut_s: float | None = None,
        threads: int | None = None,
        memory_bytes: int = MEMORY_BYTES,
    ) -> GaitStream:
        """Every gait, or those of a filter or a split, once an epoch, in an order that (seed, epoch) decides.

        Args:
            fields: Names without their view; None for all but pictures. Lengths come along in any case. "video" gives
                the MP4 file's bytes `[n]`.
            views: Whose fields; None for all.
            frames: Views whose pictures are decoded, as "views/<view>/frames" `[F, H, W, 3]` uint8.
            where: SQL expression over the index's columns, such as "gait_speed < 0.8".
            split: "train", "validation" or "test", see `farm.dataset.split`; None for all.
            shares: Of train/validation/test.
            split_seed: Of the split; apart from `seed`, so that another order never trains on what was held out.
            seed, epoch: Of the order, and of the cuts.
            shuffle: "shards" mixes the gaits of `lanes * window` shards at a time and reads each shard once; "full"
                mixes all of them and reads gait by gait; "none" gives them as they lie.
            window, lanes: See `farm.dataset.order`.
            rank, world: Which share of the gaits this reader is given, of how many.
            batch_size: Gaits that a rank is given at a time, as a `GaitBatch`; None gives each as a `Gait`.
            tail: What becomes of gaits that do not fill a step: "drop", "pad" or "keep" (`farm.dataset.order.Share`).
                Must be given where several ranks share; alone, None means "keep".
            cut_s: Take a stretch of so many seconds out of each gait, another one in each epoch; None takes all of it.
            threads: Shards or gaits loaded, and videos decoded, at the same time; None for one a core, at most 8.
            memory_bytes: What may be loaded ahead.

        Raises:
            UserError: An argument is out of its range, or the dataset has no such field, view or column.
        """
        settings = StreamSettings(
            several("fields", fields), several("views", views), several("frames", frames), where, split, shares,
            split_seed, seed, shuffle, window, lanes, rank, world, batch_size, tail, cut_s, threads, memory_bytes,
        )  # fmt: skip
        stream = GaitStream(self, settings)
        stream.set_epoch(epoch)
        return stream

    def to_torch(
        self,
        fields: Sequence[str] | None = None,
        *,
        columns: Sequence[str] = (),
        channels_first: bool = True,
        rank: int | None = None,
        world: int | None = None,
        **settings: Unpack[StreamArguments],
    ) -> GaitTensors:
        """The dataset as a PyTorch `IterableDataset` of dictionaries of tensors; needs `pip install 'gaitfarm[train]'`.

        Args:
            fields: As in `stream`, whose other arguments are accepted, too.
            columns: Of the index, such as "gait_speed", each as a float32 tensor under its name.
            channels_first: Decoded pictures are `[F, 3, H, W]`, rather than `[F, H, W, 3]`; uint8 either way.
            rank, world: None takes them from `torch.distributed`, and is 0 of 1 where that is not set up.

        Raises:
            UserError: As `stream`, or the index has no such column.
            MissingDependencyError: There is no PyTorch here.
        """
        with extra("torch", name="train"):
            from farm.dataset.torch_data import GaitTensors, distributed_rank
        own_rank, own_world = distributed_rank()
        stream = self.stream(
            fields, rank=own_rank if rank is None else rank, world=own_world if world is None else world, **settings
        )
        return GaitTensors(stream, self._columns(columns), channels_first=channels_first)

    def to_xarray(
        self,
        sample_id: int | None = None,
        *,
        shard: str | None = None,
        where: str | None = None,
        fields: Sequence[str] | None = None,
        views: Sequence[str] | None = None,
        frames: Sequence[str] = (),
    ) -> LabelledGaits:
        """Labelled arrays; needs `pip install 'gaitfarm[xarray]'`. Give one of `sample_id`, `shard` and `where`.

        Args:
            sample_id: One gait, without padding.
            shard: A shard's id: all of its gaits, each array read when it is used.
            where: The gaits of a filter, padded to the longest, in memory; at most 4096.
            fields, views: As in `gait`.
            frames: Views whose pictures are decoded, as `<view>_frames`; not of a whole shard.

        Raises:
            UserError: None or several of the three are given, no gait is meant, or too many are.
            MissingDependencyError: xarray is not installed.
        """
        with extra("xarray", name="xarray"):
            from farm.dataset.xarray_data import MAX_GAITS, of_gait, of_gaits, of_shard
        if (sample_id, shard, where).count(None) != 2:
            raise UserError("give exactly one of sample_id=..., shard='...' and where='...'")
        if shard is not None:
            if frames:
                raise UserError("frames cannot be decoded of a whole shard at once; take where=... or sample_id=...")
            items = wanted(self.manifest, fields, views, companions=True)
            return of_shard(self, shard, [item for item in items if item.spec.dims[0] == "gait"])
        if sample_id is not None:
            self._row(sample_id)  # which says it better if there is none
            where = f"sample_id = {int(sample_id)}"
        stream = self.stream(fields, views=views, frames=frames, where=where, shuffle="none")
        if not 0 < stream.n_gaits <= MAX_GAITS:
            raise UserError(
                f"where={where!r} means {stream.n_gaits} gaits, 1 to {MAX_GAITS} fit into one xarray dataset; "
                "change the filter, or go through them with `stream`"
            )
        gaits = [item for item in stream if isinstance(item, Gait)]
        shard_id = str(gaits[0].row["shard_id"])
        return of_gait(self, gaits[0], shard_id) if sample_id is not None else of_gaits(self, gaits, shard_id)

    def ray_datasource(
        self, fields: Sequence[str] | None = None, *, columns: Sequence[str] = (), **settings: Unpack[StreamArguments]
    ) -> GaitDatasource:
        """The dataset for `ray.data.read_datasource`, a row for each gait; needs `pip install 'gaitfarm[ray]'`.

        Args:
            fields: As in `stream`, whose other arguments are accepted, too, but for those of order and batches, which
                are Ray's own affair.
            columns: Of the index, each as a column of its own.

        Raises:
            UserError: As `stream`, or the index has no such column.
            MissingDependencyError: There is no Ray here.
        """
        with extra("ray", "pandas", "pyarrow", "fsspec", name="ray"):
            from farm.dataset.ray_data import GaitDatasource
        stream = self.stream(fields, **(settings | {"shuffle": "none", "batch_size": None}))
        return GaitDatasource(stream, self._columns(columns))

    def columns(self, shard_id: str, name: str) -> tuple[str, ...]:
        """The names of the columns of "parameters" or "labels" in a shard."""
        return tuple(str(column["name"]) for column in array(self.shard(shard_id), name).attrs["columns"])

    def places(
        self,
        where: str | None = None,
        split: str | None = None,
        *,
        shares: str = SHARES,
        split_seed: int = 0,
        shards: Iterable[Shard] | None = None,
    ) -> Places:
        """Where the gaits lie that a filter and a split choose.

        Args:
            where, split, shares, split_seed: As in `stream`.
            shards: Only these, by id and attempt; None for all that are committed.

        Raises:
            UserError: The expression or the split is not known.
        """
        division = Split.of(shares, seed=split_seed)
        part = None if split is None else part_named(split)
        if shards is None:
            found = self.table.ask("SELECT DISTINCT shard_id, attempt_id FROM gaits") if len(self.table) else []
            shards = [(str(shard_id), str(attempt_id)) for shard_id, attempt_id in found]
        places = places_of(self.table.batches(where, ("sample_id", "shard_id", "position")), shards)
        if part is None:
            return places
        return places.chosen([division.part_of(int(sample_id)) == part for sample_id in places.sample_id])

    def _columns(self, names: Sequence[str]) -> tuple[str, ...]:
        columns = several("columns", names)
        if columns and len(self.table):  # of no gaits the columns are not known either
            self.table.check_columns(columns)
        return columns

    def _row(self, sample_id: int) -> dict[str, Any]:
        rows = self.table.rows(f"sample_id = {int(sample_id)}")
        if not rows:
            raise UserError(
                f"{self.storage.uri} has no gait {sample_id}: it was rejected, or not made yet (see `gaitfarm info`)"
            )
        return rows[0]
