"""A view's pictures as the film that its campaign asks for."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from farm.config import Pictures
from farm.dataset.regions import Regions
from farm.dataset.video import encode


def encode_view(
    rgb: NDArray[np.uint8], bbox: NDArray[np.floating], pictures: Pictures, *, crf: int | None = None
) -> bytes:
    """One MP4 file.

    Args:
        rgb: `[F, H, W, 3]` pictures of the view.
        bbox: `[F, 4]` the person's box in each, x0 y0 x1 y1 in px, NaN outside the picture.
        pictures: How the campaign wants films.
        crf: What was drawn for this gait and view, which then holds for the whole picture: poor films are poor all
            over. None for the campaign's.
    """
    finer = Regions(bbox, pictures.person_crf_offset) if crf is None and pictures.person_crf_offset else None
    return encode(
        rgb,
        frame_rate_hz=pictures.frame_rate_hz,
        crf=pictures.crf if crf is None else crf,
        bits_per_pixel=pictures.bits_per_pixel,
        chroma=pictures.chroma,
        regions=finer,
        effort=pictures.effort,
    )
