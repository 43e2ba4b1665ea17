"""What a place looks like: floor, walls, doors; and how that is drawn."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from farm.scene_config import PlaceKind, PlaceVariation
from scenes.colours import Rgb, choose, pick
from scenes.foreground import ForegroundDraw, foreground_rand
from scenes.furniture import PieceDraw, piece_rand
from scenes.passer_by import PasserByDraw, passer_by_rand

FloorKind = Literal["tiles", "planks", "vinyl", "mat", "carpet", "paving", "asphalt"]
WallKind = Literal["plaster", "brick", "panels", "paper"]


_WALL_COLOURS: tuple[str, ...] = ("e8e6df", "dfe4e6", "e9dfcf", "cfdad5", "d9dbe4", "eeeae3", "c9d2d8", "d8cdbf")
_ACCENT_COLOURS: tuple[str, ...] = ("8fb3b0", "a9bd9a", "c9a66b", "8aa0bd", "b98d7c", "9aa3a8", "d1c28f")
_FLOOR_COLOURS: dict[FloorKind, tuple[str, ...]] = {
    "tiles": ("b9b4aa", "a7adb0", "c8bda9", "8f9699", "cfcac2"),
    "planks": ("a9814f", "8a6238", "c19c6a", "6f4d30", "b58f66"),
    "vinyl": ("9fb0b3", "b3a994", "8e9f96", "a8b0bd", "bcb7ae"),
    "mat": ("4b5f76", "5d6b5c", "6a4a4a", "4f4f57", "7d7466"),
    "carpet": ("8d8578", "6f7480", "7b5a52", "a59a86", "56665f"),
    "paving": ("a9a59c", "b7b0a2", "96948f", "a08f80"),
    "asphalt": ("7a7975", "8a8884", "6b6a68"),
}
_BRICK_COLOURS: tuple[str, ...] = ("9c5a45", "a8735a", "7d4a3c", "b99a7c", "c9bba2", "8d8279")
_FLOORS: Mapping[PlaceKind, Mapping[FloorKind, float]] = {
    "corridor": {"tiles": 0.4, "vinyl": 0.5, "planks": 0.1},
    "gait_lab": {"vinyl": 0.6, "mat": 0.2, "tiles": 0.2},
    "living_room": {"planks": 0.65, "carpet": 0.35},
    "gym": {"planks": 0.6, "vinyl": 0.3, "mat": 0.1},
    "street": {"paving": 0.7, "asphalt": 0.3},
}
_WALLS: Mapping[PlaceKind, Mapping[WallKind, float]] = {
    "corridor": {"plaster": 0.8, "panels": 0.2},
    "gait_lab": {"plaster": 0.7, "panels": 0.3},
    "living_room": {"plaster": 0.4, "paper": 0.6},
    "gym": {"brick": 0.5, "plaster": 0.2, "panels": 0.3},
    "street": {"brick": 0.7, "plaster": 0.3},
}
_WALKWAY_SHARE: Mapping[PlaceKind, float] = {
    "corridor": 0.2, "gait_lab": 0.8, "living_room": 0.3, "gym": 0.3, "street": 0.0,
}  # fmt: skip
_MARGIN_M: Mapping[PlaceKind, tuple[float, float]] = {
    "corridor": (0.8, 2.2), "gait_lab": (1.2, 2.6), "living_room": (1.3, 2.2), "gym": (1.5, 3.0), "street": (2.2, 3.5),
}  # fmt: skip
_HEIGHT_M: Mapping[PlaceKind, tuple[float, float]] = {
    "corridor": (2.6, 3.2), "gait_lab": (2.7, 3.6), "living_room": (2.5, 2.9), "gym": (4.2, 6.0), "street": (6.5, 9.0),
}  # fmt: skip
_COMPANY: Mapping[PlaceKind, float] = {
    "corridor": 0.5, "gait_lab": 0.15, "living_room": 0.2, "gym": 0.5, "street": 0.8,
}  # fmt: skip
"""Chance that somebody who is drawn is met in such a place."""


@dataclass(frozen=True)
class Place:
    """A place around the walkway.

    Attributes:
        margin_m: Free floor between the cameras' and walker's places and the walls.
        tile_m: Edge of a tile, breadth of a plank.
        texture_seed: Number of the procedural textures' pattern.
        panel_pitch_m: Distance between doors, windows and boards along the walls.
        pieces: Furniture, in the order in which it looks for room.
        passers_by: Other people, who look for room before it.
        foreground: One or nothing, which does so first.
    """

    kind: PlaceKind
    floor: FloorKind
    floor_rgb: Rgb
    floor_contrast: float
    floor_gloss: float
    tile_m: float
    wall: WallKind
    wall_rgb: Rgb
    dado_rgb: Rgb
    dado_height_m: float
    door_rgb: Rgb
    skirting_rgb: Rgb
    panel_pitch_m: float
    panel_offset_m: float
    walkway_rgb: Rgb
    walkway_width_m: float
    margin_m: float
    height_m: float
    texture_seed: int
    pieces: tuple[PieceDraw, ...]
    passers_by: tuple[PasserByDraw, ...] = ()
    foreground: tuple[ForegroundDraw, ...] = ()


def place_rand(rng: np.random.Generator, variation: PlaceVariation) -> Place:
    """Draw one place, within what the campaign lets vary."""
    kind = variation.kinds[int(rng.integers(len(variation.kinds)))]
    floor: FloorKind = choose(rng, _FLOORS[kind])
    finish: WallKind = choose(rng, _WALLS[kind])
    wall = pick(rng, _BRICK_COLOURS if finish == "brick" else _WALL_COLOURS)
    count = int(rng.integers(variation.furniture[0], variation.furniture[1], endpoint=True))
    low, high = variation.passers_by
    met = int(rng.binomial(int(rng.integers(low, high, endpoint=True)), _COMPANY[kind]))
    two_toned = kind in ("corridor", "gait_lab", "gym") and finish != "brick"
    return Place(
        kind=kind,
        floor=floor,
        floor_rgb=pick(rng, _FLOOR_COLOURS[floor], 0.03),
        floor_contrast=float(rng.uniform(0.5, 1.0)),
        floor_gloss=float({"tiles": 0.30, "planks": 0.20, "vinyl": 0.25}.get(floor, 0.0) * rng.uniform(0.5, 1.0)),
        tile_m=float(
            {"tiles": rng.uniform(0.3, 0.6), "planks": rng.uniform(0.10, 0.18), "paving": rng.uniform(0.3, 0.6)}.get(
                floor, 1.0
            )
        ),
        wall=finish,
        wall_rgb=wall,
        dado_rgb=pick(rng, _ACCENT_COLOURS) if rng.uniform() < 0.6 and two_toned else wall,
        dado_height_m=float(rng.uniform(0.9, 1.25)),
        door_rgb=pick(rng, ("8a6a48", "b9a88c", "cfd3d4", "6f7f8c", "a4553f", "7d6b5d")),
        skirting_rgb=pick(rng, ("f1efe9", "6b6459", "3f4347", "b4aea3")),
        panel_pitch_m=float(rng.uniform(2.6, 4.2)),
        panel_offset_m=float(rng.uniform(0.0, 2.5)),
        walkway_rgb=pick(rng, ("5d6e7e", "7d8a72", "8c5b52", "4f565c", "a39a86", "3f5b57")),
        walkway_width_m=float(rng.uniform(1.0, 1.6)) if rng.uniform() < _WALKWAY_SHARE[kind] else 0.0,
        margin_m=float(rng.uniform(*_MARGIN_M[kind])),
        height_m=float(rng.uniform(*_HEIGHT_M[kind])),
        texture_seed=int(rng.integers(2**31)),
        pieces=tuple(piece_rand(rng, kind) for _ in range(count)),
        passers_by=tuple(passer_by_rand(rng, variation.walking_share) for _ in range(met)),
        foreground=foreground_rand(rng, kind, variation),
    )
