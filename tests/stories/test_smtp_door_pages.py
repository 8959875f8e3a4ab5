"""Apps and ports in the console: made, shown once, warned about, and only by those who may."""

from __future__ import annotations

import re
import smtplib
from collections.abc import Iterator

import pytest

from support.door import HOST, free_port, waited
from support.postroom import Postroom, RunningPostroom, Visitor

from .conftest import House


@pytest.fixture(scope="module")
def served(postroom: Postroom) -> Iterator[RunningPostroom]:
    with RunningPostroom(postroom) as running:
        yield running


@pytest.fixture(scope="module")
def admin(served: RunningPostroom) -> Iterator[Visitor]:
    with served.signed_in() as visitor:
        yield visitor


def fields(**more: str) -> dict[str, str]:
    """A port's form as the browser would send it."""
    return {
        "name": "devices", "address": "127.0.0.1", "mode": "plain", "networks": "127.0.0.0/8", "enabled": "on",
        "message_size": "1000000", "recipients": "10", "connections": "10", "connections_each": "5",
        "tls_minimum": "1.2", "login_prompts": "common", "longest_line": "998",
    } | more  # fmt: skip


def test_an_app_is_made_and_its_secret_works(house: House, admin: Visitor) -> None:
    mailbox = house.add("Paper")
    assert "No app yet" in admin.get("/programs/apps").text
    port = free_port()
    opened = admin.post("/programs/ports/new", **fields(port=str(port)))
    assert opened.url.path == "/programs/ports"
    assert "No TLS: secrets and messages cross the network in clear." in opened.text

    refused = admin.post("/programs/apps/new", name="Bad name!", enabled="on", senders="nobody")
    assert refused.status_code == 422
    assert "characters that old devices cannot type" in refused.text
    assert "is neither an address nor a pattern" in refused.text
    assert "names none; choose at least one mailbox" in refused.text.lower()

    made = admin.post("/programs/apps/new", name="Paper", enabled="on", mailboxes=str(mailbox["id"]))
    secret = re.search(r'<pre id="secret">([a-z2-7]{26})</pre>', made.text)
    assert secret
    assert f"port {port}" in made.text
    waited(lambda: signs_in(port, secret[1]))
    listed = admin.get("/programs/apps").text
    assert f"…{secret[1][-4:]}" in listed
    assert secret[1] not in listed

    (app_id,) = set(re.findall(r"/programs/apps/(\d+)/rotate", listed))
    rotated = admin.post_from("/programs/apps", f"/programs/apps/{app_id}/rotate")
    new = re.search(r'<pre id="secret">([a-z2-7]{26})</pre>', rotated.text)
    assert new
    assert signs_in(port, secret[1])
    assert signs_in(port, new[1])
    gone = admin.post_from("/programs/apps", f"/programs/apps/{app_id}/remove")
    assert "No app yet" in gone.text
    waited(lambda: not signs_in(port, new[1]))


def test_exceptions_are_loud_and_too_much_is_refused(house: House, admin: Visitor) -> None:
    mailbox = house.add("Old devices")
    wide = fields(name="old", port=str(free_port()), networks="0.0.0.0/0", open_networks="0.0.0.0/0")
    refused = admin.post("/programs/ports/new", **wide)
    assert refused.status_code == 422
    assert "too wide to name anybody" in refused.text
    assert "need a mailbox" in refused.text.lower()
    loud = fields(
        name="old", port=str(free_port()), mode="starttls", tls_minimum="1.0", open_networks="10.1.2.0/24",
        open_mailbox=str(mailbox["id"]), fill_in_to="on", mend_names="on", login_prompts="draft", longest_line="5000",
    )  # fmt: skip
    shown = admin.post("/programs/ports/new", **loud).text
    for warning in (
        "TLS 1.0 is taken",
        "No sign-in from 10.1.2.0/24",
        "every recipient sees",
        "Display names",
        "5,000",
    ):
        assert warning in shown


def test_a_reader_sees_and_changes_nothing(served: RunningPostroom, house: House) -> None:
    with served.signed_in("reader@contoso.example", "reader") as reader:
        for path in ("/programs/apps", "/programs/ports"):
            page = reader.get(path)
            assert page.status_code == 200
            assert "Add a" not in page.text
        for path in ("/programs/apps/new", "/programs/ports/new"):
            assert reader.get(path).status_code == 403


def signs_in(port: int, secret: str) -> bool:
    try:
        with smtplib.SMTP(HOST, port, timeout=30) as client:
            client.login("paper", secret)
            return True
    except (OSError, smtplib.SMTPException):
        return False
