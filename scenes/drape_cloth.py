"""A drape's cloth as polygons, each vertex at one of its nodes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from farm.sampling.anatomy import BODIES
from scenes.drape import COLUMNS, Drape
from scenes.figure import Figure
from scenes.patterns import repeats_around
from scenes.surface import Array, Surface, quads

CLOTH_M = 0.003
"""How far the inner side lies behind the outer."""


@dataclass(frozen=True)
class DrapeCloth:
    """Both sides of a drape and its edges, closed, in bind axes.

    Attributes:
        surface: Its polygons.
        node: `[V]` the node that moves each vertex.
        place: `[V, 2]` repeats of a pattern around, and metres up from the hem.
    """

    surface: Surface
    node: NDArray[np.int64]
    place: Array


def drape_cloth(figure: Figure, drape: Drape, bind: Array, repeat_m: float) -> DrapeCloth:
    """The cloth of one drape.

    Args:
        bind: `[J, 4, 4]` bind axes from bone, of which the first are `BODIES`.
        repeat_m: About how often a pattern repeats; it goes around a whole number of times.
    """
    frames = drape.transforms(bind[None])[0]
    row, column = np.meshgrid(
        np.arange(drape.rows), np.arange(COLUMNS + 1), indexing="ij"
    )  # the last is the first again
    first, last = np.zeros_like(row[:2]), np.full_like(row[:2], drape.rows - 1)
    outer, inner = np.array([[0.0], [1.0]]), np.array([[1.0], [0.0]])
    # of each grid: rows, columns, 0 for the outer side and 1 for the inner, and where normals point (x, y of the node)
    grids = (
        (row[:, ::-1], column[:, ::-1], np.zeros(row.shape), (1.0, 0.0)),
        (row, column, np.ones(row.shape), (-1.0, 0.0)),
        (first, column[:2], np.broadcast_to(outer, first.shape), (0.0, 1.0)),
        (last, column[:2], np.broadcast_to(inner, last.shape), (0.0, -1.0)),
    )
    repeats = repeats_around(_HIPS_RADIUS_M * figure.width(1.0), repeat_m)
    points, normals, faces, nodes, places = [], [], [], [], []
    count = 0
    for rows, columns, inside, (out, up) in grids:
        node = (rows * COLUMNS + columns % COLUMNS).ravel()
        frame = frames[node]
        points.append(frame[:, :3, 3] - CLOTH_M * inside.reshape(-1, 1) * frame[:, :3, 0])
        normals.append(out * frame[:, :3, 0] + up * frame[:, :3, 1])
        faces.append(quads(*rows.shape) + count)
        nodes.append(node)
        around = columns.ravel() * (repeats / COLUMNS)
        places.append(np.stack([around, drape.height[-1] - drape.height[rows.ravel()]], axis=1))
        count += len(node)
    surface = Surface(np.concatenate(points), np.concatenate(normals), np.concatenate(faces))
    return DrapeCloth(surface, np.concatenate(nodes), np.concatenate(places))


_HIPS_RADIUS_M = 0.16
"""Mean radius of the generic body there, by which patterns go around a whole number of times."""


def covered(figure: Figure, drape: Drape) -> NDArray[np.int64]:
    """What each node is over, the pelvis, then thigh and shank of its side: `[nodes]` numbers in `BODIES`."""
    to_knee = float(figure.origins["femur_r"][1] - figure.origins["tibia_r"][1])
    right = np.arange(COLUMNS) < COLUMNS // 2
    thigh, shank = (
        np.where(right, BODIES.index(f"{name}_r"), BODIES.index(f"{name}_l")) for name in ("femur", "tibia")
    )
    below = drape.height[:, None]
    part = np.where(
        below > to_knee, shank, np.where(below > _THIGH_FROM_M * figure.size, thigh, BODIES.index("pelvis"))
    )
    return part.ravel()


_THIGH_FROM_M = 0.04
"""Below the hips' ring."""
