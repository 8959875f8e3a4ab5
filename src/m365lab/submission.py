"""What becomes of a message at the end of DATA: Exchange's checks in their order, each with its own answer.

Exchange opens the mailbox only here, so a missing right shows here and not at the sign-in (facts 5 [I]).
"""

from __future__ import annotations

import asyncio
import email
import email.policy
import email.utils
from collections import defaultdict
from dataclasses import dataclass, field

from m365lab import smtp_words as words
from m365lab.access import Denial, Denied, Protocol, Visit, check
from m365lab.exchange import Mailbox
from m365lab.faults import FaultName
from m365lab.post import MailboxFull, PostOffice, SendAsDenied
from m365lab.tenant import Tenant
from m365lab.xoauth2 import Credentials

_TICK = 0.2
"""Seconds between two looks at the pace: limits and clock may be changed while a message waits."""


@dataclass(frozen=True)
class SignedIn:
    """One connection's sign-in."""

    credentials: Credentials
    visit: Visit

    @property
    def mailbox(self) -> Mailbox:
        return self.visit.mailbox


@dataclass
class Submissions:
    """What the SMTP connections of a lab share."""

    tenant: Tenant
    office: PostOffice
    open: dict[str, list[SignedIn]] = field(default_factory=lambda: defaultdict(list))
    """Signed-in connections by mailbox, the oldest first."""

    def sign_in(self, credentials: Credentials) -> SignedIn | str:
        """The sign-in, or the answer that refuses it. A missing right is told later, by `submit`."""
        verdict = check(self.tenant, Protocol.SMTP, credentials.user, credentials.token)
        now = self.tenant.clock.now()
        if isinstance(verdict, Denied):
            if verdict.why is Denial.SWITCHED_OFF_MAILBOX:
                return words.switched_off("Mailbox", now)
            if verdict.why is Denial.SWITCHED_OFF_TENANT:
                return words.switched_off("Tenant", now)
            if verdict.why is not Denial.RIGHT or verdict.visit is None:
                return words.sign_in_failed(now)
            verdict = verdict.visit
        signed_in = SignedIn(credentials, verdict)
        self.open[signed_in.mailbox.address].append(signed_in)
        return signed_in

    def sign_out(self, signed_in: SignedIn) -> None:
        """Ends a sign-in: the connection is gone."""
        here = self.open[signed_in.mailbox.address]
        here[:] = [other for other in here if other is not signed_in]

    async def submit(self, signed_in: SignedIn, sender: str, recipients: tuple[str, ...], raw: bytes) -> str:
        """The answer to the final dot."""
        refused = self._refuses(signed_in, len(recipients)) or await self._paces(signed_in)
        if refused:
            return refused
        mailbox = signed_in.mailbox
        try:
            for address in _authors(raw):
                self.office.check_sender(mailbox, address)
            submitted = self.office.submit(mailbox, sender, recipients, raw)
        except SendAsDenied as denied:
            return words.send_as_denied(str(denied))
        except MailboxFull:
            return words.FULL
        return words.taken(submitted.message_id)

    def _refuses(self, signed_in: SignedIn, recipients: int) -> str | None:
        tenant, mailbox = self.tenant, signed_in.mailbox
        verdict = check(tenant, Protocol.SMTP, signed_in.credentials.user, signed_in.credentials.token)
        if isinstance(verdict, Denied) and verdict.why is Denial.RIGHT:
            return words.NO_RIGHT
        if tenant.faults.strikes(FaultName.SMTP_THROTTLED) or self._is_crowded(signed_in):
            return words.THREADS
        if tenant.limits.recipients_left(mailbox.address, tenant.clock.time()) < recipients:
            return words.QUOTA
        if tenant.faults.strikes(FaultName.SMTP_QUOTA):
            return words.QUOTA
        if tenant.faults.strikes(FaultName.SMTP_OUTBOUND_SPAM):
            return words.OUTBOUND_SPAM
        return None

    def _is_crowded(self, signed_in: SignedIn) -> bool:
        """True for each connection of a mailbox beyond the three that may submit at a time (facts 6 [C])."""
        limit = self.tenant.limits.connections
        if limit is None:
            return False
        return not any(other is signed_in for other in self.open[signed_in.mailbox.address][:limit])

    async def _paces(self, signed_in: SignedIn) -> str | None:
        """Delays what is above the messages a minute, carried over as Exchange does (facts 6 [C])."""
        limits, clock = self.tenant.limits, self.tenant.clock
        while (wait := limits.seconds_until_message(signed_in.mailbox.address, clock.time())) > 0:
            if limits.pace_refuses:
                return words.TOO_FAST
            await asyncio.sleep(min(wait, _TICK))
        return None


def _authors(raw: bytes) -> list[str]:
    """The addresses in the header's From; Exchange checks these as well as MAIL FROM (facts 4.2 [I])."""
    header = email.message_from_bytes(raw.partition(b"\r\n\r\n")[0] + b"\r\n\r\n", policy=email.policy.compat32)
    values = [str(value) for value in header.get_all("From", [])]
    return [address for _, address in email.utils.getaddresses(values) if address]
