"""`accept`: the one way into the outbox, for all doors. It answers when the message is on disk, or says why not.

First the checks (`checks.py`), which touch nothing; then the one writer of this process takes all who wait, writes
them in one transaction, and answers them (`group.py`).
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import cache

from django.db import DatabaseError, IntegrityError, connection, transaction

from postroom.core.clock import now
from postroom.core.faults import Invalid
from postroom.mail.compose import Draft
from postroom.mail.envelope import Envelope
from postroom.mail.headers import split
from postroom.mail.message import Message as View
from postroom.mailboxes import mailing
from postroom.mailboxes.values import Effective
from postroom.microsoft.limits import limit
from postroom.outbox import checks, wake
from postroom.outbox.books import Books
from postroom.outbox.group import GroupCommit
from postroom.outbox.ids import new_id
from postroom.outbox.models import Body, Message, Recipient
from postroom.outbox.values import Receipt, Refusal, State, Submission, Why

LIFETIME = timedelta(days=5)
"""RFC 5321 section 4.5.4.1: "at least 4-5 days"."""
_SHOWN = 255


@dataclass(frozen=True, slots=True)
class Prepared:
    """A message that passed all checks, as it will be kept."""

    row: Message
    raw: bytes
    recipients: tuple[Recipient, ...]

    @property
    def receipt(self) -> Receipt:
        return Receipt(
            self.row.pk,
            self.row.message_id,
            self.row.mailbox_id,
            tuple(recipient.address for recipient in self.recipients),
        )


def accept(submission: Submission) -> Receipt:
    """Keeps the message, and answers when it is on disk. Raises `Refusal`. Blocks: not for an event loop."""
    _refresh_books()
    return _submit(prepare(submission)).result()


async def accept_async(submission: Submission) -> Receipt:
    """`accept` for an event loop. Raises `Refusal`."""
    if not books().fresh:
        await asyncio.to_thread(_refresh_books)
    return await asyncio.wrap_future(_submit(prepare(submission)))


def close() -> None:
    """Keeps what was handed in, and ends the writer; the next `accept` starts another."""
    _writer().close()
    _writer.cache_clear()


@cache
def books() -> Books:
    """The mailboxes as this process knows them."""
    return Books()


def _refresh_books() -> None:
    """Raises `Refusal` when the database does not answer: whoever hands in may try again."""
    try:
        books().refresh()
    except DatabaseError as error:
        raise _unavailable(error) from None


def prepare(submission: Submission) -> Prepared:
    """All checks, and the message as it will be sent, by the books as they are. Raises `Refusal`."""
    message, envelope = submission.message, submission.envelope
    author = message.sender.mailbox if isinstance(message, Draft) else _author(message)
    known = books().choose(submission.mailbox, author or (envelope.sender if envelope else ""))
    whole = known.whole
    assert whole is not None  # noqa: S101 - `choose` gives no other
    _insist(checks.check_mailbox(whole, known.enabled, known.id, submission.caller))
    if isinstance(message, bytes):
        _insist(checks.check_form(split(message), len(message), whole))
    final, raw = _final(whole, message, envelope)
    view = View(raw)
    _insist(checks.check_form(view.parts, len(raw), whole))
    _insist(checks.check_envelope(final, limit("smtp", "recipients_per_message").value))
    _insist(checks.check_senders(view, final, submission.caller))
    return _rows(submission, known.id, final, view)


def _author(message: bytes) -> str:
    sender = View(message).sender
    return sender.mailbox if sender else ""


def _insist(refusal: Refusal | None) -> None:
    if refusal is not None:
        raise refusal


def _final(whole: Effective, message: bytes | Draft, envelope: Envelope | None) -> tuple[Envelope, bytes]:
    try:
        return mailing.prepare(whole, message, envelope)
    except Invalid as error:
        field, faults = next(iter(error.errors.items()))
        why = {"to": Why.RECIPIENTS, "message": Why.TOO_LARGE}.get(field, Why.MALFORMED)
        raise Refusal(why, f"{field}: {faults[0]}", error.fix or "Correct it, and hand the message in again.") from None


def _rows(submission: Submission, mailbox_id: int, envelope: Envelope, view: View) -> Prepared:
    moment = now()
    new = new_id(moment)
    raw = checks.mark(view, new)
    expires_at = submission.expires_at or max(moment, submission.not_before or moment) + LIFETIME
    _insist(checks.check_times(moment, submission.not_before, expires_at))
    reports = submission.reports
    wishes = {"ret": reports.ret, "envelope_id": reports.envelope_id, "is_report": submission.is_report}
    sender = view.sender
    row = Message(
        id=new,
        mailbox_id=mailbox_id,
        submitter=submission.caller.name[:200],
        door=submission.door.value,
        origin=submission.caller.address,
        sender=envelope.sender,
        author=sender.mailbox[:320] if sender else "",
        state=State.QUEUED.value,
        priority=int(submission.priority),
        message_id=view.message_id[:998],
        subject=view.subject[:_SHOWN].replace("\0", ""),
        size=len(raw),
        recipient_count=len(envelope.recipients),
        idempotency_key=submission.idempotency_key[:200],
        digest=_digest(submission, mailbox_id) if submission.idempotency_key else "",
        template=submission.template,
        not_before=submission.not_before,
        next_attempt_at=max(moment, submission.not_before or moment),
        expires_at=expires_at,
        wishes={name: value for name, value in wishes.items() if value},
        created_at=moment,
    )
    recipients = tuple(
        Recipient(
            message_id=row.pk,
            address=address,
            notify=reports.notify.get(address, ""),
            original=reports.original.get(address, ""),
        )
        for address in dict.fromkeys(envelope.recipients)
    )
    return Prepared(row, raw, recipients)


def _digest(submission: Submission, mailbox_id: int) -> str:
    """Of what was handed in, not of what became of it: Message-ID and date differ each time."""
    envelope = submission.envelope
    said = [mailbox_id, envelope.sender if envelope else None, list(envelope.recipients) if envelope else None]
    message = submission.message if isinstance(submission.message, bytes) else repr(submission.message).encode()
    return hashlib.sha256(json.dumps(said).encode() + b"\0" + message).hexdigest()


# keeping ---------------------------------------------------------------------------------------------------------


@cache
def _writer() -> GroupCommit[Prepared, Receipt]:
    return GroupCommit("outbox-writer", _keep)


def _submit(prepared: Prepared) -> Future[Receipt]:
    return _writer().submit(prepared)


def _keep(group: Sequence[Prepared]) -> Sequence[Receipt | Exception]:
    """Runs in the writer's thread."""
    try:
        return _keep_together(group)
    except IntegrityError:
        # Another process took the same key, or the same id, at the same moment: one by one shows who.
        return [_keep_alone(one) for one in group]
    except DatabaseError as error:
        return [_unavailable(error)] * len(group)


def _keep_together(group: Sequence[Prepared]) -> list[Receipt | Exception]:
    with transaction.atomic():
        earlier = _earlier(group)
        results: list[Receipt | Exception] = []
        new: list[Prepared] = []
        for one in group:
            key = (one.row.submitter, one.row.idempotency_key)
            before = earlier.get(key) if one.row.idempotency_key else None
            if before is not None:
                results.append(_again(before, one))
                continue
            if one.row.idempotency_key:
                earlier[key] = one.row
            new.append(one)
            results.append(one.receipt)
        insert(new)
    return results


def insert(new: Sequence[Prepared]) -> None:
    """Adds these in the transaction of the caller."""
    Message.objects.bulk_create([one.row for one in new])
    Body.objects.bulk_create([Body(message_id=one.row.pk, raw=one.raw) for one in new])
    Recipient.objects.bulk_create([recipient for one in new for recipient in one.recipients])
    wake.tell({one.row.mailbox_id for one in new})


def _keep_alone(one: Prepared) -> Receipt | Exception:
    for _ in range(2):
        try:
            return _keep_together([one])[0]
        except IntegrityError:
            one = _renumbered(one)
        except DatabaseError as error:
            return _unavailable(error)
    return Refusal(Why.UNAVAILABLE, "the message could not be kept", "Hand it in again.")


def _renumbered(one: Prepared) -> Prepared:
    """With another id: its own was taken in the same millisecond."""
    fresh = new_id(one.row.created_at)
    raw = one.raw.replace(str(one.row.pk).encode(), str(fresh).encode(), 1)
    one.row.pk = fresh
    for recipient in one.recipients:
        recipient.message_id = fresh
    return replace(one, raw=raw)


def _earlier(group: Sequence[Prepared]) -> dict[tuple[str, str], Message]:
    """The messages that were accepted under the keys of this group."""
    wanted = {(one.row.submitter, one.row.idempotency_key) for one in group if one.row.idempotency_key}
    if not wanted:
        return {}
    found = Message.objects.filter(
        submitter__in={submitter for submitter, _ in wanted}, idempotency_key__in={key for _, key in wanted}
    ).exclude(idempotency_key="")
    return {(row.submitter, row.idempotency_key): row for row in found}


def _again(before: Message, one: Prepared) -> Receipt | Exception:
    if before.digest != one.row.digest:
        return Refusal(
            Why.CONFLICT,
            f"the idempotency key {before.idempotency_key!r} was used for another message",
            "Use a new key for each message, and the same key only to repeat the very same one.",
        )
    return replace(one.receipt, id=before.pk, message_id=before.message_id, repeated=True)


def _unavailable(error: DatabaseError) -> Refusal:
    """Disk full, database gone or locked: the message is as good as before, and may be handed in again."""
    connection.close()  # it may be broken: the next question of this thread opens another
    said = str(error).strip().partition("\n")[0] or type(error).__name__
    return Refusal(
        Why.UNAVAILABLE, f"the message cannot be kept right now: {said}", "Hand it in again in a few minutes."
    )
