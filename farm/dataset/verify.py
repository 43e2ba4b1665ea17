"""Does a dataset keep its promises? Every fault is reported, none stops the search.

Without reading the arrays: every commit is valid, every sample is accounted for
once, every object is there in its size, metadata has its SHA-256 and agrees with
the schema. Thoroughly: every object's SHA-256, every array decoded, every law of
`farm.dataset.laws`, padding, the index against the arrays, every video played.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import Any

from farm.dataset.catalogue import index_rows, load_index
from farm.dataset.inspect_shard import ShardFindings, inspect_shard
from farm.dataset.manifest import (
    COMMITS,
    SHARDS,
    DatasetManifest,
    ShardRecord,
    commit_key,
    committed_shards,
    read_manifest,
    read_record,
)
from farm.errors import FormatError, StorageError
from farm.planning import Plan
from farm.storage import Storage, open_storage

SHARDS_AT_ONCE = 2
"""Shards looked at side by side; each is in memory whole, compressed."""

Progress = Callable[[int, int], None]
"""Called with the number of shards done and in all."""


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong: which object or sample, and what."""

    where: str
    what: str


@dataclass(frozen=True)
class VerifyReport:
    """What was looked at and what was found.

    Attributes:
        thorough: Whether bytes and values were checked, or sizes and metadata only.
        n_garbage, garbage_bytes: Objects under `shards/` that no commit names: left by interrupted or beaten
            attempts. They are not a fault.
    """

    uri: str
    thorough: bool
    n_shards: int
    n_gaits: int
    n_rejected: int
    n_objects: int
    n_bytes: int
    n_garbage: int
    garbage_bytes: int
    faults: tuple[Fault, ...]

    @property
    def sound(self) -> bool:
        return not self.faults

    def to_dict(self) -> dict[str, Any]:
        """For `--json`."""
        return {"sound": self.sound, **asdict(self)}


def verify(
    source: str | Storage,
    *,
    thorough: bool = True,
    endpoint_url: str | None = None,
    progress: Progress | None = None,
) -> VerifyReport:
    """Check a dataset.

    Args:
        thorough: Read every byte; False checks sizes and metadata only.

    Raises:
        FormatError: There is no dataset, its `dataset.json` is damaged, or its format is newer.
        StorageError: The storage cannot be read.
    """
    storage = open_storage(source, endpoint_url=endpoint_url) if isinstance(source, str) else source
    manifest = read_manifest(storage)
    stored = {item.key: item.size for item in storage.list(SHARDS)}
    shard_ids = committed_shards(storage)
    faults = [
        Fault(item.key, "does not belong under commits/; remove it")
        for item in storage.list(COMMITS)
        if item.key not in {commit_key(shard_id) for shard_id in shard_ids}
    ]

    def one(shard_id: str) -> tuple[ShardRecord | None, ShardFindings]:
        try:
            record = read_record(storage, shard_id)
        except (FormatError, StorageError) as error:
            return None, ShardFindings(((commit_key(shard_id), str(error)),), frozenset())
        return record, inspect_shard(storage, manifest, record, stored, thorough=thorough)

    records: dict[str, ShardRecord] = {}
    named: set[str] = set()
    with ThreadPoolExecutor(SHARDS_AT_ONCE) as pool:
        for number, (shard_id, (record, findings)) in enumerate(
            zip(shard_ids, pool.map(one, shard_ids), strict=True), start=1
        ):
            faults += [Fault(where, what) for where, what in findings.faults]
            named |= findings.named
            if record is not None:
                records[shard_id] = record
            if progress is not None:
                progress(number, len(shard_ids))
    faults += _plan_faults(manifest, records)
    faults += _twice(records)
    faults += _catalogue_faults(storage, records) if len(records) == len(shard_ids) else []
    garbage = [size for key, size in stored.items() if key not in named]
    return VerifyReport(
        uri=storage.uri,
        thorough=thorough,
        n_shards=len(shard_ids),
        n_gaits=sum(record.n_accepted for record in records.values()),
        n_rejected=sum(record.n_rejected for record in records.values()),
        n_objects=sum(len(record.objects) for record in records.values()),
        n_bytes=sum(record.bytes for record in records.values()),
        n_garbage=len(garbage),
        garbage_bytes=sum(garbage),
        faults=tuple(faults),
    )


def _plan_faults(manifest: DatasetManifest, records: Mapping[str, ShardRecord]) -> list[Fault]:
    """A generated shard holds exactly the samples that its number stands for."""
    samples = manifest.campaign.get("samples")
    if manifest.selection is not None or not isinstance(samples, int):
        return []
    plan = Plan(samples, manifest.gaits_per_shard)
    faults = []
    for shard_id, record in records.items():
        try:
            asked = plan[plan.number_of(shard_id)].sample_ids
        except FormatError as error:
            faults.append(Fault(commit_key(shard_id), str(error)))
            continue
        if sorted(record.sample_ids) != list(asked):
            faults.append(
                Fault(commit_key(shard_id), f"accounts for other samples than its plan: {asked[0]} to {asked[-1]}")
            )
    return faults


def _twice(records: Mapping[str, ShardRecord]) -> list[Fault]:
    """No sample is in two shards."""
    owner: dict[int, str] = {}
    faults = []
    for shard_id, record in records.items():
        for sample_id in record.sample_ids:
            if sample_id in owner:
                faults.append(Fault(commit_key(shard_id), f"sample {sample_id} is in shard {owner[sample_id]} too"))
            owner.setdefault(sample_id, shard_id)
    return faults


def _catalogue_faults(storage: Storage, records: Mapping[str, ShardRecord]) -> list[Fault]:
    """What readers find in the index is what the commits say."""
    try:
        found = {row["sample_id"]: row for row in load_index(storage).rows()}
    except FormatError as error:
        return [Fault("catalogue/", str(error))]
    expected = {row["sample_id"]: row for record in records.values() for row in index_rows(record)}
    faults = [
        Fault("catalogue/", f"sample {sample_id} is in the catalogue or in a commit, not in both")
        for sample_id in sorted(found.keys() ^ expected.keys())
    ]
    for sample_id in sorted(found.keys() & expected.keys()):
        differing = [name for name, value in expected[sample_id].items() if found[sample_id].get(name) != value]
        if differing:
            faults.append(
                Fault("catalogue/", f"sample {sample_id} differs from its commit in {', '.join(sorted(differing)[:5])}")
            )
    return faults
