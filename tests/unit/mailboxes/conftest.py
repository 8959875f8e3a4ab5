"""Mailboxes to work with, and a stand-in for the other side of the transports."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from postroom.accounts.audit import Actor
from postroom.mailboxes import credentials, service
from postroom.mailboxes.models import Mailbox
from postroom.mailboxes.values import MailboxData

TENANT = "2b7f1c6e-1f5a-4a51-9f0e-6a2d3b4c5d6e"
CLIENT = "c0ffee00-1111-4222-8333-444455556666"
PRINCIPAL = "5e1ec7ed-aaaa-4bbb-8ccc-ddddeeeeffff"
SECRET = "Qx8~planted.Secret-value_0123456789abcdWXYZ"

BY = Actor("admin@contoso.com", "192.0.2.1")


@pytest.fixture
def by() -> Actor:
    return BY


@pytest.fixture
def office_data() -> MailboxData:
    """A mailbox on Microsoft 365 as a person would type it in."""
    return MailboxData(
        name="Office",
        address="office@contoso.com",
        read_inbox=True,
        tenant=TENANT,
        client_id=CLIENT,
        service_principal_id=PRINCIPAL,
    )


@pytest.fixture
def office(db: None, office_data: MailboxData, by: Actor) -> Mailbox:
    """The same, saved, with a client secret."""
    mailbox = service.save(office_data, by)
    credentials.add(credentials.owner_of(mailbox), "secret", SECRET, None, by)
    return service.get(mailbox.pk)


@pytest.fixture
def make(db: None, by: Actor) -> Callable[..., Mailbox]:
    """Saves a plain SMTP and IMAP mailbox with these differences."""

    def saved(**differences: Any) -> Mailbox:
        values: dict[str, Any] = {
            "name": "Plain",
            "address": "plain@example.org",
            "provider": "other",
            "smtp_host": "smtp.example.org",
            "incoming_host": "imap.example.org",
            "read_inbox": True,
        }
        return service.save(MailboxData(**values | differences), by)

    return saved
