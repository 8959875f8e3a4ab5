"""What leaves is what was handed in: bytes and envelope, by SMTP and by Graph, and with a gateway's old settings."""

from __future__ import annotations

import email
import email.policy
import hashlib
import random
import socket
from collections.abc import Iterator
from email.message import EmailMessage
from pathlib import Path

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from support.lab import RunningLab
from support.postroom import Postroom
from unit.transports.authority import authority

from .conftest import PERSON, House

OTHER = "adele@contoso.example"
ACCENTS = "\r\n trailing blanks  \r\n.a dot\r\nFrom the start\r\n=C3=A9 \xe9 \r\n"
SIGNED = {
    "S/MIME": 'multipart/signed; protocol="application/pkcs7-signature"; micalg=sha-256; boundary="--=_b"',
    "PGP": 'multipart/signed; protocol="application/pgp-signature"; micalg=pgp-sha512; boundary="--=_b"',
}
TRANSPORTS = ("microsoft-365", "microsoft-365-graph")


@pytest.fixture(scope="module")
def postroom(tmp_path_factory: pytest.TempPathFactory, running_lab: RunningLab) -> Postroom:
    """With a mailbox for each way out, named as its provider."""
    postroom = Postroom(tmp_path_factory.mktemp("home"))
    postroom.add_cloud(running_lab.cloud)
    assert postroom.run("migrate").returncode == 0
    for provider in TRANSPORTS:
        House(running_lab, postroom).add(provider, provider=provider)
    return postroom


def signed(kind: str) -> bytes:
    """A message shaped as signed ones are: any change of a byte below the header would break the signature."""
    head = (
        f"From: Notifications <notifications@contoso.example>\r\nTo: {PERSON}\r\nSubject: signed\r\n"
        f"Date: Mon, 23 Nov 2026 10:00:00 +0000\r\nMessage-ID: <{kind[0]}@contoso.example>\r\n"
        f"MIME-Version: 1.0\r\nContent-Type: {SIGNED[kind]}\r\n\r\n"
    )
    part = f"Content-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: 8bit\r\n{ACCENTS}"
    signature = "Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n\r\nAAECAwQ=\r\n"
    return f"{head}preamble\r\n----=_b\r\n{part}\r\n----=_b\r\n{signature}\r\n----=_b--\r\n".encode("latin-1")


def body(raw: bytes) -> bytes:
    return raw.partition(b"\r\n\r\n")[2]


@pytest.mark.parametrize("provider", TRANSPORTS)
@pytest.mark.parametrize("kind", SIGNED)
def test_a_signature_survives(house: House, tmp_path: Path, provider: str, kind: str) -> None:
    file = tmp_path / "signed.eml"
    file.write_bytes(signed(kind))
    assert house.send(provider, "--raw", str(file), "--to", PERSON)["sent"]
    (arrived,) = house.mail.messages("inbox", PERSON)
    assert body(arrived) == body(signed(kind))


@pytest.mark.parametrize("provider", TRANSPORTS)
def test_the_envelope_wins_over_the_header(house: House, tmp_path: Path, provider: str) -> None:
    file = tmp_path / "other.eml"
    file.write_bytes(
        signed("PGP").replace(
            b"\r\nSubject", b"\r\nCc: lee@contoso.example\r\nBcc: support@contoso.example\r\nSubject", 1
        )
    )
    sent = house.send(provider, "--raw", str(file), "--to", OTHER)
    assert sent["recipients"] == [OTHER]
    (arrived,) = house.mail.messages("inbox", OTHER)
    assert b"support@contoso.example" not in arrived
    for named in (PERSON, "lee@contoso.example", "support@contoso.example"):
        assert house.mail.messages("inbox", named) == []


@pytest.mark.parametrize("size", [4_500_000, 31_000_000])
def test_large_mail_goes_by_graph(house: House, tmp_path: Path, size: int) -> None:
    """Bytes on the wire; above 4 MB Graph takes a message by draft and upload session only."""
    content = random.Random(size).randbytes(size * 3 // 4 * 76 // 78)
    file = tmp_path / "large.bin"
    file.write_bytes(content)
    options = ("--to", PERSON, "--bcc", OTHER, "--subject", "large", "--text", "See below", "--attach", str(file))
    assert house.send("microsoft-365-graph", *options)["sent"]
    for address in (PERSON, OTHER):
        (raw,) = house.mail.messages("inbox", address)
        assert len(raw) > size * 0.98
        message = email.message_from_bytes(raw, policy=email.policy.default)
        assert isinstance(message, EmailMessage)
        (attachment,) = message.iter_attachments()
        arrived = attachment.get_payload(decode=True)
        assert isinstance(arrived, bytes)
        assert hashlib.sha256(arrived).digest() == hashlib.sha256(content).digest()
        assert message["Bcc"] is None


class Gateway:
    """The old SMTP gateway: takes one user with a password, after STARTTLS."""

    def __init__(self) -> None:
        self.taken: list[Envelope] = []
        self.users: list[bytes] = []

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        self.taken.append(envelope)
        return "250 2.0.0 OK"

    def authenticate(
        self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: object
    ) -> AuthResult:
        good = isinstance(data, LoginPassword) and data.password == "pässw0rd".encode()
        if good and isinstance(data, LoginPassword):
            self.users.append(data.login)
        return AuthResult(success=good)


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[tuple[Gateway, int, str]]:
    """The gateway, its port, and the authority that vouches for it."""
    certificates, gateway = authority(tmp_path), Gateway()
    options = {"auth_required": True, "authenticator": gateway.authenticate, "tls_context": certificates.localhost}
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    controller = Controller(gateway, hostname="127.0.0.1", port=port, **options)
    controller.start()
    yield gateway, port, certificates.ca_file
    controller.stop()


PROPERTIES = """\
mail.host=localhost
mail.port={port}
mail.username=mailer@example.org
mail.password=p\\u00e4ssw0rd
mail.smtp.auth=true
mail.smtp.starttls.enable=true
mail.defaultSender=noreply@example.org
mail.defaultSubjectPrefix=[Dev server]
mail.optionalBccAddress=archive@example.org, audit@example.org
mail.smtp.socketFactory.class=javax.net.ssl.SSLSocketFactory
mail.smtp.socketFactory.fallback=true
mail.smtp.socketFactory.port=587
"""


def test_a_gateways_settings_work_as_before(house: House, gateway: tuple[Gateway, int, str]) -> None:
    server, port, ca_file = gateway
    imported = house.cli("mailbox", "import", "-", "--name", "Migrated", stdin=PROPERTIES.format(port=port))
    uses = {note["key"]: note["use"] for note in imported["keys"]}
    assert [key for key, use in uses.items() if use != "used"] == [
        f"mail.smtp.socketFactory.{name}" for name in ("class", "fallback", "port")
    ]
    options = ("--to", "bob@example.org", "--subject", "Hello", "--text", "x")
    assert house.send("Migrated", *options, SSL_CERT_FILE=ca_file)["sent"]
    (taken,) = server.taken
    assert server.users == [b"mailer@example.org"]
    assert taken.mail_from == "noreply@example.org"
    assert taken.rcpt_tos == ["bob@example.org", "archive@example.org", "audit@example.org"]
    message = email.message_from_bytes(bytes(taken.content or b""), policy=email.policy.default)
    assert (message["From"], message["Subject"]) == ("noreply@example.org", "[Dev server] Hello")
    assert (message["To"], message["Bcc"]) == ("bob@example.org", None)
