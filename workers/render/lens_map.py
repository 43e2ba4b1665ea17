"""Bends a pinhole's picture as a lens does: where each pixel of the distorted picture lies in a larger straight one.

GL draws straight lines only. So a pinhole of the same focal length draws a picture
that is larger all around, as far as the distorted one reaches, and each pixel is
looked up there: colours between four pixels, part ids at the nearest, distances
between four where these are one surface. scipy's sparse product does the first in
0.7 ms for a picture of 256x256 (OpenCV's `remap` 0.3 ms, numpy's indexing 7 to
9 ms), and scipy is there anyway.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from farm.lens import distort, undistort
from scenes.cameras import Camera
from scenes.surface import Array
from workers.render.tone import Light

_STEP = 0.125
"""The larger picture's sides grow by eighths: few sizes, for each of which GL keeps frame buffers."""

_BORDER_PX = 1.0
_ONE_SURFACE = 0.04
"""Four neighbours whose inverse distances differ by a smaller share lie on one surface, such as a floor seen at a low
angle."""


class LensMap:
    """One view's lens; without distortion it changes nothing.

    Attributes:
        size: Width and height of the pinhole's picture.
        intrinsics: `[3, 3]` of the pinhole.
        rows: `[H, W]` row of the distorted picture at which each pixel of the pinhole's comes to lie; NaN for none.
    """

    def __init__(self, camera: Camera) -> None:
        width, height = camera.image_size
        focal = np.array([camera.intrinsics[0, 0], camera.intrinsics[1, 1]])
        centre = camera.intrinsics[:2, 2]
        self.bends = bool(np.any(camera.distortion))
        self.intrinsics = camera.intrinsics.copy()
        self.size = camera.image_size
        if self.bends:
            rays = undistort((_pixels(camera.image_size) - centre) / focal, camera.distortion)
            place = rays * focal  # from the middle, in pixels
            reach = np.abs(place).max(axis=(0, 1)) + _BORDER_PX
            grown = np.ceil((reach / (0.5 * np.array([width, height])) - 1.0) / _STEP).max() * _STEP
            more = np.ceil(0.5 * max(float(grown), _STEP) * np.array([width, height])).astype(int)  # on each side
            self.size = (width + 2 * int(more[0]), height + 2 * int(more[1]))
            self.intrinsics[:2, 2] += more
            self._learn(place + centre + more)
        local = (_pixels(self.size) - self.intrinsics[:2, 2]) / focal
        self.rows = distort(local, camera.distortion)[..., 1] * focal[1] + centre[1]

    def _learn(self, place: Array) -> None:
        """Take `[H, W, 2]` pixels of the pinhole's picture as where to look."""
        width, height = self.size
        corner = np.clip(np.floor(place).astype(np.int64), 0, np.array([width - 2, height - 2]))
        fx, fy = np.moveaxis((place - corner).astype(np.float32), -1, 0)
        first = corner[..., 1] * width + corner[..., 0]
        self._four = np.stack([first, first + 1, first + width, first + width + 1], axis=-1).reshape(-1, 4)
        shares = np.stack([(1 - fx) * (1 - fy), fx * (1 - fy), (1 - fx) * fy, fx * fy], axis=-1).reshape(-1, 4)
        starts = np.arange(0, 4 * len(self._four) + 1, 4)
        self._mix = sparse.csr_matrix(
            (shares.ravel(), self._four.ravel(), starts), shape=(len(self._four), width * height)
        )
        nearest = np.rint(place).astype(np.int64)
        self._nearest = (nearest[..., 1] * width + nearest[..., 0]).ravel()
        self._shape = place.shape[:2]

    def colours(self, light: Light) -> Light:
        """Linear light `[H, W, 3]` of the lens's picture from the pinhole's."""
        return np.asarray(self._mix @ light.reshape(-1, 3)).reshape(*self._shape, 3) if self.bends else light

    def ids(self, parts: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Part ids `[H, W]` at the nearest pixel."""
        return np.take(parts, self._nearest).reshape(self._shape) if self.bends else parts

    def distances(self, depth_m: NDArray[np.float32]) -> NDArray[np.float32]:
        """Distances `[H, W]` along the optical axis, 0 for none: exact on planes, whose inverse is even in pixels."""
        if not self.bends:
            return depth_m
        with np.errstate(divide="ignore"):
            inverse = np.where(depth_m > 0, 1.0 / depth_m, 0.0).astype(np.float32).ravel()
        four = inverse[self._four]
        low, high = four.min(axis=1), four.max(axis=1)
        chosen = np.where(high - low < _ONE_SURFACE * high, self._mix @ inverse, inverse[self._nearest])
        with np.errstate(divide="ignore"):
            return np.where(chosen > 0, 1.0 / chosen, 0.0).astype(np.float32).reshape(self._shape)


def _pixels(size: tuple[int, int]) -> Array:
    """`[H, W, 2]` x and y of each pixel's centre."""
    x, y = np.meshgrid(np.arange(size[0], dtype=float), np.arange(size[1], dtype=float))
    return np.stack([x, y], axis=-1)
