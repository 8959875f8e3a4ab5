"""Real mail through a mailbox: send, look at the folder, read one message. The proof goes the very same way.

`send`, `inbox` and `read` block, and are for commands and pages; they must not be called from an event loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar
from uuid import uuid4

from postroom.accounts import audit
from postroom.accounts.audit import Actor
from postroom.core.clock import now
from postroom.core.faults import Fault, Invalid
from postroom.mail.adapt import Wishes, adapt
from postroom.mail.addresses import Address
from postroom.mail.compose import CannotCompose, Draft, compose
from postroom.mail.envelope import Envelope
from postroom.mail.message import Message
from postroom.mailboxes import connect, service
from postroom.mailboxes.connect import Ready
from postroom.mailboxes.rules import needed_roles
from postroom.mailboxes.token_source import token_source
from postroom.mailboxes.values import Effective
from postroom.microsoft.answers import Answer, Refused
from postroom.microsoft.errors import Diagnosis, Evidence, explain
from postroom.transports.base import (
    Accepted,
    Item,
    Observer,
    Reader,
    ReadRoute,
    Rejected,
    SendResult,
    SendRoute,
    nobody,
)
from postroom.transports.opening import open_reader, open_sender

_T = TypeVar("_T")


class MailFault(Fault):
    """The mail server refused, or was not reached; `diagnosis` names the cause."""

    def __init__(self, diagnosis: Diagnosis) -> None:
        fix = f"{diagnosis.fix} {diagnosis.command}".strip()
        super().__init__(diagnosis.cause, fix)
        self.diagnosis = diagnosis


@dataclass(frozen=True, slots=True)
class SentReport:
    """What became of one message."""

    message_id: str
    """Ours, with angle brackets."""
    server_message_id: str
    """The one the server gave it, where it said so; "" otherwise."""
    recipients: tuple[str, ...]
    result: SendResult
    diagnosis: Diagnosis | None
    """Why it was not taken, or not by all; None when all is well."""

    @property
    def sent(self) -> bool:
        return isinstance(self.result, Accepted)


@dataclass(frozen=True, slots=True)
class InboxEntry:
    """One line of the list of messages."""

    uid: str
    sender: str
    subject: str
    date: datetime | None
    size: int
    seen: bool


def sender_of(whole: Effective) -> Address:
    """The From of mail that names none."""
    return Address(whole.sender, whole.display_name)


def send(mailbox_id: int, message: Draft | bytes, by: Actor, *, envelope: Envelope | None = None) -> SentReport:
    """Sends now, and waits for the answer. Bytes go out as they are, to `envelope`.

    Raises `NotFound`, `Invalid` for a message that cannot be sent, `Fault` for a mailbox that is not ready. What the
    server refuses comes back in the report.
    """
    mailbox = service.get(mailbox_id)
    if not mailbox.enabled:
        raise Fault(f"the mailbox {mailbox.name!r} is switched off", f"postroom mailbox enable {mailbox.name!r}")
    prepared = connect.ready(mailbox)
    route = connect.send_route(prepared)
    final, raw = prepare(prepared.whole, message, envelope)
    result = asyncio.run(hand_over(route, final, raw))
    report = report_of(prepared, final, raw, result)
    detail = {"message_id": report.message_id, "recipients": len(final.recipients), "sent": report.sent}
    if report.diagnosis is not None:
        detail["fault"] = report.diagnosis.fault.id
    audit.record(by, "mail.sent" if report.sent else "mail.refused", mailbox.name, detail)
    return report


def inbox(mailbox_id: int, limit: int = 50) -> list[InboxEntry]:
    """The newest messages of the mailbox's folder, newest first. Raises `NotFound`, `Fault`, `MailFault`."""

    async def look(reader: Reader) -> list[InboxEntry]:
        return [_entry(item, await reader.fetch(item.uid)) for item in await reader.newest(limit)]

    return _reading(mailbox_id, look)


def read(mailbox_id: int, uid: str) -> Message:
    """One message, left as it is on the server. Raises `NotFound`, `Fault`, `MailFault`."""

    async def fetch(reader: Reader) -> Message:
        return Message(await reader.fetch(uid))

    return _reading(mailbox_id, fetch)


def prepare(whole: Effective, message: Draft | bytes, envelope: Envelope | None = None) -> tuple[Envelope, bytes]:
    """The message as it goes out, with what the mailbox's configuration asks for. Raises `Invalid`."""
    moment, message_id = now(), new_message_id(whole.address)
    if isinstance(message, bytes):
        if envelope is None:
            raise Invalid({"to": ["a ready message needs its recipients; give at least one address"]})
        raw = message
    else:
        envelope = envelope or message.envelope
        try:
            raw = compose(message, message_id, moment)
        except CannotCompose as error:
            raise Invalid({error.field.lower(): [str(error)]}) from None
    if not envelope.recipients:
        raise Invalid({"to": ["names nobody; give at least one address in To, Cc or Bcc"]})
    wishes = Wishes(sender_of(whole), whole.subject_prefix, whole.copies_to)
    final, raw = adapt(envelope, raw, wishes, message_id, moment)
    if whole.message_size is not None and len(raw) > whole.message_size:
        raise Invalid(
            {
                "message": [
                    f"is {len(raw):,} bytes; this mailbox takes up to {whole.message_size:,}: send a link instead"
                ]
            }
        )
    return final, raw


async def hand_over(route: SendRoute, envelope: Envelope, message: bytes, observer: Observer = nobody) -> SendResult:
    """Exactly these bytes to exactly these recipients, over one connection. What is refused comes back as a value."""
    sender = open_sender(route, observer)
    try:
        return await sender.send(envelope, message)
    except Refused as refused:
        return Rejected(refused.answer)
    finally:
        await sender.close()


def report_of(prepared: Ready, envelope: Envelope, message: bytes, result: SendResult) -> SentReport:
    """The result with its explanation."""
    return SentReport(
        message_id=Message(message).message_id,
        server_message_id=result.message_id if isinstance(result, Accepted) else "",
        recipients=envelope.recipients,
        result=result,
        diagnosis=_diagnosis(prepared, result),
    )


def new_message_id(address: str) -> str:
    """Unique, in the domain of the mailbox (RFC 5322 section 3.6.4)."""
    return f"<{uuid4().hex}@{address.rpartition('@')[2] or 'localhost'}>"


def _reading(mailbox_id: int, work: Callable[[Reader], Awaitable[_T]]) -> _T:
    mailbox = service.get(mailbox_id)
    if not mailbox.enabled:
        raise Fault(f"the mailbox {mailbox.name!r} is switched off", f"postroom mailbox enable {mailbox.name!r}")
    prepared = connect.ready(mailbox)
    route = connect.read_route(prepared)
    try:
        return asyncio.run(_with_reader(route, work))
    except Refused as refused:
        raise MailFault(explain_reading(prepared, refused.answer)) from None


async def _with_reader(route: ReadRoute, work: Callable[[Reader], Awaitable[_T]]) -> _T:
    reader = open_reader(route)
    try:
        await reader.open()
        return await work(reader)
    finally:
        await reader.close()


def _entry(item: Item, raw: bytes) -> InboxEntry:
    message = Message(raw)
    sender = message.sender
    return InboxEntry(item.uid, str(sender or ""), message.subject, message.date, item.size or len(raw), item.seen)


def _diagnosis(prepared: Ready, result: SendResult) -> Diagnosis | None:
    answer = next(iter(result.refused.values()), None) if isinstance(result, Accepted) else result.answer
    return None if answer is None else explain_sending(prepared, answer)


def explain_sending(prepared: Ready, answer: Answer) -> Diagnosis:
    """What an answer means that was given to this mailbox's mail. May block: not for an event loop."""
    return explain(answer, _evidence(prepared, prepared.whole.send_by))


def explain_reading(prepared: Ready, answer: Answer) -> Diagnosis:
    """What an answer means that came when this mailbox was read. May block: not for an event loop."""
    return explain(answer, _evidence(prepared, prepared.whole.read_by))


def _evidence(prepared: Ready, by: str) -> Evidence:
    """With the claims of the token at hand: asking the source again costs nothing, it keeps tokens and refusals."""
    claims = None
    if prepared.identity is not None:
        with suppress(Refused):
            claims = token_source().get(prepared.identity, connect.resource(prepared.whole, by)).claims
    roles = needed_roles(by, to_send=by == prepared.whole.send_by)
    return connect.evidence(prepared, claims, roles=roles)
