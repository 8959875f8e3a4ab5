"""The plan's directory part: application, service principal, admin consent. Pure. Calls: facts 3."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Any

from postroom.microsoft.ids import application_id
from postroom.tenant.calls import APPLICATION_ID, CLIENT_ID, PRINCIPAL_ID, GraphCall
from postroom.tenant.needs import EXCHANGE, GRAPH, AppRole, consented_roles, scoped_roles
from postroom.tenant.observed import ApplicationSeen, Asked, DelegatedSeen, Granted, Observed, PrincipalSeen, Resource
from postroom.tenant.rights import Right
from postroom.tenant.steps import Finding, Step, Weight
from postroom.tenant.wanted import Wanted

TAG = "postroom"
MARK_TAG = "postroom:{mark}"
"""Tags of an application that Postroom made, and of the one that this set-up made."""
_GRANT_RIGHT = {EXCHANGE: Right.GRANT_EXCHANGE_ROLES, GRAPH: Right.GRANT_GRAPH_ROLES}
_HARMLESS_SCOPES = frozenset({"User.Read", "openid", "profile", "email", "offline_access"})
"""What the portal adds to each new registration, or sign-in asks for: of no use here, and of no harm."""
_USER_READ_ID = "e1fe6dd8-ba31-4d61-89e7-88639da4683d"
_TITLES = {EXCHANGE: "Office 365 Exchange Online", GRAPH: "Microsoft Graph"}


def plan(wanted: Wanted, observed: Observed) -> Iterator[Step | Finding]:
    """Steps and findings about the directory."""
    yield from _resources(wanted, observed)
    yield from _application(wanted, observed)
    yield from _principal(wanted, observed)
    for role in consented_roles(wanted):
        yield from _consent(role, observed)
    if observed.principal:
        yield from _too_many(wanted, observed, observed.principal)
        yield from _delegated(observed, observed.principal)


def _resources(wanted: Wanted, observed: Observed) -> Iterator[Finding]:
    for name in sorted({role.resource for role in consented_roles(wanted)} - set(observed.resources)):
        yield Finding(
            "resource-missing",
            name,
            f"the tenant has no service principal of {_TITLES[name]}",
            "Buy a subscription that has Exchange Online, or choose the tenant that has one.",
            Weight.BLOCKS,
        )


def _application(wanted: Wanted, observed: Observed) -> Iterator[Step | Finding]:
    if observed.application is not None:
        yield from _permissions(wanted, observed, observed.application)
    elif wanted.client_id:
        yield Finding(
            "application-missing",
            wanted.client_id,
            f"the tenant has no application {wanted.client_id}",
            "Correct client_id, or leave it out to have an application made.",
            Weight.BLOCKS,
        )
    elif observed.same_name > 1:
        yield Finding(
            "application-ambiguous",
            wanted.application,
            f"{observed.same_name} applications are called {wanted.application!r}",
            "Say which one by client_id, or choose another name for a new one.",
            Weight.BLOCKS,
        )
    else:
        yield Step(
            key="application",
            title=f"Register the application {wanted.application}",
            why="It is what signs in, instead of a person; it asks for the permissions that the wanted use needs.",
            calls=(
                GraphCall(
                    "POST",
                    "/applications",
                    {
                        "displayName": wanted.application,
                        "signInAudience": "AzureADMyOrg",
                        "tags": [TAG, MARK_TAG],
                        "requiredResourceAccess": _access(_wanted_asks(wanted, observed)),
                    },
                ),
            ),
            needs=(Right.WRITE_APPLICATIONS,),
        )


def _permissions(wanted: Wanted, observed: Observed, application: ApplicationSeen) -> Iterator[Step | Finding]:
    """What the registration asks for: set right where something lacks, or where Postroom may take away."""
    asks, asked = _wanted_asks(wanted, observed), set(application.asked)
    findings = [*_missing_asks(asks - asked, observed), *_extra_asks(asked - asks, observed)]
    mends = [one for one in findings if observed.made_here or one.id == "permission-missing"]
    yield from (one for one in findings if one not in mends)
    if not mends:
        return
    whole = asks if observed.made_here else asks | asked
    yield Step(
        key="application:permissions",
        title="Correct the permissions that the application asks for",
        why="The registration must ask for the application permissions that are used, and for no others.",
        calls=(GraphCall("PATCH", f"/applications/{APPLICATION_ID}", {"requiredResourceAccess": _access(whole)}),),
        needs=(Right.WRITE_APPLICATIONS,),
        findings=tuple(mends),
    )


def _missing_asks(missing: set[Asked], observed: Observed) -> Iterator[Finding]:
    for one in sorted(missing, key=_by_id):
        value = _role_name(one, observed)
        yield Finding(
            "permission-missing",
            value,
            f"the registration does not ask for the application permission {value}",
            f"App registration > API permissions > Add > {_title(one)} > Application permissions > {value}.",
        )


def _extra_asks(extra: set[Asked], observed: Observed) -> Iterator[Finding]:
    ours = {application_id(EXCHANGE), application_id(GRAPH)}
    for one in sorted((one for one in extra if one.resource_app_id in ours), key=_by_id):
        if one.type == "Role":
            value = _role_name(one, observed)
            fault = f"the registration asks for {value}, which nothing wanted needs"
            yield Finding("permission-too-many", value, fault, f"App registration > API permissions: remove {value}.")
        elif one.id != _USER_READ_ID:
            yield Finding(
                "delegated-permission",
                one.id,
                f"the registration asks for a delegated permission of {_title(one)}; without a person it has no effect",
                "App registration > API permissions: remove it, and add the one under Application permissions.",
            )


def _principal(wanted: Wanted, observed: Observed) -> Iterator[Step]:
    if observed.principal is None:
        yield Step(
            key="principal",
            title=f"Make the service principal (Enterprise application) of {wanted.application}",
            why="It is the application's identity in this tenant; its object id is the one that Exchange wants.",
            calls=(GraphCall("POST", "/servicePrincipals", {"appId": CLIENT_ID}),),
            needs=(Right.WRITE_APPLICATIONS,),
            depends_on=("application",),
            findings=(
                Finding(
                    "principal-missing",
                    wanted.application,
                    "the application has no service principal in this tenant",
                    "Open the App registration's Overview and press 'Create service principal'.",
                ),
            ),
        )
    elif not observed.principal.enabled:
        yield Step(
            key="principal:enable",
            title="Enable the service principal",
            why="Entra gives no token to an application that is disabled (AADSTS7000112).",
            calls=(GraphCall("PATCH", f"/servicePrincipals/{PRINCIPAL_ID}", {"accountEnabled": True}),),
            needs=(Right.WRITE_APPLICATIONS,),
            findings=(
                Finding(
                    "principal-disabled",
                    observed.principal.id,
                    "the service principal is disabled, so the application gets no token",
                    "Enterprise application > Properties > Enabled for users to sign-in: Yes.",
                ),
            ),
        )


def _consent(role: AppRole, observed: Observed) -> Iterator[Step | Finding]:
    resource = observed.resources.get(role.resource)
    if resource is None:
        return
    role_id = resource.roles.get(role.value)
    if role_id is None:
        fault = f"{_TITLES[role.resource]} offers no app role {role.value} in this cloud"
        yield Finding("role-unknown", role.value, fault, "Choose another way to send or read.", Weight.BLOCKS)
        return
    granted = observed.principal.granted if observed.principal else ()
    if any(one.resource_id == resource.id and one.role_id == role_id for one in granted):
        return
    body = {"principalId": PRINCIPAL_ID, "resourceId": resource.id, "appRoleId": role_id}
    yield Step(
        key=f"consent:{role.resource}:{role.value}",
        title=f"Grant admin consent for {role.value}",
        why=f"Without it, tokens carry no role {role.value}, and {_TITLES[role.resource]} refuses them.",
        calls=(GraphCall("POST", f"/servicePrincipals/{resource.id}/appRoleAssignedTo", body),),
        needs=(_GRANT_RIGHT[role.resource],),
        depends_on=("principal",),
        findings=(
            Finding(
                "consent-missing",
                role.value,
                f"the application permission {role.value} has no admin consent",
                "App registration > API permissions > Grant admin consent.",
            ),
        ),
    )


def _too_many(wanted: Wanted, observed: Observed, principal: PrincipalSeen) -> Iterator[Step | Finding]:
    """App roles granted beyond the wanted ones; of other resources nothing is said."""
    needed = {(role.resource, role.value) for role in consented_roles(wanted)}
    for name, resource in sorted(observed.resources.items()):
        for granted in principal.granted:
            value = resource.role_value(granted.role_id)
            if granted.resource_id == resource.id and (name, value) not in needed:
                finding = _too_much(wanted, name, value)
                yield _revocation(resource, granted, value, finding) if observed.made_here else finding


def _too_much(wanted: Wanted, resource: str, value: str) -> Finding:
    fix = f"Enterprise application > Permissions: revoke {value} ({_TITLES[resource]})."
    if resource == GRAPH and value.startswith("Mail.") and scoped_roles(wanted):
        fault = f"{value} is granted for every mailbox of the organisation, which defeats the scope (grants add up)"
        return Finding("unscoped-graph-role", value, fault, fix)
    if value in scoped_roles(wanted):
        fault = f"{value} is granted in Entra beside its scope; its claim makes Exchange ask for FullAccess again"
        return Finding("unscoped-smtp-role", value, fault, fix)
    return Finding("permission-too-many", value, f"{value} is granted, and nothing wanted needs it", fix)


def _revocation(resource: Resource, granted: Granted, value: str, finding: Finding) -> Step:
    return Step(
        key=f"consent-revoke:{granted.id}",
        title=f"Revoke {value}",
        why=f"{finding.fault[0].upper()}{finding.fault[1:]}.",
        calls=(GraphCall("DELETE", f"/servicePrincipals/{resource.id}/appRoleAssignedTo/{granted.id}"),),
        needs=(_GRANT_RIGHT[GRAPH],),
        # What takes its place comes first, so that nothing stops working in between.
        depends_on=("consent:", "scoped-role:"),
        findings=(finding,),
    )


def _delegated(observed: Observed, principal: PrincipalSeen) -> Iterator[Step | Finding]:
    for grant in principal.delegated:
        if set(grant.scopes) <= _HARMLESS_SCOPES:
            continue
        finding = Finding(
            "delegated-permission",
            " ".join(grant.scopes),
            f"delegated permissions are granted ({' '.join(grant.scopes)}); without a person they have no effect",
            "Enterprise application > Permissions: revoke them, and consent to the application permissions.",
        )
        yield _delegated_revocation(grant, finding) if observed.made_here else finding


def _delegated_revocation(grant: DelegatedSeen, finding: Finding) -> Step:
    return Step(
        key=f"delegated-revoke:{grant.id}",
        title="Revoke delegated permissions",
        why="They do nothing for a program that signs in by itself, and look as if they did.",
        calls=(GraphCall("DELETE", f"/oauth2PermissionGrants/{grant.id}"),),
        needs=(Right.REVOKE_DELEGATED,),
        depends_on=("consent:",),
        findings=(finding,),
    )


def _wanted_asks(wanted: Wanted, observed: Observed) -> set[Asked]:
    found = set()
    for role in consented_roles(wanted):
        resource = observed.resources.get(role.resource)
        if resource and role.value in resource.roles:
            found.add(Asked(role.resource_app_id, resource.roles[role.value], "Role"))
    return found


def _access(asks: Iterable[Asked]) -> list[dict[str, Any]]:
    """`requiredResourceAccess`, in one order whatever the set's."""
    by_resource: dict[str, list[dict[str, str]]] = defaultdict(list)
    for one in sorted(asks, key=_by_id):
        by_resource[one.resource_app_id].append({"id": one.id, "type": one.type})
    return [{"resourceAppId": app_id, "resourceAccess": asked} for app_id, asked in sorted(by_resource.items())]


def _by_id(one: Asked) -> tuple[str, str, str]:
    return one.resource_app_id, one.type, one.id


def _role_name(one: Asked, observed: Observed) -> str:
    for resource in observed.resources.values():
        if resource.app_id == one.resource_app_id:
            return resource.role_value(one.id)
    return one.id


def _title(one: Asked) -> str:
    return _TITLES[EXCHANGE if one.resource_app_id == application_id(EXCHANGE) else GRAPH]
