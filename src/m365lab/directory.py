"""Entra ID's half of the tenant: users, applications, service principals, credentials, granted app roles.

The resources' app roles carry Microsoft's ids where they are known (facts 2). `SMTP.SendAsApp` has no published
id, so the lab makes one up: a client must look it up by value, as it must at Microsoft.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field

EXCHANGE_APP_ID = "00000002-0000-0ff1-ce00-000000000000"
GRAPH_APP_ID = "00000003-0000-0000-c000-000000000000"


def new_id() -> str:
    return str(uuid.uuid4())


@dataclass
class AppRole:
    id: str
    value: str
    description: str = ""


@dataclass
class Secret:
    """A client secret: `key_id` is the "secret id" that people paste by mistake, `value` the real thing."""

    key_id: str
    value: str
    starts_at: float
    ends_at: float
    name: str = ""


@dataclass
class KeyCredential:
    """A certificate uploaded to an application."""

    key_id: str
    certificate_pem: str
    thumbprint_sha1: str
    thumbprint_sha256: str
    ends_at: float
    name: str = ""


@dataclass
class FederatedCredential:
    id: str
    name: str
    issuer: str
    subject: str
    audiences: list[str]


@dataclass
class Permission:
    """An entry of `requiredResourceAccess`: what the registration asks for. `Role` or `Scope` (delegated)."""

    resource_app_id: str
    id: str
    type: str


@dataclass
class Application:
    """An app registration. `id` is its object id, `app_id` the application (client) id."""

    id: str
    app_id: str
    name: str
    created_at: float
    sign_in_audience: str = "AzureADMyOrg"
    permissions: list[Permission] = field(default_factory=list)
    secrets: list[Secret] = field(default_factory=list)
    certificates: list[KeyCredential] = field(default_factory=list)
    federated: list[FederatedCredential] = field(default_factory=list)
    is_public_client: bool = False
    tags: list[str] = field(default_factory=list)
    notes: str = ""
    created_by: str = ""
    """Application id of the application that made it: its owner, for Application.ReadWrite.OwnedBy."""


@dataclass
class ServicePrincipal:
    """An Enterprise application. Its `id` is the object id that Exchange wants, and the token's `oid`."""

    id: str
    app_id: str
    name: str
    enabled: bool = True
    app_roles: list[AppRole] = field(default_factory=list)
    service_principal_names: list[str] = field(default_factory=list)
    directory_roles: set[str] = field(default_factory=set)
    """Role template ids, such as Exchange Administrator."""
    permission_scopes: list[AppRole] = field(default_factory=list)
    """`oauth2PermissionScopes`: what the resource offers to signed-in people's clients."""
    tags: list[str] = field(default_factory=list)


@dataclass
class RoleAssignment:
    """`appRoleAssignedTo`: an app role granted to a principal. This is what admin consent makes."""

    id: str
    principal_id: str
    resource_id: str
    role_id: str
    created_at: float


@dataclass
class DelegatedGrant:
    """`oauth2PermissionGrant`: delegated permissions that were consented to; useless to an app-only token."""

    client_id: str
    """Object id of the client's service principal."""
    resource_id: str
    scopes: str
    id: str = field(default_factory=new_id)
    user_id: str = ""
    """Whose consent it is; empty: an administrator's, for everybody."""


@dataclass
class User:
    id: str
    upn: str
    name: str
    password: str = ""
    enabled: bool = True
    licences: list[str] = field(default_factory=list)
    """SKU part numbers, such as `O365_BUSINESS_ESSENTIALS`."""
    directory_roles: set[str] = field(default_factory=set)
    usage_location: str = ""
    """Country; a licence needs it."""


@dataclass
class Directory:
    """Everything that Entra ID knows of the tenant."""

    tenant_id: str
    name: str
    domains: list[str]
    """Verified domains; the first is the default one."""
    users: dict[str, User] = field(default_factory=dict)
    applications: dict[str, Application] = field(default_factory=dict)
    """By object id."""
    service_principals: dict[str, ServicePrincipal] = field(default_factory=dict)
    """By object id."""
    assignments: dict[str, RoleAssignment] = field(default_factory=dict)
    delegated_grants: list[DelegatedGrant] = field(default_factory=list)
    security_defaults: bool = False

    def names_tenant(self, name: str) -> bool:
        """True when a URL's `{tenant}` segment means this tenant."""
        return name.lower() in {self.tenant_id, *self.domains}

    def application_by_app_id(self, app_id: str) -> Application | None:
        return next((a for a in self.applications.values() if a.app_id == app_id), None)

    def principal_by_app_id(self, app_id: str) -> ServicePrincipal | None:
        return next((s for s in self.service_principals.values() if s.app_id == app_id), None)

    def forget_principal(self, principal: ServicePrincipal) -> None:
        """Deletes a service principal and everything that was granted to it or of it."""
        del self.service_principals[principal.id]
        gone = [a for a in self.assignments.values() if principal.id in {a.principal_id, a.resource_id}]
        for assignment in gone:
            del self.assignments[assignment.id]
        self.delegated_grants[:] = [
            g for g in self.delegated_grants if principal.id not in {g.client_id, g.resource_id}
        ]

    def user(self, key: str) -> User | None:
        """By object id or user principal name."""
        return self.users.get(key) or next((u for u in self.users.values() if u.upn == key.lower()), None)

    def granted_roles(self, principal: ServicePrincipal, resource: ServicePrincipal) -> list[str]:
        """Values of the app roles of `resource` that `principal` was granted: the `roles` claim."""
        names = {role.id: role.value for role in resource.app_roles}
        return sorted(
            names[a.role_id]
            for a in self.assignments.values()
            if a.principal_id == principal.id and a.resource_id == resource.id and a.role_id in names
        )

    def grant(self, principal: ServicePrincipal, resource: ServicePrincipal, value: str, at: float) -> RoleAssignment:
        """Grants the app role called `value`. Raises `KeyError` when the resource has no such role."""
        role = next((r for r in resource.app_roles if r.value == value), None)
        if role is None:
            raise KeyError(f"{resource.name} has no app role {value}")
        assignment = RoleAssignment(new_id(), principal.id, resource.id, role.id, at)
        self.assignments[assignment.id] = assignment
        return assignment
