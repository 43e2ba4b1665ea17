"""Damaged shards out of a dataset, so that they are made or pulled again.

A shard exists if and only if its commit does; so repairing is taking the commit of a
damaged shard away. It never vanishes: it is copied to `repaired/` first, and read
there. From then on the shard is one that is not made yet: the next
`gaitfarm generate` of the same campaign makes the same samples with the same labels,
and `gaitfarm pull` into a pulled dataset fetches them again. Objects under `shards/`
are not touched: readers that are at work go on, and what can be saved is there.

Whoever dies midway leaves either the commit or its copy, or both. Of several repairs
one takes a shard at a time: it claims it by a put-if-absent, and reads the commit
once more after that, so that a shard that was repaired and made anew meanwhile is
left alone. A claim whose owner died is taken over after `CLAIM_S` of the store's clock.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from farm.dataset.catalogue import forget
from farm.dataset.create import new_dataset_id
from farm.dataset.manifest import NAMELESS, REPAIRED, DatasetManifest, commit_key, read_commit, record_of
from farm.errors import AlreadyExistsError, FormatError, ObjectNotFoundError, StorageError
from farm.storage import Storage

CLAIM_S = 15 * 60.0
"""How long a claim keeps others away. Taking out a shard is half a dozen small requests."""

Outcome = Literal["taken out", "gone already", "changed meanwhile", "claimed by another repair", "cannot be read"]


@dataclass(frozen=True)
class RepairedShard:
    """What became of one damaged shard.

    Attributes:
        kept_at: Key of the commit's copy; empty where it was not taken out.
    """

    shard_id: str
    outcome: Outcome
    kept_at: str = ""


@dataclass(frozen=True)
class RepairReport:
    """What was done.

    Attributes:
        again: The command that makes or fetches the shards again.
    """

    uri: str
    shards: tuple[RepairedShard, ...]
    again: str

    @property
    def taken_out(self) -> tuple[str, ...]:
        return tuple(shard.shard_id for shard in self.shards if shard.outcome == "taken out")

    def to_dict(self) -> dict[str, Any]:
        """For `--json`."""
        return {"taken_out": list(self.taken_out), **asdict(self)}


def again(storage: Storage, manifest: DatasetManifest) -> str:
    """How the missing shards are had again."""
    if manifest.selection is not None:
        command, source = "pull", manifest.selection.dataset_id
    elif manifest.refilmed_from is not None:
        command, source = "refilm", manifest.refilmed_from.dataset_id
    else:
        return f"gaitfarm generate {manifest.campaign.get('name', manifest.name)} --out {storage.uri}"
    return f"run the same `gaitfarm {command}` into {storage.uri} again; the source has the dataset id {source}"


def take_out(storage: Storage, damaged: Mapping[str, str]) -> list[RepairedShard]:
    """Take damaged shards out of the dataset.

    Args:
        damaged: Shard id -> SHA-256 of the commit that was found damaged (`VerifyReport.damaged_shards`).

    Raises:
        StorageError: The storage fails; run it again, nothing is lost.
    """
    owner = new_dataset_id()
    return [_take_out(storage, shard_id, sha256, owner) for shard_id, sha256 in sorted(damaged.items())]


def _take_out(storage: Storage, shard_id: str, sha256: str, owner: str) -> RepairedShard:
    try:
        data = _judged(storage, shard_id, sha256)
        kept_at = _keep(storage, shard_id, data)
        claim = _claim(storage, shard_id, owner)
        if claim is None:
            return RepairedShard(shard_id, "claimed by another repair")
        try:
            forget(storage, [shard_id])
            _judged(storage, shard_id, sha256)  # the last look: forgetting reads the catalogue, and takes its time
            storage.delete(commit_key(shard_id))
            forget(storage, [shard_id])  # a compaction that had read the commit may have stored its part since
        finally:
            with contextlib.suppress(StorageError):  # a claim that stays is taken over in time
                storage.delete(claim)
    except _NotTaken as reason:
        return RepairedShard(shard_id, reason.outcome)
    return RepairedShard(shard_id, "taken out", kept_at)


class _NotTaken(Exception):  # noqa: N818  (an outcome)
    def __init__(self, outcome: Outcome) -> None:
        self.outcome: Outcome = outcome
        super().__init__(outcome)


def _judged(storage: Storage, shard_id: str, sha256: str) -> bytes:
    """The commit, if it still is the one that was found damaged."""
    try:
        data = read_commit(storage, shard_id)
    except ObjectNotFoundError:
        raise _NotTaken("gone already") from None
    except FormatError:
        raise _NotTaken("cannot be read") from None
    if hashlib.sha256(data).hexdigest() != sha256:
        raise _NotTaken("changed meanwhile")
    return data


def _keep(storage: Storage, shard_id: str, data: bytes) -> str:
    """Copy a commit to `repaired/`, and make sure that it is there. Returns its key."""
    digest = hashlib.sha256(data).hexdigest()[:16]
    try:
        names = [record_of(data, storage.uri, shard_id).attempt_id]
    except FormatError:
        names = []
    # Another damaged record of the same attempt may be there already: both are kept.
    for name in (*names, f"{names[0] if names else NAMELESS}-{digest}"[-64:].lstrip("-")):
        key = f"{REPAIRED}{shard_id}/{name}.json"
        with contextlib.suppress(AlreadyExistsError):
            storage.put_once(key, data)
            if storage.get(key) != data:
                raise StorageError(
                    f"{storage.uri}/{key} does not hold what was written there; the storage cannot be trusted, "
                    "nothing was removed"
                )
            return key
    raise StorageError(f"{storage.uri}/{key} is another record than its name says; move it away and run again")


def _claim(storage: Storage, shard_id: str, owner: str) -> str | None:
    """Claim a shard for this repair. Returns the claim's key, or None where another repair has it."""
    folder = f"{REPAIRED}{shard_id}/"
    claims = [item for item in storage.list(folder) if item.key.startswith(f"{folder}claim.")]
    number = 0
    if claims:
        last = max(claims, key=lambda item: item.key)
        if storage.now_s() - last.modified_s < CLAIM_S:
            return None
        number = _number(last.key) + 1
    key = f"{folder}claim.{number:06d}"
    try:
        storage.put_once(key, owner.encode())
    except AlreadyExistsError:
        return None
    return key


def _number(key: str) -> int:
    text = key.rpartition(".")[2]
    return int(text) if text.isdigit() else 0


def named(shards: Sequence[RepairedShard], outcome: Outcome) -> list[str]:
    """The shards that had this outcome."""
    return [shard.shard_id for shard in shards if shard.outcome == outcome]
