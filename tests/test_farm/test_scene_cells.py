"""Every visual choice is a cell of the index: nothing that was drawn is left out, nothing has another's place."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from farm.dataset.scene_cells import scene_cells
from tests.test_scenes.people import PEOPLE, scene

RECORD = scene(PEOPLE["generic man"]).record()


THINGS = ("pieces", "passers_by", "foreground")
"""Lists, of which the index has the number and the kinds."""


def _numbers_and_words(value: Any) -> Iterator[Any]:
    if isinstance(value, Mapping):
        for part in value.values():
            yield from _numbers_and_words(part)
    elif isinstance(value, list | tuple):
        for part in value:
            yield from _numbers_and_words(part)
    else:
        yield value


def test_every_number_and_word_has_a_cell() -> None:
    record = {**RECORD, "place": {key: value for key, value in RECORD["place"].items() if key not in THINGS}}
    cells = scene_cells(record)
    assert sorted(map(repr, cells.values())) == sorted(map(repr, _numbers_and_words(record)))
    assert json.loads(json.dumps(cells)) == cells


def test_colours_directions_cameras_and_furniture_have_names_that_one_can_guess() -> None:
    cells = scene_cells(RECORD)
    assert cells["scene_place_kind"] == RECORD["place"]["kind"]
    assert [cells[f"scene_clothes_shirt_{c}"] for c in "rgb"] == list(RECORD["clothes"]["shirt"])
    assert [cells[f"scene_light_direction_{axis}"] for axis in "xyz"] == list(RECORD["light"]["direction"])
    assert cells["scene_camera_side_height_m"] == RECORD["cameras"]["side"]["height_m"]
    for things in THINGS:
        assert cells[f"scene_place_{things}_count"] == len(RECORD["place"][things])
        assert cells[f"scene_place_{things}_kinds"] == " ".join(thing["kind"] for thing in RECORD["place"][things])


def test_no_name_of_a_view_clashes_with_what_else_was_drawn() -> None:
    camera = RECORD["cameras"]["side"]
    cells = scene_cells({**RECORD, "cameras": dict.fromkeys(RECORD.keys() - {"cameras"}, camera)})
    assert cells["scene_place_height_m"] == RECORD["place"]["height_m"]
    assert cells["scene_camera_place_height_m"] == camera["height_m"]


def test_two_fields_for_one_column_are_refused() -> None:
    with pytest.raises(ValueError, match="two fields for the column 'scene_a_b'"):
        scene_cells({"a": {"b": 1}, "a_b": 2})


def test_nothing_drawn_gives_no_cells() -> None:
    assert scene_cells({}) == {}
