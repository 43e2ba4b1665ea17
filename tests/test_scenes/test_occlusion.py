"""Visibility of keypoints: what stands in front hides, own flesh does not, outside is outside."""

from __future__ import annotations

import dataclasses
from functools import cache

import numpy as np

from farm.gait.keypoints import OWN_FLESH, keypoints_3d
from farm.sampling.anatomy import BODIES, KEYPOINTS, anatomy
from scenes.body import BONES, body_mesh, bone_transforms
from scenes.cameras import Camera, intrinsics_matrix, look
from scenes.figure import Figure
from scenes.occlusion import OCCLUDED, OUTSIDE, VISIBLE, OcclusionWorld
from scenes.panel import RoomBox
from tests.test_scenes.people import PEOPLE, scene, standing_pose

BOX = RoomBox(-8.0, 8.0, -8.0, 8.0, 3.0)


@cache
def seen_from(azimuth_deg: float, aim_y: float = 0.9, distance: float = 4.0) -> dict[str, int]:
    """Visibility of each keypoint of a standing man, from one side."""
    figure = Figure(anatomy(PEOPLE["generic man"]), "male")
    close_fit = dataclasses.replace(scene(PEOPLE["generic man"]).clothes, shirt_ease_m=0.008, tucked=False)
    mesh = body_mesh(figure, close_fit, cell_m=0.04)
    pose = standing_pose(figure.origins, BODIES, figure.floor_y)
    angle = np.deg2rad(azimuth_deg)
    towards = np.array([np.cos(angle), 0.0, np.sin(angle)])
    eye = np.array([-0.08, aim_y, 0.0]) + distance * towards
    camera = Camera("test", look(eye[None], -towards[None]), intrinsics_matrix((200, 200), 45.0), (200, 200))
    with OcclusionWorld(mesh, BOX) as world:
        result = world.visibility(
            bone_transforms(figure.body, pose, BODIES), keypoints_3d(figure.body, pose, BODIES), [camera]
        )[0][0]
    return dict(zip(KEYPOINTS, result.tolist(), strict=True))


def test_every_keypoint_has_its_flesh() -> None:
    assert tuple(OWN_FLESH) == KEYPOINTS
    assert {part for parts, _ in OWN_FLESH.values() for part in parts} <= set(BONES)


def test_from_the_front_the_face_is_seen_and_from_behind_it_is_not() -> None:
    front, back = seen_from(0.0), seen_from(180.0)
    for name in ("nose", "left_eye", "right_eye"):
        assert (front[name], back[name]) == (VISIBLE, OCCLUDED)
    for name in ("left_shoulder", "right_knee", "left_hip", "pelvis", "neck", "left_elbow"):
        assert (front[name], back[name]) == (VISIBLE, VISIBLE), name
    for name in ("left_heel", "right_heel"):
        assert back[name] == VISIBLE


def test_from_one_side_the_other_side_is_hidden() -> None:
    right, left = seen_from(90.0), seen_from(-90.0)
    for joint in ("ear", "eye", "shoulder", "hip", "elbow", "wrist", "knee"):
        assert (right[f"right_{joint}"], left[f"left_{joint}"]) == (VISIBLE, VISIBLE) or joint == "hip", joint
        assert (right[f"left_{joint}"], left[f"right_{joint}"]) == (OCCLUDED, OCCLUDED), joint
    assert right["nose"] == left["nose"] == VISIBLE


def test_what_is_not_in_the_picture_is_outside() -> None:
    near = seen_from(0.0, 1.6, 1.5)
    assert near["right_ankle"] == near["left_big_toe"] == OUTSIDE
    assert near["nose"] == VISIBLE


def test_walls_hide() -> None:
    assert set(seen_from(0.0, 0.9, 9.0).values()) == {OCCLUDED}
