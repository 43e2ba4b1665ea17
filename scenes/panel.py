"""Panels: what stands still in a scene, as textured triangles, and how rectangles are collected into one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scenes.colours import Rgb
from scenes.surface import Array

_CELL_M = 0.7
_CORNER_SHADE, _CORNER_REACH_M = 0.30, 0.55


@dataclass(frozen=True)
class Panel:
    """Quads that share one texture.

    Attributes:
        vertices: `[V, 3]` m, world axes.
        normals: `[V, 3]`.
        faces: `[T, 3]` int32, counter-clockwise from inside the room.
        colours: `[V, 3]` sRGB, multiplied with the texture.
        uv: `[V, 2]` repeats of the texture.
        gloss: 0 to 1.
        texture: `[H, W, 3]` uint8 sRGB, tileable; bright means unchanged.
    """

    name: str
    vertices: Array
    normals: Array
    faces: NDArray[np.int32]
    colours: Array
    uv: Array
    gloss: float
    texture: NDArray[np.uint8]


@dataclass(frozen=True)
class RoomBox:
    """The room's inner faces, world axes (m): x0..x1 along the walk, z0..z1 across, floor at 0."""

    x0: float
    x1: float
    z0: float
    z1: float
    height: float


class Quads:
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
            tint *= corner_light(points, normal, shade)[..., None]
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


def corner_light(points: Array, normal: Array, box: RoomBox) -> Array:
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
