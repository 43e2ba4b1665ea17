"""The HTML page: every figure and video inside one file, so that it can be mailed or opened from a bucket."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, StrictUndefined, select_autoescape

from farm.dataset.manifest import DatasetManifest
from farm.errors import FormatError
from farm.report.gather import ANGLES, ReportData

MAX_TABLE_ROWS = 500
"""Gaits in the page's table; the whole index is in the dataset (`gaitfarm pull`, or its Parquet catalogue)."""

MAX_THIN_CELLS = 40

MAX_RESULT_BYTES = 4 << 20


@dataclass(frozen=True)
class Video:
    """One view's film of the gait that the page shows."""

    view: str
    file_name: str
    data: bytes


@dataclass(frozen=True)
class Score:
    """One line of the estimator's test table."""

    parameter: str
    view: str
    unit: str
    n: int
    r: float | None
    mae: float


def render(
    manifest: DatasetManifest,
    uri: str,
    data: ReportData,
    figures: Mapping[str, bytes],
    sheet: bytes | None,
    videos: Sequence[Video],
    film_title: str,
    *,
    stage_seconds: Mapping[str, float],
    scores: Sequence[Score],
) -> str:
    """The page's HTML."""
    environment = Environment(autoescape=select_autoescape(default=True), undefined=StrictUndefined)
    environment.filters["number"] = _number
    environment.filters["words"] = lambda code: str(code).replace("_", " ")
    template = environment.from_string(
        (resources.files("farm.report") / "templates" / "report.html").read_text("utf-8")
    )
    return template.render(
        manifest=manifest,
        uri=uri,
        data=data,
        figures={name: _uri("image/png", image) for name, image in figures.items()},
        sheet=_uri("image/png", sheet) if sheet else "",
        videos=[(video, _uri("video/mp4", video.data)) for video in videos],
        film_title=film_title,
        facts=_facts(data),
        stages=_stages(data, stage_seconds),
        statistics=_statistics(data),
        table=_table(data),
        angles=ANGLES,
        scores=scores,
        max_table_rows=MAX_TABLE_ROWS,
        max_thin_cells=MAX_THIN_CELLS,
    )


def read_scores(path: Path) -> list[Score]:
    """The estimator's test table from `test.json`, or from the folder that holds it.

    Raises:
        FormatError: There is no such file, or it is not a table of scores.
    """
    file = path / "test.json" if path.is_dir() else path
    document = _json(file, "an estimator's test table (written by `gaitfarm train`)")
    try:
        return [
            Score(
                str(item["parameter"]),
                str(item["view"]),
                str(item["unit"]),
                int(item["n"]),
                None if item["r"] is None else float(item["r"]),
                float(item["mae"]),
            )
            for item in document["scores"]
        ]
    except (KeyError, TypeError, ValueError) as error:
        raise FormatError(
            f"{file}: is no estimator's test table ({error!r}); give the folder of `gaitfarm train`"
        ) from None


def read_stage_seconds(path: Path) -> dict[str, float]:
    """Worker seconds by stage from a run's summary (`gaitfarm generate --json > summary.json`).

    Raises:
        FormatError: There is no such file, or it is no summary.
    """
    document = _json(path, "a run's summary (written by `gaitfarm generate --json`)")
    try:
        return {str(stage): float(seconds) for stage, seconds in document["stage_seconds"].items()}
    except (KeyError, TypeError, ValueError, AttributeError):
        raise FormatError(f"{path}: has no stage_seconds; give the output of `gaitfarm generate --json`") from None


def _json(file: Path, what: str) -> Any:
    try:
        if file.stat().st_size > MAX_RESULT_BYTES:
            raise FormatError(f"{file}: is larger than {MAX_RESULT_BYTES} bytes, so it is not {what}")
        return json.loads(file.read_text("utf-8"))
    except OSError as error:
        raise FormatError(f"{file}: cannot be read ({error.strerror}); it should be {what}") from None
    except ValueError:
        raise FormatError(f"{file}: is not JSON; it should be {what}") from None


def _facts(data: ReportData) -> list[tuple[str, str]]:
    """The tiles at the top: a figure and what it counts."""
    n = data.n_accepted
    facts = [
        (f"{n}", "gaits"),
        (f"{100 * data.accepted_fraction:.0f} %" if n + data.n_rejected else "–", "of samples accepted"),
        (f"{data.totals['duration_s']:.0f} s", "of walking"),
        (f"{data.totals['distance_m']:.0f} m", "walked"),
        (f"{data.totals['n_strides']:.0f}", "whole strides"),
    ]
    if n:
        facts.append((_bytes(data.stored_bytes / n), "stored per gait"))
        if data.wall_s > 0:
            facts.append((f"{data.wall_s / n:.1f} s", "worker time per gait"))
    return facts


def _stages(data: ReportData, stage_seconds: Mapping[str, float]) -> list[tuple[str, float, float]]:
    """Stage, seconds, seconds per accepted gait."""
    n = max(1, data.n_accepted)
    return [(stage, seconds, seconds / n) for stage, seconds in stage_seconds.items()]


def _statistics(data: ReportData) -> list[dict[str, Any]]:
    """Each label's spread over the gaits that are shown."""
    lines = []
    for column in data.labels:
        values = data.column(column.name)
        values = values[np.isfinite(values)]
        spread = np.percentile(values, [0, 50, 100]) if len(values) else [np.nan] * 3
        lines.append(
            {
                "column": column,
                "n": len(values),
                "mean": float(values.mean()) if len(values) else np.nan,
                "sd": float(values.std(ddof=1)) if len(values) > 1 else np.nan,
                "least": float(spread[0]),
                "median": float(spread[1]),
                "most": float(spread[2]),
            }
        )
    return lines


def _table(data: ReportData) -> list[dict[str, Any]]:
    """One line for each gait: who, every label, and how its curves lie in the norm band."""
    norms = {gait.sample_id: gait.norms for gait in data.curves}
    return [{"row": row, "norms": norms.get(int(row["sample_id"]), {})} for row in list(data.rows)[:MAX_TABLE_ROWS]]


def _number(value: Any, digits: int = 3) -> str:
    """A number with so many significant digits, or a dash."""
    if value is None or not np.isfinite(value):
        return "–"
    if value == 0:
        return "0"
    decimals = max(0, digits - 1 - int(np.floor(np.log10(abs(value)))))
    return f"{value:.{decimals}f}"


def _bytes(n: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if n < 1000 or unit == "GB":
            return f"{n:.0f} {unit}" if unit in ("B", "kB") else f"{n:.1f} {unit}"
        n /= 1000
    raise AssertionError("unreachable")


def _uri(media_type: str, data: bytes) -> str:
    return f"data:{media_type};base64,{base64.b64encode(data).decode('ascii')}"
