"""Tokens for people: Microsoft's own public clients, consent, refresh tokens."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field

from m365lab.directory import EXCHANGE_APP_ID, GRAPH_APP_ID, DelegatedGrant, ServicePrincipal, User
from m365lab.entra.errors import EntraError
from m365lab.entra.resources import Wanted, resource
from m365lab.tenant import Tenant

# Public clients of Microsoft that exist in every tenant (facts 2; Azure CLI and PowerShell: azure-identity's source).
FIRST_PARTY = {
    "14d82eec-204b-4c2f-b7e8-296a70dab67e": "Microsoft Graph Command Line Tools",
    "fb78d390-0c51-40cd-8e17-fdbfab77341b": "Microsoft Exchange REST API Based Powershell",
    "a0c73c16-a7e3-4564-9a95-2bdf47383716": "Exchange Online PowerShell",
    "04b07795-8ddb-461a-bbee-02f9e1bf7b46": "Microsoft Azure CLI",
    "1950a258-227b-4e31-a9cf-717495945fc2": "Microsoft Azure PowerShell",
}
# What these clients may do without anybody's consent [U]: enough to set an application up.
_FIRST_PARTY_SCOPES = {
    GRAPH_APP_ID: (
        "Application.ReadWrite.All",
        "AppRoleAssignment.ReadWrite.All",
        "DelegatedPermissionGrant.ReadWrite.All",
        "Directory.AccessAsUser.All",
        "Organization.Read.All",
        "RoleManagement.ReadWrite.Directory",
        "User.Read.All",
    ),
    EXCHANGE_APP_ID: (
        "AdminApi.AccessAsUser.All",
        "FfoPowerShell.AccessAsUser.All",
        "RemotePowerShell.AccessAsUser.All",
    ),
}
_GLOBAL_ADMINISTRATOR = "62e90394-69f5-4237-9190-012177145e10"


@dataclass
class SignIn:
    """What a refresh token stands for."""

    client_id: str
    user_id: str


@dataclass
class People:
    """Signed-in people of the tenant, and what they let clients do."""

    tenant: Tenant
    refresh_tokens: dict[str, SignIn] = field(default_factory=dict)

    def check_client(self, client_id: str) -> str:
        """The name of a client that people may sign in to. Raises `EntraError` 700016 or 7000218."""
        if client_id in FIRST_PARTY:
            return FIRST_PARTY[client_id]
        application = self.tenant.directory.application_by_app_id(client_id)
        if application is None:
            raise EntraError(700016, {"app_id": client_id, "tenant": self.tenant.directory.name})
        if not application.is_public_client:
            raise EntraError(7000218)
        return application.name

    def check_password(self, upn: str, password: str) -> User:
        """The user who signs in. Raises `EntraError` 50126 or 50057."""
        user = self.tenant.directory.user(upn)
        if user is None or not user.password or not secrets.compare_digest(user.password.encode(), password.encode()):
            raise EntraError(50126)
        if not user.enabled:
            raise EntraError(50057)
        return user

    def granted(self, client_id: str, user: User, wanted: Wanted) -> str:
        """The claim `scp`. An administrator consents for all by signing in. Raises `EntraError` 500011 or 65001."""
        target = resource(self.tenant.directory, wanted.audience)
        asked = set(wanted.scopes) - {".default"}
        if client_id in FIRST_PARTY:
            return " ".join(sorted(asked | set(_FIRST_PARTY_SCOPES.get(target.app_id, ()))))
        principal = self.tenant.directory.principal_by_app_id(client_id)
        if principal is None:
            raise EntraError(700016, {"app_id": client_id, "tenant": self.tenant.directory.name})
        held = self._held(principal, target)
        if asked - held and _GLOBAL_ADMINISTRATOR in user.directory_roles:
            self.tenant.directory.delegated_grants.append(
                DelegatedGrant(principal.id, target.id, " ".join(sorted(asked - held)))
            )
            held |= asked
        if not held or asked - held:
            raise EntraError(65001, {"app_id": client_id, "name": principal.name})
        return " ".join(sorted(held))

    def remember(self, client_id: str, user: User) -> str:
        """A new refresh token."""
        token = f"1.{secrets.token_urlsafe(160)}"
        self.refresh_tokens[token] = SignIn(client_id, user.id)
        return token

    def recall(self, refresh_token: str, client_id: str) -> User:
        """Whose refresh token it is. Raises `EntraError`."""
        found = self.refresh_tokens.get(refresh_token)
        user = self.tenant.directory.user(found.user_id) if found and found.client_id == client_id else None
        if user is None:
            raise EntraError(9002313)
        if not user.enabled:
            raise EntraError(50057)
        return user

    def _held(self, principal: ServicePrincipal, target: ServicePrincipal) -> set[str]:
        grants = self.tenant.directory.delegated_grants
        return {
            scope
            for grant in grants
            if grant.client_id == principal.id and grant.resource_id == target.id
            for scope in grant.scopes.split()
        }
