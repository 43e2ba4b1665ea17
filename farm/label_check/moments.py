"""Where points come to lie under a rolling shutter, from what is stored at the pictures' moments alone."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from farm.projection import project

Array = NDArray[np.float64]

_STEPS = 4


def project_rolling(
    points: Array,
    world_from_camera: Array,
    intrinsics: Array,
    distortion: Array,
    readout_s: float,
    frame_s: float,
    height: int,
) -> Array:
    """Pixels `[F, K, 2]` of points `[F, K, 3]`, each at the moment at which its own row is read.

    The paths in the picture between moments are taken for the parabola through three neighbours;
    a hand's tremor is quicker than that and is not followed.
    """
    still = project(points, world_from_camera, intrinsics, distortion)[0]
    if len(still) < 2:
        return still
    rate = np.gradient(still, frame_s, axis=0)
    pixels = still.copy()
    for _ in range(_STEPS):
        share = np.clip(pixels[..., 1], -0.5, height - 0.5) / max(height - 1, 1) - 0.5
        delay = np.nan_to_num(readout_s * share)[..., None]
        after = np.concatenate([still[1:], still[-1:] + frame_s * rate[-1:]])
        before = np.concatenate([still[:1] - frame_s * rate[:1], still[:-1]])
        u = delay / frame_s
        bend = after - 2 * still + before
        pixels = still + 0.5 * u * (after - before) + 0.5 * u * u * bend
    return pixels
