"""Films of walkers with aids: what is worn and carried is drawn, and no label loses by it."""

from __future__ import annotations

import dataclasses
from functools import cache

import numpy as np
import pytest

from farm.config import Campaign, Pictures
from farm.gait.labels import gait_labels
from farm.gait.resample import PosedWalk
from farm.records import FrameSet, GaitLabels, GaitParameters
from farm.sampling.anatomy import Anatomy, anatomy
from farm.scene_config import AidShare, AidsVariation, SceneVariation
from scenes.body import PARTS
from scenes.occlusion import OCCLUDED, VISIBLE
from tests.norm_walk import norm_walk
from tests.test_workers.test_render_film import FRAME_RATE_HZ, SIZE, own_part_share
from workers.render.film import film

WALKER = GaitParameters(sample_id=5, condition="hemiparesis", severity=0.5, side="right")


def staged(*kinds: str) -> tuple[Campaign, Anatomy, PosedWalk, GaitLabels]:
    share = (AidShare(condition="hemiparesis", share=1.0),)
    aids = AidsVariation(kinds=kinds, ankle_orthosis=share, cane=share)  # type: ignore[arg-type]
    campaign = Campaign(
        name="test",
        samples=8,
        pictures=Pictures(image_size=SIZE, frame_rate_hz=FRAME_RATE_HZ, depth=True),
        scene=SceneVariation(aids=aids),
    )
    body, walk = anatomy(WALKER), norm_walk(WALKER, duration_s=3.0)
    return campaign, body, walk, gait_labels(walk, body, frame_rate_hz=FRAME_RATE_HZ)


@cache
def filmed(*kinds: str) -> FrameSet:
    campaign, body, walk, labels = staged(*kinds)
    return film(campaign, WALKER, body, walk, labels)


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


@pytest.mark.parametrize("name", ["front", "back", "side"])
def test_visible_keypoints_beside_a_cane_lie_on_their_own_part(name: str) -> None:
    view = filmed("cane").view(name)
    assert own_part_share(view, view.keypoints_2d) >= 0.97


@pytest.mark.parametrize("name", ["front", "back", "side"])
def test_a_cane_is_seen_and_is_no_part_of_the_walker(name: str) -> None:
    """It takes pixels from the walker and gives none but the closed hand's."""
    leaning, plain = filmed("cane").view(name), filmed().view(name)
    assert leaning.mask is not None
    assert plain.mask is not None
    assert np.array_equal(leaning.keypoints_2d, plain.keypoints_2d)
    arm = [PARTS.index("radius_l"), PARTS.index("humerus_l")]
    elsewhere = ~np.isin(leaning.mask, arm) & ~np.isin(plain.mask, arm)
    changed = elsewhere & (leaning.mask != plain.mask)
    assert np.all(leaning.mask[changed] == 0)
    hidden = (plain.visibility == VISIBLE) & (leaning.visibility == OCCLUDED)
    assert hidden.mean() < 0.02, "it is thin"
    assert changed.any() or name == "side", "from the side it is behind the walker"


def test_films_know_events_only_as_they_are_stored() -> None:
    """A gait that was read again is filmed as when it was made."""
    campaign, body, walk, labels = staged("cane")
    stored = dataclasses.replace(labels, event_time=labels.event_time.astype(np.float32).astype(float))
    again = film(campaign, WALKER, body, walk, stored)
    for view, other in zip(filmed("cane").views, again.views, strict=True):
        assert np.array_equal(view.mask, other.mask)
        assert np.array_equal(view.rgb, other.rgb)
