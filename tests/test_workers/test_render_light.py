"""The drawn light shows: exposure and white balance act on every pixel, broad lamps soften shadows, fills fill."""

from __future__ import annotations

import dataclasses
from functools import cache

import numpy as np

from farm.config import Campaign, Pictures
from farm.gait.labels import gait_labels
from farm.records import GaitParameters
from farm.sampling.anatomy import anatomy
from tests.norm_walk import norm_walk
from workers.render.film import Stage, make_raster, set_stage

WALKER = GaitParameters(sample_id=5)
ORDER = Campaign(name="test", samples=8, pictures=Pictures(image_size=(160, 160), frame_rate_hz=1.0))


@cache
def stage() -> Stage:
    body, walk = anatomy(WALKER), norm_walk(WALKER, duration_s=4.0)
    return set_stage(ORDER, WALKER, body, walk, gait_labels(walk, body, frame_rate_hz=1.0))


def linear(**light: float) -> np.ndarray:
    """All views of one moment in linear light `[C, H, W, 3]` (gamma 2), under the stage's light but for `light`."""
    plain = {"exposure_ev": -1.0, "white_balance_k": 6500.0, "lamp_breadth_deg": 0.5, "fill": 0.0}
    changed = dataclasses.replace(stage().scene.light, **(plain | light))
    here = dataclasses.replace(stage(), scene=dataclasses.replace(stage().scene, light=changed))
    with make_raster(ORDER, here) as raster:
        pictures = raster.draw(
            here.bones[2:3], here.levels[2:3],
            np.stack([view.world_from_camera[2:3] for view in here.cameras], axis=1),
            np.stack([view.intrinsics for view in here.cameras]), mask=False,
        )  # fmt: skip
    assert pictures.rgb is not None
    return (pictures.rgb[:, 0] / 255.0) ** 2


def test_half_a_stop_is_half_a_stop_everywhere() -> None:
    ratio = linear(exposure_ev=-1.5) / np.maximum(linear(), 0.02)
    well_lit = (linear() > 0.1) & (linear() < 0.9)
    assert np.abs(ratio[well_lit] - 2**-0.5).max() < 0.05


def test_a_low_white_balance_takes_red_and_gives_blue() -> None:
    ratio = linear(white_balance_k=4500.0) / np.maximum(linear(), 0.02)
    lit = ((linear() > 0.08) & (linear() < 0.5)).all(axis=-1)
    red, _, blue = np.median(ratio[lit], axis=0)
    assert red < 0.9
    assert blue > 1.15


def test_a_broad_lamp_changes_the_shadows_edge_only_and_a_fill_lights_more() -> None:
    sharp, soft = linear(), linear(lamp_breadth_deg=14.0)
    changed = np.abs(soft - sharp).max(axis=-1) > 0.01
    assert 20 < changed.sum() < 0.05 * changed.size
    assert np.array_equal(sharp, linear())
    filled = linear(fill=0.3)
    assert filled.mean() > 1.02 * sharp.mean()
    assert (filled - sharp).min() > -0.02
