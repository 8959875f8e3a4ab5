"""What doors hand to the outbox and get back: plain values, and the one way in which it says no."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import IntEnum, StrEnum

from postroom.core.faults import Fault
from postroom.mail.compose import Draft
from postroom.mail.envelope import Envelope


class State(StrEnum):
    """Where a message stands. The last four are ends."""

    QUEUED = "queued"
    """Waits for its turn."""
    SENDING = "sending"
    """An attempt was written down and is being made."""
    DEFERRED = "deferred"
    """Was refused for the time being; `next_attempt_at` says when it is tried again."""
    UNKNOWN = "unknown"
    """Handed over, and no answer came: looked for in Sent Items before anything is sent again."""
    HELD = "held"
    """Somebody stopped it; it goes on when released."""
    SENT = "sent"
    """Taken by the other side, for at least one recipient; `reason` says for whom not."""
    FAILED = "failed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


WAITING = frozenset({State.QUEUED, State.DEFERRED})
SETTLED = frozenset({State.SENT, State.FAILED, State.CANCELLED, State.EXPIRED})


class Priority(IntEnum):
    """Lower goes first; within one, whoever came first."""

    URGENT = 0
    """One-time codes: minutes matter."""
    NORMAL = 1
    BULK = 2


class Door(StrEnum):
    """By which door a message came."""

    CONSOLE = "console"
    CLI = "cli"
    REST = "rest"
    SMTP = "smtp"
    SYSTEM = "system"
    """Postroom itself: notices, reports of failure."""


class Why(StrEnum):
    """The reason of a refusal, for doors that speak in codes."""

    MAILBOX = "mailbox"
    """No such mailbox, or it is switched off, or it does not send."""
    MAILBOX_NOT_ALLOWED = "mailbox-not-allowed"
    SENDER_NOT_ALLOWED = "sender-not-allowed"
    RECIPIENTS = "recipients"
    """None, or one that is no address."""
    TOO_MANY_RECIPIENTS = "too-many-recipients"
    TOO_LARGE = "too-large"
    MALFORMED = "malformed"
    LOOP = "loop"
    EXPIRED = "expired"
    """Would never be sent: it expires before it may go out."""
    CONFLICT = "conflict"
    """The idempotency key was used for another message."""
    UNAVAILABLE = "unavailable"
    """Nothing wrong with the message: it cannot be kept right now (disk full, database gone)."""


class Refusal(Fault):
    """A message that was not accepted; nothing of it is kept."""

    def __init__(self, why: Why, reason: str, fix: str = "") -> None:
        super().__init__(reason, fix)
        self.why = why

    @property
    def temporary(self) -> bool:
        """Whether the very same message may be accepted later."""
        return self.why is Why.UNAVAILABLE


@dataclass(frozen=True, slots=True)
class Caller:
    """Who hands a message in, and what they may do. None means: anything."""

    name: str
    """`app:payroll`, `ada@contoso.com`, `cli:root`; idempotency keys are one's own."""
    mailboxes: frozenset[int] | None = None
    """Ids of the mailboxes that may be used."""
    senders: tuple[str, ...] | None = None
    """Addresses for From and for the envelope; `*@contoso.com` for a whole domain."""
    address: str = ""
    """IP address, where there is one."""


@dataclass(frozen=True, slots=True)
class DeliveryReports:
    """What the submitter wants to be told (RFC 3461), as the SMTP door was asked."""

    ret: str = ""
    """`FULL` or `HDRS`: how much of the message a report brings back."""
    envelope_id: str = ""
    notify: Mapping[str, str] = field(default_factory=dict)
    """Recipient -> `NEVER`, or some of `SUCCESS,FAILURE,DELAY`; without an entry: failure only."""
    original: Mapping[str, str] = field(default_factory=dict)
    """Recipient -> ORCPT, such as `rfc822;ada@contoso.com`."""


@dataclass(frozen=True, slots=True)
class Submission:
    """One message, as a door hands it in."""

    caller: Caller
    door: Door
    message: bytes | Draft
    """Ready bytes (then `envelope` is needed), or the parts to compose it from."""
    envelope: Envelope | None = None
    mailbox: int | None = None
    """Id; None: the one whose address is the From, else the default one."""
    priority: Priority = Priority.NORMAL
    idempotency_key: str = ""
    not_before: datetime | None = None
    expires_at: datetime | None = None
    """Never sent after; five days from now when left out (RFC 5321 section 4.5.4.1)."""
    template: str = ""
    reports: DeliveryReports = DeliveryReports()
    is_report: bool = False
    """A report of failure: nobody is told when it fails in turn (RFC 3464 section 2)."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """The message is on disk."""

    id: int
    message_id: str
    """Ours, with angle brackets."""
    mailbox: int
    recipients: tuple[str, ...]
    repeated: bool = False
    """The same key with the same message had been accepted before; nothing was added."""
