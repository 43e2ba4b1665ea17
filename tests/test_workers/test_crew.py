"""What the crew does about a worker that is lost, by where it was. Its life with real workers is in test_generate."""

from __future__ import annotations

import os
import socket

import pytest
from ray.exceptions import RayActorError

from farm.errors import MissingDependencyError
from workers import actors
from workers.actors import Crew, _choose_graphics_device, _Hand
from workers.eventlog import EventLog
from workers.ledger import MakeSample
from workers.messages import Card
from workers.meters import Meters
from workers.render.context import gl_context

HERE = socket.gethostname()


@pytest.mark.parametrize(
    ("host", "gone", "asked", "cause"),
    [
        ("gone.example.org", True, False, "machine lost"),
        ("there.example.org", False, True, "crashed"),
        (HERE, True, True, "machine lost"),  # several nodes on one machine: its processes can still be ended
        (HERE, False, True, "crashed"),
    ],
)
def test_a_machine_that_is_gone_is_not_asked_for_last_words(
    monkeypatch: pytest.MonkeyPatch, host: str, gone: bool, asked: bool, cause: str
) -> None:
    buried: list[_Hand] = []

    def bury(_: Crew, hand: _Hand) -> str:
        buried.append(hand)
        return "last words"

    monkeypatch.setattr(actors, "machine_lost", lambda *_: gone)
    monkeypatch.setattr(Crew, "_bury", bury)
    monkeypatch.setattr(Crew, "_replace", lambda *_: None)
    crew = Crew.__new__(Crew)  # without workers
    crew._events, crew._meters = EventLog(None), Meters("mine")
    job = MakeSample("00000000", 3, 1)
    hand = _Hand(1, None, 0.0, card=Card(1, host, "node", "log", 1, {}), job=job)
    lost = crew._lost(hand, RayActorError())
    assert lost is not None
    assert (lost.job, lost.cause, bool(buried)) == (job, cause, asked)
    assert lost.log_tail == ("last words" if asked else "")


@pytest.mark.skipif(not gl_context().software, reason="this machine has a GPU that draws")
def test_a_worker_that_was_to_draw_on_a_gpu_refuses_the_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(actors.ray, "get_gpu_ids", lambda: [0])
    monkeypatch.setenv("EGL_DEVICE_ID", "0")
    with pytest.raises(MissingDependencyError, match=r"EGL offers only 'llvmpipe.*or leave out --gpus-per-worker"):
        _choose_graphics_device(3, required=True)
    assert "EGL_DEVICE_ID" not in os.environ  # Ray's choice is not overruled by what whoever started Ray had set
    _choose_graphics_device(3, required=False)
