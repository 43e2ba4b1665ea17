"""The Ray that a run stands on: one of our own on this machine, a cluster that others started, or one that is there.

Ray prints, takes signals and leaves folders behind as it likes; all of that is kept
in here, so that `gaitfarm generate --json` writes JSON and nothing else.
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
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

import ray

from farm.errors import UserError
from workers.actors import THREADS
from workers.daemons import start_limit

MEMORY_BYTES = 1_200_000_000
"""What Ray sets aside for a worker. Measured on the demo campaign (10 s, three views of 256x256 pictures):
270 MB after simulating, at most 784 MB while filming and packing, and no growth from gait to gait."""

OBJECT_STORE_BYTES = 100_000_000
"""Only small records pass through Ray's object store: gaits go to storage from the worker that made them."""

SHORT_TEMP_CHARACTERS = 24
"""Ray's sockets lie some 70 characters below its temp folder, and a socket's path may have 107 (`man 7 unix`)."""

START_LIMIT_S = 300.0
"""Within which a Ray of our own must have started; it takes 2 to 5 s, and a minute on a machine far too busy."""

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


@contextlib.contextmanager
def ray_session(address: str | None, workers: int | None) -> Iterator[Cluster]:
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
    unset = {name: value for name, value in RAY_SETTINGS.items() if name not in os.environ}
    with _environment(unset | THREADS), _temporary_folder() as temp, _shut_down():
        hint = "`gaitfarm doctor` tries it alone; on a machine with much other work its daemons start too slowly"
        with _named_errors(f"Ray does not start here ({hint})"), start_limit(START_LIMIT_S), _our_sigterm():
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
    with _shut_down():
        hint = "where it asks for a token, set RAY_AUTH_MODE=token and RAY_AUTH_TOKEN_PATH here too"
        with _named_errors(f"the Ray cluster at {address!r} cannot be joined ({hint})"), _our_sigterm():
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
    except (OSError, UnicodeError) as error:  # the latter for what cannot be a host's name, such as a..b
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
    """Put SIGTERM's handler back as soon as Ray has started: `ray.init` replaces it by one that exits at once.

    At once, and not when Ray has ended: a SIGTERM that falls into Ray's shutdown must not break it off.
    """
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
def _environment(settings: Mapping[str, str]) -> Iterator[None]:
    """Set variables for as long as Ray runs, whose processes inherit them."""
    before = {name: os.environ.get(name) for name in settings}
    os.environ.update(settings)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


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
