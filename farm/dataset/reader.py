"""Reading a dataset: small enough for downstream teams, who install neither OpenSim nor Ray, GL or torch.

Read whole arrays (`shard(id)["labels"][:]`, one request) or one gait
(`shard(id)["coordinates"][3]`, a range). Stay clear of lists of gaits as an index:
zarr 3.1.6 takes half a minute for what two slices do in a tenth of a second.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray

from farm.dataset import video
from farm.dataset.catalogue import load_index, read_records
from farm.dataset.manifest import DatasetManifest, ShardRecord, committed_shards, read_manifest, read_record
from farm.dataset.schema import LENGTH_AXES, find
from farm.dataset.table import IndexTable
from farm.dataset.zarr_store import ShardStore
from farm.errors import FormatError, UserError
from farm.storage import Storage, open_storage


@dataclass(frozen=True)
class Gait:
    """One gait, without padding.

    Attributes:
        row: Its row of the index: condition, every parameter, every label.
        arrays: By path, such as "coordinates" `[T, Q]` or "views/side/keypoints_2d" `[F, K, 2]`.
        attributes: The shard's: names of coordinates, bodies, muscles, keypoints; rates.
    """

    sample_id: int
    row: Mapping[str, Any]
    arrays: Mapping[str, NDArray[Any]]
    attributes: Mapping[str, Any]

    def __getitem__(self, path: str) -> NDArray[Any]:
        return self.arrays[path]


class GaitDataset:
    """A dataset as it was when it was opened; `refresh` looks again for what is newer.

    Attributes:
        storage: Where it lies.
        manifest: `dataset.json`.
    """

    def __init__(self, uri: str | Storage, *, endpoint_url: str | None = None) -> None:
        """Open a dataset; only `dataset.json` is read.

        Args:
            uri: Path, `file:///...` or `s3://bucket/prefix`; or an open storage.
            endpoint_url: S3-compatible service other than AWS.

        Raises:
            FormatError: There is no dataset, or one that this software cannot read.
            StorageError: The storage cannot be read.
        """
        self.storage = open_storage(uri, endpoint_url=endpoint_url) if isinstance(uri, str) else uri
        self.manifest: DatasetManifest = read_manifest(self.storage)
        self._groups: dict[str, zarr.Group] = {}
        self._records: dict[str, ShardRecord] = {}

    def __repr__(self) -> str:
        return f"GaitDataset({self.storage.uri!r}, {self.manifest.name!r})"

    def refresh(self) -> None:
        """Forget what is known of the commits, so that newer ones are seen."""
        for name in ("shard_ids", "table"):
            self.__dict__.pop(name, None)

    @cached_property
    def shard_ids(self) -> tuple[str, ...]:
        """Ids of the committed shards, sorted."""
        return committed_shards(self.storage)

    @property
    def records(self) -> tuple[ShardRecord, ...]:
        """Every commit, in the order of `shard_ids`."""
        missing = [shard_id for shard_id in self.shard_ids if shard_id not in self._records]
        self._records |= dict(zip(missing, read_records(self.storage, missing), strict=True))
        return tuple(self._records[shard_id] for shard_id in self.shard_ids)

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
        if shard_id not in self._records:
            self._records[shard_id] = read_record(self.storage, shard_id)
        return self._records[shard_id]

    def shard(self, shard_id: str) -> zarr.Group:
        """One shard's Zarr group, read-only.

        Raises:
            FormatError: No gait of this shard was accepted, so that it has no group, or it is damaged.
            ObjectNotFoundError: The shard is not committed.
        """
        if shard_id not in self._groups:
            record = self.record(shard_id)
            if record.group is None:
                raise FormatError(f"shard {shard_id} holds no gait: all {record.n_rejected} samples were rejected")
            try:
                self._groups[shard_id] = zarr.open_group(ShardStore(self.storage, record), mode="r", zarr_format=3)
            except (ValueError, KeyError, TypeError, FileNotFoundError) as error:
                where = f"{self.storage.uri}/{record.group}"
                raise FormatError(f"{where} is no Zarr group ({type(error).__name__}); run `gaitfarm verify`") from None
        return self._groups[shard_id]

    def gait(self, sample_id: int, fields: Sequence[str] | None = None) -> Gait:
        """One gait with its arrays, cut to their valid length; videos stay behind (`frames`).

        Args:
            fields: Names without their view, such as ("coordinates", "keypoints_2d"); None for all but pictures.

        Raises:
            UserError: The dataset has no gait of this number.
        """
        row = self._row(sample_id)
        group = self.shard(row["shard_id"])
        position = int(row["position"])
        lengths = {name: int(_array(group, name)[position]) for name in LENGTH_AXES.values() if name in group}
        arrays: dict[str, NDArray[Any]] = {}
        for path in self.manifest.known_arrays:
            item = find(path)
            assert item is not None  # known_arrays made sure
            wanted = not item.spec.is_picture if fields is None else item.spec.field in fields
            if item.spec.dims[0] == "gait" and wanted:
                value = np.asarray(_array(group, path)[position])
                arrays[path] = value[: lengths[item.spec.length]] if item.spec.length else value
        return Gait(sample_id, row, arrays, dict(group.attrs))

    def frames(self, sample_id: int, view: str) -> NDArray[np.uint8]:
        """One gait's pictures from one view: `[F, H, W, 3]` uint8, decoded if they are video.

        Raises:
            UserError: The dataset has no such gait or view, or no pictures.
            FormatError: The video is damaged.
        """
        if view not in self.manifest.views:
            raise UserError(f"the dataset has no view {view!r}; it has {', '.join(self.manifest.views) or 'none'}")
        row = self._row(sample_id)
        group = self.shard(row["shard_id"])
        position = int(row["position"])
        if f"views/{view}/rgb" in self.manifest.arrays:
            n_frames = int(_array(group, "n_frames")[position])
            return np.asarray(_array(group, f"views/{view}/rgb")[position])[:n_frames]
        if f"views/{view}/video" not in self.manifest.arrays:
            raise UserError(
                f"{self.storage.uri} holds no pictures: its campaign has rgb: none, or they were not pulled"
            )
        return video.decode(self.video(sample_id, view))

    def video(self, sample_id: int, view: str) -> bytes:
        """One gait's MP4 file of one view, as it is stored."""
        row = self._row(sample_id)
        group = self.shard(row["shard_id"])
        offsets = np.asarray(_array(group, f"views/{view}/video_offsets")[:])
        begin, end = (int(offsets[row["position"] + step]) for step in (0, 1))
        return np.asarray(_array(group, f"views/{view}/video")[begin:end]).tobytes()

    def _row(self, sample_id: int) -> dict[str, Any]:
        rows = self.table.rows(f"sample_id = {int(sample_id)}")
        if not rows:
            raise UserError(
                f"{self.storage.uri} has no gait {sample_id}: it was rejected, or not made yet (see `gaitfarm info`)"
            )
        return rows[0]


def _array(group: zarr.Group, path: str) -> Any:
    """One array of a group; `Any`, because zarr's own type for it allows for groups and scalars too."""
    if not isinstance(found := group[path], zarr.Array):
        raise FormatError(f"{path} is no array; run `gaitfarm verify`")
    return found
