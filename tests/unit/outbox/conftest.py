"""A mailbox to hand messages in for, on a database in a file: the writer has a connection of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from postroom.accounts.audit import Actor
from postroom.mail.envelope import Envelope
from postroom.mailboxes import service
from postroom.mailboxes.models import Mailbox
from postroom.mailboxes.values import MailboxData
from postroom.outbox import accept
from postroom.outbox.values import Caller, Door, Submission

BY = Actor("ada@contoso.example")
SENDER = "letters@contoso.example"


@pytest.fixture
def mailbox(transactional_db: None) -> Iterator[Mailbox]:
    data = MailboxData(
        name="Letters",
        address=SENDER,
        provider="other",
        smtp_host="smtp.contoso.example",
        sign_in_by="none",
        message_size=10_000,
    )
    accept.books().forget()
    yield service.save(data, BY)
    accept.close()
    accept.books().forget()


@pytest.fixture
def submission(mailbox: Mailbox) -> Callable[..., Submission]:
    """A message that is accepted as it is; `differences` change the submission, `head` adds header lines."""

    def made(head: str = "", to: tuple[str, ...] = ("bob@example.com",), **differences: Any) -> Submission:
        lines = f"From: {SENDER}\r\nTo: {to[0] if to else SENDER}\r\nSubject: Hello\r\n{head}\r\nText\r\n"
        values: dict[str, Any] = {
            "caller": Caller("app:payroll"),
            "door": Door.REST,
            "message": lines.encode(),
            "envelope": Envelope(SENDER, to),
            "mailbox": mailbox.pk,
        }
        return Submission(**values | differences)

    return made
