"""Smooth closed surfaces from signed distances: a few shapes, soft unions, and their polygons.

A distance function takes points `[..., 3]` (m) and returns about the signed
distance `[...]` (m) to its surface, negative inside. Shapes are blended by a
polynomial soft minimum, and polygonised by naive surface nets (Gibson 1998,
"Constrained elastic surface nets"), whose quads are rounder than those of
marching cubes at a fifth of the triangles.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import PchipInterpolator

Array = NDArray[np.float64]
Distance = Callable[[Array], Array]

_NEWTON_STEPS = 2
_GRADIENT_STEP_M = 1e-3

_ON_SURFACE = 1e-2
"""A grid point that is inside by less, in cells, counts as outside. Otherwise the cells around one that is inside by a
rounding error would all have their vertex there, and a polygon without area has no normal."""


def _ellipse_distance(a: Array, b: Array, ra: Array, rb: Array) -> Array:
    """About the distance to an ellipse (first order in the implicit function, exact on it)."""
    ra, rb = np.maximum(ra, 1e-4), np.maximum(rb, 1e-4)
    rho = np.sqrt((a / ra) ** 2 + (b / rb) ** 2)
    slope = np.sqrt((a / ra**2) ** 2 + (b / rb**2) ** 2)
    return np.where(rho > 1e-6, rho * (rho - 1.0) / np.maximum(slope, 1e-9), -np.minimum(ra, rb))


@dataclass(frozen=True)
class Loft:
    """A tube along -y or +y through elliptical cross sections, closed flat at both ends.

    Attributes:
        y: `[S]` heights of the sections (m), ascending.
        radius_x, radius_z: `[S]` half axes (m).
        centre_x, centre_z: `[S]` centres (m).
    """

    y: Array
    radius_x: Array
    radius_z: Array
    centre_x: Array
    centre_z: Array

    def section(self, y: Array) -> Array:
        """Half axes in x and z and centre in x and z `[..., 4]` (m) at heights `y` within the tube."""
        columns = np.stack([self.radius_x, self.radius_z, self.centre_x, self.centre_z], axis=-1)
        return np.asarray(PchipInterpolator(self.y, columns)(y))

    def __call__(self, points: Array) -> Array:
        y = points[..., 1]
        at = np.clip(y, self.y[0], self.y[-1])
        section = self.section(at)
        across = _ellipse_distance(
            points[..., 0] - section[..., 2], points[..., 2] - section[..., 3], section[..., 0], section[..., 1]
        )
        beyond = np.abs(y - at)
        outside = np.hypot(np.maximum(across, 0.0), beyond)
        inside = np.maximum(across, np.maximum(self.y[0] - y, y - self.y[-1]))
        return np.where(beyond > 0, outside, inside)


@dataclass(frozen=True)
class Ellipsoid:
    """An ellipsoid with axes along x, y, z (m)."""

    centre: Array
    radii: Array

    def __call__(self, points: Array) -> Array:
        offset = (points - self.centre) / self.radii
        rho = np.linalg.norm(offset, axis=-1)
        slope = np.linalg.norm(offset / self.radii, axis=-1)
        return np.where(rho > 1e-6, rho * (rho - 1.0) / np.maximum(slope, 1e-9), -float(np.min(self.radii)))


@dataclass(frozen=True)
class RoundCone:
    """A bone with round ends: radius changes linearly from `start` to `end` (m)."""

    start: Array
    end: Array
    radius_start: float
    radius_end: float

    def __call__(self, points: Array) -> Array:
        axis = self.end - self.start
        along = np.clip((points - self.start) @ axis / float(axis @ axis), 0.0, 1.0)
        nearest = self.start + along[..., None] * axis
        radius = self.radius_start + along * (self.radius_end - self.radius_start)
        return np.asarray(np.linalg.norm(points - nearest, axis=-1) - radius)


def union(distances: Sequence[Array], softness_m: float) -> Array:
    """Polynomial soft minimum: edges between shapes are filled over `softness_m` (Quilez 2013)."""
    result = distances[0]
    for other in distances[1:]:
        if softness_m <= 0:
            result = np.minimum(result, other)
            continue
        share = np.maximum(softness_m - np.abs(result - other), 0.0) / softness_m
        result = np.minimum(result, other) - share * share * softness_m * 0.25
    return result


def gradient(distance: Distance, points: Array) -> Array:
    """Central differences of a distance function: `[..., 3]`."""
    steps = np.eye(3) * _GRADIENT_STEP_M
    return np.stack([distance(points + step) - distance(points - step) for step in steps], axis=-1) / (
        2 * _GRADIENT_STEP_M
    )


@dataclass(frozen=True)
class Surface:
    """A triangle mesh: `vertices` `[V, 3]` m, outward unit `normals` `[V, 3]`, `faces` `[T, 3]` int32."""

    vertices: Array
    normals: Array
    faces: NDArray[np.int32]


def polygonise(distance: Distance, low: Array, high: Array, cell_m: float) -> Surface:
    """The zero surface of `distance` inside the box `low` to `high` (m), by cells of `cell_m`.

    Raises:
        ValueError: Nothing of the surface lies in the box, or it runs out of it.
    """
    counts = np.ceil((high - low) / cell_m).astype(int) + 2
    axes = [low[i] + (np.arange(counts[i]) - 0.5) * cell_m for i in range(3)]
    grid = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)
    value = distance(grid)
    inside = value < -_ON_SURFACE * cell_m
    shell = np.ones_like(inside)
    shell[1:-1, 1:-1, 1:-1] = False
    if not inside.any() or (inside & shell).any():
        what = "is empty" if not inside.any() else "leaves its box"
        raise ValueError(f"the surface {what} between {low.tolist()} and {high.tolist()} m")
    vertices, index = _cell_vertices(grid, value, inside)
    faces = _faces(inside, index)
    for _ in range(_NEWTON_STEPS):  # from the average of the crossings onto the surface itself
        slope = gradient(distance, vertices)
        step = distance(vertices)[:, None] * slope / np.maximum((slope**2).sum(axis=1, keepdims=True), 0.25)
        length = np.linalg.norm(step, axis=1, keepdims=True)
        vertices = vertices - step * np.minimum(1.0, 0.5 * cell_m / np.maximum(length, 1e-12))
    return Surface(vertices, vertex_normals(vertices, faces), faces)


def vertex_normals(vertices: Array, faces: NDArray[np.int32]) -> Array:
    """Area-weighted outward unit normals `[V, 3]`."""
    corner = vertices[faces]
    area = np.cross(corner[:, 1] - corner[:, 0], corner[:, 2] - corner[:, 0])
    normals = np.stack(
        [np.bincount(faces.ravel(), np.repeat(area[:, i], 3), minlength=len(vertices)) for i in range(3)], axis=1
    )
    return np.asarray(normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12))


def quads(rows: int, columns: int) -> NDArray[np.int32]:
    """Triangles `[T, 3]` of a grid of points, seen counter-clockwise from where rows x columns points."""
    number = np.arange(rows * columns, dtype=np.int32).reshape(rows, columns)
    quad = np.stack([number[:-1, :-1], number[1:, :-1], number[1:, 1:], number[:-1, 1:]], axis=-1).reshape(-1, 4)
    return np.concatenate([quad[:, [0, 1, 2]], quad[:, [0, 2, 3]]])


def _cell_vertices(grid: Array, value: Array, inside: NDArray[np.bool_]) -> tuple[Array, NDArray[np.int32]]:
    """One vertex for each cell that the surface crosses, at the mean of its edge crossings; and its number."""
    shape = tuple(n - 1 for n in inside.shape)
    total, count = np.zeros((*shape, 3)), np.zeros(shape)
    for axis in range(3):
        near, far = _ends(axis)
        crossed = inside[near] != inside[far]
        a, b = value[near], value[far]
        share = np.clip(np.where(crossed, a / np.where(crossed, a - b, 1.0), 0.0), 0.0, 1.0)
        point = np.where(crossed[..., None], grid[near] + share[..., None] * (grid[far] - grid[near]), 0.0)
        others = [i for i in range(3) if i != axis]
        for i in (0, 1):
            for j in (0, 1):
                cut: list[slice] = [slice(None)] * 3
                cut[others[0]] = slice(i, inside.shape[others[0]] - 1 + i)
                cut[others[1]] = slice(j, inside.shape[others[1]] - 1 + j)
                total += point[tuple(cut)]
                count += crossed[tuple(cut)]
    used = count > 0
    index = np.full(shape, -1, np.int32)
    index[used] = np.arange(int(used.sum()), dtype=np.int32)
    return total[used] / count[used][:, None], index


def _faces(inside: NDArray[np.bool_], index: NDArray[np.int32]) -> NDArray[np.int32]:
    """Two triangles for each grid edge that changes sign, wound outwards."""
    triangles = []
    for axis in range(3):
        near, far = _ends(axis)
        b, c = (axis + 1) % 3, (axis + 2) % 3
        crossed = inside[near] != inside[far]
        rim = np.zeros_like(crossed)
        cut: list[slice] = [slice(None)] * 3
        cut[b], cut[c] = slice(1, -1), slice(1, -1)
        rim[tuple(cut)] = True
        at = np.argwhere(crossed & rim)
        if not len(at):
            continue
        outward = inside[near][tuple(at.T)]
        step_b, step_c = np.eye(3, dtype=int)[b], np.eye(3, dtype=int)[c]
        quad = np.stack([index[tuple((at - back).T)] for back in (step_b + step_c, step_c, 0 * step_b, step_b)], axis=1)
        quad = np.where(outward[:, None], quad, quad[:, ::-1])
        triangles += [quad[:, [0, 1, 2]], quad[:, [0, 2, 3]]]
    return np.concatenate(triangles).astype(np.int32)


def _ends(axis: int) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    near: list[slice] = [slice(None)] * 3
    far: list[slice] = [slice(None)] * 3
    near[axis], far[axis] = slice(None, -1), slice(1, None)
    return tuple(near), tuple(far)
