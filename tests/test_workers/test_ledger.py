"""The dispatcher's book against workers that lose, fail and finish jobs in any order."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from farm.errors import StorageUnavailableError
from farm.planning import Plan, ShardPlan, progress
from workers.ledger import MAX_ATTEMPTS, MAX_EXCUSED, Job, Ledger, MakeSample, Survey, WriteShard


class Storage:
    """What a dispatcher's storage remembers, over crashes of the dispatcher: staged gaits and commits."""

    def __init__(self) -> None:
        self.staged: dict[str, dict[int, str]] = {}
        self.commits: dict[str, dict[int, str]] = {}

    def survey(self, plan: ShardPlan) -> Survey:
        return Survey(plan.shard_id in self.commits, dict(self.staged.get(plan.shard_id, {})))

    def stage(self, job: MakeSample) -> str:
        key = f"{job.shard_id}/{job.sample_id}/{job.attempt}"
        self.staged.setdefault(job.shard_id, {})[job.sample_id] = key
        return key

    def commit(self, job: WriteShard) -> None:
        for sample_id, key in job.staged.items():
            assert self.staged[job.shard_id][sample_id] == key
        self.commits.setdefault(job.shard_id, {**job.staged, **job.quarantined})
        self.staged.pop(job.shard_id, None)


class LedgerAgainstAnyWorkers(RuleBasedStateMachine):
    @initialize(samples=st.integers(1, 12), gaits_per_shard=st.integers(1, 5))
    def start(self, samples: int, gaits_per_shard: int) -> None:
        self.plan = Plan(samples, gaits_per_shard)
        self.storage = Storage()
        self.restart()

    def restart(self) -> None:
        self.out: list[Job] = []
        self.failures: Counter[int] = Counter()
        self.preemptions = 0
        state = progress(self.plan, self.storage.commits)
        self.ledger = Ledger(state.left(), self.storage.survey)

    def take(self, data: st.DataObject, kind: type) -> Job | None:
        jobs = [job for job in self.out if isinstance(job, kind)]
        if not jobs:
            return None
        job = data.draw(st.sampled_from(jobs))
        self.out.remove(job)
        return job

    @rule()
    def ask(self) -> None:
        job = self.ledger.next_job()
        if job is None:
            # Nothing to hand out means that everything left is out, or that all is done.
            assert self.out or self.ledger.finished
            return
        if isinstance(job, MakeSample):
            assert job.attempt == self.failures[job.sample_id] + 1 <= MAX_ATTEMPTS
            assert job.sample_id in self.plan[self.plan.number_of(job.shard_id)].sample_ids
            assert all(not isinstance(o, MakeSample) or o.sample_id != job.sample_id for o in self.out)
        else:
            asked = self.plan[self.plan.number_of(job.shard_id)].sample_ids
            assert sorted([*job.staged, *job.quarantined]) == list(asked)
            assert all(o.shard_id != job.shard_id for o in self.out)
        self.out.append(job)

    @rule(data=st.data())
    def make(self, data: st.DataObject) -> None:
        if isinstance(job := self.take(data, MakeSample), MakeSample):
            self.ledger.made(job, self.storage.stage(job))

    @rule(data=st.data())
    def fail(self, data: st.DataObject) -> None:
        if isinstance(job := self.take(data, MakeSample), MakeSample):
            self.failures[job.sample_id] += 1
            assert self.ledger.failed(job, "crashed") is (self.failures[job.sample_id] == MAX_ATTEMPTS)

    @rule(data=st.data())
    def preempt(self, data: st.DataObject) -> None:
        if self.preemptions < MAX_EXCUSED and (job := self.take(data, object)) is not None:
            self.preemptions += 1
            assert self.ledger.returned(job, "machine lost") is False

    @rule(data=st.data())
    def write(self, data: st.DataObject) -> None:
        if isinstance(job := self.take(data, WriteShard), WriteShard):
            self.storage.commit(job)
            self.ledger.committed(job)

    @rule(data=st.data())
    def write_is_lost_after_its_commit(self, data: st.DataObject) -> None:
        if isinstance(job := self.take(data, WriteShard), WriteShard):
            self.storage.commit(job)
            self.ledger.returned(job, "machine lost")

    @rule(data=st.data())
    def storage_fails(self, data: st.DataObject) -> None:
        if (job := self.take(data, object)) is not None:
            self.ledger.given_back(job)

    @rule(data=st.data())
    def storage_fails_after_the_commit(self, data: st.DataObject) -> None:
        if isinstance(job := self.take(data, WriteShard), WriteShard):
            self.storage.commit(job)
            self.ledger.given_back(job)

    @rule()
    def driver_dies(self) -> None:
        self.restart()

    @invariant()
    def a_committed_shard_answers_for_every_sample_it_was_asked_for(self) -> None:
        for shard_id, samples in self.storage.commits.items():
            assert sorted(samples) == list(self.plan[self.plan.number_of(shard_id)].sample_ids)

    def teardown(self) -> None:
        if not hasattr(self, "ledger"):
            return
        for job in self.out:
            self.ledger.returned(job, "machine lost")
        while (job := self.ledger.next_job()) is not None:
            if isinstance(job, MakeSample):
                self.ledger.made(job, self.storage.stage(job))
            else:
                self.storage.commit(job)
                self.ledger.committed(job)
        assert self.ledger.finished
        assert not self.ledger.failed_shards
        assert progress(self.plan, self.storage.commits).samples_left == 0
        assert not self.storage.staged


LedgerAgainstAnyWorkers.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestLedger = LedgerAgainstAnyWorkers.TestCase


def _ledger(samples: int = 2, gaits_per_shard: int = 2) -> tuple[Ledger, Storage]:
    storage = Storage()
    plan = Plan(samples, gaits_per_shard)
    return Ledger(iter(plan), storage.survey), storage


def _make(job: Job | None) -> MakeSample:
    assert isinstance(job, MakeSample)
    return job


def test_the_third_failure_quarantines_and_the_shard_is_still_written() -> None:
    ledger, storage = _ledger()
    first = _make(ledger.next_job())
    second = _make(ledger.next_job())
    ledger.made(second, storage.stage(second))
    assert ledger.failed(first, "crashed: SIGSEGV") is False
    assert ledger.failed(_make(ledger.next_job()), "crashed: SIGSEGV") is False
    last = _make(ledger.next_job())
    assert last.attempt == 3
    assert ledger.failed(last, "hung") is True
    job = ledger.next_job()
    assert isinstance(job, WriteShard)
    assert job.quarantined == {0: "hung"}
    assert list(job.staged) == [1]


def test_losing_the_machine_is_excused_but_not_for_ever() -> None:
    ledger, _ = _ledger(samples=1, gaits_per_shard=1)
    for _ in range(MAX_EXCUSED):
        job = _make(ledger.next_job())
        assert job.attempt == 1
        assert ledger.returned(job, "machine lost") is False
    given_up = [ledger.returned(_make(ledger.next_job()), "machine lost") for _ in range(MAX_ATTEMPTS)]
    assert given_up == [False, False, True]


def test_a_shard_that_cannot_be_written_is_given_up_and_its_gaits_stay() -> None:
    ledger, storage = _ledger(samples=1, gaits_per_shard=1)
    job = _make(ledger.next_job())
    ledger.made(job, storage.stage(job))
    outcomes = []
    while isinstance(write := ledger.next_job(), WriteShard):
        outcomes.append(ledger.write_failed(write, "crashed"))
    assert outcomes == [False, False, True]
    assert ledger.failed_shards == {"00000000": "crashed"}
    assert ledger.finished
    assert storage.staged


def test_what_an_interrupted_run_staged_is_not_made_again() -> None:
    ledger, storage = _ledger(samples=3, gaits_per_shard=3)
    job = _make(ledger.next_job())
    storage.stage(job)
    resumed = Ledger(iter(Plan(3, 3)), storage.survey)
    asked = [_make(resumed.next_job()).sample_id, _make(resumed.next_job()).sample_id]
    assert asked == [1, 2]
    assert resumed.found_staged == 1


def test_what_storage_did_is_never_held_against_a_sample() -> None:
    """Thirty failures of storage would have used up both the sample's own tries and its excuses."""
    ledger, storage = _ledger(samples=1, gaits_per_shard=1)
    for _ in range(30):
        job = _make(ledger.next_job())
        assert job.attempt == 1
        ledger.given_back(job)
    ledger.made(job := _make(ledger.next_job()), storage.stage(job))
    for _ in range(30):
        write = ledger.next_job()
        assert isinstance(write, WriteShard)
        assert write.attempt == 1
        ledger.given_back(write)
    write = ledger.next_job()
    assert isinstance(write, WriteShard)
    storage.commit(write)
    ledger.committed(write)
    assert ledger.next_job() is None
    assert ledger.finished
    assert not ledger.failed_shards


def test_a_commit_whose_answer_was_lost_is_found() -> None:
    ledger, storage = _ledger(samples=1, gaits_per_shard=1)
    ledger.made(job := _make(ledger.next_job()), storage.stage(job))
    write = ledger.next_job()
    assert isinstance(write, WriteShard)
    storage.commit(write)
    ledger.given_back(write)
    assert ledger.next_job() is None
    assert ledger.finished
    assert (ledger.found_committed, ledger.found_staged) == (0, 0), "its sample was counted when it was made"


def test_a_book_whose_look_into_storage_fails_is_as_it_was() -> None:
    storage = Storage()
    away = [True]

    def survey(plan: ShardPlan) -> Survey:
        if away[0]:
            raise StorageUnavailableError("the store is not available")
        return storage.survey(plan)

    ledger = Ledger(iter(Plan(1, 1)), survey)
    for _ in range(3):
        with pytest.raises(StorageUnavailableError):
            ledger.next_job()
        assert not ledger.finished
    away[0] = False
    ledger.made(job := _make(ledger.next_job()), storage.stage(job))
    write = ledger.next_job()
    assert isinstance(write, WriteShard)
    away[0] = True
    ledger.given_back(write)
    for _ in range(3):
        with pytest.raises(StorageUnavailableError):
            ledger.next_job()
    away[0] = False
    assert isinstance(ledger.next_job(), WriteShard)
