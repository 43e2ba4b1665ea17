"""A plan is a partition of the sample ids, and what is left is what is not committed."""

from __future__ import annotations

import itertools
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from farm.errors import FormatError, UserError
from farm.planning import Plan, Slice, plan_of, progress, shard_id_of
from tests.samples import make_campaign

plans = st.builds(Plan, samples=st.integers(1, 120), gaits_per_shard=st.integers(1, 32))


@st.composite
def plans_with_commits(draw: st.DrawFn) -> tuple[Plan, set[str]]:
    plan = draw(plans)
    numbers = draw(st.sets(st.integers(0, len(plan) - 1)))
    return plan, {shard_id_of(number) for number in numbers}


@given(plans)
def test_shards_partition_the_sample_ids_in_order(plan: Plan) -> None:
    ids = [sample_id for shard in plan for sample_id in shard.sample_ids]
    assert ids == list(range(plan.samples))
    assert all(len(shard.sample_ids) == plan.gaits_per_shard for shard in plan[:-1])
    assert len(plan[-1].sample_ids) >= 1


@given(plans)
def test_shard_ids_are_distinct_and_list_in_plan_order(plan: Plan) -> None:
    ids = [shard.shard_id for shard in plan]
    assert ids == sorted(set(ids))
    assert [plan.number_of(shard_id) for shard_id in ids] == list(range(len(plan)))


@given(plans, st.data())
def test_a_sample_belongs_to_the_shard_that_lists_it(plan: Plan, data: st.DataObject) -> None:
    sample_id = data.draw(st.integers(0, plan.samples - 1))
    assert sample_id in plan.shard_of(sample_id).sample_ids


@given(plans_with_commits())
def test_left_and_committed_are_the_whole_plan(case: tuple[Plan, set[str]]) -> None:
    plan, committed = case
    state = progress(plan, committed)
    left = [shard.shard_id for shard in state.left()]
    assert not committed.intersection(left)
    assert committed.union(left) == {shard.shard_id for shard in plan}
    assert state.shards_left == len(left)
    assert state.samples_left == sum(len(plan[plan.number_of(shard_id)].sample_ids) for shard_id in left)
    assert state.samples_done + state.samples_left == plan.samples


@given(plans_with_commits(), st.lists(st.integers(2, 40), min_size=1, max_size=5))
def test_any_number_of_interruptions_ends_with_every_sample_once(
    case: tuple[Plan, set[str]], shards_per_run: list[int]
) -> None:
    plan, committed = case
    made = [i for shard_id in committed for i in plan[plan.number_of(shard_id)].sample_ids]
    for n_shards in itertools.cycle(shards_per_run):
        run = list(itertools.islice(progress(plan, committed).left(), n_shards))
        if not run:
            break
        for shard in run:
            made.extend(shard.sample_ids)
            committed.add(shard.shard_id)
    assert sorted(made) == list(range(plan.samples))


@given(plans_with_commits(), st.integers(1, 9))
def test_slices_share_the_plan_out(case: tuple[Plan, set[str]], of: int) -> None:
    plan, committed = case
    states = [progress(plan, committed, Slice(number, of)) for number in range(1, of + 1)]
    left = [shard.shard_id for state in states for shard in state.left()]
    assert left == [shard.shard_id for shard in progress(plan, committed).left()]
    assert sum(state.shards for state in states) == len(plan)
    assert sum(state.samples for state in states) == plan.samples
    assert sum(state.samples_done for state in states) == progress(plan, committed).samples_done
    assert max(state.shards for state in states) - min(state.shards for state in states) <= 1
    assert sum(state.count(committed) for state in states) == len(committed)


def test_a_slice_as_it_is_written() -> None:
    assert Slice.parse(" 2/4 ") == Slice(2, 4)
    assert str(Slice(2, 4)) == "2/4"


@pytest.mark.parametrize("text", ["0/4", "5/4", "2", "/", "1/0", "-1/2", "1/2/3", "a/b", "1.0/2", ""])
def test_a_slice_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(UserError, match=r"--slice '.*' is not K/N with K from 1 to N; write --slice 1/4"):
        Slice.parse(text)


def test_a_hundred_million_samples_cost_no_memory() -> None:
    tracemalloc.start()
    plan = Plan(100_000_000, 1)
    first = list(itertools.islice(progress(plan, [shard_id_of(0)]).left(), 3))
    last = plan[-1]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert [shard.number for shard in first] == [1, 2, 3]
    assert last.shard_id == "99999999"
    assert last.sample_ids == range(99_999_999, 100_000_000)
    assert peak < 100_000


@pytest.mark.parametrize("shard_id", ["00000002", "7", "000000000", "0000000x", "", "٠٠٠٠٠٠٠٠"])
def test_a_shard_of_another_plan_is_refused(shard_id: str) -> None:
    plan = plan_of(make_campaign(samples=8, gaits_per_shard=4))
    with pytest.raises(FormatError, match="not in this campaign's plan"):
        progress(plan, [shard_id])


@pytest.mark.parametrize("number", [2, -3])
def test_there_is_no_shard_beyond_the_plan(number: int) -> None:
    with pytest.raises(IndexError, match="2 shards"):
        Plan(8, 4)[number]


def test_there_is_no_sample_beyond_the_plan() -> None:
    with pytest.raises(IndexError, match="no sample 8"):
        Plan(8, 4).shard_of(8)
