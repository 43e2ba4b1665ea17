"""What is fixed to the walls of each place: doors, windows, notice boards, pictures."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from farm.scene_config import PlaceKind
from scenes.panel import Quads
from scenes.place import Place
from scenes.surface import Array

_DOOR_M = (0.95, 2.05)
_UP = np.array([0.0, 1.0, 0.0])
_PROUD_M = 0.055
"""How far fixtures stand out from the wall's plane: before a handrail."""


@dataclass(frozen=True)
class Wall:
    """One wall: its foot runs from `corner` for `length` m in direction `along`; `inward` points into the room."""

    corner: Array
    along: Array
    inward: Array
    length: float
    height: float


Fixture = Callable[[Quads, Place, Wall, Array, int], None]
"""Adds one thing whose foot is at a point of the wall; the number tells one from the next."""


def fixtures(quads: Quads, room: Place, wall: Wall) -> None:
    """Put the place's fixtures along a wall, in turns."""
    kinds = FIXTURES[room.kind]
    breadth = _DOOR_M[0]
    at = 0.6 + room.panel_offset_m % max(room.panel_pitch_m - 1.0, 0.5)
    number = 0
    if wall.length < 4.5:  # an end wall: one door in its middle
        at = max(0.3, (wall.length - breadth) / 2)
    while at + breadth + 0.45 < wall.length:
        kinds[number % len(kinds)](quads, room, wall, wall.corner + wall.along * at + wall.inward * _PROUD_M, number)
        at += room.panel_pitch_m
        number += 1


def _door(quads: Quads, room: Place, wall: Wall, foot: Array, number: int) -> None:
    breadth, tall = _DOOR_M
    along, inward = wall.along, wall.inward
    quads.patch(foot - along * 0.07, along * (breadth + 0.14), _UP * (tall + 0.07), (0.86, 0.85, 0.82))
    quads.patch(foot + inward * 0.012, along * breadth, _UP * tall, room.door_rgb)
    if number % 4 == 0:
        quads.patch(foot + inward * 0.016 + along * 0.30 + _UP * 1.25, along * (breadth - 0.60), _UP * 0.55,
                    (0.62, 0.72, 0.76))  # fmt: skip
    quads.patch(foot + inward * 0.03 + along * 0.08 + _UP * 1.02, along * 0.14, _UP * 0.03, (0.75, 0.75, 0.77))


def _board(quads: Quads, room: Place, wall: Wall, foot: Array, number: int) -> None:
    breadth, along, inward = _DOOR_M[0], wall.along, wall.inward
    board = foot + _UP * 1.35
    quads.patch(board - along * 0.02 - _UP * 0.02, along * (breadth + 0.04), _UP * 0.74, (0.35, 0.30, 0.25))
    tone = 0.55 + 0.1 * float(np.sin(room.texture_seed + number))
    quads.patch(board + inward * 0.006, along * breadth, _UP * 0.70, (tone, tone * 0.92, tone * 0.75))
    for k in range(3):
        sheet = board + inward * 0.010 + along * (0.08 + 0.28 * k) + _UP * (0.12 + 0.05 * (k % 2))
        quads.patch(sheet, along * 0.21, _UP * 0.30, (0.95, 0.95, 0.92))


def _daylight(quads: Quads, wall: Wall, foot: Array, breadth: float, low: float, high: float) -> None:
    """A window with a bright sky and something green outside, bars and a sill."""
    along, inward = wall.along, wall.inward
    edge, frame = 0.06, (0.93, 0.93, 0.91)
    tall = high - low
    base = foot + _UP * low
    quads.patch(base - along * edge - _UP * edge, along * (breadth + 2 * edge), _UP * (tall + 2 * edge), frame)
    pane = base + inward * 0.005
    quads.patch(pane + _UP * 0.38 * tall, along * breadth, _UP * 0.62 * tall, (1.12, 1.20, 1.28))
    quads.patch(pane + _UP * 0.18 * tall, along * breadth, _UP * 0.20 * tall, (0.62, 0.76, 0.58))
    quads.patch(pane, along * breadth, _UP * 0.18 * tall, (0.50, 0.62, 0.42))
    for share in np.linspace(0.0, 1.0, max(2, round(breadth / 0.8)) + 1)[1:-1]:
        bar = pane + inward * 0.008 + along * (share * breadth - 0.02)
        quads.patch(bar, along * 0.04, _UP * tall, frame)
    quads.patch(pane + inward * 0.008 + _UP * 0.62 * tall, along * breadth, _UP * 0.04, frame)
    quads.patch(base - along * 0.1 - _UP * edge + inward * 0.10, along * (breadth + 0.2), -inward * 0.10, frame)


def _window(quads: Quads, room: Place, wall: Wall, foot: Array, number: int) -> None:  # noqa: ARG001
    _daylight(quads, wall, foot, 1.25, 0.95, 2.15)


def _tall_window(quads: Quads, room: Place, wall: Wall, foot: Array, number: int) -> None:  # noqa: ARG001
    room_left = wall.length - float((foot - wall.corner) @ wall.along) - 0.3
    _daylight(quads, wall, foot, float(np.clip(room.panel_pitch_m - 0.9, 1.0, room_left)), 2.5, wall.height - 0.5)


def _picture(quads: Quads, room: Place, wall: Wall, foot: Array, number: int) -> None:
    along, inward, base = wall.along, wall.inward, foot + _UP * 1.35
    quads.patch(base, along * 0.9, _UP * 0.65, (0.25, 0.20, 0.16))
    quads.patch(base + inward * 0.005 + along * 0.04 + _UP * 0.04, along * 0.82, _UP * 0.57, (0.93, 0.91, 0.86))
    tones = [0.5 + 0.4 * float(np.sin(room.texture_seed + number + k)) for k in range(3)]
    inner = base + inward * 0.010 + along * 0.12 + _UP * 0.10
    quads.patch(inner, along * 0.66, _UP * 0.20, (tones[0], 0.5, tones[1]))
    quads.patch(inner + _UP * 0.20, along * 0.66, _UP * 0.25, (0.75, tones[2], 0.85))


def _house_window(quads: Quads, room: Place, wall: Wall, foot: Array, number: int) -> None:  # noqa: ARG001
    """Windows above each other in a house front, with a shop's or a flat's at the bottom."""
    along, inward, stone = wall.along, wall.inward, (0.88, 0.86, 0.80)
    for floor, low in enumerate(np.arange(1.0, wall.height - 1.8, 2.9)):
        base = foot + _UP * low
        breadth, tall = 1.15, 1.45
        quads.patch(base - along * 0.09 - _UP * 0.09, along * (breadth + 0.18), _UP * (tall + 0.18), stone)
        quads.patch(base + inward * 0.004, along * breadth, _UP * tall, (0.24, 0.29, 0.34))
        if (number + floor) % 2 == 0:
            quads.patch(base + inward * 0.008, along * 0.22, _UP * tall, (0.80, 0.78, 0.74))
        quads.patch(base + inward * 0.012 + along * (0.5 * breadth - 0.025), along * 0.05, _UP * tall, (0.9, 0.9, 0.88))
        quads.patch(base + inward * 0.012 + _UP * 0.6 * tall, along * breadth, _UP * 0.05, (0.9, 0.9, 0.88))


def _house_door(quads: Quads, room: Place, wall: Wall, foot: Array, number: int) -> None:
    _door(quads, room, wall, foot, number + 1)
    above = Wall(wall.corner, wall.along, wall.inward, wall.length, wall.height - 2.9)
    _house_window(quads, room, above, foot + _UP * 2.9, number + 1)


FIXTURES: Mapping[PlaceKind, tuple[Fixture, ...]] = MappingProxyType(
    {
        "corridor": (_door, _board, _door, _window),
        "gait_lab": (_door, _window, _board, _window),
        "living_room": (_window, _picture, _window, _door, _picture),
        "gym": (_tall_window, _tall_window, _tall_window),
        "street": (_house_window, _house_door, _house_window),
    }
)
