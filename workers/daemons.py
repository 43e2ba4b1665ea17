"""Are the daemons of our own Ray still there?

A driver whose raylet was killed (by the kernel, for want of memory, most often)
waits for ever: Ray 2.60 takes 13 s to call the node dead, and no worker can be
started in another's place from then on. One whose control store was killed is ended by
Ray after a minute, from C++, without a word of ours. So we look at the processes.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

from farm.errors import UserError

DAEMONS = {b"/raylet/raylet": "raylet", b"/gcs/gcs_server": "control store (gcs_server)"}
"""How Ray's daemons are called, by a part of their command."""


class Daemons:
    """The daemons that this process started; none where it joined a cluster of others."""

    def __init__(self) -> None:
        self._names = {}
        for stat in Path("/proc").glob("[0-9]*/stat"):
            try:
                parent = int(stat.read_text("utf-8", "replace").rpartition(")")[2].split()[1])
                command = (stat.parent / "cmdline").read_bytes() if parent == os.getpid() else b""
            except OSError:
                continue  # it has just ended
            for part, name in DAEMONS.items():
                if part in command.partition(b"\0")[0]:
                    self._names[int(stat.parent.name)] = name

    def dead(self) -> list[str]:
        """The names of those that have died."""
        return [name for pid, name in self._names.items() if not _alive(pid)]

    def check(self) -> None:
        """See that they are alive.

        Raises:
            UserError: One has died.
        """
        for name in self.dead():
            raise UserError(
                f"Ray's {name} has died on this machine: killed from outside, or by the kernel for want of memory. "
                "What was made is kept: run the same command again, with fewer --workers if memory was short"
            )

    def kill(self) -> None:
        """End them at once."""
        for pid in self._names:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


@contextlib.contextmanager
def start_limit(limit_s: float) -> Iterator[None]:
    """Let Ray start within `limit_s`, or end it.

    Seen on a machine with a load of 160: the raylet came up and never answered
    its driver, which waits for it in C++ and without end. Ray then ends our process
    from there as well, so the words come from here.
    """

    def give_up() -> None:
        sys.stderr.write(
            f"error: Ray's daemons have not answered within {limit_s:.0f} s, and are killed; the machine has too much "
            "other work, or `gaitfarm doctor` says what else. Nothing was made: run the same command again\n"
        )
        sys.stderr.flush()
        Daemons().kill()

    timer = threading.Timer(limit_s, give_up)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _alive(pid: int) -> bool:
    """Whether a child of ours runs: one that nobody has waited for is a zombie, and dead."""
    try:
        return Path(f"/proc/{pid}/stat").read_text("utf-8", "replace").rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False
