"""The video table's own arithmetic: what it says of errors is true, and every setting gives back every picture."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from farm.config import Pictures
from farm.dataset import video
from farm.dataset.encode_view import encode_view
from tools.bench_video import SETTINGS, Clip, decoded, encoded, errors, measured, psnr, ssim, summary


def clip(frames: int = 12, size: int = 64) -> Clip:
    """A dark square that walks over a bright slope; the box holds it."""
    y, x = np.mgrid[0:size, 0:size]
    rgb = np.repeat(np.stack([x, y, x + y], axis=-1)[None].astype(np.uint8) + 100, frames, axis=0)
    box = np.full((frames, 4), np.nan)
    for frame in range(1, frames):
        rgb[frame, 20:44, 2 * frame : 2 * frame + 16] = (40, 30, 60)
        box[frame] = (2 * frame, 20, 2 * frame + 15, 43)
    return Clip("side", 3, rgb, box, 30.0)


def test_errors_are_counted_where_they_are() -> None:
    one = clip()
    back = one.rgb.copy()
    back[5, 20:44, 10:26] += 10
    whole, person, luma = errors(one, back)
    assert whole == pytest.approx(100 * 24 * 16 / one.rgb[..., 0].size)
    assert person == pytest.approx(100 / 11)  # one of the eleven pictures that show somebody
    assert luma == pytest.approx(100 / 11)
    assert psnr(100.0) == pytest.approx(28.13, abs=0.01)
    assert errors(one, one.rgb) == (0.0, 0.0, 0.0)


def test_ssim_is_the_published_one() -> None:
    flat = np.full((40, 40, 3), 100, np.uint8)
    c1 = (0.01 * 255) ** 2
    assert ssim(flat, flat + 20) == pytest.approx((2 * 100 * 120 + c1) / (100**2 + 120**2 + c1))
    noisy = np.random.default_rng(1).integers(0, 255, (40, 40, 3)).astype(np.uint8)
    assert ssim(noisy, noisy) == pytest.approx(1.0)
    assert ssim(noisy, flat) < 0.05


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.name)
def test_every_setting_keeps_every_picture(setting: object) -> None:
    one = clip()
    back = decoded(encoded(setting, one))
    assert back.shape == one.rgb.shape
    assert psnr(errors(one, back)[0]) > (60 if "lossless" in setting.name else 30)


def test_shipped_is_what_datasets_hold() -> None:
    one = clip()
    shipped = next(setting for setting in SETTINGS if setting.name == "shipped")
    data = encoded(shipped, one)
    assert data == encode_view(one.rgb, one.box, Pictures())
    row = summary(shipped, [measured(shipped, one), measured(shipped, replace(one, sample=4))])
    assert (row["crf"], row["gop"]) == (Pictures().crf, video.KEYFRAME_INTERVAL)
    assert row["kB"] == pytest.approx(len(data) / 1000 * 10 / (12 / 30))
    assert row["seek_ms"] > 0
