"""The audit log: who did what, when, from where. Rows are only added, and each is chained to the one before.

The hash of a row is SHA-256 over the hash of the row before it and the row's own content as canonical JSON. A row
changed, removed or put in between later breaks the chain from there on; rows cut off at the end do not, so whoever
needs that too keeps the last hash elsewhere (`postroom person audit-verify` prints it).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC
from typing import Any

from django.db import connection, transaction
from django.db.models import Q, QuerySet

from postroom.accounts.models import AuditEvent
from postroom.core.clock import now


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts: the e-mail of a person, `cli:<login name>`, or `system`; `origin` is the IP address, if any."""

    name: str
    origin: str = ""


SYSTEM = Actor("system")

# Names of values that are never written, whatever a caller passes: the last net, not the first.
_SECRET_NAMES = frozenset(
    {"secret", "client_secret", "password", "value", "sealed", "pem", "private_key", "token", "access_token"}
)
_CHAIN_LOCK = 0x706F7374
"""Key of PostgreSQL's advisory lock that lets one writer at a time extend the chain."""


def record(actor: Actor, action: str, subject: str = "", detail: Mapping[str, Any] | None = None) -> AuditEvent:
    """Adds a row to the log, in the transaction of the caller, so that deed and record stand or fall together.

    `action` is "noun.verb" in the past tense (`mailbox.changed`); `detail` must be JSON and hold no secret.
    """
    clean = json.loads(json.dumps(_without_secrets(dict(detail or {})), default=str))
    with transaction.atomic():
        _one_writer()
        last = AuditEvent.objects.order_by("-id").values_list("hash", flat=True).first() or ""
        event = AuditEvent(
            at=now(),
            actor=actor.name,
            origin=actor.origin,
            action=action,
            subject=subject[:254],
            detail=clean,
            previous_hash=last,
        )
        event.hash = digest(event)
        event.save()
    return event


def changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    """The fields that differ, as `{"field": {"before": ..., "after": ...}}`, for `detail`."""
    return {
        name: {"before": before.get(name), "after": after.get(name)}
        for name in sorted({*before, *after})
        if before.get(name) != after.get(name)
    }


def search(text: str = "") -> QuerySet[AuditEvent]:
    """Rows that name `text` as actor, action or subject, newest first; all of them for ""."""
    named = Q(subject__icontains=text) | Q(actor__icontains=text) | Q(action__icontains=text)
    return AuditEvent.objects.filter(named) if text else AuditEvent.objects.all()


@dataclass(frozen=True, slots=True)
class Verification:
    """What `verify` found: `broken` is the id of the first row that does not fit the one before it."""

    events: int
    last_hash: str
    broken: int | None = None


def verify() -> Verification:
    """Walks the whole chain, oldest row first."""
    previous, count = "", 0
    for event in AuditEvent.objects.order_by("id").iterator():
        if event.previous_hash != previous or event.hash != digest(event):
            return Verification(count, previous, event.pk)
        previous, count = event.hash, count + 1
    return Verification(count, previous)


def digest(event: AuditEvent) -> str:
    """The hash that belongs to a row: over its content and the hash before it."""
    content = {
        "previous": event.previous_hash,
        "at": event.at.astimezone(UTC).isoformat(timespec="microseconds"),
        "actor": event.actor,
        "origin": event.origin,
        "action": event.action,
        "subject": event.subject,
        "detail": event.detail,
    }
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def _one_writer() -> None:
    """SQLite has one writer anyway (transactions begin IMMEDIATE); PostgreSQL is told to."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_CHAIN_LOCK])


def _without_secrets(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {
            name: "(not recorded)" if str(name).lower() in _SECRET_NAMES else _without_secrets(inner)
            for name, inner in value.items()
        }
    if isinstance(value, list | tuple):
        return [_without_secrets(inner) for inner in value]
    return value
