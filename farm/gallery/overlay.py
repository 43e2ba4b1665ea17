"""Labels drawn over a picture: keypoints by visibility, outline of the mask, box of the person, foot events."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

BONES: tuple[tuple[str, str], ...] = (
    ("nose", "neck"), ("neck", "mid_trunk"), ("mid_trunk", "pelvis"),
    ("left_shoulder", "right_shoulder"), ("left_hip", "right_hip"),
    *((f"{side}_{a}", f"{side}_{b}") for side in ("right", "left") for a, b in (
        ("shoulder", "elbow"), ("elbow", "wrist"), ("hip", "knee"), ("knee", "ankle"), ("ankle", "heel"),
        ("heel", "big_toe"))),
)  # fmt: skip
"""Keypoints joined by a line, where a dataset has both."""

EVENTS: tuple[tuple[str, str], ...] = (
    ("right foot strike", "right_heel"), ("right foot off", "right_big_toe"),
    ("left foot strike", "left_heel"), ("left foot off", "left_big_toe"),
)  # fmt: skip
"""By code of `event_type`: words, and the keypoint that is ringed."""

VISIBLE, OCCLUDED = (86, 180, 233), (230, 159, 0)
"""Sky blue, filled, and orange, hollow (Okabe & Ito's palette): told apart without colour too. What lies outside the
picture is not drawn."""

EVENT_FRAMES = 2
"""Pictures for which a foot event stays marked, from the nearest one on: one alone is missed by the eye."""

OUTLINE, PART_LINE, BOX, EVENT = (255, 255, 255), (150, 150, 150), (240, 228, 66), (213, 94, 0)
CAPTION_PX = 24
_INK, _PAPER = (235, 238, 242), (24, 27, 32)
_INK_EDGE = (0, 0, 0)

RIGHT, LEFT, MIDDLE = (0, 158, 115), (204, 121, 167), (200, 204, 210)
"""A stick figure's limbs: green and purple (Okabe & Ito's), and grey."""

_STICK_OVERSAMPLING = 3


@dataclass(frozen=True, eq=False)
class PictureLabels:
    """What is known about one picture.

    Attributes:
        names: Of the K keypoints.
        keypoints: `[K, 2]` px, (0, 0) the centre of the top-left pixel; NaN where the lens cannot see.
        visibility: `[K]` 0 outside the picture, 1 occluded, 2 visible.
        box: `[4]` px, x0 y0 x1 y1; NaN where nothing of the person is visible. None if it is not stored.
        mask: `[H, W]` part of the body, 0 for background. None if it is not stored.
        events: Codes of the foot events at this picture.
    """

    names: Sequence[str]
    keypoints: NDArray[np.floating]
    visibility: NDArray[np.uint8]
    box: NDArray[np.floating] | None = None
    mask: NDArray[np.uint8] | None = None
    events: Sequence[int] = ()


def beside(picture: NDArray[np.uint8], labels: PictureLabels, caption: str, *, scale: int = 2) -> NDArray[np.uint8]:
    """A picture `[H, W, 3]`, and again beside it with its labels, both enlarged, over a line of words.

    Returns:
        `[scale * H + CAPTION_PX, 2 * scale * W, 3]`.
    """
    height, width = picture.shape[:2]
    large = Image.fromarray(picture).resize((width * scale, height * scale), Image.Resampling.BICUBIC)
    sheet = Image.new("RGB", (2 * width * scale, height * scale + CAPTION_PX), _PAPER)
    sheet.paste(large, (0, 0))
    sheet.paste(_drawn(large, labels, scale), (width * scale, 0))
    words = " · ".join([caption, *(EVENTS[code][0] for code in labels.events)])
    middle = height * scale + CAPTION_PX / 2
    ImageDraw.Draw(sheet).text((8, middle), words, _INK, ImageFont.load_default(13), anchor="lm")
    return np.asarray(sheet, dtype=np.uint8)


def stick_figure(
    keypoints: NDArray[np.floating], names: Sequence[str], size: tuple[int, int], mask: NDArray[np.uint8] | None = None
) -> NDArray[np.uint8]:
    """What is shown of a dataset without pictures: keypoints joined by lines, over the mask's parts in shades of grey.

    Args:
        keypoints: `[K, 2]` px, (0, 0) the centre of the top-left pixel; NaN where the lens cannot see.
        size: Width and height, px.
        mask: `[H, W]` part of the body, 0 for background.

    Returns:
        `[H, W, 3]`.
    """
    width, height = size
    ground = np.full((height, width, 3), _PAPER, np.uint8)
    if mask is not None:
        body = mask > 0
        ground[body] = (44 + 8 * (mask[body].astype(int) % 5))[:, None]  # neighbouring parts differ
    many = _STICK_OVERSAMPLING
    large = Image.fromarray(ground).resize((width * many, height * many), Image.Resampling.NEAREST)
    draw = ImageDraw.Draw(large)
    points = (np.asarray(keypoints, dtype=float) + 0.5) * many
    at = {name: number for number, name in enumerate(names) if np.isfinite(points[number]).all()}
    breadth = max(4, round(min(width, height) * many / 90))
    # left first: from the walker's right, where cameras mostly stand, the right leg is nearer
    for first, second in sorted(BONES, key=lambda bone: ("right" in bone[1], "left" not in bone[1])):
        if first in at and second in at:
            ends = [tuple(points[at[name]]) for name in (first, second)]
            colour = MIDDLE if first.split("_")[0] != second.split("_")[0] else _side_colour(second)
            draw.line(ends, fill=colour, width=breadth, joint="curve")
    for name, number in at.items():
        draw.circle(tuple(points[number]), breadth * 0.8, fill=_side_colour(name))
    small = large.resize((width, height), Image.Resampling.LANCZOS)
    return np.asarray(small, dtype=np.uint8)


def _side_colour(name: str) -> tuple[int, int, int]:
    return RIGHT if name.startswith("right_") else LEFT if name.startswith("left_") else MIDDLE


def edges(mask: NDArray[np.uint8]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Body pixels `[H, W]` that touch the background, and those that only touch another part (to the right or below).

    Beyond the picture's edge there is nothing to touch.
    """
    body = mask > 0
    around = np.pad(body, 1, mode="edge")
    inner = around[:-2, 1:-1] & around[2:, 1:-1] & around[1:-1, :-2] & around[1:-1, 2:]
    silhouette = body & ~inner
    differs = np.zeros_like(body)
    differs[:, :-1] |= mask[:, :-1] != mask[:, 1:]
    differs[:-1] |= mask[:-1] != mask[1:]
    return silhouette, body & differs & ~silhouette


def _drawn(picture: Image.Image, labels: PictureLabels, scale: int) -> Image.Image:
    if labels.mask is not None:
        # at the enlarged size, so that lines are as thin as the screen allows
        silhouette, parts = edges(labels.mask.repeat(scale, axis=0).repeat(scale, axis=1))
        pixels = np.array(picture)
        pixels[parts] = PART_LINE
        pixels[silhouette] = OUTLINE
        picture = Image.fromarray(pixels)
    else:
        picture = picture.copy()
    draw = ImageDraw.Draw(picture)
    # pixel centres are whole numbers in the labels, and lie half a pixel further in an enlarged picture
    points = (np.asarray(labels.keypoints, dtype=float) + 0.5) * scale
    if labels.box is not None and np.isfinite(labels.box).all():
        x0, y0, x1, y1 = (np.asarray(labels.box, dtype=float) + 0.5) * scale
        draw.rectangle((x0, y0, x1, y1), outline=BOX)
    shown = (labels.visibility > 0) & np.isfinite(points).all(axis=1)
    at = {name: number for number, name in enumerate(labels.names) if shown[number]}
    for first, second in BONES:
        if first in at and second in at:
            ends = [tuple(points[at[name]]) for name in (first, second)]
            draw.line(ends, fill=_INK_EDGE, width=4)
            draw.line(ends, fill=_INK, width=2)
    for number in at.values():
        if labels.visibility[number] == 2:
            draw.circle(tuple(points[number]), 4, fill=VISIBLE, outline=_INK_EDGE)
        else:
            draw.circle(tuple(points[number]), 4, outline=OCCLUDED, width=2)
    for code in labels.events:
        if EVENTS[code][1] in at:
            draw.circle(tuple(points[at[EVENTS[code][1]]]), 12, outline=EVENT, width=3)
    return picture
