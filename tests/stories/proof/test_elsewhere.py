"""Rows of the error catalogue that no proof comes by, each provoked by real mail at the lab, or at another server."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from aiosmtpd.smtp import AuthResult

from postroom.core.clock import now
from postroom.mail.addresses import Address
from postroom.mail.compose import Draft
from postroom.mail.envelope import Envelope
from postroom.mailboxes import connect, credentials, mailing, service
from postroom.mailboxes.connect import Ready
from postroom.mailboxes.models import Mailbox
from postroom.microsoft.answers import Answer, Refused, Step
from postroom.microsoft.catalogue import Kind
from postroom.microsoft.errors import Diagnosis, explain
from postroom.transports.base import GraphRoute, Marker, Reader, Rejected, nobody
from postroom.transports.graph_http import GraphClient
from postroom.transports.opening import open_reader, open_sender

from . import otherservers
from .conftest import BY, PERSON, World

GRAPH = {"provider": "microsoft-365-graph"}
PASSWORD = "correct horse battery staple"


class Provoked(NamedTuple):
    """A row, one phrase on how it is provoked, and the deed."""

    fault: str
    how: str
    provoke: Callable[[World], Diagnosis]


# how mail goes -----------------------------------------------------------------------------------------------


def sent(mailbox: Mailbox, text: str = "Body") -> Diagnosis:
    """Why a message of this mailbox was not taken."""
    sender = mailing.sender_of(service.effective(mailbox))
    report = mailing.send(mailbox.pk, Draft(sender, to=(Address(PERSON),), subject="Hello", text=text), BY)
    assert not report.sent
    assert report.diagnosis is not None
    return report.diagnosis


def looked(mailbox: Mailbox, uid: str = "") -> Diagnosis:
    """Why the folder could not be listed, or the message not be read."""
    with pytest.raises(mailing.MailFault) as caught:
        mailing.read(mailbox.pk, uid) if uid else mailing.inbox(mailbox.pk)
    return caught.value.diagnosis


def refusal(prepared: Ready, work: Callable[[Reader], Awaitable[object]]) -> Answer:
    """The answer with which this work on the open folder ends."""

    async def run() -> None:
        reader = open_reader(connect.read_route(prepared))
        try:
            await reader.open()
            await work(reader)
        finally:
            await reader.close()

    with pytest.raises(Refused) as caught:
        asyncio.run(run())
    return caught.value.answer


def by_its_words_alone(mailbox: Mailbox, diagnosis: Diagnosis) -> Diagnosis:
    """The same answer explained with what was typed in, and nothing that was seen."""
    return explain(diagnosis.answer, connect.evidence(connect.ready(mailbox)))


def elsewhere(world: World, port: int, **differences: Any) -> Mailbox:
    """A mailbox that sends by another server, with a password."""
    values = {"provider": "other", "smtp_host": "localhost", "smtp_port": port, "read_inbox": False}
    mailbox = world.mailbox(**values | {"sign_in_by": "password"} | differences)
    if mailbox.sign_in_by == "password":
        credentials.add(mailbox, "password", PASSWORD, None, BY)
    return mailbox


# the way there -----------------------------------------------------------------------------------------------


def silent_server(world: World) -> Diagnosis:
    with otherservers.silent() as port:
        prepared = connect.ready(elsewhere(world, port))
        route = connect.send_route(prepared)
        hasty = replace(route, endpoint=replace(route.endpoint, timeout=0.2))
        result = asyncio.run(mailing.hand_over(hasty, Envelope(world.address, (PERSON,)), b"Subject: x\r\n\r\nx\r\n"))
    assert isinstance(result, Rejected)
    return mailing.explain_sending(prepared, result.answer)


def without_starttls(world: World) -> Diagnosis:
    with otherservers.smtp() as port:
        return sent(elsewhere(world, port))


def switched_off_before_the_rule(world: World) -> Diagnosis:
    """Such a mailbox cannot be saved; a table from elsewhere may hold one. 0.0.0.0 leads here, but nobody knows."""
    with otherservers.smtp() as port:
        mailbox = elsewhere(world, port, smtp_host="0.0.0.0")
        Mailbox.objects.filter(pk=mailbox.pk).update(smtp_security="none")
        return sent(service.get(mailbox.pk))


def expired_certificate(world: World) -> Diagnosis:
    trusted = world.home / "trusted.pem"
    trusted.write_bytes(Path(world.lab.ca_file).read_bytes())
    with otherservers.smtp(ssl_context=otherservers.expired_certificate(trusted, now())) as port:
        world.cloud(ca_file=str(trusted), smtp_host="localhost", smtp_port=port)
        return sent(world.mailbox(smtp_security="tls"))


def nothing_in_common(world: World) -> Diagnosis:
    with otherservers.null_ciphers(world.home, now()) as port:
        return sent(elsewhere(world, port, smtp_security="tls"))


# signing in --------------------------------------------------------------------------------------------------


def unknown_to_exchange(world: World, **differences: Any) -> Mailbox:
    world.lab.control("DELETE", f"/exchange/principals/{world.principal}")
    return world.mailbox(**differences)


def smtp_refused(world: World) -> Diagnosis:
    mailbox = unknown_to_exchange(world)
    return by_its_words_alone(mailbox, sent(mailbox))


def imap_refused(world: World) -> Diagnosis:
    mailbox = unknown_to_exchange(world)
    return by_its_words_alone(mailbox, looked(mailbox))


def pop_refused(world: World) -> Diagnosis:
    mailbox = unknown_to_exchange(world, read_by="pop3")
    return by_its_words_alone(mailbox, looked(mailbox))


def imap_not_connected(world: World) -> Diagnosis:
    world.lab.control("DELETE", f"/mailboxes/{world.address}/rights/full-access/{world.principal}")
    return looked(world.mailbox())


def graph_denied(world: World) -> Diagnosis:
    world.revoke("Mail.Send", resource="graph")
    mailbox = world.mailbox(**GRAPH)
    return by_its_words_alone(mailbox, sent(mailbox))


def graph_scoped_elsewhere(world: World) -> Diagnosis:
    """RBAC for Applications: the role is for Megan's mailbox, and no token carries it."""
    world.revoke("Mail.Send", "Mail.Read", "Mail.ReadWrite", resource="graph")
    scope = {"name": "Support", "app_id": world.application, "role": "Mail.Send", "members": [PERSON]}
    world.lab.control("POST", "/exchange/scopes", scope)
    mailbox = world.mailbox(**GRAPH)
    assert mailbox.application is not None
    type(mailbox.application).objects.update(scoped_roles=["Mail.Send"])
    return sent(service.get(mailbox.pk))


def graph_token_ended(world: World) -> Diagnosis:
    world.fault("token-short", seconds=-60)
    return sent(world.mailbox(**GRAPH))


def wrong_password(world: World) -> Diagnosis:
    def nobody_comes_in(*_: object) -> AuthResult:
        return AuthResult(success=False, handled=False)

    with otherservers.smtp(authenticator=nobody_comes_in, auth_require_tls=False) as port:
        return sent(elsewhere(world, port, smtp_security="none"))


# sending -----------------------------------------------------------------------------------------------------


def thirty_one_in_a_minute(world: World) -> Diagnosis:
    world.lab.control("PATCH", "/limits", {"pace_refuses": True})
    prepared = connect.ready(world.mailbox())

    async def run() -> list[object]:
        sender = open_sender(connect.send_route(prepared))
        envelope = Envelope(world.address, (PERSON,))
        head = f"From: {world.address}\r\nTo: {PERSON}\r\n".encode()
        try:
            return [await sender.send(envelope, head + b"Subject: %d\r\n\r\nBody\r\n" % n) for n in range(31)]
        finally:
            await sender.close()

    *_, before, last = asyncio.run(run())
    assert not isinstance(before, Rejected)
    assert isinstance(last, Rejected)
    return mailing.explain_sending(prepared, last.answer)


def a_fourth_connection(world: World) -> Diagnosis:
    prepared = connect.ready(world.mailbox())
    envelope = Envelope(world.address, (PERSON,))
    message = f"From: {world.address}\r\nTo: {PERSON}\r\n\r\nBody\r\n".encode()

    async def run() -> list[object]:
        senders = [open_sender(connect.send_route(prepared)) for _ in range(4)]
        try:
            return [await sender.send(envelope, message) for sender in senders]
        finally:
            for sender in senders:
                await sender.close()

    *_, third, fourth = asyncio.run(run())
    assert not isinstance(third, Rejected)
    assert isinstance(fourth, Rejected)
    return mailing.explain_sending(prepared, fourth.answer)


def address_beyond_ascii(world: World) -> Diagnosis:
    with otherservers.smtp(enable_SMTPUTF8=False) as port:
        mailbox = elsewhere(world, port, smtp_security="none", sign_in_by="none")
        message = f"From: {world.address}\r\nTo: jose@example.org\r\n\r\nBody\r\n".encode()
        envelope = Envelope(world.address, ("jos\u00e9@example.org",))
        diagnosis = mailing.send(mailbox.pk, message, BY, envelope=envelope).diagnosis
    assert diagnosis is not None
    return diagnosis


def graph_request_too_large(world: World) -> Diagnosis:
    world.lab.control("PATCH", "/limits", {"graph_request_size": 1000})
    return sent(world.mailbox(**GRAPH), text="x" * 2000)


def graph_message_too_large(world: World) -> Diagnosis:
    world.lab.control("PATCH", "/limits", {"message_size": 1000})
    return sent(world.mailbox(**GRAPH), text="x" * 2000)


def graph_message_in_one_piece(world: World) -> Diagnosis:
    """Text cannot be taken out of a message and uploaded piece by piece."""
    return sent(world.mailbox(**GRAPH), text="x" * 70 + "\n" * 4_000_000)


# reading -----------------------------------------------------------------------------------------------------


def past_the_tokens_end(world: World, **differences: Any) -> Diagnosis:
    world.lab.control("POST", f"/mailboxes/{world.address}/messages", {"subject": "There"})
    prepared = connect.ready(world.mailbox(**differences))

    async def go_on(reader: Reader) -> None:
        (item,) = await reader.newest()
        await asyncio.to_thread(world.lab.control, "PUT", "/clock", {"skew": 7200})
        await reader.fetch(item.uid)

    return mailing.explain_reading(prepared, refusal(prepared, go_on))


def deleted_meanwhile(world: World, **differences: Any) -> Diagnosis:
    world.lab.control("POST", f"/mailboxes/{world.address}/messages", {"subject": "Soon gone"})
    mailbox = world.mailbox(**differences)
    (entry,) = mailing.inbox(mailbox.pk)
    world.lab.control("DELETE", f"/mailboxes/{world.address}/messages")
    return looked(mailbox, entry.uid)


def followed_a_month_later(world: World) -> Diagnosis:
    """The reader itself starts over, so the answer is asked for where the reader asks it."""
    prepared = connect.ready(world.mailbox(**GRAPH))
    route = connect.read_route(prepared)
    assert isinstance(route, GraphRoute)

    async def follow(after: Marker) -> tuple[Marker, bool]:
        reader = open_reader(route)
        try:
            await reader.open()
            listing = await reader.list(after)
            return listing.marker, listing.restarted
        finally:
            await reader.close()

    async def ask(link: str) -> None:
        client = GraphClient(route, nobody)
        try:
            await client.request("GET", link, Step.READ)
        finally:
            await client.close()

    marker, _ = asyncio.run(follow(Marker()))
    world.lab.control("PUT", "/clock", {"skew": 31 * 86_400})
    with pytest.raises(Refused) as caught:
        asyncio.run(ask(marker.value))
    assert asyncio.run(follow(marker))[1]
    return mailing.explain_reading(prepared, caught.value.answer)


def directory_of_the_tenant(world: World) -> Diagnosis:
    """With the token of a mailbox's application, which may read mail and nothing else."""
    prepared = connect.ready(world.mailbox(**GRAPH))
    route = connect.read_route(prepared)
    assert isinstance(route, GraphRoute)

    async def ask() -> None:
        client = GraphClient(route, nobody)
        try:
            await client.request("GET", f"{client.root}/applications", Step.SET_UP)
        finally:
            await client.close()

    with pytest.raises(Refused) as caught:
        asyncio.run(ask())
    return mailing.explain_reading(prepared, caught.value.answer)


def marker_with_an_odd_query(world: World) -> Diagnosis:
    prepared = connect.ready(world.mailbox(**GRAPH))
    odd = f"{world.lab.cloud['graph']}/v1.0/users/{world.address}/mailFolders/inbox/messages/delta?$search=x"
    return mailing.explain_reading(prepared, refusal(prepared, lambda reader: reader.list(Marker(odd))))


ROWS = [
    Provoked("network-timeout", "a server that takes the connection and says nothing", silent_server),
    Provoked("tls-not-offered", "another SMTP server, which has no STARTTLS", without_starttls),
    Provoked("tls-switched-off", "a stored mailbox without TLS, to no loopback name", switched_off_before_the_rule),
    Provoked("certificate-time", "a server whose certificate ended a month ago", expired_certificate),
    Provoked("tls-failed", "a server that has no cipher but NULL", nothing_in_common),
    Provoked("smtp-sign-in-refused", "service principal unknown, and no look at the token", smtp_refused),
    Provoked("imap-sign-in-refused", "service principal unknown, and no look at the token", imap_refused),
    Provoked("pop-sign-in-refused", "service principal unknown, and no look at the token", pop_refused),
    Provoked("imap-not-connected", "FullAccess taken away, outside of a proof", imap_not_connected),
    Provoked("graph-access-denied", "Mail.Send taken away, and no look at the token", graph_denied),
    Provoked("graph-out-of-scope", "a scope of RBAC for Applications on another mailbox", graph_scoped_elsewhere),
    Provoked("graph-token-refused", "tokens that have ended when they come, also the second", graph_token_ended),
    Provoked("smtp-password-refused", "another SMTP server, which knows nobody", wrong_password),
    Provoked("smtp-too-fast", "31 messages in a minute, the lab refusing the pace", thirty_one_in_a_minute),
    Provoked("smtp-too-many-connections", "a fourth connection beside three", a_fourth_connection),
    Provoked("smtp-characters-not-taken", "a recipient beyond ASCII, a server without SMTPUTF8", address_beyond_ascii),
    Provoked("graph-too-large", "a request larger than the lab's limit", graph_request_too_large),
    Provoked("graph-too-large", "a message larger than the lab's limit", graph_message_too_large),
    Provoked("graph-too-large", "more than 4 MB of text in one piece", graph_message_in_one_piece),
    Provoked("session-token-expired", "an IMAP session past its token's end", past_the_tokens_end),
    Provoked(
        "session-token-expired",
        "a POP session past its token's end",
        lambda world: past_the_tokens_end(world, read_by="pop3"),
    ),
    Provoked("message-gone", "a message deleted between listing and reading (IMAP)", deleted_meanwhile),
    Provoked(
        "message-gone",
        "a message deleted between listing and reading (POP)",
        lambda world: deleted_meanwhile(world, read_by="pop3"),
    ),
    Provoked(
        "graph-item-missing",
        "a message deleted between listing and reading",
        lambda world: deleted_meanwhile(world, **GRAPH),
    ),
    Provoked(
        "graph-directory-denied", "the tenant's applications asked for, with a mailbox's token", directory_of_the_tenant
    ),
    Provoked("graph-request-refused", "a marker whose query Graph does not know", marker_with_an_odd_query),
    Provoked("graph-sync-lost", "a folder followed again after 31 days of the lab's clock", followed_a_month_later),
]


@pytest.mark.parametrize("row", ROWS, ids=[f"{number:02}-{row.fault}" for number, row in enumerate(ROWS)])
def test_one_cause_is_named(world: World, row: Provoked) -> None:
    diagnosis = row.provoke(world)
    assert diagnosis.fault.id == row.fault, diagnosis.evidence
    assert diagnosis.kind is diagnosis.fault.kind
    assert isinstance(diagnosis.kind, Kind)
    assert diagnosis.cause
    assert diagnosis.fix
    for told in (diagnosis.cause, diagnosis.fix, diagnosis.command):
        assert "{" not in told
        assert "<" not in told, "a value that is known stands in no sentence"
