"""Cameras: exact projection, and a walk that stays in the picture."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from farm.config import STANDARD_VIEWS, View
from farm.scene_config import CameraVariation, SceneVariation
from farm.seeds import generator
from scenes.cameras import NEAREST_M, Camera, intrinsics_matrix, look, place_camera, project, unproject
from scenes.parameters import scene_parameters_rand
from scenes.viewpoint import CameraDraw, camera_rand
from tests.test_scenes.people import PEOPLE, scene

FRAME_RATE_HZ = 10.0
finite = st.floats(-5.0, 5.0)


def walk(length_m: float = 12.0, stature_m: float = 1.8, frames: int = 40) -> tuple[np.ndarray, np.ndarray]:
    """Outline `[F, P, 3]` and pelvis `[F, 3]` of somebody who walks along x."""
    pelvis = np.stack([np.linspace(0.0, length_m, frames), np.full(frames, 0.95), np.zeros(frames)], axis=1)
    box = np.array([[x, y, z] for x in (-0.45, 0.45) for y in (0.0, stature_m) for z in (-0.35, 0.35)])
    ground = pelvis * np.array([1.0, 0.0, 1.0])
    return ground[:, None] + box, pelvis


def draw_for(view: View, **changes: float) -> CameraDraw:
    base = CameraDraw(
        view=view, azimuth_deg=view.azimuth_deg, distance_m=3.0, height_m=1.2, pitch_offset_deg=0.0,
        yaw_offset_deg=0.0, roll_deg=0.0, vertical_fov_deg=45.0,
    )  # fmt: skip
    return dataclasses.replace(base, **changes)


def clock(pelvis: np.ndarray) -> np.ndarray:
    """Times (s) of a walk's pictures."""
    return np.arange(len(pelvis)) / FRAME_RATE_HZ


def placed(view: str, **changes: float) -> tuple[Camera, np.ndarray, np.ndarray]:
    outline, pelvis = walk()
    camera = place_camera(
        draw_for(STANDARD_VIEWS[view], **changes), outline=outline, pelvis=pelvis,
        time=clock(pelvis), image_size=(256, 256),
    )  # fmt: skip
    return camera, outline, pelvis


@settings(max_examples=60, deadline=None)
@given(
    st.tuples(finite, finite, finite), st.tuples(finite, finite, finite), st.floats(-0.4, 0.4), st.floats(0.3, 30.0),
    st.tuples(st.floats(-50.0, 300.0), st.floats(-50.0, 300.0)), st.floats(20.0, 90.0),
)  # fmt: skip
def test_projection_round_trip(
    position: tuple[float, float, float], forward: tuple[float, float, float], roll: float, depth: float,
    pixel: tuple[float, float], fov: float,
) -> None:  # fmt: skip
    direction = np.array(forward) + np.array([6.0, 0.0, 0.0])  # never straight up
    pose = look(np.array([position]), direction[None], roll)
    matrix = intrinsics_matrix((320, 240), fov)
    point = unproject(np.array([[pixel]]), np.array([[depth]]), pose, matrix)
    pixels, depths = project(point, pose, matrix)
    assert pixels[0, 0] == pytest.approx(pixel, abs=1e-6)
    assert depths[0, 0] == pytest.approx(depth, abs=1e-9)
    turn = pose[0, :3, :3]
    assert turn.T @ turn == pytest.approx(np.eye(3), abs=1e-12)
    assert np.linalg.det(turn) == pytest.approx(1.0)


def test_axes_are_opencvs_and_the_first_pixels_centre_is_zero() -> None:
    pose = look(np.zeros((1, 3)), np.array([[1.0, 0.0, 0.0]]))  # looks forward: walker's right is the picture's right
    matrix = intrinsics_matrix((256, 128), 60.0)
    pixels, depth = project(np.array([[[2.0, 0.0, 0.0], [2.0, 1.0, 0.0], [2.0, 0.0, 1.0]]]), pose, matrix)
    assert pixels[0, 0] == pytest.approx([127.5, 63.5])
    assert depth[0] == pytest.approx(2.0)
    assert pixels[0, 1, 1] < 63.5
    assert pixels[0, 2, 0] > 127.5
    top = project(np.array([[[1.0, np.tan(np.deg2rad(30.0)), 0.0]]]), pose, matrix)[0]
    assert top[0, 0, 1] == pytest.approx(-0.5)


def test_behind_the_camera_there_are_no_pixels() -> None:
    pose = look(np.zeros((1, 3)), np.array([[1.0, 0.0, 0.0]]))
    pixels, depth = project(np.array([[[-2.0, 0.0, 0.0]]]), pose, intrinsics_matrix((64, 64), 60.0))
    assert np.isnan(pixels).all()
    assert depth[0, 0] == pytest.approx(-2.0)


def test_front_and_back_stand_on_the_walkways_axis_and_side_beside_it() -> None:
    front, back, side = (placed(name)[0].world_from_camera for name in ("front", "back", "side"))
    assert front[0, :3, 3] == pytest.approx([15.0, 1.2, 0.0], abs=1.0)
    assert back[0, :3, 3] == pytest.approx([-3.0, 1.2, 0.0], abs=1.0)
    assert side[0, 2, 3] > 2.0  # the walker's right
    assert side[0, 0, 3] == pytest.approx(6.0)
    for poses in (front, back):
        assert np.array_equal(poses, np.broadcast_to(poses[0], poses.shape))


def test_the_side_camera_stays_and_turns_after_the_walker() -> None:
    camera, _, pelvis = placed("side")
    poses = camera.world_from_camera
    assert np.ptp(poses[:, :3, 3], axis=0) == pytest.approx([0.0, 0.0, 0.0])
    pixels, _ = camera.project(pelvis[:, None])
    assert np.abs(pixels[:, 0, 0] - 127.5).max() < 40
    heading = np.unwrap(np.arctan2(poses[:, 2, 2], poses[:, 0, 2]))
    assert np.all(np.diff(heading) > 0)


@pytest.mark.parametrize("view", list(STANDARD_VIEWS))
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_the_whole_walk_stays_in_the_picture(view: str, data: st.DataObject) -> None:
    outline, pelvis = walk(
        data.draw(st.floats(2.0, 16.0)), data.draw(st.floats(1.45, 2.05)), frames=data.draw(st.integers(2, 60))
    )
    limits = STANDARD_VIEWS[view]
    camera = place_camera(
        draw_for(
            limits,
            azimuth_deg=limits.azimuth_deg + data.draw(st.floats(-3.0, 3.0)),
            distance_m=data.draw(st.floats(*limits.distance_m)),
            height_m=data.draw(st.floats(*limits.height_m)),
            vertical_fov_deg=data.draw(st.floats(*limits.vertical_fov_deg)),
            pitch_offset_deg=data.draw(st.floats(-1.5, 1.5)),
            yaw_offset_deg=data.draw(st.floats(-0.75, 0.75)),
            roll_deg=data.draw(st.floats(-1.5, 1.5)),
        ),
        outline=outline, pelvis=pelvis, time=clock(pelvis), image_size=(256, 256),
    )  # fmt: skip
    pixels, depth = camera.project(outline)
    assert np.all(depth > 0)
    assert pixels.min() > -0.5
    assert pixels.max() < 255.5


def curved(kind: str, frames: int = 90, stature_m: float = 1.8) -> tuple[np.ndarray, np.ndarray]:
    """Outline and pelvis of somebody who walks a quarter of a circle, there and back, or once around."""
    share = np.linspace(0.0, 1.0, frames)
    if kind == "quarter":
        pelvis = np.stack([6.0 * np.sin(share * np.pi / 2), 0 * share, 6.0 - 6.0 * np.cos(share * np.pi / 2)], axis=1)
    elif kind == "there and back":
        way = 6.0 * (1.0 - np.abs(2.0 * share - 1.0))
        pelvis = np.stack([way, 0 * share, 0.8 * np.sin(np.pi * share)], axis=1)
    else:
        pelvis = np.stack([2.5 * np.sin(2 * np.pi * share), 0 * share, 2.5 * np.cos(2 * np.pi * share)], axis=1)
    box = np.array([[x, y, z] for x in (-0.45, 0.45) for y in (0.0, stature_m) for z in (-0.45, 0.45)])
    return pelvis[:, None] + box, pelvis + np.array([0.0, 0.95, 0.0])


@pytest.mark.parametrize("kind", ["quarter", "there and back", "around"])
@pytest.mark.parametrize("view", list(STANDARD_VIEWS))
@settings(max_examples=12, deadline=None)
@given(data=st.data())
def test_a_walk_that_is_not_straight_stays_in_the_picture(view: str, kind: str, data: st.DataObject) -> None:
    outline, pelvis = curved(kind)
    limits = STANDARD_VIEWS[view]
    draw = camera_rand(np.random.default_rng(data.draw(st.integers(0, 2**31))), limits, CameraVariation())
    camera = place_camera(draw, outline=outline, pelvis=pelvis, time=clock(pelvis), image_size=(256, 256))
    pixels, depth = camera.project(outline)
    assert np.all(depth > 0)
    assert pixels.min() > -0.5
    assert pixels.max() < 255.5
    height = np.ptp(pixels[..., 1], axis=1)
    assert height.max() > 40, "so far off that nobody is seen"


def test_a_walk_may_leave_the_picture_where_the_campaign_says_so() -> None:
    outline, pelvis = walk()
    for name in ("front", "side", "phone"):
        tight = STANDARD_VIEWS[name].model_copy(update={"keep_in_view": False})
        camera = place_camera(
            draw_for(tight, distance_m=1.0, vertical_fov_deg=35.0, pitch_offset_deg=8.0), outline=outline,
            pelvis=pelvis, time=clock(pelvis), image_size=(256, 256),
        )  # fmt: skip
        pixels, _ = camera.project(outline)
        with np.errstate(invalid="ignore"):
            seen = ((pixels >= -0.5) & (pixels < 255.5)).all(axis=-1)
        assert seen.any(), name
        assert not seen.all(), name
        level = np.linalg.norm((outline - camera.world_from_camera[:, None, :3, 3])[..., [0, 2]], axis=-1)
        assert level.min() > NEAREST_M


def test_a_phone_turns_tilts_and_goes_along_with_the_walker_and_is_never_still() -> None:
    camera, _, pelvis = placed("phone", follow=0.4, shake=1.0, shake_key=3)
    poses = camera.world_from_camera
    assert np.ptp(poses[:, 0, 3]) == pytest.approx(0.4 * np.ptp(pelvis[:, 0]), rel=0.2)
    steady, _, _ = placed("phone", follow=0.4)
    apart = poses - steady.world_from_camera
    turned = np.linalg.norm(apart[:, :3, 2], axis=-1)
    assert 0.1 < np.rad2deg(turned).max() < 3.0
    assert 0.002 < np.linalg.norm(apart[:, :3, 3] - apart[:, :3, 3].mean(axis=0), axis=-1).max() < 0.05
    high, _, _ = placed("phone", height_m=1.7)
    assert np.ptp(np.arcsin(high.world_from_camera[:, 1, 2])) > 0.02, "it tilts as the walker comes nearer"
    still, _, _ = placed("phone")
    assert np.ptp(still.world_from_camera[:, :3, 3], axis=0).max() < 1e-12


def test_a_camera_is_drawn_alike_whatever_else_is_filmed() -> None:
    def drawn(*names: str) -> dict[str, CameraDraw]:
        parameters = scene_parameters_rand(
            lambda stream: generator(3, stream, 0), variation=SceneVariation(),
            views=[STANDARD_VIEWS[name] for name in names],
        )  # fmt: skip
        return {camera.view.name: camera for camera in parameters.cameras}

    assert drawn("side")["side"] == drawn("front", "phone", "side")["side"]
    assert drawn("front", "back")["front"].height_m != drawn("front", "back")["back"].height_m


def test_without_shake_a_phone_stands_on_a_tripod_and_everything_else_is_as_drawn() -> None:
    def drawn(*, shake: bool) -> CameraDraw:
        return camera_rand(np.random.default_rng(4), STANDARD_VIEWS["phone"], CameraVariation(shake=shake))

    assert drawn(shake=True).shake > 0
    assert drawn(shake=False) == dataclasses.replace(drawn(shake=True), shake=0.0)


def test_a_drawn_scene_has_one_camera_for_each_view() -> None:
    drawn = scene(PEOPLE["generic man"])
    assert [camera.view.name for camera in drawn.cameras] == ["front", "back", "side"]
