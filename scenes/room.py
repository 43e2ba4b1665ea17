"""The room: a floor with a pattern, walls with what is on them, a ceiling with lamps or the sky.

Everything is made here from the drawn parameters: quads with colours, and
tileable textures. Colours of walls and ceiling carry the soft darkening towards
corners that light from everywhere leaves there.
"""

from __future__ import annotations

import numpy as np

from scenes.fixtures import Wall, fixtures
from scenes.panel import Panel, Quads, RoomBox
from scenes.place import Place
from scenes.surface import Array
from scenes.textures import FLOOR_TEXTURE_TILES, WALL_TEXTURE_M, floor_texture, plaster_texture, wall_texture

_SKIRTING_M = (0.10, 0.014)


def room_box(room: Place, *, places: Array) -> RoomBox:
    """A room that holds all `places` `[N, 3]` (walkers and cameras, m) with the drawn margin."""
    low, high = places.min(axis=0) - room.margin_m, places.max(axis=0) + room.margin_m
    height = max(room.height_m, float(high[1] - room.margin_m) + 0.4)
    beyond = 5.0 if room.kind == "street" else 0.0  # a street goes on behind the cameras
    return RoomBox(float(low[0]) - 1.0 - beyond, float(high[0]) + beyond, float(low[2]) - 0.4, float(high[2]), height)


def room_panels(room: Place, box: RoomBox) -> tuple[Panel, ...]:
    """Floor first, then walls, doors, skirting and ceiling."""
    return (_floor(room, box), *_walls(room, box))


def _floor(room: Place, box: RoomBox) -> Panel:
    quads = Quads()
    x, z = np.array([1.0, 0.0, 0.0]), np.array([0.0, 0.0, 1.0])
    deep, wide = box.z1 - box.z0, box.x1 - box.x0
    quads.patch(np.array([box.x0, 0.0, box.z0]), z * deep, x * wide, (1.0, 1.0, 1.0), box)
    texture = floor_texture(room)
    repeat = FLOOR_TEXTURE_TILES[room.floor] * room.tile_m
    panel = quads.panel("floor", texture, repeat, room.floor_gloss)
    if room.walkway_width_m <= 0:
        return panel
    strip = Quads()
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


def _walls(room: Place, box: RoomBox) -> tuple[Panel, Panel]:
    """Walls with their finish; and what is on them and above: skirting, rail, doors, windows, ceiling."""
    surface, fixed = Quads(), Quads()
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
        surface.patch(corner, along * length, y * room.dado_height_m, room.dado_rgb, box)
        surface.patch(corner + y * room.dado_height_m, along * length, y * (box.height - room.dado_height_m),
                      room.wall_rgb, box)  # fmt: skip
        tall, thick = _SKIRTING_M
        fixed.patch(corner + inward * thick, along * length, y * tall, room.skirting_rgb)
        fixed.patch(corner + inward * thick + y * tall, along * length, -inward * thick, room.skirting_rgb)
        if room.kind == "corridor":
            _rail(fixed, room, corner, along, inward, length)
        fixtures(fixed, room, Wall(corner, along, inward, length, box.height))
    ceiling = (1.10, 1.32, 1.60) if room.kind == "street" else (1.10, 1.10, 1.08)
    fixed.patch(np.array([box.x0, box.height, box.z0]), x * wide, z * deep, ceiling,
                None if room.kind == "street" else box)  # fmt: skip
    if room.kind in ("corridor", "gait_lab", "gym"):
        for at in np.arange(box.x0 + 1.2, box.x1 - 1.0, 2.4):
            for side in (0.3, 0.7):
                corner = np.array([at, box.height - 0.01, box.z0 + side * deep - 0.3])
                fixed.patch(corner, x * 1.2, z * 0.6, (1.25, 1.25, 1.22))
    return (
        surface.panel("walls", wall_texture(room), WALL_TEXTURE_M, 0.05),
        fixed.panel("fixtures", plaster_texture(room.texture_seed), WALL_TEXTURE_M, 0.05),
    )


def _rail(quads: Quads, room: Place, corner: Array, along: Array, inward: Array, length: float) -> None:
    """The hand rail that a clinic's corridor has, at the dado's upper edge."""
    y = np.array([0.0, 1.0, 0.0])
    colour = (room.door_rgb[0] * 0.8, room.door_rgb[1] * 0.8, room.door_rgb[2] * 0.8)
    base = corner + y * (room.dado_height_m - 0.09) + inward * 0.05
    quads.patch(base, along * length, y * 0.11, colour)
    quads.patch(base + y * 0.11, along * length, -inward * 0.05, colour)
