"""Walking aids: drawn by condition from their own stream, worn where they belong, and moving with the leg."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from pydantic import ValidationError

from farm.config import campaign_from_mapping
from farm.errors import CampaignError
from farm.records import Side
from farm.sampling.anatomy import anatomy
from farm.scene_config import AidShare, AidsVariation
from scenes.aids import NO_AIDS, Aids, aids_rand
from scenes.body import BONES, PARTS, Skin, body_mesh, bone_transforms
from scenes.figure import Figure
from scenes.orthosis import SHELL_INSIDE_M, STRAP_OUTSIDE_M, orthosis
from scenes.parameters import SceneParameters, scene_generator, scene_parameters_rand
from tests.norm_walk import norm_walk
from tests.test_scenes.people import PEOPLE, scene

BRACED = replace(NO_AIDS, orthosis="both", orthosis_shell=(0.9, 0.2, 0.1), orthosis_strap=(0.1, 0.9, 0.2))


def shares(**share: float) -> tuple[AidShare, ...]:
    return tuple(AidShare(condition=condition, share=value) for condition, value in share.items())


def drawn(condition: str, side: Side, count: int = 400, **fields: object) -> list[Aids]:
    variation = AidsVariation(**fields)  # type: ignore[arg-type]
    return [aids_rand(np.random.default_rng(number), variation, condition, side) for number in range(count)]


def test_a_share_of_those_with_a_condition_wears_an_orthosis_on_each_affected_leg() -> None:
    share = next(entry.share for entry in AidsVariation().ankle_orthosis if entry.condition == "foot_drop")
    sides = [aids.orthosis for aids in drawn("foot_drop", "left")]
    assert set(sides) == {"none", "left"}
    assert np.mean([side == "left" for side in sides]) == pytest.approx(share, abs=3 * np.sqrt(0.25 / 400))
    assert {aids.orthosis for aids in drawn("diplegia", "both")} == {"none", "both"}
    assert {aids.orthosis for aids in drawn("healthy", "none")} == {"none"}


def test_a_campaign_says_who_may_have_which() -> None:
    everybody = shares(healthy=1.0, foot_drop=0.0)
    assert {aids.orthosis for aids in drawn("healthy", "none", ankle_orthosis=everybody)} == {"right", "left"}
    assert {aids.orthosis for aids in drawn("foot_drop", "right", ankle_orthosis=everybody)} == {"none"}
    assert {aids.orthosis for aids in drawn("foot_drop", "right", kinds=())} == {"none"}
    with pytest.raises(ValidationError, match="no such condition; did you mean 'foot_drop'"):
        shares(footdrop=0.5)
    with pytest.raises(ValidationError, match="less than or equal to 1"):
        shares(foot_drop=1.5)
    with pytest.raises(CampaignError, match="kinds"):
        campaign_from_mapping({"name": "a", "scene": {"aids": {"kind": []}}}, source="tests")


def test_aids_move_nothing_else_that_is_drawn() -> None:
    def seen(**section: object) -> SceneParameters:
        order = {"name": "scenes", "samples": 30, "seed": 4, "scene": section}
        campaign = campaign_from_mapping(order, source="tests")
        rng_of = partial(scene_generator, campaign, 2)
        return scene_parameters_rand(
            rng_of, variation=campaign.scene, views=campaign.pictures.views, condition="foot_drop", side="right"
        )

    with_aids, without = (
        seen(aids={"ankle_orthosis": [{"condition": "foot_drop", "share": 1.0}]}),
        seen(aids={"kinds": []}),
    )
    assert with_aids.aids.orthosis == "right"
    assert without.aids.orthosis == "none"
    for name in ("clothes", "place", "light", "cameras"):
        assert getattr(with_aids, name) == getattr(without, name)


@pytest.mark.parametrize("name", PEOPLE)
def test_an_orthosis_lies_on_the_leg_and_its_plates_are_closed(name: str) -> None:
    figure = Figure(anatomy(PEOPLE[name]), PEOPLE[name].sex)
    parts = list(orthosis(figure, BRACED))
    assert [part.name for part in parts] == [f"{what}_{s}" for s in "rl" for what in ("orthosis", "orthosis_strap")]
    for part in parts:
        surface, side = part.surface(), part.name[-1]
        straight = figure.straight(surface.vertices, "leg", side)
        ankle = figure.origins[f"calcn_{side}"][1] + 0.05 * figure.size
        beside = straight[..., 1] > ankle
        distance = figure.leg(straight, side)[beside]
        assert 0.5 * SHELL_INSIDE_M < distance.min() < distance.max() < 1.2 * STRAP_OUTSIDE_M
        corner = surface.vertices[surface.faces]
        area = np.cross(corner[:, 1] - corner[:, 0], corner[:, 2] - corner[:, 0])
        assert np.abs(area.sum(axis=0)).max() < 1e-9, "the areas of a closed surface cancel out"
        volume = (corner[:, 0] * area).sum() / 6
        assert volume > 0, "wound inside out"
        knee = figure.origins[f"tibia_{side}"]
        assert np.all(straight[..., 1] < knee[1] - 0.03 * figure.size), "it leaves the knee free"


def test_a_braced_leg_is_bare_to_the_knee_and_the_orthosis_belongs_to_shank_and_foot() -> None:
    parameters = PEOPLE["generic man"]
    figure, clothes = Figure(anatomy(parameters), parameters.sex), scene(parameters).clothes
    assert clothes.lower_kind == "long_trousers"
    one = replace(BRACED, orthosis="left")
    mesh = body_mesh(figure, clothes, one, cell_m=0.03)
    owners = [PARTS[number] for number in np.unique(mesh.part[np.all(mesh.colours == one.orthosis_shell, axis=1)])]
    assert set(owners) == {"tibia_l", "calcn_l"}
    cloth = mesh.vertices[np.all(mesh.colours == clothes.lower, axis=1)]
    lowest = {side: figure.straight(cloth[cloth[:, 2] * sign > 0], "leg", side)[:, 1].min() for side, sign in
              (("r", 1.0), ("l", -1.0))}  # fmt: skip
    assert lowest["r"] < figure.origins["calcn_r"][1] + 0.05
    assert lowest["l"] > figure.origins["tibia_l"][1]
    plain = body_mesh(figure, clothes, cell_m=0.03)
    same = body_mesh(figure, clothes, NO_AIDS, cell_m=0.03)
    assert np.array_equal(plain.vertices, same.vertices)


@pytest.mark.parametrize("name", ["generic man", "small heavy woman"])
def test_the_leaf_bends_with_the_ankle_and_does_not_tear(name: str) -> None:
    """In a whole stride its edges stay within 1.2 cm of their length, and its upper end stays stiff."""
    figure = Figure(anatomy(PEOPLE[name]), PEOPLE[name].sex)
    mesh = body_mesh(figure, scene(PEOPLE[name]).clothes, BRACED, cell_m=0.03)
    on = np.all(mesh.colours == BRACED.orthosis_shell, axis=1)
    faces = mesh.faces[on[mesh.faces].all(axis=1)]
    edges = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]]])
    rest = np.linalg.norm(mesh.vertices[edges[:, 0]] - mesh.vertices[edges[:, 1]], axis=1)
    stiff = np.all(mesh.weights[edges][..., [BONES.index("tibia_r"), BONES.index("tibia_l")]].max(axis=-1) > 0.999,
                   axis=1)  # fmt: skip
    assert stiff.mean() > 0.4
    walk = norm_walk(PEOPLE[name], duration_s=1.2)
    skin = Skin(mesh)
    for bones in bone_transforms(figure.body, walk.body_pose[::8], walk.bodies):
        vertices = skin.pose(bones)[0]
        change = np.abs(np.linalg.norm(vertices[edges[:, 0]] - vertices[edges[:, 1]], axis=1) - rest)
        assert change.max() < 0.012
        assert change[stiff].max() < 1e-3
