"""Faults that a test or a person switches on, to see how a client bears them.

Each is named, may be limited to a number of times, and may carry values. Servers ask `faults.strikes(NAME)` at the
place where the fault would happen.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum


class FaultName(StrEnum):
    TOKEN_DOWN = "token-down"
    """The token endpoint answers 503 (or `status`)."""
    TOKEN_THROTTLED = "token-throttled"
    """The token endpoint answers 429 with `retry_after` seconds."""
    GRAPH_THROTTLED = "graph-throttled"
    """Graph answers 429 with `retry_after`."""
    GRAPH_DOWN = "graph-down"
    """Graph answers 503 (or `status`)."""
    GRAPH_LOST = "graph-lost"
    """Graph takes the request, does it, and drops the connection without an answer."""
    SMTP_LOST_BEFORE_ANSWER = "smtp-lost-before-answer"
    """The connection breaks after the final dot, the message not taken."""
    SMTP_LOST_AFTER_TAKING = "smtp-lost-after-taking"
    """The connection breaks after the final dot, the message taken."""
    SMTP_LOST_IN_DATA = "smtp-lost-in-data"
    """The connection breaks while the message is being sent."""
    SMTP_THROTTLED = "smtp-throttled"
    """432 4.3.2 at DATA."""
    SMTP_OUTBOUND_SPAM = "smtp-outbound-spam"
    SMTP_QUOTA = "smtp-quota"
    """554 5.2.0 SubmissionQuotaExceededException."""
    SMTP_REPLY = "smtp-reply"
    """Any reply: values `step` (connect, auth, mail, rcpt, data) and `reply`."""
    SLOW = "slow"
    """Each answer waits `seconds`."""
    MAILBOX_FULL = "mailbox-full"
    """The mailbox in `mailbox` (or all) takes no more."""
    SECRET_EXPIRED = "secret-expired"
    """Every client secret is treated as expired."""
    IMAP_THROTTLED = "imap-throttled"
    """`BAD Request is throttled. Suggested Backoff Time: N milliseconds`, N in `milliseconds`."""
    IMAP_NOT_CONNECTED = "imap-not-connected"
    """Signed in, and then `BAD User is authenticated but not connected.`"""
    IMAP_LOST = "imap-lost"
    """Connection drops at the next command."""
    TOKEN_SHORT = "token-short"
    """Tokens live only `seconds`."""
    CONDITIONAL_ACCESS = "conditional-access"
    """AADSTS53003."""
    ENTRA_ERROR = "entra-error"
    """Any error of Entra: values `code` (number), `status`, `error`, `text`."""
    GRAPH_ERROR = "graph-error"
    """Any error of Graph: values `status`, `code`, `text`."""
    ADMIN_THROTTLED = "admin-throttled"
    """Exchange administration answers 429 (or `status`) in plain text, with `retry_after`."""
    ADMIN_ERROR = "admin-error"
    """Any error of Exchange administration: values `status`, `type`, `text`."""
    PROPAGATION = "propagation"
    """Changes of rights are seen by the mail servers only after `seconds`."""


VALUES: dict[FaultName, dict[str, type[int] | type[float] | type[str]]] = {
    FaultName.TOKEN_DOWN: {"status": int},
    FaultName.TOKEN_THROTTLED: {"retry_after": int},
    FaultName.GRAPH_THROTTLED: {"retry_after": int},
    FaultName.GRAPH_DOWN: {"status": int},
    FaultName.SMTP_REPLY: {"step": str, "reply": str},
    FaultName.SLOW: {"seconds": float},
    FaultName.MAILBOX_FULL: {"mailbox": str},
    FaultName.IMAP_THROTTLED: {"milliseconds": int},
    FaultName.TOKEN_SHORT: {"seconds": int},
    FaultName.ENTRA_ERROR: {"code": int, "status": int, "error": str, "text": str},
    FaultName.GRAPH_ERROR: {"status": int, "code": str, "text": str},
    FaultName.ADMIN_THROTTLED: {"status": int, "retry_after": int},
    FaultName.ADMIN_ERROR: {"status": int, "type": str, "text": str},
    FaultName.PROPAGATION: {"seconds": float},
}
"""Which values a fault takes, and of which type; a name that is missing here takes none."""


@dataclass
class Fault:
    name: FaultName
    times: int | None = None
    """How often it still strikes; None: until switched off."""
    values: dict[str, str | int | float] = field(default_factory=dict)


@dataclass
class Faults:
    active: dict[FaultName, Fault] = field(default_factory=dict)

    def switch_on(self, fault: Fault) -> None:
        self.active[fault.name] = fault

    def switch_off(self, name: FaultName) -> None:
        self.active.pop(name, None)

    def clear(self) -> None:
        self.active.clear()

    def peek(self, name: FaultName) -> Fault | None:
        """The fault if it is on, without using up one of its times."""
        return self.active.get(name)

    def strikes(self, name: FaultName) -> Fault | None:
        """The fault if it is on; uses up one of its times."""
        fault = self.active.get(name)
        if fault is None or fault.times is None:
            return fault
        fault.times -= 1
        if fault.times <= 0:
            del self.active[name]
        return fault
