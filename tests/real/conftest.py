"""A real Dovecot on free ports of loopback, which asks an introspection endpoint (RFC 7662) about each token.

As root, mail is kept as `nobody`, because Dovecot refuses to do so as root; as anybody else, all of it runs as oneself.
"""

from __future__ import annotations

import contextlib
import grp
import json
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from postroom.microsoft.claims import AccessToken, Claims
from postroom.transports.base import Endpoint, OAuth, Security
from unit.transports.authority import authority

HERE = Path(__file__).parent


@dataclass
class Issuer:
    """Stands in for the lab's `/lab/introspect`: which token is for which mailbox."""

    valid: dict[str, str] = field(default_factory=dict)
    url: str = ""

    def sign_in(self, user: str, *tokens: str) -> OAuth:
        """Gives the first token, and the next one each time it is forced."""
        left = list(tokens)

        def token(*, force: bool = False) -> AccessToken:
            if force and len(left) > 1:
                left.pop(0)
            return AccessToken(left[0], 0.0, Claims())

        return OAuth(user, token)


@pytest.fixture(scope="session")
def issuer() -> Iterator[Issuer]:
    issuer = Issuer()

    class Introspection(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
            user = issuer.valid.get(form["token"][0])
            body = json.dumps({"active": True, "username": user} if user else {"active": False}).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  its name
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Introspection)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    issuer.url = f"http://127.0.0.1:{server.server_port}/introspect"
    yield issuer
    server.shutdown()
    server.server_close()


class Relay:
    """Where Dovecot's submission hands its mail to."""

    def __init__(self) -> None:
        self.taken: list[Envelope] = []

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        self.taken.append(envelope)
        return "250 2.0.0 OK <given@relay.test> [Hostname=relay.test]"


@pytest.fixture(scope="session")
def relay() -> Iterator[tuple[Relay, int]]:
    taken = Relay()
    controller = Controller(taken, hostname="127.0.0.1", port=free_port())
    controller.start()
    yield taken, controller.port
    controller.stop()


@dataclass(frozen=True)
class Dovecot:
    folder: Path
    ports: dict[str, int]

    def endpoint(self, service: str, security: Security) -> Endpoint:
        return Endpoint("localhost", self.ports[service], security, str(self.folder / "ca.pem"), timeout=10)

    def deliver(self, user: str, message: bytes) -> None:
        """As a local delivery agent would, by Dovecot's own."""
        agent = ["/usr/lib/dovecot/dovecot-lda", "-c", str(self.folder / "dovecot.conf"), "-d", user]
        subprocess.run(agent, input=message, check=True)


@pytest.fixture(scope="session")
def dovecot(issuer: Issuer, relay: tuple[Relay, int]) -> Iterator[Dovecot]:
    # Not under pytest's own folder, which other users, such as Dovecot's, cannot enter.
    folder = Path(tempfile.mkdtemp(prefix="dovecot-"))
    ports = {name: free_port() for name in ("IMAP", "IMAPS", "POP3S", "SUBMISSION")}
    try:
        _configure(folder, {**ports, "RELAY": relay[1]}, issuer.url)
        server = subprocess.Popen(["/usr/sbin/dovecot", "-F", "-c", folder / "dovecot.conf"])
        try:
            for port in ports.values():
                _wait_for(port, server, folder)
            yield Dovecot(folder, ports)
        finally:
            server.terminate()
            server.wait(20)
    finally:
        shutil.rmtree(folder)


def _configure(folder: Path, ports: dict[str, int], introspection: str) -> None:
    authority(folder)
    root = os.geteuid() == 0
    owner = pwd.getpwnam("nobody") if root else pwd.getpwuid(os.geteuid())
    (folder / "mail").mkdir()
    os.chown(folder / "mail", owner.pw_uid, owner.pw_gid)
    folder.chmod(0o755)
    name, group = owner.pw_name, grp.getgrgid(owner.pw_gid).gr_name
    own = f"default_internal_user = {name}\ndefault_login_user = {name}\ndefault_internal_group = {group}"
    values = {
        "DIR": folder,
        "UID": owner.pw_uid,
        "GID": owner.pw_gid,
        "ACCOUNTS": "" if root else own,
        "CHROOT": "" if root else "chroot =",
        **ports,
    }
    text = (HERE / "dovecot.conf").read_text()
    for name, value in values.items():
        text = text.replace(f"@{name}@", str(value))
    (folder / "dovecot.conf").write_text(text)
    (folder / "oauth2.conf.ext").write_text(
        f"introspection_url = {introspection}\nintrospection_mode = post\nforce_introspection = yes\n"
        "username_attribute = username\nactive_attribute = active\nactive_value = true\n"
    )


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


def _wait_for(port: int, server: subprocess.Popen[bytes], folder: Path) -> None:
    end = time.monotonic() + 20
    while time.monotonic() < end and server.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.02)
    log = folder / "dovecot.log"
    pytest.fail(f"Dovecot does not listen on {port}:\n{log.read_text() if log.exists() else 'no log'}")
