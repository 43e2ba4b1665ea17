"""One gait as training sees it, read from a dataset; and batches of varied, filmed and disturbed gaits.

A `GaitClip` is small (about 0.1 MB): three-dimensional keypoints, five labels,
and the keypoints of the farm's own views. No picture is decoded. `batch_rand`
makes a training batch of clips: new walks (`variation`), before new cameras
(`cameras`) or the stored ones, through a poor estimator's eyes (`noise`), into
the form that the network reads (`keypoints`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workers.train.cameras import cameras_rand, project
from workers.train.keypoints import HIPS, N_KEYPOINTS, RATE_HZ, Features, apparent_height, features
from workers.train.noise import mirrored, noisy_rand
from workers.train.variation import LABELS, retimed, variation_rand, varied_labels, vary

Floats = NDArray[np.floating[Any]]

STORED_SHARE = 0.2
"""Share of a batch that keeps a camera of the dataset; the rest is filmed anew."""

PLANAR_SWAY_M = 0.004
"""A walker whose hips sway less than this (SD) has no frontal-plane motion of its own; people's is about 0.02 m."""

OUTSIDE, OCCLUDED = 0, 1
"""Values of a stored view's `visibility`; 2 is visible."""


@dataclass(frozen=True)
class ClipView:
    """One stored camera: `points` `[F, 17, 2]` px, `visibility` `[F, 17]` 0, 1, 2, `image_size` (width, height)."""

    name: str
    points: NDArray[np.float32]
    visibility: NDArray[np.uint8]
    image_size: tuple[float, float]


@dataclass(frozen=True)
class GaitClip:
    """What training keeps of one gait.

    Attributes:
        sample_id: Number in its campaign.
        points: `[F, 17, 3]` m, world axes, COCO order.
        rate_hz: Pictures per second.
        labels: `[5]` by `variation.LABELS`.
        stature_m: Of the walker.
        views: Stored cameras.
    """

    sample_id: int
    points: NDArray[np.float32]
    rate_hz: float
    labels: NDArray[np.float64]
    stature_m: float
    views: tuple[ClipView, ...] = ()

    @property
    def duration_s(self) -> float:
        return (len(self.points) - 1) / self.rate_hz

    @property
    def planar(self) -> float:
        """1.0 if the walker has no sideways motion of its own."""
        return float(self.points[:, HIPS, 2].mean(axis=1).std() < PLANAR_SWAY_M)

    @property
    def nbytes(self) -> int:
        return self.points.nbytes + sum(view.points.nbytes + view.visibility.nbytes for view in self.views)


@dataclass(frozen=True)
class Batch:
    """Features of B clips with their truths: `labels` `[B, 5]` by `variation.LABELS`, `stature_m` `[B]`."""

    features: Features
    labels: NDArray[np.float64]
    stature_m: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.labels)


def batch_rand(
    rng: np.random.Generator, clips: Sequence[GaitClip], n_moments: int, *, stored_share: float = STORED_SHARE
) -> Batch:
    """A training batch: one random, varied, filmed and disturbed cut of each clip.

    Args:
        rng: Source of randomness; with `clips` and `n_moments` it determines the batch.
        clips: B gaits, repeated at will.
        n_moments: Length of the cut at `RATE_HZ`; a gait that is shorter leaves the rest empty.
        stored_share: Probability that a stored view is used instead of a virtual camera.
    """
    stored = np.array([bool(clip.views) for clip in clips]) & (rng.random(len(clips)) < stored_share)
    parts = []
    for choose, film in ((~stored, _film_anew_rand), (stored, _stored_rand)):
        chosen = [clip for clip, c in zip(clips, choose, strict=True) if c]
        if chosen:
            parts.append(film(rng, chosen, n_moments))
    points, present, size, labels, stature = (np.concatenate(part) for part in zip(*parts, strict=True))
    height, _ = apparent_height(points, present)
    points, present = noisy_rand(rng, points, present, height, size)
    points, present = mirrored(points, present, size, rng.random(len(points)) < 0.5)
    return Batch(features(points, present, size), labels, stature)


_Filmed = tuple[Floats, NDArray[np.bool_], Floats, Floats, Floats]


def _film_anew_rand(rng: np.random.Generator, clips: Sequence[GaitClip], n_moments: int) -> _Filmed:
    labels = np.stack([clip.labels for clip in clips])
    stature = np.array([clip.stature_m for clip in clips])
    variation = variation_rand(rng, labels, stature, planar=np.array([clip.planar for clip in clips]))
    moments, within = _moments_rand(rng, clips, n_moments, variation.time_scale)
    walk = np.stack([_at(clip.points, m) for clip, m in zip(clips, moments, strict=True)])
    walk = vary(walk, labels[:, LABELS.index("step_width")], variation)
    stature = stature * variation.body_scale
    cameras = cameras_rand(rng, walk, stature)
    points, before = project(walk, cameras)
    return points, before & within[..., None], cameras.image_size, varied_labels(labels, variation), stature


def _stored_rand(rng: np.random.Generator, clips: Sequence[GaitClip], n_moments: int) -> _Filmed:
    labels = np.stack([clip.labels for clip in clips])
    stature = np.array([clip.stature_m for clip in clips])
    body_scale = np.clip(np.exp(rng.normal(0.0, 0.06, len(clips))), 1.42 / stature, 2.0 / stature)
    variation = retimed(labels, body_scale, np.sqrt(body_scale) * np.exp(rng.normal(0.0, 0.04, len(clips))))
    moments, within = _moments_rand(rng, clips, n_moments, variation.time_scale)
    views = [clip.views[int(rng.integers(0, len(clip.views)))] for clip in clips]
    points = np.stack([_at(np.nan_to_num(view.points), m) for view, m in zip(views, moments, strict=True)])
    nearest = [np.rint(m).astype(int) for m in moments]
    visibility = np.stack([view.visibility[m] for view, m in zip(views, nearest, strict=True)])
    known = np.stack([np.isfinite(view.points[m]).all(axis=-1) for view, m in zip(views, nearest, strict=True)])
    # what an estimator gives of hidden and of outlying keypoints differs: all, those in the picture, those in sight
    least = rng.choice([OUTSIDE, OCCLUDED, OCCLUDED + 1], len(clips), p=[0.35, 0.5, 0.15])
    present = known & within[..., None] & (visibility >= least[:, None, None])
    size = np.array([view.image_size for view in views], dtype=float)
    return points, present, size, varied_labels(labels, variation), stature * body_scale


def _moments_rand(
    rng: np.random.Generator, clips: Sequence[GaitClip], n_moments: int, time_scale: Floats
) -> tuple[list[Floats], NDArray[np.bool_]]:
    """Where in each clip's pictures the cut's moments lie (fractional index), and which lie within the clip."""
    moments, within = [], []
    for clip, scale in zip(clips, time_scale, strict=True):
        step = clip.rate_hz / RATE_HZ / scale
        last = len(clip.points) - 1
        begin = rng.random() * max(0.0, last - step * (n_moments - 1))
        at = begin + step * np.arange(n_moments)
        moments.append(np.minimum(at, last))
        within.append(at <= last + 1e-6)
    return moments, np.stack(within)


def _at(values: Floats, index: Floats) -> Floats:
    """`[T, ...]` values at fractional indices, by straight lines."""
    low = np.minimum(index.astype(int), len(values) - 2)
    share = (index - low).reshape(-1, *([1] * (values.ndim - 1)))
    out: Floats = values[low] * (1 - share) + values[low + 1] * share
    return out


def usable(clip: GaitClip) -> bool:
    """Whether a gait can be learned from: whole labels, at least a second of walking."""
    return bool(np.isfinite(clip.labels).all() and clip.duration_s >= 1.0 and np.isfinite(clip.points).all()
                and clip.points.shape[1:] == (N_KEYPOINTS, 3))  # fmt: skip
