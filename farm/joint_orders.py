"""Joints in the order and by the definition of other data's skeletons, made from the dataset's own keypoints.

Every joint is a weighted mean of keypoints (weights sum to 1, and may be negative: a point beyond). So each order is
one matrix, and the joints of a moving person are that matrix times the keypoints, in any axes. Where the points that
make up a joint belong to one rigid body, as on trunk, head and forearm, the joint is fixed to it.

Orders:
    coco17: COCO's, as detectors give it.
    body25: OpenPose's; of the small toes nothing is known (NaN).
    h36m17: that of Human3.6M as lifters of 2D poses take it (Martinez et al. 2017, ICCV).
    smpl24: SMPL's (Loper et al. 2015, ACM Trans Graph 34:248) in name, order and place, "like" it: SMPL's joints are
        regressed from its surface, ours are the physics' joint centres. Those of the spine, collars, feet and hands lie
        at the heights of SMPL's mean body; `pelvis` is the middle of the hips, which SMPL has some 9 cm above it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from farm.errors import UserError
from farm.sampling.anatomy import COCO_KEYPOINTS

Mix = Mapping[str, float]


@dataclass(frozen=True)
class JointOrder:
    """One skeleton.

    Attributes:
        name: As a user asks for it.
        joints: Names in order, each with its keypoints and their weights; none where nothing is known.
    """

    name: str
    joints: Mapping[str, Mix]

    @property
    def names(self) -> tuple[str, ...]:
        """Of the J joints."""
        return tuple(self.joints)

    def matrix(self, keypoints: Sequence[str]) -> NDArray[np.float64]:
        """Joints from keypoints of these names: `[J, K]`; a row of NaN where nothing is known.

        Raises:
            UserError: A keypoint that a joint is made of is not among them.
        """
        matrix = np.zeros((len(self.joints), len(keypoints)))
        for row, (joint, mix) in enumerate(self.joints.items()):
            if lacking := [name for name in mix if name not in keypoints]:
                raise UserError(
                    f"{self.name}: {joint} is made of {', '.join(mix)}, and these data have no {', '.join(lacking)}"
                )
            for name, weight in mix.items():
                matrix[row, keypoints.index(name)] = weight
            if not mix:
                matrix[row] = np.nan
        return matrix

    def points(self, keypoints: NDArray[Any], names: Sequence[str]) -> NDArray[np.float64]:
        """Joints `[..., J, 3]` of keypoints `[..., K, 3]` called `names`, in their axes; NaN where nothing is known."""
        return np.asarray(self.matrix(names) @ np.asarray(keypoints, dtype=float))

    def visibility(self, visibility: NDArray[np.uint8], names: Sequence[str]) -> NDArray[np.uint8]:
        """Of joints `[..., J]`, from that of keypoints `[..., K]`: the least of those it is made of; 0 for unknown."""
        columns = [
            visibility[..., [names.index(name) for name in mix]].min(axis=-1)
            if mix
            else np.zeros(visibility.shape[:-1], np.uint8)
            for mix in self.joints.values()
        ]
        return np.stack(columns, axis=-1)


def joint_order(name: str) -> JointOrder:
    """The skeleton of that name.

    Raises:
        UserError: There is none.
    """
    if name not in JOINT_ORDERS:
        raise UserError(f"there is no joint order {name!r}; take one of {', '.join(JOINT_ORDERS)}")
    return JOINT_ORDERS[name]


def _one(*names: str) -> dict[str, Mix]:
    return {name: {name: 1.0} for name in names}


def _middle(a: str, b: str) -> Mix:
    return {a: 0.5, b: 0.5}


_EARS = _middle("left_ear", "right_ear")


def _between(a: Mix, b: Mix, share: float) -> Mix:
    """`share` of the way from `a` to `b`."""
    return {
        name: weight
        for name in dict.fromkeys((*a, *b))
        if (weight := (1.0 - share) * a.get(name, 0.0) + share * b.get(name, 0.0))
    }


def _body25() -> dict[str, Mix]:
    right, left = (
        {f"{side}_{joint}": {f"{side}_{joint}": 1.0} for joint in ("shoulder", "elbow", "wrist")}
        for side in ("right", "left")
    )
    legs = _one(*(f"{side}_{joint}" for side in ("right", "left") for joint in ("hip", "knee", "ankle")))
    face = _one("right_eye", "left_eye", "right_ear", "left_ear")
    feet: dict[str, Mix] = {}
    for side in ("left", "right"):
        feet |= {**_one(f"{side}_big_toe"), f"{side}_small_toe": {}, **_one(f"{side}_heel")}
    middle = {"mid_hip": _middle("left_hip", "right_hip")}
    return {
        **_one("nose"), "neck": _middle("left_shoulder", "right_shoulder"), **right, **left, **middle, **legs, **face,
        **feet,
    }  # fmt: skip


def _h36m17() -> dict[str, Mix]:
    neck, trunk = {"neck": 1.0}, {"mid_trunk": 1.0}
    return {
        "pelvis": _middle("left_hip", "right_hip"),
        **_one(*(f"{side}_{joint}" for side in ("right", "left") for joint in ("hip", "knee", "ankle"))),
        "spine": trunk, "thorax": neck, "nose": {"nose": 1.0}, "head_top": _between(neck, _EARS, 1.85),
        **_one(*(f"{side}_{joint}" for side in ("left", "right") for joint in ("shoulder", "elbow", "wrist"))),
    }  # fmt: skip


def _smpl24() -> dict[str, Mix]:
    neck, trunk = {"neck": 1.0}, {"mid_trunk": 1.0}
    shoulders, sides = _middle("left_shoulder", "right_shoulder"), ("left", "right")
    foot, collar, hand = (
        {f"{side}_{name}": _between(start, {f"{side}_{end}": 1.0}, share) for side, start in starts.items()}
        for name, starts, end, share in (
            ("foot", {side: {f"{side}_heel": 1.0} for side in sides}, "big_toe", 0.65),
            ("collar", dict.fromkeys(sides, shoulders), "shoulder", 0.46),
            ("hand", {side: {f"{side}_elbow": 1.0} for side in sides}, "wrist", 1.35),
        )
    )
    return {
        "pelvis": _middle("left_hip", "right_hip"),
        **_one("left_hip", "right_hip"), "spine1": _between(trunk, neck, -0.6),
        **_one("left_knee", "right_knee"), "spine2": trunk,
        **_one("left_ankle", "right_ankle"), "spine3": _between(trunk, neck, 0.18),
        **foot, "neck": neck, **collar, "head": _between(neck, _EARS, 0.55),
        **_one(*(f"{side}_{joint}" for joint in ("shoulder", "elbow", "wrist") for side in sides)), **hand,
    }  # fmt: skip


JOINT_ORDERS: Mapping[str, JointOrder] = MappingProxyType(
    {
        name: JointOrder(name, MappingProxyType(joints))
        for name, joints in (
            ("coco17", _one(*COCO_KEYPOINTS)),
            ("body25", _body25()),
            ("h36m17", _h36m17()),
            ("smpl24", _smpl24()),
        )
    }
)
