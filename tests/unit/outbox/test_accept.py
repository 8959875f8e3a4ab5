"""What is accepted, what is refused with which reason, and that keys make repeating safe."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.db import OperationalError

from postroom.core.clock import now
from postroom.mail.addresses import Address
from postroom.mail.compose import Draft
from postroom.mail.envelope import Envelope
from postroom.mail.message import Message as View
from postroom.mailboxes import service as mailboxes
from postroom.mailboxes.models import Mailbox
from postroom.outbox import accept, service
from postroom.outbox.accept import accept_async
from postroom.outbox.books import Books
from postroom.outbox.models import Message
from postroom.outbox.values import Caller, DeliveryReports, Door, Priority, Refusal, State, Submission, Why

from .conftest import BY, SENDER

Make = Callable[..., Submission]


def refused(submission: Submission) -> Why:
    with pytest.raises(Refusal) as refusal:
        accept.accept(submission)
    assert str(refusal.value)
    assert refusal.value.fix
    assert not Message.objects.exists()
    return refusal.value.why


def test_what_is_accepted_is_kept(submission: Make) -> None:
    receipt = accept.accept(submission(priority=Priority.URGENT, template="code"))
    row = service.get(receipt.id)
    assert (row.state, row.priority, row.template, row.subject) == (State.QUEUED, 0, "code", "Hello")
    assert row.message_id == receipt.message_id
    kept = View(service.body(row))
    assert kept.header("X-Postroom-Passed") == str(receipt.id)
    assert kept.message_id == receipt.message_id
    assert [one.address for one in row.recipients.all()] == ["bob@example.com"]


def test_parts_are_composed(mailbox: Mailbox) -> None:
    draft = Draft(Address(SENDER, "Letters"), to=(Address("bob@example.com"),), subject="Grüße", text="Hallo")
    receipt = accept.accept(Submission(Caller("ada"), Door.CONSOLE, draft))
    assert receipt.mailbox == mailbox.pk  # chosen by From
    assert service.get(receipt.id).subject == "Grüße"


def test_a_line_break_in_a_header_of_parts_is_refused(mailbox: Mailbox) -> None:
    draft = Draft(Address(SENDER), to=(Address("bob@example.com"),), subject="x\r\nBcc: eve@example.com", text="Hallo")
    assert refused(Submission(Caller("ada"), Door.REST, draft)) is Why.MALFORMED


@pytest.mark.parametrize(
    ("differences", "why"),
    [
        ({"to": ()}, Why.RECIPIENTS),
        ({"to": ("not an address",)}, Why.RECIPIENTS),
        ({"to": tuple(f"n{number}@example.com" for number in range(501))}, Why.TOO_MANY_RECIPIENTS),
        ({"head": "X-Long: " + "x" * 11_000 + "\r\n"}, Why.TOO_LARGE),
        ({"message": b"no header here\r\n"}, Why.MALFORMED),
        ({"head": "From: eve@example.com\r\n"}, Why.MALFORMED),
        ({"head": "X-Odd: a\rBcc: eve@example.com\r\n"}, Why.MALFORMED),
        ({"head": "X-Postroom-Passed: 1\r\n" * 5}, Why.LOOP),
        ({"head": "Received: from a by b\r\n" * 51}, Why.LOOP),
        ({"caller": Caller("app:x", mailboxes=frozenset())}, Why.MAILBOX_NOT_ALLOWED),
        ({"caller": Caller("app:x", senders=("*@fabrikam.example",))}, Why.SENDER_NOT_ALLOWED),
        ({"mailbox": 4711}, Why.MAILBOX),
        ({"expires_at": now() - timedelta(seconds=1)}, Why.EXPIRED),
    ],
)
def test_refusals(submission: Make, differences: dict[str, object], why: Why) -> None:
    assert refused(submission(**differences)) is why


def test_the_envelopes_sender_must_be_allowed_too(submission: Make) -> None:
    caller = Caller("app:x", senders=(SENDER,))
    other = Envelope("eve@example.com", ("bob@example.com",))
    assert refused(submission(caller=caller, envelope=other)) is Why.SENDER_NOT_ALLOWED
    assert accept.accept(submission(caller=caller)).recipients == ("bob@example.com",)


def test_a_mailbox_that_is_off_takes_nothing(submission: Make, mailbox: Mailbox) -> None:
    mailboxes.set_enabled(mailbox.pk, False, BY)
    accept.books().forget()
    assert refused(submission()) is Why.MAILBOX


def test_a_key_makes_repeating_safe(submission: Make) -> None:
    first = accept.accept(submission(idempotency_key="order-1"))
    again = accept.accept(submission(idempotency_key="order-1"))
    assert (again.id, again.message_id, again.repeated) == (first.id, first.message_id, True)
    other = accept.accept(submission(idempotency_key="order-1", caller=Caller("app:other")))
    assert other.id != first.id
    with pytest.raises(Refusal) as refusal:
        accept.accept(submission(idempotency_key="order-1", to=("eve@example.com",)))
    assert refusal.value.why is Why.CONFLICT
    assert Message.objects.count() == 2


async def test_many_at_once_each_get_their_own_answer(submission: Make) -> None:
    tasks = [accept_async(submission(to=(f"n{number}@example.com",))) for number in range(60)]
    doubled = [accept_async(submission(idempotency_key="same")) for _ in range(10)]
    receipts = await asyncio.gather(*tasks)
    assert [one.recipients for one in receipts] == [(f"n{number}@example.com",) for number in range(60)]
    same = await asyncio.gather(*doubled)
    assert len({one.id for one in same}) == 1
    assert [one.repeated for one in same].count(False) == 1


async def test_books_that_grow_old_in_this_moment_do_no_harm(submission: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    await accept_async(submission())
    looks = iter([True])
    monkeypatch.setattr(Books, "fresh", property(lambda _: next(looks, False)))
    assert (await accept_async(submission())).recipients == ("bob@example.com",)


def test_a_database_that_is_gone_is_nobodys_fault(submission: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(group: object) -> None:
        raise OperationalError("database or disk is full")

    monkeypatch.setattr(accept, "insert", broken)
    with pytest.raises(Refusal) as refusal:
        accept.accept(submission())
    assert refusal.value.why is Why.UNAVAILABLE
    assert refusal.value.temporary
    monkeypatch.undo()
    assert accept.accept(submission()).id


def test_what_was_asked_to_be_reported_is_kept(submission: Make) -> None:
    reports = DeliveryReports("FULL", "env-1", {"bob@example.com": "NEVER"}, {"bob@example.com": "rfc822;bob"})
    row = service.get(accept.accept(submission(reports=reports)).id)
    assert row.wishes == {"ret": "FULL", "envelope_id": "env-1"}
    (one,) = row.recipients.all()
    assert (one.notify, one.original) == ("NEVER", "rfc822;bob")
