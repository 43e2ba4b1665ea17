"""Patterns of cloth: small tiles that say where the second colour is, and where on a garment a tile lies.

Tiles are drawn from mipmaps, so that a stripe that is finer than a pixel turns to
the mean of its colours and not to noise, on meshes however coarse.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from farm.scene_config import Pattern
from scenes.colours import Rgb
from scenes.surface import Array, Surface

PATTERNS: tuple[Pattern, ...] = get_args(Pattern)
"""The tiles' order."""

TILE = 128
"""Breadth and height of a tile in texels: 1 mm for a pattern that repeats every 12 cm."""

_STRIPE = 0.4
_DOT_RADIUS = 0.15


@dataclass(frozen=True)
class Tube:
    """A part of a garment that goes around a body or a limb: what a bolt of cloth is wrapped around.

    Attributes:
        straight: From bind axes to axes in which the tube's middle line is vertical (m).
        middle: `[2]` x and z of that line (m).
        repeats: Of the tile, around; a whole number, so that the pattern meets itself.
        repeat_m: Height of a tile.
        zero_m: Height at which a tile begins.
    """

    straight: Callable[[Array], Array]
    middle: Array
    repeats: int
    repeat_m: float
    zero_m: float = 0.0

    def around(self, points: Array) -> Array:
        """Azimuth of points `[..., 3]` about the middle line, 0 in front: rad, -pi to pi."""
        offset = self.straight(points)[..., [0, 2]] - self.middle
        return np.asarray(np.arctan2(offset[..., 1], offset[..., 0]))

    def place(self, points: Array, *, back: bool) -> Array:
        """Where on the pattern's tile points `[V, 3]` in bind axes are: repeats around and up, `[V, 2]`.

        Args:
            back: Whether they belong to faces on the back half, where the azimuth is counted from 0 to 2 pi:
                so no face has corners a whole turn apart.
        """
        turn = self.around(points)
        turn = np.where(turn < 0.0, turn + 2 * np.pi, turn) if back else turn
        up = (self.straight(points)[:, 1] - self.zero_m) / self.repeat_m
        return np.stack([turn / (2 * np.pi) * self.repeats, up], axis=1)


@dataclass(frozen=True)
class Cloth:
    """A pattern, and how it is cut and laid on a garment.

    Attributes:
        accent: The pattern's second colour.
        tubes: The garment's parts.
        part: Which of them points `[V, 3]` in bind axes belong to, `[V]`.
    """

    pattern: Pattern
    accent: Rgb
    tubes: tuple[Tube, ...]
    part: Callable[[Array], NDArray[np.int64]]

    def cut(self, surface: Surface) -> tuple[Surface, Array]:
        """The surface with its seams cut open, and each vertex's place on the tile `[V, 2]`.

        A vertex on a seam is there once for each part that meets there: else the
        pattern would be smeared over the triangles between a sleeve and its armhole.
        """
        corners = surface.vertices[surface.faces]
        part = np.sort(self.part(surface.vertices)[surface.faces], axis=1)[:, 1]
        middle = corners.mean(axis=1)
        back = np.zeros(len(part), bool)
        for number, tube in enumerate(self.tubes):
            mine = part == number
            back[mine] = np.abs(tube.around(middle[mine])) > np.pi / 2
        piece = 2 * part + back
        count = len(surface.vertices)
        key, faces = np.unique(piece[:, None] * count + surface.faces, return_inverse=True)
        owner, whose = key % count, key // count
        place = np.zeros((len(key), 2))
        for number, tube in enumerate(self.tubes):
            for half in (False, True):
                mine = whose == 2 * number + half
                place[mine] = tube.place(surface.vertices[owner[mine]], back=half)
        faces = faces.reshape(-1, 3).astype(np.int32)
        return Surface(surface.vertices[owner], surface.normals[owner], faces), place


def repeats_around(radius_m: float, repeat_m: float) -> int:
    """How often a tile goes around: about every `repeat_m`, a whole number of times."""
    return max(1, round(2 * np.pi * radius_m / repeat_m))


def pattern_tiles() -> NDArray[np.uint8]:
    """Share of the second colour in 255ths: `[P, TILE, TILE]`, rows up the garment, in the order of `PATTERNS`."""
    middle = (np.arange(TILE) + 0.5) / TILE
    v, u = np.meshgrid(middle, middle, indexing="ij")
    dots = [np.hypot(u - place, v - place) for place in (0.25, 0.75)]
    share = {
        "plain": np.zeros_like(u),
        "stripes": _inside(np.abs(u - 0.5) - _STRIPE / 2),
        "hoops": _inside(np.abs(v - 0.5) - 0.25),
        "checks": 0.5 * _inside(np.abs(u - 0.5) - 0.25) + 0.5 * _inside(np.abs(v - 0.5) - 0.25),
        "dots": _inside(np.minimum(*dots) - _DOT_RADIUS),
        "yoke": (v > 0.5).astype(float),
    }
    return np.stack([np.round(255 * share[name]) for name in PATTERNS]).astype(np.uint8)


def _inside(distance: Array) -> Array:
    """1 inside, 0 outside, with an edge as broad as a texel; distances in tiles."""
    return np.asarray(np.clip(0.5 - distance * TILE, 0.0, 1.0))
