"""What the application can reach, against what it needs (reference rows X6, G8 to G10). Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from postroom.tenant.needs import EXCHANGE, GRAPH, consented_roles, needs_full_access, scoped_roles
from postroom.tenant.observed import Observed
from postroom.tenant.plan_exchange import scope_name
from postroom.tenant.wanted import Wanted

_EVERYWHERE = "every mailbox of the organisation"
_BY_GRANT = frozenset({"SMTP.SendAsApp", "IMAP.AccessAsApp", "POP.AccessAsApp"})
"""App roles that open only mailboxes with a grant to the application (facts 4.2)."""


@dataclass(frozen=True, slots=True)
class Reach:
    """One thing the application may do, and where."""

    role: str
    where: str
    needed: bool
    advice: str = ""

    def to_data(self) -> dict[str, Any]:
        return asdict(self)


def report(wanted: Wanted, observed: Observed) -> tuple[Reach, ...]:
    """Everything that opens mail to the application, the needless first."""
    return tuple(
        sorted((*_granted(wanted, observed), *_scoped(wanted, observed)), key=lambda one: (one.needed, one.role))
    )


def _granted(wanted: Wanted, observed: Observed) -> Iterator[Reach]:
    needed = {(one.resource, one.value) for one in consented_roles(wanted)}
    granted = observed.principal.granted if observed.principal else ()
    for name in (EXCHANGE, GRAPH):
        resource = observed.resources.get(name)
        for one in granted:
            if resource is None or one.resource_id != resource.id:
                continue
            value = resource.role_value(one.role_id)
            is_needed = (name, value) in needed
            where = _with_grant(wanted, observed) if value in _BY_GRANT else _EVERYWHERE
            advice = "" if is_needed else f"revoke {value}: nothing that is wanted uses it"
            if is_needed and where == _EVERYWHERE:
                advice = "keep it to its mailboxes: restrict: {graph: scope} in the wanted state"
            yield Reach(value, where, is_needed, advice)


def _scoped(wanted: Wanted, observed: Observed) -> Iterator[Reach]:
    needed, own = set(scoped_roles(wanted)), scope_name(wanted)
    for one in observed.scoped_roles:
        where = f"mailboxes of the scope {one.scope!r}" if one.scope else _EVERYWHERE
        is_needed = one.role in needed and one.scope == own
        yield Reach(one.role, where, is_needed, "" if is_needed else f"remove the role assignment {one.name!r}")


def _with_grant(wanted: Wanted, observed: Observed) -> str:
    principal = observed.principal.id.lower() if observed.principal else ""
    names = {principal}.union(*(one.names for one in observed.exchange_principals))
    boxes = sorted(address for address, box in observed.mailboxes.items() if box.full_access & names)
    listed = ", ".join(boxes) or ("none yet" if needs_full_access(wanted) else "none")
    return f"mailboxes that grant it FullAccess; of those wanted: {listed}"
