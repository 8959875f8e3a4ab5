"""/servicePrincipals: Enterprise applications, and the app roles granted to and by them (facts 3)."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from m365lab.directory import GRAPH_APP_ID, AppRole, RoleAssignment, ServicePrincipal, new_id
from m365lab.graph.desk import Call
from m365lab.graph.directory import rights
from m365lab.graph.directory.entities import (
    bad_request,
    check_kind,
    conflict,
    keyed,
    listed,
    moment,
    not_found,
    nothing,
    one,
    text_of,
)
from m365lab.graph.directory.rights import demand
from m365lab.graph.odata import Kind, Schema

MICROSOFT = "f8cdef31-a31e-4b4a-93e4-5f571e91255a"
"""Tenant that owns Microsoft's own applications (facts 2)."""
FILTERABLE: Schema = {
    "id": Kind.GUID,
    "appId": Kind.GUID,
    "displayName": Kind.TEXT,
    "accountEnabled": Kind.FLAG,
    "servicePrincipalType": Kind.TEXT,
}
_ASSIGNMENT_FILTER: Schema = {"principalId": Kind.GUID, "resourceId": Kind.GUID, "appRoleId": Kind.GUID}


async def list_(call: Call) -> Response:
    demand(call, rights.READ_APPLICATIONS)
    rows = [shown(call, principal) for principal in call.tenant.directory.service_principals.values()]
    return listed(call, "servicePrincipals", "servicePrincipal", rows, FILTERABLE)


async def create(call: Call) -> Response:
    """201 for an application of this tenant that has none yet."""
    directory, values = call.tenant.directory, call.json
    check_kind(values, {"appId": str, "tags": list, "accountEnabled": bool, "displayName": str, "notes": str})
    app_id = text_of(values, "appId").lower()
    application = directory.application_by_app_id(app_id)
    demand(call, rights.WRITE_APPLICATIONS, owner=application.created_by if application else "")
    if directory.principal_by_app_id(app_id) is not None:
        raise conflict(
            "The service principal cannot be created, updated, or restored because the service principal name "
            f"{app_id} is already in use."
        )
    if application is None:
        # [I] kubernetes-anywhere#248: NoBackingApplicationObject.
        raise bad_request("The appId of the service principal does not reference a valid application object.")
    principal = ServicePrincipal(new_id(), app_id, application.name, values.get("accountEnabled") is not False)
    principal.tags = [str(tag) for tag in values.get("tags") or []]
    directory.service_principals[principal.id] = principal
    return one(call, "servicePrincipals", "servicePrincipal", shown(call, principal), status=201)


async def get(call: Call) -> Response:
    demand(call, rights.READ_APPLICATIONS)
    return one(call, "servicePrincipals", "servicePrincipal", shown(call, principal_of(call)))


async def patch(call: Call) -> Response:
    principal, values = _writable(call), call.json
    check_kind(values, {"accountEnabled": bool, "tags": list, "notes": str, "displayName": str})
    principal.enabled = values.get("accountEnabled", principal.enabled)
    principal.tags = [str(tag) for tag in values.get("tags", principal.tags)]
    return nothing()


async def delete(call: Call) -> Response:
    call.tenant.directory.forget_principal(_writable(call))
    return nothing()


async def list_held(call: Call) -> Response:
    """appRoleAssignments: what was granted to this one."""
    demand(call, rights.READ_GRANTS)
    principal, directory = principal_of(call), call.tenant.directory
    rows = [_assignment(call, a) for a in directory.assignments.values() if a.principal_id == principal.id]
    return listed(call, "appRoleAssignments", "appRoleAssignment", rows, _ASSIGNMENT_FILTER)


async def list_given(call: Call) -> Response:
    """appRoleAssignedTo: what was granted of this one's roles."""
    demand(call, rights.READ_GRANTS)
    resource, directory = principal_of(call), call.tenant.directory
    rows = [_assignment(call, a) for a in directory.assignments.values() if a.resource_id == resource.id]
    return listed(call, "appRoleAssignments", "appRoleAssignment", rows, _ASSIGNMENT_FILTER)


async def grant(call: Call) -> Response:
    """201: this is admin consent for an application permission, under either end of the assignment."""
    directory, values = call.tenant.directory, call.json
    check_kind(values, {"principalId": str, "resourceId": str, "appRoleId": str})
    ids = {name: text_of(values, name).lower() for name in ("principalId", "resourceId", "appRoleId")}
    here = principal_of(call)
    principal = directory.service_principals.get(ids["principalId"])
    resource = directory.service_principals.get(ids["resourceId"])
    _demand_grant(call, resource)
    end = "principalId" if call.request.url.path.endswith("appRoleAssignments") else "resourceId"
    if principal is None or resource is None or ids[end] != here.id:
        # [I] microsoft-graph-docs#9738: any id that is not what it should be.
        raise bad_request("Not a valid reference update.")
    if not any(role.id == ids["appRoleId"] for role in resource.app_roles):
        raise bad_request(f"Permission being assigned was not found on application '{resource.app_id}'.")
    if any(_same(a, ids) for a in directory.assignments.values()):
        raise bad_request("Permission being assigned already exists on the object")
    made = RoleAssignment(new_id(), principal.id, resource.id, ids["appRoleId"], call.tenant.clock.time())
    directory.assignments[made.id] = made
    return one(call, "appRoleAssignments", "appRoleAssignment", _assignment(call, made), status=201)


async def revoke(call: Call) -> Response:
    """204; takes effect with the next token."""
    directory, here, key = call.tenant.directory, principal_of(call), call.part("assignment")
    found = directory.assignments.get(key)
    if found is None or here.id not in {found.principal_id, found.resource_id}:
        raise not_found(key)
    _demand_grant(call, directory.service_principals.get(found.resource_id))
    del directory.assignments[key]
    return nothing()


def principal_of(call: Call) -> ServicePrincipal:
    """By object id, or by `(appId='...')`. Raises `GraphError`."""
    directory = call.tenant.directory
    return keyed(call.part("principal"), directory.service_principals, directory.principal_by_app_id)


def _writable(call: Call) -> ServicePrincipal:
    principal = principal_of(call)
    application = call.tenant.directory.application_by_app_id(principal.app_id)
    demand(call, rights.WRITE_APPLICATIONS, owner=application.created_by if application else "")
    return principal


def _demand_grant(call: Call, resource: ServicePrincipal | None) -> None:
    """Graph's own roles are more guarded than others ([D] grant consent: application administrators may not)."""
    of_graph = resource is not None and resource.app_id == GRAPH_APP_ID
    demand(call, rights.GRANT_OF_GRAPH if of_graph else rights.GRANT)


def _same(assignment: RoleAssignment, ids: dict[str, str]) -> bool:
    held = (assignment.principal_id, assignment.resource_id, assignment.role_id)
    return held == (ids["principalId"], ids["resourceId"], ids["appRoleId"])


def shown(call: Call, principal: ServicePrincipal) -> dict[str, Any]:
    """The type `servicePrincipal`, as far as the lab knows it."""
    application = call.tenant.directory.application_by_app_id(principal.app_id)
    return {
        "id": principal.id,
        "deletedDateTime": None,
        "accountEnabled": principal.enabled,
        "alternativeNames": [],
        "appDisplayName": principal.name,
        "appId": principal.app_id,
        "appOwnerOrganizationId": call.tenant.directory.tenant_id if application else MICROSOFT,
        "appRoleAssignmentRequired": False,
        "appRoles": [_role(role) for role in principal.app_roles],
        "displayName": principal.name,
        "oauth2PermissionScopes": [_scope(scope) for scope in principal.permission_scopes],
        "servicePrincipalNames": [principal.app_id, *principal.service_principal_names],
        "servicePrincipalType": "Application",
        "signInAudience": application.sign_in_audience if application else "AzureADMultipleOrgs",
        "tags": list(principal.tags),
    }


def _role(role: AppRole) -> dict[str, Any]:
    return {
        "allowedMemberTypes": ["Application"],
        "description": role.description or role.value,
        "displayName": role.value,
        "id": role.id,
        "isEnabled": True,
        "origin": "Application",
        "value": role.value,
    }


def _scope(scope: AppRole) -> dict[str, Any]:
    return {
        "adminConsentDescription": scope.description or scope.value,
        "adminConsentDisplayName": scope.value,
        "id": scope.id,
        "isEnabled": True,
        "type": "Admin",
        "value": scope.value,
    }


def _assignment(call: Call, assignment: RoleAssignment) -> dict[str, Any]:
    principals = call.tenant.directory.service_principals
    principal, resource = principals.get(assignment.principal_id), principals.get(assignment.resource_id)
    return {
        "id": assignment.id,
        "deletedDateTime": None,
        "appRoleId": assignment.role_id,
        "createdDateTime": moment(assignment.created_at),
        "principalDisplayName": principal.name if principal else None,
        "principalId": assignment.principal_id,
        "principalType": "ServicePrincipal",
        "resourceDisplayName": resource.name if resource else None,
        "resourceId": assignment.resource_id,
    }


_ONE = "/servicePrincipals/{principal}"
ROUTES = (
    ("GET", "/servicePrincipals", list_),
    ("POST", "/servicePrincipals", create),
    ("GET", _ONE, get),
    ("PATCH", _ONE, patch),
    ("DELETE", _ONE, delete),
    ("GET", f"{_ONE}/appRoleAssignments", list_held),
    ("POST", f"{_ONE}/appRoleAssignments", grant),
    ("DELETE", f"{_ONE}/appRoleAssignments/{{assignment}}", revoke),
    ("GET", f"{_ONE}/appRoleAssignedTo", list_given),
    ("POST", f"{_ONE}/appRoleAssignedTo", grant),
    ("DELETE", f"{_ONE}/appRoleAssignedTo/{{assignment}}", revoke),
)
