"""An ankle-foot orthosis: a posterior leaf spring of plastic, worn in the shoe and strapped to the calf.

A shell holds the calf from behind, narrows to a leaf behind the ankle, and goes
down into the shoe, where its foot plate lies under the insole and nobody sees it.
The leaf bends with the simulated ankle, as the real one does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from scipy.interpolate import PchipInterpolator

from scenes.aids import Aids
from scenes.colours import Rgb
from scenes.figure import Figure
from scenes.surface import Array, Surface, quads, vertex_normals

SHELL_TOP, STRAP_MIDDLE = 0.14, 0.21
"""Upper edge of the shell, clear of the fibula's head, and the strap: shares of the way from knee to ankle."""

SHELL_INSIDE_M, SHELL_OUTSIDE_M = 0.002, 0.0065
STRAP_INSIDE_M, STRAP_OUTSIDE_M = 0.004, 0.0095
"""Distances from the skin. A shell is 3 to 5 mm of polypropylene with a sock below; the strap lies over its edges."""

STRAP_HALF_BREADTH_M = 0.019

_TRIM = ((0.14, 84.0), (0.20, 98.0), (0.42, 96.0), (0.62, 66.0), (0.80, 40.0), (0.95, 42.0), (1.10, 52.0))
"""Share of the way from knee to ankle -> how far around from the middle of the back the shell reaches (degrees)."""

_STRAP_ENDS_DEG = (78.0, 282.0)
"""Around from the middle of the back, over the shin."""

_ROWS, _COLUMNS, _STRAP_ROWS, _STRAP_COLUMNS = 22, 17, 3, 25


@dataclass(frozen=True)
class OrthosisPart:
    """A stiff part of an orthosis in bind axes; what it has in common with `scenes.garments.Piece` is the same there.

    Attributes:
        made: Its polygons.
    """

    name: str
    made: Surface
    colour: Callable[[Array], Array]
    gloss: float
    groups: tuple[str, ...]
    is_shoe: bool = False
    cloth: None = None

    def surface(self) -> Surface:
        """Its polygons."""
        return self.made


def orthosis(figure: Figure, aids: Aids) -> Iterator[OrthosisPart]:
    """Shell and strap of each leg that wears an orthosis."""
    for side in aids.orthosis_sides:
        knee = float(figure.origins[f"tibia_{side}"][1])
        ankle = float(figure.origins[f"calcn_{side}"][1] + figure.body.segments[f"calcn_{side}"].joint_in_body[1])
        share = np.linspace(SHELL_TOP, _TRIM[-1][0], _ROWS)
        reach = np.deg2rad(PchipInterpolator(*np.array(_TRIM).T)(share))
        across = np.linspace(-1.0, 1.0, _COLUMNS)
        shell = _plate(
            figure, side, knee + share * (ankle - knee), reach[:, None] * across, SHELL_INSIDE_M, SHELL_OUTSIDE_M
        )
        middle = knee + STRAP_MIDDLE * (ankle - knee)
        rows = middle + STRAP_HALF_BREADTH_M * figure.size * np.linspace(1.0, -1.0, _STRAP_ROWS)
        around = np.tile(np.deg2rad(np.linspace(*_STRAP_ENDS_DEG, _STRAP_COLUMNS)), (_STRAP_ROWS, 1))
        strap = _plate(figure, side, rows, around, STRAP_INSIDE_M, STRAP_OUTSIDE_M)
        groups = (f"leg_{side}",)
        yield OrthosisPart(f"orthosis_{side}", shell, _plain(aids.orthosis_shell), 0.45, groups)
        yield OrthosisPart(f"orthosis_strap_{side}", strap, _plain(aids.orthosis_strap), 0.05, groups)


def _plain(colour: Rgb) -> Callable[[Array], Array]:
    return lambda points: np.broadcast_to(np.array(colour), points.shape)


def _plate(figure: Figure, side: str, y: Array, angle: Array, inside_m: float, outside_m: float) -> Surface:
    """A closed bent plate around one leg, its edges sharp; bind axes.

    Args:
        y: `[R]` heights, descending (m, straight axes).
        angle: `[R, C]` around from the middle of the back, towards +z, ascending (rad).
        inside_m, outside_m: From the leg.
    """
    section = figure.leg_section(y, side)[:, None]  # [R, 1, 4]

    def sheet(offset_m: float) -> Array:
        x = section[..., 2] - (section[..., 0] + offset_m) * np.cos(angle)
        z = section[..., 3] + (section[..., 1] + offset_m) * np.sin(angle)
        return np.stack([x, np.broadcast_to(y[:, None], angle.shape), z], axis=-1)

    inner, outer = sheet(inside_m), sheet(outside_m)
    grids = [
        outer,
        inner[:, ::-1],
        np.stack([inner[0], outer[0]]),
        np.stack([outer[-1], inner[-1]]),
        np.stack([inner[:, -1], outer[:, -1]]),
        np.stack([outer[:, 0], inner[:, 0]]),
    ]
    vertices, faces = [], []
    first = 0
    for grid in grids:
        vertices.append(grid.reshape(-1, 3))
        faces.append(quads(*grid.shape[:2]) + first)
        first += len(vertices[-1])
    points = figure.bind(np.concatenate(vertices), "leg", side)
    triangles = np.concatenate(faces)
    return Surface(points, vertex_normals(points, triangles), triangles)
