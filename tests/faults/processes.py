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


def end_session(session: int) -> None:
    """Kill whatever a driver left behind, and wait until it is gone."""
    deadline = time.monotonic() + GONE_TIMEOUT_S
    while (left := of_session(session)) and time.monotonic() < deadline:
        kill(left)
        time.sleep(0.05)
