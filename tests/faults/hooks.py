"""Faults of the machine under a folder: in chosen file system calls of the real storage code, in real processes.

The calls are `farm.storage.file`'s own way to the disk: link, replace, fsync,
unlink and open. A fault fails a call before it is done, fails it after it was
done (a network file system whose answer was lost), or kills the process on either
side of it. Only paths of the order's dataset are touched.
"""

from __future__ import annotations

import contextlib
import errno
import io
import os
import signal
from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np

from tests.faults.orders import Order
from tests.faults.strikes import note

READ_TIMEOUT_S = 4.0
"""Instead of a minute: many answers are lost on purpose, and each is waited for."""

MULTIPART_FROM_BYTES = 40_000
"""Instead of 64 MB, so that some objects of these tiny shards are stored in parts."""

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.2, 2.0
"""Of riding out an outage; the real ones are for stores that need a while."""

DRIVERS_SHARE = 0.2
"""Of the workers' rates, for a driver: most of its calls are made at its start, where a fault just ends it with words,
and then nothing else would strike in that run."""

SYSCALL_FAULTS = ("EIO", "ESTALE", "ENOSPC", "EIO after", "SIGKILL before", "SIGKILL after")


def prepare_process(order: Order, role: str) -> None:
    """Make this process one that its order's faults strike, with patience for a test and not for a cluster."""
    import workers.outage

    workers.outage.FIRST_PAUSE_S, workers.outage.LONGEST_PAUSE_S = FIRST_PAUSE_S, LONGEST_PAUSE_S
    if order.uri.startswith("s3://"):
        import farm.storage.s3 as s3

        _set(s3, "READ_TIMEOUT_S", READ_TIMEOUT_S)
        _set(s3, "MULTIPART_FROM_BYTES", MULTIPART_FROM_BYTES)
        if order.skew_s:
            _skew_signatures(order.skew_s)
    elif order.syscall_rates:
        number = _process_number(Path(order.folder))
        rng = np.random.default_rng([order.seed, number])
        share = DRIVERS_SHARE if role == "driver" else 1.0
        rates = {kind: share * rate for kind, rate in order.syscall_rates.items()}
        _Syscalls(Path(order.uri), rates, role, rng).install()


def _set(module: Any, name: str, value: float) -> None:
    """Change a constant that must be there: a renamed one would make the suite test something else in silence."""
    getattr(module, name)
    setattr(module, name, value)


def _skew_signatures(skew_s: float) -> None:
    """Sign requests with a clock that is wrong. What the store compares is the signature's time alone."""
    from botocore import auth

    name = "get_current_datetime"
    real = getattr(auth, name)
    setattr(auth, name, lambda *args, **kwargs: real(*args, **kwargs) + timedelta(seconds=skew_s))


def _process_number(folder: Path) -> int:
    """A number that no other process of this round has, so that each has its own sequence of faults."""
    for number in range(10_000):
        with contextlib.suppress(FileExistsError):
            (folder / f"process-{number}").touch(exist_ok=False)
            return number
    raise RuntimeError(f"{folder} numbers 10,000 processes already")


class _Syscalls:
    """The faults of one process."""

    def __init__(self, root: Path, rates: Mapping[str, float], role: str, rng: np.random.Generator) -> None:
        self._root = f"{root}{os.sep}"
        self._kinds = [kind for kind in SYSCALL_FAULTS if rates.get(kind)]
        self._edges = np.cumsum([rates[kind] for kind in self._kinds])
        self._role = role
        self._rng = rng

    def install(self) -> None:
        for name in ("link", "replace", "unlink", "fsync"):
            setattr(os, name, self._faulty(name, getattr(os, name)))
        io.open = self._faulty("open", io.open)  # what Path.open calls

    def _faulty(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(target: Any, *arguments: Any, **options: Any) -> Any:
            kind = self._draw(target)
            if kind is None:
                return real(target, *arguments, **options)
            if kind == "EIO after":
                result = real(target, *arguments, **options)
                if name == "open":
                    result.close()
                self._note(kind, name)
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            if kind == "SIGKILL after":
                real(target, *arguments, **options)
            self._note(kind, name)
            if kind.startswith("SIGKILL"):
                os.kill(os.getpid(), signal.SIGKILL)
            number = getattr(errno, kind)
            raise OSError(number, os.strerror(number))

        return call

    def _draw(self, target: Any) -> str | None:
        path = Path(f"/proc/self/fd/{target}").readlink() if isinstance(target, int) else os.fspath(target)
        if not str(path).startswith(self._root):
            return None
        place = int(np.searchsorted(self._edges, self._rng.random(), side="right"))
        return self._kinds[place] if place < len(self._kinds) else None

    def _note(self, kind: str, name: str) -> None:
        words = {"EIO after": f"{name} done, then EIO"}.get(kind, f"{kind} {name}")
        note(f"disk: {words}", self._role)
