"""Which engines made a dataset's samples, and how far OpenSim's rechecks agree: asked of the index."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from farm.dataset.table import IndexTable
from farm.gait.columns import LABEL_COLUMNS
from farm.recheck import ACCEPTED, RECHECKED_LABELS, VERDICT, difference_column


@dataclass(frozen=True)
class LabelDifference:
    """How the recorded values of one label differ from OpenSim's, over gaits that both engines accept.

    Attributes:
        n: Gaits whose label both engines define.
        mean: Recorded minus OpenSim's, in `unit`.
        largest: Largest absolute difference, in `unit`.
        largest_share: Largest absolute difference over the absolute value of OpenSim's; None where that is 0.
    """

    label: str
    unit: str
    n: int
    mean: float
    largest: float
    largest_share: float | None


@dataclass(frozen=True)
class Rechecks:
    """What OpenSim said of the samples that it walked again.

    Attributes:
        n: Samples that were rechecked, accepted or not.
        n_agree: Both engines accept, or both turn down.
        n_only_recorded: Accepted as recorded, and turned down in OpenSim.
        n_only_opensim: Turned down as recorded, and accepted in OpenSim.
        labels: In the order of `RECHECKED_LABELS`; without those that no pair of gaits defines.
    """

    n: int
    n_agree: int
    n_only_recorded: int
    n_only_opensim: int
    labels: tuple[LabelDifference, ...]


def engines_of(table: IndexTable) -> dict[str, int]:
    """Samples by the engine that made them, most first; what does not say is older than the twin.

    Args:
        table: With its `rejected`, as for `rechecks_of`: see `farm.dataset.catalogue.load_index`.
    """
    told = "coalesce(engine, 'opensim')" if "engine" in table.columns else "'opensim'"
    counts = Counter(dict(table.ask(f"SELECT {told} AS engine, count(*) FROM gaits GROUP BY ALL ORDER BY ALL")))  # noqa: S608
    counts.update(dict(table.ask("SELECT engine, count(*) FROM rejected GROUP BY engine ORDER BY engine")))
    return dict(counts.most_common())


def rechecks_of(table: IndexTable) -> Rechecks:
    """The rechecks that a dataset's index tells of: memory for these rows, and few of their columns."""
    told = [*RECHECKED_LABELS, *map(difference_column, RECHECKED_LABELS)]
    columns = [name for name in told if name in table.columns]
    rows = table.rows(f"{VERDICT} IS NOT NULL", [VERDICT, *columns]) if VERDICT in table.columns else []
    rejected: dict[str, int] = {}
    if table.ask("SELECT 1 FROM (DESCRIBE rejected) WHERE column_name = ?", [VERDICT]):
        rejected = dict(table.ask(f"SELECT {VERDICT}, count(*) FROM rejected WHERE {VERDICT} IS NOT NULL GROUP BY ALL"))  # noqa: S608
    both = [row for row in rows if row[VERDICT] == ACCEPTED]
    n_rejected, only_opensim = sum(rejected.values()), rejected.get(ACCEPTED, 0)
    return Rechecks(
        n=len(rows) + n_rejected,
        n_agree=len(both) + n_rejected - only_opensim,
        n_only_recorded=len(rows) - len(both),
        n_only_opensim=only_opensim,
        labels=tuple(found for name in RECHECKED_LABELS if (found := _difference(name, both)) is not None),
    )


def _difference(label: str, rows: Sequence[Mapping[str, Any]]) -> LabelDifference | None:
    column = difference_column(label)
    pairs = [(row[label], row[column]) for row in rows if row.get(label) is not None and row.get(column) is not None]
    if not pairs:
        return None
    recorded, difference = np.array(pairs, dtype=float).T
    opensim = np.abs(recorded - difference)
    share = np.abs(difference)[opensim > 0] / opensim[opensim > 0]
    return LabelDifference(
        label=label,
        unit=next(item.unit for item in LABEL_COLUMNS if item.name == label),
        n=len(pairs),
        mean=float(difference.mean()),
        largest=float(np.abs(difference).max()),
        largest_share=float(share.max()) if len(share) else None,
    )
