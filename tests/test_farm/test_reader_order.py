"""The epoch's order is a permutation, shared out without loss, the same for any number of ranks, and pinned."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from farm.dataset.order import Order, Share, Shuffle, Tail, chance, order, permutation
from farm.errors import UserError

COUNTS = st.lists(st.integers(0, 9), min_size=0, max_size=20)
SHUFFLES = st.sampled_from(("shards", "full", "none"))


@given(counts=COUNTS, seed=st.integers(0, 2**63 - 1), epoch=st.integers(0, 2**40), shuffle=SHUFFLES,
       window=st.integers(1, 5), lanes=st.integers(1, 12))  # fmt: skip
@settings(deadline=None)
def test_an_epoch_is_a_permutation(
    counts: list[int], seed: int, epoch: int, shuffle: Shuffle, window: int, lanes: int
) -> None:
    epoch_order = order(counts, seed=seed, epoch=epoch, shuffle=shuffle, window=window, lanes=lanes)
    assert [epoch_order[i] for i in range(len(epoch_order))] == list(epoch_order.take(np.arange(sum(counts))))
    assert sorted(epoch_order) == list(range(sum(counts)))


@given(counts=COUNTS, world=st.integers(1, 9), batch_size=st.integers(1, 5), begin=st.integers(0, 60),
       shuffle=SHUFFLES, lanes=st.integers(1, 9), tail=st.sampled_from(("keep", "drop", "pad")))  # fmt: skip
@settings(deadline=None)
def test_ranks_share_an_epoch(
    counts: list[int], world: int, batch_size: int, begin: int, shuffle: Shuffle, lanes: int, tail: Tail
) -> None:
    """Disjoint, complete, equally long; a step is one stretch of the order."""
    epoch = order(counts, seed=3, epoch=1, shuffle=shuffle, lanes=lanes)
    shares = [Share(rank, world, batch_size, tail).steps(epoch, begin) for rank in range(world)]
    assert [len(share) for share in shares] == [
        Share(rank, world, batch_size, tail).n_steps(len(epoch), begin) for rank in range(world)
    ]
    some = Share(0, world, batch_size, tail).steps(epoch, begin, 1, 3)
    assert [list(step) for step in some] == [list(step) for step in shares[0][1:3]]
    taken = sorted(int(i) for share in shares for step in share for i in step)
    left = list(range(min(begin, len(epoch)), len(epoch)))
    size = world * batch_size
    if tail == "keep":
        assert taken == left
        assert max(map(len, shares)) - min(map(len, shares)) <= 1
        return
    assert len({len(share) for share in shares}) == 1
    assert {len(step) for share in shares for step in share} <= {batch_size}
    if tail == "drop":
        assert taken == left[: len(left) // size * size]
    else:
        assert len(left) <= len(taken) < len(left) + size
        assert set(left) <= set(taken)
    for number, steps in enumerate(zip(*shares, strict=True)):
        first = begin + number * size
        expected = sorted(i % max(1, len(epoch)) for i in range(first, first + size))
        assert sorted(int(i) for step in steps for i in step) == expected


@given(counts=st.lists(st.integers(1, 9), min_size=1, max_size=20), before=st.integers(1, 6), after=st.integers(1, 6),
       batch_size=st.integers(1, 4), steps=st.integers(0, 10))  # fmt: skip
@settings(deadline=None)
def test_another_number_of_ranks_goes_on_exactly(
    counts: list[int], before: int, after: int, batch_size: int, steps: int
) -> None:
    """What some ranks read up to a step, and others after it, is the epoch once."""
    epoch = order(counts, seed=8, epoch=0)
    first = [Share(rank, before, batch_size, "keep").steps(epoch)[:steps] for rank in range(before)]
    done = min(len(epoch), steps * before * batch_size)
    second = [Share(rank, after, batch_size, "keep").steps(epoch, done) for rank in range(after)]
    taken = [int(i) for share in (*first, *second) for step in share for i in step]
    assert sorted(taken) == list(range(len(epoch)))


@given(
    n_shards=st.integers(16, 60), each=st.integers(1, 9), seed=st.integers(0, 99), world=st.sampled_from((1, 2, 4, 8))
)
@settings(deadline=None)
def test_each_shard_is_read_about_once(n_shards: int, each: int, seed: int, world: int) -> None:
    """Over all ranks, only shards on the border of two lanes are read twice; few are open at a time."""
    lanes, window = 8, 2
    counts = [each] * n_shards
    epoch = order(counts, seed=seed, epoch=0, lanes=lanes, window=window)
    shard_of = np.repeat(np.arange(n_shards), counts)
    reads = 0
    for rank in range(world):
        indices = np.concatenate(Share(rank, world, 8 // world, "keep").steps(epoch) or [np.zeros(0, int)])
        shards = shard_of[epoch.take(indices)]
        reads += len(set(shards))
        last_use = {int(shard): i for i, shard in enumerate(shards)}
        first_use = {int(shard): i for i, shard in reversed(list(enumerate(shards)))}
        open_at_once = max(sum(first_use[s] <= i <= last_use[s] for s in first_use) for i in range(len(shards)))
        assert open_at_once <= lanes // world * (window + 2)
    assert reads <= n_shards + lanes - 1


def test_epochs_and_seeds_differ() -> None:
    orders = [list(order([5] * 10, seed=seed, epoch=epoch)) for seed in (1, 2) for epoch in (0, 1)]
    assert all(a != b for a, b in pairwise(orders))


def test_few_shards_have_fewer_lanes_and_mix_all_the_same() -> None:
    """Eight lanes of five shards would be pieces of one shard each, in the order in which they lie."""
    epoch = order([4] * 5, seed=1, epoch=0)
    assert epoch.n_lanes == 2
    neighbours = sum(b == a + 1 for a, b in pairwise(epoch))
    assert neighbours <= 4  # of 19; 0.95 expected by chance


def test_gaits_of_a_window_mix() -> None:
    """With one lane and a window of three shards, neighbours come from all three, and from no others."""
    epoch = order([50] * 6, seed=1, epoch=0, window=3, lanes=1)
    first = np.array([epoch[i] for i in range(150)]) // 50
    shards, counts = np.unique(first[:75], return_counts=True)
    assert len(shards) == 3
    assert counts.min() >= 15  # 25 expected; 15 is three standard deviations below


def test_chance_is_uniform() -> None:
    values = chance(11, np.arange(20_000))
    assert 0 <= values.min() < 0.001
    assert 0.999 < values.max() < 1
    assert values.mean() == pytest.approx(0.5, abs=0.01)
    assert np.corrcoef(values[:-1], values[1:])[0, 1] == pytest.approx(0, abs=0.03)


def test_small_permutations_are_equally_frequent() -> None:
    """All 24 orders of four things, over 24,000 keys: each within five standard deviations of 1,000."""
    seen = [tuple(permutation.__wrapped__(key * 7919, 4)) for key in range(24_000)]
    _, counts = np.unique(seen, axis=0, return_counts=True)
    assert len(counts) == 24
    assert abs(counts - 1000).max() < 5 * np.sqrt(1000)


def test_the_order_is_pinned() -> None:
    """Another order under the same seed would change every result that was published with it."""
    counts = [3, 0, 4, 2, 5, 1]
    found = {shuffle: list(order(counts, seed=7, epoch=2, shuffle=shuffle, lanes=2)) for shuffle in PINNED}
    assert found == PINNED
    assert order([64] * 16_000, seed=2026, epoch=9)[777_777] == PINNED_FAR


PINNED: dict[Shuffle, list[int]] = {
    "shards": [4, 1, 5, 2, 7, 10, 3, 12, 6, 9, 8, 13, 14, 11, 0],
    "full": [11, 8, 6, 0, 5, 7, 12, 10, 9, 14, 13, 4, 1, 3, 2],
    "none": list(range(15)),
}
PINNED_FAR = 195_969


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"shuffle": "all"}, "shuffle is 'all'; choose shards, full, none"),
        ({"lanes": 0}, "lanes is 0; it must be 1 or more"),
        ({"window": -1}, "window is -1; it must be 1 or more"),
        ({"seed": -1}, "seed is -1; it must be 0 or more"),
        ({"epoch": -2}, "epoch is -2; it must be 0 or more"),
    ],
)
def test_wrong_orders_are_named(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match=message):
        order([1], **{"seed": 1, "epoch": 0} | arguments)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((2, 2, 1, "keep"), "rank 2 of 2: ranks count from 0 to world - 1"),
        ((0, 0, 1, "keep"), "rank 0 of 0"),
        ((0, 1, 0, "keep"), "batch_size is 0; it must be 1 or more"),
        ((0, 1, 1, "lose"), "tail is 'lose'; choose keep, drop, pad"),
    ],
)
def test_wrong_shares_are_named(arguments: tuple[int, int, int, Tail], message: str) -> None:
    with pytest.raises(UserError, match=message):
        Share(*arguments)


def test_an_index_beyond_the_epoch_is_refused() -> None:
    with pytest.raises(IndexError, match="index 3 of an epoch of 3 gaits"):
        Order((3,), 1, 0)[3]
