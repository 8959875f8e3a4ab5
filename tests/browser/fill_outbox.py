"""Puts messages into the outbox of a home as if they had been accepted and sent: 1,240 wait, two failed.

fill_outbox.py HOME COUNT
"""

from __future__ import annotations

import os
import sys
from datetime import timedelta

WAITING = 1240
FAILED = 2


def fill(count: int) -> None:
    from postroom.core.clock import now
    from postroom.mailboxes.models import Mailbox
    from postroom.outbox.ids import first_id
    from postroom.outbox.models import Attempt, Body, Message, Recipient
    from postroom.outbox.values import State

    mailboxes = list(Mailbox.objects.order_by("id").values_list("id", flat=True))
    start = now() - timedelta(milliseconds=count * 100)
    messages, recipients, attempts, bodies = [], [], [], []
    for number in range(count):
        at = start + timedelta(milliseconds=number * 100)
        state = State.QUEUED if number >= count - WAITING else State.FAILED if number < FAILED else State.SENT
        waits = state is State.QUEUED
        messages.append(
            Message(
                id=first_id(at) + number % 1000,
                mailbox_id=mailboxes[number % len(mailboxes)],
                submitter="app:payroll",
                door="rest",
                sender="letters@contoso.example",
                author="letters@contoso.example",
                state=state.value,
                message_id=f"<{number}@contoso.example>",
                subject=f"Invoice {number}",
                size=5000,
                recipient_count=1,
                next_attempt_at=at if waits else None,
                expires_at=at + timedelta(days=5),
                attempts=0 if waits else 1,
                tries=0 if waits else 1,
                reason={"cause": "There is no such recipient.", "fix": "Correct it."} if state is State.FAILED else {},
                created_at=at,
                settled_at=None if waits else at,
            )
        )
        row = messages[-1]
        recipients.append(Recipient(message_id=row.pk, address=f"person{number}@example.com", state=state.value))
        bodies.append(Body(message_id=row.pk, raw=b"Subject: Invoice\r\n\r\nText\r\n"))
        if not waits:
            answer = "550 5.1.1 no such user" if state is State.FAILED else "250 2.0.0 OK"
            attempts.append(
                Attempt(
                    message_id=row.pk,
                    number=1,
                    mailbox_id=row.mailbox_id,
                    transport="smtp",
                    worker="w",
                    recipient_count=1,
                    started_at=at,
                    finished_at=at,
                    outcome=state.value,
                    answer=answer,
                )
            )
    for table, rows in ((Message, messages), (Body, bodies), (Recipient, recipients), (Attempt, attempts)):
        table.objects.bulk_create(rows, batch_size=500)  # type: ignore[attr-defined]


if __name__ == "__main__":
    os.environ["POSTROOM_HOME"] = sys.argv[1]
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "postroom.settings")
    import django

    django.setup()
    fill(int(sys.argv[2]))
