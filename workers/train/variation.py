"""Other walks from the walks we have: every change to the keypoints changes the labels by the same law.

A farm of a dozen gaits has a dozen speeds, statures and step widths; a network
would learn them by heart. Each clip is therefore varied, in three dimensions and
before any camera sees it, in ways whose effect on the labels is known exactly:

- *body size*, by dynamic similarity: lengths times s, times times sqrt(s) (equal
  Froude number; Alexander & Jayes 1983, J Zool 201:135);
- *speed*, along the law by which people really change speed, step length ~ v^0.528
  and cadence ~ v^0.473 (fit to 51 adults on a treadmill, 0.34 to 1.77 m/s, BMClab
  data, CC BY 4.0; scatter 8 % log-SD of each), by stretching strides in space and
  clips in time;
- *what a planar walker lacks*: its feet run on rails under its hips, so step width,
  lateral sway, pelvis rotation and list are constants from which a network would
  read the label instead of from the picture. Width is drawn anew and the feet are
  moved to match; sway and rotation follow the step's own rhythm; paths curve a little;
- *joint definitions*: the keypoints of a pose estimator, and markers, are not our
  joint centres; each sample gets its own constant offsets.

`vary` is deterministic; `variation_rand` draws. B clips, T moments, 17 keypoints,
world axes of `farm.axes` (x along the walk, y up, z right), metres, seconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from farm.sampling.anatomy import GENERIC_STATURE_M
from workers.train.keypoints import ANKLES, HIPS, KNEES, N_KEYPOINTS, RATE_HZ, SHOULDERS, K

Floats = NDArray[np.floating[Any]]

LABELS: tuple[str, ...] = ("gait_speed", "step_length", "step_time", "cadence", "step_width")
"""What is estimated, by the names and units of `farm.gait.parameters`: m/s, m, s, steps/min, m."""

STEP_LENGTH_EXPONENT = 0.528
CADENCE_EXPONENT = 0.473
LAW_LOG_SD = 0.06
"""Scatter of step length and cadence about the law within one group of age (young adults)."""

SPEED_RANGE_M_S = (0.30, 2.10)
SPEED_FACTOR = (0.55, 1.70)
STATURE_RANGE_M = (1.42, 2.00)
STEP_WIDTH_M = (0.02, 0.30)

_UPPER = tuple(i for i in range(N_KEYPOINTS) if i not in (*HIPS, *KNEES, *ANKLES))
_HEAD = tuple(K[n] for n in ("nose", "left_eye", "right_eye", "left_ear", "right_ear"))
_ARMS = ((K["left_elbow"], K["left_wrist"]), (K["right_elbow"], K["right_wrist"]))
_OUTWARD = (-1.0, 1.0)
"""z of a left and of a right foot that moves outward."""


@dataclass(frozen=True)
class Variation:
    """How each of B clips is changed. `[B]` unless said otherwise.

    Attributes:
        body_scale: s, lengths of everything.
        time_scale: Duration after over duration before, dynamic similarity included.
        stride_scale: Step length after over before, at equal body size.
        step_width_m: Step width after, before body scaling.
        sway_m: Amplitude of the pelvis towards the stance foot.
        pelvis_rotation_rad: Amplitude of the hips' turn with the leading leg.
        shoulder_rotation_rad: Amplitude of the shoulders' counter-turn.
        pelvis_list_rad: Amplitude of the drop of the swing side.
        curvature_1_m: Of the path; positive bends to the right.
        lean_rad: Turn of everything above the hips forward.
        girdle_scale: `[B, 2]` width of shoulders and of hips.
        offset_m: `[B, 17, 3]` constant shift of each keypoint.
        knee_slide: `[B, 2]` shift of each knee along its leg, as a share of the leg.
    """

    body_scale: Floats
    time_scale: Floats
    stride_scale: Floats
    step_width_m: Floats
    sway_m: Floats
    pelvis_rotation_rad: Floats
    shoulder_rotation_rad: Floats
    pelvis_list_rad: Floats
    curvature_1_m: Floats
    lean_rad: Floats
    girdle_scale: Floats
    offset_m: Floats
    knee_slide: Floats


def varied_labels(labels: Floats, variation: Variation) -> NDArray[np.float64]:
    """`[B, 5]` by `LABELS`, after the variation."""
    speed, step, time, cadence, _ = np.asarray(labels, dtype=float).T
    length = variation.body_scale * variation.stride_scale
    return np.stack(
        [
            speed * length / variation.time_scale,
            step * length,
            time * variation.time_scale,
            cadence / variation.time_scale,
            variation.step_width_m * variation.body_scale,
        ],
        axis=-1,
    )


def unchanged(labels: Floats) -> Variation:
    """The variation that changes nothing."""
    b = len(labels)
    one, zero = np.ones(b), np.zeros(b)
    width = np.asarray(labels, dtype=float)[:, LABELS.index("step_width")]
    return Variation(
        one, one, one, width, zero, zero, zero, zero, zero, zero,
        np.ones((b, 2)), np.zeros((b, N_KEYPOINTS, 3)), np.zeros((b, 2)),
    )  # fmt: skip


def retimed(labels: Floats, body_scale: Floats, time_scale: Floats) -> Variation:
    """Only size and tempo: all that can be changed about a clip that a camera has already seen.

    A picture of a body s times as large from s times as far is the same picture.
    """
    still = unchanged(labels)
    fields = {name: getattr(still, name) for name in Variation.__dataclass_fields__}
    return Variation(**fields | {"body_scale": body_scale, "time_scale": time_scale})


def variation_rand(rng: np.random.Generator, labels: Floats, stature_m: Floats, *, planar: Floats) -> Variation:
    """Draw a variation for each clip.

    Args:
        rng: Source of randomness.
        labels: `[B, 5]` of the clips as they are.
        stature_m: `[B]`.
        planar: `[B]` 1 where the walker moves in the sagittal plane only, 0 where it has its own sway and
            pelvis motion, which is then left alone.
    """
    b = len(labels)
    labels = np.asarray(labels, dtype=float)
    speed, width = labels[:, 0], labels[:, 4]
    body_scale = np.clip(
        np.exp(rng.normal(0.0, 0.06, b)), STATURE_RANGE_M[0] / stature_m, STATURE_RANGE_M[1] / stature_m
    )
    # a third keep their own speed, a third change it a little, a third go anywhere that people go
    anywhere = np.exp(rng.uniform(np.log(SPEED_RANGE_M_S[0]), np.log(SPEED_RANGE_M_S[1]), b)) / np.maximum(speed, 1e-3)
    modest = np.exp(rng.normal(0.0, 0.12, b))
    which = rng.integers(0, 3, b)
    factor = np.clip(np.choose(which, [np.ones(b), modest, anywhere]), *SPEED_FACTOR)
    scatter = np.exp(rng.normal(0.0, LAW_LOG_SD, (2, b)))
    pick = rng.random(b)
    drawn_width = np.where(pick < 0.7, rng.normal(0.10, 0.045, b), rng.uniform(0.02, 0.28, b))
    new_width = np.where(
        (planar > 0) | (pick > 0.5), np.clip(drawn_width, *STEP_WIDTH_M), np.maximum(width, STEP_WIDTH_M[0])
    )
    size = stature_m / GENERIC_STATURE_M
    offset = rng.normal(0.0, 0.010, (b, N_KEYPOINTS, 3)) * [1.0, 1.0, 0.7]
    shared = rng.normal(0.0, 0.012, (b, N_KEYPOINTS, 3)) * [1.0, 1.0, 0.0]
    # a definition ("the hip is higher up") is shared by both sides
    for pair in (HIPS, KNEES, ANKLES, SHOULDERS):
        shared[:, pair[1]] = shared[:, pair[0]]
    return Variation(
        body_scale=body_scale,
        time_scale=np.sqrt(body_scale) * factor**-CADENCE_EXPONENT * scatter[0],
        stride_scale=factor**STEP_LENGTH_EXPONENT * scatter[1],
        step_width_m=new_width,
        sway_m=planar * (rng.uniform(0.0, 0.025, b) + 0.1 * new_width) * size,
        pelvis_rotation_rad=planar * rng.uniform(0.0, np.deg2rad(9.0), b),
        shoulder_rotation_rad=planar * rng.uniform(0.0, np.deg2rad(8.0), b),
        pelvis_list_rad=planar * rng.uniform(0.0, np.deg2rad(5.0), b),
        curvature_1_m=rng.normal(0.0, 0.015, b),
        lean_rad=np.where(rng.random(b) < 0.4, rng.normal(np.deg2rad(3.0), np.deg2rad(6.0), b), 0.0),
        girdle_scale=rng.uniform([0.8, 0.8], [1.25, 1.4], (b, 2)),
        offset_m=(offset + shared) * size[:, None, None],
        knee_slide=np.repeat(rng.normal(0.0, 0.02, (b, 1)), 2, axis=1),
    )


def vary(points: Floats, step_width_m: Floats, variation: Variation) -> NDArray[np.float64]:
    """The keypoints after the variation, in space; time is the caller's, who samples the clip.

    Args:
        points: `[B, T, 17, 3]` m, already at their new tempo.
        step_width_m: `[B]` before the variation.
        variation: What to change.

    Returns:
        `[B, T, 17, 3]` m, starting at x = 0.
    """
    p: Floats = np.array(points, dtype=float)
    p[..., 0] -= p[:, :1, HIPS, 0].mean(axis=2, keepdims=True)
    p = _stretch(p, variation.stride_scale)
    _widen(p, step_width_m, variation)
    _turn_girdles(p, variation)
    _lean(p, variation.lean_rad)
    for i in range(2):
        leg = p[:, :, HIPS[i]] - p[:, :, ANKLES[i]]
        p[:, :, KNEES[i]] += leg * variation.knee_slide[:, i, None, None]
    p += variation.offset_m[:, None]
    p = _bend(p, variation.curvature_1_m)
    out: NDArray[np.float64] = p * variation.body_scale[:, None, None, None]
    return out


def _stance_share(p: Floats) -> NDArray[np.float64]:
    """`[B, T, 2]` how much each foot (left, right) carries, from the ankles' heights alone: sums to 1."""
    height = p[:, :, ANKLES, 1]
    low = height.min(axis=2, keepdims=True)
    share = np.exp(-(height - low) / 0.015)
    share = share / share.sum(axis=2, keepdims=True)
    out: NDArray[np.float64] = gaussian_filter1d(share, 0.07 * RATE_HZ, axis=1, mode="nearest")
    return out


def _stretch(p: Floats, stride_scale: Floats) -> Floats:
    """Longer or shorter strides: forward motion of pelvis and legs is scaled, so a planted foot stays planted.

    The stance leg keeps its length: the pelvis rides lower on longer steps, as
    an inverted pendulum does, and everything above rides with it.
    """
    a = stride_scale[:, None]
    out = np.array(p)
    hip = p[:, :, HIPS].mean(axis=2)
    advance = hip[..., 0] * (a - 1.0)
    share = _stance_share(p)
    drop = np.zeros(p.shape[:2])
    relative = []
    for i in range(2):
        dx = p[:, :, ANKLES[i], 0] - hip[..., 0]
        dy = hip[..., 1] - p[:, :, ANKLES[i], 1]
        new = np.sqrt(np.maximum(dx**2 * (1.0 - a**2) + dy**2, (0.5 * dy) ** 2))
        drop += share[..., i] * (new - dy)
        relative.append(dx)
    drop = gaussian_filter1d(drop, 0.05 * RATE_HZ, axis=1, mode="nearest")
    out[..., 0] += advance[..., None]
    for i in range(2):
        out[:, :, ANKLES[i], 0] += relative[i] * (a - 1.0)
        out[:, :, KNEES[i], 0] += (p[:, :, KNEES[i], 0] - hip[..., 0]) * (a - 1.0)
        rise = (p[:, :, KNEES[i], 1] - p[:, :, ANKLES[i], 1]) / np.maximum(hip[..., 1] - p[:, :, ANKLES[i], 1], 0.1)
        out[:, :, KNEES[i], 1] += drop * np.clip(rise, 0.0, 1.0)
    out[:, :, HIPS, 1] += drop[..., None]
    out[:, :, _UPPER, 1] += drop[..., None]
    return out


def _widen(p: Floats, step_width_m: Floats, variation: Variation) -> None:
    """Move the feet apart (the knees half as far) and the pelvis from foot to foot, in place."""
    outward = (variation.step_width_m - step_width_m)[:, None] / 2.0
    share = _stance_share(p)
    # share_right - share_left runs between about -1 and 1 with every stride
    sway = variation.sway_m[:, None] * (share[..., 1] - share[..., 0])
    for i in range(2):
        p[:, :, ANKLES[i], 2] += _OUTWARD[i] * outward
        p[:, :, KNEES[i], 2] += _OUTWARD[i] * outward / 2.0 + sway / 2.0
    p[:, :, HIPS, 2] += sway[..., None]
    body = [i for i in _UPPER if i not in _HEAD]
    p[:, :, body, 2] += sway[..., None]
    p[:, :, _HEAD, 2] += 0.8 * sway[..., None]


def _turn_girdles(p: Floats, variation: Variation) -> None:
    """Hips turn with the leading leg, shoulders against it; the swing side drops; widths change. In place."""
    lead = p[:, :, ANKLES[1], 0] - p[:, :, ANKLES[0], 0]
    lead = np.clip(lead / np.maximum(np.quantile(np.abs(lead), 0.9, axis=1, keepdims=True), 1e-3), -1.2, 1.2)
    share = _stance_share(p)
    tilt = variation.pelvis_list_rad[:, None] * (share[..., 1] - share[..., 0])
    for pair, angle, scale, drop in (
        (HIPS, variation.pelvis_rotation_rad[:, None] * lead, variation.girdle_scale[:, 1], tilt),
        (SHOULDERS, -variation.shoulder_rotation_rad[:, None] * lead, variation.girdle_scale[:, 0], 0.0 * tilt),
    ):
        middle = p[:, :, pair].mean(axis=2)
        for i in range(2):
            half = (p[:, :, pair[i]] - middle) * scale[:, None, None]
            z = half[..., 2].copy()
            # a positive turn brings the right side (positive z) forward; standing on the right drops the left
            half[..., 0] += z * np.sin(angle)
            half[..., 2] = z * np.cos(angle)
            half[..., 1] += z * np.sin(drop)
            moved = middle + half - p[:, :, pair[i]]
            p[:, :, pair[i]] += moved
            if pair is SHOULDERS:
                p[:, :, _ARMS[i]] += moved[:, :, None]


def _lean(p: Floats, lean_rad: Floats) -> None:
    """Turn everything above the hips forward about the hips' axis, in place."""
    pivot = p[:, :, HIPS].mean(axis=2)[:, :, None]
    c, s = np.cos(lean_rad)[:, None, None], np.sin(lean_rad)[:, None, None]
    r = p[:, :, _UPPER] - pivot
    x, y = r[..., 0], r[..., 1]
    p[:, :, _UPPER] = pivot + np.stack([c * x + s * y, c * y - s * x, r[..., 2]], axis=-1)


def _bend(p: Floats, curvature_1_m: Floats) -> Floats:
    """Wrap the straight path onto a circle's arc; lengths along the path's centre stay."""
    k = np.where(np.abs(curvature_1_m) < 1e-6, 1e-6, curvature_1_m)[:, None, None]
    x, z = p[..., 0], p[..., 2]
    turn = k * x
    out = np.array(p)
    out[..., 0] = np.sin(turn) / k - z * np.sin(turn)
    out[..., 2] = (1.0 - np.cos(turn)) / k + z * np.cos(turn)
    return out
