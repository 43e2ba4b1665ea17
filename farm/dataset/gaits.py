"""Gaits as the reader hands them out: one without padding, a cut of one, or many padded into a batch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from farm.dataset.schema import find
from farm.errors import FormatError, UserError
from farm.gait.resample import StoredWalk

FRAMES = "frames"
"""What a view's decoded pictures are called among a gait's arrays: "views/side/frames", `[F, H, W, 3]` uint8."""

Arrays = Mapping[str, NDArray[Any]]


@dataclass(frozen=True, eq=False)
class Gait:
    """One gait, without padding.

    Attributes:
        row: Its row of the index: condition, every parameter, every label.
        arrays: By path, such as "coordinates" `[T, Q]` or "views/side/keypoints_2d" `[F, K, 2]`.
        attributes: The shard's: names of coordinates, bodies, muscles, keypoints; rates.
    """

    sample_id: int
    row: Mapping[str, Any]
    arrays: Arrays
    attributes: Mapping[str, Any]

    def __getitem__(self, path: str) -> NDArray[Any]:
        return self.arrays[path]

    @property
    def walk(self) -> StoredWalk:
        """Its poses, for `farm.gait.resample.body_pose_at`, which gives them at any moment.

        Raises:
            UserError: The gait was read without "body_pose", or the dataset was pulled without.
        """
        if "body_pose" not in self.arrays:
            raise UserError(f"gait {self.sample_id} was read without 'body_pose'; name it among the fields")
        bodies = tuple(map(str, self.attributes["bodies"]))
        return StoredWalk(float(self.attributes["sample_rate_hz"]), bodies, self.arrays["body_pose"])


@dataclass(frozen=True, eq=False)
class GaitBatch:
    """Several gaits with their arrays stacked: `[B, ...]`, padded as in the dataset, NaN in floats, 0 in integers.

    Attributes:
        sample_ids: `[B]` int64.
        rows: Of the index, one for each gait.
        arrays: By path; `n_samples`, `n_frames` `[B]` say how much of each gait is valid.
        attributes: Of the first gait's shard.
    """

    sample_ids: NDArray[np.int64]
    rows: tuple[Mapping[str, Any], ...]
    arrays: Arrays
    attributes: Mapping[str, Any]

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, path: str) -> NDArray[Any]:
        return self.arrays[path]

    def column(self, name: str) -> NDArray[np.float64]:
        """A column of the index as numbers `[B]`, such as "gait_speed"; NaN where it is not defined.

        Raises:
            UserError: There is no such column, or it holds words.
        """
        return numbers(self.rows, name)


def numbers(rows: Sequence[Mapping[str, Any]], name: str) -> NDArray[np.float64]:
    """A column of index rows as numbers; NaN where a row has none.

    Raises:
        UserError: No row has the column, or it holds words.
    """
    if not any(name in row for row in rows):
        raise UserError(f"the index has no column {name!r}; `gaitfarm info` lists them")
    try:
        return np.array([np.nan if (value := row.get(name)) is None else float(value) for row in rows])
    except ValueError:
        raise UserError(f"the column {name!r} holds words; take numbers, such as 'gait_speed'") from None


def length_of(path: str) -> str | None:
    """The array that says how much of this one is valid, or None if it is not padded."""
    if path.endswith(f"/{FRAMES}"):
        return "n_frames"
    item = find(path)
    return item.spec.length if item else None


def cut(gait: Gait, cut_s: float, chance: float) -> Gait:
    """A stretch of `cut_s` seconds out of a gait, beginning at a picture; all of it, if it is no longer than that.

    Args:
        gait: With `n_samples` and `n_frames` among its arrays.
        chance: In [0, 1): 0 begins at the first picture, and just below 1 as late as possible.

    Returns:
        The stretch. Events that fall into it keep their times relative to its beginning; lengths are the stretch's.
    """
    _, n_samples = cut_lengths(gait.attributes, cut_s)
    frames = cut_frames(gait, cut_s, chance)
    begin_s = frames.start / float(gait.attributes["frame_rate_hz"])
    first_sample = round(begin_s * float(gait.attributes["sample_rate_hz"]))
    slices = {"n_frames": frames, "n_samples": slice(first_sample, first_sample + n_samples)}
    kept: dict[str, slice | NDArray[np.bool_]] = dict(slices)
    if "event_time" in gait.arrays:
        times = gait["event_time"]
        kept["n_events"] = (times >= begin_s) & (times < begin_s + cut_s)
    arrays: dict[str, NDArray[Any]] = {}
    for path, value in gait.arrays.items():
        length = length_of(path)
        arrays[path] = value[kept[length]] if length in kept else value
    if "event_time" in arrays:
        arrays["event_time"] = arrays["event_time"] - np.float32(begin_s)
        arrays["n_events"] = np.array(len(arrays["event_time"]), gait["n_events"].dtype)
    for name, part in slices.items():
        left = max(0, int(gait[name]) - part.start)
        arrays[name] = np.array(min(left, part.stop - part.start), gait[name].dtype)
    return replace(gait, arrays=arrays)


def cut_frames(gait: Gait, cut_s: float, chance: float) -> slice:
    """The pictures that `cut` takes out of a gait; the slice may end beyond the last one."""
    n_frames, _ = cut_lengths(gait.attributes, cut_s)
    first = int(chance * (max(0, int(gait["n_frames"]) - n_frames) + 1))
    return slice(first, first + n_frames)


def cut_lengths(attributes: Mapping[str, Any], cut_s: float) -> tuple[int, int]:
    """Pictures and samples in a stretch of `cut_s` seconds, at least one of each."""
    rates = (float(attributes["frame_rate_hz"]), float(attributes["sample_rate_hz"]))
    frames, samples = (max(1, round(cut_s * rate)) for rate in rates)
    return frames, samples


def collate(gaits: Sequence[Gait], cut_s: float | None = None) -> GaitBatch:
    """Several gaits as a batch, padded to the longest, or to `cut_s` seconds where that is given.

    Raises:
        UserError: The gaits' arrays cannot be stacked.
    """
    attributes = gaits[0].attributes
    at_least: dict[str, int] = {}
    if cut_s is not None:
        at_least["n_frames"], at_least["n_samples"] = cut_lengths(attributes, cut_s)
    arrays = {
        path: _stacked(path, [gait[path] for gait in gaits], at_least.get(length_of(path) or "", 0))
        for path in gaits[0].arrays
    }
    ids = np.array([gait.sample_id for gait in gaits], dtype=np.int64)
    return GaitBatch(ids, tuple(gait.row for gait in gaits), arrays, attributes)


def _stacked(path: str, values: Sequence[NDArray[Any]], at_least: int) -> NDArray[Any]:
    if length_of(path) is None:
        if len({value.shape for value in values}) != 1:
            raise UserError(f"{path} differs in length from gait to gait and cannot be batched; leave batch_size out")
        return np.stack(values)
    rest = values[0].shape[1:]
    if any(value.shape[1:] != rest for value in values):
        shapes = ", ".join(str(list(value.shape)) for value in values[:4])
        raise FormatError(f"{path} has the shapes {shapes} in one batch; run `gaitfarm verify`")
    longest = max(at_least, *(len(value) for value in values))
    padding = np.nan if np.issubdtype(values[0].dtype, np.floating) else 0
    out = np.full((len(values), longest, *rest), padding, dtype=values[0].dtype)
    for number, value in enumerate(values):
        out[number, : len(value)] = value
    return out
