"""Other skeletons' joints: where they lie on a body, in which order, and that they move as the body does."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from farm.dataset import GaitDataset
from farm.dataset.joints import joints_2d, joints_3d
from farm.errors import UserError
from farm.gait.keypoints import keypoints_3d
from farm.joint_orders import JOINT_ORDERS, joint_order
from farm.records import GaitParameters
from farm.sampling.anatomy import KEYPOINTS, anatomy
from tests.datasets import make_dataset
from tests.norm_walk import norm_walk
from tests.samples import make_campaign

SMPL_REST_M = {
    "spine1": 0.21, "spine2": 0.34, "spine3": 0.39, "neck": 0.60, "left_collar": 0.51, "head": 0.67,
    "left_shoulder": 0.54,
}  # fmt: skip
"""Heights above the middle of the hips in SMPL's mean body, about 1.73 m tall (Loper et al. 2015)."""


def walker() -> tuple[np.ndarray, np.ndarray]:
    """Poses `[T, B, 7]` and keypoints `[T, K, 3]` of somebody of 1.73 m."""
    person = GaitParameters(stature_m=1.73)
    walk = norm_walk(person, duration_s=2.0)
    return walk.body_pose, keypoints_3d(anatomy(person), walk.body_pose, walk.bodies)


@pytest.mark.parametrize(("order", "count"), [("coco17", 17), ("body25", 25), ("h36m17", 17), ("smpl24", 24)])
def test_weights_of_each_joint_sum_to_one(order: str, count: int) -> None:
    matrix = JOINT_ORDERS[order].matrix(KEYPOINTS)
    known = np.isfinite(matrix).all(axis=1)
    assert matrix.shape == (count, len(KEYPOINTS))
    assert matrix[known].sum(axis=1) == pytest.approx(1.0)
    unknown = [name for name, is_known in zip(JOINT_ORDERS[order].names, known, strict=True) if not is_known]
    assert unknown == (["left_small_toe", "right_small_toe"] if order == "body25" else [])


def test_the_orders_are_the_published_ones() -> None:
    assert JOINT_ORDERS["coco17"].names[:3] == ("nose", "left_eye", "right_eye")
    body25 = JOINT_ORDERS["body25"].names
    assert [body25[i] for i in (1, 2, 5, 8, 9, 12, 15, 19, 21, 24)] == [
        "neck", "right_shoulder", "left_shoulder", "mid_hip", "right_hip", "left_hip", "right_eye", "left_big_toe",
        "left_heel", "right_heel",
    ]  # fmt: skip
    smpl = JOINT_ORDERS["smpl24"].names
    assert [smpl[i] for i in (0, 1, 2, 3, 4, 6, 7, 9, 10, 12, 13, 15, 16, 18, 20, 22, 23)] == [
        "pelvis", "left_hip", "right_hip", "spine1", "left_knee", "spine2", "left_ankle", "spine3", "left_foot", "neck",
        "left_collar", "head", "left_shoulder", "left_elbow", "left_wrist", "left_hand", "right_hand",
    ]  # fmt: skip
    h36m = JOINT_ORDERS["h36m17"].names
    assert [h36m[i] for i in (0, 1, 4, 7, 8, 10, 11, 14)] == [
        "pelvis", "right_hip", "left_hip", "spine", "thorax", "head_top", "left_shoulder", "right_shoulder",
    ]  # fmt: skip


def test_smpl_like_joints_lie_where_smpls_do() -> None:
    _, keypoints = walker()
    joints = joint_order("smpl24").points(keypoints, KEYPOINTS)
    names = JOINT_ORDERS["smpl24"].names
    height = np.median(joints[..., 1] - joints[:, :1, 1], axis=0)
    for name, expected in SMPL_REST_M.items():
        assert height[names.index(name)] == pytest.approx(expected, abs=0.04), name
    ankle, foot, hand, wrist = (joints[:, names.index(f"left_{part}")] for part in ("ankle", "foot", "hand", "wrist"))
    assert 0.09 < np.median(np.linalg.norm(foot - ankle, axis=1)) < 0.18
    assert np.linalg.norm(hand - wrist, axis=1) == pytest.approx(0.085, abs=0.01)


def test_joints_of_one_rigid_body_are_fixed_to_each_other() -> None:
    _, keypoints = walker()
    joints = joint_order("smpl24").points(keypoints, KEYPOINTS)
    names = JOINT_ORDERS["smpl24"].names
    for a, b in (("spine1", "spine3"), ("spine3", "left_collar"), ("left_elbow", "left_hand")):
        apart = np.linalg.norm(joints[:, names.index(a)] - joints[:, names.index(b)], axis=1)
        assert np.ptp(apart) < 1e-6, (a, b)


def test_a_gait_and_a_batch_give_them_in_camera_axes_and_in_pixels(tmp_path: Path) -> None:
    make_dataset(str(tmp_path / "walks"), make_campaign(samples=4, gaits_per_shard=4))
    dataset = GaitDataset(str(tmp_path / "walks"))
    fields = ("keypoints_3d", "keypoints_2d", "visibility", "world_from_camera", "intrinsics", "distortion")
    stream = dataset.stream(fields, shuffle="none", seed=0)
    first = next(iter(stream))
    batch = next(iter(dataset.stream(fields, shuffle="none", seed=0, batch_size=2)))
    view = dataset.manifest.views[0]
    local = joints_3d(first, view=view)
    pose = first[f"views/{view}/world_from_camera"].astype(float)
    again = np.einsum("fij,fkj->fki", pose[:, :3, :3], local) + pose[:, None, :3, 3]
    assert again == pytest.approx(first["keypoints_3d"], abs=1e-4)
    pixels, visibility = joints_2d(first, view, "body25")
    assert pixels.shape == (len(pose), 25, 2)
    assert visibility.shape == (len(pose), 25)
    nose = list(first.attributes["keypoints"]).index("nose")
    assert np.array_equal(pixels[:, 0], first[f"views/{view}/keypoints_2d"][:, nose])
    neck = joints_3d(first, "body25", view)[:, 1]
    lens = first[f"views/{view}/intrinsics"]
    assert pixels[:, 1, 0] == pytest.approx(neck[:, 0] / neck[:, 2] * lens[0, 0] + lens[0, 2], abs=1e-3)
    small_toe = JOINT_ORDERS["body25"].names.index("left_small_toe")
    assert np.isnan(pixels[:, small_toe]).all()
    assert not visibility[:, small_toe].any()
    count = len(pose)
    assert joints_3d(batch, "smpl24", view)[0, :count] == pytest.approx(joints_3d(first, "smpl24", view), abs=1e-6)
    assert joints_2d(batch, view, "body25")[0][0, :count] == pytest.approx(pixels, abs=1e-3, nan_ok=True)


def test_what_is_not_there_is_said(tmp_path: Path) -> None:
    make_dataset(str(tmp_path / "walks"), make_campaign(samples=2, gaits_per_shard=2))
    dataset = GaitDataset(str(tmp_path / "walks"))
    gait = dataset.gait(dataset.index()[0]["sample_id"], fields=("keypoints_3d",))
    with pytest.raises(UserError, match="world_from_camera"):
        joints_3d(gait, view=dataset.manifest.views[0])
    with pytest.raises(UserError, match="smpl24"):
        joints_3d(gait, "smpl")
    with pytest.raises(UserError, match="right_hip"):
        JOINT_ORDERS["smpl24"].matrix(("left_hip",))
