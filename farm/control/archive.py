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
from collections.abc import Sequence
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

SIZE_UNIT = 0.10
"""Share by which legs differ in length that counts as much: gains are rescaled to a body, but best from a near one."""

ROBUSTNESS_UNIT = 0.5
"""Gains that carry so many fewer of the people like their own count as farther off by one of these units."""

COMPETES = 1.0
"""Whoever is so many units farther off than the nearest is no alternative to it."""


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
    competing: bool = True,
    everybody: Sequence[ArchivedController] | None = None,
) -> list[ArchivedController]:
    """The archived walkers most like the person asked for, nearest first; of equals the one that carries more people.

    At most `count`; of those who compete none is much farther off than the nearest: whose severity is another is no
    substitute.

    Speeds are compared at equal Froude number: a smaller person at the same
    effort walks slower by the square root of the leg lengths' ratio (Alexander 1989).
    Walkers of a map (`ArchivedController.explored`) are left out: they are kept because they are odd.

    Args:
        everybody: Of whom they are taken; None takes the archive that comes with the package.

    Raises:
        CampaignError: If the archive has no walker with this condition on such a side.
    """
    kind = "right" if side == "left" else side
    known_walkers = archive(body_model) if everybody is None else everybody
    drawable = [row for row in known_walkers if row.body_model == body_model and not row.explored]
    rows = [row for row in drawable if row.condition == condition and row.side == kind]
    if not rows:
        known = sorted({(row.condition, row.side) for row in drawable})
        raise CampaignError(
            f"the controller archive has no walker for condition {condition!r} on side {side!r} "
            f"in body model {body_model!r}; "
            f"it has {', '.join(f'{name} ({where})' for name, where in known)}"
        )

    def distance(row: ArchivedController) -> float:
        speed = row.speed_m_s * math.sqrt(leg_length_m / row.leg_length_m)
        size = math.log(leg_length_m / row.leg_length_m) / SIZE_UNIT
        frailty = (1.0 - row.robustness) / ROBUSTNESS_UNIT
        return math.hypot((speed - speed_m_s) / SPEED_UNIT, (row.severity - severity) / SEVERITY_UNIT, size, frailty)

    ranked = sorted((distance(row), place) for place, row in enumerate(rows))
    reach = ranked[0][0] + COMPETES if competing else math.inf
    return [rows[place] for far, place in ranked[:count] if far <= reach]
