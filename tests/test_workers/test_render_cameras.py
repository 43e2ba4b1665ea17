"""Films by cameras that bend, blur, roll and add noise: their labels are as exact as a pinhole's."""

from __future__ import annotations

import dataclasses
from functools import cache
from typing import Any

import numpy as np
import pytest

from farm.config import Campaign, campaign_from_mapping
from farm.dataset.pack import pack_accepted
from farm.records import FrameSet, GaitSample, QualityReport, ViewFrames
from farm.sampling.anatomy import KEYPOINTS
from farm.seeds import Stream, generator, name_key
from scenes.cameras import unproject
from scenes.occlusion import OUTSIDE, VISIBLE
from scenes.sensor import variates_rand
from tests.test_workers.test_render_film import FRAME_RATE_HZ, own_part_share, walked
from workers.render.film import film

SIZE = (128, 112)
LENS: dict[str, Any] = {"k1": [-0.10, -0.08], "k2": [0.01, 0.02], "tangential": [-0.004, 0.004]}
SHUTTER: dict[str, Any] = {"exposure_s": [0.012, 0.016], "readout_s": [0.025, 0.03]}
QUIET: dict[str, Any] = {"k1": [0, 0], "k2": [0, 0], "exposure_s": [0, 0], "readout_s": [0, 0], "shot_noise": [0, 0]}

ROLLED: dict[str, Any] = {
    "like": "phone", "name": "rolled", **QUIET, "shake": [2, 2], "exposure_s": [0.012, 0.016], "readout_s": [0.08, 0.1]
}  # fmt: skip


def order(*views: dict[str, Any], **cameras: bool) -> Campaign:
    pictures = {"views": list(views), "image_size": SIZE, "frame_rate_hz": FRAME_RATE_HZ, "depth": True}
    return campaign_from_mapping(
        {"name": "test", "samples": 8, "pictures": pictures, "scene": {"cameras": cameras}}, source="test"
    )


@cache
def filmed() -> FrameSet:
    return film(
        order(
            {"name": "bent", "azimuth_deg": 60, "distance_m": [1.5, 1.5], "vertical_fov_deg": [65, 65], **LENS},
            ROLLED,
            {"like": "phone", "name": "all", **LENS, **SHUTTER, "shot_noise": [0.002, 0.002], "keep_in_view": False},
        ),
        *walked(),
    )


@pytest.mark.parametrize("name", ["bent", "rolled", "all"])
def test_visible_keypoints_lie_on_their_own_part(name: str) -> None:
    view = filmed().view(name)
    assert (view.visibility == VISIBLE).mean() > 0.3
    assert own_part_share(view, view.keypoints_2d) >= 0.97


def test_labels_of_another_moment_or_lens_are_found_out() -> None:
    labels = walked()[3]
    for name in ("bent", "rolled"):
        view = filmed().view(name)
        local = np.einsum(
            "fji,fkj->fki", view.world_from_camera[:, :3, :3],
            labels.keypoints_3d - view.world_from_camera[:, None, :3, 3],
        )  # fmt: skip
        straight = local[..., :2] / local[..., 2:] * view.intrinsics[0, 0] + view.intrinsics[:2, 2]
        apart = np.linalg.norm(straight - view.keypoints_2d, axis=-1)
        assert apart.max() > 1.0, "a pinhole's keypoints at the picture's moment would do as well"


@pytest.mark.parametrize("name", ["bent", "rolled"])
def test_the_box_is_the_masks(name: str) -> None:
    view = filmed().view(name)
    assert view.mask is not None
    for mask, box in zip(view.mask, view.bbox, strict=True):
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        pixels = np.array([columns[0], rows[0], columns[-1], rows[-1]])
        assert np.abs(box - pixels).max() <= 2.0


def test_depth_unprojects_to_the_floor_through_the_lens() -> None:
    view = filmed().view("bent")
    assert view.depth is not None
    assert view.mask is not None
    columns = np.arange(2, SIZE[0], 9)
    row = SIZE[1] - 2
    pixels = np.stack([columns, np.full_like(columns, row)], axis=-1).astype(float)
    pixels = np.broadcast_to(pixels, (len(view.depth), *pixels.shape))
    place = unproject(
        pixels, view.depth[:, row, columns] / 1000.0, view.world_from_camera, view.intrinsics, view.distortion
    )
    assert np.abs(place[..., 1]).max() < 0.01


def test_what_leaves_the_picture_is_labelled_so() -> None:
    view = filmed().view("all")
    inside = ((view.keypoints_2d >= -0.5) & (view.keypoints_2d < np.array(SIZE) - 0.5)).all(axis=-1)
    assert np.array_equal(view.visibility == OUTSIDE, ~inside)


def test_what_was_drawn_is_in_the_record_and_what_cannot_vary_is_not() -> None:
    cameras = filmed().scene["cameras"]
    assert -0.10 <= cameras["bent"]["k1"] <= -0.08
    assert "exposure_s" not in cameras["bent"]
    assert filmed().view("bent").distortion[:4].tolist() == [cameras["bent"][key] for key in ("k1", "k2", "p1", "p2")]
    rolled = filmed().view("rolled")
    assert rolled.shutter.tolist() == [cameras["rolled"]["exposure_s"], cameras["rolled"]["readout_s"]]
    assert 0.08 <= rolled.shutter[1] <= 0.1


def test_the_same_sample_is_the_same_to_the_bit() -> None:
    again = film(order(ROLLED), *walked())
    repeated = film(order(ROLLED), *walked())
    for field in dataclasses.fields(ViewFrames):
        a, b = getattr(again.views[0], field.name), getattr(repeated.views[0], field.name)
        assert np.array_equal(a, b, equal_nan=field.name in ("bbox", "keypoints_2d")), field.name


@cache
def noise_only(*, on: bool) -> ViewFrames:
    return film(order({"like": "front", "name": "eye", "shot_noise": [0.004, 0.004]}, noise=on), *walked()).views[0]


def test_noise_has_its_law_in_the_picture_and_can_be_drawn_again_for_one_picture() -> None:
    clean, noisy = noise_only(on=False), noise_only(on=True)
    assert clean.rgb is not None
    assert noisy.rgb is not None
    assert np.array_equal(clean.mask, noisy.mask)
    light, read = (clean.rgb / 255.0) ** 2, film_read_noise()
    apart = (noisy.rgb / 255.0) ** 2 - light
    for low, high in ((0.08, 0.10), (0.2, 0.25)):
        some = (light > low) & (light < high)
        assert some.sum() > 2000
        assert apart[some].var() == pytest.approx(read + 0.004 * light[some].mean(), rel=0.05)
    key = generator(1, Stream.SENSOR, walked()[0].sample_id, name_key("eye"), 3)
    variates = variates_rand(key, clean.rgb.shape[1:])
    assert np.corrcoef(variates.ravel(), (apart[3] / np.sqrt(read + 0.004 * light[3])).ravel())[0, 1] > 0.98


def film_read_noise() -> float:
    campaign = order({"like": "front", "name": "eye", "shot_noise": [0.004, 0.004]})
    return float(film(campaign, *walked()).scene["cameras"]["eye"]["read_noise"])


def test_motion_blur_smears_the_limbs_that_move_and_not_the_room() -> None:
    eye = {"name": "eye", "azimuth_deg": 90, "distance_m": [2.5, 2.5], "keep_in_view": False}

    def sharpness(exposure_s: float) -> tuple[float, float]:
        view = film(order(eye | {"exposure_s": [exposure_s] * 2}), *walked()).views[0]
        assert view.rgb is not None
        assert view.mask is not None
        steps = np.abs(np.diff(view.rgb.astype(float).mean(axis=-1), axis=2))
        person = (view.mask > 0)[:, :, 1:]
        empty = ~person.any(axis=(1, 2))
        assert person.sum() > 1000
        assert empty.any()
        return float(steps[person].mean()), float(steps[empty].mean())

    sharp, blurred = sharpness(0.0), sharpness(0.08)
    assert blurred[0] < 0.8 * sharp[0]
    assert blurred[1] == pytest.approx(sharp[1], rel=0.05)


def test_switched_off_cameras_are_pinholes_with_instant_shutters() -> None:
    view = film(
        order(
            {"like": "phone", "name": "all", **LENS, **SHUTTER, "shot_noise": [0.002, 0.002]},
            shake=False, distortion=False, motion_blur=False, rolling_shutter=False, noise=False,
        ),
        *walked(),
    ).views[0]  # fmt: skip
    assert not view.distortion.any()
    assert not view.shutter.any()
    assert view.keypoints_2d.shape[1] == len(KEYPOINTS)


def test_compression_is_drawn_and_every_video_is_encoded_by_its_own() -> None:
    campaign = order({"like": "front", "crf": [38, 42]})
    parameters, body, trajectory, labels = walked()
    frames = film(campaign, parameters, body, trajectory, labels)
    view = frames.views[0]
    assert view.crf is not None
    assert 38 <= view.crf <= 42
    assert frames.scene["cameras"]["front"]["crf"] == view.crf

    def stored_bytes(crf: int | None) -> int:
        filmed = dataclasses.replace(frames, views=(dataclasses.replace(view, crf=crf),))
        packed = pack_accepted(campaign, GaitSample(parameters, trajectory, labels, QualityReport(), filmed))
        return len(bytes(packed.values["views/front/video"]))  # type: ignore[arg-type]

    assert stored_bytes(view.crf) < 0.6 * stored_bytes(None)  # of which 2 kB are the container
