"""Even draws: uniform, even in every block, the known sequence, and a function of seed and number alone."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import qmc

from farm.config import Campaign, campaign_from_mapping
from farm.sampling.draw import gait_parameters_rand
from farm.sampling.strata import STRATIFIED, strata

BLOCK = 256


def points(seed: int, first: int, count: int) -> np.ndarray:
    return np.array([list(strata(seed, number).values()) for number in range(first, first + count)])


def test_it_is_the_sequence_of_joe_and_kuo_shifted_bit_by_bit() -> None:
    ours = np.round(points(3, 0, BLOCK) * 2**32).astype(np.uint64)
    unshifted = ours ^ ours[0]
    theirs = qmc.Sobol(len(STRATIFIED), scramble=False, bits=32).random(BLOCK)
    expected = np.round(theirs * 2**32).astype(np.uint64)
    assert sorted(map(tuple, unshifted.tolist())) == sorted(map(tuple, expected.tolist()))


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**62), st.integers(0, 10**6))
def test_every_aligned_block_has_one_sample_in_each_stratum_of_each_number(seed: int, block: int) -> None:
    cells = np.floor(points(seed, block * 32, 32) * 32).astype(int)
    for column in cells.T:
        assert sorted(column.tolist()) == list(range(32))


def test_pairs_are_nearly_even_too() -> None:
    found = points(11, 0, 1024)
    for one in range(len(STRATIFIED)):
        for other in range(one):
            counts = np.histogram2d(found[:, one], found[:, other], bins=4, range=((0, 1), (0, 1)))[0]
            assert counts.min() >= 56, "of 64"
            assert counts.max() <= 72, "of 64"


def test_seeds_differ_and_a_number_beyond_32_bits_is_named() -> None:
    assert strata(1, 5) != strata(2, 5)
    assert strata(1, 5) == strata(1, 5)
    with pytest.raises(ValueError, match="not within 32 bits"):
        strata(1, 1 << 32)


def campaign(**changes: object) -> Campaign:
    data = {
        "name": "even", "samples": BLOCK, "seed": 9, "sampling": "stratified", "target_speed_m_s": [0.8, 1.4],
        "conditions": [
            {"condition": "healthy", "weight": 2},
            {"condition": "foot_drop", "side": ["right", "left"], "severity": [0.2, 1.0]},
            {"condition": "crouch", "severity": [0.1, 0.9]},
        ],
    }  # fmt: skip
    return campaign_from_mapping(data | changes, source="test")


def test_a_stratified_campaign_keeps_its_weights_sides_sexes_and_ranges() -> None:
    people = [gait_parameters_rand(campaign(), number) for number in range(BLOCK)]
    assert Counter(p.condition for p in people) == {"healthy": 128, "foot_drop": 64, "crouch": 64}
    sides = Counter(p.side for p in people if p.condition == "foot_drop")
    assert abs(sides["right"] - sides["left"]) <= 4
    assert Counter(p.sex for p in people) == {"female": 128, "male": 128}
    ages = sorted(p.age_years for p in people)
    expected = 20.0 + 60.0 * (np.arange(BLOCK) + 0.5) / BLOCK
    np.testing.assert_allclose(ages, expected, atol=60.0 / BLOCK)
    for p in people:
        assert 18.5 <= p.mass_kg / p.stature_m**2 <= 32.0 or p.condition == "obesity"
        assert (p.severity == 0.0) == (p.condition == "healthy")


def test_the_rest_of_a_person_is_drawn_as_ever() -> None:
    for number in range(8):
        even = gait_parameters_rand(campaign(), number)
        alone = gait_parameters_rand(campaign(sampling="independent"), number)
        assert (even.thigh_proportion, even.arm_swing, even.motor_noise) == (
            alone.thigh_proportion, alone.arm_swing, alone.motor_noise,
        )  # fmt: skip
        assert (even.age_years, even.stature_m) != (alone.age_years, alone.stature_m)
