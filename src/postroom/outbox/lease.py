"""Leases: which worker holds which mailbox. Rows and the database's clock are all that workers have in common."""

from __future__ import annotations

import hashlib
import os
import secrets
import socket
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path

from django.db import connection, transaction
from django.db.models import Q
from django.db.models.functions import Now

from postroom.core.clock import now
from postroom.mailboxes.models import Mailbox
from postroom.outbox.models import Lane, Message, Worker
from postroom.outbox.values import State

LENGTH = timedelta(seconds=10)
"""A worker that gives no sign of life for so long has lost its mailboxes."""


def sign_of_life(worker: str) -> int:
    """Renews what the worker says of itself; returns how many workers are alive."""
    Worker.objects.update_or_create(name=worker, defaults={"seen_at": Now()})
    Worker.objects.filter(seen_at__lt=Now() - timedelta(hours=1)).delete()
    return Worker.objects.filter(seen_at__gte=Now() - LENGTH).count()


def renew(worker: str) -> dict[int, datetime]:
    """Renews the leases of a worker; returns the mailboxes, and when a person last changed the lane.

    One that ran out is still its own until another takes it.
    """
    Lane.objects.filter(holder=worker).update(lease_until=Now() + LENGTH)
    return dict(Lane.objects.filter(holder=worker).values_list("mailbox_id", "changed_at"))


def with_work() -> list[int]:
    """Mailboxes for which something is to be done: messages that are due, or that a worker left behind."""
    left = Message.objects.filter(unsent__in=[State.SENDING.value, State.UNKNOWN.value])
    return sorted({*_due(), *left.values_list("mailbox_id", flat=True).distinct()})


def take(worker: str, mailboxes: Sequence[int], most: int) -> list[int]:
    """Takes up to `most` of these mailboxes that nobody holds; returns which."""
    if most <= 0 or not mailboxes:
        return []
    Lane.objects.bulk_create([Lane(mailbox_id=mailbox) for mailbox in mailboxes], ignore_conflicts=True)
    free = Q(holder="") | Q(lease_until__isnull=True) | Q(lease_until__lt=Now()) | Q(holder__in=_dead_here())
    with transaction.atomic():
        rows = Lane.objects.filter(free, mailbox_id__in=mailboxes).order_by("mailbox_id")
        if connection.features.has_select_for_update_skip_locked:
            rows = rows.select_for_update(skip_locked=True)
        taken = [lane.mailbox_id for lane in rows[:most]]
        Lane.objects.filter(mailbox_id__in=taken).update(holder=worker, lease_until=Now() + LENGTH)
    return taken


def give_back(worker: str, mailboxes: Collection[int]) -> None:
    """The next may take them at once."""
    Lane.objects.filter(holder=worker, mailbox_id__in=mailboxes).update(holder="", lease_until=None)


def leave(worker: str) -> None:
    """The worker ends."""
    Lane.objects.filter(holder=worker).update(holder="", lease_until=None)
    Worker.objects.filter(name=worker).delete()


def new_name() -> str:
    """A worker's name: where it runs, its process id, and chance."""
    return f"{_place()}:{os.getpid()}:{secrets.token_hex(3)}"


@cache
def _place() -> str:
    """The machine since its start, and the namespace of process ids in it: there, an id means one process."""
    try:
        booted = Path("/proc/sys/kernel/random/boot_id").read_text()
        namespace = Path("/proc/self/ns/pid").readlink()
    except OSError:
        return f"{socket.gethostname()[:40]}-{secrets.token_hex(4)}"
    return f"{socket.gethostname()[:40]}-{hashlib.sha256(f'{booted}{namespace}'.encode()).hexdigest()[:8]}"


def _dead_here() -> list[str]:
    """Holders that ran in this very place and are gone: nobody need wait for their leases to run out."""
    names = Lane.objects.filter(holder__startswith=f"{_place()}:").values_list("holder", flat=True).distinct()
    return [name for name in names if not _lives(int(name.split(":")[1]))]


def _lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _due() -> list[int]:
    """Mailboxes with a message that is due: one look into the index of what waits for each mailbox."""
    mailbox, message = Mailbox._meta.db_table, Message._meta.db_table
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT b.id FROM {mailbox} b WHERE EXISTS (SELECT 1 FROM {message} m WHERE m.mailbox_id = b.id "  # noqa: S608 - names of our own tables
            "AND m.priority IN (0, 1, 2) AND m.next_attempt_at <= %s)",
            [connection.ops.adapt_datetimefield_value(now())],
        )
        return [row[0] for row in cursor.fetchall()]
