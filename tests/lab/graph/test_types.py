"""Every property that the lab answers has the name that Graph's types give it (msgraph-metadata, v1.0, 2026-08-20)."""

from __future__ import annotations

from m365lab.directory import EXCHANGE_APP_ID
from m365lab.graph.writing import KNOWN
from support.graph import Graph, to
from support.key_pairs import key_pair

OUTLOOK_ITEM = {"id", "categories", "changeKey", "createdDateTime", "lastModifiedDateTime"}
MESSAGE = OUTLOOK_ITEM | {
    "bccRecipients", "body", "bodyPreview", "ccRecipients", "conversationId", "conversationIndex", "flag", "from",
    "hasAttachments", "importance", "inferenceClassification", "internetMessageHeaders", "internetMessageId",
    "isDeliveryReceiptRequested", "isDraft", "isRead", "isReadReceiptRequested", "parentFolderId", "receivedDateTime",
    "replyTo", "sender", "sentDateTime", "subject", "toRecipients", "uniqueBody", "webLink", "attachments",
    "extensions", "multiValueExtendedProperties", "singleValueExtendedProperties",
}  # fmt: skip
FOLDER = {
    "id", "childFolderCount", "displayName", "isHidden", "parentFolderId", "totalItemCount", "unreadItemCount",
}  # fmt: skip
ATTACHMENT = {
    "id", "contentType", "isInline", "lastModifiedDateTime", "name", "size", "contentBytes", "contentId",
    "contentLocation",
}  # fmt: skip


DIRECTORY_OBJECT = {"id", "deletedDateTime"}
APPLICATION = DIRECTORY_OBJECT | {
    "appId", "appRoles", "applicationTemplateId", "createdByAppId", "createdDateTime", "description", "displayName",
    "identifierUris", "isFallbackPublicClient", "keyCredentials", "notes", "passwordCredentials", "publisherDomain",
    "requiredResourceAccess", "signInAudience", "tags", "tokenEncryptionKeyId",
}  # fmt: skip
SERVICE_PRINCIPAL = DIRECTORY_OBJECT | {
    "accountEnabled", "alternativeNames", "appDisplayName", "appId", "appOwnerOrganizationId",
    "appRoleAssignmentRequired", "appRoles", "displayName", "oauth2PermissionScopes", "servicePrincipalNames",
    "servicePrincipalType", "signInAudience", "tags",
}  # fmt: skip
APP_ROLE = {"allowedMemberTypes", "description", "displayName", "id", "isEnabled", "origin", "value"}
APP_ROLE_ASSIGNMENT = DIRECTORY_OBJECT | {
    "appRoleId", "createdDateTime", "principalDisplayName", "principalId", "principalType", "resourceDisplayName",
    "resourceId",
}  # fmt: skip
PASSWORD = {"customKeyIdentifier", "displayName", "endDateTime", "hint", "keyId", "secretText", "startDateTime"}
KEY = {"customKeyIdentifier", "displayName", "endDateTime", "key", "keyId", "startDateTime", "type", "usage"}
FEDERATED = {"id", "audiences", "description", "issuer", "name", "subject"}


def names(shown: dict[str, object]) -> set[str]:
    return {name for name in shown if "@odata" not in name}


def test_messages_and_attachments(graph: Graph) -> None:
    file = {"@odata.type": "#microsoft.graph.fileAttachment", "name": "a.txt", "contentBytes": "aGk="}
    made = graph.post(
        f"{graph.user}/messages",
        json={
            "toRecipients": to("a@b.example"),
            "body": {"contentType": "html", "content": "x"},
            "attachments": [file],
        },
    ).json()
    assert names(made) <= MESSAGE
    assert {"id", "subject", "toRecipients", "receivedDateTime", "isDraft", "internetMessageId"} <= names(made)
    assert set(made["body"]) == {"contentType", "content"}
    assert set(made["toRecipients"][0]) == {"emailAddress"}
    assert set(made["toRecipients"][0]["emailAddress"]) == {"name", "address"}
    assert made["@odata.etag"] == f'W/"{made["changeKey"]}"'
    (shown,) = graph.get(f"{graph.user}/messages/{made['id']}/attachments").json()["value"]
    assert names(shown) == ATTACHMENT


def test_folders(graph: Graph) -> None:
    assert names(graph.get(f"{graph.user}/mailFolders/inbox").json()) == FOLDER


def test_what_a_client_may_write_is_of_the_type() -> None:
    assert KNOWN <= MESSAGE


def test_the_directory(graph: Graph) -> None:
    token = graph.token("Application.ReadWrite.All", "AppRoleAssignment.ReadWrite.All")
    made = graph.post("/applications", json={"displayName": "x"}, token=token).json()
    at = f"/applications/{made['id']}"
    assert names(made) == APPLICATION
    certificate = "".join(key_pair().certificate.split("-----")[2].split())
    key = {"type": "AsymmetricX509Cert", "usage": "Verify", "key": certificate}
    assert graph.patch(at, json={"keyCredentials": [key]}, token=token).status_code == 204
    assert names(graph.post(f"{at}/addPassword", json={}, token=token).json()) == PASSWORD
    shown = graph.get(at, token=token).json()
    assert set(shown["passwordCredentials"][0]) == PASSWORD
    assert set(shown["keyCredentials"][0]) == KEY
    trust = {"name": "n", "issuer": "https://i.example", "subject": "s", "audiences": ["api://AzureADTokenExchange"]}
    federated = graph.post(f"{at}/federatedIdentityCredentials", json=trust, token=token)
    assert names(federated.json()) == FEDERATED
    principal = graph.post("/servicePrincipals", json={"appId": made["appId"]}, token=token).json()
    assert names(principal) == SERVICE_PRINCIPAL
    exchange = graph.get(f"/servicePrincipals(appId='{EXCHANGE_APP_ID}')", token=token).json()
    assert set(exchange["appRoles"][0]) == APP_ROLE
    ids = {"principalId": principal["id"], "resourceId": exchange["id"], "appRoleId": exchange["appRoles"][0]["id"]}
    granted = graph.post(f"/servicePrincipals/{exchange['id']}/appRoleAssignedTo", json=ids, token=token).json()
    assert names(granted) == APP_ROLE_ASSIGNMENT
