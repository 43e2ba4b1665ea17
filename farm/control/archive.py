"""The archive: every controller that walked in OpenSim, shipped with the package as a plain table.

A controller belongs to a body: gains that walk with one set of muscles fall with
another. A row therefore holds the condition, severity and size it was searched
for, and `nearest` finds the rows of the walkers that are most like a new person.
Unilateral conditions are kept with the right leg affected; the left is its
mirror image.
"""

from __future__ import annotations

import csv
import hashlib
import math
from dataclasses import dataclass
from functools import cache
from importlib import resources

import numpy as np
from numpy.typing import NDArray

from farm.control.reflex import gain_names
from farm.errors import CampaignError
from farm.records import BodyModel, Side

_FILES: dict[BodyModel, str] = {"planar": "archive.csv", "3d": "archive_3d.csv"}

SEVERITY_UNIT = 0.25
"""Severities that differ by this much count as far apart as speeds that differ by `SPEED_UNIT`."""

SPEED_UNIT = 0.2
"""m/s at the generic stature."""


@dataclass(frozen=True)
class ArchivedController:
    """Gains that walked.

    Attributes:
        name: Unique; also the name of the search job that found it.
        side: Side affected: "none", "right" or "both".
        leg_length_m: Of the body it was searched for.
        speed_m_s: Speed that this body walked at.
        target_speed_m_s: Speed that was asked of it; its walk starts at a speed in proportion.
        gains: `[2, G]` normalised, right and left.
        cost: What the search had reached.
    """

    name: str
    condition: str
    severity: float
    side: Side
    leg_length_m: float
    speed_m_s: float
    target_speed_m_s: float
    gains: NDArray[np.float64]
    cost: float

    def mirrored(self) -> NDArray[np.float64]:
        """Gains with right and left exchanged."""
        return self.gains[::-1].copy()


def _text(body_model: BodyModel) -> str:
    return (resources.files("farm.control") / _FILES[body_model]).read_text("utf-8")


def archive_sha256(body_model: BodyModel = "planar") -> str:
    """Identity of the archive that this body's controllers come from, written into every dataset."""
    return hashlib.sha256(_text(body_model).encode()).hexdigest()


@cache
def archive(body_model: BodyModel = "planar") -> tuple[ArchivedController, ...]:
    """All rows for one body model, in file order."""
    names = gain_names(body_model)
    rows = csv.DictReader(line for line in _text(body_model).splitlines() if not line.startswith("#"))
    return tuple(
        ArchivedController(
            name=row["name"],
            condition=row["condition"],
            severity=float(row["severity"]),
            side=row["side"],  # type: ignore[arg-type]
            leg_length_m=float(row["leg_length_m"]),
            speed_m_s=float(row["speed_m_s"]),
            target_speed_m_s=float(row["target_speed_m_s"]),
            gains=np.array([[float(row[f"{name}_{side}"]) for name in names] for side in "rl"]),
            cost=float(row["cost"]),
        )
        for row in rows
    )


def nearest(
    condition: str,
    severity: float,
    side: Side,
    speed_m_s: float,
    leg_length_m: float,
    *,
    count: int = 1,
    body_model: BodyModel = "planar",
) -> list[ArchivedController]:
    """The archived walkers most like the person asked for, nearest first.

    Speeds are compared at equal Froude number: a smaller person at the same
    effort walks slower by the square root of the leg lengths' ratio (Alexander 1989).

    Raises:
        CampaignError: If the archive has no walker with this condition on such a side.
    """
    kind = "right" if side == "left" else side
    rows = [row for row in archive(body_model) if row.condition == condition and row.side == kind]
    if not rows:
        known = sorted({(row.condition, row.side) for row in archive(body_model)})
        raise CampaignError(
            f"the controller archive has no walker for condition {condition!r} on side {side!r} "
            f"in body model {body_model!r}; "
            f"it has {', '.join(f'{name} ({where})' for name, where in known)}"
        )

    def distance(row: ArchivedController) -> float:
        speed = row.speed_m_s * math.sqrt(leg_length_m / row.leg_length_m)
        return math.hypot((speed - speed_m_s) / SPEED_UNIT, (row.severity - severity) / SEVERITY_UNIT)

    return sorted(rows, key=distance)[:count]
