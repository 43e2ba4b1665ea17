"""A real S3 server that breaks the promise of put-if-absent: one OpenStack Swift node, on loopback.

Swift's S3 interface looks whether a key exists and writes after that, so that
racing conditional writes can all succeed: the hostile case for commits. Proxy,
account, container and object server run as four processes of the installed
package; nothing needs root, no memcached. The object server keeps its metadata
in extended attributes of files, which its folder's file system must have.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from importlib.util import find_spec
from pathlib import Path

from tests.integration.ceph import end_processes, free_port

INSTALL = "pip install swift pyeclib"

START_TIMEOUT_S = 120.0

ACCESS_KEY = "test:tester"
SECRET_KEY = "gaitfarm-swift-secret-77d0"

_SWIFT_CONF = """\
[swift-hash]
swift_hash_path_prefix = gaitfarm
swift_hash_path_suffix = gaitfarm
[storage-policy:0]
name = only
default = yes
"""

_COMMON = """\
[DEFAULT]
bind_ip = 127.0.0.1
bind_port = {port}
workers = 0
swift_dir = {folder}
devices = {folder}/nodes
mount_check = false
disable_fallocate = true
log_level = WARNING
log_address = {folder}/no-syslog
"""

_PATIENCE = """\
node_timeout = 60
conn_timeout = 20
container_update_timeout = 60
"""
"""For loaded machines: by default an update of a listing that takes a second is put off, for a daemon not run here."""

_PLAIN_FILTERS = (
    "catch_errors", "gatekeeper", "listing_formats", "bulk", "copy", "slo", "dlo", "symlink", "versioned_writes"
)  # fmt: skip

_PROXY = (
    _COMMON
    + """\
[pipeline:main]
pipeline = catch_errors gatekeeper cache listing_formats bulk s3api tempauth copy slo dlo symlink versioned_writes proxy-server
[app:proxy-server]
use = egg:swift#proxy
account_autocreate = true
node_timeout = 60
conn_timeout = 20
error_suppression_limit = 100000
[filter:cache]
use = egg:swift#memcache
memcache_servers = 127.0.0.1:1
[filter:tempauth]
use = egg:swift#tempauth
user_test_tester = {secret} .admin
[filter:s3api]
use = egg:swift#s3api
s3_acl = false
"""  # noqa: E501  (one setting is one line)
    + "\n".join(f"[filter:{name}]\nuse = egg:swift#{name}" for name in _PLAIN_FILTERS)
    + "\n"
)

_NODE = _COMMON + "[pipeline:main]\npipeline = {kind}-server\n[app:{kind}-server]\nuse = egg:swift#{kind}\n" + _PATIENCE


class SwiftError(RuntimeError):
    """Swift did not start; the message says why, or ends with what its processes wrote last."""


class SwiftServer:
    """An S3 endpoint of its own, from `start` to `stop`."""

    def __init__(self, folder: Path) -> None:
        """Prepare a server that keeps everything in `folder`, which is empty or does not exist."""
        self.folder = folder
        self.port = free_port()
        self._running: list[subprocess.Popen[bytes]] = []

    @property
    def endpoint_url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @staticmethod
    def missing_parts(base: Path) -> list[str]:
        """What is not there, in words: the packages, or extended attributes on the file system of `base`."""
        missing = [f"the package {name} ({INSTALL})" for name in ("swift", "pyeclib") if find_spec(name) is None]
        if not _has_attributes(base):
            missing.append(f"user extended attributes on the file system of {base} (set TMPDIR to one that has them)")
        return missing

    def start(self) -> None:
        """Build the rings and start the four servers.

        Raises:
            SwiftError: A server ends, or is not ready in time.
        """
        (self.folder / "nodes" / "one").mkdir(parents=True)
        (self.folder / "swift.conf").write_text(_SWIFT_CONF)
        try:
            for kind in ("account", "container", "object"):
                port = free_port()
                self._ring(kind, port)
                self._spawn(kind, _NODE.format(port=port, folder=self.folder, kind=kind))
            self._spawn("proxy", _PROXY.format(port=self.port, folder=self.folder, secret=SECRET_KEY))
            self._wait()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End the servers, the proxy first, and remove the folder."""
        end_processes(self._running)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _ring(self, kind: str, port: int) -> None:
        """One device with one replica holds everything."""
        builder = str(self.folder / f"{kind}.builder")
        for arguments in (
            ["create", "4", "1", "0"],
            ["add", f"r1z1-127.0.0.1:{port}/one", "1"],
            ["rebalance"],
        ):
            command = [_program("swift-ring-builder"), builder, *arguments]
            done = subprocess.run(command, capture_output=True, text=True, timeout=START_TIMEOUT_S, check=False)
            if done.returncode > 1:  # 1 is a warning
                raise SwiftError(f"swift-ring-builder {arguments[0]} failed: {done.stdout[-300:]} {done.stderr[-300:]}")

    def _spawn(self, kind: str, conf: str) -> None:
        path = self.folder / f"{kind}-server.conf"
        path.write_text(conf)
        with (self.folder / f"{kind}.out").open("ab") as output:
            self._running.append(
                subprocess.Popen(
                    [_program(f"swift-{kind}-server"), str(path), "-v"],
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    start_new_session=True,  # Ctrl-C is for pytest, which then stops the servers in order
                    env={name: value for name, value in os.environ.items() if not name.startswith("PYTHON")},
                )
            )

    def _wait(self) -> None:
        deadline = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline:
            try:
                with urllib.request.urlopen(f"{self.endpoint_url}/", timeout=5):
                    return
            except urllib.error.HTTPError:
                return  # it asks for a signature: it is there
            except (urllib.error.URLError, OSError):
                pass
            if any(process.poll() is not None for process in self._running):
                break
            time.sleep(0.2)
        outputs = sorted(self.folder.glob("*.out"))
        tails = " | ".join(f"{path.stem}: {path.read_text(errors='replace')[-400:].strip()}" for path in outputs)
        raise SwiftError(f"the proxy does not answer: {tails}")


def _program(name: str) -> str:
    """A console script of the environment that runs the tests, whether it is activated or not."""
    beside = Path(sys.executable).parent / name
    return str(beside) if beside.exists() else name


def _has_attributes(base: Path) -> bool:
    trial = base / f".attributes-{os.getpid()}"
    try:
        trial.write_bytes(b"")
        os.setxattr(trial, "user.gaitfarm", b"x" * 1024)
    except (OSError, AttributeError):
        return False
    else:
        return True
    finally:
        trial.unlink(missing_ok=True)
