"""Directory roles: /roleManagement/directory and the older /directoryRoles (facts 3)."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

from starlette.responses import Response

from m365lab.contoso import EXCHANGE_ADMINISTRATOR, GLOBAL_ADMINISTRATOR
from m365lab.directory import ServicePrincipal, User
from m365lab.graph.desk import Call
from m365lab.graph.directory import rights
from m365lab.graph.directory.entities import bad_request, check_kind, listed, not_found, nothing, one, text_of
from m365lab.graph.directory.people import shown as shown_user
from m365lab.graph.directory.principals import principal_of
from m365lab.graph.directory.principals import shown as shown_principal
from m365lab.graph.directory.rights import demand
from m365lab.graph.odata import Kind, Schema

NAMES = {
    GLOBAL_ADMINISTRATOR: "Global Administrator",
    EXCHANGE_ADMINISTRATOR: "Exchange Administrator",
    "31392ffb-586c-42d1-9346-e59415a2cc4e": "Exchange Recipient Administrator",
    rights.APPLICATION_ADMINISTRATOR: "Application Administrator",
    rights.CLOUD_APPLICATION_ADMINISTRATOR: "Cloud Application Administrator",
    rights.PRIVILEGED_ROLE_ADMINISTRATOR: "Privileged Role Administrator",
    rights.USER_ADMINISTRATOR: "User Administrator",
    "f2ef992c-3afb-46b9-b7cf-a126ee74c451": "Global Reader",
}
"""Directory roles by their template's id. All but Exchange Administrator are [U]."""
_ASSIGNMENT_FILTER: Schema = {"principalId": Kind.GUID, "roleDefinitionId": Kind.GUID}
_ROLE_FILTER: Schema = {"id": Kind.GUID, "displayName": Kind.TEXT, "roleTemplateId": Kind.GUID, "templateId": Kind.GUID}

Holder = User | ServicePrincipal


async def list_assignments(call: Call) -> Response:
    demand(call, rights.READ_ROLES)
    rows = [_assignment(holder, role) for holder, role in _held(call)]
    return listed(call, "roleManagement/directory/roleAssignments", "unifiedRoleAssignment", rows, _ASSIGNMENT_FILTER)


async def assign(call: Call) -> Response:
    """201, for the whole directory only."""
    demand(call, rights.WRITE_ROLES)
    values = call.json
    kinds: dict[str, type | tuple[type, ...]] = dict.fromkeys(
        ("principalId", "roleDefinitionId", "directoryScopeId"), str
    )
    check_kind(values, kinds)
    holder = _holder(call, text_of(values, "principalId"))
    role = text_of(values, "roleDefinitionId").lower()
    if text_of(values, "directoryScopeId") != "/" or role not in NAMES:
        raise bad_request("The role definition or the directory scope is not known here; use the scope '/'.")
    if role in holder.directory_roles:
        raise bad_request(
            "A conflicting object with one or more of the specified property values is present in the directory."
        )
    holder.directory_roles.add(role)
    return one(
        call, "roleManagement/directory/roleAssignments", "unifiedRoleAssignment", _assignment(holder, role), status=201
    )


async def unassign(call: Call) -> Response:
    demand(call, rights.WRITE_ROLES)
    key = call.part("assignment")
    for holder, role in _held(call):
        if _assignment(holder, role)["id"] == key:
            holder.directory_roles.discard(role)
            return nothing()
    raise not_found(key)


async def list_definitions(call: Call) -> Response:
    demand(call, rights.READ_ROLES)
    rows = [
        {"id": role, "displayName": name, "isBuiltIn": True, "isEnabled": True, "templateId": role}
        for role, name in NAMES.items()
    ]
    return listed(call, "roleManagement/directory/roleDefinitions", "unifiedRoleDefinition", rows, _ROLE_FILTER)


async def list_roles(call: Call) -> Response:
    demand(call, rights.READ_ROLES)
    return listed(call, "directoryRoles", "directoryRole", [_role(role) for role in NAMES], _ROLE_FILTER)


async def list_members(call: Call) -> Response:
    demand(call, rights.READ_ROLES)
    wanted = _role_of(call)
    rows = [_member(call, holder) for holder, role in _held(call) if role == wanted]
    return listed(call, "directoryObjects", "directoryObject", rows, {})


async def add_member(call: Call) -> Response:
    """POST members/$ref {"@odata.id": ".../directoryObjects/{id}"} -> 204 (facts 3 [C])."""
    demand(call, rights.WRITE_ROLES)
    role, holder = _role_of(call), _holder(call, text_of(call.json, "@odata.id").rpartition("/")[2])
    if role in holder.directory_roles:
        raise bad_request("One or more added object references already exist for the following modified properties.")
    holder.directory_roles.add(role)
    return nothing()


async def member_of(call: Call) -> Response:
    """memberOf of a service principal: its directory roles."""
    demand(call, rights.READ_ROLES)
    rows = [
        {"@odata.type": "#microsoft.graph.directoryRole"} | _role(role)
        for role in sorted(principal_of(call).directory_roles)
        if role in NAMES
    ]
    return listed(call, "directoryObjects", "directoryObject", rows, {})


async def my_roles(call: Call) -> Response:
    """/me/memberOf: the directory roles of who is signed in."""
    user = call.tenant.directory.users.get(call.caller.user_id)
    if user is None:
        raise bad_request("/me request is only valid with delegated authentication flow.")
    rows = [
        {"@odata.type": "#microsoft.graph.directoryRole"} | _role(role)
        for role in sorted(user.directory_roles)
        if role in NAMES
    ]
    return listed(call, "directoryObjects", "directoryObject", rows, {})


def _held(call: Call) -> Iterator[tuple[Holder, str]]:
    directory = call.tenant.directory
    holders: list[Holder] = [*directory.users.values(), *directory.service_principals.values()]
    for holder in holders:
        for role in sorted(holder.directory_roles):
            yield holder, role


def _holder(call: Call, key: str) -> Holder:
    directory = call.tenant.directory
    found = directory.users.get(key.lower()) or directory.service_principals.get(key.lower())
    if found is None:
        raise not_found(key)
    return found


def _role_of(call: Call) -> str:
    key = call.part("role").removeprefix("roleTemplateId=").lower()
    if key not in NAMES:
        raise not_found(key)
    return key


def _role(role: str) -> dict[str, Any]:
    return {"id": role, "deletedDateTime": None, "displayName": NAMES[role], "roleTemplateId": role}


def _member(call: Call, holder: Holder) -> dict[str, Any]:
    is_user = isinstance(holder, User)
    row = shown_user(call, holder) if isinstance(holder, User) else shown_principal(call, holder)
    return {"@odata.type": f"#microsoft.graph.{'user' if is_user else 'servicePrincipal'}"} | row


def _assignment(holder: Holder, role: str) -> dict[str, Any]:
    return {
        "id": str(uuid.uuid5(uuid.UUID(role), holder.id)),
        "directoryScopeId": "/",
        "principalId": holder.id,
        "roleDefinitionId": role,
    }


_ASSIGNMENTS = "/roleManagement/directory/roleAssignments"
ROUTES = (
    ("GET", _ASSIGNMENTS, list_assignments),
    ("POST", _ASSIGNMENTS, assign),
    ("DELETE", f"{_ASSIGNMENTS}/{{assignment}}", unassign),
    ("GET", "/roleManagement/directory/roleDefinitions", list_definitions),
    ("GET", "/directoryRoles", list_roles),
    ("GET", "/directoryRoles/{role}/members", list_members),
    ("POST", "/directoryRoles/{role}/members/$ref", add_member),
    ("GET", "/servicePrincipals/{principal}/memberOf", member_of),
    ("GET", "/me/memberOf", my_roles),
)
