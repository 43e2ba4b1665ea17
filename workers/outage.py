"""Riding out storage that fails for a while: how long to wait, whom to let try, and when to give up.

A store that throttles, restarts or is cut off fails every worker at once, so
counting failures says nothing: with a hundred workers five are reached within a
second. What counts is time. While storage fails and nobody gets through, work is
handed out to one worker after a pause that doubles, and only a store that has
not answered anybody for `LIMIT_S` ends the run. Failures that no waiting mends
(credentials, a full disk) are told apart and end it soon.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from farm.errors import StorageError, StorageUnavailableError

LIMIT_S = 900.0
"""How long storage may fail everybody before a run ends: longer than a store's restart or a network's hiccup,
shorter than what machines that wait may cost unnoticed."""

FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 60.0
"""Pauses between two tries, each after the storage's own retries; doubled from the first to the longest."""

LASTING_FAILURES_ALLOWED = 5
"""Failures in a row that waiting does not mend: a few may be one worker's or one machine's."""

T = TypeVar("T")


class Outage:
    """What is known of storage's state, from the successes and failures of everybody who uses it.

    Args:
        limit_s: How long it may fail.
        clock: Seconds; another one in tests.
    """

    def __init__(self, *, limit_s: float = LIMIT_S, clock: Callable[[], float] = time.monotonic) -> None:
        self._limit_s = limit_s
        self._clock = clock
        self._lasting = 0
        self._since_s: float | None = None
        self._until_s = 0.0
        self._pause_s = 0.0

    @property
    def over(self) -> bool:
        """Storage answers, as far as is known."""
        return self._since_s is None

    def worked(self) -> float | None:
        """Somebody got through. Returns how long the outage lasted if there was one, else None."""
        self._lasting, self._pause_s = 0, 0.0
        since_s, self._since_s = self._since_s, None
        return None if since_s is None else self._clock() - since_s

    def failed(self, message: str, *, lasting: bool = False) -> float | None:
        """Somebody did not. Returns the pause in seconds if a new one begins, None while one lasts.

        Raises:
            StorageError: It is no use to go on; with `message`, and why we stop.
        """
        now = self._clock()
        if lasting:
            self._lasting += 1
            if self._lasting >= LASTING_FAILURES_ALLOWED:
                raise StorageError(message)
            return None
        if self._since_s is None:
            self._since_s = now
        if now - self._since_s >= self._limit_s:
            raise StorageUnavailableError(
                f"{message}; it has been so for {(now - self._since_s) / 60:.0f} minutes. What was made is kept: "
                "run the same command again when the storage is back"
            )
        if now < self._until_s:
            return None
        self._pause_s = min(LONGEST_PAUSE_S, 2 * self._pause_s if self._pause_s else FIRST_PAUSE_S)
        self._until_s = now + self._pause_s
        return self._pause_s

    def lets_try(self, at_work: int) -> bool:
        """Whether one more worker may be given something to do that needs storage, with `at_work` at it already."""
        return self.over or (self._clock() >= self._until_s and at_work == 0)

    def ride_out(
        self, call: Callable[[], T], say: Callable[[str], None], *, sleep: Callable[[float], None] = time.sleep
    ) -> T:
        """What `call` returns, tried until storage answers.

        Raises:
            StorageError: It fails for good, or for too long.
        """
        while True:
            try:
                result = call()
            except StorageUnavailableError as error:
                pause_s = self.failed(str(error))
                if pause_s is not None:
                    say(told(str(error), pause_s))
                sleep(max(0.0, self._until_s - self._clock()))
            else:
                self.worked()
                return result


def told(message: str, pause_s: float) -> str:
    """A failure and what we do about it, in one line."""
    return f"{message}; nothing is lost, and it is asked again in {pause_s:.0f} s"
