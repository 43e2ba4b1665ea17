"""What nobody will ever read: found, shown, and swept.

A sweep must never take what a commit names, whatever writers do meanwhile. The
order of looking sees to that. First the store's clock is read and all objects are
listed, and only then the commits. All of an attempt's objects are written before its
commit; so an attempt that was listed either

- is named by a commit that we saw afterwards, and is kept; or
- had been committed by nobody when the commits were listed, although its youngest
  object was older than the grace time: its writer is long dead, or was beaten; or
- is younger than the grace time, and is kept.

Right before an attempt's objects are removed its shard's commit is read once more.
Ages are told by the store's clock alone. A writer that stops between its last upload
and its commit for longer than the grace time, and then goes on, is what the grace
time is for: it is a day, and an upload takes seconds.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

from farm.dataset.claim import CLAIMS
from farm.dataset.manifest import (
    CATALOGUE,
    COMMITS,
    DATASET_KEY,
    NAMELESS,
    REPAIRED,
    SHARDS,
    STAGING,
    read_manifest,
    read_record,
)
from farm.dataset.parts import key_of, read_parts, standing
from farm.errors import FormatError, ObjectNotFoundError, UserError
from farm.storage import Storage, StoredObject, Unfinished
from farm.storage.contract import PROBE_PREFIX

DEFAULT_GRACE_S = 24 * 3600.0
MIN_GRACE_S = 3600.0
"""Between the first upload of a shard and its commit lie seconds, on a bad day minutes (storage's retries)."""

DELETIONS_AT_ONCE = 16
"""Each is one small request."""

Kind = Literal["attempt", "staging", "unfinished", "catalogue", "probe"]

_ATTEMPT = re.compile(rf"^({SHARDS}([0-9]{{1,12}})/[a-z0-9][a-z0-9-]{{0,63}}\.zarr)/.+$")
_STAGED = re.compile(rf"^({STAGING}([0-9]{{1,12}}))/[0-9]+/[^/]+\.(gait|rejected)$")
_CATALOGUE = re.compile(rf"^{CATALOGUE}(?:shards/|rejected/)?([0-9]{{9}}-[0-9a-f]{{16}})\.parquet$")
_COMMIT = re.compile(rf"^{COMMITS}([0-9]{{1,12}})\.json$")
_UNITS_S = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


@dataclass(frozen=True)
class Garbage:
    """Objects that go together.

    Attributes:
        kind: "attempt": a group that no commit names. "staging": made samples of one shard. "unfinished": what an
            interrupted write left. "catalogue": a superseded part. "probe": a forgotten test write.
        where: The group, folder or key.
        keys: Every object of it.
        age_s: Since its youngest object was written.
        shard_id: Whose commit is looked at again before it goes; empty where none is concerned.
    """

    kind: Kind
    where: str
    keys: tuple[str, ...]
    n_bytes: int
    age_s: float
    shard_id: str = ""
    unfinished: Unfinished | None = field(default=None, repr=False)


@dataclass(frozen=True)
class GcPlan:
    """What may go, and what stays although no commit names it.

    Attributes:
        garbage: Older than the grace time.
        n_young, young_bytes: Objects that no commit names and that are too young to be swept.
        n_staged: Staged objects of shards that are still being made, which let a run go on; not swept unless asked for.
        n_repaired: Objects of shards that `gaitfarm repair` took out; not swept unless asked for.
        foreign: Keys that are none of ours; never touched.
        damaged_commits: Shards whose commit cannot be read: nothing of theirs is swept.
    """

    uri: str
    grace_s: float
    garbage: tuple[Garbage, ...]
    n_young: int
    young_bytes: int
    n_staged: int
    n_repaired: int
    foreign: tuple[str, ...]
    damaged_commits: tuple[str, ...]

    @property
    def n_objects(self) -> int:
        return sum(len(item.keys) for item in self.garbage)

    @property
    def n_bytes(self) -> int:
        return sum(item.n_bytes for item in self.garbage)

    def to_dict(self) -> dict[str, Any]:
        """For `--json`: garbage without its single keys."""
        garbage = [
            {
                "kind": item.kind,
                "where": item.where,
                "objects": len(item.keys),
                "bytes": item.n_bytes,
                "age_s": item.age_s,
            }
            for item in self.garbage
        ]
        totals = {"n_objects": self.n_objects, "n_bytes": self.n_bytes, "garbage": garbage}
        return {name: value for name, value in asdict(self).items() if name != "garbage"} | totals


def seconds(text: str) -> float:
    """A time span such as 90m, 24h or 7d, in seconds.

    Raises:
        UserError: It is none.
    """
    match = re.fullmatch(r"([0-9]{1,6}(?:\.[0-9]{1,3})?)([smhd])", text.strip())
    if match is None:
        raise UserError(f"--grace {text!r} is no time span; write a number and s, m, h or d, such as 24h")
    return float(match[1]) * _UNITS_S[match[2]]


def find_garbage(
    storage: Storage,
    *,
    grace_s: float = DEFAULT_GRACE_S,
    force: bool = False,
    open_staging: bool = False,
    repaired: bool = False,
) -> GcPlan:
    """Look, and change nothing.

    Args:
        grace_s: How long nothing must have happened to what is swept.
        force: Take a grace time below `MIN_GRACE_S`: only where certainly nobody writes.
        open_staging: Also made samples of shards that are still being made; an interrupted run makes them anew.
        repaired: Also what belongs to records under `repaired/`.

    Raises:
        FormatError: There is no dataset.
        StorageError: The storage cannot be read.
        UserError: The grace time is too short.
    """
    if grace_s < MIN_GRACE_S and not force:
        raise UserError(
            f"a grace time of {grace_s:.0f} s is below {MIN_GRACE_S:.0f} s: a shard that is being written could lose "
            "its objects before its commit; where certainly nobody writes, add --force"
        )
    read_manifest(storage)
    now_s = storage.now_s()
    sorted_out = _Sorted()
    for item in storage.list():
        sorted_out.take(item)
    unfinished = storage.unfinished()
    committed = _committed(storage)  # not before all of the above: see the module's docstring
    kept: dict[str, str] = {}
    damaged: list[str] = []
    for shard_id in sorted({shard_id for shard_id, _ in sorted_out.attempts if shard_id in committed}):
        try:
            kept[shard_id] = read_record(storage, shard_id).group or ""
        except ObjectNotFoundError:  # taken out by a repair that is under way
            damaged.append(shard_id)
        except FormatError:
            damaged.append(shard_id)
    found: list[Garbage] = []
    n_repaired = n_staged = 0
    untouchable = frozenset(damaged)
    for (shard_id, group), objects in sorted(sorted_out.attempts.items()):
        if shard_id in untouchable or kept.get(shard_id) == group:
            continue
        if not repaired and (group in sorted_out.repaired or shard_id in sorted_out.nameless):
            n_repaired += len(objects)
            continue
        found.append(_garbage("attempt", group, objects, now_s, shard_id))
    for (shard_id, folder), objects in sorted(sorted_out.staged.items()):
        if shard_id not in committed and not open_staging:
            n_staged += len(objects)
            continue
        found.append(_garbage("staging", folder, objects, now_s))
    found += [_garbage("probe", item.key, [item], now_s) for item in sorted_out.probes]
    found += [
        _garbage("catalogue", item.key, [item], now_s) for item in _superseded(storage, sorted_out.catalogue, committed)
    ]
    found += [
        Garbage("unfinished", item.key, (item.key,), item.size, now_s - item.modified_s, unfinished=item)
        for item in unfinished
    ]
    young = [item for item in found if item.age_s < grace_s]
    return GcPlan(
        uri=storage.uri,
        grace_s=grace_s,
        garbage=tuple(item for item in found if item.age_s >= grace_s),
        n_young=sum(len(item.keys) for item in young),
        young_bytes=sum(item.n_bytes for item in young),
        n_staged=n_staged,
        n_repaired=n_repaired,
        foreign=tuple(sorted_out.foreign),
        damaged_commits=tuple(damaged),
    )


def sweep_garbage(storage: Storage, plan: GcPlan) -> GcPlan:
    """Remove what a plan names, but for what has been committed since.

    Returns:
        The plan, with what was removed as its garbage.
    """
    removed: list[Garbage] = []
    with ThreadPoolExecutor(DELETIONS_AT_ONCE) as pool:
        for item in plan.garbage:
            if item.kind == "attempt" and not _still_unnamed(storage, item):
                continue
            if item.unfinished is not None:
                storage.discard(item.unfinished)
            else:
                list(pool.map(storage.delete, item.keys))
            removed.append(item)
    return replace(plan, garbage=tuple(removed))


def _still_unnamed(storage: Storage, item: Garbage) -> bool:
    try:
        return read_record(storage, item.shard_id).group != item.where
    except ObjectNotFoundError:
        return True
    except FormatError:
        return False


@dataclass
class _Sorted:
    """A listing by what its objects are.

    Attributes:
        repaired: Groups of the attempts whose records are under `repaired/`.
        nameless: Shards of which a record is there that could not be read: any of their groups may be its own.
    """

    attempts: dict[tuple[str, str], list[StoredObject]] = field(default_factory=lambda: defaultdict(list))
    staged: dict[tuple[str, str], list[StoredObject]] = field(default_factory=lambda: defaultdict(list))
    catalogue: dict[str, list[StoredObject]] = field(default_factory=lambda: defaultdict(list))
    probes: list[StoredObject] = field(default_factory=list)
    repaired: set[str] = field(default_factory=set)
    nameless: set[str] = field(default_factory=set)
    foreign: list[str] = field(default_factory=list)

    def take(self, item: StoredObject) -> None:
        key = item.key
        if match := _ATTEMPT.match(key):
            self.attempts[match[2], match[1]].append(item)
        elif match := _STAGED.match(key):
            self.staged[match[2], match[1]].append(item)
        elif match := _CATALOGUE.match(key):
            self.catalogue[match[1]].append(item)
        elif key.startswith(PROBE_PREFIX):
            self.probes.append(item)
        elif key.startswith(REPAIRED):
            self._take_repaired(key)
        elif key != DATASET_KEY and not _COMMIT.match(key) and not key.startswith(CLAIMS):
            self.foreign.append(key)

    def _take_repaired(self, key: str) -> None:
        shard_id, _, name = key.removeprefix(REPAIRED).partition("/")
        self.repaired.add(f"{SHARDS}{shard_id}/{name.partition('.')[0]}.zarr")
        if name.startswith(f"{NAMELESS}-"):
            self.nameless.add(shard_id)


def _garbage(kind: Kind, where: str, objects: list[StoredObject], now_s: float, shard_id: str = "") -> Garbage:
    youngest = max(item.modified_s for item in objects)
    return Garbage(
        kind, where, tuple(item.key for item in objects), sum(item.size for item in objects), now_s - youngest, shard_id
    )


def _committed(storage: Storage) -> dict[str, int]:
    """Ids of the committed shards, with the sizes of their commits."""
    found = ((_COMMIT.match(item.key), item.size) for item in storage.list(COMMITS))
    return {match[1]: size for match, size in found if match}


def _superseded(
    storage: Storage, listed: Mapping[str, list[StoredObject]], committed: Mapping[str, int]
) -> Iterator[StoredObject]:
    """Catalogue objects that no reader would take: parts that others stand for, and halves of parts."""
    whole = [name for name, objects in listed.items() if any(item.key == key_of(name, "gaits") for item in objects)]
    with TemporaryDirectory(prefix="gaitfarm-") as folder:
        parts = read_parts(storage, sorted(whole, reverse=True), Path(folder), max_shards=len(committed))
    taken = {part.name for part in standing(parts, committed)}
    for name, objects in sorted(listed.items()):
        if name not in taken:
            yield from objects
