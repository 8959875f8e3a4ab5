"""What the outbox looks like in numbers, for metrics. Reads what waits and what is noteworthy, never what is sent."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.db.models import Count, Min
from django.db.models.functions import Now

from postroom.core.clock import now
from postroom.mailboxes.models import Mailbox
from postroom.outbox.lease import LENGTH
from postroom.outbox.models import Lane, Message, Worker


@dataclass(frozen=True, slots=True)
class LaneFigure:
    mailbox: int
    state: str
    """`moving`, `waiting`, `stopped`, `held`."""
    holder: str
    """The worker whose lease lasts; empty when nobody holds the mailbox."""


@dataclass(frozen=True, slots=True)
class Figures:
    """Of all mailboxes, by their ids."""

    names: dict[int, str]
    messages: dict[tuple[int, str], int]
    """(mailbox, state) -> messages kept; all states but `sent`, and only where there are some."""
    due_since: dict[int, datetime]
    """Mailbox -> when its oldest message that is due became so."""
    lanes: list[LaneFigure]
    workers: int
    """Alive."""


def figures() -> Figures:
    waiting = Message.objects.filter(next_attempt_at__isnull=False).order_by()
    kept = Message.objects.filter(unsent__isnull=False).order_by().values_list("mailbox_id", "unsent")
    due = waiting.filter(next_attempt_at__lte=now())
    held = set(Lane.objects.filter(lease_until__gte=Now()).values_list("mailbox_id", flat=True))
    return Figures(
        names=dict(Mailbox.objects.order_by().values_list("id", "name")),
        messages={(mailbox, state): count for mailbox, state, count in kept.annotate(Count("id"))},
        due_since=dict(due.values_list("mailbox_id").annotate(Min("next_attempt_at"))),
        lanes=[
            LaneFigure(mailbox, state, holder if mailbox in held else "")
            for mailbox, state, holder in Lane.objects.order_by("mailbox_id").values_list(
                "mailbox_id", "state", "holder"
            )
        ],
        workers=Worker.objects.filter(seen_at__gte=Now() - LENGTH).count(),
    )
