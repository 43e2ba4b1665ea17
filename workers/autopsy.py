"""What a lost worker's log says of its end. Runs on the worker's machine, or on what was read there."""

from __future__ import annotations

import contextlib
import os
import re
import signal
from pathlib import Path

LOG_TAIL_BYTES = 16_000
"""Enough for one dump of all stacks, with the list of extension modules that Python appends."""

LINES_SHOWN = 12

CRASH, HANG = "Fatal Python error: ", "Timeout ("
"""How faulthandler begins what it writes at a crash, and at the deadline."""


def bury(pid: int, log_path: str) -> str:
    """Make sure that a lost worker is gone, and return the end of its log.

    A stopped process (SIGSTOP) outlives `ray.kill`, which asks the worker to end
    itself; it would keep its memory for ever.
    """
    with contextlib.suppress(OSError):
        # The number may have gone to another process since: only one of ours is killed.
        if b"GaitWorker" in Path(f"/proc/{pid}/cmdline").read_bytes():
            os.kill(pid, signal.SIGKILL)
    try:
        with Path(log_path).open("rb") as log:
            log.seek(max(0, log.seek(0, os.SEEK_END) - LOG_TAIL_BYTES))
            return log.read().decode("utf-8", "replace")
    except OSError:
        return ""


def cause_of_death(log_tail: str) -> str:
    """One line for a crashed worker: what faulthandler wrote, if it came to that."""
    _, fatal, after = log_tail.rpartition(CRASH)
    if not fatal:
        return "the process was killed (SIGKILL; out of memory?)"
    return f"{after.splitlines()[0].strip()}{_innermost_call(after)}"


def place_of_hang(log_tail: str) -> str:
    """Where a worker was when its deadline drew near, as " in function (file, line)"; empty if not known."""
    return _innermost_call(log_tail.rpartition(HANG)[2])


def hung_in_storage(log_tail: str) -> bool:
    """Whether a worker waited for storage when its deadline drew near: then its sample is not to blame.

    A shard's objects are stored by threads of their own, so every thread is looked at.
    """
    _, timeout, stacks = log_tail.rpartition(HANG)
    return bool(timeout) and re.search(r'File ".*farm/storage/[^"/]+", line', stacks) is not None


def telling_lines(log_tail: str) -> list[str]:
    """The lines that tell why a worker failed: the head of its last dump, or else the end of its log."""
    lines = [line for line in log_tail.splitlines() if line.strip() and not line.startswith("Extension modules:")]
    for number in reversed(range(len(lines))):
        if lines[number].startswith((CRASH, HANG)):
            return lines[number:][:LINES_SHOWN]
    return lines[-LINES_SHOWN:]


def _innermost_call(stacks: str) -> str:
    """The innermost call of the thread that was making a gait, from faulthandler's dump (innermost first)."""
    for thread in re.split(r"\n(?:Current thread|Thread) 0x", stacks):
        calls = re.findall(r'File "(.+)", line (\d+) in (\S+)', thread)
        if any(path.endswith("workers/staging.py") for path, _, _ in calls):
            path, line, function = calls[0]
            return f" in {function} ({Path(path).name}, line {line})"
    return ""
