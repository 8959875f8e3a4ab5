"""The tenant as it is at the start: "Contoso", with people, shared mailboxes and a ready-made application."""

from __future__ import annotations

import secrets
from dataclasses import dataclass

from m365lab.directory import (
    EXCHANGE_APP_ID,
    GRAPH_APP_ID,
    Application,
    AppRole,
    Directory,
    Permission,
    Secret,
    ServicePrincipal,
    User,
    new_id,
)
from m365lab.exchange import Exchange, KnownPrincipal, Mailbox
from m365lab.licences import BUSINESS_BASIC
from m365lab.tenant import Tenant

DOMAIN = "contoso.example"
EXCHANGE_ADMINISTRATOR = "29232cdf-9323-42fd-ade2-1d097af3e4de"
GLOBAL_ADMINISTRATOR = "62e90394-69f5-4237-9190-012177145e10"
YEAR = 365 * 86_400

# App roles with Microsoft's ids (facts 2); SMTP.SendAsApp has none that is published, so it gets a new one each time.
_EXCHANGE_ROLES = {
    "IMAP.AccessAsApp": "5e5addcd-3e8d-4e90-baf5-964efab2b20a",
    "POP.AccessAsApp": "cb842b43-da6e-4506-86fe-bb12199c656d",
    "full_access_as_app": "dc890d15-9560-4a4c-9b7f-a736ec74ec40",
    "Exchange.ManageAsApp": "dc50a0fb-09a3-484d-be87-e023b12c6440",
}
_GRAPH_ROLES = {
    "Mail.Send": "b633e1c5-b582-4048-a93e-9f11b44c7e96",
    "Mail.ReadWrite": "e2a3a72e-5f79-4c64-b1b1-878b674786c9",
    "Mail.Read": "810c84a8-4a9e-49e6-bf7d-12d183f40d01",
    "Mail.ReadBasic": "6be147d2-ea4f-4b5a-a3fa-3eab6f3c140a",
    "Application.Read.All": "9a5d68dd-52b0-4cc2-bd40-abcf44ac3a30",
    "Application.ReadWrite.All": "1bfefb4e-e0b5-418b-a88f-73c46d2cc8e9",
    "Application.ReadWrite.OwnedBy": "18a4783c-866b-4cc7-a460-3d5e5662c884",
    "AppRoleAssignment.ReadWrite.All": "06b708a9-e830-4db3-a914-8e69da51d44f",
    "Directory.Read.All": "7ab1d382-f21e-4acd-a863-ba3e13f7da61",
    "User.Read.All": "df021288-bdef-4463-88db-98f22de89214",
    "Organization.Read.All": "498476ce-e0fe-48b0-b801-37ba7e2685c6",
    "RoleManagement.ReadWrite.Directory": "9e3f62cf-ca93-4989-b6ce-bf83c28f9fe8",
    "Directory.ReadWrite.All": "19dbc75e-c2e2-444c-a770-ec69d8559fc7",
    "User.ReadWrite.All": "741f803b-c850-494e-b5df-cde7c675a1ca",
    "Domain.Read.All": "dbb9058a-0e50-45d7-ae91-66909b5d4664",
}
# Their ids are not among the facts, so the lab makes them up anew each time.
_GRAPH_ROLES_WITHOUT_ID = (
    "DelegatedPermissionGrant.ReadWrite.All",
    "Policy.Read.All",
    "Policy.ReadWrite.SecurityDefaults",
    "RoleManagement.Read.Directory",
)
# Delegated permissions (facts 2): asked for by mistake in place of application ones.
_EXCHANGE_SCOPES = {
    "IMAP.AccessAsUser.All": "195adc35-e27b-454b-a7ed-1ecdffa1c09f",
    "POP.AccessAsUser.All": "fb698133-92fa-453e-a9ed-688e10f2e5ac",
    "SMTP.Send": "76faac2a-0f20-42f1-928a-50de5b9dbe52",
    "Exchange.Manage": "ab4f2b77-0b06-4fc1-a9de-02113fc2ab7c",
}
_GRAPH_SCOPES = {"User.Read": "e1fe6dd8-ba31-4d61-89e7-88639da4683d"}
# The ready-made application may do what a mailbox of any provider preset needs.
_GRANTED = {
    EXCHANGE_APP_ID: ("IMAP.AccessAsApp", "POP.AccessAsApp", "SMTP.SendAsApp"),
    GRAPH_APP_ID: ("Mail.Send", "Mail.ReadWrite"),
}


@dataclass(frozen=True)
class ReadyMade:
    """What a newcomer types in: the application whose set-up is already right."""

    application: Application
    principal: ServicePrincipal
    secret: Secret
    mailbox: str


def contoso(*, empty: bool = False) -> tuple[Tenant, ReadyMade | None]:
    """A new tenant; with `empty` without the ready-made application, for those who set it up themselves."""
    tenant = Tenant(Directory(new_id(), "Contoso", [DOMAIN, "contoso.onmicrosoft.example"]), Exchange())
    _resources(tenant.directory)
    _people(tenant)
    return tenant, None if empty else _ready_made(tenant)


def _resources(directory: Directory) -> None:
    exchange = ServicePrincipal(
        new_id(),
        EXCHANGE_APP_ID,
        "Office 365 Exchange Online",
        app_roles=[AppRole(id_, value) for value, id_ in _EXCHANGE_ROLES.items()]
        + [AppRole(new_id(), "SMTP.SendAsApp")],
        service_principal_names=[
            "https://outlook.office365.com",
            "https://outlook.office.com",
            "https://ps.outlook.com",
        ],
        permission_scopes=[AppRole(id_, value) for value, id_ in _EXCHANGE_SCOPES.items()],
    )
    graph = ServicePrincipal(
        new_id(),
        GRAPH_APP_ID,
        "Microsoft Graph",
        app_roles=[AppRole(id_, value) for value, id_ in _GRAPH_ROLES.items()]
        + [AppRole(new_id(), value) for value in _GRAPH_ROLES_WITHOUT_ID],
        service_principal_names=["https://graph.microsoft.com"],
        permission_scopes=[AppRole(id_, value) for value, id_ in _GRAPH_SCOPES.items()],
    )
    directory.service_principals = {exchange.id: exchange, graph.id: graph}


def _people(tenant: Tenant) -> None:
    licence = [BUSINESS_BASIC.part_number]
    for local, name, roles in (
        ("admin", "Ada Administrator", {GLOBAL_ADMINISTRATOR}),
        ("megan", "Megan Bowen", set()),
        ("adele", "Adele Vance", set()),
        ("lee", "Lee Gu", set()),
    ):
        user = User(new_id(), f"{local}@{DOMAIN}", name, secrets.token_urlsafe(12), True, list(licence), set(roles))
        user.usage_location = "US"
        tenant.directory.users[user.id] = user
        tenant.exchange.mailboxes[user.upn] = Mailbox(user.upn, name, user.id)
    for local, name in (("notifications", "Notifications"), ("support", "Support")):
        user = User(new_id(), f"{local}@{DOMAIN}", name, "", False, [])
        tenant.directory.users[user.id] = user
        tenant.exchange.mailboxes[user.upn] = Mailbox(user.upn, name, user.id, shared=True)


def _ready_made(tenant: Tenant) -> ReadyMade:
    directory, now = tenant.directory, tenant.clock.time()
    application = Application(new_id(), new_id(), "Postroom", now)
    secret = Secret(new_id(), f"lab8Q~{secrets.token_urlsafe(25)}", now, now + YEAR, "lab")
    application.secrets.append(secret)
    directory.applications[application.id] = application
    principal = ServicePrincipal(new_id(), application.app_id, application.name)
    directory.service_principals[principal.id] = principal
    for resource_id, values in _GRANTED.items():
        resource = directory.principal_by_app_id(resource_id)
        if resource is None:
            raise KeyError(resource_id)
        for value in values:
            assignment = directory.grant(principal, resource, value, now)
            application.permissions.append(Permission(resource_id, assignment.role_id, "Role"))
    tenant.exchange.principals.append(KnownPrincipal(application.app_id, principal.id, application.name))
    address = f"notifications@{DOMAIN}"
    for mailbox in (tenant.exchange.mailboxes[address], tenant.exchange.mailboxes[f"support@{DOMAIN}"]):
        mailbox.full_access.add(principal.id)
    return ReadyMade(application, principal, secret, address)
