"""The wanted state: what an administrator asks for, as a value and as YAML. Pure.

Ten lines are enough: all but tenant and mailboxes has a default. docs/tenant.md shows an example.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum


class CredentialKind(StrEnum):
    SECRET = "secret"
    """A client secret, made by Entra."""
    CERTIFICATE = "certificate"
    """A certificate whose key is made here and never leaves."""
    FEDERATED = "federated"
    """A token of another issuer (RFC 7523) that lies in a file."""


class SendBy(StrEnum):
    SMTP = "smtp"
    GRAPH = "graph"


class ReadBy(StrEnum):
    IMAP = "imap"
    POP = "pop"
    GRAPH = "graph"


class Restriction(StrEnum):
    """How the application is kept to its mailboxes."""

    GRANT = "grant"
    """A right on each mailbox (FullAccess): what IMAP, POP3 and SMTP need anyway (facts 4.2)."""
    SCOPE = "scope"
    """RBAC for Applications: a role for the mailboxes of a management scope (facts 4.3)."""
    NONE = "none"
    """Every mailbox of the organisation."""


@dataclass(frozen=True, slots=True)
class WantedCredential:
    kind: CredentialKind = CredentialKind.SECRET
    days: int = 180
    """How long a secret or certificate lives; Microsoft allows a secret 24 months and recommends less than 12."""
    issuer: str = ""
    """Federated: `iss` of the other issuer's token."""
    subject: str = ""
    """Federated: its `sub`."""
    token_file: str = ""
    """Federated: where the token lies on this machine."""


@dataclass(frozen=True, slots=True)
class WantedMailbox:
    address: str
    name: str = ""
    shared: bool = False
    """True: a shared mailbox, made when it is not there. False: the mailbox of a user, who must exist."""
    licence: str = ""
    """Part number of the licence to assign to a user without one; empty: any free one that has Exchange."""
    members: tuple[str, ...] = ()
    """People who may open the mailbox."""
    send_as: tuple[str, ...] = ()
    """People who may send as the mailbox."""
    send_on_behalf: tuple[str, ...] = ()
    """People who may send on behalf of the mailbox."""
    also_from: tuple[str, ...] = ()
    """Other addresses that applications may use as From when they send by this mailbox."""


@dataclass(frozen=True, slots=True)
class Wanted:
    tenant: str
    """Directory (tenant) id, or a verified domain."""
    mailboxes: tuple[WantedMailbox, ...]
    name: str = ""
    """Name of the set-up; the application's when empty."""
    cloud: str = "global"
    application: str = "Postroom"
    """Display name of the application."""
    country: str = ""
    """Two letters: where users are who get a licence and have no country yet; the organisation's when empty."""
    client_id: str = ""
    """An existing application to use, instead of finding or making one by name."""
    credential: WantedCredential = field(default_factory=WantedCredential)
    send: tuple[SendBy, ...] = (SendBy.SMTP,)
    read: tuple[ReadBy, ...] = (ReadBy.IMAP,)
    restrict_smtp: Restriction = Restriction.GRANT
    restrict_graph: Restriction = Restriction.SCOPE

    @property
    def title(self) -> str:
        return self.name or self.application

    def sends(self, by: SendBy) -> bool:
        return by in self.send

    def reads(self, by: ReadBy) -> bool:
        return by in self.read
