"""The raster alone: batches against single moments, skinning against numpy, and what stands before the walker."""

from __future__ import annotations

import dataclasses
from functools import cache

import numpy as np
import pytest

from farm.config import Campaign, Pictures
from farm.gait.labels import gait_labels
from farm.records import GaitParameters
from farm.sampling.anatomy import anatomy
from scenes.body import BodyMesh, Skin
from scenes.outline import BOX_DIRECTIONS, Outline
from scenes.panel import Panel
from scenes.patterns import PATTERNS
from tests.norm_walk import norm_walk
from workers.render import raster as raster_module
from workers.render.context import gl_context
from workers.render.film import Stage, bounding_boxes, set_stage
from workers.render.objects import kit, targets
from workers.render.plan import Receiver, apart
from workers.render.probe import drawn_by
from workers.render.raster import Pictures as Drawn
from workers.render.raster import Raster
from workers.render.skinned import SkinnedMesh

MOMENTS = 5
WALKER = GaitParameters(sample_id=5, stature_m=1.8, mass_kg=80.0)


@cache
def stage() -> Stage:
    body, walk = anatomy(WALKER), norm_walk(WALKER, duration_s=MOMENTS - 0.5)
    campaign = Campaign(name="test", samples=8, pictures=Pictures(image_size=(128, 128), frame_rate_hz=1.0))
    return set_stage(campaign, WALKER, body, walk, gait_labels(walk, body, frame_rate_hz=1.0))


def draw(*more: Panel, moments: int | None = None, passers_by: int = 0, away: float = 0.0, **wanted: bool) -> Drawn:
    """The stage's pictures, with `more` panels, and doubles of the walker `away` metres to the side."""
    here = stage()
    views = here.cameras
    double = here.bones.copy()
    double[:, :, 2, 3] += away
    with Raster(
        [*here.setting.panels, *more], here.meshes, here.scene.light, image_size=(128, 128),
        views=len(views), passers_by=[here.meshes[-1]] * passers_by, moments=moments,
    ) as raster:  # fmt: skip
        return raster.draw(
            here.bones, here.levels, np.stack([view.world_from_camera for view in views], axis=1),
            np.stack([view.intrinsics for view in views]), passers_by=[double] * passers_by, **wanted,
        )  # fmt: skip


def board(before: int, moment: int, share: float, breadth_m: float) -> Panel:
    """A square board that faces one camera, at a share of the way from it to the walker at one moment."""
    here = stage()
    pose = here.cameras[before].world_from_camera[moment]
    middle = (1 - share) * pose[:3, 3] + share * here.bones[moment, 0, :3, 3]
    x, y = pose[:3, 0] * breadth_m / 2, pose[:3, 1] * breadth_m / 2
    corners = np.stack([middle - x + y, middle + x + y, middle + x - y, middle - x - y])
    faces = np.array([[0, 1, 2], [0, 2, 3]], np.int32)
    return Panel("board", corners, np.tile(-pose[:3, 2], (4, 1)), faces, np.full((4, 3), 0.4), np.zeros((4, 2)), 0.0,
                 np.full((4, 4, 3), 255, np.uint8))  # fmt: skip


def test_the_card_skins_as_numpy_does() -> None:
    from OpenGL import GL

    gl_context().make_current()
    GL.glBindFramebuffer(GL.GL_FRAMEBUFFER, targets(gl_context(), (128, 128), 1).colour)
    for mesh in stage().meshes:
        skinned = SkinnedMesh(mesh, kit(gl_context(), 1).skin, MOMENTS)
        skinned.pose(stage().bones[:MOMENTS])
        for moment in range(MOMENTS):
            vertices, normals = Skin(mesh).pose(stage().bones[moment])
            posed = skinned.posed(moment)
            assert posed[:, :3] == pytest.approx(vertices, abs=5e-5)
            assert posed[:, 3:] == pytest.approx(normals, abs=2e-3)
        skinned.delete()


def test_cloth_where_its_pattern_is_looks_as_cloth_of_the_second_colour() -> None:
    """Matt cloth all of which is in the accent's part of its tile, against plain cloth in that colour."""
    here = stage()
    count = len(here.meshes[-1].vertices)
    matt = dataclasses.replace(here.meshes[-1], gloss=np.zeros(count), cloth=np.zeros((count, 3)))
    accent, other = np.tile([0.7, 0.3, 0.2], (count, 1)), np.tile([0.3, 0.5, 0.6], (count, 1))
    upper_half = np.tile([0.5, 0.75, PATTERNS.index("yoke")], (count, 1))

    def picture(mesh: BodyMesh) -> np.ndarray:
        with Raster([], [mesh], here.scene.light, image_size=(128, 128), views=1) as raster:
            view = here.cameras[0]
            drawn = raster.draw(here.bones[:1], here.levels[:1, :1] * 0, view.world_from_camera[:1, None],
                                view.intrinsics[None])  # fmt: skip
        assert drawn.rgb is not None
        return drawn.rgb.astype(int)

    plain = picture(dataclasses.replace(matt, colours=accent))
    patterned = picture(dataclasses.replace(matt, colours=other, accents=accent, cloth=upper_half))
    unpatterned = picture(dataclasses.replace(matt, colours=other, accents=accent))
    assert np.abs(patterned - plain).max() <= 2
    assert np.abs(unpatterned - plain).max() > 40


@pytest.mark.parametrize("moments", [2, 4])
def test_a_batch_shows_what_single_moments_show(moments: int) -> None:
    """Edges may round otherwise elsewhere in the frame buffer; nothing else differs. 5 moments end in a part batch."""
    one, many = draw(moments=1, depth=True), draw(moments=moments, depth=True)
    assert one.rgb is not None
    assert many.rgb is not None
    differs = (one.rgb != many.rgb).any(axis=-1)
    assert differs.mean() < 2e-3
    assert np.mean(one.mask != many.mask) < 1e-4
    assert np.mean(np.abs(one.depth_m - many.depth_m) > 0.01) < 1e-4
    assert len(np.unique(one.rgb[:, :, ::7, ::7])) > 50


@pytest.mark.parametrize("moments", [1, 4])
def test_masks_are_the_same_with_and_without_distances(moments: int) -> None:
    assert np.array_equal(draw(moments=moments, depth=True).mask, draw(moments=moments, rgb=False).mask)


@pytest.mark.parametrize("moments", [1, 4])
def test_what_stands_before_the_walker_hides_the_walker(moments: int) -> None:
    """A board at half way is in picture and distances and cuts the mask; behind the walker it hides nothing."""
    view, moment = 2, 2
    free, hidden = draw(moments=moments, depth=True), draw(board(view, moment, 0.5, 0.4), moments=moments, depth=True)
    behind = draw(board(view, moment, 1.15, 1.2), moments=moments)
    assert free.mask is not None
    assert hidden.mask is not None
    assert behind.mask is not None
    before = (free.mask > 0) & (hidden.mask == 0)
    assert before[view, moment].sum() > 0.3 * (free.mask[view, moment] > 0).sum()
    assert not ((free.mask == 0) & (hidden.mask > 0)).any()
    assert np.all(hidden.depth_m[before] < free.depth_m[before] - 0.3)
    assert np.array_equal(behind.mask, free.mask)
    assert not np.array_equal(behind.rgb[view, moment], free.rgb[view, moment])


@pytest.mark.parametrize("moments", [1, 4])
def test_passers_by_are_drawn_cast_shadows_and_hide_but_are_not_labelled(moments: int) -> None:
    alone = draw(moments=moments)
    beside = draw(moments=moments, passers_by=1, away=1.2)
    assert alone.rgb is not None
    assert alone.mask is not None
    assert beside.mask is not None
    assert not ((alone.mask == 0) & (beside.mask > 0)).any()
    assert (alone.mask > 0).sum() > (beside.mask > 0).sum() > 0.4 * (alone.mask > 0).sum()  # the side view's is hidden
    changed = (np.abs(alone.rgb.astype(int) - beside.rgb.astype(int)).max(axis=-1) > 12).sum(axis=(2, 3))
    assert np.all(changed > 0.6 * (alone.mask > 0).sum(axis=(2, 3)))


def test_a_walker_without_passers_by_looks_the_same_as_with_one_far_away() -> None:
    alone, far = draw(moments=1), draw(moments=1, passers_by=1, away=-500.0)
    assert np.array_equal(alone.mask, far.mask)
    assert np.mean((alone.rgb != far.rgb).any(axis=-1)) < 1e-3


def test_kept_backdrops_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = draw(moments=1)
    monkeypatch.setattr(raster_module.Raster, "_picture", _whole_picture)
    assert np.array_equal(kept.rgb, draw(moments=1).rgb)


@pytest.mark.parametrize("share", [0.9, 1.1])
def test_only_what_shadows_cannot_touch_is_drawn_without_them(share: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """A board before the walker and one behind: the same pictures as when every panel is asked for shadows."""
    chosen = draw(board(2, 2, share, 1.2), moments=1)
    asked: list[bool] = []

    def touched(self: Receiver, low: np.ndarray, high: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        asked.extend(truly(self, low, high)[0].ravel().tolist())
        return np.ones(low.shape[:2], bool), np.ones(low.shape[:2], bool)

    truly = Receiver.touched
    monkeypatch.setattr(Receiver, "touched", touched)
    assert np.array_equal(draw(board(2, 2, share, 1.2), moments=1).rgb, chosen.rgb)
    assert any(asked)
    assert not all(asked)


def test_a_wall_that_the_lamp_reaches_and_shadows_meet_receives_them() -> None:
    """Somebody's shadow would end beyond the wall; not if the lamp shines on its back, or it is too far."""
    here = stage()
    low = dataclasses.replace(here.scene.light, direction=(0.0, -0.6, 0.8))
    receiver = Receiver(wall(2.0), low)
    someone = np.array([[[-0.4, 0.0, -0.2]]]), np.array([[[0.4, 1.8, 2.4]]])
    assert [bool(each.any()) for each in receiver.touched(*someone)] == [True, True]
    away = Receiver(wall(2.0), dataclasses.replace(low, direction=(0.0, -0.6, -0.8)))
    assert [bool(each.any()) for each in away.touched(*someone)] == [False, False]
    too_far = Receiver(wall(2.5), low)
    assert [bool(each.any()) for each in too_far.touched(*someone)] == [False, False]


def wall(z: float) -> Panel:
    """4 m by 3 m across z, facing -z."""
    corners = np.array([[-2.0, 0.0, z], [-2.0, 3.0, z], [2.0, 3.0, z], [2.0, 0.0, z]])
    faces = np.array([[0, 1, 2], [0, 2, 3]], np.int32)
    return Panel("wall", corners, np.tile([0.0, 0.0, -1.0], (4, 1)), faces, np.full((4, 3), 0.7), np.zeros((4, 2)), 0.0,
                 np.full((4, 4, 3), 255, np.uint8))  # fmt: skip


def _whole_picture(self: Raster, plan: raster_module.Plan, view: int) -> np.ndarray:
    self._clear(self._targets.colour, self._tile(0, view), raster_module._NOTHING)
    self._draw_tile(plan, 0, view)
    return self._read_colours(self._tile(0, view))[..., :3]


def test_boxes_from_the_outline_are_those_of_all_vertices() -> None:
    here = stage()
    mesh = here.meshes[0]
    every = np.stack([Skin(mesh).pose(bones)[0] for bones in here.bones])
    few = Outline(mesh, BOX_DIRECTIONS).points(here.bones)
    assert few.shape[1] < 0.5 * every.shape[1]
    for camera in here.cameras:
        difference = np.abs(bounding_boxes(camera, few) - bounding_boxes(camera, every))
        assert difference.max() < 0.3


def test_a_box_of_who_is_not_in_the_picture_is_nan() -> None:
    here = stage()
    outline = Outline(here.meshes[0]).points(here.bones)
    camera = here.cameras[0]
    away = dataclasses.replace(camera, world_from_camera=camera.world_from_camera @ np.diag([-1.0, 1.0, -1.0, 1.0]))
    assert np.isnan(bounding_boxes(away, outline)).all()
    assert np.isfinite(bounding_boxes(camera, outline)).all()


def test_pyrenders_own_renderer_may_draw_in_between() -> None:
    """It leaves other settings and no frame buffer behind; `gaitfarm doctor` draws with it."""
    before = draw(moments=1)
    drawn_by()
    after = draw(moments=1)
    assert np.array_equal(before.rgb, after.rgb)
    assert np.array_equal(before.mask, after.mask)


def test_windows_that_overlap_become_one_and_the_empty_ones_none() -> None:
    windows = np.array([[0, 0, 10, 10], [30, 0, 5, 5], [8, 8, 10, 10], [50, 50, 0, 0], [17, 2, 14, 4]])
    assert sorted(apart(windows)) == [(0, 0, 35, 18)], "the last joins all"
    assert sorted(apart(windows[:4])) == [(0, 0, 18, 18), (30, 0, 5, 5)]
    assert apart(windows[3:4]) == []
