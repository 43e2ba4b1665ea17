"""Anybody's 2D keypoints, of any view, picture size, rate and length, in one form that a network can learn from.

A network that saw pixels would learn one camera. It sees instead the person in
units of the person's own apparent height, and beside that the few cues that an
uncalibrated camera leaves of metric scale and of motion in depth: how tall the
person appears in the picture, how that changes, and how the person crosses it.
Training and prediction both come through `features`, so that they cannot differ.

Shapes: B clips, T moments at `RATE_HZ`, 17 keypoints in COCO's order
(`farm.sampling.anatomy.COCO_KEYPOINTS`); picture axes x right, y down, pixels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import convolve1d

from farm.sampling.anatomy import COCO_KEYPOINTS

Floats = NDArray[np.floating[Any]]
Bools = NDArray[np.bool_]

RATE_HZ = 30.0
"""Every clip is resampled to this; walking needs less (99.7 % of its markers' power lies below 6 Hz, Winter 2009)."""

MAX_GAP_S = 0.25
"""Gaps up to half a step are bridged by a straight line; longer ones stay missing."""

N_LAGS = 46
"""Autocorrelation lags, 0 to 1.5 s: the stride of a brisk walk and the step of a very slow one lie within."""

K = {name: i for i, name in enumerate(COCO_KEYPOINTS)}
N_KEYPOINTS = len(COCO_KEYPOINTS)
MIRROR = np.array([K[n.replace("left", "#").replace("right", "left").replace("#", "right")] for n in COCO_KEYPOINTS])
"""`points[..., MIRROR, :]` exchanges left and right."""

HIPS = (K["left_hip"], K["right_hip"])
SHOULDERS = (K["left_shoulder"], K["right_shoulder"])
KNEES = (K["left_knee"], K["right_knee"])
ANKLES = (K["left_ankle"], K["right_ankle"])
WRISTS = (K["left_wrist"], K["right_wrist"])

TRUNK_OF_STATURE = 0.288
LEG_OF_STATURE = 0.459
"""Hip to shoulder, and hip to knee to ankle, over stature: the generic body of `farm.sampling.anatomy`."""

CHANNELS: tuple[str, ...] = (
    *(f"{name}_{axis}" for name in COCO_KEYPOINTS for axis in "xy"),
    *(f"{name}_present" for name in COCO_KEYPOINTS),
    "picture_x", "picture_y", "shift_x", "shift_y", "velocity_x", "velocity_y",
    "log_size", "log_size_change", "size_rate", "depth_rate",
    "left_ankle_velocity_x", "left_ankle_velocity_y", "right_ankle_velocity_x", "right_ankle_velocity_y",
)  # fmt: skip
PAIRS = (HIPS, KNEES, ANKLES, SHOULDERS)
N_RHYTHMS, N_SPREADS = 3, 6 * len(PAIRS) + 1
N_WHOLE = N_RHYTHMS * N_LAGS + N_SPREADS


@dataclass(frozen=True)
class Features:
    """What the network reads.

    Attributes:
        frames: `[B, T, C]` float32 by `CHANNELS`, of order one; 0 where missing.
        whole: `[B, N_WHOLE]` float32, the clip as a whole: `rhythm`, then `spread`.
        valid: `[B, T]` where the clip has a person at all.
    """

    frames: NDArray[np.float32]
    whole: NDArray[np.float32]
    valid: Bools


def resample(points: Floats, present: Bools, rate_hz: float) -> tuple[NDArray[np.float32], Bools]:
    """A clip at `RATE_HZ`.

    Args:
        points: `[F, 17, 2]` px at `rate_hz`; what is not present may be NaN.
        present: `[F, 17]`.
        rate_hz: Pictures per second of the input.

    Returns:
        `[T, 17, 2]` and `[T, 17]`; a keypoint counts as present where its neighbours in time are at most
        `MAX_GAP_S` (or one source picture) apart. Straight lines between neighbours; above 1.5 times
        `RATE_HZ` a Gaussian takes out what the new rate cannot carry.
    """
    n = len(points)
    if rate_hz > 1.5 * RATE_HZ:
        points = _smooth(
            np.where(present[..., None], points, 0.0), present[..., None], 0.35 * rate_hz / RATE_HZ, axis=0
        )
    time = np.arange(n) / rate_hz
    # half a source interval of slack: 60 pictures at 30 Hz are 60 moments, whatever rounding says
    target = np.arange(int(np.floor(time[-1] * RATE_HZ + 1e-6)) + 1) / RATE_HZ
    out = np.zeros((len(target), points.shape[1], 2), dtype=np.float32)
    seen = np.zeros(out.shape[:2], dtype=bool)
    reach = max(MAX_GAP_S, 1.5 / rate_hz)
    for k in range(points.shape[1]):
        at = time[present[:, k]]
        if len(at) < 2:
            continue
        for axis in range(2):
            out[:, k, axis] = np.interp(target, at, points[present[:, k], k, axis])
        after = np.clip(np.searchsorted(at, target - 1e-9), 1, len(at) - 1)
        inside = (target >= at[0] - 0.5 / rate_hz) & (target <= at[-1] + 0.5 / rate_hz)
        seen[:, k] = inside & (at[after] - at[after - 1] <= reach + 1e-9)
    return np.where(seen[..., None], out, np.float32(0)), seen


def _gaussian(sigma: float) -> NDArray[np.float32]:
    half = max(1, int(np.ceil(3 * sigma)))
    kernel = np.exp(-0.5 * (np.arange(-half, half + 1) / sigma) ** 2)
    out: NDArray[np.float32] = (kernel / kernel.sum()).astype(np.float32)
    return out


def _smooth(values: Floats, weight: Floats | Bools, sigma: float, *, axis: int) -> NDArray[np.float32]:
    """Gaussian mean along `axis` of what has weight; 0 where nothing is near."""
    kernel = _gaussian(sigma)
    w = np.asarray(weight, dtype=np.float32)
    above = convolve1d(np.asarray(values, dtype=np.float32) * w, kernel, axis=axis, mode="constant")
    below = convolve1d(np.broadcast_to(w, np.shape(values)), kernel, axis=axis, mode="constant")
    out: NDArray[np.float32] = above / np.maximum(below, 1e-6)
    return out


def fill(values: Floats, present: Bools) -> NDArray[np.float32]:
    """Straight lines across what is missing in time, the nearest value before the first and after the last.

    Args:
        values: `[B, T, ...]`.
        present: `[B, T, ...]`, same shape.

    Returns:
        `[B, T, ...]`; 0 where a series has no value at all.
    """
    n = values.shape[1]
    index = np.arange(n).reshape(1, n, *([1] * (values.ndim - 2)))
    before = np.maximum.accumulate(np.where(present, index, -1), axis=1)
    after = np.minimum.accumulate(np.where(present, index, n)[:, ::-1], axis=1)[:, ::-1]
    empty = (before < 0) & (after >= n)
    low = np.where(before < 0, np.minimum(after, n - 1), before)
    high = np.where(after >= n, np.maximum(before, 0), after)
    span = np.maximum(high - low, 1)
    share = ((index - low) / span).clip(0.0, 1.0).astype(np.float32)
    clean = np.where(present, values, 0.0).astype(np.float32)
    a, b = np.take_along_axis(clean, low, axis=1), np.take_along_axis(clean, high, axis=1)
    out: NDArray[np.float32] = np.where(empty, np.float32(0), a + share * (b - a))
    return out


def _middle(points: Floats, present: Bools, pair: tuple[int, int]) -> tuple[Floats, Bools]:
    """Midpoint of a left-right pair; the one that is there stands in for the other."""
    w = present[..., pair, None].astype(np.float32)
    total = w.sum(axis=-2)
    middle = (np.where(w > 0, points[..., pair, :], 0.0) * w).sum(axis=-2) / np.maximum(total, 1.0)
    return middle, total[..., 0] > 0


def apparent_height(points: Floats, present: Bools) -> tuple[NDArray[np.float32], Bools]:
    """How tall the person appears, upright, in pixels: trunk plus the longer leg, over their share of stature.

    Neither the bounding box nor head-to-ankle is used: arms, bent knees and a
    stoop move them, and COCO has neither vertex nor heel.

    Args:
        points: `[B, T, 17, 2]` px.
        present: `[B, T, 17]`.

    Returns:
        `[B, T]` px, smoothed over about half a second and filled where it cannot be seen; and `[B, T]`,
        where it was seen. 1 px for a clip in which it is seen nowhere.
    """
    hips, has_hips = _middle(points, present, HIPS)
    shoulders, has_shoulders = _middle(points, present, SHOULDERS)
    trunk = np.linalg.norm(shoulders - hips, axis=-1)
    has_trunk = has_hips & has_shoulders
    legs = np.zeros((*points.shape[:2], 2), dtype=np.float32)
    for i in range(2):
        chain = points[..., (HIPS[i], KNEES[i], ANKLES[i]), :]
        whole = present[..., (HIPS[i], KNEES[i], ANKLES[i])].all(axis=-1)
        legs[..., i] = np.where(whole, np.linalg.norm(np.diff(chain, axis=-2), axis=-1).sum(axis=-1), 0.0)
    leg = legs.max(axis=-1)
    has_leg = leg > 0
    share = has_trunk * TRUNK_OF_STATURE + has_leg * LEG_OF_STATURE
    raw = (np.where(has_trunk, trunk, 0.0) + leg) / np.maximum(share, 1e-6)
    seen = (share > 0) & (raw > 0)
    log_raw = np.log(np.maximum(raw, 1e-3))
    # one wild detection must not rescale its neighbours: nobody's apparent height trebles within a clip
    # against its own median, save by walking up to the lens
    with_nan = np.where(seen, log_raw, np.nan)
    has_any = seen.any(axis=1, keepdims=True)
    centre = np.zeros((len(points), 1))
    centre[has_any[:, 0], 0] = np.nanmedian(with_nan[has_any[:, 0]], axis=1)
    log_raw = np.clip(log_raw, centre - np.log(3.0), centre + np.log(3.0))
    smooth = _filtered(fill(log_raw - centre, seen), _gaussian(0.2 * RATE_HZ))
    height: NDArray[np.float32] = np.exp(smooth + centre).astype(np.float32)
    return height, seen


def _filtered(values: Floats, kernel: NDArray[np.float32]) -> NDArray[np.float32]:
    """Convolution along time of `[B, T, ...]`; odd reflection keeps a straight path straight up to its ends."""
    n, half = values.shape[1], len(kernel) // 2
    reach = min(half, n - 1)
    x = np.asarray(values, dtype=np.float32)
    left = 2 * x[:, :1] - x[:, reach:0:-1]
    right = (
        2 * x[:, -1:] - x[:, n - 2 : n - 2 - reach : -1] if n - 2 - reach >= 0 else 2 * x[:, -1:] - x[:, n - 2 :: -1]
    )
    padded = np.concatenate([left, x, right[:, :reach]], axis=1)
    out: NDArray[np.float32] = convolve1d(padded, kernel, axis=1, mode="nearest")[:, reach : reach + n]
    return out


def _rate(values: Floats, sigma_s: float) -> NDArray[np.float32]:
    """Time derivative `[B, T, ...]` per second, by the derivative of a Gaussian."""
    sigma = sigma_s * RATE_HZ
    kernel = _gaussian(sigma)
    half = len(kernel) // 2
    lags = np.arange(-half, half + 1)
    slope = kernel * lags
    slope = (slope / (slope * lags).sum()).astype(np.float32)
    return _filtered(values, slope[::-1]) * np.float32(RATE_HZ)


def rhythm(relative: Floats) -> NDArray[np.float32]:
    """Normalised autocorrelation of three left-right differences, lags 0 to `N_LAGS - 1`.

    Walking is antisymmetric: the signed differences turn over at the step time
    and come back at the stride time. The unsigned one repeats with every step
    and does not care when an estimator mixes up left and right.

    Args:
        relative: `[B, T, 17, 2]` in apparent heights, without gaps.

    Returns:
        `[B, 3, N_LAGS]`, 1 at lag 0.
    """
    pairs = {name: relative[..., pair[1], :] - relative[..., pair[0], :] for name, pair in
             (("ankles", ANKLES), ("knees", KNEES), ("wrists", WRISTS))}  # fmt: skip
    legs = np.concatenate([pairs["ankles"], pairs["knees"]], axis=-1)
    spread = np.linalg.norm(pairs["ankles"], axis=-1, keepdims=True)
    return np.stack([_autocorrelation(x) for x in (legs, pairs["wrists"], spread)], axis=1)


def _autocorrelation(signal: Floats) -> NDArray[np.float32]:
    """Sum over channels of the unbiased autocovariance `[B, N_LAGS]`, over its value at lag 0."""
    n = signal.shape[1]
    x = signal - signal.mean(axis=1, keepdims=True)
    size = 1 << int(np.ceil(np.log2(n + N_LAGS)))
    spectrum = np.fft.rfft(x, size, axis=1)
    covariance = np.fft.irfft(np.abs(spectrum) ** 2, size, axis=1)[:, :N_LAGS].sum(axis=-1)
    overlap = np.maximum(n - np.arange(N_LAGS), 1)
    covariance = np.where(np.arange(N_LAGS) < n - 8, covariance / overlap, 0.0)
    out: NDArray[np.float32] = (covariance / np.maximum(covariance[:, :1], 1e-9)).astype(np.float32)
    return np.clip(out, -2.0, 2.0)


def spread(relative: Floats, valid: Bools) -> NDArray[np.float32]:
    """How far apart left and right are: what step width and step length look like in one picture of the clip.

    Seen from ahead or behind, the mean distance of the ankles across is the step
    width (the share that comes from strides cancels over them); seen from the
    side, their largest distance is the step. Means over moments are exact where
    a convolution's pooled features would have to find them.

    Args:
        relative: `[B, T, 17, 2]` in apparent heights, without gaps.
        valid: `[B, T]` moments that count.

    Returns:
        `[B, N_SPREADS]`: for each of `PAIRS` mean, its magnitude, and SD of right minus left in x and y, then the 95th
        percentile of the ankles' distance; scaled to order one.
    """
    w = valid[:, :, None].astype(np.float32)
    n = np.maximum(w.sum(axis=1), 1.0)
    columns = []
    for left, right in PAIRS:
        apart = relative[:, :, right] - relative[:, :, left]
        mean = (apart * w).sum(axis=1) / n
        deviation = np.sqrt((((apart - mean[:, None]) * w) ** 2).sum(axis=1) / n)
        columns += [mean * 8.0, np.abs(mean) * 8.0, deviation * 5.0]
    ankles = np.linalg.norm(relative[:, :, ANKLES[1]] - relative[:, :, ANKLES[0]], axis=-1)
    columns.append(np.quantile(np.where(valid, ankles, 0.0), 0.95, axis=1)[:, None] * 3.0)
    out: NDArray[np.float32] = np.concatenate(columns, axis=1).astype(np.float32)
    return np.clip(out, -5.0, 5.0)


def features(points: Floats, present: Bools, image_size: Floats) -> Features:
    """Normalise clips at `RATE_HZ` into what the network reads.

    Nothing changes when pixels are scaled together with the picture's size.

    Args:
        points: `[B, T, 17, 2]` px.
        present: `[B, T, 17]`.
        image_size: `[B, 2]` width and height in px.
    """
    present = present & np.isfinite(points).all(axis=-1)
    points = np.where(present[..., None], points, 0.0).astype(np.float32)
    # the diagonal stands for the field of view: cameras' focal length over it varies less than over width or
    # height, which trade places when a phone is turned
    diagonal = np.linalg.norm(image_size, axis=-1).astype(np.float32)[:, None]
    middle = (np.asarray(image_size, dtype=np.float32) / 2)[:, None, :]
    height, _ = apparent_height(points, present)
    hips, has_hips = _middle(points, present, HIPS)
    centre = fill(hips, np.repeat(has_hips[..., None], 2, axis=-1))
    steady = _filtered(centre, _gaussian(0.1 * RATE_HZ))
    scale = height[..., None]
    relative = (points - steady[:, :, None]) / scale[..., None]
    # six body heights off the hips is a false detection, whoever it was
    present = present & (np.abs(relative) < 6.0).all(axis=-1)
    whole = fill(relative, np.repeat(present[..., None], 2, axis=-1))
    log_size = np.log(height / diagonal)
    typical = np.exp(np.mean(np.log(height), axis=1))[:, None, None]
    path = steady / typical
    ankles = whole[:, :, ANKLES, :] * scale[..., None] + steady[:, :, None]
    ankle_velocity = _rate(ankles, 0.04) / scale[..., None] * present[:, :, ANKLES, None]
    frames = np.concatenate(
        [
            (np.where(present[..., None], whole, 0.0) * 2.0).reshape(*points.shape[:2], -1),
            present,
            (steady - middle) / diagonal[..., None] * 3.0,
            path - path.mean(axis=1, keepdims=True),
            _rate(steady, 0.1) / scale,
            (log_size + 1.0)[..., None],
            (log_size - log_size.mean(axis=1, keepdims=True))[..., None] * 4.0,
            _rate(log_size, 0.25)[..., None] * 4.0,
            # depth is focal length times stature over apparent height: its rate is the speed towards the
            # lens in statures per second, up to the unknown focal length over the diagonal
            np.clip(_rate(diagonal / height, 0.25), -4.0, 4.0)[..., None],
            ankle_velocity.reshape(*points.shape[:2], -1),
        ],
        axis=-1,
    )
    valid = present.sum(axis=-1) >= 4  # fewer than four keypoints say nothing about a gait
    frames = np.clip(frames, -8.0, 8.0) * valid[..., None]
    summary = np.concatenate([rhythm(whole).reshape(len(points), -1), spread(whole, valid)], axis=1)
    return Features(frames.astype(np.float32), summary, valid)
