"""Every property that the lab answers has the name that Graph's types give it (msgraph-metadata, v1.0, 2026-08-20)."""

from __future__ import annotations

from m365lab.graph.writing import KNOWN
from support.graph import Graph, to

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
