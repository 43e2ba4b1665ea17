"""Regions of pictures that an encoder keeps truer than the rest: FFmpeg's regions of interest.

FFmpeg carries a region as side data of the picture; libx264's wrapper hands it on as an offset to the quantiser of
each macroblock (16 x 16 pixels) that it touches. PyAV cannot set side data, FFmpeg's filter `addroi` can.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import av
import numpy as np
from av.filter import Graph
from numpy.typing import NDArray

QUANTISERS = 51
"""H.264's greatest quantiser for 8 bits, of which FFmpeg wants an offset as a share."""

MARGIN_PX = 4
"""Around a box: its edge is where the person meets the ground, and filters of the codec reach over it."""


MACROBLOCK_PX = 16

_Extent = tuple[int, int, int, int]
"""Left, top, breadth and height, px."""


@dataclass(frozen=True, eq=False)
class Regions:
    """A box of each picture, and by how much its quantiser is changed.

    Attributes:
        boxes: `[F, 4]` x0 y0 x1 y1 in px, the centre of the top-left pixel at (0, 0); NaN where there is none.
        quantiser_offset: -51 (truest) to 51 (coarsest); 6 more halve the fineness.
    """

    boxes: NDArray[np.floating]
    quantiser_offset: int
    _graphs: dict[_Extent, Graph] = field(default_factory=dict, init=False, repr=False)

    def mark(self, picture: av.VideoFrame, number: int) -> av.VideoFrame:
        """Picture `number`, which has its time set, with its box.

        Raises:
            ValueError: There are too few boxes.
        """
        if number >= len(self.boxes):
            raise ValueError(f"there are {len(self.boxes)} boxes, none for picture {number}")
        extent = _extent(self.boxes[number], picture.width, picture.height)
        if extent is None:
            return picture
        if extent not in self._graphs:
            self._graphs[extent] = _graph(picture, extent, self.quantiser_offset)
        self._graphs[extent].push(picture)
        marked = self._graphs[extent].pull()
        assert isinstance(marked, av.VideoFrame)
        return marked


def _extent(box: NDArray[np.floating], width: int, height: int) -> _Extent | None:
    """A box with its margin, cut to the picture and widened to whole macroblocks, which changes no byte; None for none.

    So a walker's boxes have few extents, each of which needs a graph of its own.
    """
    if not np.isfinite(box).all():
        return None
    x0, y0 = (max(0, int(np.floor(edge)) - MARGIN_PX) for edge in box[:2])
    x1, y1 = (
        min(most, int(np.ceil(edge)) + 1 + MARGIN_PX) for edge, most in zip(box[2:], (width, height), strict=True)
    )
    if x1 <= x0 or y1 <= y0:
        return None
    left, top = (edge // MACROBLOCK_PX * MACROBLOCK_PX for edge in (x0, y0))
    right, bottom = (
        min(most, -(-edge // MACROBLOCK_PX) * MACROBLOCK_PX)
        for edge, most in zip((x1, y1), (width, height), strict=True)
    )
    return (left, top, right - left, bottom - top)


def _graph(picture: av.VideoFrame, extent: _Extent, offset: int) -> Graph:
    """A graph that gives pictures like this one their region: `addroi` takes no other box once it is set up."""
    x, y, width, height = extent
    graph = Graph()
    source = graph.add_buffer(
        width=picture.width, height=picture.height, format=picture.format, time_base=picture.time_base
    )
    region = graph.add("addroi", f"x={x}:y={y}:w={width}:h={height}:qoffset={offset}/{QUANTISERS}:clear=0")
    sink = graph.add("buffersink")
    source.link_to(region)
    region.link_to(sink)
    graph.configure()
    return graph
