"""IMAP, POP3 and submission against Dovecot, signed in with XOAUTH2 tokens of the lab, which it asks about each."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from postroom.mail.envelope import Envelope
from postroom.microsoft.answers import Refused, Service, Step
from postroom.transports.base import (
    Accepted,
    ImapRoute,
    Marker,
    OAuth,
    Password,
    PopRoute,
    Security,
    SmtpRoute,
)
from postroom.transports.folders import SENT
from postroom.transports.opening import open_reader, open_sender

from .conftest import STRANGER, Dovecot, Issuer, Relay

MESSAGE = (
    b"From: Ann <ann@contoso.test>\r\nTo: bob@contoso.test\r\nSubject: x\r\nMessage-ID: <%s@contoso.test>\r\n"
    b"Content-Type: multipart/signed; boundary=b\r\n\r\n--b\r\n\r\n.dot\r\ntrailing \xff  \r\n\r\n--b--\r\n"
)


@pytest.fixture
def user(issuer: Issuer) -> str:
    """A mailbox that nobody has used, and that the lab's application may open."""
    return issuer.unused.pop()


@pytest.fixture
def oauth(user: str, issuer: Issuer) -> OAuth:
    return issuer.sign_in(user, issuer.lab.token())


def numbered(number: int) -> bytes:
    return MESSAGE % str(number).encode()


async def deliver(dovecot: Dovecot, user: str, *numbers: int) -> None:
    for number in numbers:
        await asyncio.to_thread(dovecot.deliver, user, numbered(number))


@pytest.mark.parametrize(("service", "security"), [("IMAPS", Security.TLS), ("IMAP", Security.STARTTLS)])
async def test_imap_reads(service: str, security: Security, dovecot: Dovecot, user: str, oauth: OAuth) -> None:
    await deliver(dovecot, user, 1, 2, 3)
    reader = open_reader(ImapRoute(dovecot.endpoint(service, security), oauth))
    assert (await reader.open()).messages == 3
    first = await reader.list(Marker(), limit=2)
    assert [item.seen for item in first.items] == [False, False]
    raw = await reader.fetch(first.items[0].uid)
    assert raw.endswith(numbered(1))
    assert first.items[0].size == len(raw)
    await deliver(dovecot, user, 4)
    rest = await reader.list(first.marker)
    assert [(await reader.fetch(item.uid))[-len(numbered(3)) :] for item in rest.items] == [numbered(3), numbered(4)]
    assert [item.uid for item in await reader.newest(1)] == [rest.items[-1].uid]
    assert [item.seen for item in await reader.newest()] == [False] * 4
    await reader.close()


async def test_imap_marks_moves_deletes_and_finds(dovecot: Dovecot, user: str, oauth: OAuth) -> None:
    await deliver(dovecot, user, 1, 2, 3)
    reader = open_reader(ImapRoute(dovecot.endpoint("IMAPS", Security.TLS), oauth))
    await reader.open()
    one, two, three = (await reader.list(Marker())).items
    await reader.mark_seen(one.uid)
    await reader.move(two.uid, "Done")
    await reader.move(three.uid, "Sent Items")
    assert [(item.uid, item.seen) for item in await reader.newest()] == [(one.uid, True)]
    assert len(await reader.find("<2@contoso.test>", "Done")) == 1
    assert len(await reader.find("<3@contoso.test>", SENT)) == 1
    assert await reader.find("<3@contoso.test>") == []
    await reader.delete(one.uid)
    assert await reader.newest() == []
    await reader.close()


async def test_imap_idle_wakes(dovecot: Dovecot, user: str, oauth: OAuth) -> None:
    reader = open_reader(ImapRoute(dovecot.endpoint("IMAPS", Security.TLS), oauth))
    await reader.open()
    listing = await reader.list(Marker())
    waiting = asyncio.create_task(reader.wait(60))
    await deliver(dovecot, user, 1)
    assert await waiting is True
    assert len((await reader.list(listing.marker)).items) == 1
    await reader.close()


async def test_imap_after_a_refused_token_a_new_one(dovecot: Dovecot, user: str, issuer: Issuer) -> None:
    oauth = issuer.sign_in(user, "stale", issuer.lab.token())
    reader = open_reader(ImapRoute(dovecot.endpoint("IMAPS", Security.TLS), oauth))
    assert (await reader.open()).messages == 0
    await reader.close()


ROUTES: list[tuple[Any, str, Security]] = [
    (ImapRoute, "IMAPS", Security.TLS),
    (PopRoute, "POP3S", Security.TLS),
    (SmtpRoute, "SUBMISSION", Security.STARTTLS),
]


@pytest.mark.parametrize(("route", "service", "security"), ROUTES)
@pytest.mark.parametrize("which", ["bad token", "token for Graph", "another's mailbox"])
async def test_refused_sign_in(
    route: Any, service: str, security: Security, which: str, dovecot: Dovecot, user: str, issuer: Issuer
) -> None:
    good = issuer.lab.token()
    wrong = {
        "bad token": issuer.sign_in(user, "bad"),
        "token for Graph": issuer.sign_in(user, issuer.lab.token("https://graph.microsoft.com")),
        "another's mailbox": issuer.sign_in(STRANGER, good),
    }
    oauth = wrong[which]
    opened = (open_sender if route is SmtpRoute else open_reader)(route(dovecot.endpoint(service, security), oauth))
    with pytest.raises(Refused) as caught:
        await opened.open()
    await opened.close()
    answer = caught.value.answer
    assert answer.step is Step.SIGN_IN
    assert (answer.service, answer.code) in {(Service.IMAP, "NO"), (Service.POP3, "-ERR"), (Service.SMTP, "535")}


@pytest.mark.parametrize(("route", "service", "security"), ROUTES)
async def test_password(route: Any, service: str, security: Security, dovecot: Dovecot, user: str) -> None:
    endpoint = dovecot.endpoint(service, security)
    opened = (open_sender if route is SmtpRoute else open_reader)(route(endpoint, Password(user, "pass-word")))
    await opened.open()
    await opened.close()


async def test_pop3_reads_and_deletes(dovecot: Dovecot, user: str, oauth: OAuth) -> None:
    await deliver(dovecot, user, 1, 2)
    reader = open_reader(PopRoute(dovecot.endpoint("POP3S", Security.TLS), oauth))
    assert (await reader.open()).messages == 2
    first = await reader.list(Marker(), limit=1)
    raw = await reader.fetch(first.items[0].uid)
    assert raw.endswith(numbered(1))
    assert first.items[0].size == len(raw)
    assert len(await reader.find("<2@contoso.test>")) == 1
    await deliver(dovecot, user, 3)
    rest = await reader.list(first.marker)
    assert len(rest.items) == 2
    await reader.delete(first.items[0].uid)
    assert [item.uid for item in await reader.newest()] == [item.uid for item in rest.items][::-1]
    await reader.close()


async def test_submission(dovecot: Dovecot, user: str, oauth: OAuth, relay: tuple[Relay, int]) -> None:
    sender = open_sender(SmtpRoute(dovecot.endpoint("SUBMISSION", Security.STARTTLS), oauth))
    recipients = ("bob@contoso.test", f"hidden-{user}")
    for number in (1, 2):
        assert isinstance(await sender.send(Envelope(user, recipients), numbered(number)), Accepted)
    await sender.close()
    taken = [envelope for envelope in relay[0].taken if envelope.mail_from == user]
    assert [tuple(envelope.rcpt_tos) for envelope in taken] == [recipients, recipients]
    for number, envelope in enumerate(taken, 1):
        assert envelope.content is not None
        assert bytes(envelope.content).endswith(numbered(number))  # below the Received that Dovecot adds
