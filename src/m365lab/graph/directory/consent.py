"""/oauth2PermissionGrants: consent to delegated permissions, which an app-only token has nothing of."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from m365lab.directory import DelegatedGrant
from m365lab.graph.desk import Call
from m365lab.graph.directory import rights
from m365lab.graph.directory.entities import (
    bad_request,
    check_kind,
    conflict,
    listed,
    not_found,
    nothing,
    one,
    text_of,
)
from m365lab.graph.directory.principals import principal_of
from m365lab.graph.directory.rights import demand
from m365lab.graph.odata import Kind, Schema

_FILTERABLE: Schema = {
    "clientId": Kind.GUID,
    "resourceId": Kind.GUID,
    "consentType": Kind.TEXT,
    "principalId": Kind.GUID,
}
_NAME = "oauth2PermissionGrants"


async def list_(call: Call) -> Response:
    demand(call, rights.READ_DELEGATED)
    rows = [_shown(grant) for grant in call.tenant.directory.delegated_grants]
    return listed(call, _NAME, "oAuth2PermissionGrant", rows, _FILTERABLE)


async def list_of_client(call: Call) -> Response:
    """/servicePrincipals/{id}/oauth2PermissionGrants."""
    demand(call, rights.READ_DELEGATED)
    client = principal_of(call)
    rows = [_shown(grant) for grant in call.tenant.directory.delegated_grants if grant.client_id == client.id]
    return listed(call, _NAME, "oAuth2PermissionGrant", rows, _FILTERABLE)


async def create(call: Call) -> Response:
    demand(call, rights.WRITE_DELEGATED)
    values, directory = call.json, call.tenant.directory
    kinds: dict[str, type | tuple[type, ...]] = dict.fromkeys(
        ("clientId", "resourceId", "consentType", "principalId", "scope"), str
    )
    check_kind(values, kinds)
    client, resource = text_of(values, "clientId").lower(), text_of(values, "resourceId").lower()
    user = str(values.get("principalId") or "").lower()
    if not {client, resource} <= directory.service_principals.keys():
        raise bad_request("Invalid value specified for property 'clientId' or 'resourceId' of resource.")
    if (values.get("consentType") == "AllPrincipals") is bool(user):
        raise bad_request("consentType is AllPrincipals, or Principal with a principalId.")
    held = directory.delegated_grants
    if any((g.client_id, g.resource_id, g.user_id) == (client, resource, user) for g in held):
        raise conflict("Permission entry already exists.")
    made = DelegatedGrant(client, resource, str(values.get("scope") or ""), user_id=user)
    held.append(made)
    return one(call, _NAME, "oAuth2PermissionGrant", _shown(made), status=201)


async def get(call: Call) -> Response:
    demand(call, rights.READ_DELEGATED)
    return one(call, _NAME, "oAuth2PermissionGrant", _shown(_grant_of(call)))


async def patch(call: Call) -> Response:
    demand(call, rights.WRITE_DELEGATED)
    check_kind(call.json, {"scope": str})
    _grant_of(call).scopes = str(call.json.get("scope") or "")
    return nothing()


async def delete(call: Call) -> Response:
    demand(call, rights.WRITE_DELEGATED)
    call.tenant.directory.delegated_grants.remove(_grant_of(call))
    return nothing()


def _grant_of(call: Call) -> DelegatedGrant:
    key = call.part("grant")
    for grant in call.tenant.directory.delegated_grants:
        if grant.id == key:
            return grant
    raise not_found(key)


def _shown(grant: DelegatedGrant) -> dict[str, Any]:
    return {
        "id": grant.id,
        "clientId": grant.client_id,
        "consentType": "Principal" if grant.user_id else "AllPrincipals",
        "principalId": grant.user_id or None,
        "resourceId": grant.resource_id,
        "scope": grant.scopes,
    }


ROUTES = (
    ("GET", "/oauth2PermissionGrants", list_),
    ("POST", "/oauth2PermissionGrants", create),
    ("GET", "/oauth2PermissionGrants/{grant}", get),
    ("PATCH", "/oauth2PermissionGrants/{grant}", patch),
    ("DELETE", "/oauth2PermissionGrants/{grant}", delete),
    ("GET", "/servicePrincipals/{principal}/oauth2PermissionGrants", list_of_client),
)
