"""Films of walkers with aids: what is worn and carried is drawn, and no label loses by it."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from farm.config import Campaign, Pictures
from farm.gait.labels import gait_labels
from farm.records import FrameSet, GaitParameters
from farm.sampling.anatomy import anatomy
from farm.scene_config import AidShare, AidsVariation, SceneVariation
from scenes.body import PARTS
from tests.norm_walk import norm_walk
from tests.test_workers.test_render_film import FRAME_RATE_HZ, SIZE, own_part_share
from workers.render.film import film

WALKER = GaitParameters(sample_id=5, condition="hemiparesis", severity=0.5, side="right")


@cache
def filmed(*kinds: str) -> FrameSet:
    share = (AidShare(condition="hemiparesis", share=1.0),)
    aids = AidsVariation(kinds=kinds, ankle_orthosis=share)  # type: ignore[arg-type]
    campaign = Campaign(
        name="test",
        samples=8,
        pictures=Pictures(image_size=SIZE, frame_rate_hz=FRAME_RATE_HZ, depth=True),
        scene=SceneVariation(aids=aids),
    )
    body, walk = anatomy(WALKER), norm_walk(WALKER, duration_s=3.0)
    return film(campaign, WALKER, body, walk, gait_labels(walk, body, frame_rate_hz=FRAME_RATE_HZ))


@pytest.mark.parametrize("name", ["front", "back", "side"])
def test_visible_keypoints_of_a_braced_leg_lie_on_their_own_part(name: str) -> None:
    view = filmed("ankle_orthosis").view(name)
    assert own_part_share(view, view.keypoints_2d) >= 0.97


def test_an_orthosis_changes_the_picture_at_the_affected_shank_alone() -> None:
    braced, plain = filmed("ankle_orthosis").view("side"), filmed().view("side")
    assert braced.rgb is not None
    assert plain.rgb is not None
    assert plain.mask is not None
    assert np.array_equal(braced.keypoints_2d, plain.keypoints_2d)
    shank = plain.mask == PARTS.index("tibia_r")
    changed = (np.abs(braced.rgb.astype(int) - plain.rgb) > 40).any(axis=-1)
    assert changed[shank].mean() > 0.3
    other = np.isin(plain.mask, [PARTS.index(name) for name in ("torso", "head", "humerus_r", "calcn_l", "pelvis")])
    assert changed[other].mean() < 0.005
