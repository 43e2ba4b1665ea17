"""One gait made small: everything that its shard will store, while the pictures' raw bytes are let go.

A shard is built when its last gait is there. Until then a worker holds packed
gaits: a 10 s gait with three views is 180 MB of pictures, packed about 3 MB.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numcodecs import Zstd
from numpy.typing import NDArray

from farm.config import Campaign
from farm.dataset import video
from farm.dataset.encode_view import encode_view
from farm.dataset.laws import faults_of_gait
from farm.dataset.manifest import RejectedGait
from farm.dataset.scene_cells import Cell, scene_cells
from farm.dataset.schema import ArrayPath, stored_arrays
from farm.errors import FormatError
from farm.gait.columns import LABEL_COLUMNS
from farm.recheck import Recheck, recheck_cells, recheck_of
from farm.records import Column, FrameSet, GaitParameters, GaitSample, ViewFrames
from farm.sampling.anatomy import IMU_STATIONS, KEYPOINTS

RENDERER = "renderer"
"""Column of the index: what drew a gait's pictures."""

_PACKING = Zstd(level=1)
"""Only for the time between filming and writing; the shard's own codec is in `farm.dataset.group`."""


@dataclass(frozen=True)
class PackedPicture:
    """A picture array, compressed."""

    shape: tuple[int, ...]
    dtype: str
    data: bytes

    @classmethod
    def of(cls, array: NDArray[np.generic]) -> PackedPicture:
        return cls(array.shape, array.dtype.name, _PACKING.encode(np.ascontiguousarray(array)))

    def array(self) -> NDArray[np.generic]:
        flat: NDArray[np.generic] = np.frombuffer(_PACKING.decode(self.data), dtype=self.dtype)
        return flat.reshape(self.shape)


Value = NDArray[np.generic] | PackedPicture | bytes
"""An array, a compressed picture array, or (for `video`) one MP4 file."""


@dataclass(frozen=True)
class PackedGait:
    """One accepted gait, ready for its shard.

    Attributes:
        row: Its row of the index.
        values: By array path, without the gait axis and without padding.
        attributes: What the shard's group says of all its gaits (names of coordinates, rates, ...).
        array_attributes: The same for single arrays, by path (columns, parts, codec).
        psnr_db: By path of each video: how true it is to what was rendered; None where it is exact.
    """

    sample_id: int
    row: Mapping[str, Cell]
    values: Mapping[str, Value]
    attributes: Mapping[str, Any]
    array_attributes: Mapping[str, Mapping[str, Any]]
    psnr_db: Mapping[str, float | None]


def pack(campaign: Campaign, sample: GaitSample) -> PackedGait | RejectedGait:
    """What the dataset keeps of one sample: the whole gait if it was accepted, else why it was not.

    Encodes the videos, so that this is the place where an accepted gait costs time.

    Raises:
        FormatError: The sample breaks the format: a missing view, a wrong shape, a NaN where none may be.
    """
    if not sample.quality.accepted:
        return rejected_gait(
            sample.parameters,
            sample.quality.reasons,
            sample.quality.details,
            engine=sample.trajectory.engine,
            recheck=recheck_of(sample),
        )
    return pack_accepted(campaign, sample)


def rejected_gait(
    parameters: GaitParameters,
    reasons: tuple[str, ...],
    details: Mapping[str, str],
    *,
    engine: str,
    recheck: Recheck | None = None,
) -> RejectedGait:
    """The record of a sample that is not in the dataset, with what was drawn for it."""
    return RejectedGait(
        sample_id=parameters.sample_id,
        reasons=reasons,
        details=dict(details),
        parameters=parameter_cells(parameters),
        engine=engine,
        recheck={} if recheck is None else recheck_cells(recheck),
    )


def parameter_cells(parameters: GaitParameters) -> dict[str, Cell]:
    """What was drawn, as cells of an index row: words as words, numbers as numbers."""
    words = {name: getattr(parameters, name) for name in ("condition", "side", "sex", "controller")}
    return words | {column.name: _cell(value) for column, value in parameters.table()}


def pack_accepted(campaign: Campaign, sample: GaitSample) -> PackedGait:
    """`pack` for a sample that was accepted."""
    name = f"sample {sample.parameters.sample_id}"
    if sample.labels is None or sample.frames is None:
        raise FormatError(f"{name} was accepted, but has no labels or no pictures; this is a bug")
    values: dict[str, Value] = {
        item.path: np.asarray(_take(sample, item), dtype=item.spec.numpy_dtype)
        for item in stored_arrays(campaign.pictures)
        if not item.spec.per_view
    }
    columns = {"parameters": _columns(sample.parameters.columns()), "labels": _columns(LABEL_COLUMNS)}
    attributes = _attributes(sample) | picture_attributes(campaign)
    return packed_with(campaign, _row(campaign, sample), values, attributes, columns, sample.frames)


def packed_with(
    campaign: Campaign,
    row: Mapping[str, Cell],
    values: Mapping[str, Value],
    attributes: Mapping[str, Any],
    columns: Mapping[str, list[dict[str, str]]],
    frames: FrameSet,
) -> PackedGait:
    """A gait of these values and of what the cameras saw of it; encodes its videos.

    Args:
        row: Its row of the index, to which what was drawn for the pictures is added.
        values: Of every array but the views'.
        columns: Of the arrays `parameters` and `labels`.

    Raises:
        FormatError: It breaks the format: a missing view, a wrong shape, a NaN where none may be.
    """
    sample_id = int(row["sample_id"])  # type: ignore[arg-type]  # of every row it is a number
    seen: dict[str, Value] = {}
    psnr_db: dict[str, float | None] = {}
    paths = stored_arrays(campaign.pictures)
    for item in paths:
        if item.spec.source == "video":
            seen[item.path], psnr_db[item.path] = _video(campaign, _view(sample_id, frames, item))
        elif item.spec.per_view and item.spec.source != "video_offsets":  # known when the shard is whole
            array = np.asarray(_of_view(sample_id, frames, item), dtype=item.spec.numpy_dtype)
            seen[item.path] = PackedPicture.of(array) if item.spec.is_picture else array
    faults = faults_of_gait({**values, **seen}, attributes)
    if faults:
        raise FormatError(f"sample {sample_id} cannot be stored: {'; '.join(faults)}")
    return PackedGait(
        sample_id,
        {**row, RENDERER: frames.renderer, **scene_cells(frames.scene)},
        {**values, **seen},
        attributes,
        _array_attributes(campaign, columns, frames.parts, paths),
        psnr_db,
    )


def picture_attributes(campaign: Campaign) -> dict[str, Any]:
    """What a shard's group says of its pictures."""
    pictures = campaign.pictures
    return {
        "frame_rate_hz": pictures.frame_rate_hz,
        "image_size": list(pictures.image_size),
        "views": [view.name for view in pictures.views],
        "keypoints": list(KEYPOINTS),
    }


def _take(sample: GaitSample, item: ArrayPath) -> Any:
    """One gait's value of one array that is no view's."""
    assert sample.labels is not None  # `pack_accepted` made sure
    match item.spec.source:
        case "parameters":
            return [value for _, value in sample.parameters.table()]
        case "labels":
            return [sample.labels.values[column.name] for column in LABEL_COLUMNS]
        case "n_samples":
            return sample.trajectory.n_samples
        case "n_events":
            return len(sample.labels.event_time)
        case "n_frames":
            return sample.labels.n_frames
    record, _, field = item.spec.source.partition(".")
    return getattr(getattr(sample, record), field)


def _of_view(sample_id: int, frames: FrameSet, item: ArrayPath) -> Any:
    """One gait's value of one array of a view."""
    value = getattr(_view(sample_id, frames, item), item.spec.source.partition(".")[2])
    if value is None:
        raise FormatError(f"sample {sample_id} was filmed without {item.path}, which its campaign asks for")
    return value


def _view(sample_id: int, frames: FrameSet, item: ArrayPath) -> ViewFrames:
    views = {view.view: view for view in frames.views}
    if item.view not in views:
        raise FormatError(f"sample {sample_id} was not filmed from view {item.view!r}")
    return views[item.view]


def _video(campaign: Campaign, view: ViewFrames) -> tuple[bytes, float | None]:
    if view.rgb is None:
        raise FormatError(f"view {view.view!r} was filmed without pictures, but its campaign asks for video")
    data = encode_view(view.rgb, view.bbox, campaign.pictures, crf=view.crf)
    psnr = video.psnr_db(view.rgb, video.decode(data))
    return data, round(psnr, 3) if np.isfinite(psnr) else None


def _row(campaign: Campaign, sample: GaitSample) -> dict[str, Cell]:
    """The row of the index, but for the pictures."""
    assert sample.labels is not None  # `pack_accepted` made sure
    labels = {column.name: _cell(sample.labels.values[column.name]) for column in LABEL_COLUMNS}
    parameters = parameter_cells(sample.parameters)
    twice = labels.keys() & parameters.keys()
    if twice:
        raise FormatError(f"the index has {', '.join(sorted(twice))} both as parameter and as label; rename one")
    return {
        "sample_id": sample.parameters.sample_id,
        **parameters,
        "duration_s": sample.trajectory.duration_s,
        "n_samples": sample.trajectory.n_samples,
        "n_frames": sample.labels.n_frames,
        "engine": sample.trajectory.engine,
        **labels,
        **(recheck_cells(recheck_of(sample)) if campaign.engine != "opensim" else {}),
    }


def _cell(value: float) -> float | None:
    """A number of the index; what is undefined is null, as JSON has no NaN."""
    return float(value) if np.isfinite(value) else None


def _attributes(sample: GaitSample) -> dict[str, Any]:
    return {
        "engine": sample.trajectory.engine,
        "sample_rate_hz": sample.trajectory.sample_rate_hz,
        "bodies": list(sample.trajectory.bodies),
        "coordinates": list(sample.trajectory.coordinate_names),
        "muscles": list(sample.trajectory.muscles),
        "imus": list(IMU_STATIONS),
    }


def _array_attributes(
    campaign: Campaign,
    columns: Mapping[str, list[dict[str, str]]],
    parts: tuple[str, ...],
    paths: tuple[ArrayPath, ...],
) -> dict[str, Mapping[str, Any]]:
    by_field: dict[str, Mapping[str, Any]] = {
        **{name: {"columns": named} for name, named in columns.items()},
        "mask": {"parts": list(parts)},
        "video": {
            "codec": video.CODEC,
            "pixel_format": video.PIXEL_FORMATS[campaign.pictures.chroma],
            "container": video.CONTAINER,
            "crf": campaign.pictures.crf,
            "person_crf_offset": campaign.pictures.person_crf_offset,
            "effort": campaign.pictures.effort,
        },
    }
    return {item.path: by_field[item.spec.field] for item in paths if item.spec.field in by_field}


def _columns(columns: list[Column] | tuple[Column, ...]) -> list[dict[str, str]]:
    return [{"name": column.name, "unit": column.unit, "description": column.description} for column in columns]
