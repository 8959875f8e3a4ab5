"""What a wanted state needs: app roles in Entra, application roles in Exchange, rights on mailboxes. Pure.

Only what the wanted use needs is asked for (reference rows G8, G9). Source: facts 4.2 and 4.3; for Graph, facts 3.
"""

from __future__ import annotations

from dataclasses import dataclass

from postroom.microsoft.ids import application_id
from postroom.tenant.wanted import ReadBy, Restriction, SendBy, Wanted

EXCHANGE = "exchange"
GRAPH = "graph"

_SMTP, _IMAP, _POP = "SMTP.SendAsApp", "IMAP.AccessAsApp", "POP.AccessAsApp"
# Sending to exactly an envelope goes through a draft (facts 8), and reading marks and moves: both write.
_GRAPH_SEND, _GRAPH_WRITE = "Mail.Send", "Mail.ReadWrite"


@dataclass(frozen=True, slots=True, order=True)
class AppRole:
    """An app role of a resource: `exchange` or `graph`, and the role's value."""

    resource: str
    value: str

    @property
    def resource_app_id(self) -> str:
        return application_id(self.resource)


def consented_roles(wanted: Wanted) -> tuple[AppRole, ...]:
    """App roles that the application is granted in Entra, for all mailboxes or for those with a grant."""
    roles = []
    if wanted.sends(SendBy.SMTP) and wanted.restrict_smtp is not Restriction.SCOPE:
        roles.append(AppRole(EXCHANGE, _SMTP))
    if wanted.reads(ReadBy.IMAP):
        roles.append(AppRole(EXCHANGE, _IMAP))
    if wanted.reads(ReadBy.POP):
        roles.append(AppRole(EXCHANGE, _POP))
    if wanted.restrict_graph is not Restriction.SCOPE:
        roles += [AppRole(GRAPH, value) for value in _graph_roles(wanted)]
    return tuple(roles)


def scoped_roles(wanted: Wanted) -> tuple[str, ...]:
    """Roles given by RBAC for Applications, without "Application " before them."""
    smtp = wanted.sends(SendBy.SMTP) and wanted.restrict_smtp is Restriction.SCOPE
    graph = _graph_roles(wanted) if wanted.restrict_graph is Restriction.SCOPE else ()
    return ((_SMTP,) if smtp else ()) + graph


def needs_full_access(wanted: Wanted) -> bool:
    """IMAP, POP3, and SMTP without a scope ask for FullAccess on the mailbox (facts 4.2)."""
    smtp = wanted.sends(SendBy.SMTP) and wanted.restrict_smtp is Restriction.GRANT
    return smtp or wanted.reads(ReadBy.IMAP) or wanted.reads(ReadBy.POP)


def needs_exchange_principal(wanted: Wanted) -> bool:
    """Exchange must know the service principal before it can be given anything there."""
    return needs_full_access(wanted) or bool(scoped_roles(wanted))


def _graph_roles(wanted: Wanted) -> tuple[str, ...]:
    if wanted.sends(SendBy.GRAPH):
        return (_GRAPH_SEND, _GRAPH_WRITE)
    return (_GRAPH_WRITE,) if wanted.reads(ReadBy.GRAPH) else ()
