"""SIGINT and SIGTERM as requests that the driver looks at between two steps."""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from types import FrameType

TERMINATE_GRACE_S = 20.0
"""After SIGTERM, how long samples in flight may go on: spot machines and container runtimes kill after 30 s or more."""


@dataclass
class StopRequests:
    """What the signals asked for so far. The first lets samples in flight finish, the second does not."""

    count: int = 0
    deadline_s: float = float("inf")

    @property
    def asked(self) -> bool:
        return self.count > 0

    @property
    def at_once(self) -> bool:
        return self.count >= 2 or time.monotonic() >= self.deadline_s


@contextlib.contextmanager
def stop_requests() -> Iterator[StopRequests]:
    """Count SIGINT and SIGTERM instead of dying of them; the third one raises KeyboardInterrupt.

    Outside the main thread signals cannot be caught: nothing is counted there.
    """
    requests = StopRequests()
    if threading.current_thread() is not threading.main_thread():
        yield requests
        return

    def note(number: int, _frame: FrameType | None) -> None:
        requests.count += 1
        if number == signal.SIGTERM:
            requests.deadline_s = min(requests.deadline_s, time.monotonic() + TERMINATE_GRACE_S)
        if requests.count >= 3:
            raise KeyboardInterrupt

    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield requests
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
