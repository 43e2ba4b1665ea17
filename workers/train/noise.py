"""What pose estimators do to keypoints: jitter, drift, gaps, swapped legs, hidden limbs, missing faces.

The stored keypoints are exact. A network trained on them would trust what no
real detector gives. The kinds of error are those seen when 2D estimators watch
people walk (Stenum et al. 2021, PLoS Comput Biol 17:e1008935: jitter, gaps, and
left and right taken for each other in bursts while one leg covers the other);
their sizes are ours, drawn wide, from motion capture's to a poor detector's.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from farm.sampling.anatomy import COCO_KEYPOINTS
from workers.train.cameras import inside
from workers.train.keypoints import ANKLES, KNEES, MIRROR, N_KEYPOINTS, RATE_HZ, K

Floats = NDArray[np.floating[Any]]
Bools = NDArray[np.bool_]

_FACE = tuple(K[n] for n in ("nose", "left_eye", "right_eye", "left_ear", "right_ear"))
_ARMS = tuple(K[n] for n in ("left_elbow", "right_elbow", "left_wrist", "right_wrist"))
_LIMBS = tuple(
    tuple(K[f"{s}_{n}"] for n in names) for s in ("left", "right") for names in (("elbow", "wrist"), ("knee", "ankle"))
)
_LOOSENESS = np.array(
    [
        0.8 if n in ("nose", "left_eye", "right_eye") else 1.3 if "wrist" in n or "hip" in n else 1.0
        for n in COCO_KEYPOINTS
    ]
)
"""Noise of each keypoint relative to the mean: faces have sharp edges, hips have none."""


def noisy_rand(
    rng: np.random.Generator, points: Floats, present: Bools, height_px: Floats, image_size: Floats
) -> tuple[NDArray[np.float32], Bools]:
    """Keypoints as an estimator might have found them.

    Args:
        rng: Source of randomness.
        points: `[B, T, 17, 2]` px, exact.
        present: `[B, T, 17]`.
        height_px: `[B, T]` apparent height.
        image_size: `[B, 2]` px.

    Returns:
        Points and presence, new arrays.
    """
    b, t = len(points), int(points.shape[1])
    p = np.array(points, dtype=np.float32)
    seen = np.array(present)
    clean = rng.random(b) < 0.15  # some bring motion capture
    p += _jitter_rand(rng, b, t, clean) * height_px[:, :, None, None]
    _swap_rand(rng, p, seen, clean)
    _coarsen_rand(rng, p)
    _hide_rand(rng, seen, clean)
    _outliers_rand(rng, p, height_px, clean)
    # some estimators and all motion capture go on outside the picture, others stop at its edge; and a person who
    # is hardly in the picture at all teaches nothing
    within = inside(p, image_size)
    cut = (rng.random(b) < 0.6) & (within.mean(axis=(1, 2)) > 0.6)
    seen &= within | ~cut[:, None, None]
    return p, seen


def mirrored(points: Floats, present: Bools, image_size: Floats, which: Bools) -> tuple[Floats, Bools]:
    """Mirror images of the clips `which` `[B]`: left becomes right in the picture and in the body.

    Means over both sides, which is all that is estimated, do not change.
    """
    flipped = points[:, :, MIRROR].copy()
    flipped[..., 0] = image_size[:, None, None, 0] - 1.0 - flipped[..., 0]
    w = which[:, None, None]
    return np.where(w[..., None], flipped, points), np.where(w, present[:, :, MIRROR], present)


def _jitter_rand(rng: np.random.Generator, b: int, t: int, clean: Bools) -> NDArray[np.float32]:
    """White noise and slow wander, `[B, T, 17, 2]` in body heights."""
    level = np.where(clean, 0.001, np.exp(rng.uniform(np.log(0.002), np.log(0.012), b)))
    white = rng.standard_normal((b, t, N_KEYPOINTS, 2), dtype=np.float32)
    knots = rng.standard_normal((b, t // 6 + 2, N_KEYPOINTS, 2), dtype=np.float32)
    at = np.linspace(0, knots.shape[1] - 1.001, t)
    low = at.astype(int)
    share = (at - low).astype(np.float32)[None, :, None, None]
    slow = knots[:, low] * (1 - share) + knots[:, low + 1] * share
    scale = (level[:, None] * _LOOSENESS).astype(np.float32)[:, None, :, None]
    split = rng.uniform(0.2, 0.8, (b, 1, 1, 1)).astype(np.float32)
    noise: NDArray[np.float32] = scale * (np.sqrt(split) * white + np.sqrt(1 - split) * slow)
    # trackers often smooth their own output
    smooth = rng.random(b) < 0.3
    if smooth.any():
        noise[smooth] = gaussian_filter1d(noise[smooth], 0.05 * RATE_HZ, axis=1, mode="nearest")
    return noise


def _spans_rand(rng: np.random.Generator, t: int, share: float, longest: int) -> slice:
    """One random stretch of a clip; `share` of it may be anywhere."""
    length = int(rng.integers(2, max(3, min(longest, int(t * share)) + 1)))
    begin = int(rng.integers(0, max(1, t - length)))
    return slice(begin, begin + length)


def _swap_rand(rng: np.random.Generator, p: Floats, seen: Bools, clean: Bools) -> None:
    """Bursts in which left and right legs are taken for each other, in place."""
    b, t = len(p), int(p.shape[1])
    legs = np.array([*KNEES, *ANKLES])
    for i in np.flatnonzero((rng.random(b) < 0.25) & ~clean):
        for _ in range(int(rng.integers(1, 5))):
            span = _spans_rand(rng, t, 0.2, int(0.4 * RATE_HZ))
            p[i, span, legs[:, None]] = p[i, span, MIRROR[legs][:, None]]
            seen[i, span, legs[:, None]] = seen[i, span, MIRROR[legs][:, None]]


def _coarsen_rand(rng: np.random.Generator, p: Floats) -> None:
    """A lower picture rate and its straight lines between, in place."""
    b, t = len(p), int(p.shape[1])
    for i in np.flatnonzero(rng.random(b) < 0.15):
        rate = float(rng.uniform(10.0, 29.0))
        at = np.arange(t) / RATE_HZ
        knots = np.arange(int(at[-1] * rate) + 2) / rate
        x = np.clip(knots * RATE_HZ, 0, t - 1.001)
        low = x.astype(int)
        share = (x - low)[:, None, None]
        coarse = p[i, low] * (1 - share) + p[i, low + 1] * share
        y = np.clip(at * rate, 0, len(knots) - 1.001)
        low = y.astype(int)
        share = (y - low)[:, None, None]
        p[i] = coarse[low] * (1 - share) + coarse[low + 1] * share


def _hide_rand(rng: np.random.Generator, seen: Bools, clean: Bools) -> None:
    """Drop single detections, limbs for a while, faces and arms for good, whole pictures; in place."""
    b, t = len(seen), int(seen.shape[1])
    rate = np.where(clean, 0.0, rng.uniform(0.0, 0.08, b) * (rng.random(b) < 0.6))
    seen &= rng.random(seen.shape, dtype=np.float32) >= rate[:, None, None]
    pictures = np.where(rng.random(b) < 0.2, rng.uniform(0.0, 0.1, b), 0.0)
    seen &= (rng.random((b, t)) >= pictures[:, None])[..., None]
    seen &= ~((rng.random(b) < 0.25)[:, None, None] & _mask(_FACE))
    seen &= ~((rng.random(b) < 0.08)[:, None, None] & _mask(_ARMS))
    for i in np.flatnonzero((rng.random(b) < 0.3) & ~clean):
        for _ in range(int(rng.integers(1, 4))):
            span = _spans_rand(rng, t, 0.3, int(1.0 * RATE_HZ))
            limb = _LIMBS[int(rng.integers(0, len(_LIMBS)))]
            seen[i, span, np.array(limb)[:, None]] = False
    for i in np.flatnonzero(rng.random(b) < 0.05):
        seen[i, _spans_rand(rng, t, 0.25, int(0.7 * RATE_HZ))] = False


def _mask(indices: tuple[int, ...]) -> Bools:
    return np.isin(np.arange(N_KEYPOINTS), indices)


def _outliers_rand(rng: np.random.Generator, p: Floats, height_px: Floats, clean: Bools) -> None:
    """A few detections far off, in place."""
    b = len(p)
    share = np.where((rng.random(b) < 0.3) & ~clean, 0.01, 0.0)
    which = rng.random(p.shape[:3], dtype=np.float32) < share[:, None, None]
    at = np.nonzero(which)
    p[at] += rng.normal(0.0, 0.15, (len(at[0]), 2)).astype(np.float32) * height_px[at[0], at[1], None]
