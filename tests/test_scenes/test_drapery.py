"""Skirts and coats: drawn from a stream of their own, cut as said, and no leg comes through them."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import trimesh
from scipy.spatial import cKDTree

from farm.config import campaign_from_mapping
from farm.errors import CampaignError
from farm.records import GaitParameters, Sex
from farm.sampling.anatomy import BODIES, anatomy
from farm.scene_config import PeopleVariation
from scenes.aids import NO_AIDS
from scenes.body import BONES, PARTS, BodyMesh, Skin, body_mesh, bone_transforms
from scenes.drape import COLUMNS
from scenes.drapery import NO_COAT, Drapery, drapery_rand
from scenes.figure import Figure
from scenes.parameters import SceneParameters, scene_generator, scene_parameters_rand
from scenes.wardrobe import Clothes
from tests.norm_walk import norm_walk
from tests.test_scenes.people import PEOPLE, scene, standing_pose

CUTS = {
    "narrow, to the knee": Drapery(0.44, 0.05, False, 0.3, 0.1, (0.2, 0.2, 0.2)),
    "narrow, below the knee": Drapery(0.62, 0.05, False, 0.3, 0.1, (0.2, 0.2, 0.2)),
    "wide, below the knee": Drapery(0.60, 0.20, False, 0.3, 0.1, (0.2, 0.2, 0.2)),
}
COAT = Drapery(0.5, 0.1, True, 0.40, 0.06, (0.7, 0.1, 0.1))


def skirted(name: str) -> Clothes:
    return replace(scene(PEOPLE[name]).clothes, lower_kind="skirt")


def dressed(name: str, drapery: Drapery, *, cell_m: float = 0.03) -> tuple[Figure, BodyMesh]:
    parameters = PEOPLE[name]
    figure = Figure(anatomy(parameters), parameters.sex)
    clothes = replace(skirted(name), lower_kind="long_trousers") if drapery.coat else skirted(name)
    return figure, body_mesh(figure, clothes, NO_AIDS, drapery, cell_m=cell_m)


def drawn(sex: Sex, count: int = 300, **fields: object) -> list[tuple[Clothes, Drapery]]:
    variation, clothes = PeopleVariation(**fields), scene(PEOPLE["generic man"]).clothes  # type: ignore[arg-type]
    return [drapery_rand(np.random.default_rng(number), variation, sex, clothes) for number in range(count)]


def test_some_women_wear_skirts_and_some_people_in_trousers_coats() -> None:
    women, men = drawn("female"), drawn("male")
    skirts = [clothes.lower_kind == "skirt" for clothes, _ in women]
    assert 0.12 < np.mean(skirts) < 0.32
    assert not any(clothes.lower_kind == "skirt" for clothes, _ in men)
    assert 0.05 < np.mean([drapery.coat for _, drapery in men]) < 0.2
    assert not any(drapery.coat and clothes.lower_kind == "skirt" for clothes, drapery in women)


def test_a_campaign_says_who_wears_what() -> None:
    assert not any(clothes.lower_kind == "skirt" for clothes, _ in drawn("female", lower=("long_trousers",)))
    assert not any(drapery.coat for _, drapery in drawn("male", coat_share=0.0))
    assert all(drapery.coat for _, drapery in drawn("male", coat_share=1.0))
    only = campaign_from_mapping({"name": "a", "samples": 9, "scene": {"people": {"lower": ["skirt"]}}}, source="tests")
    for sample in range(9):
        rng_of = partial(scene_generator, only, sample)
        scenes = scene_parameters_rand(rng_of, variation=only.scene, views=only.pictures.views, sex="male")
        assert (scenes.clothes.lower_kind, scenes.drapery.coat) == ("skirt", False)
    with pytest.raises(CampaignError, match="coat_share"):
        campaign_from_mapping({"name": "a", "scene": {"people": {"coat_share": 2}}}, source="tests")


def test_they_move_nothing_else_that_is_drawn() -> None:
    def seen(sample: int, **people: object) -> SceneParameters:
        order = {"name": "scenes", "samples": 30, "seed": 4, "scene": {"people": people}}
        campaign = campaign_from_mapping(order, source="tests")
        return scene_parameters_rand(
            partial(scene_generator, campaign, sample), variation=campaign.scene, views=campaign.pictures.views,
            sex="female",
        )  # fmt: skip

    kinds = set()
    for sample in range(30):
        varied, plain = seen(sample), seen(sample, lower=["long_trousers", "short_trousers"], coat_share=0.0)
        kinds.add((varied.clothes.lower_kind == "skirt", varied.drapery.coat))
        assert replace(varied.clothes, lower_kind=plain.clothes.lower_kind) == plain.clothes
        for name in ("aids", "place", "light", "cameras"):
            assert getattr(varied, name) == getattr(plain, name)
    assert {(True, False), (False, False)} <= kinds


@pytest.mark.parametrize("name", PEOPLE)
@pytest.mark.parametrize("drapery", [*CUTS.values(), COAT], ids=[*CUTS, "coat"])
def test_the_cloth_is_closed_and_faces_outwards(name: str, drapery: Drapery) -> None:
    _, mesh = dressed(name, drapery)
    corner = mesh.vertices[mesh.faces[(mesh.node[mesh.faces] >= 0).all(axis=1)]]
    area = np.cross(corner[:, 1] - corner[:, 0], corner[:, 2] - corner[:, 0])
    assert np.abs(area.sum(axis=0)).max() < 1e-9, "the areas of a closed surface cancel out"
    assert (corner[:, 0] * area).sum() / 6 > 0, "wound inside out"
    normal = mesh.normals[mesh.faces[(mesh.node[mesh.faces] >= 0).all(axis=1)]].mean(axis=1)
    assert ((normal * area).sum(axis=1) > 0).mean() > 0.99


@pytest.mark.parametrize("name", PEOPLE)
def test_a_standing_persons_skirt_hangs_straight_and_level_and_is_as_long_as_it_is_cut(name: str) -> None:
    figure, mesh = dressed(name, CUTS["wide, below the knee"])
    (drape,) = mesh.drapes
    pose = standing_pose(figure.origins, BODIES, figure.floor_y)
    places = drape.transforms(bone_transforms(figure.body, pose, BODIES))[0, :, :3, 3].reshape(drape.rows, COLUMNS, 3)
    assert np.ptp(places[..., 1], axis=1).max() < 0.01
    hips = places[np.argmin(np.abs(drape.height)), :, 1].mean()
    leg = figure.origins["femur_r"][1] - figure.floor_y
    assert hips - places[-1, :, 1].mean() == pytest.approx(0.60 * leg, abs=0.005)
    breadth = np.ptp(places[..., 2], axis=1)
    assert np.all(np.diff(breadth[drape.height > 0.03]) > 0), "it grows wider downwards"
    step = np.linalg.norm(places - np.roll(places, 1, axis=1), axis=-1)
    assert (step.max(axis=1) / step.min(axis=1)).max() < 1.5, "nodes lie evenly"


@pytest.mark.parametrize("name", PEOPLE)
@pytest.mark.parametrize("drapery", [*CUTS.values(), COAT], ids=[*CUTS, "coat"])
def test_no_leg_comes_through_in_a_stride(name: str, drapery: Drapery) -> None:
    """By more than 6 mm, over the cloth without its last ring, below which legs come out."""
    parameters = PEOPLE[name]
    figure, mesh = dressed(name, drapery)
    (drape,) = mesh.drapes
    legs = np.flatnonzero(
        np.isin(mesh.owner(), [BONES.index(f"{what}_{s}") for what in ("femur", "tibia") for s in "rl"])
    )
    sheet = np.flatnonzero(mesh.node >= 0)[: drape.rows * (COLUMNS + 1)]  # its outer side
    faces = mesh.faces[np.isin(mesh.faces, sheet).all(axis=1)]
    ring = ((mesh.node[faces] - len(BONES)) // COLUMNS).max(axis=1)
    walk = norm_walk(parameters, duration_s=1.6)
    skin = Skin(mesh)
    for bones in bone_transforms(figure.body, walk.body_pose[30:140:6], walk.bodies):
        vertices = skin.pose(bones)[0].astype(float)
        triangles = vertices[faces]
        normal = np.cross(triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0])
        normal /= np.linalg.norm(normal, axis=1, keepdims=True)
        points = vertices[legs]
        nearest, beyond, where = np.full(len(points), np.inf), np.zeros(len(points)), np.zeros(len(points), int)
        for candidate in cKDTree(triangles.mean(axis=1)).query(points, k=10)[1].T:
            closest = trimesh.triangles.closest_point(triangles[candidate], points)
            distance = np.linalg.norm(points - closest, axis=1)
            nearer = distance < nearest
            nearest = np.where(nearer, distance, nearest)
            beyond = np.where(nearer, ((points - closest) * normal[candidate]).sum(axis=1), beyond)
            where = np.where(nearer, ring[candidate], where)
        covered = (where > 3) & (where < drape.rows - 2)
        assert beyond[covered].max() < 0.006


def test_cloth_belongs_to_what_it_covers() -> None:
    figure, mesh = dressed("thin woman", CUTS["narrow, below the knee"])
    hangs = mesh.node >= 0
    assert {PARTS[number] for number in np.unique(mesh.part[hangs])} == {
        "pelvis", "femur_r", "femur_l", "tibia_r", "tibia_l"
    }  # fmt: skip
    right = np.isin(mesh.part, [PARTS.index("femur_r"), PARTS.index("tibia_r")])
    assert mesh.vertices[hangs & right, 2].min() > -0.03 * figure.size


def test_who_wears_neither_is_as_ever() -> None:
    parameters = GaitParameters()
    figure, clothes = Figure(anatomy(parameters), "male"), scene(parameters).clothes
    assert clothes.lower_kind != "skirt"
    mesh = body_mesh(figure, clothes, NO_AIDS, replace(COAT, coat=False), cell_m=0.03)
    assert np.array_equal(mesh.vertices, body_mesh(figure, clothes, NO_AIDS, NO_COAT, cell_m=0.03).vertices)
    assert mesh.drapes == ()
    assert (mesh.node < 0).all()
