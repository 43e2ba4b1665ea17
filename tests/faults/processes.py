"""Whom to kill: the processes of one driver, found by its session and by nothing else."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

ROLES: dict[str, Callable[[bytes], bool]] = {
    "worker": lambda command: b"ray::GaitWorker" in command,
    "raylet": lambda command: b"/raylet/raylet" in command,
    "gcs": lambda command: b"/gcs/gcs_server" in command,
}

GONE_TIMEOUT_S = 30.0


def of_session(session: int, role: str | None = None) -> list[int]:
    """Processes of a session that are alive: Ray's daemons and workers stay in the session of their driver."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text("utf-8", "replace").rpartition(")")[2].split()
            command = (stat.parent / "cmdline").read_bytes()
        except OSError:
            continue
        if int(fields[3]) == session and fields[0] != "Z" and (role is None or ROLES[role](command)):
            found.append(int(stat.parent.name))
    return sorted(found)


def kill(pids: list[int], number: int = signal.SIGKILL) -> int:
    """Send a signal; how many were there to get it."""
    hit = 0
    for pid in pids:
        try:
            os.kill(pid, number)
            hit += 1
        except ProcessLookupError:
            continue
    return hit


def end_session(session: int, *, patience_s: float = 0.0) -> list[str]:
    """See that nothing is left of a driver's session.

    Args:
        patience_s: How long its processes may take to go by themselves; then they are killed.

    Returns:
        The commands that had to be killed.
    """
    deadline = time.monotonic() + patience_s
    while (left := of_session(session)) and time.monotonic() < deadline:
        time.sleep(0.05)
    commands = [_command(pid) for pid in left]
    deadline = time.monotonic() + GONE_TIMEOUT_S
    while (left := of_session(session)) and time.monotonic() < deadline:
        kill(left)
        time.sleep(0.05)
    return commands


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")[:120]
    except OSError:
        return "?"
