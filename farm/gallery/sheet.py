"""Contact sheets: a row for each group, a picture of each of its gaits at the same moment of the gait cycle."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from farm.dataset.reader import GaitDataset
from farm.gait.events import STRIKE_R
from farm.gallery.by import By
from farm.gallery.groups import Group
from farm.gallery.pictures import has_pictures, stick_figures

PICTURE_HEIGHT_PX = 200

CLOSE_UP = 1.25
"""Side of the square that a sheet by body shows around somebody, in heights (or widths, if more) of their box."""

_NAME_WIDTH_PX, _GAP_PX, _WORDS_PX, _VIEW_GAP_PX, _MARGIN_PX = 170, 12, 38, 2, 12
_PAPER, _INK, _FAINT = (255, 255, 255), (43, 47, 54), (109, 118, 130)


@dataclass(frozen=True, eq=False)
class Cell:
    """What one gait shows on a sheet: its pictures `[H, W, 3]` side by side, and two lines of words below."""

    pictures: Sequence[NDArray[np.uint8]]
    words: tuple[str, str]


@dataclass(frozen=True, eq=False)
class SheetRow:
    """One group: its name, what is said below it, and its cells."""

    name: str
    note: str
    cells: Sequence[Cell]


def contact_sheet(rows: Sequence[SheetRow]) -> bytes:
    """The sheet as PNG bytes.

    Raises:
        ValueError: There is nothing to show.
    """
    if not any(row.cells for row in rows):
        raise ValueError("a contact sheet needs at least one picture")
    breadth = max(_breadth(cell) for row in rows for cell in row.cells)
    columns = max(len(row.cells) for row in rows)
    width = _NAME_WIDTH_PX + columns * (breadth + _GAP_PX) + _MARGIN_PX
    pitch = PICTURE_HEIGHT_PX + _WORDS_PX + _GAP_PX
    sheet = Image.new("RGB", (width, 2 * _MARGIN_PX + len(rows) * pitch - _GAP_PX), _PAPER)
    draw = ImageDraw.Draw(sheet)
    large, small = ImageFont.load_default(16), ImageFont.load_default(12)
    for number, row in enumerate(rows):
        top = _MARGIN_PX + number * pitch
        lines = _wrapped(row.name, _NAME_WIDTH_PX - 2 * _MARGIN_PX, large)
        for place, text in enumerate(lines):
            draw.text((_MARGIN_PX, top + 2 + 20 * place), text, _INK, large)
        draw.text((_MARGIN_PX, top + 8 + 20 * len(lines)), row.note, _FAINT, small)
        for column, cell in enumerate(row.cells):
            left = _NAME_WIDTH_PX + column * (breadth + _GAP_PX)
            for place, words in enumerate(cell.words):
                ink = _FAINT if place else _INK
                draw.text((left, top + PICTURE_HEIGHT_PX + 4 + 16 * place), _cut(words, breadth, small), ink, small)
            for picture in cell.pictures:
                drawn = Image.fromarray(picture).resize((_width(picture), PICTURE_HEIGHT_PX), Image.Resampling.LANCZOS)
                sheet.paste(drawn, (left, top))
                left += drawn.width + _VIEW_GAP_PX
    buffer = io.BytesIO()
    sheet.save(buffer, format="PNG", optimize=True)
    return buffer.getvalue()


def sheet_rows(dataset: GaitDataset, by: By, found: Sequence[Group]) -> Iterator[SheetRow]:
    """The rows of one sheet. Everybody is seen at the right foot strike that is nearest to the middle of their walk.

    By camera each view is a row and the gaits stay in their columns; else each group is a row, seen from up to two
    views: the side first, as there a walk is known best. By body the pictures are cut to the person.
    """
    views = dataset.manifest.views
    if by is By.CAMERA:
        (group,) = found
        for view in views:
            cells = [
                Cell([_picture(dataset, row, view, False)], (f"gait {row['sample_id']}", _camera(row, view)))
                for row in group.rows
            ]
            yield SheetRow(view.replace("_", " "), "", cells)
        return
    shown = sorted(views, key=lambda view: view != "side")[:2]
    for group in found:
        cells = [
            Cell([_picture(dataset, row, view, by is By.BODY) for view in shown], (_heading(row), _WORDS[by](row)))
            for row in group.rows
        ]
        yield SheetRow(group.name, f"{group.count} gait{'s' if group.count != 1 else ''}", cells)


def _picture(dataset: GaitDataset, row: Mapping[str, Any], view: str, close: bool) -> NDArray[np.uint8]:
    """One picture, of which alone is decoded what it needs; cut to the person if it is to be `close`."""
    sample_id = int(row["sample_id"])
    stored = has_pictures(dataset, view)
    known = set(dataset.manifest.known_arrays)
    wanted: list[str] = [name for name in ("event_time", "event_type") if name in known]
    wanted += ["n_frames"] if stored else ["keypoints_2d"]
    if not stored and f"views/{view}/mask" in known:
        wanted.append("mask")
    close = close and f"views/{view}/bbox" in known
    if close:
        wanted.append("bbox")
    gait = dataset.gait(sample_id, wanted, (view,))
    rate, n_frames = float(gait.attributes["frame_rate_hz"]), int(row["n_frames"])
    number = (n_frames - 1) // 2
    if {"event_time", "event_type"} <= gait.arrays.keys():
        strikes = np.asarray(gait["event_time"], dtype=float)[gait["event_type"] == STRIKE_R] * rate
        if len(strikes):
            number = int(np.clip(round(strikes[np.argmin(np.abs(strikes - number))]), 0, n_frames - 1))
    if stored:
        picture = np.asarray(dataset.frames(sample_id, view, at=[number])[0])
    else:
        picture = next(islice(stick_figures(gait, view), number, None))
    return close_up(picture, gait[f"views/{view}/bbox"][number]) if close else picture


def close_up(picture: NDArray[np.uint8], box: NDArray[np.floating]) -> NDArray[np.uint8]:
    """The square of a picture `[H, W, 3]` around a box x0 y0 x1 y1 (px), moved and cut so that it lies inside.

    All of the picture where there is nobody (NaN).
    """
    if not np.isfinite(box).all():
        return picture
    x0, y0, x1, y1 = (float(edge) for edge in box)
    side = min(*picture.shape[:2], max(8, round(CLOSE_UP * max(x1 - x0, y1 - y0))))
    left = int(np.clip(round((x0 + x1 - side) / 2), 0, picture.shape[1] - side))
    top = int(np.clip(round((y0 + y1 - side) / 2), 0, picture.shape[0] - side))
    return picture[top : top + side, left : left + side]


def _heading(row: Mapping[str, Any]) -> str:
    return f"gait {row['sample_id']} · {_number(row, 'gait_speed', '.2f', ' m/s')}"


def _severity(row: Mapping[str, Any]) -> str:
    if row.get("side") in (None, "none"):
        return f"cadence {_number(row, 'cadence', '.0f', '/min')}"
    return f"{row['side']}, severity {_number(row, 'severity', '.2f')} · {_number(row, 'cadence', '.0f', '/min')}"


def _person(row: Mapping[str, Any]) -> str:
    age = _number(row, "age_years", ".0f", " y")
    return f"{age} · {_number(row, 'stature_m', '.2f', ' m')} · {_number(row, 'mass_kg', '.0f', ' kg')}"


def _surfaces(row: Mapping[str, Any]) -> str:
    named = [str(row[name]).replace("_", " ") for name in ("scene_place_floor", "scene_place_wall") if row.get(name)]
    return ", ".join(named)


def _camera(row: Mapping[str, Any], view: str) -> str:
    of = f"scene_camera_{view}_"
    said = [
        (f"{of}height_m", ".1f", " m high"),
        (f"{of}distance_m", ".1f", " m away"),
        (f"{of}vertical_fov_deg", ".0f", "°"),
    ]
    return " · ".join(_number(row, name, form, unit) for name, form, unit in said if row.get(name) is not None)


_WORDS = {By.CONDITION: _severity, By.BODY: _person, By.ROOM: _surfaces}
"""The second line below a gait's pictures."""


def _number(row: Mapping[str, Any], name: str, form: str, unit: str = "") -> str:
    value = row.get(name)
    return "?" if value is None else f"{float(value):{form}}{unit}"


def _width(picture: NDArray[np.uint8]) -> int:
    return max(1, round(PICTURE_HEIGHT_PX * int(picture.shape[1]) / int(picture.shape[0])))


def _breadth(cell: Cell) -> int:
    return sum(_width(picture) for picture in cell.pictures) + _VIEW_GAP_PX * (len(cell.pictures) - 1)


def _wrapped(text: str, width: int, font: Any) -> list[str]:
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if lines[-1] and font.getlength(longer) > width:
            lines.append(word)
        else:
            lines[-1] = longer
    return [_cut(line, width, font) for line in lines[:5]]


def _cut(text: str, width: int, font: Any) -> str:
    """As much of a line as fits."""
    if font.getlength(text) <= width:
        return text
    while text and font.getlength(text + "…") > width:
        text = text[:-1]
    return text + "…"
