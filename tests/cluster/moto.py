"""moto's EC2, IAM and SSM as a server of its own, reached as AWS is: through boto3 and its environment variables."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.request import urlopen


@contextmanager
def moto_server(log: Path) -> Iterator[str]:
    """The URL of a running server, which knows AWS's managed policies and has a default VPC in every region."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    program = Path(sys.executable).parent / "moto_server"
    with log.open("wb") as output:
        server = subprocess.Popen(
            [str(program), "-H", "127.0.0.1", "-p", str(port)],
            env={**os.environ, "MOTO_IAM_LOAD_MANAGED_POLICIES": "true"},
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        try:
            _wait(url, server, log)
            yield url
        finally:
            server.terminate()
            server.wait(30)


def _wait(url: str, server: subprocess.Popen[bytes], log: Path) -> None:
    end_s = time.monotonic() + 120.0
    while time.monotonic() < end_s and server.poll() is None:
        try:
            with urlopen(f"{url}/moto-api/data.json", timeout=5):
                return
        except OSError:
            time.sleep(0.2)
    raise RuntimeError(f"moto does not start: {log.read_text('utf-8', 'replace')[-2000:]}")
