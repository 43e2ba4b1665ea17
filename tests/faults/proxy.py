"""A reverse proxy on loopback between the farm and a real S3 server, which fails on a seeded schedule.

Requests pass through byte for byte, their `Host` header too: SigV4 signs it, and
the server must not learn of the proxy. For each class of request (staging,
shard objects, commits, ...) the n-th request's fate is drawn from the seed alone,
whatever thread or process sends it. A fault is written to the book of strikes when it
has been dealt: an answer was sent, a connection was cut.
"""

from __future__ import annotations

import http.client
import re
import socket
import socketserver
import struct
import threading
import time
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np

from tests.faults.strikes import note

ANSWERS = {
    "500": (500, "InternalError"),
    "503 slow down": (503, "SlowDown"),
    "409 conflict": (409, "ConditionalRequestConflict"),
}
"""Faults that are answered without asking the server."""

WRITE_FAULTS = (
    "500", "503 slow down", "slow", "reset before", "answer lost", "timeout after the write", "500 after the write",
    "torn request",
)  # fmt: skip
FAULTS_OF_CLASS: Mapping[str, tuple[str, ...]] = {
    "commit": (*WRITE_FAULTS, "409 conflict"),
    "dataset.json": (*WRITE_FAULTS, "409 conflict"),
    "part": WRITE_FAULTS,
    "object": WRITE_FAULTS,
    "staging": WRITE_FAULTS,
    "other write": ("500", "503 slow down", "slow", "reset before", "answer lost"),
    "read": ("500", "503 slow down", "slow", "reset before", "body cut off", "timeout after the write"),
}

SLOW_S = 1.0
TIMEOUT_S = 60.0
"""How long an answer is withheld: the client gives up before."""

LINGER_RESET = struct.pack("ii", 1, 0)
"""SO_LINGER with no time: closing sends a reset."""

UPSTREAM_TIMEOUT_S = 60.0
MAX_HEAD_BYTES = 65_536


@dataclass(frozen=True)
class Request:
    """One request as it came: its head's lines unchanged, its body whole."""

    method: str
    target: str
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def header(self, name: str) -> str:
        return next((value for key, value in self.headers if key.lower() == name), "")

    @property
    def kind(self) -> str:
        """The class of request, by what it is for."""
        path = urlsplit(self.target).path
        if self.method in ("GET", "HEAD"):
            return "read"
        if "partNumber=" in self.target or "uploadId=" in self.target or "uploads" in urlsplit(self.target).query:
            return "part"
        if self.method != "PUT":
            return "other write"
        if re.search(r"/commits/\d+\.json$", path):
            return "commit"
        if path.endswith("/dataset.json"):
            return "dataset.json"
        return "staging" if "/staging/" in path else "object" if "/shards/" in path else "other write"


@dataclass
class Schedule:
    """Which request meets which fault.

    Attributes:
        seed: Together with a request's class and its number within the class it decides all.
        rates: Share of the requests of a class that fail; classes that are not named have `rate`.
    """

    seed: int
    rate: float = 0.0
    rates: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._lock = threading.Lock()
        self._streams = {
            kind: np.random.default_rng([self.seed, number]) for number, kind in enumerate(FAULTS_OF_CLASS)
        }
        self._queues: dict[str, list[str]] = defaultdict(list)

    def fate(self, kind: str) -> str | None:
        """The fault of the next request of this class, or None. Every fault of a class comes before any comes twice."""
        with self._lock:
            rng = self._streams[kind]
            if rng.random() >= self.rates.get(kind, self.rate):
                return None
            if not self._queues[kind]:
                self._queues[kind] = [str(fault) for fault in rng.permutation(FAULTS_OF_CLASS[kind])]
            return self._queues[kind].pop()


class Proxy:
    """The proxy, from `start` to `stop`; its schedule can be changed, and it can be down altogether."""

    def __init__(self, upstream_port: int, book: Path) -> None:
        self.upstream_port = upstream_port
        self.book = book
        self.schedule = Schedule(0)
        self.down = False
        self.requests = 0
        self.stopped = threading.Event()
        proxy = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                _Connection(proxy, self.request).serve()

        class Server(socketserver.ThreadingTCPServer):
            allow_reuse_address = True
            daemon_threads = True
            request_queue_size = 128

            def handle_error(self, request: object, client_address: object) -> None:
                """A client that goes away is what this proxy is for."""

        self._server = Server(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    @property
    def endpoint_url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def start(self) -> Proxy:
        self._thread.start()
        return self

    def stop(self) -> None:
        self.stopped.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Connection:
    """One client's connection and what is sent over it, request by request."""

    def __init__(self, proxy: Proxy, client: socket.socket) -> None:
        self._proxy = proxy
        self._client = client
        self._file = client.makefile("rb")

    def serve(self) -> None:
        client = self._client
        client.settimeout(UPSTREAM_TIMEOUT_S)
        try:
            while (request := self._read()) is not None:
                self._proxy.requests += 1
                fault = self._proxy.schedule.fate(request.kind)
                if self._proxy.down:
                    self._reset()
                    return
                if not self._answer(request, fault):
                    return
        except (OSError, http.client.HTTPException, ValueError):
            pass  # the client is gone, or the server: the other side sees a closed connection
        finally:
            self._file.close()

    def _answer(self, request: Request, fault: str | None) -> bool:
        """Deal with one request; False if the connection is over."""
        if fault in ANSWERS:
            status, code = ANSWERS[fault]
            self._send(status, code, request)
            self._struck(fault, request)
            return False
        match fault:
            case "reset before":
                self._struck(fault, request)
                self._reset()
                return False
            case "torn request" if len(request.body) > 1:
                self._tear(request)
                self._struck(fault, request)
                self._reset()
                return False
            case "slow":
                self._proxy.stopped.wait(SLOW_S)
                self._struck(fault, request)
        status, head, body = self._forward(request)
        match fault:
            case "answer lost":
                self._struck(fault, request)
                self._reset()
                return False
            case "timeout after the write":
                self._struck(fault if request.kind != "read" else "timeout of a read", request)
                self._wait_for_the_client_to_give_up()
                return False
            case "500 after the write":
                self._send(500, "InternalError", request)
                self._struck(fault, request)
                return False
            case "body cut off" if len(body) > 1 and request.method == "GET":
                self._client.sendall(head + body[: len(body) // 2])
                self._struck(fault, request)
                self._reset()
                return False
        self._client.sendall(head + body)
        return b"\r\nconnection: close" not in head.lower()

    def _read(self) -> Request | None:
        """The next request; None when the client has no more."""
        line = self._file.readline(MAX_HEAD_BYTES).decode("latin-1")
        if not line.strip():
            return None
        method, target, _ = line.split()
        headers = []
        while (line := self._file.readline(MAX_HEAD_BYTES).decode("latin-1")) not in ("\r\n", ""):
            name, _, value = line.partition(":")
            headers.append((name, value.strip()))
        named = {name.lower(): value for name, value in headers}
        if named.get("expect", "").lower() == "100-continue":
            self._client.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        length = int(named.get("content-length", "0"))
        body = self._file.read(length)
        if len(body) < length:
            return None
        return Request(method, target, tuple(headers), body)

    def _forward(self, request: Request) -> tuple[int, bytes, bytes]:
        """Status, head and body of the server's own answer. The head's lengths are as the server sent them."""
        upstream = http.client.HTTPConnection("127.0.0.1", self._proxy.upstream_port, timeout=UPSTREAM_TIMEOUT_S)
        try:
            self._put_head(upstream, request)
            upstream.send(request.body)
            answer = upstream.getresponse()
            body = answer.read()
        finally:
            upstream.close()
        lines = [f"HTTP/1.1 {answer.status} {answer.reason}"]
        chunked = False
        for name, value in answer.getheaders():
            if name.lower() == "transfer-encoding":
                chunked = True
            elif name.lower() not in ("connection", "keep-alive"):
                lines.append(f"{name}: {value}")
        if chunked:
            lines.append(f"Content-Length: {len(body)}")
        return answer.status, ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1"), body

    def _put_head(self, upstream: http.client.HTTPConnection, request: Request) -> None:
        upstream.putrequest(request.method, request.target, skip_host=True, skip_accept_encoding=True)
        for name, value in request.headers:
            if name.lower() not in ("expect", "connection"):
                upstream.putheader(name, value)
        upstream.endheaders()

    def _tear(self, request: Request) -> None:
        """Half of the body reaches the server, and then the connection breaks."""
        upstream = http.client.HTTPConnection("127.0.0.1", self._proxy.upstream_port, timeout=UPSTREAM_TIMEOUT_S)
        self._put_head(upstream, request)
        upstream.send(request.body[: len(request.body) // 2])
        assert upstream.sock is not None
        upstream.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_RESET)
        upstream.close()

    def _send(self, status: int, code: str, request: Request) -> None:
        """An error as S3 words it."""
        body = b"" if request.method == "HEAD" else f"<Error><Code>{code}</Code><Message>m</Message></Error>".encode()
        head = f"HTTP/1.1 {status} {code}\r\nContent-Type: application/xml\r\nContent-Length: {len(body)}\r\n"
        self._client.sendall(f"{head}Connection: close\r\n\r\n".encode() + body)

    def _reset(self) -> None:
        self._client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_RESET)
        self._client.close()

    def _wait_for_the_client_to_give_up(self) -> None:
        self._client.settimeout(0.2)
        deadline = time.monotonic() + TIMEOUT_S
        while time.monotonic() < deadline and not self._proxy.stopped.is_set():
            try:
                if not self._client.recv(1):
                    return
            except TimeoutError:
                continue

    def _struck(self, fault: str, request: Request) -> None:
        kind = "part" if request.kind == "part" else ""
        note(f"s3: {fault}{f' ({kind})' if kind else ''}", f"{request.method} {request.kind}", book=self._proxy.book)
