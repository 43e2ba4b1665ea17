"""The catalogue: the commits' index rows in a few Parquet files. Derived, rebuildable, allowed to be behind.

Reading a million gaits' rows from their commits is one request for each shard and
gigabytes of JSON; from the catalogue it is a few requests, and then one for each
shard that is newer. It is kept as parts that nobody changes (see
`farm.dataset.parts`): compacting reads only the commits that no part covers, so
that it can run again and again while a campaign does, and costs what is new.

Commits decide what is true. A part that names a shard which is not committed, or
a commit of another size, is passed over, and its other shards are read from their
commits.
"""

from __future__ import annotations

import re
import shutil
import tempfile
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from farm.dataset.manifest import COMMITS, MAX_GAITS, ShardRecord, read_record
from farm.dataset.parts import (
    GAIT_COLUMNS,
    MAX_PART_ROWS,
    Gathering,
    Part,
    fetch_all,
    index_rows,
    key_of,
    part_names,
    read_parts,
    remove,
    standing,
)
from farm.dataset.table import IndexTable, TableFiles
from farm.errors import FormatError, ObjectNotFoundError
from farm.storage import Storage

__all__ = ["Compaction", "compact", "forget", "index_of", "index_rows", "iter_records", "load_index", "read_records"]

READERS = 16
"""Commits fetched at once; each is one small request."""

LOOKS = 5
"""Times that the catalogue is listed anew because a part was taken over while it was read."""

COLUMN_TYPES = frozenset({"VARCHAR", "BIGINT", "DOUBLE", "BOOLEAN"})
"""SQL types that columns of gaits have."""

MEND = "it is derived: delete the objects under catalogue/ and run `gaitfarm compact`"

_IS_PLACE = "(sample_id >= 0 AND position >= 0 AND shard_id IS NOT NULL AND attempt_id IS NOT NULL)"


@dataclass(frozen=True)
class Compaction:
    """What compacting came to.

    Attributes:
        parts: Keys of the files of gaits that the catalogue now consists of.
        shards_added: Shards that no part had covered.
        removed: Parts that newer ones took over from, or that told of what is not there.
    """

    parts: tuple[str, ...]
    shards_added: int
    removed: int


def iter_records(storage: Storage, shard_ids: Sequence[str]) -> Iterator[ShardRecord]:
    """Many commits in the order asked for, fetched a few ahead: memory for those, however many there are.

    Raises:
        FormatError: A record is damaged.
        ObjectNotFoundError: A shard is not committed.
    """
    ids = iter(shard_ids)
    ahead: deque[Future[ShardRecord]] = deque()
    with ThreadPoolExecutor(READERS) as pool:
        try:
            while True:
                while len(ahead) < READERS and (shard_id := next(ids, None)) is not None:
                    ahead.append(pool.submit(read_record, storage, shard_id))
                if not ahead:
                    return
                yield ahead.popleft().result()
        finally:
            for future in ahead:
                future.cancel()


def read_records(storage: Storage, shard_ids: Sequence[str]) -> list[ShardRecord]:
    """Many commits at once, in the order asked for. Of a large dataset they fill gigabytes: see `iter_records`."""
    return list(iter_records(storage, shard_ids))


def load_index(storage: Storage, *, with_rejected: bool = False) -> IndexTable:
    """The index of everything that is committed: from the catalogue, and from commits that are newer.

    Args:
        with_rejected: Also have the table `rejected`, for `IndexTable.ask`.

    Raises:
        FormatError: A commit is damaged, two shards hold the same sample, or the catalogue is none of ours.
    """
    table = _open_index(storage, ("gaits", "shards", *(("rejected",) if with_rejected else ())))
    n_told = int(table.ask("SELECT coalesce(sum(n_accepted), 0) FROM shards WHERE n_accepted <= ?", [MAX_GAITS])[0][0])
    if len(table) != n_told:  # before anything goes through all of them: there may be any number
        raise FormatError(f"{storage.uri}: the catalogue holds {len(table)} gaits of shards that have {n_told}; {MEND}")
    _check_columns(table, storage.uri)
    lost = table.ask(f"SELECT count(*) FROM gaits WHERE NOT coalesce({_IS_PLACE}, false)")[0][0]  # noqa: S608  (ours)
    if lost:
        raise FormatError(f"{storage.uri}: {lost} gaits of the catalogue say no sample or place; {MEND}")
    twice = table.ask("SELECT sample_id FROM gaits GROUP BY sample_id HAVING count(*) > 1 ORDER BY sample_id LIMIT 1")
    if twice:
        raise FormatError(f"{storage.uri}: sample {twice[0][0]} is in the index twice; run `gaitfarm verify`")
    return table


def _check_columns(table: IndexTable, uri: str) -> None:
    """Whoever reads the index counts on these types: `write_rows` makes no others of what commits may say."""
    types = dict(table.ask("SELECT column_name, column_type FROM (DESCRIBE gaits)"))
    for name, kind in GAIT_COLUMNS.items():
        if types.get(name) != kind:
            raise FormatError(
                f"{uri}: the catalogue's column {name} is {types.get(name, 'missing')}, not {kind}; {MEND}"
            )
    for name, kind in types.items():
        if kind not in COLUMN_TYPES:
            raise FormatError(
                f"{uri}: the catalogue's column {name[:80]!r} is {kind[:80]}, which no commit has; {MEND}"
            )


def index_of(records: Iterable[ShardRecord]) -> IndexTable:
    """The index of these commits alone, with its table `rejected`."""
    folder = Path(tempfile.mkdtemp(prefix="gaitfarm-"))
    gathering = Gathering(folder / "all")
    for record in records:
        gathering.add(record, 0)
    return IndexTable(TableFiles(folder, **{name: tuple(paths) for name, paths in gathering.files().items()}))


def compact(storage: Storage) -> Compaction:
    """Bring the catalogue up to everything that is committed now.

    Several may compact at once: each writes parts that are true, and removes only
    such as its own stand for. A commit that was taken out or replaced meanwhile
    costs the part that tells of it; the next compaction makes up for that.
    """
    with tempfile.TemporaryDirectory(prefix="gaitfarm-") as folder:
        for look in range(LOOKS):
            try:
                return _compact(storage, Path(folder, str(look)))
            except ObjectNotFoundError:  # another compaction took over a part that we were about to take up
                if look == LOOKS - 1:
                    raise
    raise AssertionError("not reached")


def forget(storage: Storage, shard_ids: Sequence[str]) -> int:
    """Remove the parts that tell of these shards: to be called before a commit is removed.

    Returns:
        How many parts were removed; the next `compact` makes up for them.
    """
    gone = set(shard_ids)
    with tempfile.TemporaryDirectory(prefix="gaitfarm-") as folder:
        names = part_names(storage)
        found = read_parts(storage, names, Path(folder), max_shards=len(_commits(storage)))
        parts = {part.name: part for part in found}
        # A part that does not say what it covers (an older gaitfarm's) may cover them.
        touched = [name for name in names if name not in parts or not gone.isdisjoint(parts[name].shards)]
    remove(storage, touched)
    return len(touched)


def _open_index(storage: Storage, tables: Sequence[str]) -> IndexTable:
    for look in range(LOOKS):
        folder = Path(tempfile.mkdtemp(prefix="gaitfarm-"))
        try:
            # After the last look it is the commits alone that are read, whoever is compacting.
            return IndexTable(_index_files(storage, folder, tables, catalogue=look < LOOKS - 1))
        except ObjectNotFoundError:
            shutil.rmtree(folder, ignore_errors=True)
            if look == LOOKS - 1:
                raise
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
    raise AssertionError("not reached")


def _index_files(storage: Storage, folder: Path, tables: Sequence[str], *, catalogue: bool) -> TableFiles:
    """Files of all that is committed: the parts to believe, and one gathering of the commits beyond them."""
    parts, commits = _look(storage, folder, catalogue=catalogue)
    known = {shard_id for part in parts for shard_id in part.shards}
    newer = [shard_id for shard_id in commits if shard_id not in known]
    files = fetch_all(storage, [part.name for part in parts], tables, folder)
    if newer or not parts:
        gathering = Gathering(folder / "newer")
        for record in iter_records(storage, newer):
            gathering.add(record, commits[record.shard_id])
        for table, paths in gathering.files().items():
            files.setdefault(table, []).extend(paths)
    return TableFiles(folder, **{table: tuple(files[table]) for table in tables})


def _compact(storage: Storage, folder: Path) -> Compaction:
    folder.mkdir()
    listed = part_names(storage)
    parts, commits = _look(storage, folder, names=listed)
    covered = {shard_id for part in parts for shard_id in part.shards}
    newer = [shard_id for shard_id in commits if shard_id not in covered]
    full = [part for part in parts if part.n_rows >= MAX_PART_ROWS]
    small = [part for part in parts if part.n_rows < MAX_PART_ROWS]
    names = [part.name for part in full]
    stored: dict[str, list[str]] = {}
    if newer or len(small) > 1:
        gathering = Gathering(folder / "0")
        for part in small:
            gathering = _room(storage, gathering, stored)
            gathering.add_part(storage, part)
        for record in iter_records(storage, newer):
            gathering = _room(storage, gathering, stored)
            gathering.add(record, commits[record.shard_id])
        if gathering.shards:
            stored[gathering.store(storage)] = list(gathering.shards)
        names += _still_true(storage, stored, commits)
    else:
        names += [part.name for part in small]
    # Whatever was listed before the commits were tells of commits that stand, or is not to be believed: every true
    # part's shards are among those that we now have, so none of them is needed any more.
    superseded = [name for name in listed if name not in names]
    remove(storage, superseded)
    return Compaction(tuple(key_of(name, "gaits") for name in sorted(names)), len(newer), len(superseded))


def _room(storage: Storage, gathering: Gathering, stored: dict[str, list[str]]) -> Gathering:
    """The gathering if it has room for more; else a new one, once the old one is stored."""
    if gathering.n_rows < MAX_PART_ROWS:
        return gathering
    stored[gathering.store(storage)] = list(gathering.shards)
    return Gathering(gathering.folder.with_name(str(len(stored))))


def _still_true(storage: Storage, stored: Mapping[str, Sequence[str]], commits: Mapping[str, int]) -> list[str]:
    """Of the parts that we stored just now those whose commits stand; the others are removed.

    A repair forgets a shard before and after it removes the commit. A part that is stored after
    that would be believed as soon as the shard is made again with a commit of the same size.
    """
    now = _commits(storage) if stored else {}
    false = [
        name
        for name, shard_ids in stored.items()
        if any(now.get(shard_id) != commits[shard_id] for shard_id in shard_ids)
    ]
    remove(storage, false)
    return [name for name in stored if name not in false]


def _look(
    storage: Storage, folder: Path, *, catalogue: bool = True, names: Sequence[str] | None = None
) -> tuple[list[Part], dict[str, int]]:
    """The parts to believe, and the size of every commit.

    Parts are listed before commits: what a part names was committed when the part
    was written, so a part that names anything else now is not to be believed.
    """
    if names is None:
        names = part_names(storage) if catalogue else []
    commits = _commits(storage)
    return standing(read_parts(storage, names, folder, max_shards=len(commits)), commits), commits


def _commits(storage: Storage) -> dict[str, int]:
    """Ids of the committed shards, sorted, with the sizes of their records."""
    found = ((re.fullmatch(rf"{COMMITS}([0-9]{{1,12}})\.json", item.key), item.size) for item in storage.list(COMMITS))
    return {match[1]: size for match, size in found if match}
