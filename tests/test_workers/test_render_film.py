"""Films of a known walk: labels agree with pixels, and pictures that are wrong are found out."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from functools import cache, partial

import numpy as np
import pytest

from farm.config import Campaign, Pictures
from farm.dataset.video import decode, encode, psnr_db
from farm.gait.keypoints import own_parts
from farm.gait.labels import gait_labels
from farm.records import FrameSet, GaitLabels, GaitParameters, Trajectory, ViewFrames
from farm.sampling.anatomy import KEYPOINTS, Anatomy, anatomy
from scenes.body import PARTS
from scenes.cameras import unproject
from scenes.furniture import box as solid_box
from scenes.occlusion import OCCLUDED, OUTSIDE, VISIBLE
from scenes.passer_by import PasserBy
from tests.norm_walk import norm_walk
from workers.render.film import FAR_CELL_M, Stage, film, finenesses, set_stage, shoot

SIZE = (160, 160)
FRAME_RATE_HZ = 6.0
WALK_S = 4.0
WOMAN = GaitParameters(sample_id=7, sex="female", stature_m=1.66, mass_kg=70.0)


def order(**pictures: object) -> Campaign:
    return Campaign(name="test", samples=8, pictures=Pictures(image_size=SIZE, frame_rate_hz=FRAME_RATE_HZ, **pictures))


@cache
def walked() -> tuple[GaitParameters, Anatomy, Trajectory, GaitLabels]:
    body, trajectory = anatomy(WOMAN), norm_walk(WOMAN, duration_s=WALK_S)
    return WOMAN, body, trajectory, gait_labels(trajectory, body, frame_rate_hz=FRAME_RATE_HZ)


@cache
def filmed() -> FrameSet:
    return film(order(depth=True), *walked())


def own_part_share(view: ViewFrames, keypoints_2d: np.ndarray, parts: tuple[str, ...] = PARTS) -> float:
    """Share of the visible keypoints with their own part's pixels at or next to them."""
    assert view.mask is not None
    hits = []
    for column, name in enumerate(KEYPOINTS):
        own = [parts.index(part) for part in own_parts(name)]
        for frame in np.flatnonzero(view.visibility[:, column] == VISIBLE):
            x, y = np.rint(keypoints_2d[frame, column]).astype(int)
            around = view.mask[frame, max(y - 1, 0) : y + 2, max(x - 1, 0) : x + 2]
            hits.append(bool(np.isin(around, own).any()))
    return float(np.mean(hits))


@pytest.mark.parametrize("name", ["front", "back", "side"])
def test_visible_keypoints_lie_on_their_own_part(name: str) -> None:
    view = filmed().view(name)
    assert (view.visibility == VISIBLE).mean() > 0.4
    assert own_part_share(view, view.keypoints_2d) >= 0.97


@pytest.mark.parametrize("name", ["front", "back", "side"])
def test_a_shifted_camera_is_found_out(name: str) -> None:
    view = filmed().view(name)
    height = np.nanmedian(view.bbox[:, 3] - view.bbox[:, 1])
    assert own_part_share(view, view.keypoints_2d + np.array([0.12 * height, 0.0])) < 0.9


@pytest.mark.parametrize("name", ["front", "back", "side"])
def test_swapped_sides_are_found_out(name: str) -> None:
    view = filmed().view(name)
    swap = {"left": "right", "right": "left"}
    column = [
        KEYPOINTS.index("_".join([swap.get(word, word) for word in keypoint.split("_")])) for keypoint in KEYPOINTS
    ]
    assert own_part_share(view, view.keypoints_2d[:, column]) < 0.9


def screened(stage: Stage) -> Stage:
    """The same with a screen of 1.2 m breadth and 1.1 m height between the side camera and the walkway."""
    middle = 0.5 * (stage.bones[:, 0, :3, 3].min(axis=0) + stage.bones[:, 0, :3, 3].max(axis=0))
    eye = stage.cameras[2].world_from_camera[0, :3, 3]
    x, z = (middle + 0.4 * (eye - middle))[[0, 2]]
    screen = solid_box((x - 0.6, 0.0, z - 0.02), (x + 0.6, 1.1, z + 0.02), (0.4, 0.5, 0.6))
    panel = dataclasses.replace(
        stage.setting.panels[0], vertices=screen.vertices, normals=screen.normals, faces=screen.faces.astype(np.int32),
        colours=np.full((len(screen.vertices), 3), 0.5), uv=screen.vertices[:, :2],
    )  # fmt: skip
    setting = stage.setting
    setting = dataclasses.replace(setting, panels=(*setting.panels, panel), solids=(*setting.solids, screen.vertices))
    return dataclasses.replace(stage, setting=setting)


def _shifted(aside: np.ndarray, stage: Stage, time: np.ndarray) -> np.ndarray:
    return np.asarray(aside @ stage.motion.bones(time))


def with_passers_by(stage: Stage) -> Stage:
    """The same with two who walk alike, 1 m nearer to the side camera, half a step behind and half a step ahead."""
    nearer = np.sign(stage.cameras[2].world_from_camera[0, 2, 3])
    passers_by = []
    for ahead in (-0.3, 0.3):
        aside = np.eye(4)
        aside[[0, 2], 3] = ahead, nearer
        bones_at = partial(_shifted, aside, stage)
        passers_by.append(PasserBy(stage.meshes[-1], aside @ stage.bones, moves=True, bones_at=bones_at))
    return dataclasses.replace(stage, setting=dataclasses.replace(stage.setting, passers_by=tuple(passers_by)))


@pytest.mark.parametrize("hide", [screened, with_passers_by])
def test_visibility_agrees_with_the_mask_where_something_stands_before_the_walker(
    hide: Callable[[Stage], Stage],
) -> None:
    """Where all pixels around a keypoint are lost from the mask, it is no longer visible; where none is, it is as
    before."""
    campaign = order(rgb="none")
    stage = set_stage(campaign, *walked())
    free, hidden = (shoot(campaign, some, walked()[3]).view("side") for some in (stage, hide(stage)))
    lost = np.zeros(free.visibility.shape, dtype=np.int64)
    for frame, column in np.argwhere(free.visibility == VISIBLE):
        x, y = np.rint(free.keypoints_2d[frame, column]).astype(int)
        around = (slice(max(y - 2, 0), y + 3), slice(max(x - 2, 0), x + 3))
        gone = hidden.mask[frame][around] != free.mask[frame][around]
        lost[frame, column] = 1 if gone.all() else 0 if not gone.any() else -1
    seen = free.visibility == VISIBLE
    assert (seen & (lost == 1)).sum() > 15
    assert (seen & (lost == 0)).sum() > 60
    assert np.mean(hidden.visibility[seen & (lost == 1)] == OCCLUDED) > 0.97
    assert np.mean(hidden.visibility[seen & (lost == 0)] == VISIBLE) > 0.97
    assert np.array_equal(hidden.bbox, free.bbox), "the box is the whole person's, hidden or not"
    assert own_part_share(hidden, hidden.keypoints_2d) > 0.95


def test_arrays_have_the_shapes_and_types_of_the_record() -> None:
    frames, labels = filmed(), walked()[3]
    width, height = SIZE
    assert frames.parts == PARTS
    assert frames.frame_rate_hz == FRAME_RATE_HZ
    assert [view.view for view in frames.views] == ["front", "back", "side"]
    for view in frames.views:
        n = labels.n_frames
        assert view.rgb is not None
        assert view.mask is not None
        assert view.depth is not None
        assert (view.rgb.shape, view.rgb.dtype) == ((n, height, width, 3), np.uint8)
        assert (view.mask.shape, view.mask.dtype) == ((n, height, width), np.uint8)
        assert (view.depth.shape, view.depth.dtype) == ((n, height, width), np.uint16)
        assert (view.keypoints_2d.shape, view.keypoints_2d.dtype) == ((n, len(KEYPOINTS), 2), np.float32)
        assert (view.visibility.dtype, view.bbox.dtype) == (np.uint8, np.float32)
        assert view.world_from_camera.shape == (n, 4, 4)
        assert set(np.unique(view.visibility)) <= {OUTSIDE, OCCLUDED, VISIBLE}


@pytest.mark.parametrize("name", ["front", "back", "side"])
def test_the_box_is_the_masks(name: str) -> None:
    view = filmed().view(name)
    assert view.mask is not None
    for mask, box in zip(view.mask, view.bbox, strict=True):
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        pixels = np.array([columns[0], rows[0], columns[-1], rows[-1]])
        assert np.abs(box - pixels).max() <= 1.5


def test_coming_grows_and_going_shrinks() -> None:
    def heights(name: str) -> np.ndarray:
        box = filmed().view(name).bbox
        return box[:, 3] - box[:, 1]

    assert np.all(np.diff(heights("front")) > -0.5)
    assert heights("front")[-1] > 1.5 * heights("front")[0]
    assert np.all(np.diff(heights("back")) < 0.5)
    assert heights("back")[0] > 1.5 * heights("back")[-1]


def test_the_walkers_right_is_on_the_left_of_the_front_view() -> None:
    def right_minus_left(name: str) -> float:
        points = filmed().view(name).keypoints_2d
        right, left = (points[:, KEYPOINTS.index(f"{side}_shoulder"), 0] for side in ("right", "left"))
        return float(np.mean(right - left))

    assert right_minus_left("front") < -3
    assert right_minus_left("back") > 3


def test_depth_agrees_with_the_keypoints_and_the_floor() -> None:
    """The picture's surface at a visible joint is in front of it by less than a limb; the floor is at y = 0."""
    labels = walked()[3]
    for view in filmed().views:
        assert view.depth is not None
        assert view.mask is not None
        wrist = KEYPOINTS.index("right_knee")
        turn = view.world_from_camera
        local = np.einsum("fji,fj->fi", turn[:, :3, :3], labels.keypoints_3d[:, wrist] - turn[:, :3, 3])
        for frame in np.flatnonzero(view.visibility[:, wrist] == VISIBLE):
            x, y = np.rint(view.keypoints_2d[frame, wrist]).astype(int)
            assert -0.02 < local[frame, 2] - view.depth[frame, y, x] / 1000.0 < 0.16
        row, column = SIZE[1] - 2, 10
        pixels = np.broadcast_to([float(column), float(row)], (labels.n_frames, 1, 2))
        place = unproject(pixels, view.depth[:, row, column, None] / 1000.0, turn, view.intrinsics)
        assert np.abs(place[:, 0, 1]).max() < 0.02


def test_the_person_stands_out_from_the_empty_room() -> None:
    """In the fixed views, pixels of the mask change with the walk, and pixels far from person and shadow do not."""
    for name in ("front", "back"):
        view = filmed().view(name)
        assert view.rgb is not None
        assert view.mask is not None
        empty = np.median(view.rgb.astype(float), axis=0)
        differs = np.abs(view.rgb.astype(float) - empty).max(axis=-1) > 6
        often = (view.mask > 0).mean(axis=0) > 0.4  # where the median shows the person
        person = (view.mask > 0) & ~often
        assert differs[person].mean() > 0.8
        assert differs[view.mask == 0].mean() < 0.25


def test_the_shadow_is_on_the_floor_and_can_be_left_out() -> None:
    with_shadow = filmed().view("side")
    without = film(order(shadows=False), *walked()).view("side")
    assert with_shadow.rgb is not None
    assert without.rgb is not None
    assert with_shadow.mask is not None
    darker = without.rgb.astype(float).mean(axis=-1) - with_shadow.rgb.astype(float).mean(axis=-1)
    background = with_shadow.mask == 0
    assert ((darker > 8) & background).sum(axis=(1, 2)).min() > 30
    assert darker.min() > -3
    assert np.array_equal(without.mask, with_shadow.mask)


def test_the_same_sample_is_the_same_to_the_bit() -> None:
    again = film(order(depth=True), *walked())
    for first, second in zip(filmed().views, again.views, strict=True):
        for field in dataclasses.fields(ViewFrames):
            a, b = getattr(first, field.name), getattr(second, field.name)
            assert np.array_equal(a, b, equal_nan=field.name in ("bbox", "keypoints_2d")), field.name
    assert filmed().scene == again.scene


def test_another_sample_looks_different() -> None:
    parameters, body, trajectory, labels = walked()
    other = film(order(), dataclasses.replace(parameters, sample_id=8), body, trajectory, labels)
    assert other.scene["clothes"] != filmed().scene["clothes"]
    assert not np.array_equal(other.view("side").rgb, filmed().view("side").rgb)


def test_without_pictures_labels_are_the_same() -> None:
    bare = film(order(rgb="none", mask=False), *walked())
    for first, second in zip(filmed().views, bare.views, strict=True):
        assert second.rgb is None
        assert second.mask is None
        assert second.depth is None
        assert np.array_equal(first.keypoints_2d, second.keypoints_2d)
        assert np.array_equal(first.visibility, second.visibility)
        assert np.array_equal(first.bbox, second.bbox, equal_nan=True)


def test_film_survives_video() -> None:
    for view in filmed().views:
        assert view.rgb is not None
        data = encode(view.rgb, frame_rate_hz=FRAME_RATE_HZ, crf=18)
        assert psnr_db(view.rgb, decode(data)) >= 36.0


def test_each_picture_shows_the_coarsest_mesh_whose_cells_are_small_enough() -> None:
    cells, levels = finenesses(np.array([[60.0, 300.0], [90.0, 100.0]]))
    assert cells == pytest.approx((0.010, np.sqrt(0.010 * FAR_CELL_M), FAR_CELL_M))
    assert levels.tolist() == [[2, 0], [1, 1]]
    assert finenesses(np.array([[30.0]])) == ((FAR_CELL_M,), np.array([[0]]))
