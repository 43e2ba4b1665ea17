"""Writing the report of a dataset: page, contact sheet, films."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from farm.dataset import video
from farm.dataset.engines import Rechecks
from farm.dataset.reader import GaitDataset
from farm.errors import UserError
from farm.report.gather import ReportData, gather

PAGE, SHEET = "report.html", "contact_sheet.png"


@dataclass(frozen=True)
class Report:
    """What was written where.

    Attributes:
        contact_sheet: None where the dataset holds no pictures.
        films: One MP4 for each view of one gait.
        engines: Samples by the engine that made them.
        rechecks: What OpenSim said of samples that it walked again; None where it made them all itself.
    """

    page: Path
    contact_sheet: Path | None
    films: tuple[Path, ...]
    n_gaits: int
    n_rejected: int
    engines: Mapping[str, int]
    rechecks: Rechecks | None

    def to_dict(self) -> dict[str, Any]:
        """For JSON: paths as words."""
        return {
            "page": str(self.page),
            "contact_sheet": str(self.contact_sheet) if self.contact_sheet else None,
            "films": [str(film) for film in self.films],
            "n_gaits": self.n_gaits,
            "n_rejected": self.n_rejected,
            "engines": dict(self.engines),
            "rechecks": asdict(self.rechecks) if self.rechecks else None,
        }


def write_report(
    uri: str,
    out: Path,
    *,
    endpoint_url: str | None = None,
    train_result: Path | None = None,
    run_summary: Path | None = None,
) -> Report:
    """Write `report.html`, `contact_sheet.png` and one `gait_<id>_<view>.mp4` for each view into `out`.

    The page holds everything that it shows; the other files are there for use elsewhere.

    Args:
        uri: The dataset: a path, `file:///...` or `s3://bucket/prefix`.
        out: Folder, made if needed; files of these names are replaced.
        train_result: Folder of `gaitfarm train`, or its `test.json`: adds the estimator's table.
        run_summary: What `gaitfarm generate --json` printed: adds the seconds of each stage.

    Raises:
        FormatError: There is no dataset, or a file that is not what it should be.
        StorageError: The storage cannot be read.
        UserError: `out` cannot be written.
        ModuleNotFoundError: matplotlib, Pillow or jinja2 are not installed.
    """
    # Here, so that `import farm.report` works where only the reader is installed.
    from farm.report import page, plots
    from farm.report.contact_sheet import contact_sheet

    scores = page.read_scores(train_result) if train_result else []
    stage_seconds = page.read_stage_seconds(run_summary) if run_summary else {}
    dataset = GaitDataset(uri, endpoint_url=endpoint_url)
    _make(out)
    data = gather(dataset)
    figures = _figures(plots, data)
    rows = _sheet_rows(dataset, data)
    sheet = contact_sheet(rows) if rows else None
    shown = _typical(data)
    films: list[page.Video] = []
    if shown is not None and rows:
        sample_id = int(shown["sample_id"])
        films = [
            page.Video(view, f"gait_{sample_id}_{view}.mp4", _film(dataset, sample_id, view))
            for view in dataset.manifest.views
        ]
    html = page.render(
        dataset.manifest,
        uri,
        data,
        figures,
        sheet,
        films,
        _title(shown) if shown else "",
        stage_seconds=stage_seconds,
        scores=scores,
    )
    for film in films:
        _write(out / film.file_name, film.data)
    if sheet:
        _write(out / SHEET, sheet)
    _write(out / PAGE, html.encode("utf-8"))  # last: a page that is there is whole
    return Report(
        page=out / PAGE,
        contact_sheet=out / SHEET if sheet else None,
        films=tuple(out / film.file_name for film in films),
        n_gaits=data.n_accepted,
        n_rejected=data.n_rejected,
        engines=data.engines,
        rechecks=data.rechecks,
    )


def _make(out: Path) -> None:
    """Before the drawing, which takes its time."""
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _unwritable(out, error) from None


def _write(path: Path, data: bytes) -> None:
    """Whole or not at all: a full disk leaves no half page that looks whole."""
    part = path.with_name(f".{path.name}.part")
    try:
        part.write_bytes(data)
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise _unwritable(path, error) from None


def _unwritable(path: Path, error: OSError) -> UserError:
    return UserError(f"{path}: the report cannot be written there ({error.strerror}); choose another --out")


def _figures(plots: Any, data: ReportData) -> dict[str, bytes]:
    figures = {}
    if data.rows:
        figures["distributions"] = plots.distributions(data)
        figures["speed_and_step_length"] = plots.speed_and_step_length(data)
    if data.curves:
        figures["joint_angles"] = plots.joint_angle_curves(data)
        figures["vertical_force"] = plots.vertical_force_curves(data)
    if data.coverage is not None and data.rows:
        figures["coverage"] = plots.coverage_grid(data.coverage)
    if data.rejections:
        figures["rejections"] = plots.rejections(data)
    return figures


def _has_pictures(dataset: GaitDataset) -> bool:
    stored = dataset.manifest.arrays
    return bool(dataset.manifest.views) and all(
        f"views/{view}/video" in stored or f"views/{view}/rgb" in stored for view in dataset.manifest.views
    )


def _sheet_rows(dataset: GaitDataset, data: ReportData) -> list[Any]:
    from farm.report.contact_sheet import MAX_GAITS, sheet_row

    if not data.rows or not _has_pictures(dataset):
        return []
    chosen = np.unique(np.linspace(0, len(data.rows) - 1, min(MAX_GAITS, len(data.rows))).round().astype(int))
    rate = _frame_rate_hz(dataset, data.rows)
    return [sheet_row(data.rows[i], dataset.manifest.views, rate, dataset.frames) for i in chosen]


def _frame_rate_hz(dataset: GaitDataset, rows: Sequence[Mapping[str, Any]]) -> float:
    rate: Any = dataset.shard(str(rows[0]["shard_id"])).attrs["frame_rate_hz"]
    return float(rate)


def _film(dataset: GaitDataset, sample_id: int, view: str) -> bytes:
    """The stored MP4 as it is where every browser plays it, else one made of its pictures."""
    (row,) = dataset.index(f"sample_id = {sample_id}")
    path = f"views/{view}/video"
    if path in dataset.manifest.arrays:
        stored = dataset.shard(str(row["shard_id"]))[path]
        if video.played_by_browsers(dict(stored.attrs)):
            return dataset.video(sample_id, view)
    pictures = dataset.frames(sample_id, view)
    pictures = np.pad(pictures, ((0, 0), (0, pictures.shape[1] % 2), (0, pictures.shape[2] % 2), (0, 0)), mode="edge")
    return video.encode(pictures, frame_rate_hz=_frame_rate_hz(dataset, [row]))


def _typical(data: ReportData) -> Mapping[str, Any] | None:
    """The gait of median speed: the one that the films show."""
    speed = data.column("gait_speed")
    known = np.flatnonzero(np.isfinite(speed))
    if len(known) == 0:
        return data.rows[0] if data.rows else None
    order = known[np.argsort(speed[known], kind="stable")]
    return data.rows[int(order[len(order) // 2])]


def _title(row: Mapping[str, Any]) -> str:
    from farm.report.contact_sheet import describe

    return f"gait {row['sample_id']}: " + ", ".join(describe(row))
