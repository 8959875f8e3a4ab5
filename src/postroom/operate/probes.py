"""What machines ask of a running process: `/healthz` (it lives), `/readyz` (it can work), `/metrics`.

The console answers them among its pages; a process may also have a small port of its own for them.
"""

from __future__ import annotations

import hmac
import ipaddress
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Protocol

from django.db import connection

from postroom.core.faults import Fault
from postroom.core.settings import settings
from postroom.operate import metrics, readiness

_PLAIN = "text/plain; charset=utf-8"
_FORWARDED = ("X-Forwarded-For", "Forwarded", "X-Real-IP", "Via")
"""Said by proxies: then the address that connects is not the one that asks."""


class Headers(Protocol):
    """Of a request, by names in any case."""

    def get(self, name: str, default: str, /) -> str: ...

    def __contains__(self, name: str, /) -> bool: ...


@dataclass(frozen=True, slots=True)
class Probe:
    """An answer."""

    status: int
    content_type: str
    body: bytes


def health() -> Probe:
    """The process answers."""
    return Probe(200, _PLAIN, b"ok\n")


def ready() -> Probe:
    """503 with what is missing, a sentence a line."""
    faults = readiness.faults()
    return Probe(503 if faults else 200, _PLAIN, "".join(f"{line}\n" for line in faults or ["ok"]).encode())


def measure(address: str, headers: Headers) -> Probe:
    """The metrics, for those who may: with `POSTROOM_METRICS_TOKEN` who shows it, else this very machine.

    `address` is the one that connects.
    """
    token = settings().metrics_token
    if token:
        if not hmac.compare_digest(headers.get("Authorization", "").encode(), f"Bearer {token}".encode()):
            return Probe(401, _PLAIN, b"metrics need the header Authorization: Bearer, with POSTROOM_METRICS_TOKEN\n")
    elif not _is_here(address) or any(name in headers for name in _FORWARDED):
        return Probe(403, _PLAIN, b"metrics are for this machine only; set POSTROOM_METRICS_TOKEN to ask from others\n")
    content_type, body = metrics.text(headers.get("Accept", ""))
    return Probe(200, content_type, body)


@contextmanager
def port(host: str, number: int) -> Iterator[int]:
    """Answers on a port of its own, in threads; yields its number. Raises `Fault`."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    kind = type("_Server", (ThreadingHTTPServer,), {"address_family": family, "daemon_threads": True})
    try:
        server: ThreadingHTTPServer = kind((host, number), _Handler)
    except OSError as error:
        raise Fault(
            f"cannot listen on {host} port {number}: {error.strerror or error}", "Choose another with --metrics-port."
        ) from error
    thread = threading.Thread(target=server.serve_forever, name="probes", daemon=True)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    timeout = 10
    """Seconds for which somebody may be silent."""

    def do_GET(self) -> None:
        try:
            probe = self._answer()
        finally:
            connection.close()  # it belongs to this request's thread
        self.send_response(probe.status)
        self.send_header("Content-Type", probe.content_type)
        self.send_header("Content-Length", str(len(probe.body)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        self.wfile.write(probe.body)

    def _answer(self) -> Probe:
        match self.path.partition("?")[0]:
            case "/healthz":
                return health()
            case "/readyz":
                return ready()
            case "/metrics":
                return measure(self.client_address[0], self.headers)
        return Probe(404, _PLAIN, b"here are /healthz, /readyz and /metrics\n")

    def version_string(self) -> str:
        return "postroom"

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Probes come every few seconds: not a line each."""


def _is_here(address: str) -> bool:
    try:
        return ipaddress.ip_address(address.partition("%")[0]).is_loopback
    except ValueError:
        return False
