"""The SMTP door of a running Postroom as programs see it: a port, a user name, a secret, a certificate to trust."""

from __future__ import annotations

import smtplib
import socket
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from support.postroom import Postroom

HOST = "localhost"
_PATIENCE = 30.0


@dataclass(frozen=True)
class Door:
    """One listener, and one app that may use it."""

    listener: str
    port: int
    user: str
    secret: str = field(repr=False)
    certificate: Path
    """What programs are told to trust."""

    def context(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=str(self.certificate))

    def client(self) -> smtplib.SMTP:
        """Connected, under TLS, not signed in."""
        client = smtplib.SMTP(HOST, self.port, timeout=30)
        client.starttls(context=self.context())
        return client


def opened(postroom: Postroom, app: str, mailbox: str, *options: str) -> Door:
    """Makes an app for this mailbox and a listener on a free port, and waits until it answers; `options` as --set."""
    port = free_port()
    added: dict[str, Any] = postroom.cli(
        "listener", "add", f"{app}-door", "--port", str(port), "--set", f"hostname={HOST}", *options
    )
    made = postroom.cli("app", "add", app, "--mailbox", mailbox)
    certificate = postroom.home / "tls" / f"{added['hostname']}.crt"
    door = Door(added["name"], port, made["user"], made["secret"], certificate)
    waited(lambda: answers(door))
    return door


def answers(door: Door) -> bool:
    """Whether somebody listens there."""
    try:
        with socket.create_connection((HOST, door.port), timeout=10):
            return True
    except OSError:
        return False


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def waited(condition: Callable[[], object], patience: float = _PATIENCE) -> None:
    """Until it holds; fails when it does not in time."""
    ends = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < ends, "it did not come to that in time"
        time.sleep(0.05)
