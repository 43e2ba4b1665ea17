"""One shard's part of a verification: small enough to be sent back from another process."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from farm.config import MAX_SAMPLES
from farm.dataset.catalogue import index_rows
from farm.dataset.inspect_shard import Found, inspect_shard
from farm.dataset.manifest import DATASET_KEY, SHARDS, DatasetManifest, ShardRecord, commit_key, read_commit, record_of
from farm.dataset.verify_state import Checked
from farm.errors import FormatError, StorageError
from farm.planning import Plan
from farm.storage import Storage

MAX_FAULTS = 200
"""Faults that are named of one shard; the rest are counted."""


@dataclass(frozen=True)
class ShardJob:
    """What to look at.

    Attributes:
        thorough: Read and decode every byte.
        checked: What an earlier verification noted of this shard, if it did.
    """

    shard_id: str
    thorough: bool
    checked: Checked | None = None


@dataclass(frozen=True)
class ShardResult:
    """What was found.

    Attributes:
        faults: Everything that is wrong.
        damaged: Whether making the shard again would mend some of it.
        commit_sha256: Of the commit's bytes, readable or not; empty where they could not be had.
        checked: To be noted if there is no fault; None where the shard was not read, or was noted before.
        committed: False for a shard of which only leftovers were looked for.
        accounted: Every sample id that the record names: `[n]` uint64.
        accepted: Those of the index rows: `[g]` uint64, and in `digests` a hash of each row: `[g]` uint64.
    """

    shard_id: str
    faults: tuple[Found, ...]
    damaged: bool
    commit_sha256: str
    checked: Checked | None
    committed: bool
    n_rejected: int
    n_objects: int
    n_bytes: int
    n_garbage: int
    garbage_bytes: int
    accounted: NDArray[np.uint64]
    accepted: NDArray[np.uint64]
    digests: NDArray[np.uint64]

    @property
    def readable(self) -> bool:
        """Whether there is a record, and it could be read."""
        return len(self.accounted) > 0


def check_shard(storage: Storage, manifest: DatasetManifest, job: ShardJob) -> ShardResult:
    """Look at one committed shard.

    Raises:
        StorageError: Its folder cannot be listed.
    """
    shard_id = job.shard_id
    key = commit_key(shard_id)
    stored = {item.key: item.size for item in storage.list(f"{SHARDS}{shard_id}/")}
    try:
        data = read_commit(storage, shard_id)
    except FormatError as error:  # too large to be one of ours
        return _result(shard_id, faults=((key, str(error)),))
    except StorageError as error:
        return _result(shard_id, doubts=((key, str(error)),))
    sha256 = hashlib.sha256(data).hexdigest()
    try:
        record = record_of(data, storage.uri, shard_id)
    except FormatError as error:
        return _result(shard_id, faults=((key, str(error)),), commit_sha256=sha256)
    checked = Checked(shard_id, record.attempt_id, sha256)
    thorough = job.thorough and job.checked != checked
    findings = inspect_shard(storage, manifest, record, stored, thorough=thorough)
    return _result(
        shard_id,
        record=record,
        faults=(*_plan_faults(manifest, record), *findings.faults),
        doubts=findings.doubts,
        garbage={path: size for path, size in stored.items() if path not in findings.named},
        commit_sha256=sha256,
        checked=checked if thorough else None,
    )


def check_open(storage: Storage, shard_id: str) -> ShardResult:
    """What interrupted attempts left of a shard that is not committed."""
    garbage = {item.key: item.size for item in storage.list(f"{SHARDS}{shard_id}/")}
    return _result(shard_id, garbage=garbage, committed=False)


def crashed(shard_id: str) -> ShardResult:
    """A shard whose inspection ended the process that looked at it, twice."""
    what = "looking at it killed the process (a codec's crash, or out of memory): it is damaged or hostile"
    return _result(shard_id, doubts=((commit_key(shard_id), what),))


def _result(
    shard_id: str,
    *,
    record: ShardRecord | None = None,
    faults: tuple[Found, ...] = (),
    doubts: tuple[Found, ...] = (),
    garbage: Mapping[str, int] = MappingProxyType({}),
    commit_sha256: str = "",
    checked: Checked | None = None,
    committed: bool = True,
) -> ShardResult:
    wrong = (*faults, *doubts)
    if len(wrong) > MAX_FAULTS:
        wrong = (*wrong[:MAX_FAULTS], (commit_key(shard_id), f"has {len(wrong) - MAX_FAULTS} faults more"))
    rows = index_rows(record) if record is not None else []
    return ShardResult(
        shard_id=shard_id,
        faults=wrong,
        damaged=bool(faults),
        commit_sha256=commit_sha256,
        checked=checked if not wrong else None,
        committed=committed,
        n_rejected=record.n_rejected if record is not None else 0,
        n_objects=len(record.objects) if record is not None else 0,
        n_bytes=record.bytes if record is not None else 0,
        n_garbage=len(garbage),
        garbage_bytes=sum(garbage.values()),
        accounted=np.array(record.sample_ids if record is not None else (), dtype=np.uint64),
        accepted=np.array([row["sample_id"] for row in rows], dtype=np.uint64),
        digests=np.array([row_digest(row) for row in rows], dtype=np.uint64),
    )


def row_digest(row: Mapping[str, Any]) -> int:
    """64 bits of a hash of an index row, the same whether it came from JSON or from Parquet.

    Parquet gives a column one type and every row each column: 1 and 1.0 are equal here, null and absent too.
    """
    cells = sorted((name, _canonical(value)) for name, value in row.items() if value is not None)
    return int.from_bytes(hashlib.sha256(repr(cells).encode()).digest()[:8], "little")


def _canonical(value: Any) -> Any:
    return float(value) if isinstance(value, int | float) and abs(value) <= 2**53 else value


def _plan_faults(manifest: DatasetManifest, record: ShardRecord) -> tuple[Found, ...]:
    """A generated shard holds exactly the samples that its number stands for."""
    plan = plan_of_manifest(manifest)
    if plan is None:
        return ()
    key = commit_key(record.shard_id)
    try:
        asked = plan[plan.number_of(record.shard_id)].sample_ids
    except FormatError as error:
        return ((key, str(error)),)
    if sorted(record.sample_ids) != list(asked):
        return ((key, f"accounts for other samples than its plan: {asked[0]} to {asked[-1]}"),)
    return ()


def plan_of_manifest(manifest: DatasetManifest) -> Plan | None:
    """The plan behind a dataset; a part that was pulled has none.

    Raises:
        FormatError: It asks for more samples than any campaign can: going through them would never end.
    """
    samples = manifest.campaign.get("samples")
    if manifest.selection is not None or not isinstance(samples, int) or isinstance(samples, bool) or samples < 1:
        return None
    if samples > MAX_SAMPLES:
        raise FormatError(
            f"{DATASET_KEY}: campaign.samples is more than {MAX_SAMPLES}, the most that a campaign has; "
            "it is damaged or hostile: restore it from a copy"
        )
    return Plan(samples, manifest.gaits_per_shard)
