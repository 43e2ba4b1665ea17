"""The last stage of a worker: store a shard under an attempt's own name and try to commit it."""

from __future__ import annotations

import os
import socket
import uuid

from farm.dataset.commit import commit
from farm.dataset.manifest import ShardRecord
from farm.dataset.writer import EncodedShard
from farm.storage import Storage


def commit_shard(
    storage: Storage, encoded: EncodedShard, *, wall_s: float = 0.0, worker: str | None = None
) -> ShardRecord:
    """Store `encoded` and make it part of the dataset, unless another worker was first.

    Args:
        wall_s: Seconds that the shard took, from its first sample on; provenance only.
        worker: Where it was made; this host and process if None.

    Returns:
        The shard's record. Its `attempt_id` tells whether ours or another's won.

    Raises:
        StorageError: The storage fails, after its retries; nothing was committed.
    """
    attempt_id = uuid.uuid4().hex  # provenance: names this attempt, and nothing is drawn from it
    return commit(
        storage,
        encoded,
        attempt_id=attempt_id,
        wall_s=wall_s,
        worker=worker if worker is not None else f"{socket.gethostname()}:{os.getpid()}",
    )
