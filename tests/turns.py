"""Tests that run side by side (`pytest -n`), and those that are `alone`: nothing runs beside them.

Two locks of the operating system keep it so. In the room are either any number of
tests or one file that is alone. The door is held by who waits to be alone, so that
those who come and go cannot keep it waiting for ever. A process that dies has left
both.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Sequence
from pathlib import Path

import pytest

DOOR, ROOM = Path(__file__), Path(__file__).with_name("conftest.py")
"""Any two files that all processes of a test run see will do."""

ALONE, SLOW = "alone", "slow"


class Turns:
    """A plugin of each process that runs tests beside others."""

    def __init__(self) -> None:
        self._door = os.open(DOOR, os.O_RDONLY)
        self._room = os.open(ROOM, os.O_RDONLY)
        self._inside = False

    @pytest.hookimpl(wrapper=True, tryfirst=True)  # outside of all else: what waits is not held against a time limit
    def pytest_runtest_protocol(self, item: pytest.Item, nextitem: pytest.Item | None) -> object:
        alone = is_alone(item)
        if not self._inside:
            self._enter(alone=alone)
        try:
            return (yield)
        finally:
            # Between the tests of one file that is alone its fixtures are up: it stays until its last one is done.
            if not (alone and nextitem is not None and nextitem.path == item.path):
                self._leave()

    def pytest_unconfigure(self) -> None:
        os.close(self._door)
        os.close(self._room)

    def _enter(self, *, alone: bool) -> None:
        fcntl.flock(self._door, fcntl.LOCK_EX)
        try:
            fcntl.flock(self._room, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        finally:
            fcntl.flock(self._door, fcntl.LOCK_UN)
        self._inside = True

    def _leave(self) -> None:
        fcntl.flock(self._room, fcntl.LOCK_UN)
        self._inside = False


def is_alone(item: pytest.Item) -> bool:
    """Whether nothing may run beside this test; files say it for all that is in them."""
    return item.get_closest_marker(ALONE) is not None


def in_order(items: Sequence[pytest.Item]) -> list[pytest.Item]:
    """Whole files: those alone first, while all start; then those with slow tests, so that the end is even."""
    ranks: dict[Path, int] = {}
    for item in items:
        rank = 0 if is_alone(item) else 1 if item.get_closest_marker(SLOW) else 2
        ranks[item.path] = min(rank, ranks.get(item.path, rank))
    return sorted(items, key=lambda item: ranks[item.path])
