"""What a report shows, read from a dataset: counts, rows, and every gait's mean cycle."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from farm.axes import GRAVITY_M_S2
from farm.dataset.catalogue import load_index
from farm.dataset.engines import Rechecks, engines_of, rechecks_of
from farm.dataset.reader import Gait, GaitDataset
from farm.dataset.table import IndexTable
from farm.gait.events import GaitEvents
from farm.gait.joint_angles import angles_from_coordinates, cycles
from farm.gait.norms import NormComparison, compare, norm_band
from farm.gait.parameters import whole_strides
from farm.records import Column
from farm.report.coverage import Coverage, coverage

MAX_ROWS = 5000
"""Gaits whose numbers are drawn and summed up in tables; of more, evenly spread sample ids are taken, and the page
says so. With every column they are 100 MB; counts and totals are of all gaits in any case."""

MAX_CURVES = 120
"""Gaits whose curves are drawn; of more, evenly spread sample ids are taken, and the page says so."""

ANGLES: tuple[str, ...] = ("hip_flexion", "knee_flexion", "ankle_dorsiflexion")

Array = NDArray[np.float64]


@dataclass(frozen=True)
class GaitCurves:
    """One gait's mean cycle, foot strike to foot strike.

    Attributes:
        angles: `[101]` deg, by name and side ("knee_flexion_r"); missing where no whole stride was found.
        vertical_force: `[101]` body weights, by side.
        norms: How the right and left curves together lie in the healthy adults' band, by name.
    """

    sample_id: int
    condition: str
    speed_m_s: float
    angles: Mapping[str, Array]
    vertical_force: Mapping[str, Array]
    norms: Mapping[str, NormComparison]


@dataclass(frozen=True)
class Rejection:
    """One reason for turning samples down: how often, and one example in words."""

    reason: str
    count: int
    example: str


@dataclass(frozen=True)
class ReportData:
    """Everything that the page needs, pictures apart.

    Attributes:
        rows: The index, one row for each accepted gait; of at most `MAX_ROWS` of them.
        n_accepted: All of them.
        totals: "duration_s" (s), "distance_m" (m) and "n_strides" of all gaits; 0 where that is not recorded.
        rejections: Most frequent first; a sample may have several reasons.
        labels: Columns of the `labels` array.
        curves: Of at most `MAX_CURVES` gaits.
        engines: Samples, accepted or not, by the engine that made them.
        rechecks: What OpenSim said of samples that it walked again; None where it made them all itself.
        coverage: Of all samples; None where the index lacks what tells them apart.
    """

    rows: Sequence[Mapping[str, Any]]
    n_accepted: int
    totals: Mapping[str, float]
    n_rejected: int
    rejections: Sequence[Rejection]
    labels: Sequence[Column]
    curves: Sequence[GaitCurves]
    n_shards: int
    stored_bytes: int
    wall_s: float
    engines: Mapping[str, int]
    rechecks: Rechecks | None
    coverage: Coverage | None

    @property
    def accepted_fraction(self) -> float:
        total = self.n_accepted + self.n_rejected
        return self.n_accepted / total if total else float("nan")

    def column(self, name: str) -> Array:
        """One column of the index, `[N]`; NaN where it is null or not there."""
        values = [row.get(name) for row in self.rows]
        return np.array([np.nan if value is None else float(value) for value in values], dtype=float)

    @property
    def conditions(self) -> list[str]:
        """Names of the conditions that occur, "healthy" first."""
        names = sorted({str(row.get("condition", "")) for row in self.rows})
        return sorted(names, key=lambda name: name != "healthy")


def gather(dataset: GaitDataset) -> ReportData:
    """Read a dataset's counts, index and curves."""
    table = load_index(dataset.storage, with_rejected=True)
    n_shards, n_accepted, n_rejected, n_bytes, wall_s = table.ask(
        "SELECT count(*), coalesce(sum(n_accepted), 0), coalesce(sum(n_rejected), 0), coalesce(sum(n_bytes), 0), "
        "coalesce(sum(wall_s), 0.0) FROM shards"
    )[0]
    rows = table.rows(_evenly(int(n_accepted)))
    engines = engines_of(table)
    return ReportData(
        rows=rows,
        n_accepted=int(n_accepted),
        totals=_totals(table),
        n_rejected=int(n_rejected),
        rejections=_rejections(table),
        labels=_label_columns(dataset, rows),
        curves=_all_curves(dataset, rows),
        n_shards=int(n_shards),
        stored_bytes=int(n_bytes),
        wall_s=float(wall_s),
        engines=engines,
        rechecks=rechecks_of(table) if engines.keys() - {"opensim"} else None,
        coverage=coverage(table),
    )


def _evenly(n_gaits: int) -> str | None:
    """Which of so many gaits are shown: all, or every so-manieth by sample id."""
    if n_gaits <= MAX_ROWS:
        return None
    step = -(-n_gaits // MAX_ROWS)
    numbered = "SELECT sample_id, row_number() OVER (ORDER BY sample_id) AS number FROM gaits"
    return f"sample_id IN (SELECT sample_id FROM ({numbered}) WHERE number % {step} = 1)"  # noqa: S608  (our numbers)


def _totals(table: IndexTable) -> dict[str, float]:
    known = {name: name if name in table.columns else "NULL" for name in ("duration_s", "gait_speed", "n_strides")}
    sums = ", ".join(
        f"coalesce(sum({of}), 0.0)"
        for of in (known["duration_s"], f"{known['duration_s']} * {known['gait_speed']}", known["n_strides"])
    )
    found = table.ask(f"SELECT {sums} FROM gaits")[0]  # noqa: S608  (our columns)
    return dict(zip(("duration_s", "distance_m", "n_strides"), map(float, found), strict=True))


def _rejections(table: IndexTable) -> list[Rejection]:
    """Each reason with the first sample that has it."""
    reasons = "SELECT unnest(reasons) AS reason, sample_id, details FROM rejected"
    example = "min(sample_id) AS first, arg_min(details, sample_id)"
    counted = f"SELECT reason, count(*) AS n, {example} FROM ({reasons}) GROUP BY reason ORDER BY n DESC, first, reason"  # noqa: S608
    return [
        Rejection(reason, int(n), f"sample {first}: {json.loads(details).get(reason, reason)}")
        for reason, n, first, details in table.ask(counted)
    ]


def events_of(gait: Gait) -> GaitEvents:
    """The stored events of one gait."""
    time, code = np.asarray(gait["event_time"], dtype=float), gait["event_type"]
    return GaitEvents(*(time[code == kind] for kind in range(4)))


def curves_of(gait: Gait) -> GaitCurves:
    """One gait's mean cycles from its stored coordinates, forces and events."""
    names = tuple(gait.attributes["coordinates"])
    rate = float(gait.attributes["sample_rate_hz"])
    coordinates = np.asarray(gait["coordinates"], dtype=float)
    force = np.asarray(gait["ground_reaction"], dtype=float)[:, :, 1]
    time = np.arange(len(coordinates)) / rate
    weight = float(gait.row["mass_kg"]) * GRAVITY_M_S2
    strides = whole_strides(events_of(gait))
    angles = angles_from_coordinates(names, coordinates)
    mean_angles: dict[str, Array] = {}
    mean_force: dict[str, Array] = {}
    for foot, side in enumerate("rl"):
        own = [(stride.start, stride.end) for stride in strides if stride.side == side]
        if not own:
            continue
        for name in ANGLES:
            if f"{name}_{side}" in angles:
                mean_angles[f"{name}_{side}"] = _mean_cycle(time, np.rad2deg(angles[f"{name}_{side}"]), own)
        mean_force[side] = _mean_cycle(time, force[:, foot] / weight, own)
    norms = {}
    for name in ANGLES:
        both = [mean_angles[f"{name}_{side}"] for side in "rl" if f"{name}_{side}" in mean_angles]
        if both:
            norms[name] = compare(np.mean(both, axis=0), norm_band(name))
    return GaitCurves(
        gait.sample_id,
        str(gait.row.get("condition", "")),
        float(gait.row.get("gait_speed") or np.nan),
        mean_angles,
        mean_force,
        norms,
    )


def _mean_cycle(time: Array, values: Array, strides: Sequence[tuple[float, float]]) -> Array:
    each = [cycles(time, values, np.array(stride)) for stride in strides]
    return np.asarray(np.concatenate(each).mean(axis=0))


def _all_curves(dataset: GaitDataset, rows: Sequence[Mapping[str, Any]]) -> list[GaitCurves]:
    needed = ("coordinates", "ground_reaction", "event_time", "event_type")
    if not set(needed) <= set(dataset.manifest.known_arrays):
        return []  # pulled without them
    ids = [int(row["sample_id"]) for row in rows]
    if len(ids) > MAX_CURVES:
        ids = [ids[i] for i in np.unique(np.linspace(0, len(ids) - 1, MAX_CURVES).round().astype(int))]
    return [curves_of(dataset.gait(sample_id, needed)) for sample_id in ids]


def _label_columns(dataset: GaitDataset, rows: Sequence[Mapping[str, Any]]) -> list[Column]:
    """As the shard itself describes them, so that older datasets are read right."""
    if not rows or "labels" not in dataset.manifest.known_arrays:
        return []
    columns: Any = dataset.shard(str(rows[0]["shard_id"]))["labels"].attrs["columns"]
    return [Column(str(item["name"]), str(item["unit"]), str(item["description"])) for item in columns]
