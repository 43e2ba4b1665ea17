"""A dataset from a campaign: probe, plan, resume, start Ray, run, sum up.

Whatever ends a run (a signal, a crash, a lost machine), the dataset is whole as
far as it goes: shards are committed one by one, made samples wait in `staging/`,
and the same command goes on from there. Two drivers on one dataset do not harm
each other: they find each other's gaits and commits, and only one commit of a
shard can stand; where the store cannot keep them apart, the second is refused
(`farm.dataset.claim`).
"""

from __future__ import annotations

import contextlib
import io
import logging
import os
import shutil
import signal
import socket
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

import ray
from rich.console import Console

from farm.config import Campaign
from farm.control.archive import archive_sha256
from farm.dataset.catalogue import compact
from farm.dataset.claim import writing
from farm.dataset.create import open_or_create
from farm.dataset.manifest import committed_shards
from farm.errors import UserError
from farm.planning import plan_of, progress
from farm.storage import Storage, open_storage
from workers.actors import Crew
from workers.ledger import Ledger
from workers.messages import WorkOrder
from workers.outage import Outage
from workers.progress import RunProgress
from workers.run import Deadlines, Run
from workers.simulate.identity import model_sha256, twin_sha256
from workers.staging import survey, sweep
from workers.stop import stop_requests
from workers.summary import RunSummary

STAGES = "workers.stages:stages"
"""The real stages. Tests pass others, which crash and hang on purpose."""

MEMORY_BYTES = 1_200_000_000
"""What Ray sets aside for a worker. Measured on the demo campaign (10 s, three views of 256x256 pictures):
270 MB after simulating, at most 784 MB while filming and packing, and no growth from gait to gait."""

RSS_LIMIT_BYTES = 2 * MEMORY_BYTES
"""A worker that has grown to twice its share leaks: it is replaced between two samples."""

START_LIMIT_S = 300.0
"""On our own machine a worker that has not started by then never will. A cluster may be adding machines: no limit."""

OBJECT_STORE_BYTES = 100_000_000
"""Only small records pass through Ray's object store: gaits go to storage from the worker that made them."""

SHORT_TEMP_CHARACTERS = 24
"""Ray's sockets lie some 70 characters below its temp folder, and a socket's path may have 107 (`man 7 unix`)."""

KNOCK_S = 10.0
"""How long a cluster's address may take to accept a connection."""

RAY_SETTINGS = {
    "RAY_USAGE_STATS_ENABLED": "0",  # no report to Ray's makers from other people's machines
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # else Ray hides all GPUs from a worker with none, and warns about it
}


@dataclass(frozen=True)
class Cluster:
    """The Ray that we run on.

    Attributes:
        workers: How many samples are made at once.
        memory_bytes: What each worker is given.
        gpus: GPUs of this machine; 0 on a cluster, whose GPU machines belong to training unless asked for.
        here: Ray was started by us, for this run.
        log_dir: Where workers write what they print, on their own machines.
    """

    workers: int
    memory_bytes: int
    gpus: float
    here: bool
    log_dir: str


def generate(
    campaign: Campaign,
    uri: str,
    *,
    endpoint_url: str | None = None,
    address: str | None = None,
    workers: int | None = None,
    console: Console,
    gpus_per_worker: float | None = None,
    labels: Mapping[str, str] | None = None,
    stages: str = STAGES,
    deadlines: Deadlines | None = None,
) -> RunSummary:
    """Make what is missing of a campaign's dataset.

    Args:
        campaign: What to make.
        uri: Where the dataset is, or will be.
        endpoint_url: S3-compatible service other than AWS.
        address: Ray cluster, as `ray.init` takes it ("auto", "ray://head:10001"); None starts Ray here.
        workers: How many at once; None takes one for each core of this machine, or of the cluster as it is.
        console: Where progress is shown; stderr where stdout carries JSON.
        gpus_per_worker: Share of a GPU that each worker reserves for rendering; None shares out what this
            machine has, and takes none of a cluster's.
        labels: Ray node labels that workers' machines must have, such as {"role": "sim"}.
        stages: Import path of the factory of the simulation and filming stages.
        deadlines: None computes them from the campaign.

    Returns:
        What was done. `interrupted` is set where SIGINT or SIGTERM ended it.

    Raises:
        UserError: What the caller can mend: storage, another campaign in the same place, no worker can start.
    """
    storage = open_storage(uri, endpoint_url=endpoint_url)

    def say(message: str) -> None:
        console.print(message, style="yellow", markup=False, highlight=False)

    with writing(storage, storage.probe(), say=say) as ours:
        return _generate(
            campaign,
            ours,
            address=address,
            workers=workers,
            console=console,
            gpus_per_worker=gpus_per_worker,
            labels=labels,
            stages=stages,
            deadlines=deadlines,
        )


def _generate(
    campaign: Campaign,
    storage: Storage,
    *,
    address: str | None,
    workers: int | None,
    console: Console,
    gpus_per_worker: float | None,
    labels: Mapping[str, str] | None,
    stages: str,
    deadlines: Deadlines | None,
) -> RunSummary:
    """`generate`, in a storage that we may write."""
    sources = {"archive_sha256": archive_sha256(campaign.body_model), "model_sha256": model_sha256()}
    if campaign.engine == "twin":
        sources["twin_sha256"] = twin_sha256()
    manifest = open_or_create(storage, campaign, sources=sources)
    state = progress(plan_of(campaign), committed_shards(storage))
    ledger = Ledger(state.left(), lambda plan: survey(storage, plan))
    show = RunProgress(console, samples=campaign.samples, done=state.samples_done)
    run = Run(ledger, deadlines or Deadlines.of(campaign), show)
    size, replaced, peak_rss_bytes, wall_s, log_dir = 0, 0, 0, 0.0, None
    if state.shards_left:
        with _ray(address, workers) as cluster, stop_requests() as stop, show:
            start_s = time.monotonic()
            size = min(cluster.workers, state.samples_left)
            order = WorkOrder(
                campaign, manifest.dataset_id, storage, stages, cluster.log_dir, gpu_required=bool(gpus_per_worker)
            )
            crew = Crew(
                order,
                size,
                memory_bytes=cluster.memory_bytes,
                rss_limit_bytes=RSS_LIMIT_BYTES,
                gpus=gpus_per_worker if gpus_per_worker is not None else min(1.0, cluster.gpus / size),
                labels=labels,
                start_limit_s=START_LIMIT_S if cluster.here else None,
            )
            try:
                run.go(crew, stop)
            finally:
                crew.close()
            wall_s, log_dir = time.monotonic() - start_s, cluster.log_dir
            replaced, peak_rss_bytes = crew.replaced, crew.peak_rss_bytes
        if not run.lost_attempts:  # then nobody will want to read them
            if cluster.here:
                shutil.rmtree(cluster.log_dir, ignore_errors=True)
            log_dir = None
    outage = Outage(limit_s=0.0) if run.interrupted else run.outage
    committed = outage.ride_out(lambda: committed_shards(storage), show.say)
    outage.ride_out(lambda: sweep(storage, committed), show.say)
    outage.ride_out(lambda: compact(storage), show.say)
    return RunSummary(
        uri=storage.uri,
        dataset_id=manifest.dataset_id,
        campaign=campaign.name,
        samples=campaign.samples,
        shards=len(state.plan),
        shards_before=len(state.committed),
        shards_committed=len(committed),
        accepted=run.accepted,
        rejected=run.rejected,
        workers=size,
        wall_s=wall_s,
        bytes_written=run.bytes_written,
        reasons=dict(run.reasons),
        quarantined=dict(run.quarantined),
        failed_shards={name: why for name, why in ledger.failed_shards.items() if name not in committed},
        staged_before=ledger.found_staged,
        lost_attempts=dict(run.lost_attempts),
        workers_replaced=replaced,
        peak_rss_bytes=peak_rss_bytes,
        stage_seconds={name: round(s, 3) for name, s in show.stage_seconds.items()},
        interrupted=run.interrupted,
        log_dir=log_dir,
    )


def node_labels(options: Sequence[str]) -> dict[str, str]:
    """Ray node labels from `LABEL=VALUE` texts.

    Raises:
        UserError: A text that is not of this form.
    """
    labels: dict[str, str] = {}
    for option in options:
        name, equals, value = option.partition("=")
        if not (name and equals and value):
            raise UserError(f"--on {option!r} is not LABEL=VALUE; write for instance --on role=sim")
        labels[name] = value
    return labels


@contextlib.contextmanager
def _ray(address: str | None, workers: int | None) -> Iterator[Cluster]:
    """Ray for one run: the one that this process is connected to already, a cluster, or one of our own."""
    log_dir = str(Path(tempfile.gettempdir()) / f"gaitfarm-logs-{uuid.uuid4().hex[:8]}")
    if ray.is_initialized():
        with _quiet_ray():
            yield _cluster(workers, here=False, log_dir=log_dir)
        return
    connection = started_ray(workers) if address is None else _joined_ray(address)
    # The quiet outlasts the connection: what Ray held back as a repetition it prints as it shuts down.
    with _quiet_ray(), connection:
        yield _cluster(workers, here=address is None, log_dir=log_dir)


@contextlib.contextmanager
def started_ray(workers: int | None) -> Iterator[None]:
    """A Ray of our own on this machine: its own ports and temp folder, nothing printed, gone afterwards.

    Args:
        workers: CPUs that it may give out; None takes those of this machine.
    """
    with _environment(RAY_SETTINGS), _temporary_folder() as temp, _our_sigterm(), _shut_down():
        hint = "`gaitfarm doctor` tries it alone; on a machine with much other work its daemons start too slowly"
        with _named_errors(f"Ray does not start here ({hint})"):
            ray.init(
                address="local",
                num_cpus=workers,
                include_dashboard=False,
                object_store_memory=OBJECT_STORE_BYTES,
                log_to_driver=False,
                logging_level=logging.ERROR,
                _temp_dir=temp,
            )
        yield


@contextlib.contextmanager
def _joined_ray(address: str) -> Iterator[None]:
    """A connection to a cluster that others started."""
    _knock(address)
    with _our_sigterm(), _shut_down():
        hint = "where it asks for a token, set RAY_AUTH_MODE=token and RAY_AUTH_TOKEN_PATH here too"
        with _named_errors(f"the Ray cluster at {address!r} cannot be joined ({hint})"):
            ray.init(address, log_to_driver=False, logging_level=logging.ERROR, namespace="gaitfarm")
        yield


def _knock(address: str) -> None:
    """Find out within seconds that nobody is there: Ray tries for minutes, and says so in C++.

    Raises:
        UserError: Nothing listens at the address.
    """
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if not (colon and port.isdigit()):
        return  # "auto", or a name that Ray resolves
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=KNOCK_S).close()
    except OSError as error:
        raise UserError(
            f"nothing answers at --address {address!r} ({error}): is the cluster up, and is its port open to this "
            "machine? ray://HEAD:10001 from outside, HEAD:6379 or auto on the cluster"
        ) from None


@contextlib.contextmanager
def _shut_down() -> Iterator[None]:
    try:
        yield
    finally:
        ray.shutdown()


@contextlib.contextmanager
def _named_errors(what: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # Ray raises bare `Exception` where its daemons do not come up in time
        line = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
        raise UserError(f"{what}: {line}") from None


@contextlib.contextmanager
def _our_sigterm() -> Iterator[None]:
    """Put SIGTERM's handler back: `ray.init` replaces it and leaves its own."""
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, before)


def _cluster(workers: int | None, *, here: bool, log_dir: str) -> Cluster:
    """How many workers fit on the Ray that we are connected to."""
    has = ray.cluster_resources()  # type: ignore[no-untyped-call]
    cpus, memory_bytes = int(has.get("CPU", 0)), int(has.get("memory", 0))
    if not here:
        if workers is None and cpus == 0:
            raise UserError(
                "the cluster has no CPUs yet; say how many workers to ask its autoscaler for, with --workers"
            )
        return Cluster(workers or cpus, MEMORY_BYTES, 0.0, here, log_dir)
    wanted = workers or cpus
    fit = max(1, memory_bytes // MEMORY_BYTES)
    if workers is not None and fit < workers:
        raise UserError(
            f"{workers} workers need {workers * MEMORY_BYTES / 1e9:.1f} GB of memory, and Ray has "
            f"{memory_bytes / 1e9:.1f} GB to give here; ask for --workers {fit}"
        )
    return Cluster(min(wanted, fit), min(MEMORY_BYTES, memory_bytes), float(has.get("GPU", 0)), here, log_dir)


@contextlib.contextmanager
def _temporary_folder() -> Iterator[str]:
    base = tempfile.gettempdir()
    folder = tempfile.mkdtemp(prefix="gaitfarm-", dir=base if len(base) <= SHORT_TEMP_CHARACTERS else "/tmp")  # noqa: S108
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def _environment(settings: dict[str, str]) -> Iterator[None]:
    """Set variables that are not set yet, for as long as Ray runs."""
    ours = [name for name in settings if name not in os.environ]
    os.environ.update({name: settings[name] for name in ours})
    try:
        yield
    finally:
        for name in ours:
            os.environ.pop(name, None)


class _WithoutRay(io.TextIOBase):
    """A stream that passes on everything but what raylets report: by Ray's listening thread, or late by ours."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._dropped = False

    def write(self, text: str) -> int:
        if threading.current_thread().name == "ray_listen_error_messages":
            return len(text)
        ends_dropped_line = self._dropped and text == "\n"  # `print` writes a line's end on its own
        self._dropped = "(raylet)" in text
        if self._dropped or ends_dropped_line:
            return len(text)
        return self._stream.write(text)

    def flush(self) -> None:
        self._stream.flush()

    def isatty(self) -> bool:
        return self._stream.isatty()

    def fileno(self) -> int:
        return self._stream.fileno()

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return self._stream.encoding


@contextlib.contextmanager
def _quiet_ray() -> Iterator[None]:
    """Keep a dead worker's obituary off stdout, where `--json` goes.

    Ray 2.60 prints what raylets report on stdout whatever `log_to_driver` says
    (`listen_error_messages` in ray/_private/worker.py). We report it ourselves.
    """
    with contextlib.redirect_stdout(_WithoutRay(sys.stdout)):
        yield
