"""Split and order are pure functions of their arguments; streams resume where they stopped."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from farm.dataset.order import LANES, WINDOW
from farm.dataset.split import Split
from farm.errors import FormatError
from tests.test_workers.test_train_variation import clip
from workers.train.clips import GaitClip
from workers.train.stream import MIN_GAITS_TO_DIVIDE, GaitStream, ShardCache, epoch_places, split


class Memory:
    """A source that counts how often each shard is fetched."""

    def __init__(self, sample_ids: Mapping[str, Sequence[int]]) -> None:
        self._ids = dict(sample_ids)
        self.loads: Counter[str] = Counter()

    @property
    def sample_ids(self) -> Mapping[str, Sequence[int]]:
        return self._ids

    def load(self, shard_id: str) -> Sequence[GaitClip | None]:
        self.loads[shard_id] += 1
        return [clip() if i % 2 else clip(0.9) for i in range(len(self._ids[shard_id]))]


def shards(n: int, each: int = 4) -> dict[str, Sequence[int]]:
    return {f"{i:06d}": range(i * each, (i + 1) * each) for i in range(n)}


def places_of(sample_ids: Mapping[str, Sequence[int]]) -> list[tuple[str, int]]:
    return [(shard, i) for shard, ids in sample_ids.items() for i in range(len(ids))]


@given(n=st.integers(1, 60), each=st.integers(1, 9), seed=st.integers(0, 2**40))
@settings(max_examples=60, deadline=None)
def test_every_gait_has_one_part(n: int, each: int, seed: int) -> None:
    if n * each < 3:
        return
    parts = split(shards(n, each), seed)
    everything = [place for its in parts.parts.values() for place in its]
    assert sorted(everything) == places_of(shards(n, each))
    if n * each < MIN_GAITS_TO_DIVIDE:
        assert all(parts.parts.values())


def test_parts_are_those_of_every_reader() -> None:
    """What `gaitfarm pull --split test` takes with the same seed is what training holds out."""
    parts = split(shards(60), 3)
    assert all(parts.parts.values())
    for part, its in parts.parts.items():
        assert all(Split(seed=3).part_of(shards(60)[shard][i]) == part for shard, i in its)


def test_a_growing_dataset_keeps_its_held_out_gaits() -> None:
    small, large = split(shards(60), 3), split(shards(90), 3)
    assert set(small.parts["test"]) <= set(large.parts["test"])
    assert set(small.parts["train"]) <= set(large.parts["train"])


def test_other_seeds_hold_out_others() -> None:
    assert split(shards(60), 3).parts["test"] != split(shards(60), 4).parts["test"]


def test_a_small_dataset_has_every_part_and_says_what_it_is_worth() -> None:
    parts = split(shards(4), 1)
    assert len(parts.parts["test"]) == 3
    assert len(parts.parts["validation"]) == 2
    assert "only 3 of 16 gaits are held out" in parts.warning
    assert "too few for a meaningful correlation" in parts.warning
    assert split(shards(100, 8), 1).warning == ""


def test_two_gaits_cannot_be_split() -> None:
    with pytest.raises(FormatError, match="holds 2 accepted gaits; training needs 3"):
        split({"000000": (4, 9)}, 1)


def test_the_order_is_pinned() -> None:
    """Another order under the same seed would change every published result."""
    places = places_of(shards(3, 2))
    order = epoch_places(places, seed=7, epoch=0, rank=0, world=1, n=6)
    assert sorted(order) == sorted(places)
    assert [f"{int(shard)}.{i}" for shard, i in order] == PINNED


PINNED = ["1.0", "0.0", "0.1", "1.1", "2.0", "2.1"]


def test_epochs_differ_and_each_sees_every_gait() -> None:
    places = places_of(shards(6, 5))
    orders = [epoch_places(places, seed=1, epoch=e, rank=0, world=1, n=30) for e in range(3)]
    assert all(sorted(order) == sorted(places) for order in orders)
    assert orders[0] != orders[1] != orders[2]


@pytest.mark.parametrize(("n_shards", "world"), [(8, 3), (2, 4), (5, 5), (16, 4), (40, 8)])
def test_ranks_share_the_gaits_and_are_equally_long(n_shards: int, world: int) -> None:
    places = places_of(shards(n_shards, 6))
    n = 6 * n_shards // world
    ranks = [epoch_places(places, seed=1, epoch=0, rank=r, world=world, n=n) for r in range(world)]
    assert {len(rank) for rank in ranks} == {n}
    for a in range(world):
        for b in range(a):
            assert not set(ranks[a]) & set(ranks[b])
    if LANES % world == 0 and n_shards >= LANES * WINDOW:
        fetched = [{shard for shard, _ in rank} for rank in ranks]
        assert sum(len(f) for f in fetched) <= n_shards + LANES - 1  # on the border of two lanes, twice


def test_an_epoch_longer_than_the_dataset_sees_each_gait_equally_often() -> None:
    """Four steps of 2 ranks with 3 gaits each over 8 gaits: each gait three times; then the next epoch goes on."""
    places = places_of(shards(2, 4))
    ranks = [epoch_places(places, seed=1, epoch=0, rank=r, world=2, n=12, batch_size=3) for r in range(2)]
    assert set(Counter(ranks[0] + ranks[1]).values()) == {3}
    half = [epoch_places(places, seed=1, epoch=e, rank=0, world=1, n=4) for e in (0, 1)]
    assert sorted(half[0] + half[1]) == places


def stream(source: Memory, **changes: int) -> GaitStream:
    arguments = {"seed": 5, "batch_size": 4, "steps_per_epoch": 6, "threads": 1} | changes
    places = places_of(source.sample_ids)
    return GaitStream(source, places, **arguments)  # type: ignore[arg-type]


def test_batches_depend_on_neither_threads_nor_time() -> None:
    one = list(stream(Memory(shards(3))))
    four = list(stream(Memory(shards(3)), threads=4))
    assert len(one) == len(four) == 6
    for a, b in zip(one, four, strict=True):
        np.testing.assert_array_equal(a.features.frames, b.features.frames)
        np.testing.assert_array_equal(a.labels, b.labels)


def test_a_restored_stream_goes_on_with_the_next_batch() -> None:
    whole = stream(Memory(shards(3)))
    batches = [*whole, *whole]
    first = stream(Memory(shards(3)))
    some = iter(first)
    for _ in range(4):
        next(some)
    state = first.state_dict()
    assert state == {"epoch": 0, "step": 4}
    second = stream(Memory(shards(3)))
    second.load_state_dict(state)
    rest = [*second, *second]
    assert len(rest) == 2 + 6
    for a, b in zip(batches[4:], rest, strict=True):
        np.testing.assert_array_equal(a.features.frames, b.features.frames)


def test_each_shard_is_fetched_once() -> None:
    source = Memory(shards(3))
    s = stream(source, threads=4)
    for _ in range(3):
        list(s)
    assert source.loads == dict.fromkeys(source.sample_ids, 1)


def test_the_cache_drops_the_oldest_shard_and_fetches_it_anew() -> None:
    source = Memory(shards(3, 1))
    cache = ShardCache(source, limit_bytes=int(2.5 * clip().nbytes))
    for shard in ("000000", "000001", "000002", "000002", "000000"):
        assert cache.clip((shard, 0)) is not None
    assert source.loads == {"000000": 2, "000001": 1, "000002": 1}


def test_a_shard_that_cannot_be_fetched_is_named_and_tried_again() -> None:
    class Broken(Memory):
        def load(self, shard_id: str) -> Sequence[GaitClip | None]:
            super().load(shard_id)
            raise FormatError(f"shard {shard_id} is damaged")

    source = Broken(shards(1))
    cache = ShardCache(source)
    for _ in range(2):
        with pytest.raises(FormatError, match="shard 000000 is damaged"):
            cache.clip(("000000", 0))
    assert source.loads["000000"] == 2
