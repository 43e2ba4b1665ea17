"""The outline of a mask as an SVG path: exact to the pixel, sharp at any size, and a hundredth of the mask's bytes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_NEXT = {(1, 0): ("h", 1), (-1, 0): ("h", -1), (0, 1): ("v", 1), (0, -1): ("v", -1)}


def outline_path(mask: NDArray[np.uint8]) -> str:
    """Closed lines between the body and what is around it, holes included; "" where there is no body.

    Args:
        mask: `[H, W]`, 0 for background.

    Returns:
        SVG path data in pixels whose (0, 0) is the top-left pixel's outer corner: half a pixel before the labels'
        origin. The body lies to the right of each line's way. What the picture's edge cuts is closed along it.
    """
    ways = _edges(mask > 0)
    path = []
    while ways:
        start = next(iter(ways))
        path.append(_ring(ways, start))
    return "".join(path)


def _edges(body: NDArray[np.bool_]) -> dict[tuple[int, int], list[tuple[int, int]]]:
    """The steps of one pixel that part body from background: by corner (x, y), the ways that lead on from there."""
    around = np.pad(body, 1)
    ways: dict[tuple[int, int], list[tuple[int, int]]] = {}
    # by the side of a body pixel that is open: its corner where the step begins, and the step; clockwise on the screen
    for shift, (x, y), step in (
        ((-1, 0), (0, 0), (1, 0)), ((0, 1), (1, 0), (0, 1)), ((1, 0), (1, 1), (-1, 0)), ((0, -1), (0, 1), (0, -1)),
    ):  # fmt: skip
        outside = ~np.roll(around, (-shift[0], -shift[1]), axis=(0, 1))[1:-1, 1:-1]
        for row, column in np.argwhere(body & outside).tolist():
            ways.setdefault((column + x, row + y), []).append(step)
    return ways


def _ring(ways: dict[tuple[int, int], list[tuple[int, int]]], start: tuple[int, int]) -> str:
    """One closed line, taken out of `ways`; steps in one direction are drawn as one."""
    path = [f"M{start[0]} {start[1]}"]
    at, before, length = start, (0, 0), 0
    while at in ways:
        here = ways[at]
        # where two pixels touch by a corner alone the line turns right, so that each keeps its own ring
        step = here.pop(here.index(right) if (right := (-before[1], before[0])) in here else 0)
        if not here:
            del ways[at]
        if step != before and length:
            path.append(_drawn(before, length))
            length = 0
        before, length = step, length + 1
        at = (at[0] + step[0], at[1] + step[1])
    return "".join(path) + "z"  # the last side is the one that closes it


def _drawn(step: tuple[int, int], length: int) -> str:
    letter, sign = _NEXT[step]
    return f"{letter}{sign * length}"
