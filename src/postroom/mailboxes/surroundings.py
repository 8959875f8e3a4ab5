"""What every page of one mailbox shows around its content: its name, its health, its tabs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from postroom.accounts.rules import may
from postroom.mailboxes import proofs, service
from postroom.mailboxes.models import Mailbox


@dataclass(frozen=True, slots=True)
class Tab:
    title: str
    view: str
    verb: str


_TABS = (
    Tab("Overview", "mailboxes:show", "mailbox.view"),
    Tab("Settings", "mailboxes:edit", "mailbox.change"),
    Tab("Credentials", "mailboxes:credentials", "credential.change"),
    Tab("Test", "mailboxes:test", "mailbox.test"),
    Tab("Send", "mailboxes:send", "mailbox.send"),
    Tab("Inbox", "mailboxes:inbox", "mailbox.read"),
)


def around(mailbox: Mailbox, role: str, view: str) -> dict[str, Any]:
    """The context of `mailboxes/one.html`. Calls nobody; a broken mailbox has a page all the same."""
    return {
        "mailbox": mailbox,
        "health": service.health_of(mailbox, proofs.latest(mailbox.pk)),
        "tabs": [tab for tab in _TABS if may(role, tab.verb)],
        "present_tab": view,
    }
