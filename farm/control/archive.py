"""The archive: every controller that walked in OpenSim, shipped with the package as one plain table.

A controller belongs to a body: gains that walk with one set of muscles fall with
another. A row therefore holds the person, condition and severity it was searched
for, and `nearest` finds the rows of the walkers that are most like a new person.
Unilateral conditions are kept with the right leg affected; the left is its
mirror image.
"""

from __future__ import annotations

import hashlib
import math
from functools import cache
from importlib import resources

from farm.control.archive_file import read_archive
from farm.control.archived import ArchivedController
from farm.errors import CampaignError
from farm.records import BodyModel, Side

SHIPPED = "archive.parquet"

SEVERITY_UNIT = 0.25
"""Severities that differ by this much count as far apart as speeds that differ by `SPEED_UNIT`."""

SPEED_UNIT = 0.2
"""m/s at the generic stature."""


def archive_sha256() -> str:
    """Identity of the archive that controllers come from, written into every dataset."""
    return hashlib.sha256((resources.files("farm.control") / SHIPPED).read_bytes()).hexdigest()


@cache
def shipped_archive() -> tuple[ArchivedController, ...]:
    """All rows of the archive that comes with the package, in file order."""
    with resources.as_file(resources.files("farm.control") / SHIPPED) as path:
        return read_archive(path)


@cache
def archive(body_model: BodyModel = "planar") -> tuple[ArchivedController, ...]:
    """The rows for one body model, in file order."""
    return tuple(row for row in shipped_archive() if row.body_model == body_model)


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
