"""The room: a floor with a pattern, walls with dado, skirting and doors, a ceiling with lamps.

Everything is made here from the drawn parameters: quads with colours, and two
tileable textures. Colours of walls and ceiling carry the soft darkening towards
corners that light from everywhere leaves there.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scenes.colours import Rgb
from scenes.panel import Panel
from scenes.place import FloorKind, Place
from scenes.surface import Array

FLOOR_TEXTURE_SIZE = 512
FLOOR_TEXTURE_TILES: dict[FloorKind, int] = {"tiles": 4, "planks": 8, "vinyl": 3, "mat": 2}
"""How many tiles (planks across, metres) one repeat of the floor's texture holds."""

WALL_TEXTURE_SIZE = 128
WALL_TEXTURE_M = 1.5
_CELL_M = 0.7
_CORNER_SHADE, _CORNER_REACH_M = 0.30, 0.55
_DOOR_M = (0.95, 2.05)
_SKIRTING_M = (0.10, 0.014)


@dataclass(frozen=True)
class RoomBox:
    """The room's inner faces, world axes (m): x0..x1 along the walk, z0..z1 across, floor at 0."""

    x0: float
    x1: float
    z0: float
    z1: float
    height: float


def room_box(room: Place, *, places: Array) -> RoomBox:
    """A room that holds all `places` `[N, 3]` (walkers and cameras, m) with the drawn margin."""
    low, high = places.min(axis=0) - room.margin_m, places.max(axis=0) + room.margin_m
    height = max(room.height_m, float(high[1] - room.margin_m) + 0.4)
    return RoomBox(float(low[0]) - 1.0, float(high[0]), float(low[2]) - 0.4, float(high[2]), height)


def room_panels(room: Place, box: RoomBox) -> tuple[Panel, ...]:
    """Floor first, then walls, doors, skirting and ceiling."""
    return _floor(room, box), _walls(room, box)


class _Quads:
    """Collects quads: corner, two edges (normal = first x second), colour."""

    def __init__(self) -> None:
        self.vertices: list[Array] = []
        self.normals: list[Array] = []
        self.colours: list[Array] = []
        self.uv: list[Array] = []
        self.faces: list[NDArray[np.int32]] = []
        self._count = 0

    def patch(self, corner: Array, a: Array, b: Array, colour: Rgb, shade: RoomBox | None = None) -> None:
        """A rectangle, cut into cells where `shade` asks for darkening towards the room's corners."""
        na = max(1, int(np.ceil(np.linalg.norm(a) / _CELL_M))) if shade else 1
        nb = max(1, int(np.ceil(np.linalg.norm(b) / _CELL_M))) if shade else 1
        u, v = np.meshgrid(_edges(na), _edges(nb), indexing="ij")
        points = corner + u[..., None] * a + v[..., None] * b
        normal = np.cross(a, b)
        normal = normal / np.linalg.norm(normal)
        tint = np.broadcast_to(np.array(colour), points.shape).copy()
        if shade is not None:
            tint *= _corner_light(points, normal, shade)[..., None]
        rows, columns = u.shape
        number = np.arange(rows * columns).reshape(rows, columns) + self._count
        quad = np.stack([number[:-1, :-1], number[1:, :-1], number[1:, 1:], number[:-1, 1:]], axis=-1).reshape(-1, 4)
        self.faces += [quad[:, [0, 1, 2]].astype(np.int32), quad[:, [0, 2, 3]].astype(np.int32)]
        self.vertices.append(points.reshape(-1, 3))
        self.normals.append(np.broadcast_to(normal, points.shape).reshape(-1, 3))
        self.colours.append(tint.reshape(-1, 3))
        size = np.array([np.linalg.norm(a), np.linalg.norm(b)])
        self.uv.append(np.stack([u * size[0], v * size[1]], axis=-1).reshape(-1, 2))
        self._count += rows * columns

    def panel(self, name: str, texture: NDArray[np.uint8], repeat_m: float, gloss: float) -> Panel:
        return Panel(
            name=name,
            vertices=np.concatenate(self.vertices),
            normals=np.concatenate(self.normals),
            faces=np.concatenate(self.faces).astype(np.int32),
            colours=np.concatenate(self.colours),
            uv=np.concatenate(self.uv) / repeat_m,
            gloss=gloss,
            texture=texture,
        )


def _edges(n: int) -> Array:
    """0 to 1 in n steps, with finer first and last ones, so that corners shade smoothly."""
    if n < 2:
        return np.array([0.0, 1.0])
    steps = np.linspace(0.0, 1.0, n + 1)
    return np.unique(np.concatenate([steps, [0.25 / n, 0.5 / n, 1 - 0.5 / n, 1 - 0.25 / n]]))


def _corner_light(points: Array, normal: Array, box: RoomBox) -> Array:
    """Share of the surrounding light that reaches points on a face of the room."""
    gaps = np.stack(
        [
            points[..., 0] - box.x0, box.x1 - points[..., 0], points[..., 1], box.height - points[..., 1],
            points[..., 2] - box.z0, box.z1 - points[..., 2],
        ],
        axis=-1,
    )  # fmt: skip
    own = np.repeat(np.abs(normal) > 0.5, 2)
    gaps = np.where(own, 10.0, gaps)
    return np.asarray(np.prod(1.0 - _CORNER_SHADE * np.exp(-np.maximum(gaps, 0.0) / _CORNER_REACH_M), axis=-1))


def _floor(room: Place, box: RoomBox) -> Panel:
    quads = _Quads()
    x, z = np.array([1.0, 0.0, 0.0]), np.array([0.0, 0.0, 1.0])
    deep, wide = box.z1 - box.z0, box.x1 - box.x0
    quads.patch(np.array([box.x0, 0.0, box.z0]), z * deep, x * wide, (1.0, 1.0, 1.0), box)
    texture = floor_texture(room)
    repeat = FLOOR_TEXTURE_TILES[room.floor] * room.tile_m
    panel = quads.panel("floor", texture, repeat, room.floor_gloss)
    if room.walkway_width_m <= 0:
        return panel
    strip = _Quads()
    tint = np.array(room.walkway_rgb) / np.maximum(texture.reshape(-1, 3).mean(axis=0) / 255.0, 0.15)
    corner = np.array([box.x0, 0.002, -room.walkway_width_m / 2])
    colour = (float(tint[0]), float(tint[1]), float(tint[2]))
    strip.patch(corner, z * room.walkway_width_m, x * wide, colour)
    top = strip.panel("walkway", texture, repeat, room.floor_gloss)
    return Panel(
        name="floor",
        vertices=np.concatenate([panel.vertices, top.vertices]),
        normals=np.concatenate([panel.normals, top.normals]),
        faces=np.concatenate([panel.faces, top.faces + len(panel.vertices)]).astype(np.int32),
        colours=np.concatenate([panel.colours, top.colours]),
        uv=np.concatenate([panel.uv, top.uv]),
        gloss=panel.gloss,
        texture=texture,
    )


def _walls(room: Place, box: RoomBox) -> Panel:
    quads = _Quads()
    x, y, z = np.eye(3)
    wide, deep = box.x1 - box.x0, box.z1 - box.z0
    # each wall: corner on the floor, direction along it, length; along x up points into the room
    walls = [
        (np.array([box.x1, 0.0, box.z0]), -x, wide),
        (np.array([box.x0, 0.0, box.z1]), x, wide),
        (np.array([box.x0, 0.0, box.z0]), z, deep),
        (np.array([box.x1, 0.0, box.z1]), -z, deep),
    ]
    for corner, along, length in walls:
        inward = np.cross(along, y)
        if inward @ (np.array([(box.x0 + box.x1) / 2, 0.0, (box.z0 + box.z1) / 2]) - corner) < 0:
            corner, along, inward = corner + along * length, -along, -inward
        quads.patch(corner, along * length, y * room.dado_height_m, room.dado_rgb, box)
        quads.patch(corner + y * room.dado_height_m, along * length, y * (box.height - room.dado_height_m),
                    room.wall_rgb, box)  # fmt: skip
        tall, thick = _SKIRTING_M
        quads.patch(corner + inward * thick, along * length, y * tall, room.skirting_rgb)
        quads.patch(corner + inward * thick + y * tall, along * length, -inward * thick, room.skirting_rgb)
        _rail(quads, room, corner, along, inward, length)
        _doors(quads, room, corner, along, inward, length)
    quads.patch(np.array([box.x0, box.height, box.z0]), x * wide, z * deep, (0.93, 0.93, 0.92), box)
    lamp_x = np.arange(box.x0 + 1.2, box.x1 - 1.0, 2.4)
    for at in lamp_x:
        for side in (0.3, 0.7):
            corner = np.array([at, box.height - 0.01, box.z0 + side * deep - 0.3])
            quads.patch(corner, x * 1.2, z * 0.6, (1.25, 1.25, 1.22))
    return quads.panel("walls", wall_texture(room), WALL_TEXTURE_M, 0.05)


def _rail(quads: _Quads, room: Place, corner: Array, along: Array, inward: Array, length: float) -> None:
    """The hand rail that a clinic's corridor has, at the dado's upper edge."""
    y = np.array([0.0, 1.0, 0.0])
    colour = (room.door_rgb[0] * 0.8, room.door_rgb[1] * 0.8, room.door_rgb[2] * 0.8)
    base = corner + y * (room.dado_height_m - 0.09) + inward * 0.05
    quads.patch(base, along * length, y * 0.11, colour)
    quads.patch(base + y * 0.11, along * length, -inward * 0.05, colour)


def _doors(quads: _Quads, room: Place, corner: Array, along: Array, inward: Array, length: float) -> None:
    """Doors with frames and handles, and notice boards between them."""
    y = np.array([0.0, 1.0, 0.0])
    breadth, tall = _DOOR_M
    at = 0.6 + room.panel_offset_m % max(room.panel_pitch_m - 1.0, 0.5)
    number = 0
    if length < 4.5:  # an end wall: one door in its middle
        at = max(0.3, (length - breadth) / 2)
    while at + breadth + 0.3 < length:
        foot = corner + along * at + inward * 0.055
        if number % 2 == 0:
            frame = (0.86, 0.85, 0.82)
            quads.patch(foot - along * 0.07, along * (breadth + 0.14), y * (tall + 0.07), frame)
            quads.patch(foot + inward * 0.012, along * breadth, y * tall, room.door_rgb)
            window = foot + inward * 0.016 + along * 0.30 + y * 1.25
            quads.patch(window, along * (breadth - 0.60), y * 0.55, (0.62, 0.72, 0.76))
            quads.patch(foot + inward * 0.03 + along * 0.08 + y * 1.02, along * 0.14, y * 0.03, (0.75, 0.75, 0.77))
        else:
            board = foot + y * 1.35
            quads.patch(board - along * 0.02 - y * 0.02, along * (breadth + 0.04), y * 0.74, (0.35, 0.30, 0.25))
            tone = 0.55 + 0.1 * np.sin(room.texture_seed + number)
            quads.patch(board + inward * 0.006, along * breadth, y * 0.70, (tone, tone * 0.92, tone * 0.75))
            for k in range(3):
                sheet = board + inward * 0.010 + along * (0.08 + 0.28 * k) + y * (0.12 + 0.05 * (k % 2))
                quads.patch(sheet, along * 0.21, y * 0.30, (0.95, 0.95, 0.92))
        at += room.panel_pitch_m
        number += 1


def _hash(*numbers: NDArray[np.int64] | int) -> Array:
    """A fixed pseudo-random number in [0, 1) for each tuple of integers (a lattice for procedural noise)."""
    state = np.zeros(np.broadcast_shapes(*(np.shape(n) for n in numbers)), np.uint64)
    for number in numbers:
        state = state ^ (np.asarray(number).astype(np.uint64) + np.uint64(0x9E3779B97F4A7C15) + (state << np.uint64(6)))
        state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        state = state ^ (state >> np.uint64(31))
    return np.asarray((state >> np.uint64(11)).astype(np.float64) / 2.0**53)


def tile_noise(size: int, cells_x: int, cells_y: int, seed: int) -> Array:
    """Smooth noise `[size, size]` in 0 to 1 that repeats at the edges: values at lattice points, blended."""
    y, x = np.meshgrid(np.arange(size) / size * cells_y, np.arange(size) / size * cells_x, indexing="ij")
    x0, y0 = x.astype(np.int64), y.astype(np.int64)
    fx, fy = x - x0, y - y0
    fx, fy = fx * fx * (3 - 2 * fx), fy * fy * (3 - 2 * fy)
    corner = [[_hash((y0 + j) % cells_y, (x0 + i) % cells_x, seed) for i in (0, 1)] for j in (0, 1)]
    near = corner[0][0] * (1 - fx) + corner[0][1] * fx
    far = corner[1][0] * (1 - fx) + corner[1][1] * fx
    return np.asarray(near * (1 - fy) + far * fy)


def wall_texture(room: Place) -> NDArray[np.uint8]:
    """Plaster: hardly visible unevenness."""
    size = WALL_TEXTURE_SIZE
    grain = 0.6 * tile_noise(size, 6, 6, room.texture_seed) + 0.4 * tile_noise(size, 40, 40, room.texture_seed + 1)
    return _bytes(np.repeat((0.955 + 0.045 * grain)[..., None], 3, axis=-1))


def floor_texture(room: Place) -> NDArray[np.uint8]:
    """One repeat of the floor's pattern: `[512, 512, 3]` uint8."""
    size, seed, contrast = FLOOR_TEXTURE_SIZE, room.texture_seed, room.floor_contrast
    base = np.array(room.floor_rgb)
    fine = tile_noise(size, 128, 128, seed + 11)
    cloud = tile_noise(size, 9, 9, seed + 12)
    count = FLOOR_TEXTURE_TILES[room.floor]
    row, column = np.meshgrid(np.arange(size), np.arange(size), indexing="ij")
    if room.floor == "tiles":
        i, j = row * count // size, column * count // size
        tone = 1.0 + contrast * (0.10 * (_hash(i, j, seed) - 0.5) + 0.06 * (cloud - 0.5) + 0.05 * (fine - 0.5))
        edge = np.minimum(row * count % size, column * count % size)
        tone = np.where(edge < 0.022 * size, 0.72, tone)
    elif room.floor == "planks":
        plank = column * count // size
        shift = (_hash(plank, seed) * size).astype(np.int64)
        along = (row + shift) % size
        board = along * 2 // size
        grain = tile_noise(size, 96, 6, seed + 13)
        tone = 1.0 + contrast * (0.26 * (_hash(plank, board, seed + 1) - 0.5) + 0.16 * (grain - 0.5))
        joint = (column * count % size < 0.05 * size) | (along * 2 % size < 0.008 * size)
        tone = np.where(joint, 0.66, tone)
    elif room.floor == "vinyl":
        speck = (_hash(row // 2, column // 2, seed + 3) > 0.93).astype(float)
        tone = 1.0 + contrast * (0.10 * (cloud - 0.5) + 0.04 * (fine - 0.5)) - 0.10 * contrast * speck
        tone = np.where(column < 2, 0.85, tone)
    else:
        weave = np.sin(row * 2 * np.pi * 64 / size) * np.sin(column * 2 * np.pi * 64 / size)
        tone = 1.0 + contrast * (0.12 * weave + 0.18 * (fine - 0.5) + 0.08 * (cloud - 0.5))
    return _bytes(base * tone[..., None])


def _bytes(colour: Array) -> NDArray[np.uint8]:
    return (np.clip(colour, 0.0, 1.0) * 255.0 + 0.5).astype(np.uint8)
