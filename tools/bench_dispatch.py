"""How many workers one driver can keep busy: jobs and commits a second, and the driver's own time for each job.

`python -m tools.bench_dispatch [--workers 2 8] [--seconds 0 0.5] [--json]` measures

  book   `Run`, `Ledger` and `Crew` with up to thousands of workers that exist on paper only: one event at a
         time, which is the dearest way to get them; Ray's calls cost nothing here
  wait   `ray.wait` alone, over as many pending calls of a real worker
  run    the whole: real Ray actors, real staging and commits, samples that sleep and are turned down

At 17 s a sample a thousand workers need 59 jobs a second, and some more to write
shards. The last table says what part of one core the driver needs for that:
measured cost per job times jobs per second; beyond the numbers of workers of
`run` it is extrapolated.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import tempfile
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from unittest import mock

import ray
from rich.console import Console
from rich.table import Table

from farm.config import load_campaign
from farm.dataset.create import open_or_create
from farm.dataset.manifest import committed_shards
from farm.planning import plan_of, progress
from farm.storage import open_storage
from tools.fake_stages import SECONDS_VARIABLE
from workers import actors
from workers.actors import Crew
from workers.ledger import Job, Ledger, MakeSample, Survey
from workers.messages import Answer, Card, WorkOrder
from workers.progress import RunProgress
from workers.ray_session import started_ray
from workers.run import Deadlines, Run
from workers.staging import Made, Written, survey
from workers.stop import StopRequests

SAMPLE_S = 17.0
"""Seconds of one core for one filmed sample of the demo campaign, on this project's two-core test machine."""

GAITS_PER_SHARD = 100
STAGES = "tools.fake_stages:stages"


class _Method:
    """`actor.work.remote(...)` without an actor: the answer is there at once, and waits to be asked for."""

    def __init__(self, paper: _Paper, answer: Any) -> None:
        self._paper, self._answer = paper, answer

    def remote(self, *arguments: Any) -> int:
        return self._paper.pend(self._answer(*arguments))


class _Paper:
    """As much of Ray as `Crew` calls, without processes: calls are answered in turn, one for each `wait`."""

    __version__ = ray.__version__

    def __init__(self) -> None:
        self._answers: dict[int, Any] = {}
        self._pending: deque[int] = deque()
        self._last = 0
        self.introduce = _Method(self, lambda: Card(1, "paper", "node", "/nowhere", 0, actors.software()))
        self.work = _Method(self, _worked)

    def pend(self, answer: Any) -> int:
        self._last += 1
        self._answers[self._last] = answer
        self._pending.append(self._last)
        return self._last

    def remote(self, *_: Any) -> _Paper:
        """Stands for `ray.remote`, for the actor class and for the actor."""
        return self

    def options(self, **_: Any) -> _Paper:
        return self

    def wait(self, *_: Any, **__: Any) -> tuple[list[int], list[int]]:
        return [self._pending[0]], []

    def get(self, ref: int) -> Any:
        self._pending.remove(ref)
        return self._answers.pop(ref)

    def kill(self, *_: Any, **__: Any) -> None:
        pass


def _worked(job: Job, *_: Any) -> Answer:
    if isinstance(job, MakeSample):
        seconds = {"sample": 0.01, "simulate": 4.0, "film": 12.0, "pack": 1.0, "stage": 0.01}
        return Answer(Made(job.sample_id, f"staging/{job.sample_id}", True, (), seconds, 1_500_000), 1)
    return Answer(Written(job.shard_id, len(job.staged), 0, {}, 10**8, 2.0), 1)


def _order(storage: Any) -> WorkOrder:
    return WorkOrder(load_campaign("demo"), "0" * 36, storage, STAGES, tempfile.gettempdir())


def book(hands: int, jobs: int) -> dict[str, Any]:
    """The driver's own Python for each job, with so many workers on paper."""
    campaign = load_campaign("demo", samples=jobs).model_copy(update={"gaits_per_shard": GAITS_PER_SHARD})
    with mock.patch.object(actors, "ray", _Paper()), mock.patch.object(actors, "Meters"):
        crew = Crew(_order(None), hands, memory_bytes=1, rss_limit_bytes=10)
        while crew.ready < hands:
            crew.wait(0.0)
        ledger = Ledger(progress(plan_of(campaign), ()).left(), lambda _: Survey())
        show = RunProgress(Console(file=io.StringIO()), samples=jobs, done=0)
        start_s, cpu_s = time.perf_counter(), time.process_time()
        with show:
            Run(ledger, Deadlines.of(campaign), show).go(crew, StopRequests())
        took_s, used_s = time.perf_counter() - start_s, time.process_time() - cpu_s
    return {"workers": hands, "jobs": jobs, "ms_per_job": 1e3 * took_s / jobs, "cpu_ms_per_job": 1e3 * used_s / jobs}


@ray.remote(num_cpus=0)
class _Sleeper:
    def sleep(self) -> None:
        time.sleep(3600)


def wait(refs: int, rounds: int = 50) -> dict[str, Any]:
    """The two `ray.wait` of one event, over so many refs of which one is ready."""
    sleeper: Any = _Sleeper.remote()
    pending = [sleeper.sleep.remote() for _ in range(refs - 1)]
    spent = []
    for _ in range(rounds):
        waited = [*pending, ray.put(None)]
        start_s = time.perf_counter()
        ray.wait(waited, num_returns=1, timeout=1.0)
        ray.wait(waited, num_returns=len(waited), timeout=0)
        spent.append(time.perf_counter() - start_s)
    ray.kill(sleeper)
    return {"refs": refs, "ms_per_event": 1e3 * sorted(spent)[rounds // 2]}


def run(workers: int, seconds: float, jobs: int, *, gaits_per_shard: int = GAITS_PER_SHARD) -> dict[str, Any]:
    """Real workers, storage and commits; the clock starts when every worker has."""
    campaign = load_campaign("demo", samples=jobs).model_copy(update={"gaits_per_shard": gaits_per_shard})
    with tempfile.TemporaryDirectory(prefix="bench-dispatch-") as folder, _environment(SECONDS_VARIABLE, str(seconds)):
        storage = open_storage(f"{folder}/dataset")
        manifest = open_or_create(storage, campaign)
        with started_ray(workers):
            order = WorkOrder(campaign, manifest.dataset_id, storage, STAGES, f"{folder}/logs")
            crew = Crew(order, workers, memory_bytes=10_000_000, rss_limit_bytes=2_400_000_000)
            try:
                while crew.ready < workers:
                    crew.wait(1.0)
                ledger = Ledger(progress(plan_of(campaign), ()).left(), lambda plan: survey(storage, plan))
                show = RunProgress(Console(file=io.StringIO()), samples=jobs, done=0)
                work = Run(ledger, Deadlines.of(campaign), show)
                start_s, cpu_s = time.perf_counter(), time.process_time()
                with show:
                    work.go(crew, StopRequests())
                took_s, used_s = time.perf_counter() - start_s, time.process_time() - cpu_s
            finally:
                crew.close()
        commits = len(committed_shards(storage))
    if work.rejected != jobs or commits != len(plan_of(campaign)):
        raise SystemExit(f"{work.rejected} of {jobs} samples, {commits} shards: the measurement means nothing")
    jobs += commits
    return {
        "workers": workers, "sleep_s": seconds, "jobs": jobs, "jobs_per_s": jobs / took_s,
        "commits_per_s": commits / took_s, "driver_cpu_ms_per_job": 1e3 * used_s / jobs,
        "driver_cpu_share": used_s / took_s, "busy": seconds * work.rejected / (workers * took_s),
    }  # fmt: skip


@contextmanager
def _environment(name: str, value: str) -> Iterator[None]:
    before = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        os.environ.pop(name)
        if before is not None:
            os.environ[name] = before


def needed(books: Sequence[dict[str, Any]], waits: Sequence[dict[str, Any]], runs: Sequence[dict[str, Any]]) -> Any:
    """Share of one core that the driver needs at each number of workers, at `SAMPLE_S` a sample.

    The cost of one job is the book's and `ray.wait`'s at that number of workers, and
    what a real run costs beyond both at its own (sending a job, fetching an answer).
    """
    waited = {item["refs"]: item["ms_per_event"] for item in waits}
    least = runs[0]
    beyond = max(0.0, least["driver_cpu_ms_per_job"] - books[0]["cpu_ms_per_job"] - waits[0]["ms_per_event"])
    rows = []
    for item in books:
        if item["workers"] in waited:
            cost = item["cpu_ms_per_job"] + waited[item["workers"]] + beyond
            rate = item["workers"] / SAMPLE_S * (1 + 1 / GAITS_PER_SHARD)
            rows.append({"workers": item["workers"], "jobs_per_s": rate, "ms_per_job": cost,
                         "core_share": cost * rate / 1e3, "jobs_per_s_at_most": 1e3 / cost})  # fmt: skip
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--paper", type=int, nargs="+", default=[8, 128, 1000, 2000, 4000], help="Workers on paper.")
    parser.add_argument("--workers", type=int, nargs="+", default=[2, 8], help="Real workers; each takes 150 MB.")
    parser.add_argument("--seconds", type=float, nargs="+", default=[0.0, 0.5], help="What a sample sleeps.")
    parser.add_argument("--jobs", type=int, default=400, help="Samples of each real run.")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    books = [book(hands, max(4 * hands, 1000)) for hands in options.paper]
    with started_ray(1):
        waits = [wait(refs) for refs in options.paper]
    runs = [run(workers, s, options.jobs) for workers in options.workers for s in options.seconds]
    report = {"cores": os.cpu_count(), "load": os.getloadavg()[0], "book": books, "wait": waits, "run": runs,
              "extrapolated": needed(books, waits, runs)}  # fmt: skip
    if options.json:
        print(json.dumps(report, indent=2))
        return
    for name in ("book", "wait", "run", "extrapolated"):
        rows: Any = report[name]
        table = Table(*rows[0], title=name, title_justify="left")
        for row in rows:
            table.add_row(*(f"{value:.4g}" if isinstance(value, float) else str(value) for value in row.values()))
        Console().print(table)


if __name__ == "__main__":
    main()
