"""Which of its causes a vague answer has: the token's claims first, then what worked in the same proof.

Exchange says one and the same thing for half a dozen faults (facts 5), but it checks in an order: the token, the role
in it, the service principal, the right on the mailbox, the protocol. So whatever worked rules out all that is
checked before it. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from postroom.microsoft.answers import Answer, Service
from postroom.microsoft.catalogue import Fault
from postroom.microsoft.claims import Claims

ROLE_FOR: Mapping[Service, str] = MappingProxyType(
    {Service.SMTP: "SMTP.SendAsApp", Service.IMAP: "IMAP.AccessAsApp", Service.POP3: "POP.AccessAsApp"}
)
"""The app role without which Exchange takes no token for the protocol (facts 4.2)."""
_INCLUDED_IN = {"Mail.Read": {"Mail.ReadWrite"}, "Mail.ReadBasic.All": {"Mail.Read", "Mail.ReadWrite"}}


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known around an answer. All of it is optional; the more there is, the surer the cause."""

    mailbox: str = ""
    sender: str = ""
    """The From address, where it is not the mailbox's own."""
    tenant: str = ""
    client_id: str = ""
    object_id: str = ""
    """Of the App registration, as typed in; only there to recognise it where the other one belongs."""
    service_principal_id: str = ""
    """Of the Enterprise application, as typed in."""
    claims: Claims | None = None
    """Of the token that was used."""
    recently_changed: bool = False
    worked: frozenset[str] = frozenset()
    """What succeeded in this proof: `token`, and `{smtp,imap,pop3,graph}-{sign-in,sender,data,folder,read}`."""
    scoped: bool = False
    """The application's rights come from RBAC for Applications: its token rightly has no roles (facts 4.3)."""


@dataclass(frozen=True, slots=True)
class Finding:
    """The cause, the signs that point to it, and the app role it is about."""

    fault: Fault
    signs: tuple[str, ...] = ()
    role: str = ""


def narrow(found: Fault, answer: Answer, evidence: Evidence) -> Finding:
    """The one cause of this answer."""
    raise NotImplementedError


def judge_claims(claims: Claims, needed: Sequence[str], resource: str, evidence: Evidence) -> Finding | None:
    """What is wrong with the token by its own claims, in the order in which Exchange checks; None when nothing is."""
    raise NotImplementedError
