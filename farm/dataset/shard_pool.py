"""Many shards looked at side by side, in threads or in processes, in whatever order they are done.

Threads suffice where work is waiting (sizes, listings). Decoding keeps Python's
lock half of the time, so that a thorough look at a large dataset goes to processes,
which also survive a codec that a damaged shard crashes.
"""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool

from farm.dataset.manifest import DatasetManifest
from farm.dataset.verify_shard import ShardJob, ShardResult, check_open, check_shard, crashed
from farm.storage import Storage

AHEAD = 2
"""Jobs handed out for each worker, so that none waits for the next; more would only fill memory with results."""

_dataset: tuple[Storage, DatasetManifest] | None = None
"""In a worker's process: the dataset. Sent once; with each job a new connection would be opened."""


def check_all(
    storage: Storage, manifest: DatasetManifest, jobs: Iterable[ShardJob], *, workers: int, processes: bool
) -> Iterator[ShardResult]:
    """The result of every job, as they are done.

    Args:
        workers: How many at once.
        processes: False takes threads.

    Raises:
        StorageError: The storage cannot be listed; jobs that had not begun are given up.
    """
    waiting = iter(jobs)
    if not processes:
        yield from _in_threads(storage, manifest, waiting, workers)
        return
    while lost := (yield from _in_processes(storage, manifest, waiting, workers)):
        for job in lost:  # one of them killed its process, and with it the pool: each again, alone
            yield _alone(storage, manifest, job)


def list_open(storage: Storage, shard_ids: Iterable[str], *, workers: int) -> Iterator[ShardResult]:
    """What lies under each of these shards, which nobody has committed: one listing for each, in threads.

    Raises:
        StorageError: The storage cannot be listed.
    """
    pool = ThreadPoolExecutor(workers)
    jobs = (ShardJob(shard_id, thorough=False) for shard_id in shard_ids)
    yield from _in_pool(pool, lambda job: pool.submit(check_open, storage, job.shard_id), jobs, workers)


def _in_threads(
    storage: Storage, manifest: DatasetManifest, waiting: Iterator[ShardJob], workers: int
) -> Generator[ShardResult, None, list[ShardJob]]:
    pool = ThreadPoolExecutor(workers)
    return (yield from _in_pool(pool, lambda job: pool.submit(check_shard, storage, manifest, job), waiting, workers))


def _in_processes(
    storage: Storage, manifest: DatasetManifest, waiting: Iterator[ShardJob], workers: int
) -> Generator[ShardResult, None, list[ShardJob]]:
    pool = _pool(storage, manifest, workers)
    return (yield from _in_pool(pool, lambda job: pool.submit(_check, job), waiting, workers))


def _in_pool(
    pool: Executor, submit: Callable[[ShardJob], Future[ShardResult]], waiting: Iterator[ShardJob], workers: int
) -> Generator[ShardResult, None, list[ShardJob]]:
    """Results until there are no more jobs, or a process died; returns the jobs that were lost with it."""
    running: dict[Future[ShardResult], ShardJob] = {}
    try:
        while True:
            while len(running) < AHEAD * workers and (job := next(waiting, None)) is not None:
                try:
                    running[submit(job)] = job
                except BrokenProcessPool:
                    return [*running.values(), job]
            if not running:
                return []
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                if isinstance(future.exception(), BrokenProcessPool):
                    return list(running.values())
                del running[future]
                yield future.result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _alone(storage: Storage, manifest: DatasetManifest, job: ShardJob) -> ShardResult:
    with _pool(storage, manifest, 1) as pool:
        try:
            return pool.submit(_check, job).result()
        except BrokenProcessPool:
            return crashed(job.shard_id)


def _pool(storage: Storage, manifest: DatasetManifest, workers: int) -> ProcessPoolExecutor:
    # Spawned, not forked: zarr's and boto3's threads do not survive a fork.
    context = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(workers, mp_context=context, initializer=_begin, initargs=(storage, manifest))


def _begin(storage: Storage, manifest: DatasetManifest) -> None:
    global _dataset
    _dataset = (storage, manifest)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's, who ends us


def _check(job: ShardJob) -> ShardResult:
    assert _dataset is not None  # `_begin` ran
    return check_shard(*_dataset, job)
