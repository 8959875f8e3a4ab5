"""Letting go of settled messages when their time is over. By the id, which is a time: no index is needed. Blocking."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import transaction

from postroom.core.clock import now
from postroom.core.settings import settings
from postroom.outbox.ids import first_id
from postroom.outbox.models import Attempt, Body, Event, Message, Recipient
from postroom.outbox.values import SETTLED

_AT_ONCE = 500
"""Messages deleted in one transaction, so that nobody waits long for it."""


def purge_some() -> int:
    """Deletes some of those older than `POSTROOM_KEEP_DAYS`; returns how many."""
    days = settings().keep_days
    return purge_before(now() - timedelta(days=days), most=_AT_ONCE) if days else 0


def purge_before(moment: datetime, most: int | None = None) -> int:
    """Deletes settled messages accepted before this; what still waits stays. Returns how many."""
    gone = 0
    while most is None or gone < most:
        old = Message.objects.filter(pk__lt=first_id(moment), state__in=SETTLED).order_by("id")
        with transaction.atomic():
            ids = list(old.values_list("id", flat=True)[: min(_AT_ONCE, most or _AT_ONCE)])
            if not ids:
                break
            for table in (Body, Recipient, Attempt, Event):
                table.objects.filter(message_id__in=ids)._raw_delete("default")
            Message.objects.filter(pk__in=ids)._raw_delete("default")
        gone += len(ids)
    return gone
