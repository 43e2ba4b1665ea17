"""Which engines made a dataset's samples, and how far OpenSim's rechecks agree: read from commit records."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from farm.dataset.manifest import ShardRecord
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


def engines_of(records: Iterable[ShardRecord]) -> dict[str, int]:
    """Samples by the engine that made them, most first; what does not say is older than the twin."""
    records = tuple(records)
    counts = Counter(str(row.get("engine") or "opensim") for record in records for row in record.index)
    counts.update(gait.engine for record in records for gait in record.rejected)
    return dict(counts.most_common())


def rechecks_of(records: Iterable[ShardRecord]) -> Rechecks:
    """The rechecks that these records tell of."""
    records = tuple(records)
    rows = [row for record in records for row in record.index if row.get(VERDICT) is not None]
    rejected = [gait.recheck for record in records for gait in record.rejected if gait.recheck.get(VERDICT) is not None]
    both = [row for row in rows if row[VERDICT] == ACCEPTED]
    only_opensim = sum(cells[VERDICT] == ACCEPTED for cells in rejected)
    return Rechecks(
        n=len(rows) + len(rejected),
        n_agree=len(both) + len(rejected) - only_opensim,
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
