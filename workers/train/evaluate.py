"""How good an estimator is on gaits that it never saw: Pearson r and mean absolute error by parameter and view."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from rich.table import Table

from farm.seeds import Stream, generator
from workers.train.clips import GaitClip, batch_rand
from workers.train.estimator import GaitEstimator, gait_from_outputs
from workers.train.predict import KeypointClip, believed, estimate
from workers.train.variation import LABELS

UNITS = {"gait_speed": "m/s", "step_length": "m", "step_time": "s", "cadence": "steps/min", "step_width": "m"}

EVERY_VIEW = "all views"
ANY_CAMERA = "any camera"
"""The held-out gaits, varied and filmed anew as training does it: the only rows in which a planar walker's step width
differs between gaits, and the nearest to what strangers' clips will bring."""

CUTS_PER_GAIT = 4
CUT_MOMENTS = 120
MAX_TEST_GAITS = 2000
CONSTANT_SPREAD = 0.02
"""Where truth varies by less than this share of its mean, a correlation would describe noise; it is left out."""


@dataclass(frozen=True)
class Score:
    """One row of the table. `r` is None where the truth hardly varies or fewer than 3 clips are there."""

    parameter: str
    unit: str
    view: str
    n: int
    r: float | None
    mae: float
    mean: float
    sd: float


def scores(model: GaitEstimator, clips: Sequence[GaitClip], *, seed: int) -> list[Score]:
    """Scores of whole held-out clips by stored view, and of cuts of them before any camera."""
    model.eval()
    clips = clips[:MAX_TEST_GAITS]
    truth: dict[str, list[NDArray[Any]]] = {}
    guess: dict[str, list[NDArray[Any]]] = {}
    for name in sorted({view.name for clip in clips for view in clip.views}):
        shown, labels = _clips_of(clips, name)
        if shown:
            truth[name], guess[name] = [labels], [estimate(model, shown)]
    if truth:
        every = list(truth)
        truth[EVERY_VIEW] = [np.concatenate([truth[name][0] for name in every])]
        guess[EVERY_VIEW] = [np.concatenate([guess[name][0] for name in every])]
    truth[ANY_CAMERA], guess[ANY_CAMERA] = map(list, zip(*_before_any_camera(model, clips, seed), strict=True))
    return [
        _score(parameter, view, np.concatenate(truth[view])[:, i], np.concatenate(guess[view])[:, i])
        for i, parameter in enumerate(LABELS)
        for view in truth
    ]


def _clips_of(clips: Sequence[GaitClip], name: str) -> tuple[list[KeypointClip], NDArray[Any]]:
    """One view's clips that show the walker long enough, with their labels."""
    shown, labels = [], []
    for clip in clips:
        view = next((view for view in clip.views if view.name == name), None)
        if view is None:
            continue
        present = believed(view.points, view.visibility.astype(float))
        if (present.sum(axis=1) >= 4).sum() >= 1.5 * clip.rate_hz:
            shown.append(KeypointClip(view.points, present, clip.rate_hz, view.image_size))
            labels.append(clip.labels)
    return shown, np.array(labels)


def _before_any_camera(
    model: GaitEstimator, clips: Sequence[GaitClip], seed: int
) -> list[tuple[NDArray[Any], NDArray[Any]]]:
    """Truth and estimate of varied cuts; the same cuts for the same seed and clips."""
    out = []
    for i in range(0, len(clips), 16):
        some = [clip for clip in clips[i : i + 16] for _ in range(CUTS_PER_GAIT)]
        # index far beyond any batch of training, so that no test cut repeats a training draw
        batch = batch_rand(generator(seed, Stream.AUGMENTATION, (1 << 96) + i), some, CUT_MOMENTS, stored_share=0.0)
        device = next(model.parameters()).device
        f = batch.features
        with torch.inference_mode():
            outputs = model(*(torch.from_numpy(x).to(device) for x in (f.frames, f.whole, f.valid)))
        out.append((batch.labels, gait_from_outputs(outputs).double().cpu().numpy()))
    return out


def _score(parameter: str, view: str, truth: NDArray[Any], guess: NDArray[Any]) -> Score:
    varies = len(truth) >= 3 and truth.std() > CONSTANT_SPREAD * abs(truth.mean()) and guess.std() > 0
    return Score(
        parameter,
        UNITS[parameter],
        view,
        len(truth),
        float(np.corrcoef(truth, guess)[0, 1]) if varies else None,
        float(np.abs(truth - guess).mean()),
        float(truth.mean()),
        float(truth.std()),
    )


def score_table(rows: Sequence[Score], *, title: str) -> Table:
    """For the terminal: a row for each parameter, r and MAE for each view."""
    views = list(dict.fromkeys(row.view for row in rows))
    table = Table(title=title, caption="Pearson r, mean absolute error; - where the truth hardly varies")
    table.add_column("held-out gaits")
    for view in views:
        n = next(row.n for row in rows if row.view == view)
        table.add_column(f"{view}\n({n} clips)", justify="right")
    for parameter in dict.fromkeys(row.parameter for row in rows):
        cells = []
        for view in views:
            row = next(r for r in rows if (r.parameter, r.view) == (parameter, view))
            r = "-" if row.r is None else f"{row.r:.2f}"
            cells.append(f"r {r:>5}  {row.mae:.{1 if parameter == 'cadence' else 3}f}")
        table.add_row(f"{parameter} ({UNITS[parameter]})", *cells)
    return table


def write_scores(rows: Sequence[Score], out: Path, extra: Mapping[str, object]) -> None:
    """`test.json` and `test.csv` in `out`."""
    document = {**extra, "scores": [asdict(row) for row in rows]}
    (out / "test.json").write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    with (out / "test.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=list(asdict(rows[0])))
        writer.writeheader()
        writer.writerows(asdict(row) for row in rows)
