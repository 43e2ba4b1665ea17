"""Where other people find room beside the walkway."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from scenes.panel import RoomBox
from scenes.passer_by import GIRTH_M, STRIDE_REACH_M, PasserByDraw, Way
from scenes.settle import Ground
from scenes.surface import Array

_FROM_WALL_M = 0.12


def find_way(
    person: PasserByDraw, ground: Ground, box: RoomBox, *, walk: tuple[Array, Array], time: Array
) -> Way | None:
    """Look for room beside the walkway, out of every camera's sight of the walker, and take it.

    Args:
        walk: Low and high corners of what is kept free for the walker.
        time: `[F]` s.
    """
    for z in _lanes(person, box, walk):
        way = _in_lane(person, z, box, time)
        if way is None:
            continue
        low, high = way.space(time, person.stature_m)
        if ground.keep(low.min(axis=0), high.max(axis=0)):
            return way
    return None


def _lanes(person: PasserByDraw, box: RoomBox, walk: tuple[Array, Array]) -> Iterator[float]:
    """Distances from the walkway's middle, on the drawn side first, as far off as drawn first."""
    for side in (person.side, -person.side):
        edge = walk[1][2] if side > 0 else walk[0][2]
        end = box.z1 if side > 0 else box.z0
        room = side * (end - edge) - 2 * GIRTH_M - _FROM_WALL_M
        if room > 0.0:
            for gap in (person.gap_m, 0.3 * person.gap_m):
                yield float(edge + side * (GIRTH_M + min(gap, room)))


def _in_lane(person: PasserByDraw, z: float, box: RoomBox, time: Array) -> Way | None:
    """The way of somebody at this distance; None where the place is too short for how far they walk."""
    turn = np.deg2rad(person.turn_deg)
    if person.kind == "standing":  # to look at the walkway is to look along -z from its right, along z from its left
        turn += -np.pi / 2 if z > 0 else np.pi / 2
    step = float(np.cos(turn)) * person.speed_m_s * np.asarray(time)
    margin = _FROM_WALL_M + (STRIDE_REACH_M if person.kind == "walking" else GIRTH_M)
    low, high = box.x0 + margin - step.min(), box.x1 - margin - step.max()
    if low > high:
        return None
    return Way(float(low + person.along * (high - low)), z, float(turn), person.speed_m_s)
