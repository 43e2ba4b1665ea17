"""Gait parameters from anybody's keypoints: a file in, five numbers out.

Neither Ray nor a dataset is needed, only torch and a checkpoint.
"""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from farm.errors import FormatError
from workers.train.estimator import GaitEstimator, gait_from_outputs, load
from workers.train.keypoints import N_KEYPOINTS, RATE_HZ, features, resample
from workers.train.noise import mirrored
from workers.train.variation import LABELS

WINDOW_S, HOP_S = 6.0, 2.0
"""Long clips are estimated in windows as long as the longest that training shows, and averaged."""

MIN_CLIP_S = 1.5
"""Less shows no whole stride of a slow walker."""

MIN_SEEN_S = 1.0
MIN_CONFIDENCE = 0.25
"""Below this an estimator's guess harms more than a gap (COCO's usual threshold for drawing is 0.3)."""

RATE_RANGE_HZ = (5.0, 1000.0)
WINDOWS_TOGETHER = 64
WANTED = (
    "wanted: keypoints_2d [F,17,2] px in COCO-17 order, fps, image_size (width, height), "
    "optionally visibility or confidence [F,17]"
)


@dataclass(frozen=True)
class KeypointClip:
    """Somebody's clip.

    Attributes:
        points: `[F, 17, 2]` px, COCO-17; whatever where not present.
        present: `[F, 17]` where there is a keypoint to believe in.
        rate_hz: Pictures per second.
        image_size: Width, height, px.
    """

    points: NDArray[Any]
    present: NDArray[np.bool_]
    rate_hz: float
    image_size: tuple[float, float]


def believed(points: NDArray[Any], visibility: NDArray[Any] | None) -> NDArray[np.bool_]:
    """`[F, 17]` keypoints to use: finite, and visible or confident enough.

    `visibility` (named so, or `confidence`) counts as COCO's and the farm's code where a number
    exceeds 1 (0 outside or not labelled, 1 occluded, 2 visible), otherwise as a confidence of 0 to 1.
    """
    present: NDArray[np.bool_] = np.isfinite(points).all(axis=-1)
    if visibility is None:
        # (0, 0) is how most estimators write "not found"; nobody's joint lies exactly in the corner
        present &= (points != 0).any(axis=-1)
        return present
    known = np.nan_to_num(np.asarray(visibility, dtype=float), nan=0.0)
    coded = known.max(initial=0.0) > 1.0
    present &= known > 0.0 if coded else known >= MIN_CONFIDENCE
    return present


def estimate(model: GaitEstimator, clips: Sequence[KeypointClip]) -> NDArray[np.float64]:
    """`[N, 5]` by `variation.LABELS`: windows, and each window's mirror image, averaged (geometrically).

    Raises:
        ValueError: A clip is too short, or shows nobody for long enough; the message says which and by how much.
    """
    pieces: list[tuple[int, NDArray[Any], NDArray[np.bool_], tuple[float, float]]] = []
    for number, clip in enumerate(clips):
        points, present = _trimmed(clip)
        n, hop = int(WINDOW_S * RATE_HZ), int(HOP_S * RATE_HZ)
        starts = sorted({*range(0, max(1, len(points) - n + 1), hop), max(0, len(points) - n)})
        pieces += [(number, points[s : s + n], present[s : s + n], clip.image_size) for s in starts]
    by_length: dict[int, list[int]] = {}
    for i, piece in enumerate(pieces):
        by_length.setdefault(len(piece[1]), []).append(i)
    total = np.zeros((len(clips), 4))
    weight = np.zeros((len(clips), 1))
    for indices in by_length.values():
        for first in range(0, len(indices), WINDOWS_TOGETHER):
            chosen = [pieces[i] for i in indices[first : first + WINDOWS_TOGETHER]]
            points, present = np.stack([p[1] for p in chosen]), np.stack([p[2] for p in chosen])
            size = np.array([p[3] for p in chosen], dtype=float)
            out, seen = _outputs(model, points, present, size)
            which = [p[0] for p in chosen]
            np.add.at(total, which, out * seen)
            np.add.at(weight, which, seen)
    answer = gait_from_outputs(torch.from_numpy(total / np.maximum(weight, 1e-9)))
    return answer.numpy()


def _outputs(
    model: GaitEstimator, points: NDArray[Any], present: NDArray[np.bool_], size: NDArray[Any]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Standardised outputs `[W, 4]` of windows, and `[W, 1]` the share of each in which somebody is seen."""
    device = next(model.parameters()).device
    outs = []
    seen = np.ones((len(points), 1))
    for flip in (False, True):
        seen_points, seen_present = mirrored(points, present, size, np.full(len(points), flip))
        f = features(seen_points, seen_present, size)
        seen = f.valid.mean(axis=1, keepdims=True)
        with torch.inference_mode():
            out = model(*(torch.from_numpy(x).to(device) for x in (f.frames, f.whole, f.valid)))
        outs.append(out.double().cpu().numpy())
    return np.mean(outs, axis=0), seen


def _trimmed(clip: KeypointClip) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """The clip at `RATE_HZ`, without the pictures before and after the person is in view."""
    duration = (len(clip.points) - 1) / clip.rate_hz
    if duration + 1 / clip.rate_hz < MIN_CLIP_S:
        raise ValueError(
            f"{len(clip.points)} pictures at {clip.rate_hz:g} per second are {duration + 1 / clip.rate_hz:.2f} s, "
            f"too short to see a gait; wanted: about 2 s or more ({MIN_CLIP_S:g} s at the very least)"
        )
    points, present = resample(clip.points, clip.present, clip.rate_hz)
    there = np.flatnonzero(present.sum(axis=1) >= 4)
    if len(there) < MIN_SEEN_S * RATE_HZ:
        raise ValueError(
            f"a person (4 keypoints or more) is seen for only {len(there) / RATE_HZ:.2f} s of {duration:.2f} s; "
            f"wanted: {MIN_SEEN_S:g} s or more of finite keypoints with confidence of at least {MIN_CONFIDENCE:g}"
        )
    span = slice(there[0], there[-1] + 1)
    return points[span], present[span]


def read_keypoints(path: Path) -> KeypointClip:
    """A keypoint file, checked.

    Raises:
        FormatError: One line that names the file, what came and what is wanted.
    """
    try:
        # opened here, because numpy leaves a path that is no whole archive open
        with path.open("rb") as raw:
            file = np.load(raw, allow_pickle=False)
            if not isinstance(file, np.lib.npyio.NpzFile):
                raise FormatError(f"{path}: a single array (.npy), not an .npz file; {WANTED}")
            missing = [name for name in ("keypoints_2d", "fps", "image_size") if name not in file]
            if missing:
                came = ", ".join(file.files) or "nothing"
                raise FormatError(f"{path}: {', '.join(missing)} missing (it holds {came}); {WANTED}")
            names = ("keypoints_2d", "fps", "image_size", "visibility", "confidence")
            arrays = {name: file[name] for name in names if name in file}
    except FormatError:
        raise
    except FileNotFoundError:
        raise FormatError(f"{path}: there is no such file; {WANTED}") from None
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, KeyError) as error:
        reason = "it holds pickled objects, which may run code" if "pickle" in str(error).lower() else str(error)
        raise FormatError(
            f"{path}: not a plain .npz file ({reason.splitlines()[0] if reason else 'empty'}); {WANTED}"
        ) from None
    return _checked(path, arrays)


def _checked(path: Path, arrays: dict[str, NDArray[Any]]) -> KeypointClip:
    for name, array in arrays.items():
        if array.dtype.kind not in "fiub":
            raise FormatError(f"{path}: {name} has dtype {array.dtype}, not numbers; {WANTED}")
    points = arrays["keypoints_2d"].astype(float)
    if points.ndim != 3 or points.shape[1:] != (N_KEYPOINTS, 2):
        raise FormatError(f"{path}: keypoints_2d has shape {list(points.shape)}; {WANTED}")
    if arrays["fps"].size != 1:
        raise FormatError(f"{path}: fps has shape {list(arrays['fps'].shape)}, not one number; {WANTED}")
    fps = float(arrays["fps"].reshape(()))
    low, high = RATE_RANGE_HZ
    if not low <= fps <= high:
        raise FormatError(f"{path}: fps is {fps:g}; wanted: pictures per second, {low:g} to {high:g}")
    size = arrays["image_size"].astype(float).ravel()
    if size.shape != (2,) or not (np.isfinite(size).all() and (size >= 1).all()):
        raise FormatError(
            f"{path}: image_size is {arrays['image_size'].tolist()}; wanted: two positive numbers, "
            "width and height in px"
        )
    visibility = arrays.get("visibility", arrays.get("confidence"))
    if visibility is not None and visibility.shape != points.shape[:2]:
        name = "visibility" if "visibility" in arrays else "confidence"
        raise FormatError(
            f"{path}: {name} has shape {list(visibility.shape)}; wanted: {list(points.shape[:2])}, as keypoints_2d"
        )
    return KeypointClip(points, believed(points, visibility), fps, (float(size[0]), float(size[1])))


def predict_file(model: GaitEstimator, path: Path) -> dict[str, str | float]:
    """One file's answer: `file` and the five of `variation.LABELS` (m/s, m, s, steps/min, m).

    Raises:
        FormatError: The file is not what is wanted.
    """
    clip = read_keypoints(Path(path))
    try:
        values = estimate(model, [clip])[0]
    except ValueError as error:
        raise FormatError(f"{path}: {error}") from None
    return {"file": str(path)} | {name: round(float(v), 4) for name, v in zip(LABELS, values, strict=True)}


def load_model(checkpoint: Path) -> GaitEstimator:
    """The estimator of a checkpoint file or of a folder that `gaitfarm train` made; on the CPU."""
    return load(Path(checkpoint))[0]
