"""What a place looks like: floor, walls, doors; and how that is drawn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from farm.scene_config import PlaceKind, PlaceVariation
from scenes.colours import Rgb, choose, pick

FloorKind = Literal["tiles", "planks", "vinyl", "mat"]


_WALL_COLOURS: tuple[str, ...] = ("e8e6df", "dfe4e6", "e9dfcf", "cfdad5", "d9dbe4", "eeeae3", "c9d2d8", "d8cdbf")
_ACCENT_COLOURS: tuple[str, ...] = ("8fb3b0", "a9bd9a", "c9a66b", "8aa0bd", "b98d7c", "9aa3a8", "d1c28f")
_FLOOR_COLOURS: dict[FloorKind, tuple[str, ...]] = {
    "tiles": ("b9b4aa", "a7adb0", "c8bda9", "8f9699", "cfcac2"),
    "planks": ("a9814f", "8a6238", "c19c6a", "6f4d30", "b58f66"),
    "vinyl": ("9fb0b3", "b3a994", "8e9f96", "a8b0bd", "bcb7ae"),
    "mat": ("4b5f76", "5d6b5c", "6a4a4a", "4f4f57", "7d7466"),
}


@dataclass(frozen=True)
class Place:
    """A clinic's corridor or gait laboratory around the walkway.

    Attributes:
        margin_m: Free floor between the cameras' and walker's places and the walls.
        tile_m: Edge of a tile, breadth of a plank.
        texture_seed: Number of the procedural textures' pattern.
        panel_pitch_m: Distance between doors and panels along the walls.
    """

    kind: PlaceKind
    floor: FloorKind
    floor_rgb: Rgb
    floor_contrast: float
    floor_gloss: float
    tile_m: float
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


def place_rand(rng: np.random.Generator, variation: PlaceVariation) -> Place:
    """Draw one place, within what the campaign lets vary."""
    floor: FloorKind = choose(rng, {"tiles": 0.35, "planks": 0.25, "vinyl": 0.25, "mat": 0.15})
    wall = pick(rng, _WALL_COLOURS)
    return Place(
        kind=variation.kinds[int(rng.integers(len(variation.kinds)))],
        floor=floor,
        floor_rgb=pick(rng, _FLOOR_COLOURS[floor], 0.03),
        floor_contrast=float(rng.uniform(0.5, 1.0)),
        floor_gloss=float({"tiles": 0.30, "planks": 0.20, "vinyl": 0.25, "mat": 0.0}[floor] * rng.uniform(0.5, 1.0)),
        tile_m=float({"tiles": rng.uniform(0.3, 0.6), "planks": rng.uniform(0.10, 0.18)}.get(floor, 1.0)),
        wall_rgb=wall,
        dado_rgb=pick(rng, _ACCENT_COLOURS) if rng.uniform() < 0.6 else wall,
        dado_height_m=float(rng.uniform(0.9, 1.25)),
        door_rgb=pick(rng, ("8a6a48", "b9a88c", "cfd3d4", "6f7f8c", "a4553f", "7d6b5d")),
        skirting_rgb=pick(rng, ("f1efe9", "6b6459", "3f4347", "b4aea3")),
        panel_pitch_m=float(rng.uniform(2.6, 4.2)),
        panel_offset_m=float(rng.uniform(0.0, 2.5)),
        walkway_rgb=pick(rng, ("5d6e7e", "7d8a72", "8c5b52", "4f565c", "a39a86", "3f5b57")),
        walkway_width_m=float(rng.uniform(1.0, 1.6)) if rng.uniform() < 0.4 else 0.0,
        margin_m=float(rng.uniform(0.8, 2.2)),
        height_m=float(rng.uniform(2.6, 3.4)),
        texture_seed=int(rng.integers(2**31)),
    )
