"""The contact sheet: rows are gaits, columns are moments, and each cell shows all views side by side."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

CELL_HEIGHT_PX = 132
N_MOMENTS = 5
MAX_GAITS = 16
"""Rows of the sheet; of more gaits, evenly spread sample ids are taken."""

_LABEL_WIDTH_PX = 172
_GAP_PX = 10
_VIEW_GAP_PX = 2
_HEADER_PX = 26
_PAPER, _INK, _FAINT = (255, 255, 255), (43, 47, 54), (120, 128, 138)

Pictures = NDArray[np.uint8]


@dataclass(frozen=True)
class SheetRow:
    """One gait's pictures: by view `[M, H, W, 3]` at the same M moments, and the words beside them."""

    title: str
    lines: Sequence[str]
    times_s: Sequence[float]
    views: Mapping[str, Pictures]


def contact_sheet(rows: Sequence[SheetRow]) -> bytes:
    """The sheet as PNG bytes.

    Raises:
        ValueError: There is no row, or the rows differ in views or number of moments.
    """
    if not rows:
        raise ValueError("a contact sheet needs at least one gait with pictures")
    shapes = {(tuple(row.views), len(row.times_s)) for row in rows}
    if len(shapes) != 1:
        raise ValueError(f"all rows of a contact sheet show the same views at as many moments, got {sorted(shapes)}")
    names = tuple(rows[0].views)
    widths = {
        name: max(round(CELL_HEIGHT_PX * row.views[name].shape[2] / row.views[name].shape[1]) for row in rows)
        for name in names
    }
    cell = sum(widths.values()) + _VIEW_GAP_PX * (len(names) - 1)
    n_moments = len(rows[0].times_s)
    width = _LABEL_WIDTH_PX + n_moments * (cell + _GAP_PX)
    height = _HEADER_PX + len(rows) * (CELL_HEIGHT_PX + _GAP_PX)
    sheet = Image.new("RGB", (width, height), _PAPER)
    draw = ImageDraw.Draw(sheet)
    font, small = ImageFont.load_default(14), ImageFont.load_default(12)
    for moment in range(n_moments):
        x = _LABEL_WIDTH_PX + moment * (cell + _GAP_PX)
        for name in names:
            draw.text((x + widths[name] / 2, _HEADER_PX / 2), name, _FAINT, small, anchor="mm")
            x += widths[name] + _VIEW_GAP_PX
    for number, row in enumerate(rows):
        y = _HEADER_PX + number * (CELL_HEIGHT_PX + _GAP_PX)
        draw.text((8, y + 6), row.title, _INK, font)
        for line_number, line in enumerate(row.lines):
            draw.text((8, y + 28 + 17 * line_number), line, _FAINT, small)
        for moment, time_s in enumerate(row.times_s):
            x = _LABEL_WIDTH_PX + moment * (cell + _GAP_PX)
            for name in names:
                picture = Image.fromarray(row.views[name][moment])
                sheet.paste(picture.resize((widths[name], CELL_HEIGHT_PX), Image.Resampling.LANCZOS), (x, y))
                x += widths[name] + _VIEW_GAP_PX
            mark = f"{time_s:.1f} s"
            corner = (_LABEL_WIDTH_PX + moment * (cell + _GAP_PX) + 4, y + CELL_HEIGHT_PX - 17)
            draw.text(corner, mark, (255, 255, 255), small, stroke_width=2, stroke_fill=_INK)
    buffer = io.BytesIO()
    sheet.save(buffer, format="PNG", optimize=True)
    return buffer.getvalue()


def moments(n_frames: int, stride_frames: float | None = None, count: int = N_MOMENTS) -> NDArray[np.int64]:
    """Indices of `count` pictures spread over a gait, without its very beginning and end.

    Each is the next share of a stride further in the gait cycle, so that no two
    columns happen to show the same posture. A gait of fewer pictures shows some of
    them twice.

    Args:
        stride_frames: Pictures in one stride; None if it is not known.
    """
    at = np.linspace(0.08, 0.92, count) * (n_frames - 1)
    if stride_frames:
        share = np.arange(count) / count
        at = ((at / stride_frames - share).round() + share) * stride_frames
    return np.asarray(np.clip(at.round(), 0, n_frames - 1), dtype=np.int64)


def sheet_row(
    row: Mapping[str, Any], views: Sequence[str], frame_rate_hz: float, frames: Callable[[int, str], Pictures]
) -> SheetRow:
    """One row for a gait of the index; `frames(sample_id, view)` gives its pictures `[F, H, W, 3]`."""
    sample_id = int(row["sample_id"])
    pictures: dict[str, Pictures] = {}
    chosen = np.empty(0, dtype=np.int64)
    stride_frames = float(row.get("stride_time") or 0.0) * frame_rate_hz
    for view in views:
        film = frames(sample_id, view)
        chosen = moments(len(film), stride_frames)
        pictures[view] = film[chosen]
    return SheetRow(f"gait {sample_id}", describe(row), (chosen / frame_rate_hz).tolist(), pictures)


def describe(row: Mapping[str, Any], *, width: int = 24) -> list[str]:
    """A gait in four short lines: condition (broken where it is longer than `width`), person, speed, step."""
    condition = str(row.get("condition", "")).replace("_", " ")
    if row.get("side") not in (None, "none"):
        condition += f" ({row['side']}, {float(row.get('severity') or 0):.2f})"
    person = f"{row.get('sex', '')}, {_number(row, 'age_years', '.0f')} y, {_number(row, 'stature_m', '.2f')} m"
    return [
        *_wrapped(condition, width),
        person,
        f"{_number(row, 'mass_kg', '.0f')} kg, {_number(row, 'gait_speed', '.2f')} m/s",
        f"step {_number(row, 'step_length', '.2f')} m, {_number(row, 'cadence', '.0f')}/min",
    ]


def _wrapped(text: str, width: int) -> list[str]:
    lines = [""]
    for word in text.split():
        if lines[-1] and len(lines[-1]) + 1 + len(word) > width:
            lines.append(word)
        else:
            lines[-1] = f"{lines[-1]} {word}".strip()
    return lines


def _number(row: Mapping[str, Any], name: str, form: str) -> str:
    value = row.get(name)
    return "?" if value is None else format(float(value), form)
