"""Panels: what stands still in a scene, as textured triangles."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scenes.surface import Array


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
