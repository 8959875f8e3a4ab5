"""/applications: app registrations with their credentials (facts 3)."""

from __future__ import annotations

import base64
from typing import Any

from starlette.responses import JSONResponse, Response

from m365lab.credentials import SECRET_DAYS, key_credential, new_secret
from m365lab.directory import Application, FederatedCredential, KeyCredential, Permission, Secret, new_id
from m365lab.graph.desk import Call
from m365lab.graph.directory import rights
from m365lab.graph.directory.entities import (
    bad_request,
    check_kind,
    conflict,
    keyed,
    listed,
    moment,
    moment_of,
    not_found,
    nothing,
    one,
    text_of,
)
from m365lab.graph.directory.rights import demand
from m365lab.graph.odata import Kind, Schema

FEDERATED_AT_MOST = 20
FILTERABLE: Schema = {
    "id": Kind.GUID,
    "appId": Kind.GUID,
    "displayName": Kind.TEXT,
    "signInAudience": Kind.TEXT,
    "createdDateTime": Kind.MOMENT,
}
_AUDIENCES = {"AzureADMyOrg", "AzureADMultipleOrgs", "AzureADandPersonalMicrosoftAccount", "PersonalMicrosoftAccount"}
_DEFAULT_AUDIENCE = "AzureADandPersonalMicrosoftAccount"
_WRITABLE: dict[str, type | tuple[type, ...]] = {
    "displayName": str,
    "signInAudience": str,
    "requiredResourceAccess": list,
    "keyCredentials": list,
    "isFallbackPublicClient": bool,
    "tags": list,
    "notes": str,
    "description": str,
    "publicClient": dict,
    "web": dict,
    "api": dict,
    "identifierUris": list,
}


async def list_(call: Call) -> Response:
    demand(call, rights.READ_APPLICATIONS)
    rows = [shown(call, application) for application in call.tenant.directory.applications.values()]
    return listed(call, "applications", "application", rows, FILTERABLE)


async def create(call: Call) -> Response:
    """201. Secrets cannot come with it, certificates and permissions can (facts 3 [D])."""
    demand(call, rights.CREATE_APPLICATIONS)
    values = call.json
    name = text_of(values, "displayName")
    application = Application(new_id(), new_id(), name, call.tenant.clock.time(), _DEFAULT_AUDIENCE)
    application.created_by = call.caller.app_id
    _apply(application, values)
    call.tenant.directory.applications[application.id] = application
    return one(call, "applications", "application", shown(call, application), status=201)


async def get(call: Call) -> Response:
    demand(call, rights.READ_APPLICATIONS)
    return one(call, "applications", "application", shown(call, application_of(call)))


async def patch(call: Call) -> Response:
    application = _writable(call)
    _apply(application, call.json)
    return nothing()


async def delete(call: Call) -> Response:
    """204; its service principal in this tenant goes too."""
    application, directory = _writable(call), call.tenant.directory
    del directory.applications[application.id]
    principal = directory.principal_by_app_id(application.app_id)
    if principal is not None:
        directory.forget_principal(principal)
    return nothing()


async def add_password(call: Call) -> Response:
    """200 with the secret, which is shown this once. It ends after two years when nothing else is asked."""
    application, now = _writable(call), call.tenant.clock.time()
    asked = call.json.get("passwordCredential") or {}
    check_kind(asked, {"displayName": str, "endDateTime": str, "startDateTime": str})
    secret = new_secret(now, name=asked.get("displayName") or "", days=SECRET_DAYS)
    secret.starts_at = moment_of(asked.get("startDateTime"), "startDateTime") or now
    secret.ends_at = moment_of(asked.get("endDateTime"), "endDateTime") or secret.ends_at
    if secret.ends_at <= secret.starts_at:
        raise bad_request("Credential end date is before its start date.")
    application.secrets.append(secret)
    context = {"@odata.context": f"{call.base}$metadata#microsoft.graph.passwordCredential"}
    return JSONResponse(context | _password(secret) | {"secretText": secret.value})


async def remove_password(call: Call) -> Response:
    application, key = _writable(call), text_of(call.json, "keyId").lower()
    kept = [secret for secret in application.secrets if secret.key_id != key]
    if len(kept) == len(application.secrets):
        raise bad_request("No password credential found with keyId.")
    application.secrets[:] = kept
    return nothing()


async def add_key(call: Call) -> Response:
    """200. Only beside a certificate that is still valid: the first one comes by PATCH (facts 3 [D])."""
    application, now = application_of(call), call.tenant.clock.time()
    if call.caller.app_id != application.app_id:  # an application needs no permission to roll its own key
        demand(call, rights.WRITE_APPLICATIONS, owner=application.created_by)
    if not any(certificate.ends_at > now for certificate in application.certificates):
        raise bad_request("addKey needs a certificate of the application that is still valid, to sign the proof with.")
    text_of(call.json, "proof")
    added = _certificate(call.json.get("keyCredential") or {})
    application.certificates.append(added)
    context = {"@odata.context": f"{call.base}$metadata#microsoft.graph.keyCredential"}
    return JSONResponse(context | _key(added, with_key=False))


async def remove_key(call: Call) -> Response:
    application, key = _writable(call), text_of(call.json, "keyId").lower()
    kept = [certificate for certificate in application.certificates if certificate.key_id != key]
    if len(kept) == len(application.certificates):
        raise bad_request("No key credential found with keyId.")
    application.certificates[:] = kept
    return nothing()


async def list_federated(call: Call) -> Response:
    demand(call, rights.READ_APPLICATIONS)
    rows = [_federated(item) for item in application_of(call).federated]
    return listed(call, "federatedIdentityCredentials", "federatedIdentityCredential", rows, {"name": Kind.TEXT})


async def add_federated(call: Call) -> Response:
    """201. Twenty at most; name, and issuer with subject, are there once (facts 3 [D])."""
    application, values = _writable(call), call.json
    check_kind(values, {"name": str, "issuer": str, "subject": str, "audiences": list, "description": str})
    name, issuer, subject = (text_of(values, part) for part in ("name", "issuer", "subject"))
    audiences = [str(audience) for audience in values.get("audiences") or []]
    if len(name) > 120 or max(len(issuer), len(subject)) > 600 or len(audiences) != 1:
        raise bad_request("Name is at most 120, issuer and subject 600 characters long, and one audience is wanted.")
    if any(item.name == name for item in application.federated):
        raise conflict(f"FederatedIdentityCredential with name {name} already exists.")
    if any((item.issuer, item.subject) == (issuer, subject) for item in application.federated):
        raise conflict("FederatedIdentityCredential with the same issuer and subject already exists.")
    if len(application.federated) >= FEDERATED_AT_MOST:
        raise bad_request(f"An application has at most {FEDERATED_AT_MOST} federated identity credentials.")
    made = FederatedCredential(new_id(), name, issuer, subject, audiences)
    application.federated.append(made)
    return one(call, "federatedIdentityCredentials", "federatedIdentityCredential", _federated(made), status=201)


async def delete_federated(call: Call) -> Response:
    application, key = _writable(call), call.part("credential")
    kept = [item for item in application.federated if key not in {item.id, item.name}]
    if len(kept) == len(application.federated):
        raise not_found(key)
    application.federated[:] = kept
    return nothing()


def application_of(call: Call) -> Application:
    """By object id, or by `(appId='...')`. Raises `GraphError`."""
    directory = call.tenant.directory
    return keyed(call.part("application"), directory.applications, directory.application_by_app_id)


def _writable(call: Call) -> Application:
    application = application_of(call)
    demand(call, rights.WRITE_APPLICATIONS, owner=application.created_by)
    return application


def shown(call: Call, application: Application) -> dict[str, Any]:
    """The type `application`, as far as the lab knows it."""
    with_key = "keyCredentials" in call.request.query_params.get("$select", "")
    return {
        "id": application.id,
        "deletedDateTime": None,
        "appId": application.app_id,
        "applicationTemplateId": None,
        "createdByAppId": application.created_by or None,
        "createdDateTime": moment(application.created_at),
        "displayName": application.name,
        "description": None,
        "identifierUris": [],
        "isFallbackPublicClient": application.is_public_client,
        "notes": application.notes or None,
        "publisherDomain": call.tenant.directory.domains[0],
        "signInAudience": application.sign_in_audience,
        "tags": list(application.tags),
        "tokenEncryptionKeyId": None,
        "appRoles": [],
        "keyCredentials": [_key(item, with_key=with_key) for item in application.certificates],
        "passwordCredentials": [_password(item) for item in application.secrets],
        "requiredResourceAccess": _access(application.permissions),
    }


def _password(secret: Secret) -> dict[str, Any]:
    return {
        "customKeyIdentifier": None,
        "displayName": secret.name or None,
        "endDateTime": moment(secret.ends_at),
        "hint": secret.value[:3],
        "keyId": secret.key_id,
        "secretText": None,
        "startDateTime": moment(secret.starts_at),
    }


def _key(item: KeyCredential, *, with_key: bool) -> dict[str, Any]:
    """`key` is shown only when `keyCredentials` is selected ([D] keyCredential)."""
    der = "".join(item.certificate_pem.split("-----")[2].split())
    return {
        "customKeyIdentifier": base64.b64encode(bytes.fromhex(item.thumbprint_sha1)).decode(),
        "displayName": item.name or None,
        "endDateTime": moment(item.ends_at),
        "key": der if with_key else None,
        "keyId": item.key_id,
        "startDateTime": None,
        "type": "AsymmetricX509Cert",
        "usage": "Verify",
    }


def _access(permissions: list[Permission]) -> list[dict[str, Any]]:
    resources = dict.fromkeys(permission.resource_app_id for permission in permissions)
    return [
        {
            "resourceAppId": resource,
            "resourceAccess": [{"id": p.id, "type": p.type} for p in permissions if p.resource_app_id == resource],
        }
        for resource in resources
    ]


def _federated(item: FederatedCredential) -> dict[str, Any]:
    return {
        "id": item.id,
        "name": item.name,
        "issuer": item.issuer,
        "subject": item.subject,
        "description": None,
        "audiences": list(item.audiences),
    }


def _apply(application: Application, values: dict[str, Any]) -> None:
    """Sets what a POST or PATCH names, or nothing at all. Raises `GraphError`."""
    if "passwordCredentials" in values:
        raise bad_request("passwordCredentials cannot be set here: use addPassword.")
    check_kind(values, _WRITABLE)
    audience = values.get("signInAudience", application.sign_in_audience)
    if audience not in _AUDIENCES:
        raise bad_request(
            f"Invalid value specified for property 'signInAudience' of resource 'Application': {audience}"
        )
    permissions = _permissions(values["requiredResourceAccess"]) if "requiredResourceAccess" in values else None
    certificates = _certificates(application, values["keyCredentials"]) if "keyCredentials" in values else None
    application.sign_in_audience = audience
    application.name = values.get("displayName") or application.name
    application.notes = values.get("notes", application.notes) or ""
    application.tags = [str(tag) for tag in values.get("tags", application.tags) or []]
    application.is_public_client = bool(values.get("isFallbackPublicClient", application.is_public_client))
    if permissions is not None:
        application.permissions = permissions
    if certificates is not None:
        application.certificates = certificates


def _permissions(items: Any) -> list[Permission]:
    try:
        return [
            Permission(str(item["resourceAppId"]), str(access["id"]), str(access["type"]))
            for item in items
            for access in item["resourceAccess"]
            if access["type"] in {"Role", "Scope"}
        ]
    except (TypeError, KeyError) as error:
        raise bad_request("Invalid value specified for property 'requiredResourceAccess' of resource.") from error


def _certificates(application: Application, items: list[Any]) -> list[KeyCredential]:
    """The whole new list: an entry without `key` keeps the one that has its `keyId` (facts 3 [U])."""
    old = {item.key_id: item for item in application.certificates}
    return [
        old[item["keyId"]] if not item.get("key") and item.get("keyId") in old else _certificate(item)
        for item in items
        if isinstance(item, dict)
    ]


def _certificate(item: dict[str, Any]) -> KeyCredential:
    if item.get("type") != "AsymmetricX509Cert" or item.get("usage") != "Verify":
        raise bad_request("A key credential is of type AsymmetricX509Cert, for the usage Verify.")
    try:
        made = key_credential(text_of(item, "key"), name=item.get("displayName") or "")
    except ValueError as error:
        raise bad_request("Key credential is not a valid X.509 certificate.") from error
    made.key_id = str(item.get("keyId") or made.key_id).lower()
    return made


_ONE = "/applications/{application}"
ROUTES = (
    ("GET", "/applications", list_),
    ("POST", "/applications", create),
    ("GET", _ONE, get),
    ("PATCH", _ONE, patch),
    ("DELETE", _ONE, delete),
    ("POST", f"{_ONE}/addPassword", add_password),
    ("POST", f"{_ONE}/removePassword", remove_password),
    ("POST", f"{_ONE}/addKey", add_key),
    ("POST", f"{_ONE}/removeKey", remove_key),
    ("GET", f"{_ONE}/federatedIdentityCredentials", list_federated),
    ("POST", f"{_ONE}/federatedIdentityCredentials", add_federated),
    ("DELETE", f"{_ONE}/federatedIdentityCredentials/{{credential}}", delete_federated),
)
