"""The catalogue's parts: immutable Parquet files, each of the gaits of some shards, beside what its shards are.

A part is three objects of one name, which is how many shards it covers and a hash
of which (shards and attempts, and so of all that it says):

    catalogue/NAME.parquet            one row for each gait; written last: the part exists if and only if it does
    catalogue/shards/NAME.parquet     one row for each shard, also for those of which no gait was accepted
    catalogue/rejected/NAME.parquet   one row for each sample that was turned down

Nobody changes a part. New ones take over from old ones, and these are removed once
the new ones stand: whoever had listed an old one by then lists again.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from farm.dataset.manifest import CATALOGUE, ShardRecord
from farm.dataset.parquet import merge, read, write_rows
from farm.errors import FormatError, ObjectNotFoundError
from farm.storage import Storage

TABLES = ("gaits", "shards", "rejected")

MAX_PART_ROWS = 65_536
"""Gaits and rejected samples of a part, about: some 100 MB. A larger one would have to be read and written whole
whenever it takes up new shards; the catalogue of a million gaits has some 20 parts."""

MAX_PART_BYTES = 1 << 30
"""No part's object is larger: bounds what a damaged or hostile catalogue makes a reader fetch."""

CHUNK_ROWS = 2048
"""Rows that are taken from commits at once: some 15 MB of JSON."""

DOWNLOADS = 2
"""Objects fetched at once, each whole: a part may be written anew under its name, and its bytes not be the same."""

FOLDERS = {"gaits": CATALOGUE, "shards": f"{CATALOGUE}shards/", "rejected": f"{CATALOGUE}rejected/"}
SHARD_COLUMNS = {
    "shard_id": "VARCHAR", "attempt_id": "VARCHAR", "commit_bytes": "BIGINT", "n_accepted": "BIGINT",
    "n_rejected": "BIGINT", "n_objects": "BIGINT", "n_bytes": "BIGINT", "wall_s": "DOUBLE", "worker": "VARCHAR",
}  # fmt: skip
REJECTED_COLUMNS = {
    "sample_id": "BIGINT", "shard_id": "VARCHAR", "reasons": "VARCHAR[]", "details": "VARCHAR", "engine": "VARCHAR",
}  # fmt: skip
GAIT_COLUMNS = {"sample_id": "BIGINT", "shard_id": "VARCHAR", "attempt_id": "VARCHAR", "position": "BIGINT"}
PLACE_COLUMNS = ("shard_id", "attempt_id", "position")
"""Columns that the index has beside those of the commits' rows: where a gait lies."""

_SAID = ", ".join(
    f"CASE WHEN typeof({name}) = '{SHARD_COLUMNS[name]}' THEN CAST({name} AS {SHARD_COLUMNS[name]}) END"
    for name in ("shard_id", "attempt_id", "commit_bytes", "n_accepted", "n_rejected")
)
"""What a part says of its shards, as SQL; null where it is of another type than ours, which Python might not hold."""

_NAME = re.compile(rf"^{CATALOGUE}([0-9]{{9}}-[0-9a-f]{{16}})\.parquet$")


@dataclass(frozen=True)
class Part:
    """One part, and what it says of its shards.

    Attributes:
        shards: Shard id -> attempt id and size of its commit.
        n_rows: Gaits and rejected samples.
    """

    name: str
    shards: Mapping[str, tuple[str, int]]
    n_rows: int


def key_of(name: str, table: str) -> str:
    """The key of one of a part's three objects."""
    return f"{FOLDERS[table]}{name}.parquet"


def part_names(storage: Storage) -> list[str]:
    """The parts that stand, those of the most shards first."""
    found = (_NAME.match(item.key) for item in storage.list(CATALOGUE))
    return sorted((match[1] for match in found if match), reverse=True)


def read_parts(storage: Storage, names: Sequence[str], folder: Path, *, max_shards: int) -> list[Part]:
    """What these parts cover, in their order; those that do not say so (an older gaitfarm's, damaged ones) are missing.

    Args:
        folder: Where their tables of shards are put, as `fetch` does.
        max_shards: Parts that cover more are missing too: there are no more commits than so many.
    """

    def one(name: str) -> Part | None:
        try:
            path = fetch(storage, name, "shards", folder)
            rows = read(path, _SAID, limit=max_shards + 1)
        except (ObjectNotFoundError, FormatError):
            return None
        if len(rows) > max_shards or any(value is None for row in rows for value in row):
            return None
        return Part(name, {row[0]: (row[1], row[2]) for row in rows}, sum(row[3] + row[4] for row in rows))

    with ThreadPoolExecutor(DOWNLOADS) as pool:
        return [part for part in pool.map(one, names) if part is not None]


def standing(parts: Iterable[Part], commits: Mapping[str, int]) -> list[Part]:
    """Of these parts, in their order, those to believe: all of their shards are committed, and no two share a shard.

    Args:
        commits: Shard id -> size of its commit, as listed.
    """
    chosen: list[Part] = []
    covered: set[str] = set()
    for part in parts:
        true = all(commits.get(shard_id) == size for shard_id, (_, size) in part.shards.items())
        if true and covered.isdisjoint(part.shards):
            chosen.append(part)
            covered.update(part.shards)
    return chosen


def fetch(storage: Storage, name: str, table: str, folder: Path) -> Path:
    """A file of one of a part's objects under `folder`.

    Raises:
        FormatError: The object is larger than any part's.
        ObjectNotFoundError: The part has been taken over by a newer one.
    """
    path = folder / f"{name}.{table}.parquet"
    if not path.exists():
        key = key_of(name, table)
        data = storage.get_range(key, 0, MAX_PART_BYTES + 1)
        if len(data) > MAX_PART_BYTES:
            raise FormatError(f"{storage.uri}/{key} is larger than {MAX_PART_BYTES} bytes: it is not ours; remove it")
        path.write_bytes(data)
    return path


def fetch_all(storage: Storage, names: Sequence[str], tables: Sequence[str], folder: Path) -> dict[str, list[Path]]:
    """Files of some parts' objects, by table, in the order of the parts. Raises as `fetch`."""
    wanted = [(table, name) for table in tables for name in names]
    with ThreadPoolExecutor(DOWNLOADS) as pool:
        paths = list(pool.map(lambda item: fetch(storage, item[1], item[0], folder), wanted))
    found: dict[str, list[Path]] = {table: [] for table in tables}
    for (table, _), path in zip(wanted, paths, strict=True):
        found[table].append(path)
    return found


def index_rows(record: ShardRecord) -> list[dict[str, Any]]:
    """A shard's rows of the index, each with the place where its gait lies."""
    return [
        {**row, "shard_id": record.shard_id, "attempt_id": record.attempt_id, "position": position}
        for position, row in enumerate(record.index)
    ]


def rejected_rows(record: ShardRecord) -> list[dict[str, Any]]:
    """A shard's samples that were turned down: what was drawn for them, what a recheck found, and why."""
    return [
        {
            **gait.parameters,
            **gait.recheck,
            "sample_id": gait.sample_id,
            "shard_id": record.shard_id,
            "reasons": gait.reasons,
            "details": json.dumps(dict(gait.details)),
            "engine": gait.engine,
        }
        for gait in record.rejected
    ]


@dataclass
class Gathering:
    """Commits on their way into a part: chunks of Parquet in a folder, and in memory the rows of one chunk.

    Attributes:
        folder: Empty, and the gathering's own.
        shards: Of what has been added: shard id -> attempt id and size of its commit.
    """

    folder: Path
    shards: dict[str, tuple[str, int]] = field(default_factory=dict)
    n_rows: int = 0
    _waiting: dict[str, list[dict[str, Any]]] = field(default_factory=lambda: {table: [] for table in TABLES})
    _chunks: dict[str, list[Path]] = field(default_factory=lambda: {table: [] for table in TABLES})

    def add(self, record: ShardRecord, commit_bytes: int) -> None:
        """Take up one commit."""
        self.shards[record.shard_id] = (record.attempt_id, commit_bytes)
        self.n_rows += record.n_accepted + record.n_rejected
        self._waiting["gaits"] += index_rows(record)
        self._waiting["rejected"] += rejected_rows(record)
        self._waiting["shards"].append(
            {
                "shard_id": record.shard_id,
                "attempt_id": record.attempt_id,
                "commit_bytes": commit_bytes,
                "n_accepted": record.n_accepted,
                "n_rejected": record.n_rejected,
                "n_objects": len(record.objects),
                "n_bytes": record.bytes,
                "wall_s": record.wall_s,
                "worker": record.worker,
            }
        )
        if len(self._waiting["gaits"]) + len(self._waiting["rejected"]) >= CHUNK_ROWS:
            self._put_down()

    def add_part(self, storage: Storage, part: Part) -> None:
        """Take up everything that a part says. Raises ObjectNotFoundError if it is there no longer."""
        for table, paths in fetch_all(storage, [part.name], TABLES, self.folder.parent).items():
            self._chunks[table] += paths
        self.shards.update(part.shards)
        self.n_rows += part.n_rows

    def files(self) -> dict[str, list[Path]]:
        """Files of what has been added, by table, at least one of each."""
        self._put_down()
        for table, columns in (("gaits", GAIT_COLUMNS), ("shards", SHARD_COLUMNS), ("rejected", REJECTED_COLUMNS)):
            if not self._chunks[table]:
                self._chunks[table].append(self.folder / f"none.{table}.parquet")
                write_rows((), self._chunks[table][0], columns)
        return self._chunks

    def store(self, storage: Storage) -> str:
        """Make a part of what has been added, and empty the folder.

        Returns:
            Its name.
        """
        said = "\n".join(f"{shard_id} {attempt}" for shard_id, (attempt, _) in sorted(self.shards.items()))
        name = f"{len(self.shards):09d}-{hashlib.sha256(said.encode()).hexdigest()[:16]}"
        files = self.files()
        for table, order_by in (("shards", "shard_id"), ("rejected", "sample_id"), ("gaits", "sample_id")):
            whole = self.folder / "whole.parquet"
            merge(files[table], whole, order_by=order_by)
            storage.put(key_of(name, table), whole.read_bytes())
        shutil.rmtree(self.folder)
        return name

    def _put_down(self) -> None:
        """Turn the rows that are in memory into chunks."""
        columns = {"gaits": GAIT_COLUMNS, "shards": SHARD_COLUMNS, "rejected": REJECTED_COLUMNS}
        self.folder.mkdir(exist_ok=True)
        for table in TABLES:
            if self._waiting[table]:
                path = self.folder / f"{len(self._chunks[table])}.{table}.parquet"
                write_rows(self._waiting[table], path, columns[table])
                self._chunks[table].append(path)
                self._waiting[table] = []


def remove(storage: Storage, names: Iterable[str]) -> None:
    """Remove parts: first what makes each a part, so that no reader meets a half one."""
    for name in names:
        for table in TABLES:
            storage.delete(key_of(name, table))
