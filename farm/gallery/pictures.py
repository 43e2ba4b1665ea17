"""A view's pictures one after the other, so that a film of any length takes little memory to draw."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from farm.dataset import video
from farm.dataset.gaits import Gait
from farm.dataset.reader import GaitDataset
from farm.gallery.overlay import stick_figure

AT_A_TIME = 60
"""Pictures decoded together: two seconds at 30 Hz, so that hardly any is decoded twice."""


def has_pictures(dataset: GaitDataset, view: str) -> bool:
    """Whether a dataset keeps what a view saw; if not (`rgb: none`), its stick figures are shown."""
    return bool({f"views/{view}/rgb", f"views/{view}/video"} & set(dataset.manifest.arrays))


def pictures(dataset: GaitDataset, gait: Gait, view: str) -> Iterator[NDArray[np.uint8]]:
    """A gait's pictures `[H, W, 3]` from one view, as they are stored, or else as stick figures.

    Args:
        gait: With the view's keypoints, and its mask if there is one.
    """
    if f"views/{view}/video" in dataset.manifest.arrays:
        data = dataset.video(gait.sample_id, view)
        for start in range(0, n_frames(gait, view), AT_A_TIME):
            yield from video.decode(data, at=slice(start, start + AT_A_TIME))
    elif has_pictures(dataset, view):
        yield from dataset.frames(gait.sample_id, view)
    else:
        yield from stick_figures(gait, view)


def stick_figures(gait: Gait, view: str) -> Iterator[NDArray[np.uint8]]:
    """A gait's keypoints `[H, W, 3]` joined by lines, right and left by colour, over its mask if there is one."""
    names, size = tuple(gait.attributes["keypoints"]), image_size(gait)
    mask = gait.arrays.get(f"views/{view}/mask")
    for number, points in enumerate(gait[f"views/{view}/keypoints_2d"]):
        yield stick_figure(points, names, size, None if mask is None else mask[number])


def bare_film(dataset: GaitDataset, gait: Gait, view: str) -> bytes:
    """What a browser plays of a view: the stored film itself where it can, else one encoded anew."""
    rate = float(gait.attributes["frame_rate_hz"])
    path = f"views/{view}/video"
    if path in dataset.manifest.arrays:
        stored = dataset.shard(str(gait.row["shard_id"]))[path]
        if video.played_by_browsers(dict(stored.attrs)):
            return dataset.video(gait.sample_id, view)
    return video.encode(map(even, pictures(dataset, gait, view)), frame_rate_hz=rate)


def even(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A picture `[H, W, 3]` whose last row and column are doubled where video (4:2:0) needs an even number."""
    height, width = picture.shape[:2]
    return np.pad(picture, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")


def image_size(gait: Gait) -> tuple[int, int]:
    """Width and height of a gait's pictures, px."""
    width, height = gait.attributes["image_size"]
    return int(width), int(height)


def film_size(gait: Gait) -> tuple[int, int]:
    """Width and height of its films, px: even numbers."""
    width, height = image_size(gait)
    return width + width % 2, height + height % 2


def n_frames(gait: Gait, view: str) -> int:
    """How many pictures a gait has."""
    return len(gait[f"views/{view}/keypoints_2d"])
