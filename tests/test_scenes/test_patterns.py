"""Patterns of cloth: whole tiles, no face across a seam, stripes as broad as they are drawn."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from farm.sampling.anatomy import anatomy
from farm.scene_config import Pattern
from scenes.body import body_mesh
from scenes.figure import Figure
from scenes.garments import pieces
from scenes.patterns import PATTERNS, TILE, pattern_tiles
from tests.test_scenes.people import PEOPLE, scene

CELL_M = 0.03


def test_tiles_meet_themselves_and_are_whole_shares() -> None:
    for name, tile in zip(PATTERNS, pattern_tiles(), strict=True):
        assert tile.shape == (TILE, TILE)
        for axis in (0, 1):
            if (name, axis) == ("yoke", 0):
                continue  # the one tile that does not repeat upwards
            inner = np.abs(np.diff(tile.astype(int), axis=axis)).max(initial=0)
            across = np.abs(np.take(tile, 0, axis).astype(int) - np.take(tile, -1, axis)).max()
            assert across <= max(inner, 128)
    share = dict(zip(PATTERNS, (tile.mean() / 255 for tile in pattern_tiles()), strict=True))
    assert share["plain"] == 0
    assert share["stripes"] == pytest.approx(0.4, abs=0.01)
    assert share["hoops"] == share["yoke"] == pytest.approx(0.5, abs=0.01)
    assert share["dots"] == pytest.approx(2 * np.pi * 0.15**2, abs=0.01)


@pytest.mark.parametrize("pattern", ["stripes", "checks", "yoke"])
def test_a_cut_surface_is_the_same_one_and_no_face_reaches_over_a_seam(pattern: Pattern) -> None:
    parameters = PEOPLE["heavy man"]
    figure = Figure(anatomy(parameters), parameters.sex)
    drawn = scene(parameters).clothes
    clothes = dataclasses.replace(drawn, shirt_pattern=pattern, shirt_pattern_m=0.1, sleeves="long")
    piece = next(piece for piece in pieces(figure, clothes, CELL_M) if piece.name == "shirt")
    whole = piece.surface()
    assert piece.cloth is not None
    cut, place = piece.cloth.cut(whole)
    assert np.array_equal(cut.vertices[cut.faces], whole.vertices[whole.faces])
    assert np.array_equal(cut.normals[cut.faces], whole.normals[whole.faces])
    assert len(whole.vertices) < len(cut.vertices) < 1.5 * len(whole.vertices)
    corners = cut.vertices[cut.faces]
    reach = np.ptp(place[cut.faces], axis=1)
    repeats = max(tube.repeats for tube in piece.cloth.tubes)
    side = np.linalg.norm(corners - np.roll(corners, 1, axis=1), axis=-1).max(axis=1)
    tube = np.array([t.repeats for t in piece.cloth.tubes])
    assert repeats == tube[0], "the trunk is the thickest"
    # where cloth hangs around the trunk its pattern is about as broad as it is drawn; caps at hem and cuffs are hidden
    flank = np.abs(cut.normals[cut.faces][..., 1]).max(axis=1) < 0.5
    if pattern == "yoke":
        assert reach[flank].max() < 0.5
        assert np.ptp(place[:, 1]) < 1.0, "it does not repeat"
    else:
        assert (reach[flank] * 0.1).max() < 2.5 * side[flank].max()
        around = reach[flank, 0] * 0.1 / np.linalg.norm(np.ptp(corners[flank][..., [0, 2]], axis=1), axis=1)
        assert 0.6 < np.median(around) < 1.4
        up = np.abs(place[:, 1] * 0.1).max()
        assert up < 2.0


def test_plain_cloth_has_no_pattern_and_patterned_cloth_has_its_own() -> None:
    parameters = PEOPLE["thin woman"]
    figure = Figure(anatomy(parameters), parameters.sex)
    drawn = scene(parameters).clothes
    accent = (0.9, 0.1, 0.2)
    plain = dataclasses.replace(drawn, shirt_pattern="plain", lower_pattern="plain")
    assert not body_mesh(figure, plain, cell_m=0.04).cloth.any()
    checked = body_mesh(figure, dataclasses.replace(plain, lower_pattern="checks", lower_accent=accent), cell_m=0.04)
    on = checked.cloth[:, 2] == PATTERNS.index("checks")
    assert on.any()
    assert np.all(checked.accents[on] == accent)
    assert not checked.cloth[~on].any()
