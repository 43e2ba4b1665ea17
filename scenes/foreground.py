"""What stands or passes between one camera and the walker, and hides part of the walk from it.

Where it comes to be follows from the walk and the cameras: of some places near the
drawn one it takes the first that is free and hides the walker in no more than
`MOST_TOUCHED` of that camera's pictures. All labels know of it: visibility, masks
and distances are of what is drawn.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from farm.scene_config import PlaceKind, PlaceVariation
from scenes.colours import choose
from scenes.furniture import Part, PieceDraw, parts_of, piece_rand
from scenes.passer_by import PasserByDraw, Way, passer_by_rand
from scenes.settle import Ground, Spot
from scenes.surface import Array

MOST_TOUCHED = 0.5
"""Share of a view's pictures in which something of the walker may be hidden by what is in the foreground."""

LEAST_TOUCHED = 0.04
"""Share in which something must be, else it would not be worth its place."""

_TRIES = 24
_TOUCHED = 0.02
"""Share of the walker's outermost points whose loss counts as hiding something."""

_PICTURES = 48
"""So many pictures of a walk are looked at."""

_FROM_EYE = (0.15, 0.80)
"""Where between the walker (0) and the camera (1) it may be."""

_NOT_BEFORE_A_WALL = ("wall_bars", "car", "cupboard")
"""Pieces that belong at a wall, or would hide everything."""


@dataclass(frozen=True)
class ForegroundDraw:
    """Something in the foreground, as drawn.

    Attributes:
        kind: Of the piece or of the passer-by.
        camera: 0 to 1, at which of the views the search begins.
        along: 0 to 1, of the walk: where the walker is behind it.
        depth: 0 to 1, from the walker to the camera.
        piece, person: One of them.
    """

    kind: str
    camera: float
    along: float
    depth: float
    piece: PieceDraw | None
    person: PasserByDraw | None


@dataclass(frozen=True)
class Found:
    """Where there is room: the number of the camera that has it in its foreground, and a spot or a way."""

    camera: int
    spot: Spot | None
    way: Way | None


def foreground_rand(rng: np.random.Generator, kind: PlaceKind, variation: PlaceVariation) -> tuple[ForegroundDraw, ...]:
    """Draw one thing for the foreground, or none."""
    wanted = rng.uniform() < variation.foreground_share
    shares: dict[Literal["piece", "person"], float] = {
        "piece": 0.65 if variation.furniture[1] > 0 else 0.0, "person": 0.35 if variation.passers_by[1] > 0 else 0.0
    }  # fmt: skip
    if not wanted or not any(shares.values()):
        return ()
    piece = person = None
    if choose(rng, shares) == "piece":
        piece = piece_rand(rng, kind, leave_out=_NOT_BEFORE_A_WALL)
    else:
        person = passer_by_rand(rng, variation.walking_share)
    return (
        ForegroundDraw(
            kind=piece.kind if piece else person.kind if person else "",
            camera=float(rng.uniform()),
            along=float(rng.uniform(0.15, 0.85)),
            depth=float(rng.uniform()),
            piece=piece,
            person=person,
        ),
    )


def find_foreground(draw: ForegroundDraw, ground: Ground, *, outline: Array, eyes: Array, time: Array) -> Found | None:
    """Look for room, and take it.

    Args:
        outline: `[F, P, 3]` m, points that bound the walker in every picture.
        eyes: `[C, F, 3]` m, where each camera is in each picture.
        time: `[F]` s.
    """
    some = slice(None, None, max(1, len(outline) // _PICTURES))
    outline, eyes, time = outline[some], eyes[:, some], time[some]
    parts = tuple(parts_of(draw.piece)) if draw.piece else ()
    first = int(draw.camera * len(eyes))
    for camera in (*range(first, len(eyes)), *range(first)):
        for x, z in _places(draw, outline, eyes[camera]):
            if draw.piece is not None:
                towards = outline.mean(axis=(0, 1)) - eyes[camera].mean(axis=0)
                spot = Spot(x, z, float(np.arctan2(towards[0], towards[2]) + np.deg2rad(draw.piece.turn_deg)))
                if _is_sane(eyes[camera], outline, _spaces(parts, spot)) and ground.drop(
                    draw.piece, spot, before=camera
                ):
                    return Found(camera, spot, None)
            elif draw.person is not None:
                way = _way(draw.person, x, z, float(np.quantile(time, draw.along)))
                low, high = way.space(time, draw.person.stature_m)
                if _is_sane(eyes[camera], outline, [(low, high)]) and ground.keep(
                    low.min(axis=0), high.max(axis=0), before=camera
                ):
                    return Found(camera, None, way)
    return None


def hidden_share(eyes: Array, points: Array, spaces: Sequence[tuple[Array, Array]]) -> Array:
    """Share `[F]` of points `[F, P, 3]` that boxes hide from eyes `[F, 3]`.

    Args:
        spaces: Low and high corners, each `[3]` or `[F, 3]`.
    """
    ray = points - eyes[:, None]
    ray = np.where(np.abs(ray) < 1e-9, 1e-9, ray)
    hidden = np.zeros(points.shape[:2], dtype=bool)
    for low, high in spaces:
        near, far = ((np.broadcast_to(end, eyes.shape)[:, None] - eyes[:, None]) / ray for end in (low, high))
        enter, leave = np.minimum(near, far).max(axis=-1), np.maximum(near, far).min(axis=-1)
        hidden |= (enter < leave) & (enter < 1.0) & (leave > 0.0)
    return np.asarray(hidden.mean(axis=1))


def _is_sane(eyes: Array, outline: Array, spaces: Sequence[tuple[Array, Array]]) -> bool:
    touched = float(np.mean(hidden_share(eyes, outline, spaces) > _TOUCHED))
    return LEAST_TOUCHED <= touched <= MOST_TOUCHED


def _places(draw: ForegroundDraw, outline: Array, eyes: Array) -> Iterator[tuple[float, float]]:
    """Places `x, z` on lines of sight from a camera `[F, 3]`: the drawn one, then others, evenly spread."""
    middle = outline.mean(axis=1)
    for number in range(_TRIES):
        along = (draw.along + 0.6180 * number) % 1.0
        depth = (draw.depth + 0.3820 * number) % 1.0
        frame = min(int(along * len(middle)), len(middle) - 1)
        share = _FROM_EYE[0] + depth * (_FROM_EYE[1] - _FROM_EYE[0])
        x, _, z = middle[frame] + share * (eyes[frame] - middle[frame])
        yield float(x), float(z)


def _way(person: PasserByDraw, x: float, z: float, when_s: float) -> Way:
    """The way of somebody who is at `x`, `z` at some time."""
    heading = np.deg2rad(person.turn_deg)
    return Way(x - float(np.cos(heading)) * person.speed_m_s * when_s, z, float(heading), person.speed_m_s)


def _spaces(parts: Sequence[Part], spot: Spot) -> list[tuple[Array, Array]]:
    """Low and high corners of each part of a piece on its spot."""
    c, s = np.cos(spot.yaw_rad), np.sin(spot.yaw_rad)
    turn = np.array([[c, 0.0, s], [0.0, 1.0, 0.0], [-s, 0.0, c]])
    placed = [part.vertices @ turn.T + np.array([spot.x, 0.0, spot.z]) for part in parts]
    return [(points.min(axis=0), points.max(axis=0)) for points in placed]
