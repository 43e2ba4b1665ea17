"""What bounds a skinned person, without posing the whole of it: the few vertices that can be its outermost.

Boxes around people, shadow maps and the rectangles that are drawn anew follow
from some hundred points instead of all vertices, which are posed on the graphics
side (`workers.render.skinned`).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from scenes.body import BONES, BodyMesh, Skin
from scenes.surface import Array

BOX_DIRECTIONS = 256
"""Directions for a person's box: on 6 walkers it was at most 0.3 pixels smaller than that of all vertices, where the
person is 150 pixels tall."""

REACH_DIRECTIONS = 26
"""Directions for what needs no more than a centimetre or two."""

_NOWHERE_M = 1000.0

_HEEL_SHARE = 0.12
"""The heel's contact lies so far along the shoe's part behind the toes (0 its back end, 1 its front end)."""


class Outline:
    """The outermost vertices of a mesh, posed picture by picture."""

    def __init__(self, mesh: BodyMesh, directions: int = REACH_DIRECTIONS) -> None:
        """Args:
        directions: How many directions each bone's flesh is looked at from, in the bone's own axes.
        """
        used = _outermost(mesh, _spread(directions))
        self._skin = Skin(
            replace(
                mesh,
                vertices=mesh.vertices[used], normals=mesh.normals[used], faces=np.empty((0, 3), np.int32),
                colours=mesh.colours[used], part=mesh.part[used], gloss=mesh.gloss[used],
                weights=mesh.weights[used], node=mesh.node[used], shoe=mesh.shoe[used],
                cloth=mesh.cloth[used], accents=mesh.accents[used],
            )
        )  # fmt: skip

    def points(self, bones: Array) -> NDArray[np.float32]:
        """World points `[F, P, 3]` (m) for `bones` `[F, B, 4, 4]`, world from bone."""
        return np.stack([self._skin.blend(moment)[0] for moment in self._skin.mesh.with_nodes(bones)])


def soles(mesh: BodyMesh, bones: Array) -> Array:
    """Where heels and balls of both feet meet the floor: `[F, 4, 3]` m, at or above the floor.

    What has no feet has them nowhere near it.

    Args:
        bones: `[F, J, 4, 4]` world from bone.
    """
    owner = mesh.owner()
    places = []
    for side in "rl":
        bone = BONES.index(f"calcn_{side}")
        if not (owner == bone).any():
            places += [np.full((len(bones), 3), _NOWHERE_M)] * 2
            continue
        bone_from_bind = np.linalg.inv(mesh.bind[bone])
        shoe = mesh.vertices[owner == bone] @ bone_from_bind[:3, :3].T + bone_from_bind[:3, 3]
        low, high = shoe.min(axis=0), shoe.max(axis=0)
        middle = 0.5 * (low[2] + high[2])
        for share in (_HEEL_SHARE, 1.0):
            station = np.array([low[0] + share * (high[0] - low[0]), low[1], middle])
            places.append(bones[:, bone, :3, :3] @ station + bones[:, bone, :3, 3])
    points = np.stack(places, axis=1)
    points[..., 1] = np.maximum(points[..., 1], 0.0)
    return np.asarray(points)


def _outermost(mesh: BodyMesh, directions: Array) -> NDArray[np.int64]:
    """Numbers of the vertices that reach farthest in some direction, of those that mostly follow one bone."""
    owner = mesh.owner()
    bone_from_bind = np.linalg.inv(mesh.bind)
    found = []
    for bone in np.unique(owner):
        mine = np.flatnonzero(owner == bone)
        local = mesh.vertices[mine] @ bone_from_bind[bone, :3, :3].T
        found.append(mine[np.unique(np.argmax(local @ directions.T, axis=0))])
    return np.concatenate(found)


def _spread(count: int) -> Array:
    """`[count, 3]` unit vectors, evenly spread over the sphere (a Fibonacci lattice), and the six axes."""
    number = np.arange(count)
    y = 1 - 2 * (number + 0.5) / count
    turn = number * np.pi * (3 - np.sqrt(5.0))
    ring = np.sqrt(1 - y * y)
    return np.concatenate([np.stack([ring * np.cos(turn), y, ring * np.sin(turn)], axis=1), np.eye(3), -np.eye(3)])
