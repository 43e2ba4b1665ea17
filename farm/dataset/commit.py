"""How a shard becomes part of a dataset: its objects first, its record last, put-if-absent.

Two writers may race for one shard. Each writes under its own attempt's name, and
whoever creates the record has won; the other's objects are garbage that nobody
will ever read. A crash before the record leaves garbage too, never a half shard.
"""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor

from farm.dataset.manifest import SHARDS, ShardRecord, StoredBytes, commit_key, read_record, record_to_json
from farm.dataset.writer import EncodedShard
from farm.errors import AlreadyExistsError, StorageError
from farm.storage import Storage

UPLOADS = 4
"""Objects on their way at once; a worker has one core, and waiting costs none."""


def commit(
    storage: Storage,
    shard: EncodedShard,
    *,
    attempt_id: str,
    wall_s: float = 0.0,
    worker: str = "",
    look_again: bool = False,
) -> ShardRecord:
    """Store a shard and make it part of the dataset.

    Args:
        attempt_id: A name that no other attempt has.
        wall_s: Seconds that the shard took so far.
        worker: Where it was made.
        look_again: List what was stored before the record says that it is there.

    Returns:
        The shard's record: ours, or the winner's if somebody else was first.

    Raises:
        StorageError: The storage fails, or lists other objects than were stored.
    """
    group = f"{SHARDS}{shard.shard_id}/{attempt_id}.zarr"

    def upload(item: tuple[str, bytes]) -> StoredBytes:
        key, data = f"{group}/{item[0]}", item[1]
        storage.put(key, data)
        return StoredBytes(path=key, bytes=len(data), sha256=hashlib.sha256(data).hexdigest())

    with ThreadPoolExecutor(UPLOADS) as pool:
        objects = tuple(pool.map(upload, sorted(shard.objects.items())))
    if look_again:
        _look_again(storage, group, objects)
    record = ShardRecord(
        shard_id=shard.shard_id,
        attempt_id=attempt_id,
        group=group if objects else None,
        sample_ids=shard.sample_ids,
        n_accepted=len(shard.index),
        n_rejected=len(shard.rejected),
        rejected=shard.rejected,
        objects=objects,
        index=tuple(dict(row) for row in shard.index),
        wall_s=wall_s,
        worker=worker,
    )
    try:
        storage.put_once(commit_key(shard.shard_id), record_to_json(record))
    except AlreadyExistsError:
        return read_record(storage, shard.shard_id)
    return record


def _look_again(storage: Storage, group: str, objects: tuple[StoredBytes, ...]) -> None:
    """Compare what the storage lists with what was stored: a gateway or quota that cuts objects off is seen here."""
    listed = {item.key: item.size for item in storage.list(f"{group}/")}
    for item in objects:
        if listed.get(item.path) != item.bytes:
            raise StorageError(
                f"{storage.uri}/{item.path} was stored with {item.bytes} bytes, the storage lists "
                f"{listed.get(item.path, 'no such object')}; it loses or cuts what it is given: check it, and run again"
            )
