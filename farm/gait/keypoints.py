"""Landmarks of a moving body in world axes, with toes that bend.

The physics' foot is one rigid piece that ends in contact spheres at heel and
ball; a straight toe beyond the ball would dip through the floor at push-off.
Keypoints and pictures therefore bend the toes about the metatarsophalangeal
(MTP) axis by `toe_flexion`, just so much that the toe stays above the floor.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from farm.axes import rotate, transform_points
from farm.sampling.anatomy import KEYPOINTS, MTP_X_M, SOLE_Y_M, TOE_TIP_X_M, Anatomy

FLOOR_Y_M = 0.0
"""Height of the floor in world axes."""

MAX_TOE_FLEXION_RAD = float(np.deg2rad(80.0))
"""Limit of the pictured bend; push-off needs 40 to 65 deg (Nawoczenski et al. 1999, J Bone Joint Surg Am 81:370)."""


def _own_flesh() -> dict[str, tuple[tuple[str, ...], float]]:
    own: dict[str, tuple[tuple[str, ...], float]] = {
        "nose": (("head",), 0.05),
        "pelvis": (("pelvis", "femur_r", "femur_l", "torso"), 0.26),
        "neck": (("torso", "head"), 0.16),
        "mid_trunk": (("torso", "pelvis"), 0.26),
    }
    for side, word in (("r", "right"), ("l", "left")):
        own |= {
            f"{word}_eye": (("head",), 0.05),
            f"{word}_ear": (("head",), 0.06),
            f"{word}_shoulder": ((f"humerus_{side}", "torso"), 0.15),
            f"{word}_elbow": ((f"humerus_{side}", f"radius_{side}"), 0.10),
            f"{word}_wrist": ((f"radius_{side}",), 0.08),
            f"{word}_hip": (("pelvis", f"femur_{side}", "torso"), 0.19),
            f"{word}_knee": ((f"femur_{side}", f"tibia_{side}"), 0.13),
            f"{word}_ankle": ((f"tibia_{side}", f"calcn_{side}"), 0.11),
            f"{word}_heel": ((f"calcn_{side}", f"tibia_{side}"), 0.11),
            f"{word}_big_toe": ((f"calcn_{side}", f"toes_{side}"), 0.07),
        }
    return own


OWN_FLESH: Mapping[str, tuple[tuple[str, ...], float]] = MappingProxyType(
    {name: _own_flesh()[name] for name in KEYPOINTS}
)
"""Of each keypoint: the bones whose flesh is around it, and how deep (m, generic body) it may lie beneath the skin."""


def own_parts(name: str) -> tuple[str, ...]:
    """The mask's parts in which a visible keypoint lies; toes are the foot's."""
    return tuple(dict.fromkeys(bone.replace("toes", "calcn") for bone in OWN_FLESH[name][0]))


def mtp_centre(body: Anatomy, side: str) -> NDArray[np.float64]:
    """The axis about which the pictured toes of `side` ("r", "l") bend: `[3]` m in `calcn` axes, on the sole."""
    return body.point(f"calcn_{side}", (MTP_X_M, SOLE_Y_M, 0.0))


def toe_flexion(body: Anatomy, calcn_pose: NDArray[np.floating], side: str) -> NDArray[np.float64]:
    """How far the toes bend upwards (extension, positive) so that their tip does not go through the floor.

    With the MTP axis at height h above the floor and a toe of length l whose
    straight tip would be l*sin(p) lower (p the foot's pitch, toes down), the bend
    is max(0, p - asin(h/l)): the tip then lies exactly on the floor, also where
    the soft ball of the foot is pressed a little below it.

    Args:
        calcn_pose: `[..., 7]` poses of the foot's body, world from body.
        side: "r" or "l".

    Returns:
        `[...]` rad, 0 to `MAX_TOE_FLEXION_RAD`.
    """
    pose = np.asarray(calcn_pose, dtype=float)
    length = (TOE_TIP_X_M - MTP_X_M) * body.scale(f"calcn_{side}")
    mtp = transform_points(pose, mtp_centre(body, side))
    forward = rotate(pose[..., 3:], np.array([1.0, 0.0, 0.0]))
    up = rotate(pose[..., 3:], np.array([0.0, 1.0, 0.0]))
    # height of the tip at bend t: h + l (cos t * forward_y + sin t * up_y) = h + l R sin(t - down)
    radius = np.hypot(forward[..., 1], up[..., 1])
    down = np.arctan2(-forward[..., 1], up[..., 1])
    height = mtp[..., 1] - FLOOR_Y_M
    reach = np.clip(height / np.maximum(length * radius, 1e-12), -1.0, 1.0)
    bend = np.where(height < length * radius, down - np.arcsin(reach), 0.0)
    return np.asarray(np.clip(bend, 0.0, MAX_TOE_FLEXION_RAD))


def bend_toe(
    body: Anatomy, station: NDArray[np.floating], flexion: NDArray[np.floating], side: str
) -> NDArray[np.float64]:
    """Points of the straight toe, `station` `[..., 3]` in `calcn` axes (m), after the toes bent by `flexion` `[...]`.

    Points behind the MTP axis do not move.
    """
    centre = mtp_centre(body, side)
    arm = np.asarray(station, dtype=float) - centre
    c, s = np.cos(flexion), np.sin(flexion)
    x, y, z = np.moveaxis(arm, -1, 0)
    bent = np.stack(np.broadcast_arrays(c * x - s * y, s * x + c * y, z), axis=-1)
    return centre + np.where(arm[..., :1] > 0, bent, arm)


def keypoints_3d(body: Anatomy, body_pose: NDArray[np.floating], bodies: Sequence[str]) -> NDArray[np.float64]:
    """All `KEYPOINTS` in world axes.

    Args:
        body_pose: `[..., B, 7]` poses of `bodies`, world from body.
        bodies: Names in the order of `body_pose`.

    Returns:
        `[..., K, 3]` m.
    """
    pose = np.asarray(body_pose, dtype=float)
    points = []
    for name in KEYPOINTS:
        segment, station = body.keypoint(name)
        segment_pose = pose[..., bodies.index(segment), :]
        if name.endswith("big_toe"):
            side = segment[-1]
            station = bend_toe(body, station, toe_flexion(body, segment_pose, side), side)
        points.append(transform_points(segment_pose, station))
    return np.stack(points, axis=-2)
