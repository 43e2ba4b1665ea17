"""Writing a gallery: for each chosen gait and view a film of pictures beside their labels, and a strip of them."""

from __future__ import annotations

import heapq
import io
import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from farm.dataset import video
from farm.dataset.pull_choice import rank
from farm.dataset.reader import GaitDataset
from farm.errors import UserError

MARK = "gallery.json"
"""Says whose gallery a folder holds; written first, so that a run that was cut off can go on."""

EVENT_FRAMES = 2
"""Pictures for which a foot event stays marked, from the nearest one on: one alone is missed by the eye."""


@dataclass(frozen=True)
class Gallery:
    """What was written, as names in `folder`; films that were there already count."""

    folder: str
    sample_ids: tuple[int, ...]
    films: tuple[str, ...]
    strips: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def write_gallery(
    uri: str,
    out: Path,
    *,
    where: str | None = None,
    count: int = 6,
    seed: int = 0,
    endpoint_url: str | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Gallery:
    """Write `gait_<id>_<view>.mp4` and `.png` into `out`, for `count` gaits and all views; what is there is kept.

    Args:
        where: Gaits to choose from, as SQL over the index; None for all.
        seed: Of the choice among them: the same seed chooses the same gaits, and a larger count more of them.
        progress: Called with how many films are done, of how many.

    Raises:
        UserError: No gait to show, no pictures, or `out` holds something else or cannot be written.
        FormatError, StorageError: As the reader.
    """
    if count < 1:
        raise UserError(f"--count is {count}; it must be 1 or more")
    dataset = GaitDataset(uri, endpoint_url=endpoint_url)
    if not dataset.manifest.views:
        raise UserError(f"{uri}: the dataset has no views, so there are no labels to lay over pictures")
    for view in dataset.manifest.views:
        dataset.check_pictures(view)
    ids = _chosen(dataset, where, count, seed)
    try:
        _claim(out, dataset)
        return _write_all(dataset, out, ids, progress)
    except OSError as error:
        raise UserError(
            f"{out}: the gallery cannot be written there ({error.strerror}); choose another --out"
        ) from None


def _chosen(dataset: GaitDataset, where: str | None, count: int, seed: int) -> tuple[int, ...]:
    found = (int(row["sample_id"]) for rows in dataset.table.batches(where, ["sample_id"]) for row in rows)
    ids = heapq.nsmallest(count, found, key=lambda sample_id: rank(seed, sample_id))
    if not ids:
        wish = f"no gait fulfils {where}" if where else "the dataset holds no gait yet"
        raise UserError(f"{dataset.storage.uri}: {wish}; nothing was drawn")
    return tuple(sorted(ids))


def _claim(out: Path, dataset: GaitDataset) -> None:
    """Begin a gallery in an empty folder, or go on with one of the same dataset."""
    out.mkdir(parents=True, exist_ok=True)
    mark = {"dataset_id": dataset.manifest.dataset_id}
    if (out / MARK).is_file():
        try:
            there = json.loads((out / MARK).read_text("utf-8"))
        except ValueError:
            there = None
        if there != mark:
            raise UserError(f"{out} holds the gallery of another dataset; choose another --out")
    elif found := next(iter(sorted(out.iterdir())), None):
        raise UserError(f"{out} is not empty ({found.name}) and holds no gallery; choose another --out")
    else:
        _write(out / MARK, json.dumps(mark).encode("utf-8"))


def _write_all(
    dataset: GaitDataset, out: Path, ids: tuple[int, ...], progress: Callable[[int, int], None] | None
) -> Gallery:
    names = [(sample_id, view, f"gait_{sample_id}_{view}") for sample_id in ids for view in dataset.manifest.views]
    say = progress or (lambda *_: None)
    for done, (sample_id, view, name) in enumerate(names):
        say(done, len(names))
        if not (out / f"{name}.png").is_file() or not (out / f"{name}.mp4").is_file():
            film, strip, rate = _film(dataset, sample_id, view)
            _write(out / f"{name}.mp4", video.encode(film, frame_rate_hz=rate))
            _write(out / f"{name}.png", _png(strip))
    say(len(names), len(names))
    return Gallery(
        str(out), ids, tuple(f"{name}.mp4" for *_, name in names), tuple(f"{name}.png" for *_, name in names)
    )


def _film(dataset: GaitDataset, sample_id: int, view: str) -> tuple[NDArray[np.uint8], NDArray[np.uint8], float]:
    """Pictures beside their labels `[F, H, W, 3]`, a column of some of them, and pictures in a second."""
    from farm.report.contact_sheet import moments  # here: Pillow is not installed with the reader alone

    known = set(dataset.manifest.known_arrays)
    wanted = [
        field
        for field, path in (
            ("keypoints_2d", f"views/{view}/keypoints_2d"), ("visibility", f"views/{view}/visibility"),
            ("bbox", f"views/{view}/bbox"), ("mask", f"views/{view}/mask"),
            ("event_time", "event_time"), ("event_type", "event_type"),
        )
        if path in known
    ]  # fmt: skip
    if not {"keypoints_2d", "visibility"} <= set(wanted):
        raise UserError(f"{dataset.storage.uri} holds no keypoints_2d and visibility of {view}: they were not pulled")
    gait = dataset.gait(sample_id, wanted, (view,))
    rate = float(gait.attributes["frame_rate_hz"])
    pictures = dataset.frames(sample_id, view)
    film = np.stack(list(_labelled(pictures, gait.arrays, view, tuple(gait.attributes["keypoints"]), rate)))
    stride_frames = float(gait.row.get("stride_time") or 0.0) * rate
    return film, np.concatenate(film[moments(len(film), stride_frames)]), rate


def _labelled(
    pictures: NDArray[np.uint8], arrays: Any, view: str, names: tuple[str, ...], rate: float
) -> Iterator[NDArray[np.uint8]]:
    from farm.gallery.overlay import PictureLabels, beside

    times, codes = arrays.get("event_time", ()), arrays.get("event_type", ())
    first = [round(float(time) * rate) for time in times]
    box, mask = arrays.get(f"views/{view}/bbox"), arrays.get(f"views/{view}/mask")
    for number, picture in enumerate(pictures):
        labels = PictureLabels(
            names,
            arrays[f"views/{view}/keypoints_2d"][number],
            arrays[f"views/{view}/visibility"][number],
            None if box is None else box[number],
            None if mask is None else mask[number],
            [int(code) for code, at in zip(codes, first, strict=True) if at <= number < at + EVENT_FRAMES],
        )
        yield beside(picture, labels, f"{view} · picture {number} · {number / rate:.2f} s")


def _png(picture: NDArray[np.uint8]) -> bytes:
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, format="PNG", optimize=True)
    return buffer.getvalue()


def _write(path: Path, data: bytes) -> None:
    """Whole or not at all, so that a later run may trust what it finds."""
    part = path.with_name(f".{path.name}.part")
    part.write_bytes(data)
    part.replace(path)
