"""What a dataset covers: samples drawn and gaits accepted, by condition, side, severity, speed and build.

A cell is thin where it has fewer gaits than half of what its samples would have given at the whole dataset's share of
accepted ones: its people mostly fall, and a model that is trained on the dataset sees few of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from farm.dataset.table import IndexTable


@dataclass(frozen=True)
class _Bands:
    """A column cut into bands; `when` says of whom it says something."""

    column: str
    ends: tuple[tuple[float, float], ...]
    unit: str = ""
    when: str = "true"

    @property
    def names(self) -> list[str]:
        """Such as "severity 0 to 0.25"; with a unit "below 0.5 m/s", "0.5 to 0.7 m/s", "from 1.5 m/s"."""
        if not self.unit:
            return [f"{self.column} {low:g} to {high:g}" for low, high in self.ends]
        inner = [f"{low:g} to {high:g} {self.unit}" for low, high in self.ends[1:-1]]
        return [f"below {self.ends[0][1]:g} {self.unit}", *inner, f"from {self.ends[-1][0]:g} {self.unit}"]

    @property
    def sql(self) -> str:
        """The name of a row's band, null outside `when`."""
        *inner, last = zip(self.ends, self.names, strict=True)
        arms = " ".join(f"WHEN {self.when} AND {self.column} < {high!r} THEN '{name}'" for (_, high), name in inner)
        return f"CASE {arms} WHEN {self.when} AND {self.column} IS NOT NULL THEN '{last[1]}' END"


_BANDS: Mapping[str, _Bands] = {
    "severity": _Bands("severity", ((0.0, 0.25), (0.25, 0.5), (0.5, 0.75), (0.75, 1.0)), when="side <> 'none'"),
    "speed": _Bands(
        "gait_speed", ((0.0, 0.5), (0.5, 0.7), (0.7, 0.9), (0.9, 1.1), (1.1, 1.3), (1.3, 1.5), (1.5, 9.0)), "m/s"
    ),
    "stature": _Bands("stature_m", ((0.0, 1.60), (1.60, 1.70), (1.70, 1.80), (1.80, 9.0)), "m"),
}

THIN = 0.5
"""Of what a cell's samples would have given at the dataset's share of accepted ones."""

LEAST_SAMPLES = 4
"""A cell with fewer says nothing about its acceptance."""

_DRAWN = ("condition", "side", "severity", "stature_m")


@dataclass(frozen=True)
class Group:
    """Some samples and what became of them.

    Attributes:
        of: What they have in common, such as ("foot_drop", "right").
        reason: Why most of those that were turned down were; empty if none was.
    """

    of: tuple[str, ...]
    samples: int
    accepted: int
    reason: str

    @property
    def share(self) -> float:
        """Of accepted ones."""
        return self.accepted / self.samples if self.samples else float("nan")


@dataclass(frozen=True)
class Coverage:
    """Of one dataset.

    Attributes:
        conditions: By condition and side, "healthy" first.
        thin: Cells of condition, side, severity and stature that are thin, those that lack most gaits first.
        grid: Accepted gaits by (condition and side, band), bands being those of `bands`.
        bands: Names of the grid's columns: severity, speed, stature.
    """

    conditions: Sequence[Group]
    thin: Sequence[Group]
    grid: Mapping[tuple[tuple[str, ...], str], int]
    bands: Sequence[str]


def coverage(table: IndexTable) -> Coverage | None:
    """Of all samples of a dataset; None where its index lacks what tells them apart.

    Args:
        table: With its `rejected`; see `farm.dataset.catalogue.load_index`.
    """
    if not {*_DRAWN, "gait_speed"} <= set(table.columns):
        return None
    source = _source(table)
    conditions = sorted(_groups(table, source, "condition", "side"), key=lambda group: group.of[0] != "healthy")
    overall = sum(group.accepted for group in conditions) / max(1, sum(group.samples for group in conditions))
    cells = _groups(table, source, "condition", "side", "severity_band", "stature_band")
    thin = [cell for cell in cells if cell.samples >= LEAST_SAMPLES and cell.accepted < THIN * overall * cell.samples]
    grid: dict[tuple[tuple[str, ...], str], int] = {}
    for name in _BANDS:
        counted = f"SELECT condition, side, {name}_band AS band, count(*) FILTER (accepted) FROM {source} "  # noqa: S608  (our names)
        for condition, side, band, count in table.ask(counted + "WHERE band IS NOT NULL GROUP BY ALL"):
            grid[(str(condition), str(side)), str(band)] = int(count)
    return Coverage(
        conditions=conditions,
        thin=sorted(thin, key=lambda cell: cell.accepted - overall * cell.samples),
        grid=grid,
        bands=[name for bands in _BANDS.values() for name in bands.names],
    )


def _source(table: IndexTable) -> str:
    """SQL of all samples, each with its bands, whether it was accepted, and the first reason why not."""
    drawn = ", ".join(_DRAWN)
    samples = f"SELECT {drawn}, gait_speed, true AS accepted, NULL AS reason FROM gaits"  # noqa: S608  (our names)
    if table.ask("SELECT 1 FROM (DESCRIBE rejected) WHERE column_name = 'condition'"):
        samples += f" UNION ALL SELECT {drawn}, NULL, false, reasons[1] FROM rejected"  # noqa: S608  (our names)
    bands = ", ".join(f"{bands.sql} AS {name}_band" for name, bands in _BANDS.items())
    return f"(SELECT *, {bands} FROM ({samples}))"  # noqa: S608  (our names)


def _groups(table: IndexTable, source: str, *by: str) -> list[Group]:
    names = ", ".join(by)
    counted = "count(*), count(*) FILTER (accepted), coalesce(mode(reason), '')"
    rows = table.ask(f"SELECT {names}, {counted} FROM {source} GROUP BY {names} ORDER BY {names}")  # noqa: S608  (our names)
    return [
        Group(tuple(str(part) for part in of if part is not None), int(samples), int(accepted), str(reason))
        for *of, samples, accepted, reason in rows
    ]
