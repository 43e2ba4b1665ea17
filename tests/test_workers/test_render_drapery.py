"""Films of walkers in skirts and coats: drawn as posed by numpy, and no label loses by them."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from farm.config import Campaign, Pictures
from farm.gait.keypoints import OWN_FLESH
from farm.gait.labels import gait_labels
from farm.records import FrameSet, GaitLabels, GaitParameters
from farm.sampling.anatomy import KEYPOINTS, anatomy
from farm.scene_config import LowerGarment, PeopleVariation, SceneVariation
from scenes.body import PARTS, Skin
from scenes.occlusion import VISIBLE
from tests.norm_walk import norm_walk
from tests.test_workers.test_render_film import FRAME_RATE_HZ, SIZE, own_part_share
from workers.render.context import gl_context
from workers.render.film import Stage, set_stage, shoot
from workers.render.objects import kit, targets
from workers.render.skinned import SkinnedMesh

WALKER = GaitParameters(sample_id=5, sex="female", stature_m=1.66, mass_kg=60.0)


@cache
def staged(lower: LowerGarment, coat_share: float) -> tuple[Campaign, Stage, GaitLabels]:
    campaign = Campaign(
        name="test",
        samples=8,
        pictures=Pictures(image_size=SIZE, frame_rate_hz=FRAME_RATE_HZ, depth=True),
        scene=SceneVariation(people=PeopleVariation(lower=(lower,), coat_share=coat_share)),
    )
    body, walk = anatomy(WALKER), norm_walk(WALKER, duration_s=3.0)
    labels = gait_labels(walk, body, frame_rate_hz=FRAME_RATE_HZ)
    return campaign, set_stage(campaign, WALKER, body, walk, labels), labels


@cache
def filmed(lower: LowerGarment, coat_share: float) -> FrameSet:
    campaign, stage, labels = staged(lower, coat_share)
    return shoot(campaign, stage, labels)


@pytest.mark.parametrize("name", ["front", "back", "side"])
@pytest.mark.parametrize(("lower", "coat_share"), [("skirt", 0.0), ("long_trousers", 1.0)])
def test_visible_keypoints_lie_on_their_own_part(lower: LowerGarment, coat_share: float, name: str) -> None:
    view = filmed(lower, coat_share).view(name)
    assert own_part_share(view, view.keypoints_2d) >= 0.97


@pytest.mark.parametrize("name", ["front", "back", "side"])
@pytest.mark.parametrize(("lower", "coat_share"), [("skirt", 0.0), ("long_trousers", 1.0)])
def test_the_box_holds_the_cloth(lower: LowerGarment, coat_share: float, name: str) -> None:
    view = filmed(lower, coat_share).view(name)
    assert view.mask is not None
    for mask, (x0, y0, x1, y1) in zip(view.mask, view.bbox, strict=True):
        rows, columns = np.nonzero(mask)
        assert x0 - 1 <= columns.min() <= columns.max() <= x1 + 1
        assert y0 - 1 <= rows.min() <= rows.max() <= y1 + 1


def test_a_skirt_is_seen_where_trousers_would_be() -> None:
    skirt, trousers = filmed("skirt", 0.0).view("side"), filmed("long_trousers", 0.0).view("side")
    assert skirt.mask is not None
    assert trousers.mask is not None
    thighs = [PARTS.index("femur_r"), PARTS.index("femur_l")]
    assert np.isin(skirt.mask, thighs).sum() > 1.2 * np.isin(trousers.mask, thighs).sum()


def test_the_card_hangs_cloth_as_numpy_does() -> None:
    from OpenGL import GL

    stage = staged("skirt", 0.0)[1]
    gl_context().make_current()
    GL.glBindFramebuffer(GL.GL_FRAMEBUFFER, targets(gl_context(), (128, 128), 1).colour)
    for mesh in stage.meshes:
        assert mesh.drapes
        skinned = SkinnedMesh(mesh, kit(gl_context(), 1).skin, 3)
        skinned.pose(stage.bones[10:13])
        for moment in range(3):
            vertices, normals = Skin(mesh).pose(stage.bones[10 + moment])
            posed = skinned.posed(moment)
            assert posed[:, :3] == pytest.approx(vertices, abs=5e-5)
            assert posed[:, 3:] == pytest.approx(normals, abs=2e-3)
        skinned.delete()


def test_a_skirt_hides_what_is_deep_under_it_and_behind_it() -> None:
    """The side view sees the walker's right; a knee is as deep under the depth picture as its flesh at most."""
    skirt, trousers = filmed("skirt", 0.0).view("side"), filmed("long_trousers", 0.0).view("side")
    near, far = KEYPOINTS.index("right_knee"), KEYPOINTS.index("left_knee")
    seen = {name: (view.visibility == VISIBLE).mean(axis=0) for name, view in (("s", skirt), ("t", trousers))}
    assert seen["t"][near] == 1.0
    assert seen["s"][far] < seen["t"][far] - 0.1
    assert skirt.depth is not None
    labels, reach = staged("skirt", 0.0)[2], OWN_FLESH["right_knee"][1] + 0.02
    turn = skirt.world_from_camera
    local = np.einsum("fji,fj->fi", turn[:, :3, :3], labels.keypoints_3d[:, near] - turn[:, :3, 3])
    for frame, (x, y) in enumerate(np.rint(skirt.keypoints_2d[:, near]).astype(int)):
        depth = local[frame, 2] - skirt.depth[frame, y, x] / 1000.0
        if skirt.visibility[frame, near] == VISIBLE:
            assert -0.02 < depth < reach
