"""The part of EC2's instance metadata service that a spot watch talks to, over real HTTP, for several machines.

Speaks version 2 only, as `HttpTokens: required` makes the real one: a request
without a token that was PUT for before is answered 401. A machine's service is at
`/NAME` of the server, so that one server plays it for all.
"""

from __future__ import annotations

import contextlib
import json
import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Imds:
    """What the service knows, and what it was asked."""

    def __init__(self) -> None:
        self.notices: dict[str, str] = {}
        """Machine -> body of its notice; a machine that is not in it has none."""
        self.asked: list[tuple[str, str, int]] = []
        """(method, path, status) of every request."""
        self.tokens: set[str] = set()
        self.url = ""

    def interrupt(self, machine: str, in_s: float = 120.0) -> None:
        """Announce that a machine is taken back."""
        end = datetime.now(UTC) + timedelta(seconds=in_s)
        self.notices[machine] = json.dumps({"action": "terminate", "time": f"{end:%Y-%m-%dT%H:%M:%SZ}"})

    def answer(self, method: str, path: str, headers: dict[str, str]) -> tuple[int, str]:
        machine, _, rest = path.removeprefix("/").partition("/")
        if method == "PUT" and rest == "latest/api/token":
            life = headers.get("x-aws-ec2-metadata-token-ttl-seconds", "")
            if not (life.isdigit() and 1 <= int(life) <= 21600):
                return 400, ""
            token = secrets.token_urlsafe(16)
            self.tokens.add(token)
            return 200, token
        if headers.get("x-aws-ec2-metadata-token") not in self.tokens:
            return 401, ""
        if method == "GET" and rest == "latest/meta-data/spot/instance-action" and machine in self.notices:
            return 200, self.notices[machine]
        return 404, ""


@contextmanager
def imds_server(port: int = 0) -> Iterator[Imds]:
    """A running service on loopback."""
    imds = Imds()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer("GET")

        def do_PUT(self) -> None:
            self._answer("PUT")

        def _answer(self, method: str) -> None:
            status, body = imds.answer(method, self.path, {k.lower(): v for k, v in self.headers.items()})
            imds.asked.append((method, self.path, status))
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            with contextlib.suppress(BrokenPipeError):  # a machine that was killed while it asked
                self.wfile.write(body.encode())

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    imds.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield imds
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
