"""Ray's workers, and the crew that the driver keeps of them. Thin: what they do is in `workers.staging`.

Why not Ray's own pools (Ray 2.60, each run on a real actor that segfaults, hangs
or is killed): `ActorPool` hands a dead actor out again and waits for ever; Ray
Data restarts a crashing sample without end and has no deadline. So the driver
keeps one sample in flight per worker, and a worker that is lost loses that one.

Why a lost worker is replaced and not restarted (`max_restarts=0`): the death
shows at once (0.02 s against 1.5 to 2 s) as `ActorDiedError`, and the
replacement answers its first call after 1.6 to 2.0 s. With `max_restarts=-1` the
caller got `ActorUnavailableError`, up to twice more after the restart (2.3 to
3.5 s), and Ray never restarts an actor whose start failed, so that replacing is
needed anyhow. `ray.kill` ends a call that hangs inside C with the interpreter's
lock held; only a stopped process (SIGSTOP) outlives it, see `workers.autopsy`.
"""

from __future__ import annotations

import contextlib
import faulthandler
import logging
import os
import platform
import socket
import sys
import time
import traceback
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import ray
from ray.exceptions import RayError, RayTaskError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

import farm
from farm.errors import CampaignError, MissingDependencyError, StorageError, StorageUnavailableError, UserError
from farm.storage import Storage
from workers.autopsy import bury, cause_of_death, hung_in_storage, place_of_hang
from workers.eventlog import EventLog, note_failure, note_result
from workers.ledger import Job, MakeSample
from workers.machines import Leaving, machine_lost
from workers.messages import Answer, Card, Failure, Finished, Lost, WorkOrder
from workers.meters import Meters
from workers.staging import Made, Written, load_stages, make_and_stage, write_and_commit

THREADS = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "LP_NUM_THREADS"), "1")
"""One worker per core, so one thread per worker. Mesa's software rasteriser (LP) takes every core in every process
unless told; the libraries read these when they load, so they must stand in the process's environment."""

START_FAILURES_ALLOWED = 3
"""Workers that may fail to start in a row, before the first one has ever worked, until the run ends."""

STORING_SHARE = 0.8
"""Share of a job's deadline within which a made sample may wait for storage that is away."""

STDERR = 2
"""File descriptor that native code and faulthandler write to; each worker points it at its own log."""


class GaitWorker:
    """One process that makes samples, one at a time. Becomes a Ray actor in `Crew`."""

    def __init__(self, order: WorkOrder, number: int) -> None:
        self._order = order
        self._number = number
        self._log_path = Path(order.log_dir) / f"worker-{number:04d}.log"

    def introduce(self) -> Card | Failure:
        """Load everything that a first sample would otherwise have to wait for."""
        try:
            _log_into(self._log_path)
            _choose_graphics_device(self._number, required=self._order.gpu_required)
            self._stages = load_stages(self._order.stages)
            self._meters = Meters(self._order.campaign.name)
            self._retries = retries(self._order.storage)
            self._events = EventLog(
                self._log_path.with_suffix(".jsonl"), worker=self._number, host=socket.gethostname()
            )
            self._events.note("worker started", detail=f"pid {os.getpid()}")
        except Exception as error:
            return _failure(error)
        return Card(
            pid=os.getpid(),
            host=socket.gethostname(),
            node_id=ray.get_runtime_context().get_node_id(),
            log_path=str(self._log_path),
            rss_bytes=_rss_bytes(),
            software=software(),
        )

    def work(self, job: Job, deadline_s: float) -> Answer:
        """Do one job. A little before its deadline every thread's stack goes to the log: where did it hang?"""
        faulthandler.dump_traceback_later(0.9 * deadline_s, file=STDERR)
        self._events.note("begun", job=job)
        try:
            return Answer(self._do(job, time.monotonic() + STORING_SHARE * deadline_s), _rss_bytes())
        except Exception as error:
            os.write(STDERR, "".join(traceback.format_exception(error)).encode())
            failure = _failure(error)
            self._meters.lost("storage" if failure.kind == "storage" else "raised")
            note_failure(self._events, job, failure)
            return Answer(failure, _rss_bytes())
        finally:
            faulthandler.cancel_dump_traceback_later()
            before, self._retries = self._retries, retries(self._order.storage)
            self._meters.retried(self._retries - before)

    def _do(self, job: Job, until_s: float) -> Made | Written:
        order = self._order
        if isinstance(job, MakeSample):
            made = make_and_stage(
                order.storage, order.campaign, job, self._stages, until_s=until_s, source=order.source
            )
            self._meters.made(made)
            note_result(self._events, job, made)
            return made
        written = write_and_commit(order.storage, order.campaign, order.dataset_id, job, source=order.source)
        self._meters.written(written)
        note_result(self._events, job, written)
        return written


def retries(storage: Storage) -> int:
    """Requests that this process has had to repeat; 0 for a storage that has no requests."""
    return int(getattr(storage, "retries", 0))


def software() -> dict[str, str]:
    """What driver and workers must have in common for a dataset to be of one piece."""
    return {"gaitfarm": farm.__version__, "ray": ray.__version__, "python": platform.python_version()}


@dataclass
class _Hand:
    """One place in the crew, and the worker that fills it."""

    number: int
    actor: Any
    started: float
    ref: Any = None
    card: Card | None = None
    job: Job | None = None
    due: float = field(default=float("inf"))


class Crew:
    """A fixed number of workers, each replaced when it is lost.

    Args:
        order: What the workers are told.
        size: How many workers.
        memory_bytes: What Ray sets aside for each, so that a machine is not given more than it can hold.
        rss_limit_bytes: A worker that has grown beyond is replaced between two samples.
        gpus: Share of a GPU for each worker, 0 for none.
        labels: Ray node labels that a worker's machine must have.
        start_limit_s: Seconds within which a worker must have started; None where a cluster may still be growing.
        threads_set: Ray's processes carry `THREADS` already, as `workers.ray_session` starts them here. Then a worker
            is one of the processes that Ray has waiting; told through a runtime environment it would be a new one,
            with its imports still before it.
        events: Where to write what becomes of jobs and workers.
    """

    def __init__(
        self,
        order: WorkOrder,
        size: int,
        *,
        memory_bytes: int,
        rss_limit_bytes: int,
        gpus: float = 0.0,
        labels: Mapping[str, str] | None = None,
        start_limit_s: float | None = None,
        threads_set: bool = False,
        events: EventLog | None = None,
    ) -> None:
        self._order = order
        self._rss_limit_bytes = rss_limit_bytes
        self._start_limit_s = start_limit_s
        self._actor_class = ray.remote(GaitWorker).options(
            num_cpus=1,
            num_gpus=gpus or None,
            memory=memory_bytes,
            label_selector=dict(labels or {}),
            max_restarts=0,
            max_task_retries=0,
            **({} if threads_set else {"runtime_env": {"env_vars": THREADS}}),
        )
        self._meters = Meters(order.campaign.name)
        self._events = events or EventLog(None)
        self._leaving = Leaving()
        self._hired = 0
        self._start_failures = 0
        self._ever_ready = False
        self.replaced = 0
        self.peak_rss_bytes = 0
        self._hands = [self._hire() for _ in range(size)]

    @property
    def ready(self) -> int:
        return sum(hand.card is not None for hand in self._hands)

    @property
    def size(self) -> int:
        return len(self._hands)

    @property
    def at_work(self) -> int:
        return sum(hand.job is not None for hand in self._hands)

    def idle(self) -> Iterator[_Hand]:
        """The workers that could be given a job now: ready, and on a machine that is there to stay."""
        return (
            hand
            for hand in self._hands
            if hand.card is not None and hand.job is None and hand.card.node_id not in self._leaving
        )

    def give(self, hand: _Hand, job: Job, deadline_s: float) -> None:
        """Send a job; the worker is killed if it has not answered after `deadline_s`."""
        hand.job, hand.due = job, time.monotonic() + deadline_s
        hand.ref = hand.actor.work.remote(job, deadline_s)

    def wait(self, timeout_s: float) -> list[Finished | Lost]:
        """Wait for the first event, `timeout_s` at most; then everything that has happened.

        Raises:
            UserError: Workers cannot start here, or a worker runs other software than the driver.
        """
        if self._start_limit_s is None:  # not on our own Ray: one machine, and a dead control store blocks
            self._leave_drained_machines()
        self._meters.crew(wanted=self.size, ready=self.ready, busy=self.at_work)
        by_ref = {hand.ref: hand for hand in self._hands if hand.ref is not None}
        if not by_ref:
            time.sleep(timeout_s)
            return []
        next_due = min(hand.due for hand in by_ref.values())
        patience = max(0.0, min(timeout_s, next_due - time.monotonic()))
        done, _ = ray.wait(list(by_ref), num_returns=1, timeout=patience)
        if done:
            done, _ = ray.wait(list(by_ref), num_returns=len(by_ref), timeout=0)
        events = [event for ref in done if (event := self._answered(by_ref[ref])) is not None]
        now = time.monotonic()
        events += [event for hand in list(self._hands) if hand.due <= now and (event := self._overdue(hand))]
        return events

    def left(self, samples: int) -> None:
        """Tell the meters how many samples of the campaign are not done yet."""
        self._meters.left(samples)

    def close(self) -> None:
        """End every worker now; what they are at is lost."""
        for hand in self._hands:
            self._dismiss(hand)
        self._hands = []
        self._meters.crew(wanted=0, ready=0, busy=0)

    def _leave_drained_machines(self) -> None:
        """Have idle workers of a machine that is about to go replaced elsewhere; a job in flight may finish there."""
        self._leaving.look()
        for hand in list(self._hands):
            if hand.card is not None and hand.job is None and hand.card.node_id in self._leaving:
                self._events.note("machine drained", worker=hand.number, host=hand.card.host)
                self._replace(hand)

    def _hire(self) -> _Hand:
        self._hired += 1
        actor: Any = self._actor_class.remote(self._order, self._hired)
        hand = _Hand(self._hired, actor, time.monotonic(), actor.introduce.remote())
        if self._start_limit_s is not None:
            hand.due = hand.started + self._start_limit_s
        return hand

    def _replace(self, hand: _Hand) -> None:
        self._dismiss(hand)
        self.replaced += 1
        self._meters.replaced()
        self._hands[self._hands.index(hand)] = self._hire()

    def _dismiss(self, hand: _Hand) -> None:
        with contextlib.suppress(RayError):
            ray.kill(hand.actor)

    def _answered(self, hand: _Hand) -> Finished | Lost | None:
        try:
            answer = ray.get(hand.ref)
        except RayTaskError as error:
            answer = Failure("error", f"{type(error.cause).__name__}: {error.cause}", str(error))
        except RayError as error:
            return self._lost(hand, error)
        job = hand.job
        if job is None:
            self._started(hand, answer)
            return None
        hand.job, hand.ref, hand.due = None, None, float("inf")
        if isinstance(answer, Failure):
            note_failure(self._events, job, answer, worker=hand.number)
            return Finished(job, answer)
        note_result(self._events, job, answer.result, worker=hand.number)
        self.peak_rss_bytes = max(self.peak_rss_bytes, answer.rss_bytes)
        if answer.rss_bytes > self._rss_limit_bytes:
            self._replace(hand)
        return Finished(job, answer.result)

    def _started(self, hand: _Hand, answer: Any) -> None:
        if isinstance(answer, Failure):
            # Not a crash but an exception: the next worker would meet the same one.
            raise UserError(f"a worker could not start: {answer.message}; `gaitfarm doctor` says what is missing")
        mine = software()
        differ = [f"{name} {answer.software.get(name)}, here {mine[name]}" for name in mine
                  if answer.software.get(name) != mine[name]]  # fmt: skip
        if differ:
            raise UserError(
                f"the worker on {answer.host} runs {'; '.join(differ)}: install the same versions on driver and cluster"
            )
        hand.card, hand.ref, hand.due = answer, None, float("inf")
        self._events.note("worker ready", worker=hand.number, host=answer.host, seconds=time.monotonic() - hand.started)
        self._ever_ready, self._start_failures = True, 0

    def _lost(self, hand: _Hand, error: RayError) -> Lost | None:
        if hand.card is None:
            self._start_failed(hand, _first_line(error))
            return None
        job = hand.job
        gone = machine_lost(error, hand.card.node_id)
        # On a machine that is gone nobody answers: each of its workers would hold the dispatcher up.
        tail = "" if gone and hand.card.host != socket.gethostname() else self._bury(hand)
        self._replace(hand)
        if job is None:
            self._events.note("worker lost", level=logging.WARNING, worker=hand.number, host=hand.card.host)
            return None
        cause: Literal["machine lost", "crashed"] = "machine lost" if gone else "crashed"
        detail = f"the machine {hand.card.host} was taken away" if gone else cause_of_death(tail)
        return self._lost_over(hand, Lost(job, cause, detail, tail))

    def _overdue(self, hand: _Hand) -> Lost | None:
        job = hand.job
        if job is None:
            self._start_failed(hand, f"no answer within {self._start_limit_s:.0f} s")
            return None
        self._dismiss(hand)
        tail = self._bury(hand)
        self._replace(hand)
        cause: Literal["storage", "hung"] = "storage" if hung_in_storage(tail) else "hung"
        detail = f"no answer within its deadline; killed{place_of_hang(tail)}"
        return self._lost_over(hand, Lost(job, cause, detail, tail))

    def _lost_over(self, hand: _Hand, lost: Lost) -> Lost:
        self._meters.lost(lost.cause)
        self._events.note(
            "attempt lost",
            job=lost.job,
            level=logging.WARNING,
            worker=hand.number,
            cause=lost.cause,
            detail=lost.detail,
        )
        return lost

    def _start_failed(self, hand: _Hand, why: str) -> None:
        self._start_failures += 1
        self._events.note("worker did not start", level=logging.WARNING, worker=hand.number, detail=why)
        if self._start_failures >= START_FAILURES_ALLOWED and not self._ever_ready:
            raise UserError(
                f"workers cannot start ({START_FAILURES_ALLOWED} in a row failed, the last: {why}); "
                "`gaitfarm doctor` says what is missing, fewer --workers need less memory"
            )
        self._replace(hand)

    def _bury(self, hand: _Hand) -> str:
        """Make sure that a lost worker's process is gone, on its machine, and fetch what it last wrote."""
        card = hand.card
        if card is None:
            return ""
        if card.host == socket.gethostname() and Path(card.log_path).exists():
            return bury(card.pid, card.log_path)
        strategy = NodeAffinitySchedulingStrategy(card.node_id, soft=False)
        with contextlib.suppress(RayError):
            there = ray.remote(bury).options(num_cpus=0, max_retries=0, scheduling_strategy=strategy)
            return str(ray.get(there.remote(card.pid, card.log_path), timeout=20))
        return ""


def _first_line(error: BaseException) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)


def _failure(error: Exception) -> Failure:
    detail = "".join(traceback.format_exception(error))
    if isinstance(error, StorageError):
        return Failure("storage", str(error), detail, lasting=not isinstance(error, StorageUnavailableError))
    if isinstance(error, CampaignError | MissingDependencyError | ImportError):
        return Failure("user", str(error), detail)
    return Failure("error", f"{type(error).__name__}: {_first_line(error)}", detail)


def _log_into(path: Path) -> None:
    """Send this process's stdout and stderr, native code's too, to a file of its own."""
    path.parent.mkdir(parents=True, exist_ok=True)
    sys.stdout.flush()
    sys.stderr.flush()
    log = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.close(log)
    faulthandler.enable(file=STDERR)


def _choose_graphics_device(number: int, *, required: bool) -> None:
    """Render on the GPU that Ray gave this worker; where it gave none, workers take the machine's GPUs in turn.

    Ray tells it through CUDA_VISIBLE_DEVICES, which the renderer follows unless
    EGL_DEVICE_ID was left in the environment by whoever started Ray.

    Raises:
        MissingDependencyError: A GPU was asked for, and EGL draws on the processor.
    """
    if ray.get_gpu_ids():
        os.environ.pop("EGL_DEVICE_ID", None)
        number = 0  # Ray may set several aside; the first is as good as any
    from workers.render.context import be_worker, gl_context

    be_worker(number)
    if not required:
        return
    context = gl_context()
    if context.software:
        raise MissingDependencyError(
            f"workers were to render on a GPU, and EGL offers only {context.renderer!r}: install the driver's EGL "
            "library (libnvidia-gl; in containers NVIDIA_DRIVER_CAPABILITIES=graphics,compute,utility), "
            "or leave out --gpus-per-worker"
        )


def _rss_bytes() -> int:
    try:
        pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    except OSError:  # not Linux: workers are not recycled by size
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")
