"""What severity does to a gait: over all of an archive's walkers of a condition, whatever their size, age and noise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from farm.control.archived import ArchivedController

LEAST = 12
"""Walkers below which nothing is said of a trend: six numbers are fitted."""


@dataclass(frozen=True)
class Trend:
    """How a label goes with severity, other things being equal.

    Attributes:
        n: Walkers.
        mild, severe: The label for the mean person at severities that a tenth of the walkers stay below, and exceed.
        t: Slope over its standard error; beyond 2 in size it is no chance.
    """

    n: int
    mild: float
    severe: float
    t: float

    @property
    def change(self) -> float:
        """From mild to severe, as a share of mild."""
        return self.severe / self.mild - 1.0


def trend(rows: Sequence[ArchivedController], label: str, *, size: bool = False) -> Trend | None:
    """The label by severity, by least squares with leg length, asked speed, body mass index and noise beside it.

    Args:
        rows: Of one condition and side.
        label: One of `DESCRIPTORS`.
        size: Take the label's size: of asymmetries, whose sign says which leg.

    Returns:
        None for fewer than `LEAST` walkers with this label.
    """
    known = [row for row in rows if label in row.descriptors]
    if len(known) < LEAST:
        return None
    values = np.array([row.descriptors[label] for row in known])
    values = np.abs(values) if size else values
    beside = np.array([
        (row.leg_length_m, row.target_speed_m_s, row.person.mass_kg / row.person.stature_m**2, row.person.motor_noise)
        for row in known
    ])  # fmt: skip
    severity = np.array([row.severity for row in known])
    design = np.column_stack([np.ones(len(known)), severity, beside - beside.mean(axis=0)])
    # Where all walkers share one of these, its column is zero: the pseudoinverse leaves it out.
    inverse = np.linalg.pinv(design.T @ design)
    fitted = inverse @ design.T @ values
    residual = values - design @ fitted
    freedom = len(known) - int(np.linalg.matrix_rank(design))
    error = float(np.sqrt(residual @ residual / freedom * inverse[1, 1]))
    mild, severe = (float(fitted[0] + fitted[1] * np.quantile(severity, at)) for at in (0.1, 0.9))
    return Trend(len(known), mild, severe, float(fitted[1] / error))
