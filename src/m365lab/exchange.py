"""Exchange Online's half of the tenant: mailboxes, service principals as Exchange knows them, rights, switches."""

from __future__ import annotations

from dataclasses import dataclass, field

from m365lab.mailstore import Mailstore


def distinguished_name(name: str) -> str:
    """Where Exchange's own directory keeps an object."""
    return f"CN={name},OU=contoso.onmicrosoft.example,DC=EURPR01A001,DC=PROD,DC=OUTLOOK,DC=COM"


def spreading_key(right: str, *parts: str) -> str:
    """Names a right in `Exchange.given`: `full_access` of a mailbox to somebody, for example."""
    return "|".join((right, *parts)).lower()


@dataclass
class Mailbox:
    """A user or shared mailbox. Rights are held as sets of principals (object ids or addresses)."""

    address: str
    name: str
    user_id: str = ""
    """Object id in the directory."""
    shared: bool = False
    aliases: list[str] = field(default_factory=list)
    store: Mailstore = field(default_factory=Mailstore)
    full_access: set[str] = field(default_factory=set)
    send_as: set[str] = field(default_factory=set)
    send_on_behalf: set[str] = field(default_factory=set)
    smtp_auth_disabled: bool | None = None
    """`SmtpClientAuthenticationDisabled`; None inherits the organisation's."""
    imap_enabled: bool = True
    pop_enabled: bool = True
    attributes: dict[str, str] = field(default_factory=dict)
    """CustomAttribute1 to 15, by name in lower case: what a scope's filter can ask for."""

    @property
    def alias(self) -> str:
        return self.address.partition("@")[0]


@dataclass
class KnownPrincipal:
    """A row of `Get-ServicePrincipal`: what somebody told Exchange, rightly or wrongly."""

    app_id: str
    object_id: str
    name: str = ""


@dataclass
class RoleScope:
    """RBAC for Applications: an application role for a set of mailboxes (facts 4.3)."""

    name: str
    app_id: str
    role: str
    """Without "Application ", such as `SMTP.SendAsApp`."""
    members: set[str] = field(default_factory=set)
    """Addresses in scope; empty means all of the organisation."""
    management_scope: str = ""
    """Name of a management scope, whose filter then decides and not `members`."""


@dataclass
class ManagementScope:
    """`New-ManagementScope`: recipients chosen by a filter."""

    name: str
    filter: str


@dataclass
class Group:
    """A mail-enabled security group."""

    name: str
    address: str
    members: set[str] = field(default_factory=set)
    """Addresses, in lower case."""

    @property
    def distinguished_name(self) -> str:
        """What `MemberOfGroup` wants (facts 4.3)."""
        return distinguished_name(self.name)


@dataclass
class Exchange:
    mailboxes: dict[str, Mailbox] = field(default_factory=dict)
    """By primary address, in lower case."""
    principals: list[KnownPrincipal] = field(default_factory=list)
    scopes: list[RoleScope] = field(default_factory=list)
    smtp_auth_disabled: bool = False
    """The organisation's `SmtpClientAuthenticationDisabled` (Set-TransportConfig)."""
    basic_auth_retired: bool = False
    """SMTP answers passwords with 550 5.7.30, as announced, instead of today's 535 5.7.139 (facts 5 and 6)."""

    management_scopes: list[ManagementScope] = field(default_factory=list)
    groups: list[Group] = field(default_factory=list)
    given: dict[str, float] = field(default_factory=dict)
    """When a right was given, by `spreading_key`: the fault "propagation" hides it for a while."""

    def mailbox(self, address: str) -> Mailbox | None:
        wanted = address.strip().lower()
        found = self.mailboxes.get(wanted)
        return found or next((m for m in self.mailboxes.values() if wanted in m.aliases), None)

    def mailbox_of_user(self, user_id: str) -> Mailbox | None:
        """By the object id of its user."""
        return next((m for m in self.mailboxes.values() if m.user_id == user_id), None)

    def management_scope(self, name: str) -> ManagementScope | None:
        return next((s for s in self.management_scopes if s.name.lower() == name.lower()), None)

    def smtp_auth_off(self, mailbox: Mailbox) -> str:
        """Who switched SMTP AUTH off, "Mailbox" or "Tenant"; "" when it is on. The mailbox's own value wins."""
        if mailbox.smtp_auth_disabled is not None:
            return "Mailbox" if mailbox.smtp_auth_disabled else ""
        return "Tenant" if self.smtp_auth_disabled else ""
