"""The verbs on what is kept: look, count, retry, cancel, hold, release, purge; and on lanes: hold, resume, set.

Each change of a message is an event in its history, and each verb on many a line in the audit log.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import connection, transaction
from django.db.models import Count, QuerySet, Sum

from postroom.accounts import audit
from postroom.accounts.audit import Actor
from postroom.core.clock import now
from postroom.core.faults import Fault, NotFound
from postroom.mailboxes import service as mailboxes
from postroom.mailboxes.models import Mailbox
from postroom.outbox import accept, lane_rows, retention, wake
from postroom.outbox.books import Known
from postroom.outbox.models import Attempt, Event, Lane, Message, Recipient
from postroom.outbox.rules import forecast
from postroom.outbox.values import State

_OPEN = (State.QUEUED, State.SENDING, State.DEFERRED, State.UNKNOWN)
_MANY = 1000
"""Messages changed in one transaction."""


@dataclass(frozen=True, slots=True)
class Counts:
    """How many messages stand in which state, of all mailboxes or of one."""

    by_state: dict[str, int]

    @property
    def open(self) -> int:
        """Those that will be sent without anybody doing anything."""
        return sum(self.by_state[state] for state in _OPEN)

    @property
    def total(self) -> int:
        return sum(self.by_state.values())

    def to_json(self) -> dict[str, int]:
        return {**self.by_state, "open": self.open, "total": self.total}


@dataclass(frozen=True, slots=True)
class LaneView:
    """One lane as people see it."""

    mailbox: int
    name: str
    address: str
    state: str
    """`moving`, `waiting`, `stopped`, `held`."""
    waiting: int
    per_minute: float | None
    """Messages a minute, as it may go now; None: nothing limits it."""
    learned: bool
    """Whether the server taught it to go slower than the mailbox's limit."""
    sent_last_minute: int
    left_today: int | None
    """Recipients that the mailbox may still address in the rolling 24 hours."""
    clear_in: timedelta | None
    holder: str
    resume_at: datetime | None
    since: datetime | None
    diagnosis: dict[str, Any] | None
    fallback: str
    other_way: bool


# looking ---------------------------------------------------------------------------------------------------------


def counts(mailbox: int | None = None) -> Counts:
    """Of all states. What is sent is counted as what is left over: only that may be many."""
    rows = Message.objects.all() if mailbox is None else Message.objects.filter(mailbox_id=mailbox)
    found = dict.fromkeys(map(str, State), 0)
    unsent = rows.filter(unsent__isnull=False).order_by()
    found |= dict(unsent.values_list("unsent").annotate(Count("id")))
    found[State.SENT] = rows.count() - sum(found.values())
    return Counts(found)


def search(
    text: str = "", *, state: str = "", mailbox: int | None = None, before: int | None = None, limit: int = 50
) -> list[Message]:
    """The newest messages first, those with ids below `before`.

    `text` is an id, a Message-ID in angle brackets, the address of a recipient, an idempotency key after `key:`, or
    words of the subject; words are looked for in the latest 100,000 messages.
    """
    rows = Message.objects.order_by("-id")
    if state:
        rows = rows.filter(state=state) if state == State.SENT else rows.filter(unsent=state)
    if mailbox is not None:
        rows = rows.filter(mailbox_id=mailbox)
    if before is not None:
        rows = rows.filter(id__lt=before)
    return _named(list(_matching(rows, text.strip())[:limit]))


def get(message_id: int) -> Message:
    """Raises `NotFound`."""
    try:
        (row,) = _named([Message.objects.get(pk=message_id)])
    except Message.DoesNotExist:
        raise NotFound(f"there is no message {message_id}", "See: postroom outbox list") from None
    return row


def history(message: Message) -> tuple[list[Recipient], list[Attempt], list[Event]]:
    """Recipients, attempts and events, each in order."""
    return list(message.recipients.all()), list(message.attempt_rows.all()), list(message.events.all())


def body(message: Message) -> bytes:
    """The message as it is kept."""
    return bytes(message.body.raw)


def lanes(only: int | None = None, limit: int = 100) -> list[LaneView]:
    """The lanes of mailboxes that send: first those that do not move, then by how much waits. At most `limit`."""
    rows = {lane.mailbox_id: lane for lane in Lane.objects.select_related("fallback")}
    waiting = _waiting()
    known = [one for one in accept.books().everything() if one.whole is not None and one.whole.send_by != "none"]
    if only is not None:
        known = [one for one in known if one.id == only]

    def urgency(one: Known) -> tuple[bool, int]:
        row = rows.get(one.id)
        return row is None or row.state == lane_rows.MOVING, -waiting.get(one.id, (0, 0))[0]

    return [_lane(one, rows.get(one.id), *waiting.get(one.id, (0, 0))) for one in sorted(known, key=urgency)[:limit]]


# messages --------------------------------------------------------------------------------------------------------


def retry(ids: Iterable[int], by: Actor) -> int:
    """Sends now what waits or has failed; recipients that have it are left alone. Returns how many."""

    def change(rows: QuerySet[Message]) -> int:
        failed = rows.filter(state__in=[State.FAILED, State.EXPIRED, State.CANCELLED, State.UNKNOWN])
        again = list(failed.values_list("id", flat=True))
        Recipient.objects.filter(message_id__in=again).exclude(state=State.SENT).update(state=State.QUEUED)
        moment = now()
        Message.objects.filter(pk__in=again, expires_at__lte=moment).update(expires_at=moment + accept.LIFETIME)
        waiting = list(rows.filter(state__in=[State.DEFERRED, State.QUEUED]).values_list("id", flat=True))
        return Message.objects.filter(pk__in=[*again, *waiting]).update(
            state=State.QUEUED.value, next_attempt_at=moment, settled_at=None, reason={}
        )

    states = [State.DEFERRED, State.QUEUED, State.FAILED, State.EXPIRED, State.CANCELLED, State.UNKNOWN]
    return _many(ids, states, "retried", by, change)


def cancel(ids: Iterable[int], by: Actor) -> int:
    """What waits or is held is never sent. Returns how many; what is under way cannot be called back."""

    def change(rows: QuerySet[Message]) -> int:
        return rows.update(state=State.CANCELLED.value, next_attempt_at=None, settled_at=now())

    return _many(ids, [State.QUEUED, State.DEFERRED, State.HELD, State.UNKNOWN], "cancelled", by, change)


def hold(ids: Iterable[int], by: Actor) -> int:
    """What waits is kept back until it is released. Returns how many."""

    def change(rows: QuerySet[Message]) -> int:
        return rows.update(state=State.HELD.value, next_attempt_at=None)

    return _many(ids, [State.QUEUED, State.DEFERRED], "held", by, change)


def release(ids: Iterable[int], by: Actor) -> int:
    """What was held goes on. Returns how many."""

    def change(rows: QuerySet[Message]) -> int:
        moment = now()
        later = rows.filter(not_before__gt=moment)
        changed = 0
        for row in later:
            changed += rows.filter(pk=row.pk).update(state=State.QUEUED.value, next_attempt_at=row.not_before)
        return changed + rows.filter(state=State.HELD).update(state=State.QUEUED.value, next_attempt_at=moment)

    return _many(ids, [State.HELD], "released", by, change)


def purge(days: float, by: Actor) -> int:
    """Deletes settled messages older than so many days, with all that belongs to them. Returns how many."""
    gone = retention.purge_before(now() - timedelta(days=days))
    audit.record(by, "outbox.purged", "", {"days": days, "messages": gone})
    return gone


# lanes -----------------------------------------------------------------------------------------------------------


def hold_lane(mailbox: int, by: Actor) -> None:
    """Nothing is sent through this mailbox until the lane is resumed; what comes is kept."""
    row = _lane_row(mailbox)
    row.state, row.since, row.resume_at = lane_rows.HELD, now(), None
    row.save()
    audit.record(by, "lane.held", mailboxes.get(mailbox).name)


def resume_lane(mailbox: int, by: Actor) -> None:
    """Tries it again now: after a hold, or when what stopped it has been mended."""
    row = _lane_row(mailbox)
    row.resume_at = now()
    if row.state == lane_rows.HELD:
        row.state, row.since, row.resume_at = lane_rows.MOVING, now(), None
    row.save()
    with transaction.atomic():
        wake.tell({mailbox})
    audit.record(by, "lane.resumed", mailboxes.get(mailbox).name)


def set_lane(mailbox: int, by: Actor, *, fallback: int | None, other_way: bool) -> None:
    """Who stands in when this mailbox's lane is stopped. Raises `Fault` for one that would stand in for itself."""
    if fallback == mailbox:
        raise Fault("a mailbox cannot stand in for itself", "Choose another mailbox, or none.")
    row = _lane_row(mailbox)
    before = {"fallback": row.fallback_id, "other_way": row.other_way}
    row.fallback_id, row.other_way = fallback, other_way
    row.save()
    after = {"fallback": fallback, "other_way": other_way}
    audit.record(by, "lane.changed", mailboxes.get(mailbox).name, audit.changes(before, after))


# within ----------------------------------------------------------------------------------------------------------


def _many(
    ids: Iterable[int],
    states: Sequence[State],
    action: str,
    by: Actor,
    change: Callable[[QuerySet[Message]], int],
) -> int:
    """Changes those of these messages that stand in one of the states, some at a time."""
    wanted, changed = list(ids), 0
    for start in range(0, len(wanted), _MANY):
        with transaction.atomic():
            rows = Message.objects.filter(pk__in=wanted[start : start + _MANY], state__in=[str(one) for one in states])
            if connection.features.has_select_for_update:
                rows = rows.select_for_update()
            found = dict(rows.values_list("id", "mailbox_id"))
            moment = now()
            Event.objects.bulk_create(
                Event(message_id=one, at=moment, actor=by.name, action=action, detail=by.origin) for one in found
            )
            changed += change(Message.objects.filter(pk__in=found))
            wake.tell(set(found.values()))
    if changed:
        subject = str(wanted[0]) if len(wanted) == 1 else f"{changed} messages"
        audit.record(by, f"message.{action}", subject)
    return changed


def _named(rows: list[Message]) -> list[Message]:
    """With the names of their mailboxes. Not by a join: messages of a mailbox that is gone must stay visible."""
    names = dict(Mailbox.objects.filter(pk__in={row.mailbox_id for row in rows}).values_list("id", "name"))
    for row in rows:
        row.mailbox_name = names.get(row.mailbox_id, f"deleted mailbox {row.mailbox_id}")
    return rows


_WORDS_IN = 100_000


def _matching(rows: QuerySet[Message], text: str) -> QuerySet[Message]:
    if not text:
        return rows
    if text.isdecimal() and len(text) > 15:
        return rows.filter(pk=int(text))
    if text.startswith("<"):
        ours = Message.objects.filter(message_id=text).order_by("-id").values_list("id", flat=True)[:_MANY]
        theirs = Message.objects.filter(server_message_id=text).order_by("-id").values_list("id", flat=True)[:_MANY]
        return rows.filter(pk__in=[*ours, *theirs])
    if text.startswith("key:"):
        return rows.filter(idempotency_key=text.removeprefix("key:"))
    if "@" in text:
        known = Recipient.objects.filter(address__in={text, text.lower()}).order_by("-message_id")
        return rows.filter(pk__in=list(known.values_list("message_id", flat=True)[:_MANY]))
    latest = Message.objects.order_by("-id").values_list("id", flat=True)[_WORDS_IN : _WORDS_IN + 1]
    floor = next(iter(latest), 0)
    return rows.filter(id__gt=floor, subject__icontains=text)


def _waiting() -> dict[int, tuple[int, int]]:
    """Mailbox -> messages and recipients that wait."""
    rows = Message.objects.filter(next_attempt_at__isnull=False).order_by().values("mailbox_id")
    return {
        row["mailbox_id"]: (row["messages"], row["people"])
        for row in rows.annotate(messages=Count("id"), people=Sum("recipient_count"))
    }


def _lane(known: Known, row: Lane | None, messages: int, recipients: int) -> LaneView:
    row = row or Lane(mailbox_id=known.id)
    whole = known.whole
    assert whole is not None  # noqa: S101 - the others were left out
    moment = now()
    tried = Attempt.objects.filter(mailbox_id=known.id)
    minute = tried.filter(started_at__gte=moment - timedelta(minutes=1), outcome__in=["sent", "partly"]).count()
    left = None
    if whole.recipients_per_day is not None:
        today = tried.filter(started_at__gte=moment - timedelta(days=1), outcome__in=["sent", "partly", "unknown"])
        left = max(whole.recipients_per_day - (today.aggregate(people=Sum("recipient_count"))["people"] or 0), 0)
    rate = min((one for one in (whole.messages_per_minute, row.learned_per_minute) if one is not None), default=None)
    return LaneView(
        mailbox=known.id,
        name=whole.name,
        address=whole.address,
        state=row.state,
        waiting=messages,
        per_minute=rate,
        learned=row.learned_per_minute is not None,
        sent_last_minute=minute,
        left_today=left,
        clear_in=forecast(messages, rate, recipients, left),
        holder=row.holder,
        resume_at=row.resume_at,
        since=row.since,
        diagnosis=row.diagnosis,
        fallback=row.fallback.name if row.fallback else "",
        other_way=row.other_way,
    )


def _lane_row(mailbox: int) -> Lane:
    mailboxes.get(mailbox)
    row, _ = Lane.objects.get_or_create(mailbox_id=mailbox)
    return row
