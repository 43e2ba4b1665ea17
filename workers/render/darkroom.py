"""Pictures of a camera that is more than a pinhole with an instant shutter: drawn moments, shutter, lens, sensor.

The order is light's own: what moves while rows are exposed, then the lens, then
the sensor. Rows are the sensor's, so that a rolling shutter's delay of a drawn
pixel is that of the row where the lens puts it. Nothing here draws lots but the
sensor, whose noise of each picture has a generator of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from farm.sampling.anatomy import KEYPOINTS
from scenes.cameras import Camera
from scenes.motion import Motion
from scenes.passer_by import PasserBy
from scenes.sensor import noisy, variates_rand
from scenes.surface import Array
from scenes.viewpoint import CameraDraw
from workers.render.exposure import exposure_of
from workers.render.lens_map import LensMap
from workers.render.raster import Pictures, Raster
from workers.render.tone import Light, light_of, picture_of

Number = TypeVar("Number", bound=np.generic)

_DRAWN_BYTES = 64_000_000
"""Of drawn moments that are held before they are merged into pictures."""


def is_plain(draw: CameraDraw) -> bool:
    """Whether a camera's pictures are what GL draws: no distortion, an instant shutter, no noise."""
    return not any((draw.k1, draw.k2, draw.p1, draw.p2, draw.exposure_s, draw.readout_s, draw.shot_noise))


def take_pictures(
    raster: Raster,
    camera: Camera,
    draw: CameraDraw,
    motion: Motion,
    *,
    levels: NDArray[np.int64],
    passers_by: Sequence[PasserBy],
    sensor_rng: Callable[[int], np.random.Generator],
    rgb: bool,
    mask: bool,
    depth: bool,
) -> Pictures:
    """All pictures of one view, as `Raster.draw` gives them, with its C of 1.

    Args:
        levels: `[F]` which of the walker's meshes is shown.
        sensor_rng: The generator of a picture's noise, by the picture's number.
    """
    lens, exposure = LensMap(camera), exposure_of(camera, motion, len(KEYPOINTS))
    raster.reframe(lens.size, views=1)
    width, height = camera.image_size
    shape = (1, len(levels), height, width)
    result = Pictures(
        rgb=np.empty((*shape, 3), np.uint8) if rgb else None,
        mask=np.empty(shape, np.uint8) if mask else None,
        depth_m=np.empty(shape, np.float32) if depth else None,
    )
    delay = camera.delay(lens.rows)
    shares, cell = exposure.shares(delay), exposure.cell(delay)
    own_moment = np.zeros(1)  # of all rows, where they are exposed at once
    label_offsets = exposure.offsets if camera.rolls else own_moment
    at_once = max(1, _DRAWN_BYTES // (len(exposure.offsets) * 8 * lens.size[0] * lens.size[1]))
    for first in range(0, len(levels), at_once):
        some = np.arange(first, min(first + at_once, len(levels)))
        if result.rgb is not None:
            drawn = _draw(raster, camera, motion, lens, levels, passers_by, some, exposure.offsets, rgb=True)
            assert drawn.rgb is not None
            for number, moments in zip(some, _by_picture(drawn.rgb, len(some)), strict=True):
                light = lens.colours(_exposed(moments, shares))
                if draw.shot_noise > 0:
                    variates = variates_rand(sensor_rng(int(number)), light.shape)
                    light = noisy(light, variates, draw.shot_noise, draw.read_noise)
                result.rgb[0, number] = picture_of(light)
        if mask or depth:
            drawn = _draw(raster, camera, motion, lens, levels, passers_by, some, label_offsets, mask=mask, depth=depth)
            if result.mask is not None and drawn.mask is not None:
                for number, parts in zip(some, _by_picture(drawn.mask, len(some)), strict=True):
                    result.mask[0, number] = lens.ids(_at_own_row(parts, cell))
            if result.depth_m is not None and drawn.depth_m is not None:
                for number, distances in zip(some, _by_picture(drawn.depth_m, len(some)), strict=True):
                    result.depth_m[0, number] = lens.distances(_at_own_row(distances, cell))
    return result


def _draw(
    raster: Raster,
    camera: Camera,
    motion: Motion,
    lens: LensMap,
    levels: NDArray[np.int64],
    passers_by: Sequence[PasserBy],
    some: NDArray[np.int64],
    offsets: Array,
    *,
    rgb: bool = False,
    mask: bool = False,
    depth: bool = False,
) -> Pictures:
    """The pinhole's pictures `[1, S N, ...]` of `some` `[S]` pictures' moments, each at `offsets` `[N]` from it."""
    delay = np.broadcast_to(offsets, (len(camera.time), len(offsets)))
    moments = (camera.time[some, None] + offsets).ravel()
    return raster.draw(
        motion.bones(moments),
        np.repeat(levels[some], len(offsets))[:, None],
        camera.poses(delay)[some].reshape(-1, 1, 4, 4),
        lens.intrinsics[None],
        passers_by=[person.bones_at(moments) for person in passers_by],
        rgb=rgb,
        mask=mask,
        depth=depth,
    )


def _by_picture(drawn: NDArray[Any], count: int) -> NDArray[Any]:
    """`[count, N, ...]` of `[1, count N, ...]`."""
    return drawn.reshape(count, -1, *drawn.shape[2:])


def _exposed(moments: NDArray[np.uint8], shares: Light) -> Light:
    """Linear light `[H, W, 3]` of drawn moments `[N, H, W, 3]`, each by its share of a pixel, `[N, H, W]`."""
    if len(moments) == 1:
        return light_of(moments[0])
    light = np.zeros(moments.shape[1:], np.float32)
    for picture, share in zip(moments, shares, strict=True):
        light += light_of(picture) * share[..., None]
    return light


def _at_own_row(moments: NDArray[Number], cell: NDArray[np.int64]) -> NDArray[Number]:
    """`[H, W]` of drawn moments `[N, H, W]`, at each pixel the one of `cell` `[H, W]`."""
    if len(moments) == 1:
        return np.asarray(moments[0])
    return np.asarray(np.take_along_axis(moments, cell[None], axis=0)[0])
