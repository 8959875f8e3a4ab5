"""Servers on loopback that are not as the lab is: silent, without TLS, with a bad certificate, without SMTPUTF8."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.handlers import Sink

from postroom.microsoft.certificates import make_certificate


def closed_port() -> int:
    """A port on which nothing listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def silent() -> Iterator[int]:
    """The port of a server that takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening.getsockname()[1]


@contextmanager
def smtp(**options: Any) -> Iterator[int]:
    """The port of an SMTP server that nobody here wrote; without options it offers neither STARTTLS nor AUTH."""
    controller = Controller(Sink(), hostname="127.0.0.1", port=closed_port(), **options)
    controller.start()
    try:
        yield controller.port
    finally:
        controller.stop()


def expired_certificate(file: Path, now: datetime) -> ssl.SSLContext:
    """A server's own, that was good until a month ago; its public part is added to `file`."""
    made = make_certificate("localhost", days=1, now=now - timedelta(days=30))
    with file.open("a") as trusted:
        trusted.write(made.public_pem)
    return _context(file.with_name("expired.pem"), made.pem_with_key)


@contextmanager
def null_ciphers(folder: Path, now: datetime) -> Iterator[int]:
    """The port of a server with TLS from the first byte, and no cipher that anybody takes today."""
    context = _context(folder / "null.pem", make_certificate("localhost", days=1, now=now).pem_with_key)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("NULL-SHA256:@SECLEVEL=0")

    def shake_hands() -> None:
        with suppress(OSError):
            connection, _ = listening.accept()
            with connection, suppress(OSError):
                context.wrap_socket(connection, server_side=True).close()

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=shake_hands)
        thread.start()
        try:
            yield listening.getsockname()[1]
        finally:
            with suppress(OSError):
                listening.shutdown(socket.SHUT_RDWR)
            thread.join()


def _context(file: Path, pem: str) -> ssl.SSLContext:
    file.write_text(pem)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(file)
    return context
