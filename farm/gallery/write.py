"""Writing a gallery: a page for each chosen gait, and for each of its views films and a strip of moments."""

from __future__ import annotations

import heapq
import io
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from farm.dataset import video
from farm.dataset.gaits import Gait
from farm.dataset.pull_choice import rank
from farm.dataset.reader import GaitDataset
from farm.errors import UserError
from farm.gallery.by import By
from farm.gallery.groups import Group, groups

MARK = "gallery.json"
"""Says whose gallery a folder holds; written first, so that a run that was cut off can go on."""

FRONT = "index.html"

BARE = "_bare.mp4"
"""How the films that the pages play end: the pictures alone, over which the page draws the labels itself."""

MAX_WORDS = 200
"""Letters of a line that a page breaks by itself."""


@dataclass(frozen=True)
class Gallery:
    """What was written, as names in `folder`; what was there already counts.

    Attributes:
        front: The page that leads to all others.
        pages: One for each gait.
        films: For each gait and view, the pictures beside the labelled ones.
        strips: Moments of the films.
        sheets: Contact sheets of this run.
    """

    folder: str
    sample_ids: tuple[int, ...]
    front: str
    pages: tuple[str, ...]
    films: tuple[str, ...]
    strips: tuple[str, ...]
    sheets: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def write_gallery(
    uri: str,
    out: Path,
    *,
    where: str | None = None,
    count: int = 6,
    seed: int = 0,
    by: Sequence[By] = (),
    endpoint_url: str | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Gallery:
    """Write pages, films and strips of `count` gaits from all views into `out`, and contact sheets.

    What is there of the gaits is kept.

    Args:
        where: Gaits to choose from, as SQL over the index; None for all.
        seed: Of the choice among them: the same seed chooses the same gaits, and a larger count more of them.
        by: A contact sheet for each of these, drawn anew: of all gaits of `where`, not of those `count` alone.
        progress: Called with how many films are done, of how many.

    Raises:
        UserError: No gait to show, no views, or `out` holds something else or cannot be written.
        FormatError, StorageError: As the reader.
    """
    if count < 1:
        raise UserError(f"--count is {count}; it must be 1 or more")
    dataset = GaitDataset(uri, endpoint_url=endpoint_url)
    if not dataset.manifest.views:
        raise UserError(f"{uri}: the dataset has no views, so there are no labels to lay over pictures")
    for view in dataset.manifest.views:
        _fields(dataset, view)
    ids = _chosen(dataset, where, count, seed)
    sorted_by = {what: groups(dataset, what, where, seed) for what in dict.fromkeys(by)}
    try:
        _claim(out, dataset)
        return _write_all(dataset, out, ids, sorted_by, progress)
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
    dataset: GaitDataset,
    out: Path,
    ids: tuple[int, ...],
    sorted_by: Mapping[By, Sequence[Group]],
    progress: Callable[[int, int], None] | None,
) -> Gallery:
    from farm.gallery.page import Entry, Sheet, front_page
    from farm.gallery.sheet import contact_sheet, sheet_rows
    from farm.report.contact_sheet import describe

    views = dataset.manifest.views
    say = progress or (lambda *_: None)
    for number, sample_id in enumerate(ids):
        if not all((out / name).is_file() for name in _files(sample_id, views)):
            _write_gait(dataset, out, sample_id, partial(_say_view, say, number * len(views), len(ids) * len(views)))
    say(len(ids) * len(views), len(ids) * len(views))
    for by, found in sorted_by.items():
        _write(out / _sheet(by), contact_sheet(list(sheet_rows(dataset, by, found))))
    sheets = [Sheet(f"by {by}", _sheet(by)) for by in By if (out / _sheet(by)).is_file()]
    there = sorted({*ids, *_ids_in(out)})
    rows = dataset.index(f"sample_id IN ({', '.join(map(str, there))})")
    entries = [
        Entry(
            f"gait {row['sample_id']}",
            describe(row, width=MAX_WORDS),
            _page(row["sample_id"]),
            f"{_stem(row['sample_id'], _first_view(views))}.png",
        )
        for row in rows
    ]
    front = front_page(dataset.manifest, dataset.storage.uri, entries, sheets, n_gaits=len(dataset.table))
    _write(out / FRONT, front.encode("utf-8"))
    stems = [_stem(sample_id, view) for sample_id in ids for view in views]
    return Gallery(
        str(out),
        ids,
        FRONT,
        tuple(map(_page, ids)),
        tuple(f"{stem}.mp4" for stem in stems),
        tuple(f"{stem}.png" for stem in stems),
        tuple(map(_sheet, sorted_by)),
    )


def _sheet(by: By) -> str:
    return f"sheet_by_{by}.png"


def _say_view(say: Callable[[int, int], None], before: int, total: int, view: int) -> None:
    say(before + view, total)


def _stem(sample_id: int, view: str) -> str:
    return f"gait_{sample_id}_{view}"


def _page(sample_id: int) -> str:
    return f"gait_{sample_id}.html"


def _files(sample_id: int, views: Sequence[str]) -> list[str]:
    """What there is of one gait when it is whole."""
    stems = [_stem(sample_id, view) for view in views]
    return [*(f"{stem}{end}" for stem in stems for end in (".mp4", ".png", BARE)), _page(sample_id)]


def _ids_in(out: Path) -> list[int]:
    """Gaits that have a page there, of this run or of another."""
    found = (re.fullmatch(r"gait_(\d{1,18})\.html", path.name) for path in sorted(out.iterdir()))
    return [int(match[1]) for match in found if match]


def _first_view(views: Sequence[str]) -> str:
    """Whose picture stands for a gait: from the side a walk is known best."""
    return "side" if "side" in views else views[0]


def _write_gait(dataset: GaitDataset, out: Path, sample_id: int, say: Callable[[int], None]) -> None:
    """All of one gait, its page last, so that what it shows is there."""
    from farm.gallery.curves import FIELDS, curves_of
    from farm.gallery.page import Film, gait_page, page_data, view_data
    from farm.gallery.pictures import bare_film, film_size
    from farm.report.contact_sheet import describe

    views, films = [], []
    for number, view in enumerate(dataset.manifest.views):
        say(number)
        gait = dataset.gait(sample_id, _fields(dataset, view), (view,))
        stem = _stem(sample_id, view)
        if not (out / f"{stem}{BARE}").is_file():
            _write(out / f"{stem}{BARE}", bare_film(dataset, gait, view))
        if not (out / f"{stem}.png").is_file() or not (out / f"{stem}.mp4").is_file():
            _write_film(dataset, out / f"{stem}.mp4", out / f"{stem}.png", gait, view)
        views.append(view_data(gait, view))
        films.append(Film(view, f"{stem}{BARE}", *film_size(gait)))
    known = set(dataset.manifest.known_arrays)
    gait = dataset.gait(sample_id, [name for name in FIELDS if name in known] or ["n_frames"])
    page = gait_page(
        page_data(gait, views, curves_of(gait)),
        films,
        title=f"gait {sample_id}",
        lines=describe(gait.row, width=MAX_WORDS),
    )
    _write(out / _page(sample_id), page.encode("utf-8"))


def _fields(dataset: GaitDataset, view: str) -> list[str]:
    """What is drawn over a view's pictures, as far as it is stored.

    Raises:
        UserError: Not even keypoints are.
    """
    known = set(dataset.manifest.known_arrays)
    own = [name for name in ("keypoints_2d", "visibility", "bbox", "mask") if f"views/{view}/{name}" in known]
    if not {"keypoints_2d", "visibility"} <= set(own):
        raise UserError(f"{dataset.storage.uri} holds no keypoints_2d and visibility of {view}: they were not pulled")
    return own + [name for name in ("event_time", "event_type") if name in known]


def _write_film(dataset: GaitDataset, film: Path, strip: Path, gait: Gait, view: str) -> None:
    """Pictures beside their labels as a film, and a column of some of them; one picture at a time is in memory."""
    from farm.gallery.pictures import n_frames
    from farm.report.contact_sheet import moments

    rate = float(gait.attributes["frame_rate_hz"])
    chosen = moments(n_frames(gait, view), float(gait.row.get("stride_time") or 0.0) * rate).tolist()
    kept: dict[int, NDArray[np.uint8]] = {}

    def drawn() -> Iterator[NDArray[np.uint8]]:
        for number, picture in enumerate(_labelled(dataset, gait, view, rate)):
            if number in chosen:
                kept[number] = picture
            yield picture

    _write(film, video.encode(drawn(), frame_rate_hz=rate))
    _write(strip, _png(np.concatenate([kept[number] for number in chosen])))


def _labelled(dataset: GaitDataset, gait: Gait, view: str, rate: float) -> Iterator[NDArray[np.uint8]]:
    from farm.gallery.overlay import EVENT_FRAMES, PictureLabels, beside
    from farm.gallery.pictures import pictures

    arrays, names = gait.arrays, tuple(gait.attributes["keypoints"])
    times, codes = arrays.get("event_time", ()), arrays.get("event_type", ())
    first = [round(float(time) * rate) for time in times]
    box, mask = arrays.get(f"views/{view}/bbox"), arrays.get(f"views/{view}/mask")
    for number, picture in enumerate(pictures(dataset, gait, view)):
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
