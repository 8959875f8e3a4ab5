"""Reports of failure to those who handed a message in by SMTP (RFC 3464), written with the outcome itself.

Other doors have better ways to tell: the receipt's id, events, pages.
"""

from __future__ import annotations

import socket

import structlog

from postroom.core.clock import now
from postroom.mail.addresses import Address
from postroom.mail.dsn import Outcome, Report, compose_report, status_of
from postroom.mail.envelope import Envelope
from postroom.mailboxes.mailing import new_message_id
from postroom.outbox import accept
from postroom.outbox.models import Message, Recipient
from postroom.outbox.values import Caller, Door, Refusal, State, Submission

_log = structlog.get_logger("postroom.outbox")
_CALLER = Caller("postroom")
_FULL = "FULL"


def report(message_id: int) -> None:
    """Adds a report on the recipients that will not get this message, in the transaction of the caller."""
    row = Message.objects.select_related("body").get(pk=message_id)
    if row.door != Door.SMTP or not row.sender or row.wishes.get("is_report"):
        return
    lost = [one for one in row.recipients.filter(state__in=[State.FAILED, State.EXPIRED]) if _wants(one)]
    if not lost:
        return
    accept.books().refresh()
    known = accept.books().choose(row.mailbox_id, "")
    address = known.whole.address if known.whole else row.sender
    raw = compose_report(_report(row, lost, address))
    submission = Submission(
        _CALLER, Door.SYSTEM, raw, Envelope("", (row.sender,)), mailbox=row.mailbox_id, is_report=True
    )
    try:
        accept.insert([accept.prepare(submission)])
    except Refusal as refusal:  # the outcome must be kept all the same
        _log.warning("a report of failure could not be made", message=message_id, why=str(refusal))


def _report(row: Message, lost: list[Recipient], address: str) -> Report:
    expired = row.state == State.EXPIRED
    cause = str(row.reason.get("cause") or "the server did not take it")
    return Report(
        sender=Address(address, "Mail delivery"),
        to=row.sender,
        message_id=new_message_id(address),
        date=now(),
        reporter=socket.gethostname() or "localhost",
        outcomes=[
            Outcome(
                one.address,
                "failed",
                status_of(one.answer, "4.4.7" if expired else "5.0.0"),  # 4.4.7: delivery time expired (RFC 3463)
                one.answer,
                one.original,
            )
            for one in lost
        ],
        explanation=f"Your message {row.message_id} was not sent to everybody: {cause} {row.reason.get('fix', '')}",
        arrived=row.created_at,
        original=bytes(row.body.raw),
        full=row.wishes.get("ret") == _FULL,
        envelope_id=str(row.wishes.get("envelope_id", "")),
    )


def _wants(one: Recipient) -> bool:
    """RFC 3461 section 4.1: failures are told unless the submitter said otherwise."""
    return not one.notify or "FAILURE" in one.notify.upper()
