"""A relay on loopback before a real S3 server: it loses answers where told, and can speak TLS.

Requests pass as they came, their `Host` too, which the signature covers.
"""

from __future__ import annotations

import datetime
import http.client
import ipaddress
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Literal

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

Fate = Literal["pass", "lose the answer", "answer 500 after it", "conflict", "cut the body"]

HOP_BY_HOP = ("connection", "expect", "transfer-encoding", "keep-alive")


@dataclass
class Relay:
    """A running relay.

    Attributes:
        fate: What becomes of a request, by its method and path; replace it at will.
        seen: Method and path of every request, in order.
    """

    endpoint_url: str = ""
    fate: Callable[[str, str], Fate] = lambda method, path: "pass"
    seen: list[tuple[str, str]] = field(default_factory=list)


class _Handler(BaseHTTPRequestHandler):
    """One connection. `relay` makes a subclass that knows where to."""

    protocol_version = "HTTP/1.1"
    state: Relay
    port: int

    def handle_one_request(self) -> None:
        try:
            super().handle_one_request()
        except (ConnectionError, ssl.SSLError):
            self.close_connection = True

    def pass_on(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        fate = self.state.fate(self.command, self.path)
        self.state.seen.append((self.command, self.path))
        if fate == "conflict":
            answer, status, headers = b"<Error><Code>ConditionalRequestConflict</Code></Error>", 409, {}
        else:
            answer, status, headers = self.ask(body)
        if fate == "lose the answer":
            self.close_connection = True
            return
        if fate == "answer 500 after it":
            answer, status, headers = b"<Error><Code>InternalError</Code></Error>", 500, {}
        self.send_response_only(status)
        for name, value in {"Content-Length": str(len(answer)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if fate == "cut the body":
            answer, self.close_connection = answer[: len(answer) // 2], True
        if self.command != "HEAD":
            self.wfile.write(answer)

    def ask(self, body: bytes) -> tuple[bytes, int, dict[str, str]]:
        server = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            server.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers.items():
                if name.lower() not in HOP_BY_HOP:
                    server.putheader(name, value)
            server.endheaders(body)
            answer = server.getresponse()
            kept = {name: value for name, value in answer.getheaders() if name.lower() not in HOP_BY_HOP}
            return answer.read(), answer.status, kept
        finally:
            server.close()

    def log_message(self, *_: Any) -> None:
        """Keep the tests' output clean."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: Any) -> None:
        """Clients that hang up (a refused certificate) are what is tested."""


@contextmanager
def relay(port: int, *, tls: ssl.SSLContext | None = None) -> Iterator[Relay]:
    """A relay to the server at loopback's `port`."""
    state = Relay()
    methods = {f"do_{method}": _Handler.pass_on for method in ("GET", "PUT", "POST", "DELETE", "HEAD")}
    handler = type("Handler", (_Handler,), {"state": state, "port": port, **methods})
    with _Server(("127.0.0.1", 0), handler) as server:
        if tls is not None:
            server.socket = tls.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        state.endpoint_url = f"{'https' if tls else 'http'}://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield state
        finally:
            server.shutdown()
            thread.join()


def self_signed(folder: Path) -> tuple[ssl.SSLContext, Path]:
    """A server's TLS with a certificate for 127.0.0.1 that nobody vouches for, and the file that vouches for it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "gaitfarm test")])
    today = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(today - datetime.timedelta(days=1))
        .not_valid_after(today + datetime.timedelta(days=2))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    bundle, private = folder / "bundle.pem", folder / "private.pem"
    bundle.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(bundle, private)
    return context, bundle
