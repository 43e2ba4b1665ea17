"""One gait, whole and in process, written as files that people open: no Ray, no shard.

The folder appears complete or not at all: it is made beside its place and moved there last.
"""

from __future__ import annotations

import json
import math
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table
from rich.text import Text

from farm.config import Campaign, Pictures
from farm.dataset.encode_view import encode_view
from farm.errors import CampaignError, StorageError
from farm.export.opensim import EVENT_NAMES
from farm.gait.parameters import LABEL_COLUMNS
from farm.pipeline import make_sample
from farm.recheck import recheck_cells, recheck_of
from farm.records import GaitLabels, GaitParameters, GaitSample, ViewFrames
from farm.sampling.anatomy import COCO_KEYPOINTS, KEYPOINTS


def write_one(campaign: Campaign, sample_id: int, out: Path) -> tuple[GaitSample, dict[str, Path]]:
    """Make sample `sample_id` of `campaign` and write it into the folder `out`.

    A gait that is turned down is written too, with its reasons and without pictures.

    Returns:
        The sample, and what each file is -> its path.

    Raises:
        CampaignError: No such sample in this campaign.
        StorageError: `out` is there and not empty, or cannot be written.
    """
    from workers.stages import stages

    if not 0 <= sample_id < campaign.samples:
        raise CampaignError(
            f"sample {sample_id} is not in campaign {campaign.name!r}, which has samples 0 to {campaign.samples - 1}"
        )
    _must_be_free(out)
    sample = make_sample(campaign, sample_id, stages())
    return sample, write_sample(campaign, sample, out)


def write_sample(campaign: Campaign, sample: GaitSample, out: Path) -> dict[str, Path]:
    """Write a finished sample into the folder `out`; returns what each file is -> its path."""
    from workers.simulate.export import write_opensim_files

    _must_be_free(out)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        being_made = Path(tempfile.mkdtemp(prefix=f".{out.name}.", dir=out.parent))
    except OSError as error:
        raise StorageError(f"{out} cannot be written: {error.strerror}; choose another --out") from None
    try:
        being_made.chmod(0o755)  # mkdtemp makes it private
        written = write_opensim_files(sample.parameters, sample.trajectory, being_made)
        written["parameters"] = _write_json(being_made / "parameters.json", _parameters(sample.parameters))
        written["quality"] = _write_json(being_made / "quality.json", _quality(sample))
        if sample.labels is not None:
            written["labels"] = _write_json(being_made / "labels.json", _labels(sample.labels))
        if sample.frames is not None:
            for view in sample.frames.views:
                written |= _write_view(being_made, view, campaign.pictures)
        if out.exists():
            out.rmdir()  # empty, as `_must_be_free` saw; no longer, and this fails
        being_made.rename(out)
    except OSError as error:
        raise StorageError(f"{out} cannot be written: {error.strerror}; nothing was left there") from None
    finally:
        shutil.rmtree(being_made, ignore_errors=True)
    return {what: out / path.relative_to(being_made) for what, path in written.items()}


def show(sample: GaitSample, files: Mapping[str, Path], console: Console) -> None:
    """Say what was made and where each file lies."""
    engine = "OpenSim" if sample.trajectory.engine == "opensim" else f"the {sample.trajectory.engine}"
    walked = f"{sample.trajectory.duration_s:.1f} s in {sample.trajectory.wall_s:.1f} s of computing by {engine}"
    if sample.quality.accepted:
        console.print(f"[green]accepted[/green]: walked {walked}")
    else:
        console.print(f"[yellow]turned down[/yellow] after {walked}:")
        for reason in sample.quality.reasons:
            console.print(f"  {reason}: {sample.quality.details.get(reason, '')}", markup=False)
    recheck = recheck_of(sample)
    if recheck is not None:
        console.print(f"walked again in OpenSim: {recheck.verdict}", markup=False)
        for name, value in recheck.differences.items():
            console.print(f"  {name}: {value:+.2g} from OpenSim's", markup=False, highlight=False)
    table = Table(box=None, pad_edge=False, show_header=False)
    for what, path in files.items():
        table.add_row(what, Text(str(path), overflow="fold"))
    console.print(table)


def _must_be_free(out: Path) -> None:
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise StorageError(f"{out} is there already and not empty; remove it or choose another --out")


def _write_view(directory: Path, view: ViewFrames, pictures: Pictures) -> dict[str, Path]:
    """One camera's video, and its keypoints in the form that `gaitfarm predict` reads."""
    width, height = view.image_size
    coco = [KEYPOINTS.index(name) for name in COCO_KEYPOINTS]
    keypoints = directory / f"keypoints_{view.view}.npz"
    np.savez_compressed(
        keypoints,
        keypoints_2d=view.keypoints_2d[:, coco].astype(np.float32),
        visibility=view.visibility[:, coco],
        fps=np.float64(pictures.frame_rate_hz),
        image_size=np.array([width, height], dtype=np.int32),
    )
    written = {f"2D keypoints, {view.view}": keypoints}
    if view.rgb is not None:
        video = directory / f"{view.view}.mp4"
        video.write_bytes(encode_view(view.rgb, view.bbox, pictures, crf=view.crf))
        written[f"video, {view.view}"] = video
    return written


# --- records as JSON -----------------------------------------------------------------------------------------


def _write_json(path: Path, content: Mapping[str, Any]) -> Path:
    """One line for each key: people can read it, and a table of positions does not take a line for each number."""
    lines = [f" {json.dumps(key)}: {json.dumps(_finite(value), allow_nan=False)}" for key, value in content.items()]
    path.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")
    return path


def _finite(value: Any) -> Any:
    """JSON has no NaN: what is undefined becomes null."""
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, np.ndarray):
        return _finite(value.tolist())
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    if isinstance(value, np.generic):
        return _finite(value.item())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def _parameters(parameters: GaitParameters) -> dict[str, Any]:
    """Everything that was drawn; `columns` is the flat table that datasets store."""
    return {
        "sample_id": parameters.sample_id,
        "condition": parameters.condition,
        "severity": parameters.severity,
        "side": parameters.side,
        "sex": parameters.sex,
        "controller": parameters.controller,
        "columns": [asdict(column) | {"value": value} for column, value in parameters.table()],
    }


def _quality(sample: GaitSample) -> dict[str, Any]:
    recheck = recheck_of(sample)
    return {
        "accepted": sample.quality.accepted,
        "reasons": sample.quality.reasons,
        "details": sample.quality.details,
        "end": sample.trajectory.end,
        "end_detail": sample.trajectory.end_detail,
        "duration_s": sample.trajectory.duration_s,
        "engine": sample.trajectory.engine,
        "recheck": None if recheck is None else recheck_cells(recheck),
    }


def _labels(labels: GaitLabels) -> dict[str, Any]:
    unit = {column.name: column for column in LABEL_COLUMNS}
    return {
        "gait_parameters": [asdict(unit[name]) | {"value": value} for name, value in labels.values.items()],
        "events": [
            {"time_s": time, "event": EVENT_NAMES[kind]}
            for time, kind in zip(labels.event_time.tolist(), labels.event_type.tolist(), strict=True)
        ],
        "frame_rate_hz": labels.frame_rate_hz,
        "keypoints": KEYPOINTS,
        "keypoints_3d_m": np.round(labels.keypoints_3d, 5),
    }
