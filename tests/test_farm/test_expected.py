"""Gains that the shipped model proposes, and what it expects of a campaign's people."""

from __future__ import annotations

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from farm.cli import app
from farm.config import Campaign, campaign_from_mapping
from farm.control.archive import archive
from farm.control.proposal import proposal_sha256
from farm.costs import assumed_figures
from farm.errors import CampaignError
from farm.sampling.draw import drawn_rand, gait_parameters_rand, load_drawable_campaign
from farm.sampling.expected import expected_walkers, walking_share


def campaign(**changes: object) -> Campaign:
    data = {
        "name": "proposed", "samples": 64, "seed": 3, "controllers": "proposed", "target_speed_m_s": [0.8, 1.2],
        "conditions": [
            {"condition": "healthy"}, {"condition": "crouch", "severity": [0.2, 0.8]},
            {"condition": "foot_drop", "side": ["left"], "severity": [0.2, 0.8]},
        ],
    }  # fmt: skip
    return campaign_from_mapping(data | changes, source="test")


def test_proposed_gains_are_a_walkers_of_the_same_kind_and_severity_stays_as_drawn() -> None:
    by_name = {row.name: row for row in archive()}
    nearest = campaign(controllers="nearest")
    severities = []
    for number in range(24):
        drawn = drawn_rand(campaign(), number)
        row = by_name[drawn.teacher.name]
        assert (row.condition, row.side) == (drawn.condition, "right" if drawn.side == "left" else drawn.side)
        other = drawn_rand(nearest, number)
        assert (drawn.condition, drawn.side, drawn.leg_length_m) == (other.condition, other.side, other.leg_length_m)
        if drawn.condition != "healthy":
            assert 0.2 <= drawn.severity <= 0.8
            severities.append(drawn.severity)
        first, again = (gait_parameters_rand(campaign(), number) for _ in range(2))
        np.testing.assert_array_equal(first.reflex_gains, again.reflex_gains)
        assert first.controller == row.name
    assert len(set(severities)) == len(severities)


def test_left_sided_people_walk_with_the_mirrored_gains() -> None:
    drawn = next(d for d in (drawn_rand(campaign(), number) for number in range(64)) if d.side == "left")
    taught = drawn.parameters
    ratio = drawn.leg_length_m / drawn.teacher.leg_length_m
    free_of_dimension = taught.reflex_gain_names.index("GLU_3_PG")
    expected = drawn.teacher.gains[::-1, free_of_dimension] + drawn.gain_scatter[free_of_dimension]
    np.testing.assert_allclose(taught.reflex_gains[:, free_of_dimension], expected)
    assert taught.target_speed_m_s == pytest.approx(drawn.teacher.target_speed_m_s * np.sqrt(ratio))


def test_what_is_expected_is_told_by_condition_and_adds_up() -> None:
    found = expected_walkers(campaign(), people=64)
    assert [(one.condition, one.side) for one in found] == [
        ("healthy", "none"),
        ("crouch", "both"),
        ("foot_drop", "left"),
    ]
    assert sum(one.share for one in found) == pytest.approx(1.0)
    assert all(0.0 < one.walk < 1.0 for one in found)
    walking = walking_share(found)
    assert walking == pytest.approx(sum(one.share * one.walk for one in found))
    figures = assumed_figures(campaign(), walking=walking)
    assert figures.accepted == walking
    assert "proposal model expects" in figures.source
    assert walking_share(()) is None


def test_the_worse_the_illness_the_fewer_are_expected_to_walk() -> None:
    mild, severe = (
        walking_share(expected_walkers(campaign(conditions=[{"condition": "myopathy", "severity": ends}]), people=48))
        for ends in ([0.1, 0.2], [0.9, 1.0])
    )
    assert mild is not None
    assert severe is not None
    assert mild > severe + 0.1


def test_a_dry_run_tells_what_is_expected(tmp_path: object) -> None:
    told = CliRunner().invoke(
        app, ["generate", "million", "--out", f"{tmp_path}/none", "--dry-run", "--workers", "100"]
    )
    assert told.exit_code == 0, told.output
    assert "expected to walk" in told.output
    asked = ["generate", "million", "--out", f"{tmp_path}/none", "--dry-run", "--json"]
    plain = json.loads(CliRunner().invoke(app, asked).stdout)
    assert len(plain["expected"]) >= 20
    assert plain["figures"]["accepted"] == pytest.approx(sum(one["share"] * one["walk"] for one in plain["expected"]))


def test_bodies_that_no_model_knows_are_named_before_any_work() -> None:
    data = {"name": "three", "samples": 1, "body_model": "3d", "controllers": "proposed"}
    with pytest.raises(CampaignError, match="no proposal model for body_model '3d'; write `controllers: nearest`"):
        drawn_rand(campaign_from_mapping(data, source="test"), 0)
    assert expected_walkers(campaign_from_mapping(data | {"controllers": "nearest"}, source="test")) == ()


def test_a_file_that_asks_for_such_a_model_is_refused(tmp_path: object) -> None:
    path = f"{tmp_path}/three.yaml"
    with open(path, "w") as file:  # noqa: PTH123
        file.write("name: three\nsamples: 1\nbody_model: 3d\ncontrollers: proposed\n")
    with pytest.raises(CampaignError, match="no proposal model"):
        load_drawable_campaign(path)
    assert len(proposal_sha256("planar")) == 64
