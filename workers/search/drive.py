"""The driver of `gaitfarm search`: asks every search of a file for candidates, has them tried, and keeps what is found.

Searches of one file run side by side as far as there are cores: a generation of one is seldom enough for a cluster. The
first of the file goes first; one that starts from another's best waits for it.
"""

from __future__ import annotations

import contextlib
import fcntl
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from rich.console import Console

from farm.control.archive_file import read_archive, united, write_archive
from farm.errors import StorageError, UserError
from farm.search.job import Job
from farm.search.plot import plot_searches
from farm.search.searchers import begun
from farm.search.start import starts_at
from workers.ray_session import ray_session
from workers.search.progress import SearchProgress
from workers.search.run import SearchRun, Stage
from workers.search.summary import SearchSummary
from workers.search.tasks import RayTasks, Tasks
from workers.stop import StopRequests, stop_requests

ARCHIVE = "archive.parquet"
PLOT = "progress.png"
LOCK = "search.lock"
"""Also how a folder is known to be a search's."""

LOOK_EVERY_S = 1.0
"""How long to wait for an answer before looking for signals."""

PUBLISH_EVERY_S = 60.0
"""How often archive and plot are brought up to date while a search goes on; checkpoints are after every generation."""

GENERATIONS_AHEAD = 2
"""A next search begins a generation while fewer tasks are waiting than this many for each core."""


def search(
    jobs: Mapping[str, Job], out: Path, *, address: str | None, workers: int | None, console: Console
) -> SearchSummary:
    """Run the searches of a file, or go on with them.

    Args:
        jobs: By name, in the file's order.
        out: Folder for checkpoints, best gains, the archive of all that walked, and the plot.
        address: A Ray cluster; None starts Ray here.
        workers: Tasks at once; None takes one for each core.
        console: Where progress is shown.

    Raises:
        UserError: What the caller can mend: the folder, a start that is not there, Ray that does not start.
    """
    for name, job in jobs.items():
        if starts_at(job, jobs) is None:
            begun(name, job, out)  # before anything is written
    with _only_driver(out):
        runs = [SearchRun(name, job, out) for name, job in jobs.items()]
        for run in runs:
            run.take_up()
        began_s = time.monotonic()
        show = SearchProgress(console, runs)
        interrupted = False
        if not all(run.ended for run in runs):
            # Signals are counted around Ray and not within it: a second Ctrl-C must not break off its shutdown.
            with stop_requests() as stop, ray_session(address, workers) as cluster, show:
                drive(runs, RayTasks(threads_set=cluster.here), stop, out, show, cores=cluster.workers)
                interrupted = stop.asked
        publish(runs, out)
        return SearchSummary.of(runs, out, wall_s=time.monotonic() - began_s, interrupted=interrupted)


def drive(
    runs: Sequence[SearchRun], tasks: Tasks, stop: StopRequests, out: Path, show: SearchProgress, *, cores: int
) -> None:
    """Until every search has ended, or somebody asks to stop."""
    by_name = {run.name: run for run in runs}
    for run in runs:
        if run.stage is not Stage.BLOCKED and not run.ended:
            run.begin(tasks)
    published_s = time.monotonic()
    while not stop.asked:
        for run in runs:
            if run.stage is Stage.BLOCKED:
                _begin_if_its_start_is_there(run, by_name, tasks, show)
            if run.idle and tasks.waiting < GENERATIONS_AHEAD * cores:
                run.try_generation(tasks)
        if all(run.ended for run in runs):
            return
        for answer in tasks.ready(LOOK_EVERY_S):
            run = by_name[answer.key.search]
            verdict = run.hear(answer, tasks)
            if verdict is not None:
                show.judged(run, verdict)
            if run.ended:
                show.ended(run)
        show.update(waiting=tasks.waiting)
        if time.monotonic() - published_s > PUBLISH_EVERY_S:
            published_s = time.monotonic()
            publish(runs, out)


def _begin_if_its_start_is_there(
    run: SearchRun, by_name: Mapping[str, SearchRun], tasks: Tasks, show: SearchProgress
) -> None:
    start = starts_at(run.job, by_name)
    if start is not None and start != run.name and not by_name[start].ended:
        return
    if start is not None and by_name[start].diary.best() is None:
        run.give_up(f"its start, {start}, {by_name[start].standing}")
        show.ended(run)
        return
    run.begin(tasks)


def publish(runs: Sequence[SearchRun], out: Path) -> None:
    """Bring the folder's archive and plot up to date.

    Raises:
        FormatError: The archive that is there is none.
        StorageError: The folder cannot be written.
    """
    found = [run.diary.walkers() for run in runs]
    path = out / ARCHIVE
    if any(found):
        write_archive(path, united([read_archive(path), *found] if path.is_file() else found))
    plot_searches({run.name: run.diary for run in runs if run.diary.best_cost}, out / PLOT)


@contextlib.contextmanager
def _only_driver(out: Path) -> Iterator[None]:
    """Hold the folder: two drivers would overwrite each other's checkpoints. The lock goes with the process.

    Raises:
        UserError: It holds other things than a search, or another driver has it.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        inside = sorted(path.name for path in out.iterdir())
        if inside and LOCK not in inside:
            raise UserError(f"{out} is not empty ({inside[0]}) and holds no search; choose another --out")
        lock = (out / LOCK).open("w")
    except OSError as error:
        raise StorageError(f"cannot write in --out {out}: {error.strerror}; choose another folder") from None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise UserError(f"another `gaitfarm search` works in {out}; wait for it, or choose another --out") from None
        yield
