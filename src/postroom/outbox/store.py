"""What a lane asks of the tables, and what it writes there. Blocking: called in the worker's threads.

Attempts are begun and ended in groups, each group one transaction (`group.py`). A lane may write only about its own
attempts: each update names the attempt's number, so that a worker that lost its lease and comes late changes nothing
that another has taken up, but may still settle what is unknown.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import connection, transaction
from django.db.models import F, QuerySet

from postroom.core.clock import now
from postroom.outbox import hot, reports, wake
from postroom.outbox.models import Attempt, Body, Event, Message, Recipient
from postroom.outbox.rules import Verdict, expiry_reason, reason_of, said
from postroom.outbox.values import WAITING, Priority, State

_PENDING = (State.QUEUED, State.DEFERRED)


@dataclass(frozen=True, slots=True)
class Due:
    """A message that waits for its turn."""

    id: int
    priority: Priority
    recipients: int


@dataclass(frozen=True, slots=True)
class Begin:
    """To be written down: this message is about to be attempted."""

    id: int
    mailbox: int
    transport: str
    worker: str


@dataclass(frozen=True, slots=True)
class Work:
    """An attempt that is written down, and all that is needed to make it."""

    id: int
    number: int
    attempts: int
    """Burned before this one."""
    priority: Priority
    sender: str
    author: str
    recipients: tuple[str, ...]
    """Those still open."""
    raw: bytes
    due_at: datetime


@dataclass(frozen=True, slots=True)
class End:
    """To be written down: what became of an attempt."""

    work: Work
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Uncertain:
    """A message that may have been taken."""

    id: int
    number: int
    message_id: str
    since: datetime
    """When the attempt began."""


Op = Begin | End


def due(mailbox: int, limit: int) -> list[Due]:
    """The next ones, most urgent first. Reads the index of what waits only; its cost does not grow with the rest."""
    found: list[Due] = []
    for priority in Priority:
        rows = (
            Message.objects.filter(mailbox_id=mailbox, priority=int(priority), next_attempt_at__lte=now())
            .order_by("next_attempt_at")
            .values_list("id", "recipient_count")[: limit - len(found)]
        )
        found += [Due(row, priority, recipients) for row, recipients in rows]
        if len(found) >= limit:
            break
    return found


def next_due_at(mailbox: int) -> datetime | None:
    """When the next message of a mailbox comes due; None when none waits."""
    times = [
        Message.objects.filter(mailbox_id=mailbox, priority=int(priority), next_attempt_at__isnull=False)
        .order_by("next_attempt_at")
        .values_list("next_attempt_at", flat=True)
        .first()
        for priority in Priority
    ]
    return min((at for at in times if at is not None), default=None)


def write(group: Sequence[Op]) -> Sequence[Work | Exception | None]:
    """Ends, then begins, all in one transaction: the `write` of a `GroupCommit`.

    A begin gives the work, or None when the message no longer waits (cancelled, expired, taken by another).
    """
    ends = [op for op in group if isinstance(op, End)]
    plain = [end for end in ends if end.verdict.outcome == "sent"]
    with transaction.atomic():
        hot.sent([(end.work.id, end.work.number, end.verdict) for end in plain])
        for end in ends:
            if end.verdict.outcome != "sent":
                _end(end)
        begun = _begin([op for op in group if isinstance(op, Begin)])
    return [begun.get(op.id) if isinstance(op, Begin) else None for op in group]


def _begin(ops: Sequence[Begin]) -> dict[int, Work]:
    if not ops:
        return {}
    moment = now()
    asked = {op.id: op for op in ops}
    fields = ("id", "tries", "attempts", "priority", "sender", "author", "next_attempt_at", "expires_at")
    rows = _locked(Message.objects.filter(pk__in=asked, next_attempt_at__isnull=False)).values_list(*fields, named=True)
    late = [row.id for row in rows if row.expires_at <= moment]
    if late:
        expire(list(Message.objects.filter(pk__in=late)))
    taken = {row.id: row for row in rows if row.expires_at > moment}
    open_ones: dict[int, list[str]] = defaultdict(list)
    pending = Recipient.objects.filter(message_id__in=taken, state__in=_PENDING).order_by("id")
    for message, address in pending.values_list("message_id", "address"):
        open_ones[message].append(address)
    raws = dict(Body.objects.filter(pk__in=taken).values_list("message_id", "raw"))
    hot.begun(moment, [_begun(asked[row.id], row.tries + 1, len(open_ones[row.id])) for row in taken.values()])
    return {
        row.id: Work(
            id=row.id,
            number=row.tries + 1,
            attempts=row.attempts,
            priority=Priority(row.priority),
            sender=row.sender,
            author=row.author,
            recipients=tuple(open_ones[row.id]),
            raw=bytes(raws[row.id]),
            due_at=row.next_attempt_at,
        )
        for row in taken.values()
    }


def _begun(op: Begin, number: int, recipients: int) -> hot.Begun:
    return op.id, number, op.mailbox, op.transport, op.worker, recipients


def _end(end: End) -> None:
    work, verdict, moment = end.work, end.verdict, now()
    diagnosis = verdict.diagnosis.to_json() if verdict.diagnosis else None
    Attempt.objects.filter(message_id=work.id, number=work.number).update(
        finished_at=moment, outcome=verdict.outcome, answer=said(verdict.answer), diagnosis=diagnosis
    )
    changed = (Message.objects.filter(pk=work.id, tries=work.number, state__in=[State.SENDING, State.UNKNOWN])).update(
        **_changes(work, verdict, moment)
    )
    if not changed:
        return
    for address, (state, words) in verdict.recipients.items():
        Recipient.objects.filter(message_id=work.id, address=address).update(state=state.value, answer=words)
    if verdict.state is State.FAILED:
        Recipient.objects.filter(message_id=work.id, state__in=_PENDING).update(
            state=State.FAILED.value, answer=said(verdict.answer)
        )
    if verdict.state in {State.FAILED, State.SENT} and verdict.diagnosis is not None:
        reports.report(work.id)


def _changes(work: Work, verdict: Verdict, moment: datetime) -> dict[str, Any]:
    changes: dict[str, Any] = {"state": verdict.state.value, "reason": reason_of(verdict)}
    if verdict.counts:
        changes["attempts"] = work.attempts + 1
    if verdict.server_message_id:
        changes["server_message_id"] = verdict.server_message_id[:998]
    match verdict.state:
        case State.QUEUED:
            # As it stood before, in its old place.
            changes["state"] = (State.DEFERRED if work.attempts else State.QUEUED).value
            changes["next_attempt_at"] = work.due_at
        case State.DEFERRED:
            changes["next_attempt_at"] = moment + timedelta(seconds=verdict.retry_in)
        case State.SENT | State.FAILED:
            changes["settled_at"] = moment
    return changes


def expire(rows: Sequence[Message]) -> None:
    """Ends messages whose time is over, and tells those who want to be told."""
    for row in rows:
        reason = expiry_reason(row.expires_at, row.reason)
        changed = Message.objects.filter(pk=row.pk, state__in=WAITING).update(
            state=State.EXPIRED.value, next_attempt_at=None, settled_at=now(), reason=reason
        )
        if changed:
            Recipient.objects.filter(message_id=row.pk, state__in=_PENDING).update(
                state=State.EXPIRED.value, answer=str(reason["cause"])
            )
            note(row.pk, "expired", str(reason["cause"]))
            reports.report(row.pk)


def expire_late(limit: int = 500) -> int:
    """Ends what waits past its time, wherever it waits; returns how many."""
    with transaction.atomic():
        late = Message.objects.filter(next_attempt_at__isnull=False, expires_at__lte=now())[:limit]
        rows = list(_locked(late))
        expire(rows)
    return len(rows)


# what is unknown --------------------------------------------------------------------------------------------------


def recover(mailbox: int) -> int:
    """What a worker left behind when it died: attempts that were begun and not ended. Called by the lease's new
    holder, before it begins anything; returns how many."""
    begun = Message.objects.filter(mailbox_id=mailbox, unsent=State.SENDING.value)
    if not begun.exists():  # a look needs no write lock, and a thousand lanes may open at once
        return 0
    with transaction.atomic():
        left = list(begun.values_list("id", flat=True))
        Message.objects.filter(pk__in=left).update(
            state=State.UNKNOWN.value,
            attempts=F("attempts") + 1,
            reason={"cause": "the worker ended before it heard the answer; it is looked for in Sent Items"},
        )
        for message in left:
            note(message, "lost", "the worker that was sending it ended before it heard the answer")
    return len(left)


def uncertain(mailbox: int) -> list[Uncertain]:
    """Messages of unknown fate, oldest first."""
    rows = Message.objects.filter(mailbox_id=mailbox, unsent=State.UNKNOWN.value).order_by("id")
    started = {
        (message, number): at
        for message, number, at in Attempt.objects.filter(message__in=rows).values_list(
            "message_id", "number", "started_at"
        )
    }
    return [
        Uncertain(row.pk, row.tries, row.message_id, started.get((row.pk, row.tries), row.created_at)) for row in rows
    ]


def attempts_since(mailbox: int, moment: datetime) -> int:
    return Attempt.objects.filter(mailbox_id=mailbox, started_at__gte=moment).count()


def found(one: Uncertain, server_message_id: str) -> None:
    """It was taken after all."""
    moment = now()
    with transaction.atomic():
        changed = Message.objects.filter(pk=one.id, state=State.UNKNOWN.value, tries=one.number).update(
            state=State.SENT.value,
            settled_at=moment,
            server_message_id=server_message_id[:998],
            reason={},
        )
        if changed:
            Recipient.objects.filter(message_id=one.id, state__in=_PENDING).update(
                state=State.SENT.value, answer="found in Sent Items"
            )
            Attempt.objects.filter(message_id=one.id, number=one.number).update(finished_at=moment, outcome="sent")
            note(one.id, "found", f"in Sent Items, as {server_message_id}")


def not_found(one: Uncertain, why: str) -> None:
    """It may be sent again: `why` says what was looked at, or that there was nothing to look at."""
    moment = now()
    with transaction.atomic():
        changed = Message.objects.filter(pk=one.id, state=State.UNKNOWN.value, tries=one.number).update(
            state=State.DEFERRED.value,
            next_attempt_at=moment,
            reason={"cause": why},
        )
        if changed:
            Attempt.objects.filter(message_id=one.id, number=one.number, finished_at=None).update(
                finished_at=moment, outcome="not taken"
            )
            note(one.id, "not-found", why)


def note(message: int, action: str, detail: str = "", actor: str = "outbox") -> None:
    """A line in the message's history."""
    Event.objects.create(message_id=message, at=now(), actor=actor, action=action, detail=detail)


def sent_lately(mailbox: int) -> list[tuple[float, int]]:
    """(seconds ago, recipients) of what the server may have counted in the last 24 hours, oldest first; for the pace.

    Older than a minute, it is added up by the minute.
    """
    moment = now()
    rows = (
        Attempt.objects.filter(mailbox_id=mailbox, started_at__gte=moment - timedelta(days=1))
        .exclude(outcome__in=["braked", "deferred", "failed", "not taken"])
        .order_by("started_at")
        .values_list("started_at", "recipient_count")
    )
    summed: dict[int, int] = defaultdict(int)
    single: list[tuple[float, int]] = []
    for started_at, recipients in rows.iterator():
        ago = (moment - started_at).total_seconds()
        if ago <= 120:
            single.append((ago, recipients))
        else:
            summed[int(ago // 60) * 60] += recipients
    return [*((float(ago), count) for ago, count in sorted(summed.items(), reverse=True)), *single]


def move(mailbox: int, stand_in: int, why: str, limit: int = 500) -> int:
    """Hands what waits to another mailbox's lane; returns how many."""
    with transaction.atomic():
        waiting = Message.objects.filter(mailbox_id=mailbox, next_attempt_at__isnull=False).order_by("priority", "id")
        ids = [row.pk for row in _locked(waiting[:limit])]
        Message.objects.filter(pk__in=ids).update(mailbox_id=stand_in, next_attempt_at=now())
        wake.tell({stand_in} if ids else set())
        Event.objects.bulk_create(
            Event(message_id=one, at=now(), actor="outbox", action="moved", detail=why) for one in ids
        )
    return len(ids)


def _locked(rows: QuerySet[Message]) -> QuerySet[Message]:
    """With the rows locked where the database can; what another has locked is passed over."""
    if connection.features.has_select_for_update_skip_locked:
        return rows.select_for_update(skip_locked=True)
    return rows
