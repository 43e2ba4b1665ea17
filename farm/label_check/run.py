"""The labels of a whole dataset, or of some of its gaits, measured one gait at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from farm.dataset.load import array
from farm.dataset.reader import GaitDataset
from farm.label_check.depth import check_depth, check_views
from farm.label_check.findings import LAWS, Tally, WrongLabel
from farm.label_check.view import ViewLabels, check_view, view_labels
from farm.label_check.walk import check_walk
from farm.sampling.anatomy import GENERIC_STATURE_M

_WALK_FIELDS = ("ground_reaction", "event_time", "event_type", "n_events", "n_samples", "n_frames", "keypoints_3d")
_VIEW_FIELDS = (
    "keypoints_2d", "visibility", "world_from_camera", "intrinsics", "distortion", "shutter", "bbox", "mask", "depth",
)  # fmt: skip

Progress = Callable[[int, int], None]
"""Called with the number of gaits done, and in all."""


@dataclass(frozen=True)
class LabelReport:
    """What was measured.

    Attributes:
        shares: By check, the share of its cases that hold; checks without a case are left out.
        cases: By check, how many there were.
        figures: Median, 95 %, 99 % and largest magnitude of what was measured, by name.
        wrong: Labels that cannot be true, by name.
    """

    uri: str
    n_gaits: int
    shares: dict[str, float]
    cases: dict[str, int]
    figures: dict[str, dict[str, float]]
    wrong: tuple[WrongLabel, ...]

    @property
    def broken(self) -> tuple[str, ...]:
        """Checks whose share is below its law's limit."""
        return tuple(check for check, share in self.shares.items() if share < LAWS[check].limit)

    @property
    def true(self) -> bool:
        """Whether every law holds and no label is wrong."""
        return not self.broken and not self.wrong

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON."""
        return {
            "uri": self.uri,
            "true": self.true,
            "n_gaits": self.n_gaits,
            "checks": {
                check: {
                    "share": share,
                    "limit": LAWS[check].limit,
                    "cases": self.cases[check],
                    "what": LAWS[check].what,
                }
                for check, share in self.shares.items()
            },
            "figures": self.figures,
            "wrong": [vars(item) | {"text": str(item)} for item in self.wrong],
        }


def check_labels(
    dataset: GaitDataset, *, where: str | None = None, most: int | None = None, progress: Progress | None = None
) -> LabelReport:
    """Measure how true the labels are of a dataset's gaits.

    Args:
        where: SQL expression over the index; None for all gaits.
        most: At most so many gaits, the first by sample id; None for all.

    Raises:
        UserError: The expression is not known.
        FormatError: A shard is damaged; `gaitfarm verify` says where.
    """
    rows = dataset.index(where)[:most]
    tally = Tally()
    for number, row in enumerate(rows):
        tally.add(check_gait(dataset, row))
        if progress is not None:
            progress(number + 1, len(rows))
    return LabelReport(
        uri=dataset.storage.uri,
        n_gaits=len(rows),
        shares={check: share for check in LAWS if (share := tally.share(check)) is not None},
        cases={check: tally.of[check] for check in LAWS if tally.of.get(check)},
        figures={name: _quantiles(values) for name, values in sorted(tally.figures.items()) if values},
        wrong=tuple(tally.wrong),
    )


def check_gait(dataset: GaitDataset, row: dict[str, Any]) -> Tally:
    """One gait's labels; a view's pictures are in memory at a time, but where views are compared."""
    tally = Tally()
    sample_id = int(row["sample_id"])
    has = {path.rpartition("/")[2] for path in dataset.manifest.known_arrays}
    if {"ground_reaction", "event_time"} <= has:
        walk = dataset.gait(sample_id, [name for name in _WALK_FIELDS if name in has])
        check_walk(walk.arrays, sample_id, float(row["mass_kg"]), float(walk.attributes["sample_rate_hz"]), tally)
    if not {"keypoints_3d", *_VIEW_FIELDS[:4]} <= has:  # a pull may have left them out
        return tally
    views = [_view(dataset, row, view, has) for view in dataset.manifest.views]
    for view in views:
        tally.add(check_view(view))
        if view.depth_m is not None:
            check_depth(view, tally)
    check_views(views, tally)
    return tally


def _view(dataset: GaitDataset, row: dict[str, Any], view: str, has: Sequence[str] | set[str]) -> ViewLabels:
    fields = ["keypoints_3d", *(name for name in _VIEW_FIELDS if name in has)]
    gait = dataset.gait(int(row["sample_id"]), fields, (view,))
    mask = f"views/{view}/mask"
    parts = array(dataset.shard(str(row["shard_id"])), mask).attrs["parts"] if mask in gait.arrays else ()
    return view_labels(
        gait.arrays, gait.attributes, view,
        sample_id=gait.sample_id, parts=tuple(parts), size=float(row["stature_m"]) / GENERIC_STATURE_M,
    )  # fmt: skip


def _quantiles(values: Sequence[float]) -> dict[str, float]:
    size = np.abs(values)
    return {"median": float(np.median(values)), "p95": float(np.quantile(size, 0.95)),
            "p99": float(np.quantile(size, 0.99)), "max": float(size.max())}  # fmt: skip
