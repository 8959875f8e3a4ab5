"""Messages, folders and attachments as Graph's JSON. Property names as in Graph's CSDL."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from m365lab.exchange import Mailbox
from m365lab.graph import reading
from m365lab.graph.odata import BadQuery, Kind, Schema
from m365lab.mailstore import WELL_KNOWN, Folder, Message

ROOT_FOLDER = "AAMkROOT"
"""Id of the folder above all others, `msgfolderroot`."""
PREVIEW = 255

FILTERABLE: Schema = {
    "isRead": Kind.FLAG,
    "isDraft": Kind.FLAG,
    "hasAttachments": Kind.FLAG,
    "receivedDateTime": Kind.MOMENT,
    "sentDateTime": Kind.MOMENT,
    "createdDateTime": Kind.MOMENT,
    "lastModifiedDateTime": Kind.MOMENT,
    "subject": Kind.TEXT,
    "importance": Kind.TEXT,
    "internetMessageId": Kind.TEXT,
    "conversationId": Kind.TEXT,
    "parentFolderId": Kind.TEXT,
    "flag/flagStatus": Kind.TEXT,
    "from/emailAddress/address": Kind.TEXT,
    "from/emailAddress/name": Kind.TEXT,
    "sender/emailAddress/address": Kind.TEXT,
    "sender/emailAddress/name": Kind.TEXT,
}
SELECTABLE = {
    "id", "createdDateTime", "lastModifiedDateTime", "changeKey", "categories", "receivedDateTime", "sentDateTime",
    "hasAttachments", "internetMessageId", "subject", "bodyPreview", "importance", "parentFolderId", "conversationId",
    "isDeliveryReceiptRequested", "isReadReceiptRequested", "isRead", "isDraft", "webLink", "inferenceClassification",
    "body", "sender", "from", "toRecipients", "ccRecipients", "bccRecipients", "replyTo", "flag",
    "internetMessageHeaders",
}  # fmt: skip
FOLDER_PROPERTIES = {
    "id", "displayName", "parentFolderId", "childFolderCount", "unreadItemCount", "totalItemCount", "isHidden",
}  # fmt: skip
_ONLY_WHEN_SELECTED = {"internetMessageHeaders"}


@dataclass(frozen=True)
class Style:
    """How the client wants its messages."""

    immutable: bool = False
    text_body: bool = False
    select: tuple[str, ...] = ()
    """Empty: all but what is shown only when asked for."""


def moment(at: float | datetime) -> str:
    when = at if isinstance(at, datetime) else datetime.fromtimestamp(at, UTC)
    return when.strftime("%Y-%m-%dT%H:%M:%SZ")


def message_id(message: Message, *, immutable: bool) -> str:
    return message.immutable_id if immutable else message.id


def message_json(message: Message, folder: Folder, style: Style) -> dict[str, Any]:
    """A message, as far as `style` selects."""
    whole = _message(message, folder, style)
    wanted = style.select or tuple(name for name in whole if name not in _ONLY_WHEN_SELECTED)
    names = dict.fromkeys(("@odata.etag", *wanted, "id"))
    return {name: whole[name] for name in names if name in whole}


def _message(message: Message, folder: Folder, style: Style) -> dict[str, Any]:
    mail = reading.read(message.raw)
    shown_id = message_id(message, immutable=style.immutable)
    change_key = base64.b64encode(message.change.to_bytes(12, "big")).decode()
    text = mail.text if mail.text is not None else reading.plain(mail.html or "")
    return {
        "@odata.etag": f'W/"{change_key}"',
        "id": shown_id,
        "createdDateTime": moment(message.received_at),
        "lastModifiedDateTime": moment(message.received_at),
        "changeKey": change_key,
        "categories": list(message.categories),
        "receivedDateTime": moment(message.received_at),
        "sentDateTime": moment(mail.sent_at or message.received_at),
        "hasAttachments": mail.has_attachments,
        "internetMessageId": mail.message_id,
        "subject": mail.subject,
        "bodyPreview": " ".join(text.split())[:PREVIEW],
        "importance": mail.importance,
        "parentFolderId": folder.id,
        "conversationId": reading.thread_id(mail.conversation),
        "isDeliveryReceiptRequested": mail.wants_delivery_receipt,
        "isReadReceiptRequested": mail.wants_read_receipt,
        "isRead": message.seen,
        "isDraft": message.is_draft,
        "webLink": f"https://outlook.office365.com/owa/?ItemID={quote(shown_id)}&exvsurl=1&viewmodel=ReadMessageItem",
        "inferenceClassification": "focused",
        "body": _body(mail, text, style),
        "sender": mail.sender,
        "from": mail.from_,
        "toRecipients": mail.to,
        "ccRecipients": mail.cc,
        "bccRecipients": mail.bcc,
        "replyTo": mail.reply_to,
        "flag": {"flagStatus": "flagged" if "\\Flagged" in message.flags else "notFlagged"},
        "internetMessageHeaders": mail.headers,
    }


def _body(mail: reading.Reading, text: str, style: Style) -> dict[str, str]:
    if mail.html is None or style.text_body:
        return {"contentType": "text", "content": text}
    return {"contentType": "html", "content": mail.html}


def folder_json(folder: Folder) -> dict[str, Any]:
    return {
        "id": folder.id,
        "displayName": "Inbox" if folder.well_known == "inbox" else WELL_KNOWN.get(folder.well_known, folder.name),
        "parentFolderId": ROOT_FOLDER,
        "childFolderCount": 0,
        "unreadItemCount": sum(not message.seen for message in folder.messages.values()),
        "totalItemCount": len(folder.messages),
        "isHidden": False,
    }


def attachment_json(file: reading.Attachment, message: Message, *, with_content: bool = True) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "@odata.type": "#microsoft.graph.fileAttachment",
        "id": attachment_id(message, file),
        "lastModifiedDateTime": moment(message.received_at),
        "name": file.name,
        "contentType": file.content_type,
        "size": len(file.content),
        "isInline": file.inline,
        "contentId": file.content_id or None,
        "contentLocation": None,
    }
    return shown | {"contentBytes": base64.b64encode(file.content).decode()} if with_content else shown


def attachment_id(message: Message, file: reading.Attachment) -> str:
    return f"{message.immutable_id[:24]}{file.key}"


def selected(text: str | None, known: Iterable[str], type_name: str) -> tuple[str, ...]:
    """The names of a `$select`. Raises `BadQuery` in Graph's words ([I] code RequestBroker--ParseUri)."""
    names = tuple(name.strip() for name in (text or "").split(",") if name.strip())
    for name in names:
        if name not in set(known):
            raise BadQuery(f"Could not find a property named '{name}' on type 'microsoft.graph.{type_name}'.")
    return names


def only(shown: Mapping[str, Any], select: tuple[str, ...]) -> dict[str, Any]:
    """The selected properties; annotations stay."""
    return {name: value for name, value in shown.items() if not select or name in select or name.startswith("@")}


def owner_context(mailbox: Mailbox, what: str) -> str:
    """The tail of `@odata.context`."""
    return f"$metadata#users('{quote(mailbox.address)}')/{what}"
