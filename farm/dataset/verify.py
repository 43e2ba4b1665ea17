"""Does a dataset keep its promises? Every fault is reported, none stops the search.

Fast, by catalogue: a listing against what the commits name, every commit valid,
every sample accounted for once; no object is read. Thoroughly: also every object's
SHA-256, its metadata against the schema, every array decoded, every law of
`farm.dataset.laws`, padding, the index against the arrays, every video played.

Shards are looked at side by side, one by one: memory holds as many shards as there
are workers, and of the others 24 bytes for each sample.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from farm.dataset.catalogue import index_rows, load_index
from farm.dataset.manifest import (
    CATALOGUE,
    COMMITS,
    commit_key,
    committed_shards,
    read_manifest,
    read_record,
)
from farm.dataset.shard_pool import check_all, list_open
from farm.dataset.verify_shard import ShardJob, ShardResult, plan_of_manifest, row_digest
from farm.dataset.verify_state import VerifyState
from farm.errors import FormatError, StorageError, UserError
from farm.planning import Plan, shard_id_of
from farm.storage import Storage, open_storage

LISTINGS_AT_ONCE = 16
"""Shards looked at side by side where nothing is read but listings and commits: requests wait, cores do not."""

MAX_NAMED = 1000
"""Shards that are not made yet, or faults of the catalogue, that a report names one by one."""

CATALOGUE_ROWS = 2000
"""Rows of the catalogue that are compared at once."""

Progress = Callable[[int, int, int], None]
"""Called with the number of shards done and in all (planned ones too), and the bytes that the done ones hold."""


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong: which object or sample, and what."""

    where: str
    what: str


@dataclass(frozen=True)
class VerifyReport:
    """What was looked at and what was found.

    Attributes:
        thorough: Whether bytes and values were checked, or sizes and commits only.
        n_resumed: Shards that an interrupted verification had found sound; not read again.
        n_garbage, garbage_bytes: Objects in the plan's shards that no commit names: left by interrupted or beaten
            attempts. They are not a fault, and no gait in them is counted.
        n_open: Shards that the campaign plans and nobody has committed; `open_shards` names the first of them.
        damaged_shards: Committed shards that making again would mend, each with the SHA-256 of its commit (empty
            where it cannot be read): what `gaitfarm repair` takes out.
    """

    uri: str
    thorough: bool
    n_shards: int
    n_resumed: int
    n_gaits: int
    n_rejected: int
    n_objects: int
    n_bytes: int
    n_garbage: int
    garbage_bytes: int
    n_open: int
    open_shards: tuple[str, ...]
    damaged_shards: Mapping[str, str]
    faults: tuple[Fault, ...]

    @property
    def sound(self) -> bool:
        return not self.faults

    def to_dict(self) -> dict[str, Any]:
        """For `--json`."""
        return {"sound": self.sound, **asdict(self)}


_COUNTED = ("n_rejected", "n_objects", "n_bytes", "n_garbage", "garbage_bytes")


@dataclass
class _Tally:
    """What is kept of the shards that were looked at."""

    faults: dict[str, tuple[Fault, ...]] = field(default_factory=dict)
    results: dict[str, int] = field(default_factory=lambda: dict.fromkeys(_COUNTED, 0))
    damaged: dict[str, str] = field(default_factory=dict)
    n_gaits: int = 0
    unreadable: int = 0
    accounted: dict[str, NDArray[np.uint64]] = field(default_factory=dict)
    accepted: list[NDArray[np.uint64]] = field(default_factory=list)
    digests: list[NDArray[np.uint64]] = field(default_factory=list)

    def add(self, result: ShardResult) -> None:
        for name in _COUNTED:
            self.results[name] += getattr(result, name)
        self.n_gaits += len(result.accepted)
        if result.faults:
            self.faults[result.shard_id] = tuple(Fault(where, what) for where, what in result.faults)
        if result.damaged:
            self.damaged[result.shard_id] = result.commit_sha256
        if not result.committed:
            return
        self.unreadable += not result.readable
        self.accounted[result.shard_id] = result.accounted
        self.accepted.append(result.accepted)
        self.digests.append(result.digests)


def verify(
    source: str | Storage,
    *,
    thorough: bool = True,
    workers: int | None = None,
    processes: bool = False,
    state: Path | None = None,
    shards: Sequence[str] = (),
    samples: Sequence[int] = (),
    endpoint_url: str | None = None,
    progress: Progress | None = None,
) -> VerifyReport:
    """Check a dataset, or a part of it.

    Args:
        thorough: Read every byte; False checks sizes and commits only.
        workers: Shards looked at side by side; None is one for each core.
        processes: Look at them in processes of their own. The caller's main module is imported again in each, so that
            a script needs its `if __name__ == "__main__"`.
        state: File in which sound shards are noted, so that the same call goes on after an interruption; removed at
            the end. None keeps none.
        shards, samples: Only these shards, and those that hold these samples; neither: all. Of a part, the catalogue
            is not checked.
        progress: Told of every shard that is done.

    Raises:
        FormatError: There is no dataset, its `dataset.json` is damaged, or its format is newer.
        StorageError: The storage cannot be read.
        UserError: A shard or sample is not there, or the state cannot be used.
    """
    storage = open_storage(source, endpoint_url=endpoint_url) if isinstance(source, str) else source
    manifest = read_manifest(storage)
    committed = committed_shards(storage)
    plan = plan_of_manifest(manifest)
    chosen = _chosen(storage, plan, committed, shards, samples)
    part = bool(shards or samples)
    n_open = 0 if part else _count_open(plan, committed)
    in_all = len(chosen) + n_open
    tally = _Tally()
    noted = VerifyState(state, manifest.dataset_id) if state is not None and thorough else None
    n_resumed = 0
    finished = False
    try:
        checked = noted.checked if noted is not None else {}
        jobs = (ShardJob(shard_id, thorough, checked.get(shard_id)) for shard_id in chosen)
        at_once = (workers or os.cpu_count() or 1) if thorough else max(workers or 0, LISTINGS_AT_ONCE)
        done_bytes = 0
        results = check_all(storage, manifest, jobs, workers=at_once, processes=processes and thorough)
        for number, result in enumerate(results, start=1):
            tally.add(result)
            done_bytes += result.n_bytes
            if noted is not None and result.checked is not None:
                noted.add(result.checked)
            n_resumed += thorough and result.readable and result.checked is None and not result.faults
            if progress is not None:
                progress(number, in_all, done_bytes)
        finished = True
    finally:
        if noted is not None:
            noted.close(finished=finished)
    leftovers = list_open(storage, _open(plan, committed) if n_open else (), workers=LISTINGS_AT_ONCE)
    for number, result in enumerate(leftovers, start=len(chosen) + 1):
        tally.add(result)
        if progress is not None:
            progress(number, in_all, done_bytes)
    faults = [fault for shard_id in sorted(tally.faults) for fault in tally.faults[shard_id]]
    faults += _twice(tally.accounted)
    if not part:
        faults = [*_strangers(storage), *faults]
        faults += _catalogue_faults(storage, tally) if not tally.unreadable else []
    return VerifyReport(
        uri=storage.uri,
        thorough=thorough,
        n_shards=len(chosen),
        n_resumed=n_resumed,
        n_gaits=tally.n_gaits,
        n_open=n_open,
        open_shards=tuple(islice(_open(plan, committed), MAX_NAMED)) if n_open else (),
        damaged_shards=dict(sorted(tally.damaged.items())),
        faults=tuple(faults),
        **tally.results,
    )


def _chosen(
    storage: Storage, plan: Plan | None, committed: Sequence[str], shards: Sequence[str], samples: Sequence[int]
) -> Sequence[str]:
    """The shards to look at."""
    if not shards and not samples:
        return committed
    known = frozenset(committed)
    wanted = {_shard_named(name) for name in shards}
    missing = next((shard_id for shard_id in sorted(wanted) if shard_id not in known), None)
    if missing is not None:
        raise UserError(
            f"{storage.uri} has no shard {missing!r}: it is not made yet, or misspelt (see `gaitfarm info`)"
        )
    for sample_id in sorted(set(samples)):
        if plan is not None and 0 <= sample_id < plan.samples:
            shard_id = plan.shard_of(sample_id).shard_id
        else:
            rows = load_index(storage).rows(f"sample_id = {int(sample_id)}", ["shard_id"])
            shard_id = str(rows[0]["shard_id"]) if rows else ""
        if shard_id not in known:
            raise UserError(f"{storage.uri} has no sample {sample_id}: it is not made yet, or beyond the campaign")
        wanted.add(shard_id)
    return sorted(wanted)


def _shard_named(name: str) -> str:
    """A shard's id as a person may write it: 12 for 00000012."""
    return shard_id_of(int(name)) if name.isascii() and name.isdigit() and len(name) <= 12 else name


def _count_open(plan: Plan | None, committed: Sequence[str]) -> int:
    """How many shards are planned and not committed, without going through the plan."""
    if plan is None:
        return 0
    return len(plan) - sum(int(one) < len(plan) and one == shard_id_of(int(one)) for one in committed)


def _open(plan: Plan | None, committed: Sequence[str]) -> Iterator[str]:
    """The shards that are planned and not committed, one at a time: they may be many."""
    known = frozenset(committed)
    return (one.shard_id for one in plan or () if one.shard_id not in known)


def _strangers(storage: Storage) -> list[Fault]:
    """What lies among the commits and is none."""
    known = {commit_key(shard_id) for shard_id in committed_shards(storage)}
    return [
        Fault(item.key, "does not belong under commits/; remove it")
        for item in storage.list(COMMITS)
        if item.key not in known
    ]


def _twice(accounted: dict[str, NDArray[np.uint64]]) -> Iterator[Fault]:
    """No sample is in two shards."""
    shard_ids = sorted(accounted)
    lengths = [len(accounted[shard_id]) for shard_id in shard_ids]
    if not sum(lengths):
        return
    ids = np.concatenate([accounted[shard_id] for shard_id in shard_ids])
    owners = np.repeat(np.arange(len(shard_ids)), lengths)
    order = np.argsort(ids, kind="stable")
    ids, owners = ids[order], owners[order]
    for place in np.flatnonzero(ids[1:] == ids[:-1])[:MAX_NAMED]:
        first, second = shard_ids[owners[place]], shard_ids[owners[place + 1]]
        yield Fault(commit_key(second), f"sample {ids[place]} is in shard {first} too")


def _catalogue_faults(storage: Storage, tally: _Tally) -> list[Fault]:
    """What readers find in the index is what the commits say."""
    if not storage.list(CATALOGUE):
        return []
    none = np.empty(0, dtype=np.uint64)
    ids, digests = np.concatenate([none, *tally.accepted]), np.concatenate([none, *tally.digests])
    order = np.argsort(ids, kind="stable")
    ids, digests = ids[order], digests[order]
    seen = np.zeros(len(ids), dtype=bool)
    try:
        faults = list(islice(_differing(storage, tally, ids, digests, seen), MAX_NAMED))
    except (FormatError, StorageError) as error:
        return [Fault(CATALOGUE, str(error))]
    absent = ids[~seen][: MAX_NAMED - len(faults)] if len(faults) < MAX_NAMED else none
    return faults + [
        Fault(CATALOGUE, f"sample {sample_id} is in a commit, and not in the index") for sample_id in absent
    ]


def _differing(
    storage: Storage, tally: _Tally, ids: NDArray[np.uint64], digests: NDArray[np.uint64], seen: NDArray[np.bool_]
) -> Iterator[Fault]:
    """Rows of the index that no commit has, or has otherwise. Marks in `seen` those that were found."""
    for batch in load_index(storage).batches(size=CATALOGUE_ROWS):
        for row in batch:
            sample_id, shard_id = int(row["sample_id"]), str(row["shard_id"])
            if shard_id not in tally.accounted:
                continue  # committed since we listed
            place = int(np.searchsorted(ids, np.uint64(sample_id)))
            if place == len(ids) or int(ids[place]) != sample_id:
                yield Fault(CATALOGUE, f"sample {sample_id} is in the index, and in no commit")
                continue
            seen[place] = True
            if int(digests[place]) != row_digest(row):
                expected = {one["sample_id"]: one for one in index_rows(read_record(storage, shard_id))}.get(
                    sample_id, {}
                )
                names = sorted(name for name in expected.keys() | row.keys() if expected.get(name) != row.get(name))
                yield Fault(CATALOGUE, f"sample {sample_id} differs from its commit in {', '.join(names[:5])}")
