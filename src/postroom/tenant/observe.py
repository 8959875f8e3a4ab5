"""Observe: everything that a plan is made from, read from Graph and Exchange. Changes nothing.

Reads that do not need one another run together; three follow one another: the application, its service principal,
what that was granted. When the ids are known from an earlier run, two.
"""

from __future__ import annotations

from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from postroom.microsoft.answers import Refused
from postroom.tenant import looking
from postroom.tenant.calls import Cmdlet
from postroom.tenant.exchange import RestExchange
from postroom.tenant.graph import Graph
from postroom.tenant.needs import EXCHANGE, GRAPH, AppRole, scoped_roles
from postroom.tenant.observed import Configured, Held, MailboxSeen, Observed, PrincipalSeen, Resource, ScopedRole
from postroom.tenant.plan_directory import MARK_TAG
from postroom.tenant.plan_exchange import scope_name
from postroom.tenant.trips import together
from postroom.tenant.wanted import Wanted, WantedMailbox

_APPLICATION_FIELDS = "id,appId,displayName,tags,requiredResourceAccess,passwordCredentials,keyCredentials"
Rows = list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class LocalState:
    """What Postroom itself knows of a set-up."""

    mark: str
    tenant_id: str
    client_id: str = ""
    made_application: bool = False
    held: tuple[Held, ...] = ()
    configured: Mapping[str, Configured] | None = None


async def observe(wanted: Wanted, local: LocalState, graph: Graph, exchange: RestExchange) -> Observed:
    """The observed state. Raises `Refused`."""
    directory, mail = await together(
        _Directory(wanted, local, graph).read(),
        _Exchange(wanted, exchange).read(),
    )
    client_id = directory["application"].client_id if directory["application"] else ""
    principal_id = directory["principal"].id if directory["principal"] else ""
    principals = tuple(one for one in mail.pop("principals") if client_id and one.app_id == client_id)
    ours = {client_id, principal_id}.union(*(one.names for one in principals)) - {""}
    assignments = mail.pop("assignments")
    return Observed(
        tenant_id=local.tenant_id,
        held=local.held,
        configured=local.configured or {},
        exchange_principals=principals,
        scoped_roles=tuple(role for role, holders in assignments if holders & ours),
        **directory,
        **mail,
    )


class _Directory:
    """Graph's half."""

    def __init__(self, wanted: Wanted, local: LocalState, graph: Graph) -> None:
        self._wanted, self._local, self._graph = wanted, local, graph

    async def read(self) -> dict[str, Any]:
        """Fields of `Observed`."""
        organization, registered, resources, licences, defaults, users = await together(
            self._organization(),
            self._registered(),
            self._resources(),
            self._licences(),
            self._defaults(),
            self._users(),
        )
        return {
            **organization,
            "resources": resources,
            "licences": licences,
            "security_defaults": defaults,
            "users": {address: looking.user(data, licences) for address, data in users.items() if data},
            **registered,
        }

    async def _organization(self) -> dict[str, str]:
        rows = await self._graph.all("/organization?$select=id,displayName,countryLetterCode")
        own = rows[0] if rows else {}
        return {"tenant_name": own.get("displayName") or "", "country": own.get("countryLetterCode") or ""}

    async def _resources(self) -> dict[str, Resource]:
        async def one(name: str) -> tuple[str, Resource | None]:
            app_id = AppRole(name, "").resource_app_id
            data = await self._principal_of(app_id, "id,appId,appRoles")
            return name, looking.resource(data) if data else None

        found: list[tuple[str, Resource | None]] = await together(one(EXCHANGE), one(GRAPH))
        return {name: seen for name, seen in found if seen}

    async def _licences(self) -> tuple[Any, ...]:
        if all(mailbox.shared for mailbox in self._wanted.mailboxes):
            return ()
        return looking.licences(await self._graph.all("/subscribedSkus"))

    async def _defaults(self) -> bool:
        try:
            policy = await self._graph.find("/policies/identitySecurityDefaultsEnforcementPolicy")
        except Refused as refused:
            if refused.answer.status == 403:
                return False  # Policy.Read.All is not needed for anything else, and only a warning hangs on it
            raise
        return bool(policy and policy.get("isEnabled"))

    async def _users(self) -> dict[str, dict[str, Any] | None]:
        async def one(address: str) -> dict[str, Any] | None:
            return await self._graph.find(
                f"/users/{quoted(address)}?$select=id,userPrincipalName,assignedLicenses,usageLocation"
            )

        addresses = [mailbox.address for mailbox in self._wanted.mailboxes]
        return dict(zip(addresses, await together(*map(one, addresses)), strict=True))

    async def _registered(self) -> dict[str, Any]:
        """The application, and what hangs on it."""
        known = self._local.client_id or self._wanted.client_id
        if known:
            data, principal = await together(self._by_client_id(known), self._principal_of(known, "id,accountEnabled"))
            if data:
                return await self._whole(data, principal, 1)
        rows: Rows = [] if self._wanted.client_id else await self._by_name()
        data = self._chosen(rows)
        if data is None:
            return {"application": None, "principal": None, "made_here": False, "same_name": len(rows)}
        principal = await self._principal_of(str(data["appId"]), "id,accountEnabled")
        return await self._whole(data, principal, len(rows))

    async def _by_client_id(self, client_id: str) -> dict[str, Any] | None:
        return await self._graph.find(f"/applications(appId='{client_id}')?$select={_APPLICATION_FIELDS}")

    async def _by_name(self) -> Rows:
        name = self._wanted.application.replace("'", "''")
        return await self._graph.all(f"/applications?$filter=displayName eq '{name}'&$select={_APPLICATION_FIELDS}")

    def _chosen(self, rows: Rows) -> dict[str, Any] | None:
        """The one that this set-up made; else the only one of the name."""
        mark = MARK_TAG.replace("{mark}", self._local.mark)
        marked = [one for one in rows if mark in (one.get("tags") or ())]
        return marked[0] if marked else rows[0] if len(rows) == 1 else None

    async def _principal_of(self, app_id: str, select: str) -> dict[str, Any] | None:
        rows = await self._graph.all(f"/servicePrincipals?$filter=appId eq '{app_id}'&$select={select}")
        return rows[0] if rows else None

    async def _whole(self, data: dict[str, Any], principal: dict[str, Any] | None, same_name: int) -> dict[str, Any]:
        reads: list[Coroutine[Any, Any, Rows]] = [
            self._graph.all(f"/applications/{data['id']}/federatedIdentityCredentials")
        ]
        if principal:
            base = f"/servicePrincipals/{principal['id']}"
            reads += [self._graph.all(f"{base}/appRoleAssignments"), self._graph.all(f"{base}/oauth2PermissionGrants")]
        federated, granted, delegated = [*await together(*reads), [], []][:3]
        seen = principal and PrincipalSeen(
            id=principal["id"],
            enabled=principal.get("accountEnabled") is not False,
            granted=looking.granted(granted),
            delegated=looking.delegated(delegated),
        )
        mark = MARK_TAG.replace("{mark}", self._local.mark)
        return {
            "application": looking.application(data, federated),
            "principal": seen or None,
            "made_here": self._local.made_application or mark in (data.get("tags") or ()),
            "same_name": same_name,
        }


class _Exchange:
    """Exchange's half."""

    def __init__(self, wanted: Wanted, exchange: RestExchange) -> None:
        self._wanted, self._exchange = wanted, exchange

    async def read(self) -> dict[str, Any]:
        """Fields of `Observed`, and `principals` and `assignments` of all applications."""
        principals, smtp_auth_off, people, scopes, assignments = await together(
            self._principals(), self._smtp_auth_off(), self._people(), self._scopes(), self._assignments()
        )
        return {
            "principals": principals,
            "smtp_auth_off": smtp_auth_off,
            "scopes": scopes,
            "assignments": assignments,
            **people,
        }

    async def _principals(self) -> Any:
        return [looking.exchange_principal(row) for row in await self._exchange.run(Cmdlet("Get-ServicePrincipal"))]

    async def _smtp_auth_off(self) -> bool:
        rows = await self._exchange.run(Cmdlet("Get-TransportConfig"))
        return bool(rows and looking.switch(rows[0].get("SmtpClientAuthenticationDisabled")))

    async def _people(self) -> dict[str, Any]:
        """Mailboxes and further senders, with people as the wanted state calls them."""
        wanted = self._wanted.mailboxes
        persons = sorted({one for box in wanted for one in (*box.members, *box.send_as, *box.send_on_behalf)})
        senders = sorted({one for box in wanted for one in box.also_from})
        rows, boxes, permissions = await together(
            together(*(self._of("Get-Recipient", one) for one in persons)),
            together(*(self._box(one) for one in wanted)),
            together(*(self._of("Get-RecipientPermission", one) for one in senders)),
        )
        people = looking.People({one: found[0] for one, found in zip(persons, rows, strict=True) if found})
        return {
            "mailboxes": {box.address: seen for box, raw in zip(wanted, boxes, strict=True) if (seen := raw(people))},
            "people": frozenset(one for one, found in zip(persons, rows, strict=True) if found),
            "senders": {one: looking.trustees(found, people) for one, found in zip(senders, permissions, strict=True)},
        }

    async def _box(self, wanted: WantedMailbox) -> Any:
        address = wanted.address
        box, switches, rights, senders = await together(
            self._of("Get-Mailbox", address),
            self._of("Get-CASMailbox", address),
            self._of("Get-MailboxPermission", address),
            self._of("Get-RecipientPermission", address),
        )

        def seen(people: looking.People) -> MailboxSeen | None:
            if not box:
                return None
            return looking.mailbox(address, box[0], switches[0] if switches else {}, rights, senders, people)

        return seen

    async def _scopes(self) -> dict[str, str]:
        if not scoped_roles(self._wanted):
            return {}
        name = scope_name(self._wanted)
        rows = await self._of("Get-ManagementScope", name)
        return {name: str(rows[0].get("RecipientFilter") or "")} if rows else {}

    async def _assignments(self) -> Sequence[tuple[ScopedRole, frozenset[str]]]:
        """Those of the wanted roles, with who holds them."""

        async def one(role: str) -> Rows:
            return await self._exchange.find(Cmdlet("Get-ManagementRoleAssignment", {"Role": f"Application {role}"}))

        found = await together(*map(one, scoped_roles(self._wanted)))
        return [(looking.scoped_role(row), looking.assigned_to(row)) for rows in found for row in rows]

    async def _of(self, cmdlet: str, identity: str) -> Rows:
        return await self._exchange.find(Cmdlet(cmdlet, {"Identity": identity}))


def quoted(name: str) -> str:
    """A user principal name in a path: `#` and `'` would end it."""
    return name.replace("%", "%25").replace("#", "%23").replace("'", "%27%27").replace("/", "%2F")
