"""The spot watch against a metadata service over real HTTP, and a real Ray that really drains."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
import ray

from tests.cluster.imds import Imds, imds_server
from tests.cluster.local_cluster import wait_for
from workers.machines import draining_node_ids
from workers.ray_session import started_ray
from workers.spot_watch import _seconds_left, notice, own_address


@pytest.fixture
def imds() -> Iterator[Imds]:
    with imds_server() as server:
        yield server


def test_no_notice_until_there_is_one(imds: Imds) -> None:
    url = f"{imds.url}/me"
    assert notice(url) is None
    imds.interrupt("another", in_s=100)
    assert notice(url) is None
    imds.interrupt("me", in_s=100)
    left = notice(url)
    assert left is not None
    assert 60 < left <= 100
    assert [status for _, _, status in imds.asked] == [200, 404, 200, 404, 200, 200], "a token before each question"


def test_a_proxy_of_the_environment_is_not_asked(imds: Imds, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    assert notice(f"{imds.url}/me") is None


def test_a_service_that_does_not_answer_is_an_error() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))  # and does not listen
        with pytest.raises(OSError, match="refused"):
            notice(f"http://127.0.0.1:{free.getsockname()[1]}")


@pytest.mark.parametrize(
    ("text", "expected_s"),
    [
        ('{"action": "terminate", "time": "2026-11-25T08:02:00Z"}', 120.0),
        ('{"action": "stop", "time": "2026-11-25T07:59:00Z"}', -60.0),
        ('{"action": "terminate"}', 120.0),
        ('{"action": "terminate", "time": "soon"}', 120.0),
        ("[]", 120.0),
        ("terminate", 120.0),
    ],
)
def test_when_it_ends(text: str, expected_s: float) -> None:
    assert _seconds_left(text, datetime(2026, 11, 25, 8, 0, tzinfo=UTC)) == pytest.approx(expected_s)


def test_the_address_that_reaches_the_head() -> None:
    assert own_address("127.0.0.1:6379") == "127.0.0.1"


@ray.remote(num_cpus=1)
class Holder:
    """Stands for a worker: it holds its CPU, and is asked for one thing at a time."""

    def work(self, seconds: float) -> int:
        time.sleep(seconds)
        return os.getpid()


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_notice_drains_the_machine(imds: Imds) -> None:
    """From the notice on nothing new is placed there; what runs there ends in peace."""
    with started_ray(2):
        (node,) = ray.nodes()
        holder = Holder.remote()
        assert ray.get(holder.work.remote(0.0), timeout=240) > 0
        running = holder.work.remote(15.0)
        watch = subprocess.Popen(
            [
                sys.executable, "-m", "workers.spot_watch", "--every", "0.2", "--imds", f"{imds.url}/me",
                "--address", ray.get_runtime_context().gcs_address, "--node-ip", node["NodeManagerAddress"],
            ],
            stderr=subprocess.PIPE,
            text=True,
        )  # fmt: skip
        try:
            wait_for("the watch asks", lambda: any(status == 404 for _, _, status in imds.asked), limit_s=120)
            assert draining_node_ids() == frozenset()
            imds.interrupt("me", in_s=120)
            wait_for("Ray drains the machine", lambda: node["NodeID"] in draining_node_ids(), limit_s=120)
            assert watch.wait(60) == 0, "it has done its work"
            late = Holder.remote()
            placed, _ = ray.wait([late.work.remote(0.0)], timeout=4.0)
            assert placed == [], "a new worker waits for another machine, though a CPU is free"
            assert ray.get(running, timeout=120) > 0, "the gait in flight was finished"
        finally:
            watch.kill()
            _, said = watch.communicate()
        assert "draining" in said


@pytest.mark.slow
def test_a_watch_without_a_cluster_goes_on_asking(imds: Imds) -> None:
    """The head may be busy or away for a while: one failure is told, once, and the notice is passed on later."""
    imds.interrupt("me", in_s=(timedelta(minutes=2)).total_seconds())
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        watch = subprocess.Popen(
            [
                sys.executable, "-m", "workers.spot_watch", "--every", "0.2", "--imds", f"{imds.url}/me",
                "--address", f"127.0.0.1:{nobody.getsockname()[1]}", "--node-ip", "127.0.0.1",
            ],
            stderr=subprocess.PIPE,
            text=True,
        )  # fmt: skip
        try:
            wait_for(
                "it asks again", lambda: sum("instance-action" in path for _, path, _ in imds.asked) >= 2, limit_s=200
            )
            assert watch.poll() is None
        finally:
            watch.kill()
            watch.communicate()
