"""Waking the workers when there is something to send: at once in this process, by NOTIFY in the others.

On SQLite, workers of other processes look by themselves every second; on PostgreSQL they are told.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection

from django.db import connection, transaction

CHANNEL = "postroom_outbox"
_MOST = 500
"""Mailboxes named in one notification; PostgreSQL's payload ends at 8,000 bytes. Above, "" means: look at all."""

Listener = Callable[[frozenset[int]], None]
"""Told in the thread that committed, with the ids of the mailboxes; none means all."""

_listeners: list[Listener] = []
_lock = threading.Lock()


def listen(listener: Listener) -> Callable[[], None]:
    """Returns what ends it."""
    with _lock:
        _listeners.append(listener)

    def end() -> None:
        with _lock:
            _listeners.remove(listener)

    return end


def tell(mailboxes: Collection[int]) -> None:
    """To be called inside the transaction that changed them; they hear it when it is committed."""
    if not mailboxes:
        return
    if connection.vendor == "postgresql":
        payload = ",".join(map(str, sorted(mailboxes))) if len(mailboxes) <= _MOST else ""
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_notify(%s, %s)", [CHANNEL, payload])
    told = frozenset(mailboxes)
    transaction.on_commit(lambda: _tell_here(told))


def heard(payload: str) -> frozenset[int]:
    """The ids in a notification."""
    return frozenset(int(word) for word in payload.split(",") if word.isdecimal())


def _tell_here(mailboxes: frozenset[int]) -> None:
    with _lock:
        listeners = list(_listeners)
    for listener in listeners:
        listener(mailboxes)
