"""The setting of one walk: everything around the walker, made from what was drawn for the place.

A setting knows where the walk goes and where the cameras stand, so that nothing
stands in the way of either.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scenes.cameras import Camera
from scenes.foreground import find_foreground
from scenes.panel import Panel, RoomBox, corner_light
from scenes.passer_by import PasserBy, PasserByDraw, Way, passer_by
from scenes.place import Place
from scenes.room import room_box, room_panels
from scenes.settle import Ground, Standing, walkway
from scenes.surface import Array
from scenes.textures import FLOOR_TEXTURE_TILES, WALL_TEXTURE_M, plaster_texture
from scenes.ways import find_way

_LOWEST_LIGHT, _DARK_TO_M = 0.72, 0.6
"""Share of the surrounding light that reaches furniture at the floor, and height from which all does."""

_DARKEST, _DARK_REACH_M, _DARK_CELLS = 0.42, 0.30, 6
_DARK_HEIGHT_M = 0.0006
"""Above the floor, and below a strip laid out on it."""


@dataclass(frozen=True)
class Setting:
    """What is around the walker.

    Attributes:
        box: The walls, which end every view.
        panels: What stands still, to be drawn.
        solids: Convex point sets `[P, 3]` (m, world axes) that may hide the walker: furniture and the like.
        passers_by: Other people, and what else moves.
    """

    box: RoomBox
    panels: tuple[Panel, ...]
    solids: tuple[Array, ...]
    passers_by: tuple[PasserBy, ...]


def make_setting(place: Place, *, outline: Array, cameras: Sequence[Camera], time: Array) -> Setting:
    """Build the place around a walk, find room for other people, and let its furniture settle.

    Args:
        outline: `[F, P, 3]` m, points that bound the walker in every picture.
        time: `[F]` s, the pictures' moments.
    """
    eyes = np.stack([camera.world_from_camera[:, :3, 3] for camera in cameras])
    box = room_box(place, places=np.concatenate([outline.reshape(-1, 3), eyes.reshape(-1, 3)]))
    people: list[tuple[PasserByDraw, Way]] = []
    with Ground(box, outline=outline, eyes=eyes) as ground:
        for draw in place.foreground:
            found = find_foreground(draw, ground, outline=outline, eyes=eyes, time=time)
            if found and found.way and draw.person:
                people.append((draw.person, found.way))
        for person in place.passers_by:
            way = find_way(person, ground, box, walk=walkway(outline), time=time)
            if way:
                people.append((person, way))
        for piece in place.pieces:
            ground.drop(piece)
        standing = ground.settle()
    panels = room_panels(place, box)
    if standing:
        panels = (
            *panels,
            _pieces_panel(standing, place.texture_seed),
            _dark_below(standing, place, box, panels[0].texture),
        )
    solids = tuple(piece.world(part.vertices) for piece in standing for part in piece.parts)
    return Setting(box, panels, solids, tuple(passer_by(person, way, time) for person, way in people))


def _pieces_panel(standing: Sequence[Standing], seed: int) -> Panel:
    """All pieces as one panel; colours darken towards the floor, where less light comes from around."""
    vertices, normals, faces, colours = [], [], [], []
    first = 0
    for piece in standing:
        for part in piece.parts:
            points = piece.world(part.vertices)
            shade = _LOWEST_LIGHT + (1.0 - _LOWEST_LIGHT) * np.clip(points[:, 1] / _DARK_TO_M, 0.0, 1.0)
            vertices.append(points)
            normals.append(part.normals @ piece.world_from_piece[:3, :3].T)
            faces.append(part.faces + first)
            colours.append(np.outer(shade, part.colour))
            first += len(points)
    place = np.concatenate(vertices)
    return Panel(
        name="furniture",
        vertices=place,
        normals=np.concatenate(normals),
        faces=np.concatenate(faces).astype(np.int32),
        colours=np.concatenate(colours),
        uv=np.stack([place[:, 0] + place[:, 2], place[:, 1] + 0.5 * place[:, 2]], axis=1) / WALL_TEXTURE_M,
        gloss=0.12,
        texture=plaster_texture(seed),
    )


def _dark_below(standing: Sequence[Standing], place: Place, box: RoomBox, texture: NDArray[np.uint8]) -> Panel:
    """The floor, of this texture, once more around each piece, darker the nearer: furniture keeps light off it."""
    grid = np.linspace(0.0, 1.0, _DARK_CELLS + 1)
    u, v = np.meshgrid(grid, grid, indexing="ij")
    number = np.arange(u.size).reshape(u.shape)
    quad = np.stack([number[:-1, :-1], number[:-1, 1:], number[1:, 1:], number[1:, :-1]], axis=-1).reshape(-1, 4)
    triangles = np.concatenate([quad[:, [0, 1, 2]], quad[:, [0, 2, 3]]])
    vertices, faces, colours = [], [], []
    for count, piece in enumerate(standing):
        points = np.concatenate([piece.world(part.vertices) for part in piece.parts])
        near = points[points[:, 1] < _DARK_TO_M]
        low, high = near.min(axis=0), near.max(axis=0)
        reach = np.array([[low[0], low[2]], [high[0], high[2]]]) + np.array([[-_DARK_REACH_M], [_DARK_REACH_M]])
        reach = np.clip(reach, [box.x0, box.z0], [box.x1, box.z1])
        x, z = reach[0, 0] + u * (reach[1, 0] - reach[0, 0]), reach[0, 1] + v * (reach[1, 1] - reach[0, 1])
        beside = np.hypot(
            np.maximum(np.maximum(low[0] - x, x - high[0]), 0.0), np.maximum(np.maximum(low[2] - z, z - high[2]), 0.0)
        )
        spot = np.stack([x, np.full_like(x, _DARK_HEIGHT_M + 5e-5 * count), z], axis=-1)
        light = corner_light(spot, np.array([0.0, 1.0, 0.0]), box)
        light *= 1.0 - _DARKEST * np.clip(1.0 - beside / _DARK_REACH_M, 0.0, 1.0) ** 2
        vertices.append(spot.reshape(-1, 3))
        colours.append(np.repeat(light.reshape(-1, 1), 3, axis=1))
        faces.append(triangles + count * u.size)
    spots = np.concatenate(vertices)
    repeat = FLOOR_TEXTURE_TILES[place.floor] * place.tile_m
    return Panel(
        name="dark below",
        vertices=spots,
        normals=np.tile([0.0, 1.0, 0.0], (len(spots), 1)),
        faces=np.concatenate(faces).astype(np.int32),
        colours=np.concatenate(colours),
        uv=np.stack([spots[:, 2] - box.z0, spots[:, 0] - box.x0], axis=1) / repeat,
        gloss=place.floor_gloss,
        texture=texture,
    )
