"""Which gaits stand side by side on a contact sheet: those of one condition, kind of body, room or camera."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from farm.dataset.pull_choice import rank
from farm.dataset.reader import GaitDataset
from farm.errors import UserError
from farm.gallery.by import By

PER_GROUP = 6
"""Gaits in a row of a sheet."""

MAX_GROUPS = 40
"""Rows of a sheet: a dataset may be anybody's, and have as many conditions as gaits."""

BMI_LIMITS: tuple[tuple[float, str], ...] = (
    (18.5, "BMI below 18.5"), (25.0, "BMI 18.5 to 25"), (30.0, "BMI 25 to 30"), (float("inf"), "BMI 30 and more"),
)  # fmt: skip
"""WHO's classes (Technical Report 894, 2000), upper limits excluded; kg/m^2."""

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Group:
    """One row of a sheet: its name, how many gaits it has in all, and those that are shown, by sample id."""

    name: str
    count: int
    rows: Sequence[Row]


def groups(dataset: GaitDataset, by: By, where: str | None, seed: int) -> list[Group]:
    """The groups that occur, in an order that readers expect; of one camera's sheet all gaits are one group.

    Args:
        where: Gaits to choose from, as SQL over the index; None for all.
        seed: Of the choice of `PER_GROUP` gaits in each.

    Raises:
        UserError: The index does not say what the gaits are sorted by, or no gait fulfils `where`.
    """
    name_of, needed = _NAMES[by]
    lacking = sorted(set(needed) - set(dataset.table.columns))
    if lacking and len(dataset.table):
        raise UserError(
            f"{dataset.storage.uri}: a sheet by {by} needs {', '.join(lacking)} in the index, which this dataset does "
            "not have (it was made before scenes were recorded, or by other software); leave out that --by"
        )
    counts: dict[str, int] = {}
    chosen: dict[str, list[tuple[bytes, int]]] = {}
    for rows in dataset.table.batches(where, ["sample_id", *needed]):
        for row in rows:
            name, sample_id = name_of(row), int(row["sample_id"])
            counts[name] = counts.get(name, 0) + 1
            best = chosen.setdefault(name, [])
            best.append((rank(seed, sample_id), sample_id))
            if len(best) > 8 * PER_GROUP:  # a group may have a million gaits
                best[:] = heapq.nsmallest(PER_GROUP, best)
            if len(chosen) > MAX_GROUPS:
                raise UserError(
                    f"{dataset.storage.uri}: there are more than {MAX_GROUPS} groups by {by}; narrow --where"
                )
    if not chosen:
        wish = f"no gait fulfils {where}" if where else "the dataset holds no gait yet"
        raise UserError(f"{dataset.storage.uri}: {wish}; nothing was drawn")
    shown = {
        name: sorted(sample_id for _, sample_id in heapq.nsmallest(PER_GROUP, best)) for name, best in chosen.items()
    }
    ids = ", ".join(str(sample_id) for sample_ids in shown.values() for sample_id in sample_ids)
    of_id = {row["sample_id"]: row for row in dataset.index(f"sample_id IN ({ids})")}
    return [
        Group(name, counts[name], [of_id[sample_id] for sample_id in shown[name]]) for name in sorted(shown, key=_order)
    ]


def _order(name: str) -> tuple[bool, int, str]:
    """Healthy first; women's and men's bodies by weight; the rest by name."""
    weight = next((number for number, (_, text) in enumerate(BMI_LIMITS) if name.endswith(text)), 0)
    return name != "healthy", weight, name


def _condition(row: Row) -> str:
    return str(row["condition"]).replace("_", " ")


def _body(row: Row) -> str:
    who = {"female": "women", "male": "men"}.get(str(row["sex"]), str(row["sex"]))
    index = float(row["mass_kg"] or 0.0) / float(row["stature_m"] or 1.0) ** 2
    return f"{who}, {next(text for limit, text in BMI_LIMITS if index < limit)}"


def _room(row: Row) -> str:
    return str(row["scene_place_kind"] or "none").replace("_", " ")


_NAMES: Mapping[By, tuple[Callable[[Row], str], tuple[str, ...]]] = {
    By.CONDITION: (_condition, ("condition",)),
    By.BODY: (_body, ("sex", "mass_kg", "stature_m")),
    By.ROOM: (_room, ("scene_place_kind",)),
    By.CAMERA: (lambda _: "all", ()),
}
"""A group's name from a row of the index, and the columns that this needs."""
