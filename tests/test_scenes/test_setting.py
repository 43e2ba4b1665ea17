"""Places: furniture and people are apart from everything, off the walkway and out of sight lines, alike each time."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import get_args

import numpy as np
import pytest

from farm.scene_config import PlaceKind, PlaceVariation
from scenes.cameras import Camera, intrinsics_matrix, look
from scenes.foreground import MOST_TOUCHED, hidden_share
from scenes.furniture import PIECES, PieceDraw, parts_of
from scenes.outline import Outline
from scenes.panel import RoomBox
from scenes.place import place_rand
from scenes.room import room_box
from scenes.setting import Setting, make_setting
from scenes.settle import Ground, Standing, walkway

KINDS: tuple[PlaceKind, ...] = get_args(PlaceKind)
WALK = np.stack([np.linspace(0.0, 10.0, 20)[:, None] + np.array([[-0.4, 0.4]] * 1), np.full((20, 2), 0.0),
                 np.tile([-0.35, 0.35], (20, 1))], axis=-1)  # fmt: skip
OUTLINE = np.concatenate([WALK, WALK + np.array([0.0, 1.8, 0.0])], axis=1)
"""`[20, 4, 3]`: a walk of 10 m along x, 0.7 m wide, 1.8 m high."""

EYES = np.array([[14.0, 1.2, 0.0], [-4.0, 1.2, 0.0], [5.0, 1.3, 6.0]])


TIME = np.linspace(0.0, 8.0, 20)


def settle(draws: Sequence[PieceDraw], box: RoomBox, *, outline: np.ndarray, eyes: np.ndarray) -> tuple[Standing, ...]:
    with Ground(box, outline=outline, eyes=eyes) as ground:
        for draw in draws:
            ground.drop(draw)
        return ground.settle()


def cameras() -> list[Camera]:
    to_walk = np.array([5.0, 1.0, 0.0]) - EYES
    return [
        Camera("eye", look(np.tile(eye, (20, 1)), np.tile(way, (20, 1))), intrinsics_matrix((64, 64), 50.0), (64, 64))
        for eye, way in zip(EYES, to_walk, strict=True)
    ]


def drawn(kind: PlaceKind, seed: int = 0) -> tuple[tuple[PieceDraw, ...], RoomBox]:
    place = place_rand(np.random.default_rng(seed), PlaceVariation(kinds=(kind,), furniture=(14, 14)))
    return place.pieces, room_box(place, places=np.concatenate([OUTLINE.reshape(-1, 3), EYES]))


@cache
def settled(kind: PlaceKind, seed: int = 0) -> tuple[Standing, ...]:
    pieces, box = drawn(kind, seed)
    return settle(pieces, box, outline=OUTLINE, eyes=np.repeat(EYES[:, None], 20, axis=1))


def setting(kind: PlaceKind, furniture: int = 14) -> Setting:
    """Without other people."""
    variation = PlaceVariation(kinds=(kind,), furniture=(furniture, furniture), passers_by=(0, 0), foreground_share=0.0)
    return make_setting(place_rand(np.random.default_rng(0), variation), outline=OUTLINE, cameras=cameras(), time=TIME)


def corners(piece: Standing) -> np.ndarray:
    return np.concatenate([piece.world(part.vertices) for part in piece.parts])


@pytest.mark.parametrize("kind", KINDS)
def test_several_pieces_stand_on_the_floor_inside_the_room(kind: PlaceKind) -> None:
    box = drawn(kind)[1]
    assert len(settled(kind)) >= 3
    for piece in settled(kind):
        points = corners(piece)
        assert abs(points[:, 1].min()) < 0.012, piece.draw.kind
        assert points[:, 0].min() > box.x0 - 0.01
        assert points[:, 0].max() < box.x1 + 0.01
        assert points[:, 2].min() > box.z0 - 0.01
        assert points[:, 2].max() < box.z1 + 0.01


@pytest.mark.parametrize("kind", KINDS)
def test_no_piece_is_in_another_or_on_the_walkway(kind: PlaceKind) -> None:
    """Any part of one and any of another are apart along some axis of theirs: then they do not intersect."""
    pieces = settled(kind)
    for number, piece in enumerate(pieces):
        points = corners(piece)
        assert points[:, 2].min() > 0.35 or points[:, 2].max() < -0.35 or not -0.4 < points[:, 0].mean() < 10.4
        for other in pieces[:number]:
            axes = np.concatenate([np.eye(3), piece.world_from_piece[:3, :3].T, other.world_from_piece[:3, :3].T])
            mine, theirs = ([thing.world(part.vertices) @ axes.T for part in thing.parts] for thing in (piece, other))
            low, high = (np.stack([getattr(at, end)(axis=0) for at in mine])[:, None] for end in ("min", "max"))
            their_low, their_high = (np.stack([getattr(at, end)(axis=0) for at in theirs]) for end in ("min", "max"))
            gap = np.maximum(low - their_high, their_low - high).max(axis=-1)
            assert gap.min() > 0.0, (piece.draw.kind, other.draw.kind)


@pytest.mark.parametrize("kind", KINDS)
def test_no_piece_is_between_a_camera_and_the_walker(kind: PlaceKind) -> None:
    """Along the lines of sight to the walker's outline, points stay outside every part's box."""
    share = np.linspace(0.05, 0.95, 60)[:, None, None]
    target = OUTLINE.reshape(-1, 3)
    for eye in EYES:
        line = (eye + share * (target - eye)).reshape(-1, 3)
        for piece in settled(kind):
            local = (line - piece.world_from_piece[:3, 3]) @ piece.world_from_piece[:3, :3]
            for part in piece.parts:
                inside = (local > part.vertices.min(axis=0)) & (local < part.vertices.max(axis=0))
                assert not inside.all(axis=1).any(), piece.draw.kind


def test_the_same_pieces_settle_at_the_same_place_to_the_bit() -> None:
    pieces, box = drawn("gym")
    again = settle(pieces, box, outline=OUTLINE, eyes=np.repeat(EYES[:, None], 20, axis=1))
    first = settled("gym")
    assert [piece.draw for piece in again] == [piece.draw for piece in first]
    assert all(np.array_equal(a.world_from_piece, b.world_from_piece) for a, b in zip(first, again, strict=True))


def test_the_walkway_is_what_keeps_pieces_off_it() -> None:
    """Without the walk's and cameras' room, a piece drawn onto the walkway stands there."""
    piece = PieceDraw("table", 0.5, -1, 2.0, 0.0, 1.0, (0.5, 0.5, 0.5), (0.3, 0.3, 0.3))
    box = RoomBox(-5.0, 15.0, -2.5, 7.0, 3.0)
    far = OUTLINE + np.array([0.0, 0.0, 50.0])
    assert len(settle([piece], box, outline=far, eyes=far[None, :, 0])) == 1
    assert settle([piece], box, outline=OUTLINE, eyes=OUTLINE[None, :, 0]) == ()


@pytest.mark.parametrize("kind", sorted(PIECES))
def test_a_piece_stands_at_its_origin_and_its_faces_look_outwards(kind: str) -> None:
    piece = PieceDraw(kind, 0.3, -1, 0.1, 0.0, 1.0, (0.5, 0.4, 0.3), (0.2, 0.3, 0.4))
    parts = parts_of(piece)
    assert abs(min(part.vertices[:, 1].min() for part in parts)) < 0.06
    for part in parts:
        corner = part.vertices[part.faces]
        normal = np.cross(corner[:, 1] - corner[:, 0], corner[:, 2] - corner[:, 0])
        big = np.linalg.norm(normal, axis=1) > 1e-9
        outward = ((corner.mean(axis=1) - part.vertices.mean(axis=0)) * normal).sum(axis=1)
        assert np.all(outward[big] > 0)


@pytest.mark.parametrize("kind", KINDS)
def test_panels_are_wound_as_their_normals_say_and_solids_are_the_furniture(kind: PlaceKind) -> None:
    full, bare = setting(kind), setting(kind, furniture=0)
    assert full.solids
    assert bare.solids == ()
    assert len(bare.panels) == 3
    for panel in full.panels:
        corner = panel.vertices[panel.faces]
        normal = np.cross(corner[:, 1] - corner[:, 0], corner[:, 2] - corner[:, 0])
        big = np.linalg.norm(normal, axis=1) > 1e-9
        assert np.all((normal * panel.normals[panel.faces[:, 0]]).sum(axis=1)[big] > 0), panel.name


@cache
def company(kind: PlaceKind, foreground: float = 0.0) -> tuple[Setting, ...]:
    """Some settings with people."""
    variation = PlaceVariation(kinds=(kind,), furniture=(12, 12), passers_by=(4, 4), foreground_share=foreground)
    return tuple(
        make_setting(place_rand(np.random.default_rng(seed), variation), outline=OUTLINE, cameras=cameras(), time=TIME)
        for seed in range(3)
    )


@pytest.mark.parametrize("kind", ["corridor", "street", "gym"])
def test_passers_by_touch_nothing_and_hide_nothing_of_the_walker(kind: PlaceKind) -> None:
    people = [(place, person) for place in company(kind) for person in place.passers_by]
    assert len(people) >= 2
    low, high = walkway(OUTLINE)
    for place, person in people:
        points = Outline(person.mesh).points(person.bones).astype(float)
        assert points.shape[0] == len(TIME)
        assert points[..., 1].min() > -0.005
        assert (points.min(axis=(0, 1)) > [place.box.x0, -0.01, place.box.z0]).all()
        assert (points.max(axis=(0, 1)) < [place.box.x1, 2.1, place.box.z1]).all()
        for x, y, z in points.reshape(-1, 3):
            assert not (low[0] < x < high[0] and low[1] < y < high[1] and low[2] < z < high[2])
        for solid in place.solids:
            inside = (points > solid.min(axis=0)) & (points < solid.max(axis=0))
            assert not inside.all(axis=-1).any()
        space = [(points.min(axis=1), points.max(axis=1))]
        for eye in EYES:
            assert hidden_share(np.tile(eye, (20, 1)), OUTLINE, space).max() == 0.0


def test_what_is_in_the_foreground_hides_some_of_the_walk_from_one_camera_and_nothing_from_the_others() -> None:
    found = 0
    for kind in ("living_room", "corridor"):
        for place in company(kind, foreground=1.0):
            spaces = [(solid.min(axis=0), solid.max(axis=0)) for solid in place.solids]
            for person in place.passers_by:
                points = Outline(person.mesh).points(person.bones).astype(float)
                spaces.append((points.min(axis=1), points.max(axis=1)))
            shares = np.array([hidden_share(np.tile(eye, (20, 1)), OUTLINE, spaces) for eye in EYES])
            touched = (shares > 0.02).mean(axis=1)
            assert touched.max() <= MOST_TOUCHED
            assert (touched > 0).sum() <= 1
            found += bool(touched.any())
    assert found >= 3


def test_no_foreground_and_nobody_else_where_the_campaign_wants_none() -> None:
    places = [
        place_rand(np.random.default_rng(seed), PlaceVariation(passers_by=(0, 0), foreground_share=share))
        for seed in range(40)
        for share in (0.0, 1.0)
    ]
    assert not any(place.passers_by for place in places)
    assert all(place.foreground[0].person is None for place in places[1::2])
    assert not any(place.foreground for place in places[0::2])


def test_hidden_share_counts_points_behind_a_box() -> None:
    eyes, points = np.zeros((1, 3)), np.array([[[4.0, 0.0, 0.0], [4.0, 0.0, 3.0], [1.0, 0.0, 0.0], [-4.0, 0.0, 0.0]]])
    box = [(np.array([2.0, -1.0, -1.0]), np.array([3.0, 1.0, 1.0]))]
    assert hidden_share(eyes, points, box).tolist() == [0.25]
