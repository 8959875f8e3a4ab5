"""May this token do this with this mailbox? One order of checks for SMTP, IMAP, POP3 and Graph.

The order is the one that decides which of Microsoft's answers a client sees: the token itself (audience, signature,
expiry), the role in it, the service principal as Exchange knows it, the right on the mailbox, the protocol switch.
Each server turns a `Denial` into its own documented words.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from m365lab.exchange import Mailbox, RoleScope
from m365lab.exchange import spreading_key as _key
from m365lab.opath import BadFilter, matches
from m365lab.tenant import Tenant
from m365lab.tokens import BadToken


class Denial(StrEnum):
    """Why not, in the order of the checks."""

    TOKEN = "token"
    """Not a token of this tenant, bad signature, wrong audience."""
    EXPIRED = "expired"
    ROLE = "role"
    """The token lacks the protocol's app role."""
    PRINCIPAL = "principal"
    """Exchange does not know the service principal, or knows it under another object id."""
    MAILBOX = "mailbox"
    """No such mailbox, or a user's without a licence."""
    RIGHT = "right"
    """The service principal has no right on the mailbox."""
    SWITCHED_OFF_MAILBOX = "switched-off-mailbox"
    SWITCHED_OFF_TENANT = "switched-off-tenant"


class Protocol(StrEnum):
    SMTP = "smtp"
    IMAP = "imap"
    POP3 = "pop3"


ROLE = {Protocol.SMTP: "SMTP.SendAsApp", Protocol.IMAP: "IMAP.AccessAsApp", Protocol.POP3: "POP.AccessAsApp"}
AUDIENCES = {"https://outlook.office365.com", "https://outlook.office.com"}


@dataclass(frozen=True)
class Visit:
    """A signed-in session: the mailbox, who opened it, and when its token ends (lab time)."""

    mailbox: Mailbox
    app_id: str
    principal_id: str
    expires_at: float


@dataclass(frozen=True)
class Denied:
    why: Denial
    detail: str = ""
    mailbox: Mailbox | None = None
    visit: Visit | None = None
    """The visit as if allowed, for what a server may tell only later: a missing right, a protocol switched off."""


def check(tenant: Tenant, protocol: Protocol, address: str, token: str) -> Visit | Denied:
    """The checks for the mail protocols, in order."""
    try:
        claims = tenant.tokens.verify(token, AUDIENCES)
    except BadToken as bad:
        return Denied(Denial.EXPIRED if bad.expired else Denial.TOKEN, str(bad))
    app_id, principal_id = str(claims.get("appid", "")), str(claims.get("oid", ""))
    claimed, scoped = ROLE[protocol] in _roles(claims), in_scope(tenant, ROLE[protocol], app_id, address)
    if not claimed and not scoped:
        return Denied(Denial.ROLE, f"the token has no role {ROLE[protocol]}")
    if not is_known(tenant, app_id, principal_id):
        return Denied(Denial.PRINCIPAL, "Exchange does not know this service principal by this object id")
    mailbox = tenant.exchange.mailbox(address)
    if mailbox is None or not tenant.is_licensed(mailbox) or not tenant.has_spread(_key("mailbox", mailbox.address)):
        return Denied(Denial.MAILBOX, address)
    visit = Visit(mailbox, app_id, principal_id, float(claims.get("exp", 0)))
    # A scope stands in for the right only without the claim, which calls for the right again (facts 4.3 [D]).
    if (claimed or not scoped) and not has_right(tenant, mailbox, principal_id):
        return Denied(Denial.RIGHT, "no FullAccess", mailbox, visit)
    return _switches(tenant, protocol, visit) or visit


def _switches(tenant: Tenant, protocol: Protocol, visit: Visit) -> Denied | None:
    mailbox = visit.mailbox
    if protocol is Protocol.SMTP:
        # Security defaults switch SMTP AUTH off for all (facts 4.1 [OLD]; that a mailbox cannot overrule it is [U]).
        off = "Tenant" if tenant.directory.security_defaults else tenant.exchange.smtp_auth_off(mailbox)
        if off:
            why = Denial.SWITCHED_OFF_MAILBOX if off == "Mailbox" else Denial.SWITCHED_OFF_TENANT
            return Denied(why, off, mailbox, visit)
    elif not (mailbox.imap_enabled if protocol is Protocol.IMAP else mailbox.pop_enabled):
        return Denied(Denial.SWITCHED_OFF_MAILBOX, protocol, mailbox, visit)
    return None


def is_known(tenant: Tenant, app_id: str, principal_id: str) -> bool:
    """True when Exchange knows the service principal under its right object id."""
    return any(
        p.app_id == app_id and p.object_id == principal_id and tenant.has_spread(_key("principal", p.object_id))
        for p in tenant.exchange.principals
    )


def has_right(tenant: Tenant, mailbox: Mailbox, principal_id: str) -> bool:
    """True when the service principal has FullAccess, and Exchange's servers have heard of it."""
    key = _key("full_access", mailbox.address, principal_id)
    return principal_id in mailbox.full_access and tenant.has_spread(key)


def in_scope(tenant: Tenant, role: str, app_id: str, address: str) -> bool:
    """RBAC for Applications: a scoped role stands in for both the claim and the mailbox right (facts 4.3)."""
    held = [s for s in tenant.exchange.scopes if s.app_id == app_id and s.role == role]
    return any(covers(tenant, s, address) and tenant.has_spread(_key("scope", s.name)) for s in held)


def covers(tenant: Tenant, assignment: RoleScope, address: str) -> bool:
    """True when the mailbox is one of those that the role was assigned for."""
    if not assignment.management_scope:
        return not assignment.members or address.lower() in assignment.members
    scope, mailbox = tenant.exchange.management_scope(assignment.management_scope), tenant.exchange.mailbox(address)
    try:
        return scope is not None and mailbox is not None and matches(scope.filter, mailbox, tenant.exchange)
    except BadFilter:
        return False


def _roles(claims: dict[str, Any]) -> list[str]:
    roles = claims.get("roles", [])
    return roles if isinstance(roles, list) else []
