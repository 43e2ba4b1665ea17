"""One view of one gait: keypoints, boxes and masks against each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from farm.gait.keypoints import OWN_FLESH, own_parts
from farm.label_check.findings import Tally, WrongLabel, first
from farm.label_check.moments import project_rolling
from farm.projection import in_camera, project

Array = NDArray[np.float64]

OUTSIDE, OCCLUDED, VISIBLE = 0, 1, 2
"""Codes of `visibility`."""

PROJECTION_PX = 0.05
"""Stored in float32, a camera 10 m away places a point to a hundredth of a pixel in 1000."""

ROLLING_PX = 1.5
"""Between pictures a rolling shutter's motion is interpolated here, and was simulated there."""

BOX_SLACK_PX = 1.5
"""The box holds the outline's points, the mask the centres of pixels; an outline's straight edges bulge a little."""

TIGHT_PX = 3.0
"""A foot or hand that is thinner than a pixel shows in the box and may miss every pixel's centre."""

FINE_M = 0.015
"""Breadth of a pixel up to which keypoints must hit their part to the pixel: landmarks lie 5 to 15 mm beneath skin."""

SEEN_ENOUGH = 5
JOINT_SHARE = 0.5
"""A joint that is seen in so many pictures of a view, and misses its part in so large a share of them, is named."""


@dataclass(frozen=True)
class ViewLabels:
    """What a dataset stores of one view of one gait, without padding.

    Attributes:
        points: `[F, K, 3]` m, world axes: `keypoints_3d`.
        parts: Names of the mask's ids.
        frame_s: Seconds from picture to picture.
        size: Stature relative to the generic body.
        mask, depth_m: `[F, H, W]`, depth in m, NaN where nothing is; None where not stored.
    """

    sample_id: int
    view: str
    keypoints: tuple[str, ...]
    points: Array
    pixels: Array
    visibility: NDArray[np.uint8]
    world_from_camera: Array
    intrinsics: Array
    distortion: Array
    shutter: Array
    box: Array
    image_size: tuple[int, int]
    frame_s: float
    size: float
    parts: tuple[str, ...]
    mask: NDArray[np.uint8] | None
    depth_m: NDArray[np.float32] | None

    @property
    def rolls(self) -> bool:
        """Whether rows were exposed one after the other."""
        return bool(self.shutter[1] > 0)

    @property
    def distance(self) -> Array:
        """`[F, K]` m of each keypoint along the optical axis."""
        return np.asarray(in_camera(self.points, self.world_from_camera)[..., 2])

    def nearby(self, picture: NDArray[Any], reach: int = 1) -> NDArray[Any]:
        """The pixels around each keypoint: `[F, K, N]`, the nearest one first; the edge's beyond the edge."""
        width, height = self.image_size
        x, y = np.moveaxis(np.rint(np.nan_to_num(self.pixels, nan=-1e6)), -1, 0)
        offsets = [(0, 0), *((i, j) for i in range(-reach, reach + 1) for j in range(-reach, reach + 1) if i or j)]
        frame = np.arange(len(picture))[:, None]
        columns = [np.clip(x + dx, 0, width - 1).astype(int) for dx, _ in offsets]
        rows = [np.clip(y + dy, 0, height - 1).astype(int) for _, dy in offsets]
        return np.stack([picture[frame, row, column] for row, column in zip(rows, columns, strict=True)], axis=-1)

    def wrong(
        self, check: str, frames: Sequence[int] | NDArray[Any], what: str, joint: str | None = None
    ) -> WrongLabel:
        """A finding in this view."""
        return WrongLabel(check, self.sample_id, self.view, first(frames), joint, what)


def check_view(labels: ViewLabels) -> Tally:
    """Everything that can be told without a depth picture."""
    tally = Tally()
    check_projection(labels, tally)
    if labels.mask is not None:
        check_parts(labels, tally)
        check_boxes(labels, tally)
    return tally


def check_projection(labels: ViewLabels, tally: Tally) -> None:
    """`keypoints_3d` seen by the stored camera gives `keypoints_2d`, and what is outside is said to be."""
    lens = (labels.intrinsics, labels.distortion)
    if labels.rolls:
        expected = project_rolling(
            labels.points, labels.world_from_camera, *lens, labels.shutter[1], labels.frame_s, labels.image_size[1]
        )
    else:
        expected = project(labels.points, labels.world_from_camera, *lens)[0]
    error = np.linalg.norm(expected - labels.pixels, axis=-1)
    both = np.isnan(expected).any(axis=-1) & np.isnan(labels.pixels).any(axis=-1)
    holds = both | (error <= (ROLLING_PX if labels.rolls else PROJECTION_PX))
    tally.count("reprojection", holds)
    tally.note("reprojection_px", error)
    _name_joints(labels, tally, "reprojection", ~holds, "lies {:.1f} px from where keypoints_3d projects to", error)
    corner = np.array(labels.image_size) - 0.5
    with np.errstate(invalid="ignore"):
        inside = np.all((labels.pixels >= -0.5) & (labels.pixels < corner), axis=-1)
        at_edge = np.abs(labels.pixels - np.clip(labels.pixels, -0.5, corner)).max(axis=-1) < PROJECTION_PX
        at_edge |= np.min(np.abs(np.stack([labels.pixels + 0.5, labels.pixels - corner])), axis=(0, -1)) < PROJECTION_PX
    otherwise = (inside != (labels.visibility != OUTSIDE)) & ~at_edge
    _name_joints(labels, tally, "reprojection", otherwise, "is not where visibility says: in the picture, or outside")


def check_parts(labels: ViewLabels, tally: Tally) -> None:
    """A visible keypoint's pixel in the mask is of its own part."""
    assert labels.mask is not None
    own = own_ids(labels.keypoints, labels.parts)
    found = own[np.arange(len(labels.keypoints))[None, :, None], labels.nearby(labels.mask)]
    seen = labels.visibility == VISIBLE
    pixel_m = labels.distance / np.sqrt(labels.intrinsics[0, 0] * labels.intrinsics[1, 1])
    tally.count("own_part", found[..., 0][seen & (pixel_m <= FINE_M)])
    tally.count("beside_own_part", found.any(axis=-1)[seen])
    missed = seen & ~found.any(axis=-1)
    ids = labels.nearby(labels.mask, 0)[..., 0]
    for column, joint in enumerate(labels.keypoints):
        count, misses = int(seen[:, column].sum()), np.flatnonzero(missed[:, column])
        if count >= SEEN_ENOUGH and len(misses) > (1.0 - JOINT_SHARE) * count:
            there = np.bincount(ids[misses, column], minlength=len(labels.parts)).argmax()
            what = f"is called visible, and misses its part in {len(misses)} of {count} pictures: the mask has "
            tally.wrong.append(labels.wrong("own_part", misses, what + labels.parts[there], joint))


def own_ids(keypoints: Sequence[str], parts: Sequence[str]) -> NDArray[np.bool_]:
    """Which of the mask's 256 ids are each keypoint's own part: `[K, 256]`."""
    table = np.zeros((len(keypoints), 256), dtype=bool)
    for row, name in enumerate(keypoints):
        for part in own_parts(name) if name in OWN_FLESH else ():
            if part in parts:
                table[row, parts.index(part)] = True
    return table


def check_boxes(labels: ViewLabels, tally: Tally) -> None:
    """The mask lies within the box, and touches each of its sides unless something hides the walker there."""
    assert labels.mask is not None
    tight = mask_boxes(labels.mask)
    outside = np.concatenate([labels.box[:, :2] - tight[:, :2], tight[:, 2:] - labels.box[:, 2:]], axis=1)
    has_mask, has_box = np.isfinite(tight).all(axis=1), np.isfinite(labels.box).all(axis=1)
    with np.errstate(invalid="ignore"):
        reach = np.max(outside, axis=1)
    holds = ~has_mask | (has_box & (reach <= BOX_SLACK_PX))
    tally.count("box_holds_mask", holds)
    if not holds.all():
        bad = np.flatnonzero(~holds)
        by = f"by up to {np.nanmax(reach[bad]):.1f} px" if np.isfinite(reach[bad]).any() else "and there is no box"
        tally.wrong.append(labels.wrong("box_holds_mask", bad, f"the mask reaches out of the box {by}"))
    both = has_mask & has_box
    gaps = -outside[both]
    if labels.depth_m is not None:  # which tells where something hides the walker
        gaps = gaps[~_hidden_sides(labels)[both]]
    tally.note("box_gap_px", gaps)
    tally.count("box_is_tight", np.asarray(gaps <= TIGHT_PX))


def mask_boxes(mask: NDArray[np.uint8]) -> Array:
    """x0 y0 x1 y1 of the outermost pixels' centres: `[F, 4]`, NaN where a mask is empty."""
    boxes = np.full((len(mask), 4), np.nan)
    person: NDArray[np.bool_] = np.asarray(mask > 0)
    for across, (low, high) in ((1, (0, 2)), (2, (1, 3))):
        line = np.any(person, axis=across)
        some = np.any(line, axis=1)
        boxes[some, low] = line[some].argmax(axis=1)
        boxes[some, high] = line.shape[1] - 1 - line[some, ::-1].argmax(axis=1)
    return boxes


def _hidden_sides(labels: ViewLabels) -> NDArray[np.bool_]:
    """Along which sides of the box something stands before the walker: `[F, 4]`."""
    assert labels.mask is not None
    assert labels.depth_m is not None
    nearest = np.nanmin(labels.distance, axis=1) - 0.15
    hidden = np.zeros((len(labels.box), 4), dtype=bool)
    for frame in np.flatnonzero(np.isfinite(labels.box).all(axis=1)):
        x0, y0 = np.maximum(np.floor(labels.box[frame, :2]).astype(int), 0)
        x1, y1 = np.ceil(labels.box[frame, 2:]).astype(int) + 1
        before = (labels.depth_m[frame, y0:y1, x0:x1] < nearest[frame]) & (labels.mask[frame, y0:y1, x0:x1] == 0)
        third_x, third_y = max(1, before.shape[1] // 3), max(1, before.shape[0] // 3)
        hidden[frame] = (
            before[:, :third_x].any(), before[:third_y].any(), before[:, -third_x:].any(), before[-third_y:].any()
        )  # fmt: skip
    return hidden


def _name_joints(
    labels: ViewLabels, tally: Tally, check: str, bad: NDArray[np.bool_], words: str, size: Array | None = None
) -> None:
    """One finding for each joint `[F, K]` that is bad somewhere; `words` may name its largest `size` there."""
    for column in np.flatnonzero(bad.any(axis=0)).tolist():
        frames = np.flatnonzero(bad[:, column])
        largest = 0.0 if size is None else float(np.nan_to_num(size[frames, column]).max())
        tally.wrong.append(labels.wrong(check, frames, words.format(largest), labels.keypoints[column]))


def view_labels(arrays: Mapping[str, Any], attributes: Mapping[str, Any], view: str, **rest: Any) -> ViewLabels:
    """A view's labels out of a gait's arrays (`farm.dataset.gaits.Gait`)."""
    path = f"views/{view}/"

    def numbers(name: str) -> Array:
        return np.asarray(arrays[path + name], dtype=float)

    depth = arrays.get(path + "depth")
    width, height = attributes["image_size"]
    return ViewLabels(
        view=view,
        keypoints=tuple(attributes["keypoints"]),
        points=np.asarray(arrays["keypoints_3d"], dtype=float),
        pixels=numbers("keypoints_2d"),
        visibility=np.asarray(arrays[path + "visibility"]),
        world_from_camera=numbers("world_from_camera"),
        intrinsics=numbers("intrinsics"),
        distortion=numbers("distortion") if path + "distortion" in arrays else np.zeros(5),
        shutter=numbers("shutter") if path + "shutter" in arrays else np.zeros(2),
        box=numbers("bbox"),
        image_size=(int(width), int(height)),
        frame_s=1.0 / float(attributes["frame_rate_hz"]),
        mask=arrays.get(path + "mask"),
        depth_m=None if depth is None else np.where(depth > 0, depth / np.float32(1000.0), np.float32(np.nan)),
        **rest,
    )
