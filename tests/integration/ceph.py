"""A real S3 server for tests: one Ceph monitor, one object store, one gateway, on loopback, in memory.

Ceph's gateway checks signatures, honours `If-None-Match: *` atomically, pages its
listings and answers as stores in the field do, which stand-ins in Python do not.
Everything lives in one folder; authentication inside the cluster is off; nothing
needs root but the installation of the packages.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
import uuid
from pathlib import Path

PROGRAMS = ("monmaptool", "ceph-mon", "ceph-osd", "ceph", "radosgw", "radosgw-admin")
INSTALL = "apt-get install --no-install-recommends ceph-mon ceph-osd radosgw"

START_TIMEOUT_S = 240.0
STOP_TIMEOUT_S = 10.0

ACCESS_KEY = "GAITFARMTESTKEY"
SECRET_KEY = "gaitfarm-test-secret-5f1c"

_CONF = """\
[global]
fsid = {fsid}
mon_host = v1:127.0.0.1:{mon_port}
public_addr = 127.0.0.1
auth_cluster_required = none
auth_service_required = none
auth_client_required = none
osd_pool_default_size = 1
osd_pool_default_min_size = 1
mon_allow_pool_size_one = true
mon_max_pg_per_osd = 1000
osd_crush_chooseleaf_type = 0
osd_pool_default_pg_num = 2
osd_pool_default_pgp_num = 2
osd_pool_default_pg_autoscale_mode = off
run_dir = {folder}/run
log_file = {folder}/log/$name.log
admin_socket = {folder}/run/$name.asok
[mon.a]
mon_data = {folder}/mon
[osd.0]
osd_data = {folder}/osd
osd_objectstore = memstore
memstore_device_bytes = 1073741824
[client.rgw.a]
rgw_frontends = beast endpoint=127.0.0.1:{port}
rgw_data = {folder}/rgw
"""


class CephError(RuntimeError):
    """Ceph did not start; the message ends with the last lines of its logs."""


class CephServer:
    """An S3 endpoint of its own, from `start` to `stop`."""

    def __init__(self, folder: Path) -> None:
        """Prepare a server that keeps everything in `folder`.

        The path must be short: a Unix socket's name has at most 107 bytes.
        """
        self.folder = folder
        self.port, self.mon_port = free_port(), free_port()
        self._conf = folder / "ceph.conf"
        self._running: list[subprocess.Popen[bytes]] = []

    @property
    def endpoint_url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @staticmethod
    def missing_programs() -> list[str]:
        """What would have to be installed."""
        return [name for name in PROGRAMS if shutil.which(name) is None]

    def start(self) -> None:
        """Start the three daemons and make a user with `ACCESS_KEY` and `SECRET_KEY`.

        Raises:
            CephError: A daemon ends, or is not ready in time.
        """
        fsid, osd_id = str(uuid.uuid4()), str(uuid.uuid4())
        for name in ("mon", "osd", "rgw", "run", "log"):
            (self.folder / name).mkdir(parents=True)
        self._conf.write_text(_CONF.format(fsid=fsid, mon_port=self.mon_port, port=self.port, folder=self.folder))
        monmap = str(self.folder / "monmap")
        try:
            self._run("monmaptool", "--create", "--addv", "a", f"[v1:127.0.0.1:{self.mon_port}]",
                      "--fsid", fsid, monmap)  # fmt: skip
            self._run("ceph-mon", "-i", "a", "--mkfs", "--monmap", monmap)
            self._spawn("ceph-mon", "-i", "a", "-f")
            self._run("ceph-osd", "-i", "0", "--mkfs", "--osd-uuid", osd_id)
            self._run("ceph", "osd", "new", osd_id)
            self._start_osd()
            self._spawn("radosgw", "-n", "client.rgw.a", "-f")
            self._wait(self._gateway_answers, "the gateway does not answer")
            self.make_user("test", ACCESS_KEY, SECRET_KEY)
        except BaseException:
            self.stop()
            raise

    def admin(self, *arguments: str) -> str:
        """What `radosgw-admin` answers: users, keys, quotas."""
        return self._run("radosgw-admin", "-n", "client.rgw.a", *arguments)

    def stop(self) -> None:
        """End the daemons, the gateway first, and remove the folder."""
        end_processes(self._running)
        shutil.rmtree(self.folder, ignore_errors=True)

    def make_user(self, name: str, access_key: str, secret_key: str) -> None:
        """Make a user with one pair of keys; it owns nothing yet."""
        self._admin("user", "create", f"--uid={name}", f"--display-name={name}", f"--access-key={access_key}",
                    f"--secret-key={secret_key}")  # fmt: skip

    def add_keys(self, name: str, access_key: str, secret_key: str) -> None:
        """Give a user another pair of keys; the older ones go on to work."""
        self._admin("key", "create", f"--uid={name}", "--key-type=s3", f"--access-key={access_key}",
                    f"--secret-key={secret_key}")  # fmt: skip

    def remove_keys(self, name: str, access_key: str) -> None:
        """Take a pair of keys away: from now on the gateway does not know it."""
        self._admin("key", "rm", f"--uid={name}", "--key-type=s3", f"--access-key={access_key}")

    def _admin(self, *arguments: str) -> str:
        return self._run("radosgw-admin", "-n", "client.rgw.a", *arguments)

    def _start_osd(self) -> None:
        """The store can lose a start-up race with the monitor ("wrong fsid") and end; then it is started again."""
        deadline = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline:
            process = self._spawn("ceph-osd", "-i", "0", "-f")
            while process.poll() is None and time.monotonic() < deadline:
                if "1 up" in self._run("ceph", "osd", "stat", check=False):
                    return
                time.sleep(0.25)
            self._running.remove(process)
        raise CephError(f"the object store did not come up: {self._log_tail()}")

    def _gateway_answers(self) -> bool:
        try:
            with urllib.request.urlopen(self.endpoint_url, timeout=2):
                return True
        except (urllib.error.URLError, OSError):
            return False

    def _run(self, program: str, *arguments: str, check: bool = True) -> str:
        command = [program, *(() if program == "monmaptool" else ("-c", str(self._conf))), *arguments]
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=START_TIMEOUT_S, check=False, env=_environment()
        )
        if check and done.returncode:
            raise CephError(f"{program} failed with {done.returncode}: {done.stderr[-500:]} {self._log_tail()}")
        return done.stdout

    def _spawn(self, program: str, *arguments: str) -> subprocess.Popen[bytes]:
        with (self.folder / "log" / f"{program}.out").open("ab") as output:
            process = subprocess.Popen(
                [program, "-c", str(self._conf), *arguments],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,  # Ctrl-C is for pytest, which then stops the daemons in order
                env=_environment(),
            )
        self._running.append(process)
        return process

    def _wait(self, ready: object, complaint: str) -> None:
        deadline = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline:
            if callable(ready) and ready():
                return
            if any(process.poll() is not None for process in self._running):
                break
            time.sleep(0.2)
        raise CephError(f"{complaint}: {self._log_tail()}")

    def _log_tail(self) -> str:
        """The end of each daemon's own output."""
        outputs = sorted((self.folder / "log").glob("*.out"))
        return " | ".join(f"{path.stem}: {path.read_text(errors='replace')[-300:].strip()}" for path in outputs)


def _environment() -> dict[str, str]:
    """Without settings of some other cluster, and without a virtual environment's Python before the system's,
    which the `ceph` command needs."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("CEPH_", "PYTHON"))}
    paths = [path for path in clean.get("PATH", "").split(os.pathsep) if not (Path(path) / "activate").exists()]
    return clean | {"PATH": os.pathsep.join(paths)}


def end_processes(running: list[subprocess.Popen[bytes]]) -> None:
    """End a server's processes, the last one started first, and forget them."""
    for process in reversed(running):
        process.terminate()
        try:
            process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    running.clear()


def free_port() -> int:
    """A port of loopback that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
