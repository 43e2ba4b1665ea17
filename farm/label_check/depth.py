"""Depth pictures against keypoints, the floor, and each other.

Distances along the optical axis become world points through the stored camera. Then a
keypoint that is called visible lies under the surface by no more than its flesh, what is
called occluded lies behind one, the floor is at height 0, and what one view sees of the
walker no other view sees through.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from farm.gait.keypoints import FLOOR_Y_M, OWN_FLESH
from farm.label_check.findings import Tally
from farm.label_check.view import JOINT_SHARE, OCCLUDED, SEEN_ENOUGH, VISIBLE, ViewLabels
from farm.projection import project, unproject

Array = NDArray[np.float64]

SURFACE_M = 0.01
"""Depth pictures are to lie on the 3D surface to so much."""

BEFORE_SKIN_M = 0.03
"""A keypoint may stand out of the skin by so much: nose, heel, toe and ear lie on it, hair and cloth are beside it."""

FLESH_SLACK_M = 0.02
FRAMES_COMPARED = 24
"""Pictures of a gait, evenly taken, that two views are compared in."""

FLOOR_SHARE = 0.15
"""The floor is looked for so far below the walker's box, as a share of its height."""


def check_depth(labels: ViewLabels, tally: Tally) -> None:
    """One view's depth picture against keypoints and floor."""
    assert labels.depth_m is not None
    under = labels.distance[..., None] - labels.nearby(labels.depth_m)
    flesh = np.array([OWN_FLESH[name][1] if name in OWN_FLESH else np.inf for name in labels.keypoints]) * labels.size
    with np.errstate(invalid="ignore"):
        as_deep = (under > -BEFORE_SKIN_M) & (under < flesh[:, None] + FLESH_SLACK_M)
        behind = under > 0
    seen, hidden = labels.visibility == VISIBLE, labels.visibility == OCCLUDED
    front, back = as_deep.any(axis=-1), behind.any(axis=-1)
    tally.count("visible_is_in_front", front[seen])
    tally.count("occluded_is_behind", back[hidden])
    tally.note("depth_over_keypoint_m", under[..., 0][seen & front])
    for check, cases, holds, words in (
        ("visible_is_in_front", seen, front, "is called visible, and the depth picture has no surface of its flesh"),
        ("occluded_is_behind", hidden, back, "is called occluded, and the depth picture has nothing before it"),
    ):
        for column, joint in enumerate(labels.keypoints):
            count, bad = int(cases[:, column].sum()), np.flatnonzero(cases[:, column] & ~holds[:, column])
            if count >= SEEN_ENOUGH and len(bad) > (1.0 - JOINT_SHARE) * count:
                tally.wrong.append(labels.wrong(check, bad, f"{words} in {len(bad)} of {count} pictures", joint))
    if not labels.rolls and labels.mask is not None:
        check_floor(labels, tally)


def check_floor(labels: ViewLabels, tally: Tally) -> None:
    """Just before the walker's feet lies the floor, and nothing of the walker is below it."""
    assert labels.mask is not None
    assert labels.depth_m is not None
    heights = np.full(len(labels.box), np.nan)
    width, height = labels.image_size
    for frame in np.flatnonzero(np.isfinite(labels.box).all(axis=1)).tolist():
        x0, y0, x1, y1 = labels.box[frame]
        below = int(np.ceil(y1)) + 2
        rows = slice(below, min(height, below + max(2, int(FLOOR_SHARE * (y1 - y0)))))
        columns = slice(max(0, int(x0)), min(width, int(x1) + 1))
        there = np.isfinite(labels.depth_m[frame, rows, columns]) & (labels.mask[frame, rows, columns] == 0)
        y, x = np.nonzero(there)
        if len(y) >= SEEN_ENOUGH:
            place = _surface(labels, frame, x + columns.start, y + rows.start)
            heights[frame] = np.median(place[:, 1]) - FLOOR_Y_M
    found = np.isfinite(heights)
    holds = np.abs(heights[found]) <= SURFACE_M
    tally.count("floor", holds)
    tally.note("floor_height_m", heights[found])
    if found.any() and holds.mean() < 1.0 - JOINT_SHARE:
        bad = np.flatnonzero(found)[~holds]
        what = f"the depth picture puts the floor at {np.median(heights[bad]):+.3f} m"
        tally.wrong.append(labels.wrong("floor", bad, what))
    for frame in _some(len(labels.mask)):
        y, x = np.nonzero((labels.mask[frame] > 0) & np.isfinite(labels.depth_m[frame]))
        above = _surface(labels, frame, x, y)[:, 1] > FLOOR_Y_M - SURFACE_M
        tally.count("walker_above_floor", above)
        if above.size and above.mean() < JOINT_SHARE:
            tally.wrong.append(labels.wrong("walker_above_floor", [frame], "the depth picture puts the walker into the "
                                            "floor"))  # fmt: skip


def check_views(views: Sequence[ViewLabels], tally: Tally) -> None:
    """No view sees through what another one sees of the walker at the same moment."""
    able = [view for view in views if view.depth_m is not None and view.mask is not None and not view.rolls]
    for one in able:
        for other in able:
            if one is not other:
                _compare(one, other, tally)


def _compare(one: ViewLabels, other: ViewLabels, tally: Tally) -> None:
    assert one.mask is not None
    assert one.depth_m is not None
    assert other.mask is not None
    assert other.depth_m is not None
    through = []
    width, height = other.image_size
    for frame in _some(len(one.mask)):
        y, x = np.nonzero((one.mask[frame] > 0) & np.isfinite(one.depth_m[frame]))
        place = _surface(one, frame, x, y)
        lens = (other.intrinsics, other.distortion)
        pixels, distance = (found[0] for found in project(place[None], other.world_from_camera[frame, None], *lens))
        with np.errstate(invalid="ignore"):
            inside = (distance > 0) & np.all((pixels >= 1) & (pixels < np.array([width, height]) - 2), axis=-1)
        column, row = np.rint(pixels[inside]).astype(int).T
        depth = np.nan_to_num(other.depth_m[frame], nan=np.inf)
        nearest = np.min([depth[row + i, column + j] for i in (-1, 0, 1) for j in (-1, 0, 1)], axis=0)
        holds = nearest <= distance[inside] + SURFACE_M
        tally.count("two_views", holds)
        same = other.mask[frame, row, column] == one.mask[frame, y[inside], x[inside]]
        off = distance[inside] - depth[row, column]
        tally.note("two_views_apart_m", np.abs(off[same & (np.abs(off) < 4 * SURFACE_M)]))
        if holds.size and holds.mean() < 0.9:
            through.append(frame)
    if through:
        what = f"view {other.view} sees through what this view's depth picture has of the walker"
        tally.wrong.append(one.wrong("two_views", through, what))


def _surface(labels: ViewLabels, frame: int, x: NDArray[np.int64], y: NDArray[np.int64]) -> Array:
    """World points `[n, 3]` of a depth picture's pixels."""
    assert labels.depth_m is not None
    pixels = np.stack([x, y], axis=-1).astype(float)
    distance = labels.depth_m[frame, y, x].astype(float)
    pose = labels.world_from_camera[frame, None]
    return np.asarray(unproject(pixels[None], distance[None], pose, labels.intrinsics, labels.distortion)[0])


def _some(count: int) -> list[int]:
    """Numbers of the pictures that are looked at."""
    spread = np.linspace(0, count - 1, min(count, FRAMES_COMPARED)).round().astype(int)
    return [int(number) for number in np.unique(spread)]
