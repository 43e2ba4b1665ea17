"""The dispatcher's book: what to do next, what is out, and what became of it. Knows no Ray.

Every sample of an open shard is in exactly one place: waiting, out with a
worker, staged (made, its bytes lie in storage) or quarantined (given up). A
shard whose samples are all staged or quarantined is written and committed, then
closed. Shards are opened one at a time, as workers ask for work, so that the
book's size follows the number of workers and not of samples.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from farm.planning import ShardPlan

MAX_ATTEMPTS = 3
"""Tries of a sample (or of a shard's writing) that ended in a crash, a hang or an exception before we give it
up. One crash can be bad luck (memory, a neighbour), three are the sample's own."""

MAX_EXCUSED = 10
"""Losses that were not the sample's fault (its machine was taken away) before they count after all: a sample
that takes the whole machine down must not be tried for ever."""


@dataclass(frozen=True)
class MakeSample:
    """One sample for one worker; `attempt` counts from 1."""

    shard_id: str
    sample_id: int
    attempt: int


@dataclass(frozen=True)
class WriteShard:
    """A finished shard for one worker.

    Attributes:
        staged: Storage key of each made sample.
        quarantined: Why each given-up sample was given up.
        attempt: Counts from 1.
    """

    shard_id: str
    staged: Mapping[int, str]
    quarantined: Mapping[int, str]
    attempt: int


Job = MakeSample | WriteShard


@dataclass(frozen=True)
class Survey:
    """What storage holds of a shard before work on it begins.

    Attributes:
        committed: It is done (by an earlier run or by another driver).
        staged: Storage key of each sample that an interrupted run had made.
    """

    committed: bool = False
    staged: Mapping[int, str] = field(default_factory=dict)


@dataclass
class _OpenShard:
    plan: ShardPlan
    staged: dict[int, str]
    quarantined: dict[int, str] = field(default_factory=dict)
    out: set[int] = field(default_factory=set)
    writes: int = 0

    @property
    def whole(self) -> bool:
        return len(self.staged) + len(self.quarantined) == len(self.plan.sample_ids)


class Ledger:
    """Hands out jobs and takes back their results.

    Args:
        shards: The shards to make, in order; consumed as work is asked for.
        survey: Looks a shard up in storage when it is opened, or when its writing failed.
        max_attempts: Tries before a sample is quarantined or a shard given up.
    """

    def __init__(
        self, shards: Iterator[ShardPlan], survey: Callable[[ShardPlan], Survey], *, max_attempts: int = MAX_ATTEMPTS
    ) -> None:
        self._shards = shards
        self._survey = survey
        self._max_attempts = max_attempts
        self._open: dict[str, _OpenShard] = {}
        self._fresh: deque[tuple[str, int]] = deque()
        self._again: deque[tuple[str, int]] = deque()
        self._to_write: deque[str] = deque()
        self._unsure: deque[str] = deque()
        self._unopened: ShardPlan | None = None
        self._failures: dict[int, int] = {}
        self._excused: dict[int, int] = {}
        self._exhausted = False
        self.found_committed = 0
        self.found_staged = 0
        self.failed_shards: dict[str, str] = {}

    @property
    def finished(self) -> bool:
        """Nothing is open and the plan is at its end."""
        return self._exhausted and not self._open

    @property
    def open_shards(self) -> int:
        return len(self._open)

    def next_job(self) -> Job | None:
        """The next job, or None while everything that is left is out with workers.

        Writing comes first, because it frees staged bytes; then second tries, which
        hold a shard open; then new samples.

        Raises:
            StorageError: A shard could not be looked up; the book is as it was, ask again.
        """
        while self._unsure:
            self._look_again(self._open[self._unsure[0]])
            self._unsure.popleft()
        while not (self._to_write or self._again or self._fresh) and not self._exhausted:
            self._open_next()
        if self._to_write:
            shard = self._open[self._to_write.popleft()]
            shard.writes += 1
            return WriteShard(shard.plan.shard_id, dict(shard.staged), dict(shard.quarantined), shard.writes)
        queue = self._again or self._fresh
        if not queue:
            return None
        shard_id, sample_id = queue.popleft()
        self._open[shard_id].out.add(sample_id)
        return MakeSample(shard_id, sample_id, self._failures.get(sample_id, 0) + 1)

    def made(self, job: MakeSample, key: str) -> None:
        """The sample is made and its bytes lie under `key`."""
        shard = self._open[job.shard_id]
        shard.out.remove(job.sample_id)
        shard.staged[job.sample_id] = key
        self._write_if_whole(shard)

    def failed(self, job: MakeSample, reason: str) -> bool:
        """The sample's worker crashed, hung or raised. True if the sample is now quarantined."""
        shard = self._open[job.shard_id]
        shard.out.remove(job.sample_id)
        failures = self._failures[job.sample_id] = self._failures.get(job.sample_id, 0) + 1
        if failures < self._max_attempts:
            self._again.append((job.shard_id, job.sample_id))
            return False
        shard.quarantined[job.sample_id] = reason
        self._write_if_whole(shard)
        return True

    def given_back(self, job: Job) -> None:
        """The job could not be done because of storage. Not counted: how long to go on is not the book's to decide."""
        if isinstance(job, MakeSample):
            self._open[job.shard_id].out.remove(job.sample_id)
            self._again.append((job.shard_id, job.sample_id))
        else:
            self._open[job.shard_id].writes -= 1
            self._unsure.append(job.shard_id)

    def returned(self, job: Job, reason: str) -> bool:
        """The job was lost with its machine. True if even that was too often, and it counts."""
        number = job.sample_id if isinstance(job, MakeSample) else -1 - int(job.shard_id)
        self._excused[number] = self._excused.get(number, 0) + 1
        if self._excused[number] > MAX_EXCUSED:
            if isinstance(job, MakeSample):
                return self.failed(job, reason)
            return self.write_failed(job, reason)
        self.given_back(job)
        return False

    def committed(self, job: WriteShard) -> None:
        """The shard is part of the dataset."""
        self._close(job.shard_id)

    def write_failed(self, job: WriteShard, reason: str) -> bool:
        """Writing failed. True if the shard is given up; what it has staged stays for the next run."""
        shard = self._open[job.shard_id]
        if shard.writes >= self._max_attempts:
            self.failed_shards[job.shard_id] = reason
            self._close(job.shard_id)
            return True
        self._unsure.append(job.shard_id)
        return False

    def _open_next(self) -> None:
        plan = self._unopened = self._unopened or next(self._shards, None)
        if plan is None:
            self._exhausted = True
            return
        found = self._survey(plan)
        self._unopened = None
        if found.committed:
            self.found_committed += len(plan.sample_ids)
            return
        self.found_staged += len(found.staged)
        shard = self._open[plan.shard_id] = _OpenShard(plan, dict(found.staged))
        self._fresh.extend((plan.shard_id, i) for i in plan.sample_ids if i not in shard.staged)
        self._write_if_whole(shard)

    def _look_again(self, shard: _OpenShard) -> None:
        """After a lost write, what does storage hold? It may have gone through, or another driver was faster."""
        found = self._survey(shard.plan)
        if found.committed:  # its samples are all counted: it was whole when its writing was lost
            self._close(shard.plan.shard_id)
            return
        shard.staged = {i: key for i, key in found.staged.items() if i not in shard.quarantined}
        lost = [i for i in shard.plan.sample_ids if i not in shard.staged and i not in shard.quarantined]
        self._again.extend((shard.plan.shard_id, i) for i in lost)
        self._write_if_whole(shard)

    def _write_if_whole(self, shard: _OpenShard) -> None:
        if shard.whole:
            self._to_write.append(shard.plan.shard_id)

    def _close(self, shard_id: str) -> None:
        for sample_id in self._open.pop(shard_id).plan.sample_ids:
            self._failures.pop(sample_id, None)
            self._excused.pop(sample_id, None)
        self._excused.pop(-1 - int(shard_id), None)
