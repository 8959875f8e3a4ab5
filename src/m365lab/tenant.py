"""One tenant: its directory, its Exchange, its tokens, its clock, its faults. All servers share this one object.

Everything runs in one event loop in one thread, so nothing here needs a lock.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from m365lab.clock import Clock
from m365lab.directory import Directory
from m365lab.exchange import Exchange, Mailbox
from m365lab.faults import FaultName, Faults
from m365lab.licences import has_exchange
from m365lab.limits import Limits
from m365lab.tokens import Tokens


@dataclass
class Tenant:
    directory: Directory
    exchange: Exchange = field(default_factory=Exchange)
    clock: Clock = field(default_factory=Clock)
    faults: Faults = field(default_factory=Faults)
    limits: Limits = field(default_factory=Limits)
    tokens: Tokens = field(init=False)

    def __post_init__(self) -> None:
        self.tokens = Tokens(self.directory, self.clock)

    def has_spread(self, key: str) -> bool:
        """True unless the fault "propagation" still hides the right of this key from the mail servers (facts 8)."""
        fault, at = self.faults.peek(FaultName.PROPAGATION), self.exchange.given.get(key)
        return fault is None or at is None or at + float(fault.values.get("seconds", 60)) <= self.clock.time()

    def is_licensed(self, mailbox: Mailbox) -> bool:
        """A user's mailbox needs a licence with Exchange in it; without one it is as good as gone."""
        user = self.directory.users.get(mailbox.user_id)
        return mailbox.shared or user is None or has_exchange(user.licences)
