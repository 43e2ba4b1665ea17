"""Gaits for training out of a dataset's shards: keypoints, labels and statures; pictures are never touched."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from farm.dataset.reader import GaitDataset
from farm.errors import FormatError
from farm.sampling.anatomy import COCO_KEYPOINTS
from workers.train.clips import ClipView, GaitClip, usable
from workers.train.variation import LABELS

NEEDED = ("keypoints_3d", "n_frames", "sample_id", "labels", "parameters")


class DatasetSource:
    """A dataset by its URI, as `stream.ClipSource`.

    Raises:
        FormatError, StorageError: As `GaitDataset`; FormatError also for a dataset without 3D keypoints.
    """

    def __init__(self, uri: str, *, endpoint_url: str | None = None) -> None:
        self._dataset = GaitDataset(uri, endpoint_url=endpoint_url)
        manifest = self._dataset.manifest
        self.uri = uri
        self.dataset_id: str = manifest.dataset_id
        missing = [name for name in NEEDED if name not in manifest.arrays]
        if missing:
            raise FormatError(
                f"{uri} lacks {', '.join(missing)}, from which training films new views; "
                f"pull it again with --fields {','.join((*NEEDED, 'keypoints_2d', 'visibility'))}"
            )
        self._views = tuple(
            view for view in manifest.views
            if {f"views/{view}/keypoints_2d", f"views/{view}/visibility"} <= set(manifest.arrays)
        )  # fmt: skip
        width, height = manifest.campaign["pictures"]["image_size"]
        self._image_size = (float(width), float(height))
        places = self._dataset.places()
        ids: dict[str, list[int]] = {shard_id: [] for shard_id, _ in places.shards}
        for shard, sample_id in zip(places.shard, places.sample_id, strict=True):
            ids[places.shards[shard][0]].append(int(sample_id))
        self._sample_ids = ids

    @property
    def sample_ids(self) -> Mapping[str, Sequence[int]]:
        return self._sample_ids

    @property
    def views(self) -> tuple[str, ...]:
        """Stored views that have keypoints."""
        return self._views

    def load(self, shard_id: str) -> Sequence[GaitClip | None]:
        group = self._dataset.shard(shard_id)
        attributes: Mapping[str, Any] = dict(group.attrs)
        keep = self._coco(attributes["keypoints"], shard_id)
        points = _whole(group, "keypoints_3d")[:, :, keep]
        n_frames, ids = _whole(group, "n_frames"), _whole(group, "sample_id")
        labels = self._columns(group, "labels", LABELS)
        stature = self._columns(group, "parameters", ("stature_m",))[:, 0]
        views = {
            name: (_whole(group, f"views/{name}/keypoints_2d")[:, :, keep],
                   _whole(group, f"views/{name}/visibility")[:, :, keep])
            for name in self._views
        }  # fmt: skip
        clips = []
        for i, n in enumerate(n_frames):
            clip = GaitClip(
                sample_id=int(ids[i]),
                points=points[i, :n].astype(np.float32),
                rate_hz=float(attributes["frame_rate_hz"]),
                labels=labels[i].astype(float),
                stature_m=float(stature[i]),
                views=tuple(
                    ClipView(name, xy[i, :n].astype(np.float32), visibility[i, :n], self._image_size)
                    for name, (xy, visibility) in views.items()
                ),
            )
            clips.append(clip if usable(clip) else None)
        return clips

    @staticmethod
    def _coco(names: Sequence[str], shard_id: str) -> list[int]:
        missing = [name for name in COCO_KEYPOINTS if name not in names]
        if missing:
            raise FormatError(f"shard {shard_id}: keypoints lack {', '.join(missing)}; training needs all 17 of COCO")
        return [list(names).index(name) for name in COCO_KEYPOINTS]

    @staticmethod
    def _columns(group: Any, array: str, wanted: Sequence[str]) -> NDArray[Any]:
        names = [column["name"] for column in group[array].attrs["columns"]]
        missing = [name for name in wanted if name not in names]
        if missing:
            raise FormatError(
                f"{group.name}/{array}: no column {', '.join(missing)}; the columns are {', '.join(names)}"
            )
        return _whole(group, array)[:, [names.index(name) for name in wanted]]


def _whole(group: Any, path: str) -> NDArray[Any]:
    """One array of a shard, in one read."""
    return np.asarray(group[path][:])
