"""A real Dovecot on free ports of loopback, which takes the lab's tokens: it asks its introspection about each one.

As root, mail is kept as `nobody`, because Dovecot refuses to do so as root; as anybody else, all of it runs as oneself.
"""

from __future__ import annotations

import contextlib
import grp
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from postroom.microsoft.claims import AccessToken, Claims
from postroom.transports.base import Endpoint, OAuth, Security
from support.lab import RunningLab
from unit.transports.authority import authority

HERE = Path(__file__).parent
MAILBOXES = 20
"""Made at the start, a new one for each test."""
STRANGER = "megan@contoso.example"
"""Whose mailbox the application may not open."""


@dataclass
class Issuer:
    """The lab as the issuer of tokens, with mailboxes that nobody has used yet; Dovecot asks it about each token."""

    lab: RunningLab
    unused: list[str] = field(default_factory=list)

    def sign_in(self, user: str, *tokens: str) -> OAuth:
        """Gives the first token, and the next one each time it is forced."""
        left = list(tokens)

        def token(*, force: bool = False) -> AccessToken:
            if force and len(left) > 1:
                left.pop(0)
            return AccessToken(left[0], 0.0, Claims())

        return OAuth(user, token)

    def passdbs(self, folder: Path) -> str:
        """One for each mailbox, since an application's token names none (docs/lab.md); written beside the others."""
        blocks = []
        for number, address in enumerate([*self.unused, STRANGER]):
            settings = folder / f"oauth2-{number}.conf.ext"
            settings.write_text(
                f"introspection_url = {self.lab.introspection_url}?user={address}\nintrospection_mode = post\n"
                "force_introspection = yes\nusername_attribute = username\nactive_attribute = active\n"
                "active_value = true\n"
            )
            blocks.append(f"passdb {{\n  driver = oauth2\n  mechanisms = xoauth2\n  args = {settings}\n}}")
        return "\n".join(blocks)


@pytest.fixture(scope="session")
def issuer() -> Iterator[Issuer]:
    with RunningLab() as lab:
        issuer = Issuer(lab)
        for number in range(MAILBOXES):
            address = f"u{number}@{lab.domain}"
            lab.control("POST", "/mailboxes", {"address": address, "name": address})
            right = f"/mailboxes/{address}/rights/full-access/{lab.application['service_principal_id']}"
            lab.control("PUT", right)
            issuer.unused.append(address)
        yield issuer


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
        _configure(folder, {**ports, "RELAY": relay[1]}, issuer)
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


def _configure(folder: Path, ports: dict[str, int], issuer: Issuer) -> None:
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
        "PASSDBS": issuer.passdbs(folder),
        **ports,
    }
    text = (HERE / "dovecot.conf").read_text()
    for name, value in values.items():
        text = text.replace(f"@{name}@", str(value))
    (folder / "dovecot.conf").write_text(text)


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
