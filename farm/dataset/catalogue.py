"""The catalogue: the commits' index rows in one Parquet file. Derived, rebuildable, allowed to be behind.

Reading a million gaits' rows from their commits is one request for each shard;
from the catalogue it is one, and then one for each shard that is newer.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any

from farm.dataset.manifest import CATALOGUE, ShardRecord, committed_shards, read_record
from farm.dataset.table import IndexTable, to_parquet
from farm.errors import FormatError, ObjectNotFoundError
from farm.storage import Storage

READERS = 16
"""Commits fetched at once; each is one small request."""

_NAME = re.compile(rf"^{CATALOGUE}([0-9]{{9}})-([0-9a-f]{{16}})\.parquet$")


def index_rows(record: ShardRecord) -> list[dict[str, Any]]:
    """A shard's rows of the index, each with the place where its gait lies."""
    return [
        {**row, "shard_id": record.shard_id, "attempt_id": record.attempt_id, "position": position}
        for position, row in enumerate(record.index)
    ]


def read_records(storage: Storage, shard_ids: Sequence[str]) -> list[ShardRecord]:
    """Many commits at once, in the order asked for."""
    with ThreadPoolExecutor(READERS) as pool:
        return list(pool.map(lambda shard_id: read_record(storage, shard_id), shard_ids))


def load_index(storage: Storage) -> IndexTable:
    """The index of everything that is committed: from the catalogue, and from commits that are newer.

    Raises:
        FormatError: A commit is damaged, or two shards hold the same sample.
    """
    committed = committed_shards(storage)
    parquet = _newest(storage) if len(committed) > 1 else ()
    known = _shards_in(parquet)
    if not known <= set(committed):  # of another dataset, or commits were removed: not to be trusted
        parquet, known = (), set()
    newer = read_records(storage, [shard_id for shard_id in committed if shard_id not in known])
    table = IndexTable([row for record in newer for row in index_rows(record)], parquet)
    ids = [row["sample_id"] for row in table.rows(columns=["sample_id"])]
    if len(set(ids)) != len(ids):
        twice = next(first for first, second in pairwise(ids) if first == second)
        raise FormatError(f"{storage.uri}: sample {twice} is in the index twice; run `gaitfarm verify`")
    return table


def compact(storage: Storage) -> str:
    """Write the catalogue of everything that is committed now, and remove older ones.

    Returns:
        The catalogue's key.
    """
    committed = committed_shards(storage)
    records = read_records(storage, committed)
    data = to_parquet([row for record in records for row in index_rows(record)])
    attempts = "\n".join(f"{record.shard_id} {record.attempt_id}" for record in records)
    key = f"{CATALOGUE}{len(committed):09d}-{hashlib.sha256(attempts.encode()).hexdigest()[:16]}.parquet"
    storage.put(key, data)
    for item in storage.list(CATALOGUE):
        if _NAME.match(item.key) and item.key < key:
            storage.delete(item.key)
    return key


def _newest(storage: Storage) -> tuple[bytes, ...]:
    """The catalogue of the most shards, or nothing if there is none."""
    keys = [item.key for item in storage.list(CATALOGUE) if _NAME.match(item.key)]
    try:
        return (storage.get(max(keys)),) if keys else ()
    except ObjectNotFoundError:  # a newer one has just taken its place
        return ()


def _shards_in(parquet: Sequence[bytes]) -> set[str]:
    if not parquet:
        return set()
    return {row["shard_id"] for row in IndexTable(parquet=parquet).rows(columns=["shard_id"])}
