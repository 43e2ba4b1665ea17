"""Virtual cameras: where anybody might stand with a phone while somebody walks.

The farm's own views are three; the keypoints that people bring come from any.
Training therefore films the stored three-dimensional keypoints anew through
cameras drawn here: fixed ones that see the walker come, go, or cross, ones that
pan on the spot, and ones that travel along (a gimbal, or a treadmill, where the
walker stays and the room does not).

`project` is deterministic; `cameras_rand` draws. B clips, T moments; world axes
of `farm.axes`, camera axes of OpenCV; metres, pixels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from workers.train.keypoints import HIPS, RATE_HZ

Floats = NDArray[np.floating[Any]]

FOCAL_OVER_DIAGONAL = (0.55, 1.7)
"""Phones' main cameras lie near 0.6 to 0.8, tele lenses and the farm's own views (30 to 55 deg) at 0.85 to 1.7."""

IMAGE_SIZES = ((1920, 1080), (1080, 1920), (1280, 720), (640, 480), (256, 256), (512, 512), (832, 480), (1440, 1080))
NEAREST_M = 0.3
"""What is nearer to the lens plane than this is not projected."""


@dataclass(frozen=True)
class Cameras:
    """One camera for each of B clips.

    Attributes:
        position: `[B, T, 3]` m, world.
        axes: `[B, T, 3, 3]` rows are the camera's right, down and forward in world axes.
        focal_px: `[B]`.
        centre_px: `[B, 2]` principal point.
        image_size: `[B, 2]` width, height, px.
    """

    position: Floats
    axes: Floats
    focal_px: Floats
    centre_px: Floats
    image_size: Floats


def project(points: Floats, cameras: Cameras) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Pixels `[B, T, K, 2]` of world points `[B, T, K, 3]`, and `[B, T, K]` where they lie before the lens.

    Points outside the picture keep their pixels.
    """
    p = np.einsum("btij,btkj->btki", cameras.axes, points - cameras.position[:, :, None])
    depth = np.asarray(p[..., 2])
    before: NDArray[np.bool_] = np.greater(depth, NEAREST_M)
    scale = cameras.focal_px[:, None, None] / np.where(before, depth, 1.0)
    pixels = p[..., :2] * scale[..., None] + cameras.centre_px[:, None, None]
    return np.where(before[..., None], pixels, 0.0).astype(np.float32), before


def look_at(position: Floats, target: Floats, roll_rad: Floats) -> NDArray[np.float64]:
    """Camera axes `[..., 3, 3]` at `position` towards `target` `[..., 3]`; `roll_rad` `[...]` about the axis."""
    forward = target - position
    forward = forward / np.linalg.norm(forward, axis=-1, keepdims=True)
    right = np.cross(forward, np.array([0.0, 1.0, 0.0]))
    right = right / np.linalg.norm(right, axis=-1, keepdims=True)
    down = np.cross(forward, right)
    c, s = np.cos(roll_rad)[..., None], np.sin(roll_rad)[..., None]
    return np.stack([c * right + s * down, c * down - s * right, forward], axis=-2)


def inside(pixels: Floats, image_size: Floats) -> NDArray[np.bool_]:
    """`[B, T, K]` where pixels lie within the picture."""
    size = np.asarray(image_size)[:, None, None, :]
    return np.asarray(((pixels > -0.5) & (pixels < size - 0.5)).all(axis=-1))


def cameras_rand(rng: np.random.Generator, points: Floats, stature_m: Floats) -> Cameras:
    """Draw a camera for each clip.

    Args:
        rng: Source of randomness.
        points: `[B, T, 17, 3]` m; the walk starts along x.
        stature_m: `[B]`.
    """
    b, t = len(points), int(points.shape[1])
    hips = points[:, :, HIPS].mean(axis=2)
    start, end = hips[:, 0], hips[:, -1]
    middle = (start + end) / 2.0
    kind = rng.choice(6, b, p=[0.24, 0.20, 0.20, 0.10, 0.14, 0.12])
    ahead, behind, pan_side, fixed_side, pan_any, travel = (kind == i for i in range(6))

    # azimuth of the camera as seen from the walk: 0 ahead, 90 degrees to the walker's right
    around = rng.uniform(-np.pi, np.pi, b)
    beside = np.where(rng.random(b) < 0.5, 1.0, -1.0) * np.pi / 2 + rng.normal(0.0, np.deg2rad(18.0), b)
    axis_jitter = rng.normal(0.0, np.deg2rad(9.0), b)
    side_on = pan_side | fixed_side
    azimuth = np.select([ahead, behind, side_on], [axis_jitter, np.pi + axis_jitter, beside], around)
    direction = np.stack([np.cos(azimuth), np.zeros(b), np.sin(azimuth)], axis=-1)
    # cameras on the axis keep clear of the nearer end of the walk, others of its middle
    anchor = np.where(ahead[:, None], end, np.where(behind[:, None], start, middle))
    on_axis = ahead | behind
    distance = np.where(
        on_axis, np.exp(rng.uniform(np.log(1.5), np.log(8.0), b)), np.exp(rng.uniform(np.log(2.2), np.log(9.0), b))
    )
    height = np.where(rng.random(b) < 0.8, rng.uniform(0.6, 1.8, b), rng.uniform(1.8, 3.2, b))
    place = anchor + direction * distance[:, None]
    place[:, 1] = height
    position = np.repeat(place[:, None], t, axis=1)
    steady = gaussian_filter1d(hips, 0.3 * RATE_HZ, axis=1, mode="nearest")
    position = np.where(travel[:, None, None], position + (steady - middle[:, None]) * [1.0, 0.0, 1.0], position)

    aim_y = rng.uniform(0.45, 0.62, b) * stature_m
    share = rng.beta(2.0, 2.0, b)[:, None]
    fixed_aim = start + (end - start) * share
    follows = pan_side | pan_any | travel
    aim = np.where(follows[:, None, None], steady, fixed_aim[:, None])
    # the hand that follows wanders; its target is off by a slow drift of a few per cent of the distance
    drift = gaussian_filter1d(rng.normal(0.0, 1.0, (b, t, 3)), 0.5 * RATE_HZ, axis=1, mode="reflect")
    drift = drift / np.maximum(drift.std(axis=(1, 2), keepdims=True), 1e-9)
    amount = np.where(follows, rng.uniform(0.0, 0.03, b), np.where(rng.random(b) < 0.2, 0.003, 0.0)) * distance
    aim = aim + drift * amount[:, None, None]
    aim[..., 1] = (aim_y + rng.normal(0.0, 0.08, b))[:, None] + drift[..., 1] * amount[:, None]
    aim = aim + (rng.normal(0.0, 0.03, (b, 3)) * distance[:, None])[:, None] * [1.0, 0.0, 1.0]
    roll = np.repeat(rng.normal(0.0, np.deg2rad(1.5), b)[:, None], t, axis=1)
    axes = look_at(position, aim, roll)

    size = np.array(IMAGE_SIZES, dtype=float)[rng.integers(0, len(IMAGE_SIZES), b)]
    diagonal = np.linalg.norm(size, axis=-1)
    wide = np.exp(rng.uniform(np.log(FOCAL_OVER_DIAGONAL[0]), np.log(FOCAL_OVER_DIAGONAL[1]), b))
    # whoever films somebody whole chooses lens and place together: the focal length is drawn so that the person
    # fills a plausible share of the picture at the middle of the clip, within what lenses there are
    apart = np.linalg.norm(position[:, t // 2] - hips[:, t // 2], axis=-1)
    fills = rng.uniform(0.25, 0.85, b) * size[:, 1] * apart / stature_m / diagonal
    focal = np.where(rng.random(b) < 0.5, wide, np.clip(fills, *FOCAL_OVER_DIAGONAL)) * diagonal
    centre = size / 2 - 0.5
    # a tenth of all videos are cut out of larger ones: the picture's centre is not the lens's
    cut = (rng.random(b) < 0.1)[:, None]
    centre = centre + np.where(cut, rng.normal(0.0, 0.12, (b, 2)) * size, 0.0)
    return Cameras(position, axes, focal, centre, size)
