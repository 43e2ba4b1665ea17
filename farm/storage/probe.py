"""Does put-if-absent hold here? Tried with racing writers, because asking one after the other does not show it.

OpenStack Swift's S3 interface refuses a key that exists, as it should; but it
looks first and writes after, so that of writers who come together several are
told that they have won. Only a race tells such a store from one that keeps the
promise.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from farm.errors import AlreadyExistsError, StorageError
from farm.storage.contract import PROBE_PREFIX, Probe, Storage

RACERS = 6
RACES = 8
"""Few racers in many races find more than the reverse. On one Swift node 83 of 100 races of six had several winners, so
that eight races all look well there once in about a million probes; forty-eight small writes take a second."""

RACE_BYTES = 4096

START_LIMIT_S = 30.0
"""How long racers wait for each other; a machine that cannot start six threads by then is not fit to race."""

_STORES = "AWS S3, Ceph, MinIO, R2, a local disk"


def probe_by_racing(storage: Storage) -> Probe:
    """What `Storage.probe` gives, by `put_once`, `get` and `delete` alone.

    Raises:
        StorageError: The storage fails; what was written until then is removed as far as possible.
    """
    token = secrets.token_hex(8)
    keys = [f"{PROBE_PREFIX}{token}-{number}" for number in range(RACES + 1)]
    try:
        probe = _race_over(storage, keys)
    except BaseException:
        for key in keys:
            with suppress(StorageError):
                storage.delete(key)
        raise
    for key in keys:
        storage.delete(key)
    return probe


def _race_over(storage: Storage, keys: Sequence[str]) -> Probe:
    first, second = b"gaitfarm probe 1", b"gaitfarm probe 2"
    storage.put_once(keys[0], first)
    with suppress(AlreadyExistsError):
        storage.put_once(keys[0], second)
    if storage.get(keys[0]) != first:
        return Probe(
            "ignored",
            f"{storage.uri} ignores put-if-absent (If-None-Match: *): a second write of one key was accepted; only "
            f"one run at a time may write there, or use a store that honours it ({_STORES})",
        )
    with ThreadPoolExecutor(RACERS) as pool:
        winners = (_race(storage, key, pool) for key in keys[1:])
        most = next((won for won in winners if won > 1), 1)
    if most > 1:
        return Probe(
            "racy",
            f"{storage.uri} honours put-if-absent one writer after the other, but let {most} of {RACERS} that came "
            f"together create one key; only one run at a time may write there, or use a store that keeps racing "
            f"writers apart ({_STORES})",
        )
    return Probe("atomic", f"{storage.uri} honours put-if-absent: of {RACERS} racing writers one won, {RACES} times")


def _race(storage: Storage, key: str, pool: ThreadPoolExecutor) -> int:
    """How many of `RACERS` writers, let go together, were told that they had created `key`."""
    start = threading.Barrier(RACERS)

    def write(number: int) -> bool:
        body = f"gaitfarm racer {number:02d} ".encode().ljust(RACE_BYTES, b".")
        with suppress(threading.BrokenBarrierError):  # somebody is late: the others race without him
            start.wait(START_LIMIT_S)
        try:
            storage.put_once(key, body)
        except AlreadyExistsError:
            return False
        return True

    return sum(pool.map(write, range(RACERS)))
