"""Tileable textures of floors and walls, made from noise on a lattice: no picture is loaded."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from scenes.place import FloorKind, Place
from scenes.surface import Array

FLOOR_TEXTURE_SIZE = 512
FLOOR_TEXTURE_TILES: dict[FloorKind, int] = {
    "tiles": 4, "planks": 8, "vinyl": 3, "mat": 2, "carpet": 2, "paving": 4, "asphalt": 3,
}  # fmt: skip
"""How many tiles (planks across, metres) one repeat of the floor's texture holds."""

WALL_TEXTURE_SIZE = 256
WALL_TEXTURE_M = 1.5


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


def plaster_texture(seed: int) -> NDArray[np.uint8]:
    """Hardly visible unevenness."""
    size = WALL_TEXTURE_SIZE
    grain = 0.6 * tile_noise(size, 6, 6, seed) + 0.4 * tile_noise(size, 64, 64, seed + 1)
    return _bytes(np.repeat((0.955 + 0.045 * grain)[..., None], 3, axis=-1))


def wall_texture(room: Place) -> NDArray[np.uint8]:
    """One repeat of the walls' finish, bright where the wall has its colour: `[256, 256, 3]` uint8."""
    size, seed = WALL_TEXTURE_SIZE, room.texture_seed
    if room.wall == "plaster":
        return plaster_texture(seed)
    # the first texture axis runs up the wall, the second along it; panel.uv is (along, up)
    up, along = np.meshgrid(np.arange(size), np.arange(size), indexing="ij")
    fine = tile_noise(size, 64, 64, seed + 2)
    if room.wall == "brick":
        row = up * 20 // size
        shifted = (along + np.where(row % 2 == 0, 0, size // 12)) % size
        brick = shifted * 6 // size
        tone = 0.80 + 0.16 * _hash(row, brick, seed) + 0.05 * fine
        joint = (up * 20 % size < 0.14 * size) | (shifted * 6 % size < 0.05 * size)
        return _bytes(np.where(joint[..., None], np.array([0.93, 0.95, 0.97]), tone[..., None] * np.ones(3)))
    if room.wall == "panels":
        edge = (along * 2 % size < 0.016 * size) | (up < 2)
        tone = np.where(edge, 0.70, 0.95 + 0.02 * _hash(along * 2 // size, seed) + 0.02 * fine)
        return _bytes(np.repeat(tone[..., None], 3, axis=-1))
    turn = 2 * np.pi / size
    stripe = 0.5 + 0.5 * np.sin(8 * turn * along)
    motif = np.maximum(0.0, np.cos(8 * turn * along) * np.cos(6 * turn * up)) ** 3
    tint = 0.90 + 0.05 * stripe + 0.03 * fine
    lack = np.array([0.16, 0.24, 0.20]) * (0.5 + _hash(np.arange(3), seed))
    return _bytes(tint[..., None] - motif[..., None] * lack)


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
    elif room.floor == "carpet":
        ring = np.cos(row * 2 * np.pi * 4 / size) * np.cos(column * 2 * np.pi * 4 / size)
        pile = tile_noise(size, 170, 170, seed + 14)
        tone = 1.0 + contrast * (0.20 * (pile - 0.5) + 0.10 * np.sign(ring) + 0.06 * (cloud - 0.5))
    elif room.floor == "paving":
        i = row * count // size
        shifted = (column + np.where(i % 2 == 0, 0, size // (2 * count))) % size
        j = shifted * count // size
        tone = 1.0 + contrast * (0.16 * (_hash(i, j, seed) - 0.5) + 0.16 * (fine - 0.5) + 0.08 * (cloud - 0.5))
        edge = np.minimum(row * count % size, shifted * count % size)
        tone = np.where(edge < 0.035 * size, 0.62, tone)
    elif room.floor == "asphalt":
        stone = _hash(row // 3, column // 3, seed + 5)
        tone = 1.0 + contrast * (0.45 * (stone - 0.5) + 0.25 * (fine - 0.5) + 0.25 * (cloud - 0.5))
    else:
        weave = np.sin(row * 2 * np.pi * 64 / size) * np.sin(column * 2 * np.pi * 64 / size)
        tone = 1.0 + contrast * (0.12 * weave + 0.18 * (fine - 0.5) + 0.08 * (cloud - 0.5))
    return _bytes(base * tone[..., None])


def _bytes(colour: Array) -> NDArray[np.uint8]:
    return (np.clip(colour, 0.0, 1.0) * 255.0 + 0.5).astype(np.uint8)
