"""Drawn scenes: a function of the seed, within their ranges, varied, and independent of each other's streams."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from functools import partial
from typing import Any, get_args

import numpy as np
import pytest

from farm.config import STANDARD_VIEWS, campaign_from_mapping
from farm.scene_config import LightVariation, LowerGarment, PlaceKind, SceneGroup, SceneVariation
from farm.seeds import Stream, generator
from scenes.furniture import PIECES
from scenes.light import light_rand
from scenes.parameters import SceneParameters, scene_generator, scene_parameters_rand
from scenes.room import room_box, room_panels
from scenes.textures import FLOOR_TEXTURE_TILES, floor_texture, tile_noise, wall_texture
from scenes.wardrobe import MONK_SKIN_TONES
from tests.test_scenes.people import PEOPLE, scene

MAN = PEOPLE["generic man"]


def test_the_same_seed_and_sample_draw_the_same_scene() -> None:
    assert scene(MAN, 5) == scene(MAN, 5)
    assert scene(MAN, 5) != scene(MAN, 6)
    assert scene(MAN, 5) != scene(dataclasses.replace(MAN, sample_id=9), 5)


def test_looks_and_cameras_come_from_streams_of_their_own() -> None:
    def drawn(looks_seed: int) -> SceneParameters:
        return scene_parameters_rand(
            lambda stream: generator(looks_seed if stream == Stream.SCENE else 2, stream, 0),
            variation=SceneVariation(),
            views=tuple(STANDARD_VIEWS.values()),
        )

    one, other = drawn(1), drawn(3)
    assert one.cameras == other.cameras
    assert one.clothes != other.clothes


def test_many_scenes_vary_in_everything_that_matters() -> None:
    scenes = [
        scene(dataclasses.replace(MAN, sample_id=number, sex="female" if number % 2 else "male"))
        for number in range(200)
    ]
    assert {drawn.place.kind for drawn in scenes} == set(get_args(PlaceKind))
    assert len({drawn.place.floor for drawn in scenes}) == len(FLOOR_TEXTURE_TILES)
    assert {piece.kind for drawn in scenes for piece in drawn.place.pieces} == set(PIECES)
    assert len({drawn.clothes.hair_style for drawn in scenes}) >= 4
    assert {drawn.clothes.lower_kind for drawn in scenes} == set(get_args(LowerGarment))
    lightness = np.array([np.mean(drawn.clothes.skin) for drawn in scenes])
    assert np.histogram(lightness, bins=4, range=(0.1, 0.9))[0].min() >= 10, "skin tones of the whole scale"
    assert len(MONK_SKIN_TONES) == 10
    for drawn in scenes:
        assert np.linalg.norm(drawn.light.direction) == 1.0 or abs(np.linalg.norm(drawn.light.direction) - 1) < 1e-9
        assert drawn.light.direction[1] < -0.7
        for camera in drawn.cameras:
            view = camera.view
            assert view.distance_m[0] <= camera.distance_m <= view.distance_m[1]
            assert view.height_m[0] <= camera.height_m <= view.height_m[1]
            assert abs(camera.azimuth_deg - view.azimuth_deg) <= view.azimuth_jitter_deg
            assert view.vertical_fov_deg[0] <= camera.vertical_fov_deg <= view.vertical_fov_deg[1]


EVERYTHING = {"name": "any", "like": "phone", "tangential": [-0.001, 0.001], "crf": [16, 24]}
"""A view of which nothing is switched off."""


def drawn_by(sample_id: int, **section: Any) -> SceneParameters:
    """What a campaign with this `scene` section draws for a sample."""
    order = {"name": "scenes", "samples": 30, "seed": 4, "scene": section, "pictures": {"views": ["side", EVERYTHING]}}
    campaign = campaign_from_mapping(order, source="tests")
    return scene_parameters_rand(
        partial(scene_generator, campaign, sample_id),
        variation=campaign.scene,
        views=campaign.pictures.views,
        condition="foot_drop",
        side="left",
    )


def test_another_seed_of_the_scenes_draws_others_and_the_campaigns_own_is_the_default() -> None:
    assert drawn_by(0) == drawn_by(0, seed=4) != drawn_by(0, seed=5)


@pytest.mark.parametrize("group", get_args(SceneGroup))
def test_a_group_that_may_not_vary_is_drawn_once_for_all_samples(group: SceneGroup) -> None:
    own = {"people": {"clothes", "drapery", "aids"}}.get(group, {group})
    fields = {item.name for item in dataclasses.fields(SceneParameters)}
    assert own < fields
    vary = tuple(other for other in get_args(SceneGroup) if other != group)
    held, other, free = drawn_by(0, vary=vary), drawn_by(1, vary=vary), drawn_by(0)
    for name in own:
        assert getattr(held, name) == getattr(other, name)
        assert getattr(drawn_by(0, vary=vary, seed=8), name) != getattr(held, name)
    for name in fields - own:
        assert getattr(held, name) != getattr(other, name)
        assert getattr(held, name) == getattr(free, name), "other groups are drawn as ever"


def _unrecorded(value: Any, record: Any, where: str) -> Iterator[str]:
    """Fields of frozen dataclasses, at any depth, of which their record does not speak."""
    if dataclasses.is_dataclass(value):
        for item in dataclasses.fields(value):
            place = f"{where}.{item.name}"
            if item.name in record:
                yield from _unrecorded(getattr(value, item.name), record[item.name], place)
            else:
                yield place
    elif isinstance(value, tuple):
        for number, (part, told) in enumerate(zip(value, record.values() if isinstance(record, dict) else record,
                                                  strict=True)):  # fmt: skip
            yield from _unrecorded(part, told, f"{where}[{number}]")


def test_every_field_of_a_scene_is_recorded() -> None:
    """`farm.dataset.scene_cells` makes columns of all of the record. A view is the campaign's, and no draw."""
    for number in range(20):
        drawn = drawn_by(number, place={"passers_by": [1, 4], "foreground_share": 1.0})
        drawn = dataclasses.replace(drawn, cameras=drawn.cameras[1:])
        assert list(_unrecorded(drawn, drawn.record(), "scene")) == ["scene.cameras[0].view"]


def test_the_record_is_plain_json() -> None:
    record = scene(MAN).record()
    assert json.loads(json.dumps(record))["cameras"]["front"]["distance_m"] > 0


def test_textures_repeat_without_a_seam_and_differ_by_seed() -> None:
    noise = tile_noise(64, 8, 8, 3)
    assert np.abs(noise[:, 0] - noise[:, -1]).max() < 0.3
    assert 0.0 <= noise.min() < noise.max() <= 1.0
    room = scene(MAN).place
    for kind in FLOOR_TEXTURE_TILES:
        textures = [floor_texture(dataclasses.replace(room, floor=kind, texture_seed=seed)) for seed in (1, 1, 2)]
        assert textures[0].shape == (512, 512, 3)
        assert np.array_equal(textures[0], textures[1])
        assert not np.array_equal(textures[0], textures[2])
    assert wall_texture(room).std() > 0.5


def test_the_room_holds_everybody_and_faces_inwards() -> None:
    places = np.array([[0.0, 0.0, -0.4], [14.0, 1.9, 0.4], [7.0, 1.3, 6.0]])
    room = scene(MAN).place
    box = room_box(room, places=places)
    assert box.x0 < 0.0 < 14.0 < box.x1
    assert box.z0 < -0.4 < 6.0 < box.z1
    middle = np.array([7.0, 1.2, 2.0])
    for panel in room_panels(room, box):
        corner = panel.vertices[panel.faces]
        normal = np.cross(corner[:, 1] - corner[:, 0], corner[:, 2] - corner[:, 0])
        assert np.all((normal * panel.normals[panel.faces[:, 0]]).sum(axis=1) > 0), "wound against its normal"
        biggest = np.argsort(-np.linalg.norm(normal, axis=1))[: len(normal) // 2]
        inward = ((middle - corner.mean(axis=1)) * normal).sum(axis=1)
        assert np.all(inward[biggest] > 0), "a wall that one sees from outside only"


def test_a_camera_set_to_daylight_leaves_colours_and_one_set_lower_turns_them_bluish() -> None:
    light = scene(MAN).light
    plain = dataclasses.replace(light, exposure_ev=0.0, white_balance_k=6500.0)
    assert np.allclose(plain.camera_gain(), 1.0)
    assert np.allclose(dataclasses.replace(plain, exposure_ev=1.0).camera_gain(), 2.0)
    red, green, blue = dataclasses.replace(plain, white_balance_k=4000.0).camera_gain()
    assert red < green < blue
    red, green, blue = dataclasses.replace(plain, white_balance_k=10000.0).camera_gain()
    assert red > green > blue


def test_the_campaign_narrows_the_light() -> None:
    narrow = {
        "lamp_elevation_deg": (60.0, 60.0), "lamp_breadth_deg": (2.0, 2.0), "fill": (0.0, 0.0), "warmth": (0.5, 0.5),
        "exposure_ev": (0.0, 0.0), "white_balance_k": (6500.0, 6500.0),
    }  # fmt: skip
    light = light_rand(np.random.default_rng(3), LightVariation(**narrow))  # type: ignore[arg-type]
    assert np.isclose(-light.direction[1], np.sin(np.deg2rad(60.0)))
    assert (light.fill, light.warmth, light.exposure_ev) == (0.0, 0.5, 0.0)
    assert np.allclose([light.lamp_breadth_deg, light.white_balance_k], [2.0, 6500.0])
