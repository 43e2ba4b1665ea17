"""The pictured person against the physics' body: joints, proportions, soles, gaps."""

from __future__ import annotations

import dataclasses
from functools import cache

import numpy as np
import pytest

from farm.axes import transform_points
from farm.gait.keypoints import keypoints_3d
from farm.sampling.anatomy import BODIES, KEYPOINTS, anatomy
from scenes.body import BONES, PARTS, BodyMesh, Skin, body_mesh, bone_transforms
from scenes.figure import Figure
from tests.norm_walk import norm_walk
from tests.test_scenes.people import PEOPLE, scene, standing_pose


@cache
def dressed(name: str) -> tuple[Figure, BodyMesh]:
    parameters = PEOPLE[name]
    figure = Figure(anatomy(parameters), parameters.sex)
    return figure, body_mesh(figure, scene(parameters).clothes, cell_m=0.03)


def standing(name: str) -> np.ndarray:
    """Vertices of the person standing."""
    figure, mesh = dressed(name)
    pose = standing_pose(figure.origins, BODIES, figure.floor_y)
    return Skin(mesh).pose(bone_transforms(figure.body, pose, BODIES)[0])[0]


def test_parts_and_bones_are_the_bodies_of_the_physics() -> None:
    assert ("background", *BODIES) == PARTS
    assert BONES[: len(BODIES)] == BODIES


@pytest.mark.parametrize("name", PEOPLE)
def test_shares_are_whole_and_every_body_is_seen(name: str) -> None:
    _, mesh = dressed(name)
    assert np.all(mesh.weights >= 0)
    assert mesh.weights.sum(axis=1) + (mesh.node >= 0) == pytest.approx(1.0)
    assert set(np.unique(mesh.part)) == set(range(1, len(PARTS)))
    assert np.all((mesh.colours >= 0) & (mesh.colours <= 1))


@pytest.mark.parametrize("name", PEOPLE)
def test_joint_centres_are_those_of_the_physics_to_the_millimetre(name: str) -> None:
    """A joint's place in the bind pose is carried by both its bones to where the physics has the joint."""
    figure, mesh = dressed(name)
    walk = norm_walk(PEOPLE[name], duration_s=1.2)
    poses = walk.body_pose[::20]
    bones = bone_transforms(figure.body, poses, walk.bodies)
    from_bind = np.linalg.inv(mesh.bind)
    for child, segment in figure.body.segments.items():
        if segment.parent is None:
            continue
        truth = transform_points(poses[:, walk.bodies.index(child)], np.array(segment.joint_in_body))
        bind = mesh.bind[BONES.index(child)] @ np.array([*segment.joint_in_body, 1.0])
        for bone in (child, segment.parent):
            carried = (bones[:, BONES.index(bone)] @ from_bind[BONES.index(bone)] @ bind)[:, :3]
            assert np.abs(carried - truth).max() < 1e-3, (child, bone)


@pytest.mark.parametrize("name", PEOPLE)
def test_stands_as_tall_as_its_stature_on_its_soles(name: str) -> None:
    vertices, parameters = standing(name), PEOPLE[name]
    hair = 0.03
    assert parameters.stature_m - 0.005 <= vertices[:, 1].max() <= parameters.stature_m + hair
    assert 0.0 <= vertices[:, 1].min() <= 0.005
    foot_length = np.ptp(vertices[dressed(name)[1].shoe][:, 0])
    assert 0.14 < foot_length / parameters.stature_m < 0.18


@pytest.mark.parametrize("name", PEOPLE)
def test_soles_neither_sink_nor_float(name: str) -> None:
    """Walking, the lower shoe is always within 5 mm of the floor and nothing is below it."""
    figure, mesh = dressed(name)
    walk = norm_walk(PEOPLE[name], duration_s=1.4)
    skin = Skin(mesh)
    hard = Skin(dataclasses.replace(mesh, shoe=np.zeros_like(mesh.shoe)))
    for bones in bone_transforms(figure.body, walk.body_pose[::5], walk.bodies):
        vertices, _ = skin.pose(bones)
        assert vertices[:, 1].min() > -0.005
        assert vertices[mesh.shoe, 1].min() < 0.005
        assert hard.pose(bones)[0][:, 1].min() > -0.025, "the floor flattens soft soles, it does not hide sunken feet"


@pytest.mark.parametrize("name", PEOPLE)
def test_the_skin_does_not_tear(name: str) -> None:
    """No edge (cells of 3 cm) grows by more than 4 cm over its length in the bind pose, in a whole stride.

    What hangs from the hips is another matter: it is as wide as the stride asks.
    """
    figure, mesh = dressed(name)
    edges = np.concatenate([mesh.faces[:, [0, 1]], mesh.faces[:, [1, 2]]])
    edges = edges[(mesh.node[edges] < 0).all(axis=1)]
    rest = np.linalg.norm(mesh.vertices[edges[:, 0]] - mesh.vertices[edges[:, 1]], axis=1)
    walk = norm_walk(PEOPLE[name], duration_s=1.2)
    skin = Skin(mesh)
    for bones in bone_transforms(figure.body, walk.body_pose[::8], walk.bodies):
        vertices, normals = skin.pose(bones)
        length = np.linalg.norm(vertices[edges[:, 0]] - vertices[edges[:, 1]], axis=1)
        assert (length - rest).max() < 0.04
        assert np.linalg.norm(normals, axis=1) == pytest.approx(1.0, abs=1e-3)


def test_every_keypoint_is_in_or_near_the_flesh_of_its_part() -> None:
    figure, mesh = dressed("generic man")
    walk = norm_walk(duration_s=0.5)
    bones = bone_transforms(figure.body, walk.body_pose[:1], walk.bodies)
    vertices, _ = Skin(mesh).pose(bones[0])
    points = keypoints_3d(figure.body, walk.body_pose[:1], walk.bodies)[0]
    for name, point in zip(KEYPOINTS, points, strict=True):
        nearest = np.linalg.norm(vertices - point, axis=1).min()
        assert nearest < 0.15, name
        if name.endswith(("nose", "eye", "ear", "toe")):
            assert nearest < 0.025, name


def test_more_mass_is_more_girth_where_people_grow() -> None:
    slim, heavy = (Figure(anatomy(PEOPLE["generic man"].__class__(mass_kg=mass)), "male") for mass in (60.0, 110.0))
    belly = np.array([[0.06, 0.0, 0.0]]) + slim.point("torso", (0.0, 0.10, 0.0))
    assert heavy.trunk(belly)[0] < slim.trunk(belly)[0] - 0.02
    ankle = slim.point("tibia_r", (0.04, -0.40, 0.0))[None]
    assert abs(heavy.leg(ankle, "r")[0] - slim.leg(ankle, "r")[0]) < 0.02


def test_age_moves_girth_from_limbs_to_the_waist_and_leaves_joints_alone() -> None:
    parameters = PEOPLE["generic man"]
    body = anatomy(parameters)
    young, table, old = (Figure(body, "male", age) for age in (25.0, 40.0, 80.0))
    assert table == Figure(body, "male")
    waist = table.point("torso", (0.0, 0.10, 0.0))[1]
    chest = table.point("torso", (0.0, 0.375, 0.0))[1]

    def reach(figure: Figure, y: float, direction: tuple[float, float]) -> float:
        """How far the trunk reaches at a height from the spine's line."""
        way = np.linspace(0.0, 0.4, 4001)
        x, _, z = figure.origins["torso"]
        points = np.stack([x + way * direction[0], np.full_like(way, y), z + way * direction[1]], axis=1)
        return float(way[np.flatnonzero(figure.trunk(points) < 0)[-1]])

    for direction in ((1.0, 0.0), (0.0, 1.0)):
        assert reach(young, waist, direction) < reach(table, waist, direction) < reach(old, waist, direction)
        assert reach(old, chest, direction) == pytest.approx(reach(table, chest, direction), abs=2e-3)
    knee = table.origins["tibia_r"][1]
    girth = [figure.leg_section(np.array([knee - 0.1]), "r")[0, :2].sum() for figure in (young, table, old)]
    assert girth[0] > girth[1] > girth[2]
    for name, place in table.origins.items():
        assert np.array_equal(place, old.origins[name])
