"""The directory half of Graph: from nothing to a consented application, and who may do which of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from m365lab.contoso import EXCHANGE_ADMINISTRATOR
from m365lab.directory import EXCHANGE_APP_ID, GRAPH_APP_ID
from m365lab.graph.directory.rights import APPLICATION_ADMINISTRATOR
from support.graph import GRAPH, Graph, code
from support.key_pairs import key_pair

NOBODY = "00000000-0000-0000-0000-00000000dead"


@pytest.fixture
def admin(graph: Graph) -> Callable[..., Any]:
    """Calls Graph as the signed-in Global Administrator: `admin("GET", "/applications")`."""
    user = graph.tenant.directory.user("admin@contoso.example")
    assert user is not None
    token = graph.tenant.tokens.user_token("client", GRAPH, "Directory.AccessAsUser.All", user.id, user.upn)
    return lambda method, path, **request: graph.call(method, path, token=token, **request)


def resource(admin: Callable[..., Any], app_id: str = EXCHANGE_APP_ID) -> dict[str, Any]:
    found = admin("GET", f"/servicePrincipals?$filter=appId eq '{app_id}'&$select=id,appId,appRoles").json()["value"]
    assert len(found) == 1
    return dict(found[0])


def made(admin: Callable[..., Any], **more: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """A new application and its service principal."""
    body = {"displayName": "Test", "signInAudience": "AzureADMyOrg", **more}
    application = admin("POST", "/applications", json=body)
    assert application.status_code == 201, application.text
    principal = admin("POST", "/servicePrincipals", json={"appId": application.json()["appId"]})
    assert principal.status_code == 201, principal.text
    return application.json(), principal.json()


def test_from_nothing_to_a_token_that_imap_takes(graph: Graph, admin: Callable[..., Any]) -> None:
    exchange = resource(admin)
    role = next(role["id"] for role in exchange["appRoles"] if role["value"] == "IMAP.AccessAsApp")
    assert role == "5e5addcd-3e8d-4e90-baf5-964efab2b20a"
    wanted = [{"resourceAppId": EXCHANGE_APP_ID, "resourceAccess": [{"id": role, "type": "Role"}]}]
    application, principal = made(admin, requiredResourceAccess=wanted)
    assert application["requiredResourceAccess"] == wanted
    secret = admin(
        "POST", f"/applications/{application['id']}/addPassword", json={"passwordCredential": {"displayName": "one"}}
    ).json()
    assert secret["secretText"].startswith(secret["hint"])
    assert "~" in secret["secretText"]
    shown = admin("GET", f"/applications(appId='{application['appId']}')").json()
    assert [p["secretText"] for p in shown["passwordCredentials"]] == [None]
    consent = {"principalId": principal["id"], "resourceId": exchange["id"], "appRoleId": role}
    granted = admin("POST", f"/servicePrincipals/{exchange['id']}/appRoleAssignedTo", json=consent)
    assert (granted.status_code, granted.json()["principalType"]) == (201, "ServicePrincipal")
    again = admin("POST", f"/servicePrincipals/{principal['id']}/appRoleAssignments", json=consent)
    assert code(again) == (400, "Request_BadRequest")
    assert again.json()["error"]["message"] == "Permission being assigned already exists on the object"
    directory = graph.tenant.directory
    held = directory.granted_roles(
        directory.service_principals[principal["id"]], directory.service_principals[exchange["id"]]
    )
    assert held == ["IMAP.AccessAsApp"]
    listed = admin("GET", f"/servicePrincipals/{principal['id']}/appRoleAssignments").json()["value"]
    assert [a["id"] for a in listed] == [granted.json()["id"]]
    gone = admin("DELETE", f"/servicePrincipals/{exchange['id']}/appRoleAssignedTo/{granted.json()['id']}")
    assert gone.status_code == 204
    assert admin("GET", f"/servicePrincipals/{principal['id']}/appRoleAssignments").json()["value"] == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"principalId": NOBODY}, "Not a valid reference update."),
        ({"resourceId": NOBODY}, "Not a valid reference update."),
        ({"appRoleId": NOBODY}, f"Permission being assigned was not found on application '{EXCHANGE_APP_ID}'."),
        ({"appRoleId": ""}, "A value is required for property 'appRoleId' of resource."),
    ],
)
def test_a_grant_with_a_wrong_id(admin: Callable[..., Any], change: dict[str, str], message: str) -> None:
    exchange = resource(admin)
    application, principal = made(admin)
    right = {"principalId": principal["id"], "resourceId": exchange["id"], "appRoleId": exchange["appRoles"][0]["id"]}
    answer = admin("POST", f"/servicePrincipals/{exchange['id']}/appRoleAssignedTo", json=right | change)
    assert code(answer) == (400, "Request_BadRequest")
    assert answer.json()["error"]["message"] == message
    # The application's own object id is no principal's.
    mixed_up = right | {"principalId": application["id"]}
    assert code(admin("POST", f"/servicePrincipals/{exchange['id']}/appRoleAssignedTo", json=mixed_up))[0] == 400


def test_service_principals_are_made_once_and_for_real_applications(admin: Callable[..., Any]) -> None:
    application, principal = made(admin)
    again = admin("POST", "/servicePrincipals", json={"appId": application["appId"]})
    assert code(again) == (409, "Request_MultipleObjectsWithSameKeyValue")
    assert code(admin("POST", "/servicePrincipals", json={"appId": NOBODY})) == (400, "Request_BadRequest")
    assert admin("PATCH", f"/servicePrincipals/{principal['id']}", json={"accountEnabled": False}).status_code == 204
    assert admin("GET", f"/servicePrincipals(appId='{application['appId']}')").json()["accountEnabled"] is False
    assert admin("DELETE", f"/applications/{application['id']}").status_code == 204
    assert code(admin("GET", f"/servicePrincipals/{principal['id']}")) == (404, "Request_ResourceNotFound")


def test_secrets_come_and_go(graph: Graph, admin: Callable[..., Any]) -> None:
    application, _ = made(admin)
    at = f"/applications/{application['id']}"
    first = admin(
        "POST", f"{at}/addPassword", json={"passwordCredential": {"endDateTime": "2027-06-01T00:00:00Z"}}
    ).json()
    second = admin("POST", f"{at}/addPassword", json={}).json()
    assert first["endDateTime"] == "2027-06-01T00:00:00Z"
    assert admin("POST", f"{at}/removePassword", json={"keyId": first["keyId"]}).status_code == 204
    assert [s.key_id for s in graph.tenant.directory.applications[application["id"]].secrets] == [second["keyId"]]
    assert code(admin("POST", f"{at}/removePassword", json={"keyId": first["keyId"]})) == (400, "Request_BadRequest")
    past = {"passwordCredential": {"endDateTime": "2000-01-01T00:00:00Z"}}
    assert code(admin("POST", f"{at}/addPassword", json=past)) == (400, "Request_BadRequest")
    assert code(admin("POST", "/applications", json={"displayName": "x", "passwordCredentials": []}))[0] == 400


def test_certificates_come_by_patch_then_by_add_key(graph: Graph, admin: Callable[..., Any]) -> None:
    application, _ = made(admin)
    at = f"/applications/{application['id']}"
    der = "".join(key_pair().certificate.split("-----")[2].split())
    entry = {"type": "AsymmetricX509Cert", "usage": "Verify", "key": der, "displayName": "one"}
    early = admin("POST", f"{at}/addKey", json={"keyCredential": entry, "proof": "x.y.z"})
    assert code(early) == (400, "Request_BadRequest")
    assert admin("PATCH", at, json={"keyCredentials": [entry]}).status_code == 204
    (held,) = admin("GET", f"{at}?$select=keyCredentials").json()["keyCredentials"]
    assert held["key"] == der
    assert admin("GET", at).json()["keyCredentials"][0]["key"] is None
    # The list is replaced as a whole: an entry without its key stays what it was.
    assert admin("PATCH", at, json={"keyCredentials": [{"keyId": held["keyId"]}, entry]}).status_code == 204
    assert len(graph.tenant.directory.applications[application["id"]].certificates) == 2
    assert admin("PATCH", at, json={"keyCredentials": []}).status_code == 204
    assert graph.tenant.directory.applications[application["id"]].certificates == []
    bad = admin("PATCH", at, json={"keyCredentials": [entry | {"key": "bm90IGEgY2VydA=="}]})
    assert code(bad) == (400, "Request_BadRequest")


def test_federated_credentials(admin: Callable[..., Any]) -> None:
    application, _ = made(admin)
    at = f"/applications/{application['id']}/federatedIdentityCredentials"
    body = {
        "name": "ci",
        "issuer": "https://idp.example",
        "subject": "job",
        "audiences": ["api://AzureADTokenExchange"],
    }
    first = admin("POST", at, json=body)
    assert (first.status_code, first.json()["subject"]) == (201, "job")
    assert code(admin("POST", at, json=body)) == (409, "Request_MultipleObjectsWithSameKeyValue")
    assert code(admin("POST", at, json=body | {"name": "other"})) == (409, "Request_MultipleObjectsWithSameKeyValue")
    for number in range(19):
        assert admin("POST", at, json=body | {"name": f"n{number}", "subject": f"s{number}"}).status_code == 201
    assert code(admin("POST", at, json=body | {"name": "too", "subject": "many"})) == (400, "Request_BadRequest")
    assert admin("DELETE", f"{at}/{first.json()['id']}").status_code == 204
    assert len(admin("GET", at).json()["value"]) == 19


@pytest.mark.parametrize(
    ("roles", "method", "path", "body", "allowed"),
    [
        (("Application.Read.All",), "GET", "/applications", None, True),
        (("Application.Read.All",), "POST", "/applications", {"displayName": "x"}, False),
        (("Application.ReadWrite.OwnedBy",), "POST", "/applications", {"displayName": "x"}, True),
        (("Application.ReadWrite.All",), "POST", "/applications", {"displayName": "x"}, True),
        (("Mail.Send",), "GET", "/applications", None, False),
        (("Directory.Read.All",), "GET", "/users", None, True),
        (("User.Read.All",), "GET", "/users/megan@contoso.example", None, True),
        (("User.Read.All",), "PATCH", "/users/megan@contoso.example", {"accountEnabled": False}, False),
        (("Organization.Read.All",), "GET", "/subscribedSkus", None, True),
        (("Application.ReadWrite.All",), "GET", "/policies/identitySecurityDefaultsEnforcementPolicy", None, False),
        (("RoleManagement.ReadWrite.Directory",), "GET", "/roleManagement/directory/roleAssignments", None, True),
    ],
)
def test_applications_need_the_permission(
    graph: Graph, roles: tuple[str, ...], method: str, path: str, body: Any, allowed: bool
) -> None:
    answer = graph.call(method, path, token=graph.token(*roles), json=body)
    assert answer.is_success is allowed, answer.text
    if not allowed:
        assert code(answer) == (403, "Authorization_RequestDenied")
        assert answer.json()["error"]["message"] == "Insufficient privileges to complete the operation."


def test_owned_by_reaches_ones_own_applications_only(graph: Graph, admin: Callable[..., Any]) -> None:
    other, _ = made(admin)
    token = graph.token("Application.ReadWrite.OwnedBy")
    mine = graph.post("/applications", json={"displayName": "mine"}, token=token).json()
    assert graph.patch(f"/applications/{mine['id']}", json={"displayName": "new"}, token=token).status_code == 204
    assert code(graph.patch(f"/applications/{other['id']}", json={"displayName": "no"}, token=token))[0] == 403


def test_people_need_the_permission_and_the_role(graph: Graph, admin: Callable[..., Any]) -> None:
    megan = graph.tenant.directory.user("megan@contoso.example")
    assert megan is not None
    tokens = graph.tenant.tokens

    def token(scopes: str) -> str:
        return tokens.user_token("client", GRAPH, scopes, megan.id, megan.upn)

    body = {"displayName": "x"}
    assert code(graph.post("/applications", json=body, token=token("Application.ReadWrite.All")))[0] == 403
    megan.directory_roles.add(APPLICATION_ADMINISTRATOR)
    assert graph.post("/applications", json=body, token=token("Application.ReadWrite.All")).status_code == 201
    assert code(graph.post("/applications", json=body, token=token("User.Read")))[0] == 403
    # An application administrator may consent for Exchange, and not for Graph.
    _, principal = made(admin)
    for app_id, status in ((EXCHANGE_APP_ID, 201), (GRAPH_APP_ID, 403)):
        found = resource(admin, app_id)
        grant = {"principalId": principal["id"], "resourceId": found["id"], "appRoleId": found["appRoles"][0]["id"]}
        at = f"/servicePrincipals/{found['id']}/appRoleAssignedTo"
        assert graph.post(at, json=grant, token=token("AppRoleAssignment.ReadWrite.All")).status_code == status


def test_directory_roles(graph: Graph, admin: Callable[..., Any]) -> None:
    _, principal = made(admin)
    body = {"principalId": principal["id"], "roleDefinitionId": EXCHANGE_ADMINISTRATOR, "directoryScopeId": "/"}
    at = "/roleManagement/directory/roleAssignments"
    assigned = admin("POST", at, json=body)
    assert assigned.status_code == 201
    assert code(admin("POST", at, json=body)) == (400, "Request_BadRequest")
    assert graph.tenant.directory.service_principals[principal["id"]].directory_roles == {EXCHANGE_ADMINISTRATOR}
    found = admin("GET", f"{at}?$filter=principalId eq '{principal['id']}'").json()["value"]
    assert [row["roleDefinitionId"] for row in found] == [EXCHANGE_ADMINISTRATOR]
    assert admin("DELETE", f"{at}/{assigned.json()['id']}").status_code == 204
    member = {"@odata.id": f"https://graph.microsoft.com/v1.0/directoryObjects/{principal['id']}"}
    older = f"/directoryRoles(roleTemplateId='{EXCHANGE_ADMINISTRATOR}')/members"
    assert admin("POST", f"{older}/$ref", json=member).status_code == 204
    assert [row["id"] for row in admin("GET", older).json()["value"]] == [principal["id"]]
    mine = admin("GET", "/me/memberOf").json()["value"]
    assert [row["displayName"] for row in mine] == ["Global Administrator"]


def test_delegated_grants(graph: Graph, admin: Callable[..., Any]) -> None:
    exchange = resource(admin)
    _, principal = made(admin)
    body = {
        "clientId": principal["id"],
        "consentType": "AllPrincipals",
        "resourceId": exchange["id"],
        "scope": "SMTP.Send",
    }
    first = admin("POST", "/oauth2PermissionGrants", json=body)
    assert first.status_code == 201
    assert code(admin("POST", "/oauth2PermissionGrants", json=body))[0] == 409
    listed = admin("GET", f"/oauth2PermissionGrants?$filter=clientId eq '{principal['id']}'").json()["value"]
    assert [(row["scope"], row["principalId"]) for row in listed] == [("SMTP.Send", None)]
    assert admin("DELETE", f"/oauth2PermissionGrants/{first.json()['id']}").status_code == 204
    assert graph.tenant.directory.delegated_grants == []


def test_a_licence_decides_over_the_mailbox(graph: Graph, admin: Callable[..., Any]) -> None:
    skus = {row["skuPartNumber"]: row for row in admin("GET", "/subscribedSkus").json()["value"]}
    basic = skus["O365_BUSINESS_ESSENTIALS"]["skuId"]
    at = "/users/megan@contoso.example"
    assert skus["O365_BUSINESS_ESSENTIALS"]["consumedUnits"] == 4
    taken = admin("POST", f"{at}/assignLicense", json={"addLicenses": [], "removeLicenses": [basic]})
    assert taken.json()["assignedLicenses"] == []
    assert code(graph.get(f"{at}/messages")) == (404, "MailboxNotEnabledForRESTAPI")
    given = {"addLicenses": [{"skuId": basic}], "removeLicenses": []}
    assert admin("POST", f"{at}/assignLicense", json=given).status_code == 200
    assert graph.get(f"{at}/messages").status_code == 200
    assert code(admin("POST", f"{at}/assignLicense", json={"addLicenses": [{"skuId": NOBODY}]}))[0] == 400


def test_a_new_user_gets_a_mailbox_with_the_licence(graph: Graph, admin: Callable[..., Any]) -> None:
    body = {
        "accountEnabled": True,
        "displayName": "Nina New",
        "mailNickname": "nina",
        "userPrincipalName": "nina@contoso.example",
        "passwordProfile": {"password": "a long one"},
    }
    assert admin("POST", "/users", json=body).json()["mail"] is None
    assert code(graph.get("/users/nina@contoso.example/messages")) == (404, "MailboxNotEnabledForRESTAPI")
    basic = next(
        r["skuId"] for r in admin("GET", "/subscribedSkus").json()["value"] if "ESSENTIALS" in r["skuPartNumber"]
    )
    licence = {"addLicenses": [{"skuId": basic}], "removeLicenses": []}
    assert code(admin("POST", "/users/nina@contoso.example/assignLicense", json=licence)) == (400, "Request_BadRequest")
    assert admin("PATCH", "/users/nina@contoso.example", json={"usageLocation": "DE"}).status_code == 204
    assert (
        admin("POST", "/users/nina@contoso.example/assignLicense", json=licence).json()["mail"]
        == "nina@contoso.example"
    )
    assert graph.get("/users/nina@contoso.example/messages").status_code == 200


def test_lists_come_in_pages_and_filters_are_checked(admin: Callable[..., Any]) -> None:
    first = admin("GET", "/users?$top=4&$select=userPrincipalName").json()
    assert len(first["value"]) == 4
    assert set(first["value"][0]) == {"userPrincipalName"}
    second = admin("GET", first["@odata.nextLink"]).json()
    assert len(second["value"]) == 2
    assert "$skiptoken" in first["@odata.nextLink"]
    assert admin("GET", "/applications?$select=id,web").json()["value"][0].keys() == {"id"}
    assert code(admin("GET", "/applications?$select=nonsense")) == (400, "Request_UnsupportedQuery")
    assert admin("GET", "/organization?$select=id,privacyProfile").status_code == 200
    answer = admin("GET", "/applications?$filter=requiredResourceAccess eq 'x'")
    assert code(answer) == (400, "Request_UnsupportedQuery")
    assert answer.headers["x-ms-resource-unit"] == "1"


def test_what_an_object_id_is_the_id_of(admin: Callable[..., Any]) -> None:
    application, principal = made(admin)
    kinds = [admin("GET", f"/directoryObjects/{x['id']}").json()["@odata.type"] for x in (application, principal)]
    assert kinds == ["#microsoft.graph.application", "#microsoft.graph.servicePrincipal"]
    assert code(admin("GET", f"/directoryObjects/{NOBODY}")) == (404, "Request_ResourceNotFound")


def test_security_defaults(graph: Graph, admin: Callable[..., Any]) -> None:
    at = "/policies/identitySecurityDefaultsEnforcementPolicy"
    assert admin("GET", at).json()["isEnabled"] is False
    assert admin("PATCH", at, json={"isEnabled": True}).status_code == 204
    assert graph.tenant.directory.security_defaults is True
    assert admin("GET", "/organization").json()["value"][0]["id"] == graph.tenant.directory.tenant_id
