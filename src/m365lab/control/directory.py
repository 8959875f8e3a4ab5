"""Control of Entra's half: applications with their credentials and grants, users and licences."""

from __future__ import annotations

from typing import Any

import pydantic
from pydantic import Field
from starlette.requests import Request

from m365lab.control.asking import Bad, Model, Table, body
from m365lab.credentials import key_credential, new_secret
from m365lab.directory import (
    EXCHANGE_APP_ID,
    GRAPH_APP_ID,
    Application,
    DelegatedGrant,
    FederatedCredential,
    KeyCredential,
    Permission,
    Secret,
    ServicePrincipal,
    User,
    new_id,
)
from m365lab.works import Works

RESOURCES = {"exchange": EXCHANGE_APP_ID, "graph": GRAPH_APP_ID}
FEDERATION_AUDIENCE = "api://AzureADTokenExchange"
_APPLICATION = pydantic.TypeAdapter(Application)
_USER = pydantic.TypeAdapter(User)


class NewApplication(Model):
    name: str = Field(min_length=1, max_length=256)
    secret: bool = True
    """Makes a client secret too."""
    public_client: bool = False
    roles: dict[str, list[str]] = {}
    """App roles to grant, by resource: `{"exchange": ["SMTP.SendAsApp"]}`."""


class NewSecret(Model):
    name: str = ""
    days: float = 730


class NewCertificate(Model):
    certificate: str
    """PEM, or base64 of the DER."""
    name: str = ""


class NewFederated(Model):
    name: str = "federated"
    issuer: str
    subject: str
    audiences: list[str] = [FEDERATION_AUDIENCE]


class Roles(Model):
    resource: str = "exchange"
    roles: list[str] = Field(min_length=1)


class Scopes(Model):
    resource: str = "exchange"
    scopes: list[str] = Field(min_length=1)


class Enabled(Model):
    enabled: bool


class NewUser(Model):
    upn: str
    name: str
    password: str = ""
    licences: list[str] = []


class UserChange(Model):
    enabled: bool | None = None
    licences: list[str] | None = None
    password: str | None = None
    directory_roles: list[str] | None = None


def table(works: Works, routes: Table) -> None:
    """Adds the routes."""
    _applications(works, routes)
    _credentials(works, routes)
    _grants(works, routes)
    _users(works, routes)


def _applications(works: Works, routes: Table) -> None:
    directory = works.tenant.directory

    @routes.on("GET", "/applications")
    async def list_applications(_: Request) -> list[Any]:
        return [view(works, application) for application in directory.applications.values()]

    @routes.on("POST", "/applications")
    async def create(request: Request) -> dict[str, Any]:
        asked = await body(request, NewApplication)
        now = works.tenant.clock.time()
        application = Application(new_id(), new_id(), asked.name, now, is_public_client=asked.public_client)
        principal = ServicePrincipal(new_id(), application.app_id, application.name)
        for resource, roles in asked.roles.items():
            _grant(works, application, principal, resource, roles)
        if asked.secret:
            application.secrets.append(new_secret(now, name="lab"))
        directory.applications[application.id] = application
        directory.service_principals[principal.id] = principal
        return view(works, application)

    @routes.on("GET", "/applications/{id}")
    async def show(request: Request) -> dict[str, Any]:
        return view(works, _application(works, request))

    @routes.on("DELETE", "/applications/{id}")
    async def delete(request: Request) -> None:
        application = _application(works, request)
        principal = directory.principal_by_app_id(application.app_id)
        del directory.applications[application.id]
        if principal is not None:
            del directory.service_principals[principal.id]
            for assignment in [a for a in directory.assignments.values() if a.principal_id == principal.id]:
                del directory.assignments[assignment.id]

    @routes.on("PATCH", "/applications/{id}/principal")
    async def enable(request: Request) -> dict[str, Any]:
        application = _application(works, request)
        _principal(works, application).enabled = (await body(request, Enabled)).enabled
        return view(works, application)


def _credentials(works: Works, routes: Table) -> None:
    @routes.on("POST", "/applications/{id}/secrets")
    async def add_secret(request: Request) -> dict[str, Any]:
        application, asked = _application(works, request), await body(request, NewSecret)
        secret = new_secret(works.tenant.clock.time(), name=asked.name, days=asked.days)
        application.secrets.append(secret)
        return {"secret_id": secret.key_id, "client_secret": secret.value, "ends_at": secret.ends_at}

    @routes.on("POST", "/applications/{id}/secrets/{key}/expire")
    async def expire_secret(request: Request) -> dict[str, Any]:
        application = _application(works, request)
        _secret(application, request).ends_at = works.tenant.clock.time() - 1
        return view(works, application)

    @routes.on("DELETE", "/applications/{id}/secrets/{key}")
    async def remove_secret(request: Request) -> None:
        application = _application(works, request)
        application.secrets.remove(_secret(application, request))

    @routes.on("POST", "/applications/{id}/certificates")
    async def add_certificate(request: Request) -> dict[str, Any]:
        application, asked = _application(works, request), await body(request, NewCertificate)
        try:
            credential = key_credential(asked.certificate, name=asked.name)
        except ValueError as error:
            raise Bad(f"certificate: {error}") from error
        application.certificates.append(credential)
        return {"certificate_id": credential.key_id, "thumbprint": credential.thumbprint_sha1}

    @routes.on("DELETE", "/applications/{id}/certificates/{key}")
    async def remove_certificate(request: Request) -> None:
        application = _application(works, request)
        application.certificates.remove(_certificate(application, request))

    @routes.on("POST", "/applications/{id}/federated")
    async def add_federated(request: Request) -> dict[str, Any]:
        application, asked = _application(works, request), await body(request, NewFederated)
        credential = FederatedCredential(new_id(), asked.name, asked.issuer, asked.subject, asked.audiences)
        application.federated.append(credential)
        return {"federated_id": credential.id}

    @routes.on("DELETE", "/applications/{id}/federated/{key}")
    async def remove_federated(request: Request) -> None:
        application, key = _application(works, request), request.path_params["key"]
        kept = [f for f in application.federated if f.id != key]
        if len(kept) == len(application.federated):
            raise Bad(f"No federated credential {key}: GET the application for the ids it has.", 404)
        application.federated[:] = kept


def _grants(works: Works, routes: Table) -> None:
    directory = works.tenant.directory

    @routes.on("POST", "/applications/{id}/permissions")
    async def ask_for(request: Request) -> dict[str, Any]:
        application, asked = _application(works, request), await body(request, Roles)
        for role in asked.roles:
            _ask(application, _resource(works, asked.resource), role)
        return view(works, application)

    @routes.on("POST", "/applications/{id}/roles")
    async def grant(request: Request) -> dict[str, Any]:
        application, asked = _application(works, request), await body(request, Roles)
        _grant(works, application, _principal(works, application), asked.resource, asked.roles)
        return view(works, application)

    @routes.on("DELETE", "/applications/{id}/roles/{resource}/{role}")
    async def revoke(request: Request) -> dict[str, Any]:
        application = _application(works, request)
        principal, resource = _principal(works, application), _resource(works, request.path_params["resource"])
        role_id = _role_id(resource, request.path_params["role"])
        for assignment in list(directory.assignments.values()):
            if (assignment.principal_id, assignment.role_id) == (principal.id, role_id):
                del directory.assignments[assignment.id]
        return view(works, application)

    @routes.on("POST", "/applications/{id}/delegated")
    async def grant_delegated(request: Request) -> dict[str, Any]:
        application, asked = _application(works, request), await body(request, Scopes)
        principal, resource = _principal(works, application), _resource(works, asked.resource)
        directory.delegated_grants.append(DelegatedGrant(principal.id, resource.id, " ".join(asked.scopes)))
        return view(works, application)

    @routes.on("DELETE", "/applications/{id}/delegated")
    async def revoke_delegated(request: Request) -> dict[str, Any]:
        application = _application(works, request)
        principal = _principal(works, application)
        directory.delegated_grants[:] = [g for g in directory.delegated_grants if g.client_id != principal.id]
        return view(works, application)


def _users(works: Works, routes: Table) -> None:
    directory = works.tenant.directory

    @routes.on("GET", "/users")
    async def list_users(_: Request) -> list[Any]:
        return [_USER.dump_python(user, mode="json") for user in directory.users.values()]

    @routes.on("POST", "/users")
    async def create(request: Request) -> Any:
        asked = await body(request, NewUser)
        upn = asked.upn.lower()
        if directory.user(upn):
            raise Bad(f"upn: {upn} exists already; choose another.", 409)
        user = User(new_id(), upn, asked.name, asked.password, licences=asked.licences)
        directory.users[user.id] = user
        return _USER.dump_python(user, mode="json")

    @routes.on("PATCH", "/users/{upn}")
    async def change(request: Request) -> Any:
        user = directory.user(request.path_params["upn"])
        if user is None:
            raise Bad(f"No user {request.path_params['upn']}: GET /lab/api/users lists them.", 404)
        for name, value in (await body(request, UserChange)).model_dump(exclude_none=True).items():
            setattr(user, name, set(value) if name == "directory_roles" else value)
        return _USER.dump_python(user, mode="json")


def view(works: Works, application: Application) -> dict[str, Any]:
    """An application with its service principal and what that was granted."""
    directory = works.tenant.directory
    principal = directory.principal_by_app_id(application.app_id)
    names = {id_: name for name, id_ in RESOURCES.items()}
    granted: dict[str, list[str]] = {}
    delegated: dict[str, str] = {}
    for resource in directory.service_principals.values() if principal else ():
        name = names.get(resource.app_id, resource.app_id)
        if principal and (roles := directory.granted_roles(principal, resource)):
            granted[name] = roles
        for grant in directory.delegated_grants:
            if principal and (grant.client_id, grant.resource_id) == (principal.id, resource.id):
                delegated[name] = f"{delegated.get(name, '')} {grant.scopes}".strip()
    return {
        **_APPLICATION.dump_python(application, mode="json"),
        "service_principal_id": principal.id if principal else None,
        "enabled": principal.enabled if principal else None,
        "roles": granted,
        "delegated": delegated,
    }


def _grant(
    works: Works, application: Application, principal: ServicePrincipal, resource_name: str, roles: list[str]
) -> None:
    directory, resource = works.tenant.directory, _resource(works, resource_name)
    held = directory.granted_roles(principal, resource)
    for role in roles:
        _ask(application, resource, role)
        if role not in held:
            directory.grant(principal, resource, role, works.tenant.clock.time())


def _ask(application: Application, resource: ServicePrincipal, role: str) -> None:
    """Lists the app role in the registration, which grants nothing yet."""
    permission = Permission(resource.app_id, _role_id(resource, role), "Role")
    if permission not in application.permissions:
        application.permissions.append(permission)


def _role_id(resource: ServicePrincipal, value: str) -> str:
    found = next((role.id for role in resource.app_roles if role.value == value), None)
    if found is None:
        known = ", ".join(sorted(role.value for role in resource.app_roles))
        raise Bad(f"roles: {resource.name} has no app role {value}; it has {known}.")
    return found


def _resource(works: Works, name: str) -> ServicePrincipal:
    found = works.tenant.directory.principal_by_app_id(RESOURCES.get(name, name))
    if found is None:
        raise Bad(f"resource: no {name}; write exchange, graph, or an application id of this tenant.")
    return found


def _application(works: Works, request: Request) -> Application:
    """By object id or application id."""
    key = request.path_params["id"]
    found = works.tenant.directory.applications.get(key) or works.tenant.directory.application_by_app_id(key)
    if found is None:
        raise Bad(f"No application {key}: GET /lab/api/applications lists them.", 404)
    return found


def _principal(works: Works, application: Application) -> ServicePrincipal:
    found = works.tenant.directory.principal_by_app_id(application.app_id)
    if found is None:
        raise Bad(f"{application.name} has no service principal in this tenant.", 409)
    return found


def _secret(application: Application, request: Request) -> Secret:
    found = next((s for s in application.secrets if s.key_id == request.path_params["key"]), None)
    if found is None:
        raise Bad(f"No secret {request.path_params['key']}: GET the application for the ids it has.", 404)
    return found


def _certificate(application: Application, request: Request) -> KeyCredential:
    found = next((c for c in application.certificates if c.key_id == request.path_params["key"]), None)
    if found is None:
        raise Bad(f"No certificate {request.path_params['key']}: GET the application for the ids it has.", 404)
    return found
