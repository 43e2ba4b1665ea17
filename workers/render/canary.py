"""Whether pictures are drawn here as they were elsewhere, or before Mesa or the driver changed.

A few small pictures of made-up shapes go through every pass of the raster: skinning,
shadows, textures, gloss, smoothed edges, masks, depth, someone in front. Their hashes, by
renderer, are kept beside this file. The shapes are no scene's, and no more than sums,
quotients and roots: other clothes or rooms do not change them, nor does another
library of mathematics. A change of the shaders does; `tools/canary.py` then notes them anew.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import trimesh
from numpy.typing import NDArray

from scenes.body import BONES, PARTS, BodyMesh
from scenes.light import Light
from scenes.panel import Panel, Quads
from scenes.patterns import PATTERNS
from scenes.surface import Array
from workers.render.context import gl_context
from workers.render.raster import Pictures, Raster

NOTES = Path(__file__).with_name("canary.json")
"""Renderer -> kind of picture -> hash."""

IMAGE_SIZE = (96, 64)
FOCAL_PX = 80.0
HASH_DIGITS = 16

LIGHT = Light(
    direction=(2 / 7, -6 / 7, 3 / 7), key=0.5, ambient=0.5, warmth=0.25, lamp_breadth_deg=4.0,
    fill_direction=(-2 / 3, -1 / 3, 2 / 3), fill=0.25, exposure_ev=0.0, white_balance_k=6500.0,
)  # fmt: skip

Hashes = Mapping[str, str]


@dataclass(frozen=True)
class Song:
    """What the canary says.

    Attributes:
        renderer: What draws here.
        hashes: Of what it drew.
        verdict: "as noted"; "alike", if this renderer is not noted, but draws as one that is; "new", if it draws as
            none that is noted; "changed", if it no longer draws as it was noted to.
        like: The renderer that it draws like.
        differing: Kinds of picture that are not as noted.
    """

    renderer: str
    hashes: Hashes
    verdict: Literal["as noted", "alike", "new", "changed"]
    like: str | None = None
    differing: tuple[str, ...] = ()


def listen(notes: Mapping[str, Hashes] | None = None) -> Song:
    """Draw the canary's pictures here and compare them with what is noted.

    Args:
        notes: Hashes by renderer; None for those that are shipped.

    Raises:
        MissingDependencyError: There is no EGL or no driver.
    """
    return judged(gl_context().name, hashes_of(draw()), noted() if notes is None else notes)


def judged(renderer: str, hashes: Hashes, notes: Mapping[str, Hashes]) -> Song:
    """What hashes say beside what is noted."""
    mine = notes.get(renderer)
    if mine is not None:
        differing = tuple(kind for kind in hashes if mine.get(kind) != hashes[kind])
        return Song(
            renderer, hashes, "changed" if differing else "as noted", None if differing else renderer, differing
        )
    like = next((name for name, theirs in notes.items() if theirs == hashes), None)
    return Song(renderer, hashes, "new" if like is None else "alike", like)


def noted() -> dict[str, dict[str, str]]:
    """The shipped hashes, by renderer."""
    notes: dict[str, dict[str, str]] = json.loads(NOTES.read_text("utf-8"))
    return notes


def hashes_of(pictures: Pictures) -> dict[str, str]:
    """A hash for each kind of picture."""
    kinds = {"colours": pictures.rgb, "masks": pictures.mask, "distances": pictures.depth_m}
    return {
        kind: hashlib.sha256(np.ascontiguousarray(pixels).tobytes()).hexdigest()[:HASH_DIGITS]
        for kind, pixels in kinds.items()
        if pixels is not None
    }


def draw() -> Pictures:
    """The canary's pictures: two moments from two sides."""
    sides = np.stack([_looking(-1.0), _looking(1.0)])
    figure = _figure()
    with Raster(_room(), [figure], LIGHT, image_size=IMAGE_SIZE, views=2, passers_by=[figure]) as raster:
        return raster.draw(
            np.stack([_bones(0.0, 0.0, 0.0), _bones(0.6, 0.3, 0.0)]),
            np.zeros((2, 2), dtype=np.int64),
            np.stack([sides, sides]),
            np.tile([[FOCAL_PX, 0.0, 47.5], [0.0, FOCAL_PX, 31.5], [0.0, 0.0, 1.0]], (2, 1, 1)),
            passers_by=[np.stack([_bones(0.6, 0.9, 0.5), _bones(0.0, 0.7, 0.5)])],
            depth=True,
        )


def _figure() -> BodyMesh:
    """An egg that bends in its middle, striped and chequered, glossy above, with feet below."""
    ball = trimesh.creation.icosphere(subdivisions=4, radius=1.0)
    points, faces = np.asarray(ball.vertices), np.asarray(ball.faces, dtype=np.int32)
    half = np.array([0.25, 0.9, 0.2])
    normals = points / half
    normals /= np.sqrt((normals**2).sum(axis=1, keepdims=True))
    weights = np.zeros((len(points), len(BONES)))
    upper = np.clip(0.5 + 2.0 * points[:, 1], 0.0, 1.0)
    feet = {
        "calcn_r": (points[:, 1] < -0.7) & (points[:, 2] > 0),
        "calcn_l": (points[:, 1] < -0.7) & (points[:, 2] <= 0),
    }
    weights[:, BONES.index("torso")], weights[:, BONES.index("pelvis")] = upper, 1.0 - upper
    for name, foot in feet.items():
        weights[foot] = np.eye(len(BONES))[BONES.index(name)]
    stripe = np.floor(8.0 * points[:, 1]) % 2.0
    return BodyMesh(
        vertices=points * half + [0.0, 0.95, 0.0],
        normals=normals,
        faces=faces,
        cloth=np.stack(
            [4.0 * points[:, 0], 4.0 * points[:, 1], np.full(len(points), PATTERNS.index("checks"))], axis=1
        ),
        accents=np.tile([0.75, 0.75, 0.25], (len(points), 1)),
        colours=np.stack([0.25 + 0.5 * stripe, np.full(len(points), 0.5), 0.75 - 0.5 * stripe], axis=1),
        part=np.where(upper > 0.5, PARTS.index("torso"), PARTS.index("pelvis")).astype(np.uint8),
        gloss=upper,
        weights=weights,
        node=np.full(len(points), -1),
        bind=np.tile(np.eye(4), (len(BONES), 1, 1)),
        shoe=points[:, 1] < -0.75,
    )


def _bones(sine: float, x_m: float, z_m: float) -> Array:
    """`[J, 4, 4]` of the figure at a place on the floor, its upper half turned about z by an angle of this sine."""
    bones = np.tile(np.eye(4), (len(BONES), 1, 1))
    cosine = np.sqrt(1.0 - sine * sine)
    middle = np.array([0.0, 0.95, 0.0])
    turn = np.array([[cosine, -sine, 0.0], [sine, cosine, 0.0], [0.0, 0.0, 1.0]])
    bones[BONES.index("torso"), :3, :3] = turn
    bones[BONES.index("torso"), :3, 3] = middle - turn @ middle
    bones[:, :3, 3] += [x_m, 0.0, z_m]
    return bones


def _room() -> list[Panel]:
    """A floor and a wall, with a grain that repeats."""
    rows, columns = np.mgrid[0:64, 0:64]
    grain = 192 + ((rows * 7 + columns * 13) % 64)
    texture: NDArray[np.uint8] = np.stack([grain, 255 - (grain - 192), grain], axis=-1).astype(np.uint8)
    floor, wall = Quads(), Quads()
    floor.patch(np.array([-4.0, 0.0, -3.0]), np.array([0.0, 0.0, 6.0]), np.array([8.0, 0.0, 0.0]), (0.8, 0.7, 0.6))
    wall.patch(np.array([-4.0, 0.0, -1.5]), np.array([8.0, 0.0, 0.0]), np.array([0.0, 3.0, 0.0]), (0.6, 0.7, 0.8))
    return [floor.panel("floor", texture, 1.0, 0.5), wall.panel("wall", texture, 2.0, 0.0)]


def _looking(side: float) -> Array:
    """World from a camera 3.5 m before the wall, half a metre to one side, that looks 3 in 5 to the other."""
    pose = np.eye(4)
    turn = side * 0.28
    away = np.array([-turn, 0.0, -np.sqrt(1.0 - turn * turn)])
    right = np.array([-away[2], 0.0, away[0]])
    pose[:3, :3] = np.stack([right, [0.0, -1.0, 0.0], away], axis=1)
    pose[:3, 3] = [side * 0.8, 1.1, 3.5]
    return pose
