"""Furniture and other things that stand around, each made by code from boxes, cylinders and balls.

A piece stands on the floor at its own axes' origin: x along its breadth, y up,
z towards its front. Its parts are convex, so they are solids for physics and sight, too.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from farm.scene_config import PlaceKind
from scenes.colours import Rgb, choose, pick
from scenes.surface import Array

_SIDES = 12
_METAL: Rgb = (0.62, 0.64, 0.66)
_BLACK: Rgb = (0.13, 0.13, 0.14)
_LEAF: Rgb = (0.24, 0.40, 0.20)
_COLOURS = ("8a6a48", "b9a88c", "5b4636", "c8c4ba", "3f5b57", "7c3a34", "46587a", "8c8f94", "a9814f", "394152")


@dataclass(frozen=True)
class PieceDraw:
    """One piece as drawn; where it comes to stand follows from the room and from physics.

    Attributes:
        kind: One of `PIECES`.
        along: 0 to 1 along its wall.
        wall: -1 the wall at the smallest z, 1 the wall opposite.
        gap_m: From the wall to its back.
        turn_deg: From facing the room squarely.
        size: Factor of breadth.
        colour, accent: Of its two main materials.
    """

    kind: str
    along: float
    wall: int
    gap_m: float
    turn_deg: float
    size: float
    colour: Rgb
    accent: Rgb


@dataclass(frozen=True)
class Part:
    """One convex part: `vertices` and unit `normals` `[V, 3]`, outward `faces` `[T, 3]`, one colour."""

    vertices: Array
    normals: Array
    faces: NDArray[np.int64]
    colour: Rgb
    round: bool = False


def piece_rand(rng: np.random.Generator, place: PlaceKind, *, leave_out: Collection[str] = ()) -> PieceDraw:
    """Draw one piece of those that belong in a place."""
    kind = choose(rng, {kind: share for kind, share in BELONGS[place].items() if kind not in leave_out})
    return PieceDraw(
        kind=kind,
        along=float(rng.uniform()),
        wall=int(rng.choice([-1, 1], p=[0.65, 0.35])),
        gap_m=float(rng.uniform(0.06, 0.25)),
        turn_deg=float(rng.normal(0.0, 3.0)),
        size=float(rng.uniform(0.85, 1.15)),
        colour=pick(rng, _COLOURS, 0.03),
        accent=pick(rng, _COLOURS, 0.03),
    )


def box(low: tuple[float, float, float], high: tuple[float, float, float], colour: Rgb) -> Part:
    """A box between two corners (m)."""
    a, b = np.array(low), np.array(high)
    vertices: list[Array] = []
    normals: list[Array] = []
    faces: list[NDArray[np.int64]] = []
    for axis in range(3):
        u, v = np.eye(3)[(axis + 1) % 3] * (b - a), np.eye(3)[(axis + 2) % 3] * (b - a)
        for sign, corner in ((-1.0, a), (1.0, b)):
            first, second = (v, u) if sign < 0 else (-u, -v)
            number = 4 * len(faces)
            vertices.append(np.stack([corner, corner + first, corner + first + second, corner + second]))
            normals.append(np.tile(sign * np.eye(3)[axis], (4, 1)))
            faces.append(np.array([[0, 1, 2], [0, 2, 3]]) + number)
    return Part(np.concatenate(vertices), np.concatenate(normals), np.concatenate(faces), colour)


def cylinder(foot: tuple[float, float, float], height: float, radius: float, colour: Rgb, top: float = 1.0) -> Part:
    """An upright cylinder (m), or a cone cut off where `top`, its upper radius as a share of the lower, is not 1."""
    turn = np.arange(_SIDES) * 2 * np.pi / _SIDES
    ring = np.stack([np.cos(turn), np.zeros(_SIDES), np.sin(turn)], axis=1)
    base = np.array(foot)
    low, high = base + radius * ring, base + top * radius * ring + np.array([0.0, height, 0.0])
    i, j = np.arange(_SIDES), (np.arange(_SIDES) + 1) % _SIDES
    wall = np.concatenate([np.stack([i, i + _SIDES, j], 1), np.stack([j, i + _SIDES, j + _SIDES], 1)])
    fan = np.stack([np.zeros(_SIDES - 2, int), np.arange(2, _SIDES), np.arange(1, _SIDES - 1)], 1)
    up = np.tile([0.0, 1.0, 0.0], (_SIDES, 1))
    return Part(
        np.concatenate([low, high, high, low]),
        np.concatenate([ring, ring, up, -up]),
        np.concatenate([wall, fan + 2 * _SIDES, fan[:, ::-1] + 3 * _SIDES]),
        colour,
    )


def ball(centre: tuple[float, float, float], radii: tuple[float, float, float], colour: Rgb) -> Part:
    """An ellipsoid (m)."""
    rows = 7
    theta = np.linspace(0.0, np.pi, rows)[:, None]
    phi = np.arange(_SIDES) * 2 * np.pi / _SIDES
    unit = np.stack(
        [np.sin(theta) * np.cos(phi), np.cos(theta) * np.ones_like(phi), np.sin(theta) * np.sin(phi)], axis=-1
    ).reshape(-1, 3)
    number = np.arange(rows * _SIDES).reshape(rows, _SIDES)
    a, b = number[:-1], number[1:]
    c, d = np.roll(b, -1, axis=1), np.roll(a, -1, axis=1)
    upper, lower = np.stack([a, d, c], -1)[1:].reshape(-1, 3), np.stack([a, c, b], -1)[:-1].reshape(-1, 3)
    normal = unit / np.array(radii)
    normal /= np.linalg.norm(normal, axis=1, keepdims=True)
    return Part(np.array(centre) + unit * np.array(radii), normal, np.concatenate([upper, lower]), colour, round=True)


def _legs(half_x: float, half_z: float, height: float, colour: Rgb, thick: float = 0.04) -> list[Part]:
    return [
        box((x - thick / 2, 0.0, z - thick / 2), (x + thick / 2, height, z + thick / 2), colour)
        for x in (-half_x, half_x)
        for z in (-half_z, half_z)
    ]


def _chair(d: PieceDraw) -> list[Part]:
    w = 0.23
    return [
        *_legs(w - 0.03, 0.19, 0.42, d.accent, 0.035),
        box((-w, 0.42, -0.22), (w, 0.47, 0.23), d.colour),
        box((-w, 0.47, -0.22), (w, 0.88, -0.18), d.colour),
    ]


def _chairs(d: PieceDraw) -> list[Part]:
    parts = []
    for x in (-0.56, 0.0, 0.56):
        aside = np.array([x, 0.0, 0.0])
        parts += [Part(part.vertices + aside, part.normals, part.faces, part.colour) for part in _chair(d)]
    return parts


def _bench(d: PieceDraw) -> list[Part]:
    w = 0.75 * d.size
    return [*_legs(w - 0.15, 0.13, 0.39, d.accent, 0.06), box((-w, 0.39, -0.18), (w, 0.44, 0.18), d.colour)]


def _table(d: PieceDraw) -> list[Part]:
    w = 0.65 * d.size
    return [
        *_legs(w - 0.06, 0.30, 0.71, d.accent, 0.05),
        box((-w, 0.71, -0.36), (w, 0.75, 0.36), d.colour),
        cylinder((0.2 * w, 0.75, 0.0), 0.18, 0.06, d.accent, 0.7),
    ]


def _cupboard(d: PieceDraw) -> list[Part]:
    w, h = 0.50 * d.size, 1.75 * d.size
    doors = [
        box((s * w / 2 - w / 2 + 0.015, 0.09, 0.22), (s * w / 2 + w / 2 - 0.015, h - 0.03, 0.235), d.accent)
        for s in (-1, 1)
    ]
    knobs = [box((s * 0.05 - 0.01, 0.5 * h, 0.235), (s * 0.05 + 0.01, 0.5 * h + 0.12, 0.255), _METAL) for s in (-1, 1)]
    return [box((-w, 0.0, -0.22), (w, h, 0.22), d.colour), *doors, *knobs]


def _shelf(d: PieceDraw) -> list[Part]:
    w, h = 0.45 * d.size, 1.7
    parts = [box((s * w - 0.015, 0.0, -0.15), (s * w + 0.015, h, 0.15), d.colour) for s in (-1, 1)]
    parts.append(box((-w, 0.02, -0.15), (w, h, -0.135), d.colour))
    for number in range(5):
        y = 0.06 + number * 0.39
        parts.append(box((-w + 0.015, y, -0.135), (w - 0.015, y + 0.025, 0.15), d.colour))
        x = -w + 0.06
        while number < 4 and x < w - 0.12:
            share = (np.sin(37.0 * x + 5.0 * number + 9.0 * d.along) + 1.0) / 2.0
            tint = (0.25 + 0.6 * share, 0.25 + 0.5 * abs(np.sin(19.0 * x)), 0.30 + 0.4 * (1.0 - share))
            thick = 0.035 + 0.05 * share
            if share > 0.12:
                parts.append(box((x, y + 0.025, -0.10), (x + thick - 0.004, y + 0.20 + 0.1 * share, 0.08), tint))
            x += thick
    return parts


def _plant(d: PieceDraw) -> list[Part]:
    parts = [
        cylinder((0.0, 0.0, 0.0), 0.32, 0.15, d.colour, 1.25),
        cylinder((0.0, 0.32, 0.0), 0.45, 0.02, (0.35, 0.26, 0.16)),
    ]
    for k in range(7):
        turn = 2.4 * k + 6.0 * d.along
        r, y = 0.13 + 0.05 * (k % 3), 0.62 + 0.10 * k * d.size
        tint = (_LEAF[0] + 0.03 * (k % 3), _LEAF[1] + 0.05 * (k % 2), _LEAF[2])
        parts.append(ball((r * np.cos(turn), y, r * np.sin(turn)), (0.17, 0.12, 0.17), tint))
    return parts


def _bin(d: PieceDraw) -> list[Part]:
    return [cylinder((0.0, 0.0, 0.0), 0.62, 0.17, d.colour, 1.15), cylinder((0.0, 0.62, 0.0), 0.05, 0.20, _BLACK)]


def _wheelchair(d: PieceDraw) -> list[Part]:
    parts = [
        box((-0.22, 0.46, -0.22), (0.22, 0.52, 0.22), d.colour),
        box((-0.22, 0.52, -0.25), (0.22, 0.95, -0.21), d.colour),
    ]
    for s in (-1.0, 1.0):
        x = s * 0.29
        turn = np.linspace(0.0, 2 * np.pi, 17)
        for a, b in itertools.pairwise(turn):  # the wheel's tyre, in pieces
            y, z = 0.30 + 0.285 * np.cos([a, b]), -0.05 + 0.285 * np.sin([a, b])
            parts.append(
                box(
                    (x - 0.014, float(y.min()) - 0.014, float(z.min()) - 0.014),
                    (x + 0.014, float(y.max()) + 0.014, float(z.max()) + 0.014),
                    _BLACK,
                )
            )
        parts += [
            box((x - 0.01, 0.29, -0.33), (x + 0.01, 0.31, 0.23), _METAL),
            box((x - 0.01, 0.02, -0.06), (x + 0.01, 0.58, -0.04), _METAL),
            box((s * 0.22 - 0.02, 0.66, -0.22), (s * 0.22 + 0.02, 0.69, 0.18), _BLACK),
            box((s * 0.20 - 0.012, 0.10, 0.20), (s * 0.20 + 0.012, 0.48, 0.225), _METAL),
            box((s * 0.11 - 0.08, 0.09, 0.22), (s * 0.11 + 0.08, 0.11, 0.38), _BLACK),
            cylinder((s * 0.20, 0.016, 0.14), 0.14, 0.05, _BLACK),
        ]
    return parts


def _tripod(d: PieceDraw) -> list[Part]:
    parts = [cylinder((0.0, 0.04, 0.0), 1.20 * d.size, 0.022, _BLACK)]
    for k in range(3):
        c, s = np.cos(2 * np.pi * k / 3 + 0.5), np.sin(2 * np.pi * k / 3 + 0.5)
        foot, top = np.array([0.36 * c, 0.0, 0.36 * s]), np.array([0.0, 0.62, 0.0])
        leg = cylinder((0.0, 0.0, 0.0), 1.0, 0.014, _METAL)
        vertices = leg.vertices.copy()
        vertices[:, [0, 2]] += foot[[0, 2]] * (1.0 - leg.vertices[:, 1:2])
        vertices[:, 1] = leg.vertices[:, 1] * top[1]
        parts.append(Part(vertices, leg.normals, leg.faces, _METAL))
    y = 0.04 + 1.20 * d.size
    return [
        *parts,
        box((-0.06, y, -0.07), (0.06, y + 0.11, 0.09), _BLACK),
        cylinder((0.0, y + 0.11, 0.0), 0.03, 0.03, (0.75, 0.1, 0.1)),
    ]


def _sofa(d: PieceDraw) -> list[Part]:
    w = 0.95 * d.size
    dark = (d.colour[0] * 0.85, d.colour[1] * 0.85, d.colour[2] * 0.85)
    return [
        box((-w, 0.05, -0.42), (w, 0.30, 0.42), dark),
        box((-w, 0.30, -0.42), (w, 0.82, -0.20), d.colour),
        *[box((s * w - 0.10, 0.05, -0.40), (s * w + 0.10, 0.58, 0.44), d.colour) for s in (-1, 1)],
        *[
            box(
                (s * w / 2 - w / 2 + 0.11, 0.30, -0.20),
                (s * w / 2 + w / 2 - 0.01 * (s + 1) - 0.11 * (s > 0), 0.45, 0.44),
                d.colour,
            )
            for s in (-1, 1)
        ],
        ball((-w + 0.32, 0.60, -0.12), (0.20, 0.17, 0.08), d.accent),
    ]


def _lamp(d: PieceDraw) -> list[Part]:
    return [
        cylinder((0.0, 0.0, 0.0), 0.03, 0.16, _BLACK),
        cylinder((0.0, 0.03, 0.0), 1.35, 0.014, d.accent),
        cylinder((0.0, 1.38, 0.0), 0.28, 0.20, (1.15, 1.08, 0.90), 0.65),
    ]


def _mats(d: PieceDraw) -> list[Part]:
    w = 0.85 * d.size
    tones = (d.colour, d.accent, d.colour)
    return [box((-w, 0.13 * k, -0.5), (w, 0.13 * k + 0.125, 0.5), tone) for k, tone in enumerate(tones)]


def _ball(d: PieceDraw) -> list[Part]:
    r = 0.30 * d.size
    return [ball((0.0, r, 0.0), (r, r, r), d.accent)]


def _wall_bars(d: PieceDraw) -> list[Part]:
    wood: Rgb = (0.72 * d.size, 0.55 * d.size, 0.34 * d.size)
    posts = [box((x - 0.03, 0.0, -0.06), (x + 0.03, 2.4, 0.06), wood) for x in (-0.9, 0.0, 0.9)]
    return posts + [box((-0.87, 0.16 + 0.15 * k, 0.0), (0.87, 0.195 + 0.15 * k, 0.035), wood) for k in range(15)]


def _tree(d: PieceDraw) -> list[Part]:
    parts = [cylinder((0.0, 0.0, 0.0), 2.2, 0.11, (0.33, 0.26, 0.20), 0.7)]
    for k in range(8):
        turn, r = 2.4 * k + 6.0 * d.along, 0.20 + 0.10 * (k % 4)
        tint = (_LEAF[0] + 0.03 * (k % 3), _LEAF[1] + 0.04 * (k % 2), _LEAF[2])
        parts.append(ball((r * np.cos(turn), 2.3 + 0.14 * k, r * np.sin(turn)), (0.55, 0.42, 0.55), tint))
    return parts


def _lamp_post(d: PieceDraw) -> list[Part]:
    iron: Rgb = (0.23 * d.size, 0.25 * d.size, 0.24 * d.size)
    return [
        cylinder((0.0, 0.0, 0.0), 0.5, 0.10, iron),
        cylinder((0.0, 0.5, 0.0), 2.9, 0.05, iron),
        cylinder((0.0, 3.4, 0.0), 0.35, 0.12, (1.1, 1.1, 1.0), 1.5),
        cylinder((0.0, 3.75, 0.0), 0.10, 0.20, iron, 0.3),
    ]


def _car(d: PieceDraw) -> list[Part]:
    w, glass = 1.95, (0.22, 0.27, 0.31)
    parts = [
        box((-w, 0.28, -0.80), (w, 0.78, 0.80), d.colour),
        box((-0.48 * w, 0.78, -0.70), (0.62 * w, 1.36, 0.70), d.colour),
    ]
    parts += [box((-0.44 * w + 1.0 * k, 0.84, 0.70), (-0.44 * w + 0.93 + 1.0 * k, 1.28, 0.71), glass) for k in (0, 1)]
    parts += [
        box((-w - 0.03, 0.30, -0.78), (-w, 0.46, 0.78), _BLACK),
        box((w, 0.30, -0.78), (w + 0.03, 0.46, 0.78), _BLACK),
    ]
    for x in (-1.2, 1.2):
        for z in (-0.72, 0.66):
            wheel = cylinder((0.0, 0.0, 0.0), 0.2, 0.31, _BLACK)
            turned = wheel.vertices[:, [0, 2, 1]] * np.array([1.0, -1.0, 1.0]) + np.array([x, 0.31, z])
            parts.append(Part(turned, wheel.normals[:, [0, 2, 1]] * np.array([1.0, -1.0, 1.0]), wheel.faces, _BLACK))
    return parts


PIECES: Mapping[str, Callable[[PieceDraw], list[Part]]] = MappingProxyType(
    {
        "chairs": _chairs,
        "bench": _bench,
        "table": _table,
        "cupboard": _cupboard,
        "shelf": _shelf,
        "plant": _plant,
        "bin": _bin,
        "wheelchair": _wheelchair,
        "tripod": _tripod,
        "sofa": _sofa,
        "lamp": _lamp,
        "mats": _mats,
        "ball": _ball,
        "wall_bars": _wall_bars,
        "tree": _tree,
        "lamp_post": _lamp_post,
        "car": _car,
    }
)

BELONGS: Mapping[PlaceKind, Mapping[str, float]] = MappingProxyType(
    {
        "corridor": {"chairs": 3.0, "bench": 1.5, "plant": 1.0, "bin": 1.0, "wheelchair": 1.5, "cupboard": 0.7},
        "gait_lab": {"tripod": 4.0, "cupboard": 2.0, "table": 1.5, "chairs": 1.0, "bench": 1.0, "wheelchair": 0.7},
        "living_room": {"sofa": 3.0, "shelf": 2.0, "table": 2.0, "lamp": 2.0, "plant": 1.5, "cupboard": 0.7},
        "gym": {"wall_bars": 4.0, "mats": 2.0, "bench": 2.0, "ball": 3.0},
        "street": {"tree": 2.0, "lamp_post": 2.0, "car": 2.0, "bench": 1.5, "bin": 1.0},
    }
)
"""What stands in a place, and how often."""


def parts_of(draw: PieceDraw) -> list[Part]:
    """The parts of one piece, in its own axes."""
    return PIECES[draw.kind](draw)
