"""The ways in which a mailbox's mail can leave: its own protocol, and where allowed the other one. Blocking.

Each way has a breaker: closed while it works, open for a while after it failed, then tried with one message.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from postroom.core.faults import Fault
from postroom.core.settings import settings
from postroom.mail.envelope import Envelope
from postroom.mailboxes import connect, mailing, service
from postroom.mailboxes.connect import Ready
from postroom.microsoft.answers import Answer
from postroom.microsoft.errors import Diagnosis
from postroom.outbox.rules import Brake, brake_pause
from postroom.transports.base import SendRoute

_OTHER = {"smtp": "graph", "graph": "smtp"}
_REDIRECTED = b"X-Postroom-Redirected"


@dataclass
class Way:
    """One protocol with its breaker. Times are of the loop's clock."""

    name: str
    """`smtp` or `graph`."""
    prepared: Ready
    route: SendRoute
    open_until: float = float("-inf")
    failures: int = 0
    """In a row."""
    proved: bool = False
    """Whether something went through since it last failed; until then one message at a time."""
    why: tuple[Brake, Diagnosis] | None = field(default=None, repr=False)

    def explain(self, answer: Answer) -> Diagnosis:
        """May block on the token source."""
        return mailing.explain_sending(self.prepared, answer)

    def failed(self, brake: Brake, diagnosis: Diagnosis, now: float, jitter: float) -> float:
        """Opens the breaker; returns for how many seconds."""
        if now < self.open_until and self.why is not None:
            return self.open_until - now  # several connections met the same fault
        self.failures += 1
        self.proved = False
        self.why = (brake, diagnosis)
        pause = brake_pause(brake, self.failures, diagnosis.retry_after, jitter)
        self.open_until = now + pause
        return pause

    def worked(self) -> bool:
        """Closes the breaker; True when this is news."""
        news = self.failures > 0
        self.failures, self.proved, self.why = 0, True, None
        self.open_until = float("-inf")
        return news


def ways(mailbox_id: int, *, other_way: bool) -> list[Way]:
    """Its own way first. Raises `Fault` when the mailbox cannot send as it is."""
    mailbox = service.get(mailbox_id)
    if not mailbox.enabled:
        raise Fault(f"the mailbox {mailbox.name!r} is switched off", f"postroom mailbox enable {mailbox.name!r}")
    prepared = connect.ready(mailbox)
    found = [Way(prepared.whole.send_by, prepared, connect.send_route(prepared))]
    if other_way and prepared.identity is not None:
        mailbox.send_by = _OTHER[found[0].name]
        other = connect.ready(mailbox)
        found.append(Way(other.whole.send_by, other, connect.send_route(other)))
    return found


def same_setup(one: Ready, other: Ready) -> bool:
    """Whether nothing changed that a connection depends on."""
    return replace(one, changed_at=other.changed_at) == other


def redirected(envelope: Envelope, message: bytes) -> tuple[Envelope, bytes]:
    """On test systems: everything to one address, with a field that says for whom it was (X22)."""
    to = settings().redirect_to
    if not to:
        return envelope, message
    whom = ", ".join(envelope.recipients).encode("ascii", "backslashreplace")
    line_end = b"\r\n" if b"\r\n" in message[:2000] else b"\n"
    return Envelope(envelope.sender, (to,)), _REDIRECTED + b": " + whom[:900] + line_end + message
