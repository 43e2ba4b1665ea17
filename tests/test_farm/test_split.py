"""A gait's part depends on seed and sample id alone, and the parts are as large as was asked."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from farm.dataset.split import PARTS, Split, part_named, place_of
from farm.errors import UserError

SAMPLE_IDS = st.integers(0, 2**63 - 1)
SEEDS = st.integers(0, 2**63 - 1)


def test_the_division_is_pinned() -> None:
    """Other teams compute it too, and a dataset's held-out gaits must stay held out: this may never change."""
    parts = "".join(Split().part_of(sample_id)[1] for sample_id in range(40))  # tRain, vAlidation, tEst
    assert parts == "rrrrrrrarrrrrrrerrararrrrarrrrrrrrrrarrr"
    assert place_of(0, 0) == 0.6736177528149841


@given(SEEDS, SAMPLE_IDS)
def test_a_place_lies_in_the_unit_interval(seed: int, sample_id: int) -> None:
    assert 0 <= place_of(seed, sample_id) < 1


@given(SEEDS, SAMPLE_IDS, st.floats(0, 1), st.floats(0, 1))
def test_a_larger_test_part_keeps_what_was_held_out(seed: int, sample_id: int, a: float, b: float) -> None:
    small, large = sorted((a, b))
    few = Split(seed, train=1 - small, validation=0, test=small)
    many = Split(seed, train=1 - large, validation=0, test=large)
    if few.part_of(sample_id) == "test":
        assert many.part_of(sample_id) == "test"


def test_parts_have_the_size_that_was_asked() -> None:
    n = 20_000
    counts = Counter(Split(seed=3, train=0.7, validation=0.2, test=0.1).part_of(i) for i in range(n))
    for part, share in (("train", 0.7), ("validation", 0.2), ("test", 0.1)):
        spread = (n * share * (1 - share)) ** 0.5
        assert abs(counts[part] - n * share) < 4 * spread


def test_seeds_divide_differently() -> None:
    assert [Split(1).part_of(i) for i in range(100)] != [Split(2).part_of(i) for i in range(100)]


@pytest.mark.parametrize("text", ["0.8/0.1", "0.8/0.1/0.2", "a/b/c", "", "1/-0.5/0.5", "nan/0.5/0.5", "0.5/0.5/0/0"])
def test_what_is_no_split_is_refused(text: str) -> None:
    with pytest.raises(UserError, match=r"three shares .* that make 1; write 0.8/0.1/0.1"):
        Split.of(text)


def test_words_become_shares() -> None:
    assert Split.of("0.6/0.3/0.1", seed=7) == Split(7, 0.6, 0.3, 0.1)
    assert [part_named(part) for part in PARTS] == list(PARTS)
    with pytest.raises(UserError, match=r"no part 'dev'.*train, validation, test"):
        part_named("dev")
