"""A driver notices that a daemon of its own Ray has died, and nobody else's."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from farm.errors import UserError
from workers.daemons import Daemons, start_limit


def _daemon(name: str) -> subprocess.Popen[bytes]:
    """A child that is called as Ray calls its own, and has been so for as long as anybody could look."""
    child = subprocess.Popen(["bash", "-c", f"exec -a {name} sleep 600"])
    while f"{name}\0".encode() not in Path(f"/proc/{child.pid}/cmdline").read_bytes():
        assert child.poll() is None
    return child


@pytest.fixture
def children() -> Iterator[list[subprocess.Popen[bytes]]]:
    made = [_daemon("/opt/ray/raylet/raylet"), _daemon("/opt/ray/gcs/gcs_server"), _daemon("/bin/another")]
    yield made
    for child in made:
        child.kill()
        child.wait()


@pytest.mark.parametrize(("place", "name"), [(0, "Ray's raylet has died"), (1, r"Ray's control store .* has died")])
@pytest.mark.parametrize("waited_for", [False, True])
def test_a_dead_daemon_is_named(
    children: list[subprocess.Popen[bytes]], place: int, name: str, waited_for: bool
) -> None:
    daemons = Daemons()
    daemons.check()
    children[place].kill()
    if waited_for:
        children[place].wait()
    else:  # the kernel takes a moment over it; then it is a zombie
        os.waitid(os.P_PID, children[place].pid, os.WEXITED | os.WNOWAIT)
    with pytest.raises(UserError, match=name + ".*What was made is kept"):
        daemons.check()


def test_other_children_may_die(children: list[subprocess.Popen[bytes]]) -> None:
    daemons = Daemons()
    children[2].kill()
    children[2].wait()
    daemons.check()


def test_daemons_that_do_not_answer_are_ended_with_words(
    children: list[subprocess.Popen[bytes]], capsys: pytest.CaptureFixture[str]
) -> None:
    with start_limit(0.05):
        assert children[0].wait(60) == children[1].wait(60) == -signal.SIGKILL
    assert children[2].poll() is None
    assert "error: Ray's daemons have not answered within 0 s" in capsys.readouterr().err


def test_daemons_that_answer_in_time_are_left_alone(children: list[subprocess.Popen[bytes]]) -> None:
    with start_limit(0.5):
        pass
    time.sleep(1.0)
    Daemons().check()
    assert [child.poll() for child in children] == [None] * 3
