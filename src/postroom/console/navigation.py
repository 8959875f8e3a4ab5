"""The entries of the console's navigation: one line for each door that a room hangs in."""

from __future__ import annotations

from dataclasses import dataclass

from postroom.accounts.rules import may


@dataclass(frozen=True, slots=True)
class Entry:
    title: str
    view: str
    """Name of the page, for `reverse`."""
    icon: str
    """Name of a template in `console/icons/`."""
    verb: str = ""
    """Shown to roles that have it; "" to everybody who is signed in."""
    under: str = ""
    """The entry is the present one on all pages below this path; its own page only when empty."""


ENTRIES = (
    Entry("Overview", "console:home", "home"),
    Entry("Outbox", "outbox:overview", "send", "outbox.view", "/outbox/"),
    Entry("Mailboxes", "mailboxes:list", "mailbox", "mailbox.view", "/mailboxes/"),
    Entry("Providers", "mailboxes:providers", "provider", "mailbox.view", "/mailboxes/providers/"),
    Entry("Apps", "bridge:apps", "key", "mailbox.view", "/programs/apps"),
    Entry("Ports", "bridge:listeners", "link", "mailbox.view", "/programs/ports"),
    Entry("Azure set-up", "tenant:list", "cloud", "tenant.view", "/tenant/"),
    Entry("People", "accounts:people", "people", "person.change", "/account/people"),
    Entry("Audit log", "accounts:audit", "log", "audit.view", "/account/audit"),
)


def entries_for(role: str) -> list[Entry]:
    """The entries that a role gets to see."""
    return [entry for entry in ENTRIES if not entry.verb or may(role, entry.verb)]


def present(path: str, entries: list[Entry]) -> Entry | None:
    """The entry that the page at `path` belongs to: the one with the longest matching path."""
    matching = [entry for entry in entries if entry.under and path.startswith(entry.under)]
    if matching:
        return max(matching, key=lambda entry: len(entry.under))
    return next((entry for entry in entries if not entry.under and path == "/"), None)
