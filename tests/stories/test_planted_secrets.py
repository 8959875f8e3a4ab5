"""Planted secrets are found nowhere: database, files, logs at their most talkative, answers, audit, console pages."""

from __future__ import annotations

import base64
import html
import json
import re
import socket
import urllib.parse
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, pkcs12
from cryptography.x509.oid import NameOID

from support.lab import RunningLab
from support.postroom import Postroom, RunningPostroom, Visitor

from .conftest import PERSON, House

WRONG_SECRET = "Qx8~gone.Planted-value_0123456789abcdWXYZ"
PASSWORDS = {
    "mailbox password": "planted mailbox pässword",
    "password of the certificate": "planted-pfx-password",
    "proxy password": "planted-proxy-password",
    "gateway password": "planted-gateway-password",
    "person's password": "planted orchard ladder",
}
# An access token is a JWT (RFC 7519); with XOAUTH2 it goes out in base64 after "user=".
TOKEN = re.compile(rb"eyJ[\w-]{8,}\.[\w-]{8,}|dXNlcj[\w+/=]{40,}")


# The whole story is told while the first test waits: some thirty processes, one after the other.
pytestmark = pytest.mark.timeout(600)


@dataclass
class Story:
    """What was planted, and all places where it could have come up."""

    planted: dict[str, bytes] = field(repr=False)
    places: dict[str, bytes]
    pages: dict[str, int]
    """Address -> status."""


def key_and_pfx() -> tuple[bytes, bytes]:
    """A prime of the private key, which stands in every form of it, and the key with its certificate as PFX."""
    key = rsa.generate_private_key(65537, 2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "planted")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=300))
        .sign(key, hashes.SHA256())
    )
    password = BestAvailableEncryption(PASSWORDS["password of the certificate"].encode())
    pfx = pkcs12.serialize_key_and_certificates(b"planted", key, certificate, None, password)
    return key.private_numbers().p.to_bytes(128, "big"), pfx


def forms(secret: bytes) -> Iterator[bytes]:
    """The secret as it could be written: plain, in JSON, HTML or an address, in hex, in base64 at any alignment."""
    yield secret
    text = secret.decode("utf-8", "replace")
    yield json.dumps(text)[1:-1].encode()
    yield html.escape(text).encode()
    yield urllib.parse.quote(secret).encode()
    yield urllib.parse.quote_plus(secret).encode()
    yield secret.hex().encode()
    for shift in range(3):
        encoded = base64.b64encode(b"\0" * shift + secret)
        # Without the characters that the neighbours have a part in.
        yield encoded[4 if shift else 0 : len(encoded) // 4 * 4 - 4]


def found(secret: bytes, text: bytes) -> bool:
    """Long secrets are looked for in pieces too, since PEM and base64 break lines."""
    pieces = [secret] if len(secret) < 60 else [secret[at : at + 30] for at in range(0, len(secret) - 30, 30)]
    return any(form in text for piece in pieces for form in forms(piece))


def by_command(house: House, pfx: Path, token_file: Path) -> dict[str, str]:
    """Everything a person does with secrets at the command line, right and wrong; mailbox names -> their numbers."""
    wrong, certified, federated = (house.application(name) for name in ("Wrong", "Certified", "Federated"))
    numbers = {
        "right": house.add("right")["id"],
        "wrong": house.add("wrong", application=wrong, secret=False)["id"],
        "certified": house.add("certified", application=certified, secret=False)["id"],
        "federated": house.add("federated", application=federated, secret=False)["id"],
        "password": house.add("password", "--sign-in-by", "password", secret=False)["id"],
    }
    house.give("wrong", WRONG_SECRET)
    upload = ("--kind", "certificate", "--file", str(pfx), "--password-env", "PFX_PASSWORD")
    house.cli("credential", "add", "certified", *upload, exit_code=1, PFX_PASSWORD="planted-wrong-pfx")
    house.cli("credential", "add", "certified", *upload, PFX_PASSWORD=PASSWORDS["password of the certificate"])
    house.cli("credential", "add", "federated", "--kind", "federated-file", "--path", str(token_file))
    house.give("password", PASSWORDS["mailbox password"])
    assert set(house.prove("right").values()) == {"passed"}
    assert house.prove("wrong", exit_code=1)["token"] == "entra-wrong-secret"
    assert house.prove("certified", exit_code=1)["token"] == "entra-certificate-unknown"
    assert house.prove("federated", exit_code=1)["token"].startswith("entra-")
    assert house.prove("password", exit_code=1)["send-sign-in"] == "smtp-basic-disabled"
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        proxy = f"http://user:{PASSWORDS['proxy password']}@127.0.0.1:{nobody.getsockname()[1]}"
    refused = house.send("right", "--to", PERSON, "--text", "x", exit_code=1, POSTROOM_PROXY=proxy)
    assert refused["diagnosis"]["fault"] == "network-proxy"
    properties = (
        f"mail.host=smtp.example.org\nmail.username=a@example.org\nmail.password={PASSWORDS['gateway password']}\n"
    )
    house.cli("mailbox", "import", "-", stdin=properties)
    house.cli("mailbox", "import", "-", stdin=f"{properties}mail.port=many\n", exit_code=1)
    return numbers


def by_console(house: House, console: Visitor, numbers: dict[str, str], pfx: Path) -> dict[str, tuple[int, bytes]]:
    """The same in the console, mistakes first: what was typed must not come back in the page."""
    lab_secret = house.lab.application["client_secret"]
    answers = {}
    for name, mailbox, fields in (
        ("secret", "right", {"secret-value": lab_secret, "secret-expires_at": "2001-01-01"}),
        ("password", "password", {"password-value": f"{PASSWORDS['mailbox password']}\n"}),
        ("upload", "certified", {"upload-password": "planted-wrong-pfx"}),
    ):
        files = {"upload-certificate": ("a.pfx", pfx.read_bytes())} if name == "upload" else None
        page = console.post(f"/mailboxes/{numbers[mailbox]}/credentials", files, add=name, **fields)
        answers[f"form {name}"] = (page.status_code, page.content)
    text = f"mail.host=smtp.example.org\nmail.password={PASSWORDS['gateway password']}\nmail.port=many"
    page = console.post("/mailboxes/import", text=text)
    answers["form import"] = (page.status_code, page.content)
    assert page.status_code == 422
    mistyped = console.post("/account/password", password=PASSWORDS["person's password"][:5])
    answers["form own password"] = (mistyped.status_code, mistyped.content)
    assert "took the mail" in console.post(f"/mailboxes/{numbers['right']}/send", to=PERSON, subject="x", text="x").text
    answers |= {
        f"{page.request.method} {page.url.raw_path.decode()} {page.request.headers.get('HX-Request', '')}": (
            page.status_code,
            page.content,
        )
        for page in console.crawl()
    }
    return answers


@pytest.fixture(scope="module")
def story(running_lab: RunningLab, tmp_path_factory: pytest.TempPathFactory) -> Story:
    outside = tmp_path_factory.mktemp("outside")
    postroom = Postroom(tmp_path_factory.mktemp("home"), talkative=True)
    postroom.add_cloud(running_lab.cloud)
    house = House(running_lab, postroom)
    prime, content = key_and_pfx()
    pfx, token_file = outside / "planted.pfx", outside / "token"
    pfx.write_bytes(content)
    federated = running_lab.control("POST", "/federated-token", {"subject": "postroom"})["token"]
    token_file.write_text(federated)
    assert postroom.run("migrate").returncode == 0
    numbers = by_command(house, pfx, token_file)
    with RunningPostroom(postroom) as running, running.signed_in() as console:
        pages = by_console(house, console, numbers, pfx)
    exported = [house.cli("mailbox", "show", name) for name in numbers]
    assert len(exported) == len(numbers)
    house.cli("credential", "list", "right")
    key = postroom.home / "key"
    places = {
        str(file.relative_to(postroom.home)): file.read_bytes()
        for file in postroom.home.rglob("*")
        if file.is_file() and file != key
    }
    places |= {"said by commands": "\n".join(postroom.said).encode()}
    places |= {name: content for name, (_, content) in pages.items()}
    planted = {name: value.encode() for name, value in PASSWORDS.items()} | {
        "client secret": running_lab.application["client_secret"].encode(),
        "refused client secret": WRONG_SECRET.encode(),
        "wrong password of the certificate": b"planted-wrong-pfx",
        "private key": prime,
        "federated token": federated.encode(),
        "key of the encryption": key.read_text().strip().encode(),
    }
    return Story(planted, places, {name: status for name, (status, _) in pages.items()})


def test_the_net_catches() -> None:
    secret, text = b"planted secret", b"some text %s with more"
    assert all(
        found(secret, text % form) for form in (secret, b"planted%20secret", base64.b64encode(b"a" + secret + b"b"))
    )
    assert found("pässword".encode(), b'{"event": "p\\u00e4ssword"}')
    assert found(bytes(range(128)), base64.encodebytes(bytes(300) + bytes(range(128))))
    assert not found(secret, text)
    assert TOKEN.search(base64.b64encode(b"user=a@b.example\1auth=Bearer abcdefghijklmnopqrstuvwxyz"))


def test_the_story_went_through_all_places(story: Story) -> None:
    assert {"postroom.sqlite3", "serve.log", "said by commands"} <= set(story.places)
    assert b'"level": "debug"' in story.places["said by commands"]
    assert b"credential.added" in story.places["postroom.sqlite3"]
    assert len(story.pages) > 30
    assert any("/credentials" in page for page in story.pages)
    assert any("/audit" in page for page in story.pages)
    assert {page: status for page, status in story.pages.items() if status >= 500} == {}


def test_no_planted_secret_is_found_anywhere(story: Story) -> None:
    assert [
        (what, where)
        for what, secret in story.planted.items()
        for where, text in story.places.items()
        if found(secret, text)
    ] == []


def test_no_access_token_is_found_anywhere(story: Story) -> None:
    assert [where for where, text in story.places.items() if TOKEN.search(text)] == []


def test_nothing_that_looks_like_a_private_key(story: Story) -> None:
    assert [where for where, text in story.places.items() if b"PRIVATE KEY" in text] == []
