"""What a check of labels counts, and what it says where a label is wrong."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

MAX_FRAMES_NAMED = 8


@dataclass(frozen=True)
class WrongLabel:
    """One label, or a run of them, that cannot be true.

    Attributes:
        check: Which check found it, see `LAWS`.
        view: None where no picture is concerned.
        frames: Numbers of the pictures, the first of them at most.
        joint: Name of the keypoint, None where none is concerned.
    """

    check: str
    sample_id: int
    view: str | None
    frames: tuple[int, ...]
    joint: str | None
    what: str

    def __str__(self) -> str:
        places = [f"sample {self.sample_id}"]
        places += [f"view {self.view}"] if self.view is not None else []
        if self.frames:
            places.append(f"picture{'s' if len(self.frames) > 1 else ''} {', '.join(map(str, self.frames))}")
        places += [self.joint] if self.joint is not None else []
        return f"{', '.join(places)}: {self.what} [{self.check}]"


@dataclass(frozen=True)
class Law:
    """What must hold of a whole dataset.

    Attributes:
        what: Which cases hold, out of which.
        limit: The least share that must hold.
    """

    what: str
    limit: float


LAWS: Mapping[str, Law] = {
    "reprojection": Law("keypoints_2d where keypoints_3d projects to", 1.0),
    "own_part": Law("visible keypoints on their own part in the mask, to the pixel, where it is at most 1.5 cm", 0.97),
    "beside_own_part": Law("visible keypoints on their own part or a pixel beside it", 0.97),
    "box_holds_mask": Law("pictures whose mask lies within the box", 1.0),
    "box_is_tight": Law("sides of the box that touch the mask, where nothing hides the walker", 0.97),
    "visible_is_in_front": Law("visible keypoints no deeper under the depth picture's surface than their flesh", 0.97),
    "occluded_is_behind": Law("occluded keypoints behind the depth picture's surface", 0.97),
    "floor": Law("depth pixels before the walker's feet that lie on the floor, to 1 cm", 0.9),
    "walker_above_floor": Law("depth pixels of the walker above the floor, to 1 cm", 0.99),
    "two_views": Law("surface points of one view that no other view sees through, to 1 cm", 0.99),
    "events": Law("foot strikes that begin, and foot offs that end, a loaded foot's contact", 1.0),
    "weight": Law("walks whose mean vertical force is the body's weight, to 5 %", 1.0),
}
"""By check: what is counted, and the share that must hold over a dataset."""


@dataclass
class Tally:
    """Counts of one or more gaits; what is wrong, by name; and figures that are worth a line."""

    holds: dict[str, int] = field(default_factory=dict)
    of: dict[str, int] = field(default_factory=dict)
    figures: dict[str, list[float]] = field(default_factory=dict)
    wrong: list[WrongLabel] = field(default_factory=list)

    def count(self, check: str, holds: NDArray[np.bool_]) -> None:
        """Add cases, each of which holds or does not."""
        self.holds[check] = self.holds.get(check, 0) + int(np.count_nonzero(holds))
        self.of[check] = self.of.get(check, 0) + int(holds.size)

    def note(self, figure: str, values: NDArray[Any]) -> None:
        """Keep a figure's values; of many, evenly taken ones (quantiles of thousands are true to a percent)."""
        flat = np.asarray(values, dtype=float).ravel()
        flat = flat[np.isfinite(flat)]
        self.figures.setdefault(figure, []).extend(flat[:: max(1, len(flat) // 2000)].tolist())

    def add(self, other: Tally) -> None:
        """Take in another gait's."""
        for mine, theirs in ((self.holds, other.holds), (self.of, other.of)):
            for check, number in theirs.items():
                mine[check] = mine.get(check, 0) + number
        for figure, values in other.figures.items():
            self.figures.setdefault(figure, []).extend(values)
        self.wrong += other.wrong

    def share(self, check: str) -> float | None:
        """Share of the cases that hold; None without a case."""
        return self.holds[check] / self.of[check] if self.of.get(check) else None


def first(frames: Iterable[int] | NDArray[Any]) -> tuple[int, ...]:
    """The frames that a finding names."""
    return tuple(int(frame) for frame in list(frames)[:MAX_FRAMES_NAMED])
