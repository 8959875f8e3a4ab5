"""The mailboxes as accepting knows them, at most a moment old: a message is not worth a query of its own."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass

from postroom.core.faults import Fault
from postroom.mailboxes import service
from postroom.mailboxes.models import Mailbox
from postroom.mailboxes.values import Effective
from postroom.outbox.values import Refusal, Why

_FRESH = 2.0
"""Seconds."""


@dataclass(frozen=True, slots=True)
class Known:
    """One mailbox, or why it cannot be read."""

    id: int
    enabled: bool
    is_default: bool
    whole: Effective | None
    fault: str = ""


class Books:
    """All mailboxes by id and by address."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._read_at = float("-inf")
        self._by_id: dict[int, Known] = {}
        self._by_address: dict[str, int] = {}
        self._default: int | None = None

    @property
    def fresh(self) -> bool:
        """Whether they need not be read again."""
        return time.monotonic() - self._read_at < _FRESH

    def forget(self) -> None:
        self._read_at = float("-inf")

    def refresh(self) -> None:
        """Reads them when they are old. Blocks: not for an event loop."""
        if not self.fresh:
            with self._lock:
                if not self.fresh:
                    self._read()

    def choose(self, mailbox_id: int | None, author: str) -> Known:
        """The mailbox with this id; without one, the one whose address `author` is, else the default one.

        By what was read last: `refresh` first. An event loop may not ask the database here, and in the moment since
        it refreshed they may have grown old. Raises `Refusal`.
        """
        wanted = mailbox_id
        if wanted is None:
            wanted = self._by_address.get(author.casefold(), self._default)
        known = self._by_id.get(wanted) if wanted is not None else None
        if known is None:
            missing = f"there is no mailbox {mailbox_id}" if mailbox_id else f"no mailbox sends as {author or 'nobody'}"
            raise Refusal(Why.MAILBOX, missing, "See: postroom mailbox list; or make one the default.")
        if known.whole is None:
            raise Refusal(Why.MAILBOX, f"the mailbox {known.id} cannot be read: {known.fault}", "Correct its settings.")
        return known

    def everything(self) -> list[Known]:
        """All mailboxes, by name; those that cannot be read last."""
        self.refresh()
        return sorted(self._by_id.values(), key=lambda known: known.whole.name.casefold() if known.whole else "\uffff")

    def _read(self) -> None:
        by_id: dict[int, Known] = {}
        by_address: dict[str, int] = {}
        default = None
        for row in Mailbox.objects.select_related("provider", "application").order_by("-is_default", "-enabled", "id"):
            known = _known(row)
            by_id[row.pk] = known
            default = row.pk if row.is_default else default
            if known.whole is not None:
                for address in (known.whole.address, known.whole.sender):
                    by_address.setdefault(address.casefold(), row.pk)
        self._by_id, self._by_address, self._default = by_id, by_address, default
        self._read_at = time.monotonic()


def _known(row: Mailbox) -> Known:
    try:
        return Known(row.pk, row.enabled, row.is_default, service.effective(row))
    except Fault as fault:  # one broken row must not stop the others
        return Known(row.pk, row.enabled, row.is_default, None, str(fault))
