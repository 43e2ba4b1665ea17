"""The proposal model's arithmetic and its file: exact, whole, and refused where it is another's."""

from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from farm.control.archive import archive, nearest
from farm.control.likeness import FEATURES, PLACE, at, features, place, who_is
from farm.control.proposal import FEATURE_BITS, MOST, WEIGHT_BITS, Ensemble, proposals
from farm.errors import CampaignError, FormatError
from farm.records import GaitParameters

MEMBERS, WIDTH = 3, 8


def ensemble(seed: int = 1, *, features_told: int = len(FEATURES)) -> Ensemble:
    rng = np.random.default_rng(seed)
    sizes = (features_told, WIDTH, 1)
    return Ensemble(
        mean=rng.normal(size=features_told),
        sd=rng.uniform(0.5, 2.0, features_told),
        weights=tuple(
            np.round(rng.normal(size=(MEMBERS, out, wide)) * (1 << WEIGHT_BITS) / np.sqrt(wide)).astype(np.int64)
            for wide, out in zip(sizes[:-1], sizes[1:], strict=True)  # noqa: RUF007
        ),
        biases=tuple(
            np.round(rng.normal(size=(MEMBERS, out)) * (1 << (WEIGHT_BITS + FEATURE_BITS))).astype(np.int64)
            for out in sizes[1:]
        ),
    )


def in_floating_point(model: Ensemble, told: np.ndarray) -> np.ndarray:
    standard = np.clip((told - model.mean) / model.sd, -MOST, MOST)
    layer = np.broadcast_to(standard, (MEMBERS, *told.shape))
    for number, (weight, bias) in enumerate(zip(model.weights, model.biases, strict=True)):
        scale = float(1 << WEIGHT_BITS)
        layer = np.einsum("mki,moi->mko", layer, weight / scale) + bias[:, None, :] / (scale * (1 << FEATURE_BITS))
        if number == 0:
            layer = np.maximum(layer, 0.0)
    return np.asarray(layer[:, :, 0])


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6))
def test_integers_say_what_floating_point_says(seed: int) -> None:
    model = ensemble(seed)
    told = np.random.default_rng(seed).normal(size=(6, len(FEATURES)))
    exact = in_floating_point(model, told)
    said = model.opinion(told)
    np.testing.assert_allclose(said.chance, (1 / (1 + np.exp(-exact))).mean(axis=0), atol=0.01)
    assert np.all(said.cautious <= 1 / (1 + np.exp(-exact.mean(axis=0))) + 0.01)
    np.testing.assert_allclose(said.doubt, exact.std(axis=0), atol=0.02)
    score = MEMBERS * (exact.mean(axis=0) - exact.std(axis=0)) * (1 << FEATURE_BITS)
    np.testing.assert_allclose(said.score, score, atol=0.06 * (1 << FEATURE_BITS))


def test_the_order_of_the_asked_does_not_matter() -> None:
    model, told = ensemble(), np.random.default_rng(3).normal(size=(9, len(FEATURES)))
    order = np.random.default_rng(4).permutation(9)
    np.testing.assert_array_equal(model.opinion(told[order]).score, model.opinion(told).score[order])


def test_a_model_survives_its_file() -> None:
    model, told = ensemble(), np.random.default_rng(3).normal(size=(9, len(FEATURES)))
    again = Ensemble.from_bytes(model.to_bytes())
    np.testing.assert_array_equal(again.opinion(told).score, model.opinion(told).score)


def test_what_is_no_model_is_refused() -> None:
    with pytest.raises(FormatError, match="not a proposal model"):
        Ensemble.from_bytes(b"PK nothing of the kind")
    with pytest.raises(FormatError, match=f"5 features, this gaitfarm tells {len(FEATURES)}.*archive learn"):
        Ensemble.from_bytes(ensemble(features_told=5).to_bytes())
    pickled = io.BytesIO()
    np.savez(pickled, mean=np.array([{"a": 1}], dtype=object))
    with pytest.raises(FormatError, match="not a proposal model"):
        Ensemble.from_bytes(pickled.getvalue())


def test_who_is_asked_of_themselves_is_at_no_distance() -> None:
    row = next(row for row in archive() if row.condition == "crouch")
    told = dict(zip(FEATURES, features(at(row), "crouch", [row])[0], strict=True))
    assert told["distance"] == 0.0
    assert all(told[f"off_{name}"] == 0.0 for name in PLACE if name != "speed")
    assert told["crouch"] == 1.0
    assert told["crouch_severity"] == row.severity
    assert told["teacher_robustness"] == row.robustness
    assert told["other_sex"] == 0.0


def test_a_person_with_scattered_muscles_is_placed_by_their_mean_strength() -> None:
    even = GaitParameters(strength=np.full(18, 0.9))
    scattered = GaitParameters(strength=0.9 * np.exp(np.tile([-0.1, 0.1], 9)))
    speed_and_severity = {"severity": 0.0, "speed_m_s": 1.0}
    np.testing.assert_allclose(
        place({**who_is(even), **speed_and_severity}), place({**who_is(scattered), **speed_and_severity}), atol=1e-12
    )


def test_proposals_are_the_best_ranked_of_the_near_and_of_the_right_kind() -> None:
    rows = [row for row in archive() if row.condition == "foot_drop" and row.side == "both"]
    who = at(rows[0])
    found = proposals(ensemble(), who, "foot_drop", "both", 0.95, rows[0].leg_length_m, count=3)
    assert 1 <= len(found) <= 3
    assert all((row.condition, row.side) == ("foot_drop", "both") for row in found)
    assert found == proposals(ensemble(), who, "foot_drop", "both", 0.95, rows[0].leg_length_m, count=3)
    one = proposals(ensemble(), who, "foot_drop", "both", 0.95, rows[0].leg_length_m, count=1)
    assert one == found[:1]


def test_a_model_that_trusts_the_robust_proposes_the_robust() -> None:
    place_of = FEATURES.index("teacher_robustness")
    weight = np.zeros((MEMBERS, 1, len(FEATURES)), dtype=np.int64)
    weight[:, 0, place_of] = 8 << WEIGHT_BITS
    trusting = Ensemble(
        np.zeros(len(FEATURES)), np.ones(len(FEATURES)), (weight,), (np.zeros((MEMBERS, 1), dtype=np.int64),)
    )
    row = next(row for row in archive() if row.condition == "crouch")
    near = nearest("crouch", 0.5, "both", 0.85, row.leg_length_m, count=24, competing=False)
    (best,) = proposals(trusting, at(row) | {"severity": 0.5}, "crouch", "both", 0.85, row.leg_length_m, count=1)
    close = [r for r in near if abs(r.speed_m_s - 0.85) < 0.25]
    assert best.robustness >= max(r.robustness for r in close) - 0.1


def test_a_condition_that_nobody_walks_with_is_named() -> None:
    row = archive()[0]
    with pytest.raises(CampaignError, match="no walker for condition 'hip_abductor_weakness'"):
        proposals(ensemble(), at(row), "hip_abductor_weakness", "both", 1.0, 0.9, count=1)
