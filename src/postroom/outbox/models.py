"""The outbox's tables. `Message` is small and hot; what is large or many lies beside it.

Ids of messages are made here, in the order of time (`ids.py`): rows come at the end of every tree, and retention can
go by the id.
"""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from postroom.mailboxes.models import Mailbox
from postroom.outbox.values import Door, Priority, State


class Message(models.Model):
    """One accepted message. `next_attempt_at` is set exactly while it waits (queued, deferred)."""

    id = models.BigIntegerField(primary_key=True)
    # The log outlives the mailbox; a message that waits for one that is gone says so.
    mailbox = models.ForeignKey(Mailbox, on_delete=models.DO_NOTHING, db_constraint=False, db_index=False)
    submitter = models.CharField(max_length=200)
    door = models.CharField(max_length=8, choices=[(door.value, door.value) for door in Door])
    origin = models.CharField(max_length=64, blank=True)
    """IP address of the submitter, where there is one."""
    sender = models.CharField(max_length=320, blank=True)
    """Of the envelope."""
    author = models.CharField(max_length=320, blank=True)
    """Of the header's From."""
    state = models.CharField(max_length=10, choices=[(state.value, state.value) for state in State])
    priority = models.PositiveSmallIntegerField(default=Priority.NORMAL.value)
    message_id = models.CharField(max_length=998, db_index=True)
    """Ours, with angle brackets."""
    server_message_id = models.CharField(max_length=998, blank=True)
    """The one that the server gave it (facts 8)."""
    subject = models.CharField(max_length=255, blank=True)
    size = models.PositiveIntegerField()
    recipient_count = models.PositiveIntegerField()
    idempotency_key = models.CharField(max_length=200, blank=True)
    digest = models.CharField(max_length=64, blank=True)
    """SHA-256 of what was handed in, kept beside an idempotency key."""
    template = models.CharField(max_length=120, blank=True)
    not_before = models.DateTimeField(null=True)
    next_attempt_at = models.DateTimeField(null=True)
    expires_at = models.DateTimeField()
    attempts = models.PositiveIntegerField(default=0)
    """Those that count; an attempt that the set-up or the pace stopped does not."""
    tries = models.PositiveIntegerField(default=0)
    """All attempts ever begun; the number of the latest."""
    reason = models.JSONField(default=dict)
    """Why it stands where it stands: cause, fix, the server's words."""
    wishes = models.JSONField(default=dict)
    """`DeliveryReports` less what belongs to single recipients; `is_report`."""
    created_at = models.DateTimeField()
    settled_at = models.DateTimeField(null=True)

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(
                fields=["submitter", "idempotency_key"],
                condition=~models.Q(idempotency_key=""),
                name="outbox_key_once",
            ),
        ]
        indexes: ClassVar[list[models.Index]] = [
            # What is claimed from: holds only what waits, so a claim costs the same whatever is kept.
            models.Index(
                fields=["mailbox", "priority", "next_attempt_at"],
                condition=models.Q(next_attempt_at__isnull=False),
                name="outbox_due",
            ),
            # All but those that were sent, which are nearly all: recovery, counts and lists by state.
            models.Index(fields=["unsent", "id"], condition=models.Q(unsent__isnull=False), name="outbox_unsent"),
            models.Index(fields=["server_message_id"], name="outbox_server_id"),
            models.Index(fields=["settled_at"], condition=models.Q(settled_at__isnull=False), name="outbox_settled"),
        ]

    # SQLite uses a partial index only where the query says, or implies, its very condition: "not null" is implied by
    # every comparison, "not sent" by none.
    unsent = models.GeneratedField(
        expression=models.Case(models.When(state=State.SENT.value, then=None), default=models.F("state")),
        output_field=models.CharField(max_length=10, null=True),
        db_persist=True,
    )
    """The state, unless it is sent."""
    mailbox_name = ""
    """For people, where the service has filled it in: the mailbox may be gone."""

    def __str__(self) -> str:
        return f"{self.id} {self.message_id}"


class Body(models.Model):
    """The message itself, apart, so that claims and lists never read it."""

    message = models.OneToOneField(Message, on_delete=models.CASCADE, primary_key=True, related_name="body")
    raw = models.BinaryField()


class Recipient(models.Model):
    """One recipient of the envelope and what became of it: queued, sent, deferred, failed."""

    message = models.ForeignKey(Message, on_delete=models.CASCADE, related_name="recipients")
    address = models.CharField(max_length=320, db_index=True)
    state = models.CharField(max_length=10, default=State.QUEUED.value)
    answer = models.TextField(blank=True)
    """The server's words on it."""
    notify = models.CharField(max_length=32, blank=True)
    original = models.CharField(max_length=500, blank=True)

    class Meta:
        ordering: ClassVar[list[str]] = ["id"]


class Attempt(models.Model):
    """One attempt. The row is there before the attempt is made; `finished_at` and `outcome` come after it."""

    message = models.ForeignKey(Message, on_delete=models.CASCADE, related_name="attempt_rows")
    number = models.PositiveIntegerField()
    mailbox = models.ForeignKey(Mailbox, on_delete=models.DO_NOTHING, db_constraint=False, db_index=False)
    transport = models.CharField(max_length=8)
    worker = models.CharField(max_length=80)
    recipient_count = models.PositiveIntegerField(default=0)
    started_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True)
    outcome = models.CharField(max_length=12, blank=True)
    answer = models.TextField(blank=True)
    """The server's words."""
    diagnosis = models.JSONField(null=True)

    class Meta:
        ordering: ClassVar[list[str]] = ["id"]
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["message", "number"], name="outbox_attempt_once"),
        ]
        indexes: ClassVar[list[models.Index]] = [
            # What went out in the last minute and day: the pace of a lane that changes hands.
            models.Index(fields=["mailbox", "started_at"], name="outbox_attempt_pace"),
        ]


class Event(models.Model):
    """What a person or the outbox did with a message; that it was accepted stands in the message itself."""

    message = models.ForeignKey(Message, on_delete=models.CASCADE, related_name="events")
    at = models.DateTimeField()
    actor = models.CharField(max_length=254)
    action = models.CharField(max_length=24)
    """retried, cancelled, held, released, moved, expired, found, not-found ..."""
    detail = models.TextField(blank=True)

    class Meta:
        ordering: ClassVar[list[str]] = ["id"]


class Lane(models.Model):
    """The one lane of a mailbox: who holds it, whether it moves, and how fast it has learned to go."""

    mailbox = models.OneToOneField(
        Mailbox, on_delete=models.CASCADE, primary_key=True, related_name="lane", db_constraint=False
    )
    holder = models.CharField(max_length=80, blank=True)
    lease_until = models.DateTimeField(null=True)
    state = models.CharField(max_length=10, default="moving")
    """`moving`; `waiting` for `resume_at` (throttled, or the server is away); `stopped` by a fault of the set-up, and
    tried again at `resume_at`; `held` by a person."""
    resume_at = models.DateTimeField(null=True)
    since = models.DateTimeField(null=True)
    """When it came into this state."""
    diagnosis = models.JSONField(null=True)
    learned_per_minute = models.FloatField(null=True)
    learned_connections = models.PositiveSmallIntegerField(null=True)
    fallback = models.ForeignKey(
        Mailbox, on_delete=models.SET_NULL, null=True, related_name="stands_in_for", db_constraint=False
    )
    """Takes over what waits while this lane is stopped; it must be allowed to send as the same addresses."""
    other_way = models.BooleanField(default=False)
    """Whether SMTP and Graph stand in for each other."""
    changed_at = models.DateTimeField(auto_now=True)


class Worker(models.Model):
    """A worker that is alive: how many there are decides how many lanes each takes."""

    name = models.CharField(max_length=80, primary_key=True)
    seen_at = models.DateTimeField()
