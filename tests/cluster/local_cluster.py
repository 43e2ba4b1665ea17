"""`deploy/local/cluster.yaml` as a test runs it: `ray up`, jobs and `ray down` by Ray's own command line.

What the file fixes and a test must have for itself (ports, folders, address range) is replaced; the rest is run as
it is shipped.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
SHIPPED = ROOT / "deploy" / "local" / "cluster.yaml"
sys.path.insert(0, str(SHIPPED.parent))

from local_nodes import kill_machine, processes_of  # noqa: E402  (as Ray imports it, from that folder)

PORTS = {"gcs": "26379", "client": "26001", "dashboard": "28265", "imds": "26080"}
"""The ports that stand in the file."""

RAY = str(Path(sys.executable).parent / "ray")


class LocalCluster:
    """A cluster of its own: ports, folders, HOME and token."""

    def __init__(self, folder: Path, *, subnet: str, imds_url: str, idle_minutes: float) -> None:
        self.folder = folder
        self.state = folder / "machines"
        self.home = folder / "home"
        self.home.mkdir(parents=True)
        self.ports = dict(zip(("gcs", "client", "dashboard"), _free_ports(3), strict=True))
        text = SHIPPED.read_text("utf-8")
        replaced = {PORTS[name]: str(port) for name, port in self.ports.items()}
        replaced |= {
            "/tmp/gaitfarm-local/ray": str(folder / "ray"),
            "/tmp/gaitfarm-local": str(self.state),
            "subnet: 127.0.77": f"subnet: {subnet}",
            "idle_timeout_minutes: 1\n": f"idle_timeout_minutes: {idle_minutes}\n",
            f"http://127.0.0.1:{PORTS['imds']}": imds_url,
        }
        for old, new in replaced.items():
            assert old in text, f"{old} is no longer in {SHIPPED.name}"
            text = text.replace(old, new)
        self.file = folder / "cluster.yaml"
        self.file.write_text(text, "utf-8")
        self.config: dict[str, Any] = yaml.safe_load(text)
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("RAY_", "AWS_"))},
            "HOME": str(self.home),
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "PYTHONPATH": str(SHIPPED.parent),
            "RAY_AUTH_MODE": "token",
            "RAY_USAGE_STATS_ENABLED": "0",
        }

    @property
    def dashboard(self) -> str:
        return f"http://127.0.0.1:{self.ports['dashboard']}"

    def ray(self, *arguments: str, limit_s: float = 240.0, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run `ray ...` to its end."""
        return subprocess.run(
            [RAY, *arguments],
            env={**self.environment, **environment},
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=limit_s,
            check=False,
        )

    def up(self) -> None:
        made = self.ray("get-auth-token", "--generate")
        assert made.returncode == 0, made.stderr
        started = self.ray("up", "-y", "--no-config-cache", str(self.file))
        assert started.returncode == 0, started.stdout[-4000:] + started.stderr[-4000:] + self.logs()

    def down(self) -> None:
        self.ray("down", "-y", str(self.file))

    def machines(self) -> dict[str, str]:
        """Name -> address of all machines but the head."""
        file = self.state / "machines.json"
        state = json.loads(file.read_text("utf-8")) if file.exists() else {}
        return {name: of["address"] for name, of in state.items() if of["tags"]["ray-node-type"] == "worker"}

    def pull_the_plug(self, machine: str) -> None:
        """SIGKILL for every process of a machine; nobody is told."""
        kill_machine(self.state, machine)

    def processes(self) -> list[int]:
        return processes_of(self.state)

    def destroy(self) -> None:
        """Whatever is left of it, however far it came."""
        file = self.state / "machines.json"
        for machine in json.loads(file.read_text("utf-8")) if file.exists() else {}:
            kill_machine(self.state, machine)

    def logs(self) -> str:
        """The end of what each machine's commands printed, and of the autoscaler's log: for a failed test's message."""
        files = [*self.state.glob("*/log"), *self.state.glob("*/spot-watch.log")]
        files += [*(self.folder / "ray").glob("session_2*/logs/monitor.*")]
        return "".join(f"\n--- {file}\n{file.read_text('utf-8', 'replace')[-3000:]}" for file in files)


def wait_for(what: str, found: Callable[[], Any], *, limit_s: float, tell: Callable[[], str] = str) -> Any:
    """Ask again and again until the answer is true; fail with what is known by then."""
    end_s = time.monotonic() + limit_s
    while time.monotonic() < end_s:
        answer = found()
        if answer:
            return answer
        time.sleep(0.2)
    raise AssertionError(f"not within {limit_s:.0f} s: {what}\n{tell()}")


def _free_ports(count: int) -> list[int]:
    """Ports that nobody listens on, outside of those that Ray hands out by itself (10002 to 19999)."""
    sockets = []
    for port in range(21_000 + os.getpid() % 5_000, 32_000):
        tried = socket.socket()
        try:
            tried.bind(("127.0.0.1", port))
        except OSError:
            tried.close()
            continue
        sockets.append(tried)
        if len(sockets) == count:
            break
    ports = [held.getsockname()[1] for held in sockets]
    for held in sockets:
        held.close()
    return ports
