# ruff: noqa: ARG002  (Ray gives every provider the same arguments)
"""`ray up` on one machine: a node provider whose machines are groups of processes. No cloud, no ssh, no container.

For trying out a cluster (growing, shrinking, losing machines, `ray job submit`)
before paying for one, and for testing ours. Each "machine" is a folder that is
its HOME, and a loopback address of its own; its processes are known by an
environment variable that they inherit. Linux only: it reads /proc.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ray.autoscaler.command_runner import CommandRunnerInterface
from ray.autoscaler.node_provider import NodeProvider

MARK = "GAITFARM_LOCAL_NODE"
"""Environment variable of every process of a machine: `STATE_DIR:MACHINE`."""

ADDRESS = "GAITFARM_LOCAL_ADDRESS"
"""Environment variable with the machine's own address, for the start commands."""

NAME = "GAITFARM_LOCAL_NAME"
"""Environment variable with the machine's name. Unlike its address, no other machine ever has it again."""

MOST_MACHINES = 250
"""Addresses that a subnet has to give."""

GONE_LIMIT_S = 10.0
"""How long killed processes may take to disappear."""

RAY_STOP = re.compile(r"\bray stop\b")
"""`ray down` runs it; it would end every Ray of this user, also those that are none of ours."""

Tags = dict[str, str]


class LocalNodes(NodeProvider):  # type: ignore[misc]
    """Machines that are process groups.

    Configured under `provider`: `state_dir` (absolute; a folder of ours alone)
    and `subnet` (the first three numbers of loopback addresses, "127.0.77").
    The first machine, the head, gets subnet.1.
    """

    def __init__(self, provider_config: dict[str, Any], cluster_name: str) -> None:
        super().__init__(provider_config, cluster_name)
        self._folder = Path(provider_config["state_dir"])
        if not self._folder.is_absolute():
            raise ValueError(f"provider.state_dir {str(self._folder)!r} must be absolute: machines differ in HOME")
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if self._folder.stat().st_uid != os.getuid():
            raise PermissionError(f"provider.state_dir {str(self._folder)!r} belongs to another user; choose another")
        self._subnet = str(provider_config.get("subnet", "127.0.77"))

    @staticmethod
    def bootstrap_config(cluster_config: dict[str, Any]) -> dict[str, Any]:
        """Nothing has to be prepared."""
        return cluster_config

    def non_terminated_nodes(self, tag_filters: Tags) -> list[str]:
        """Machines whose tags hold all of these."""
        with self._state() as state:
            return [
                name
                for name, node in state.items()
                if all(node["tags"].get(key) == value for key, value in tag_filters.items())
            ]

    def is_running(self, node_id: str) -> bool:
        with self._state() as state:
            return node_id in state

    def is_terminated(self, node_id: str) -> bool:
        return not self.is_running(node_id)

    def node_tags(self, node_id: str) -> Tags:
        with self._state() as state:
            return dict(state[node_id]["tags"]) if node_id in state else {}

    def set_node_tags(self, node_id: str, tags: Tags) -> None:
        with self._state() as state:
            if node_id in state:
                state[node_id]["tags"].update(tags)

    def internal_ip(self, node_id: str) -> str:
        with self._state() as state:
            return str(state[node_id]["address"])

    def external_ip(self, node_id: str) -> str:
        return self.internal_ip(node_id)

    def create_node(self, node_config: dict[str, Any], tags: Tags, count: int) -> None:
        """Name machines and give them addresses; they run nothing yet."""
        with self._state() as state:
            for _ in range(count):
                taken = {node["address"] for node in state.values()}
                free = (f"{self._subnet}.{host}" for host in range(1, MOST_MACHINES))
                address = next((address for address in free if address not in taken), None)
                if address is None:
                    raise RuntimeError(f"all {MOST_MACHINES - 1} addresses of {self._subnet} are taken")
                name = f"machine-{time.time_ns():x}"
                state[name] = {"tags": dict(tags), "address": address}
                home_of(self._folder, name).mkdir(exist_ok=True)

    def terminate_node(self, node_id: str) -> None:
        """Take the plug out: SIGKILL for everything that the machine runs."""
        kill_machine(self._folder, node_id)
        with self._state() as state:
            state.pop(node_id, None)

    def get_command_runner(self, log_prefix: str, node_id: str, *args: Any, **kwargs: Any) -> LocalRunner:
        return LocalRunner(self._folder, node_id, self.internal_ip(node_id))

    @contextlib.contextmanager
    def _state(self) -> Iterator[dict[str, Any]]:
        """Name -> tags and address of every machine; `ray up` and the head's autoscaler both change it."""
        file = self._folder / "machines.json"
        with (self._folder / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            before = file.read_text("utf-8") if file.exists() else "{}"
            state = json.loads(before)
            yield state
            after = json.dumps(state, indent=1)
            if after != before:
                new = file.with_suffix(".new")
                new.write_text(after, "utf-8")
                new.replace(file)


class LocalRunner(CommandRunnerInterface):  # type: ignore[misc]
    """Runs commands as a machine: its HOME, its mark, and this Python's programs first in PATH."""

    def __init__(self, folder: Path, node_id: str, address: str) -> None:
        self._folder, self._node_id, self._address = folder, node_id, address
        self._home = home_of(folder, node_id)
        self._home.mkdir(exist_ok=True)

    def run(
        self,
        cmd: str | None = None,
        timeout: int = 120,
        exit_on_fail: bool = False,
        port_forward: Any = None,
        with_output: bool = False,
        environment_variables: dict[str, object] | None = None,
        **_: Any,
    ) -> str:
        """Run one command to its end; what it wrote goes to `log` in the machine's HOME.

        Raises:
            RuntimeError: It failed. Without this `ray up` would report success.
        """
        if not cmd:
            return ""
        if RAY_STOP.search(cmd):
            kill_machine(self._folder, self._node_id)
            return ""
        done = subprocess.run(  # noqa: S603  (the commands are those of the cluster's own file)
            ["bash", "-c", cmd],  # noqa: S607
            env=self._environment(environment_variables or {}),
            cwd=self._home,
            timeout=timeout,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            check=False,
        )
        text = done.stdout.decode("utf-8", "replace")
        with (self._home / "log").open("a", encoding="utf-8") as log:
            log.write(f"$ {cmd}\n{text}")
        if done.returncode:
            raise RuntimeError(f"{cmd[:200]!r} failed with {done.returncode} on {self._node_id}: {text[-800:]}")
        return text if with_output else ""

    def run_rsync_up(self, source: str, target: str, options: dict[str, Any] | None = None) -> None:
        self._copy(Path(source).expanduser(), self._inside(target))

    def run_rsync_down(self, source: str, target: str, options: dict[str, Any] | None = None) -> None:
        self._copy(self._inside(source), Path(target).expanduser())

    def run_init(self, **_: Any) -> bool:
        """No container has to be started."""
        return False

    def remote_shell_command_str(self) -> str:
        return f"HOME={shlex.quote(str(self._home))} bash"

    def _environment(self, more: dict[str, object]) -> dict[str, str]:
        texts = {name: value if isinstance(value, str) else json.dumps(value) for name, value in more.items()}
        path = f"{Path(sys.executable).parent}:{os.environ.get('PATH', os.defpath)}"
        own = {"HOME": str(self._home), "PATH": path, MARK: mark_of(self._folder, self._node_id)}
        return {**os.environ, **texts, **own, ADDRESS: self._address, NAME: self._node_id}

    def _inside(self, path: str) -> Path:
        """A path on the machine: ~ is its HOME."""
        return self._home / path[2:] if path.startswith("~/") else Path(path)

    @staticmethod
    def _copy(source: Path, target: Path) -> None:
        if source.resolve() == target.resolve():
            return
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, dirs_exist_ok=True)
        else:
            shutil.copy2(source, target)  # with its mode: tokens and keys stay readable to us alone


def home_of(folder: Path, node_id: str) -> Path:
    """The folder that is a machine's HOME."""
    return folder / node_id


def mark_of(folder: Path, node_id: str) -> str:
    """What `MARK` says in every process of a machine."""
    return f"{folder}:{node_id}"


def processes_of(folder: Path, node_id: str = "") -> list[int]:
    """Process ids of a machine, or without one of all machines of a cluster; zombies are none."""
    wanted = f"{MARK}={mark_of(folder, node_id)}".encode()
    found = []
    for process in Path("/proc").iterdir():
        if not process.name.isdigit() or int(process.name) == os.getpid():
            continue
        with contextlib.suppress(OSError):
            variables = (process / "environ").read_bytes().split(b"\0")
            ours = wanted in variables if node_id else any(v.startswith(wanted) for v in variables)
            if ours and not _is_zombie(process):
                found.append(int(process.name))
    return found


def kill_machine(folder: Path, node_id: str) -> None:
    """SIGKILL for all processes of a machine, and those that they start meanwhile, but not for the caller's own."""
    end_s = time.monotonic() + GONE_LIMIT_S
    while (left := processes_of(folder, node_id)) and time.monotonic() < end_s:
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.05)


def _is_zombie(process: Path) -> bool:
    return (process / "stat").read_text("utf-8").rpartition(")")[2].split()[0] == "Z"
