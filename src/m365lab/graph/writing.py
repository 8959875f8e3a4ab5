"""Messages out of Graph's JSON: composing a new one, and changing what a PATCH names.

A new message is composed with the standard library. A change rewrites only the header lines it is about; only a new
body makes the message anew, as it does at Microsoft, where a signature does not survive that either.
"""

from __future__ import annotations

import base64
import binascii
import email.policy
import email.utils
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.headerregistry import Address
from email.message import EmailMessage
from typing import Any

from m365lab.exchange import Mailbox
from m365lab.graph import errors, mime
from m365lab.post import new_message_id

ATTACHMENT_TYPE = "#microsoft.graph.fileAttachment"

HEADERS_AT_MOST = 5
_ADDRESS = re.compile(r"[^@\s<>]+@[^@\s<>]+")

_RECIPIENTS = {"toRecipients": "To", "ccRecipients": "Cc", "bccRecipients": "Bcc", "replyTo": "Reply-To"}
_STORED = {"isRead", "categories", "flag", "inferenceClassification"}
"""Properties of the stored item, not of the mail: `messages` keeps them."""
_HEADERS = {"subject", "from", "sender", "importance", "isReadReceiptRequested", "isDeliveryReceiptRequested"}
_AT_CREATION = {"internetMessageHeaders", "internetMessageId", "attachments"}
_READ_ONLY = {
    "id", "createdDateTime", "lastModifiedDateTime", "changeKey", "receivedDateTime", "sentDateTime",
    "hasAttachments", "bodyPreview", "parentFolderId", "conversationId", "conversationIndex", "isDraft", "webLink",
    "uniqueBody", "singleValueExtendedProperties", "multiValueExtendedProperties",
}  # fmt: skip
"""Known to the type; sent along by clients, and of no effect."""
OF_THE_MAIL = {*_RECIPIENTS, *_HEADERS, *_AT_CREATION, "body"}
"""What changes the message itself, and so only while it is a draft."""
KNOWN = {*_RECIPIENTS, *_STORED, *_HEADERS, *_AT_CREATION, *_READ_ONLY, "body"}


@dataclass(frozen=True)
class File:
    """A fileAttachment that is to be added."""

    name: str
    content_type: str
    content: bytes
    content_id: str = ""
    inline: bool = False


def compose(message: Mapping[str, Any], mailbox: Mailbox, date: float) -> bytes:
    """A new message from the JSON of type `message`. Raises `GraphError`."""
    check_names(message)
    custom = _custom_headers(message)
    files = [file_of(item) for item in _list(message, "attachments")]
    kind, content = _body_of(message.get("body"))
    made = EmailMessage(policy=email.policy.SMTP)
    made.set_content(content, subtype=kind)
    raw = made.as_bytes()
    lines = {
        "From": mime.address_line("From", [own_address(mailbox)]),
        "Date": mime.header_line("Date", email.utils.formatdate(date)),
        "Message-ID": _message_id_line(message),
        **custom,
    }
    raw = change_headers(mime.set_fields(raw, lines), message)
    for file in files:
        raw = with_file(raw, file)
    return raw


def with_file(raw: bytes, file: File) -> bytes:
    """The message with one more file."""
    return mime.attach(
        raw, mime.attachment_part(file.name, file.content_type, file.content, file.content_id, inline=file.inline)
    )


def complete(raw: bytes, mailbox: Mailbox, date: float) -> bytes:
    """A MIME message with what a message must have; all else stays as it came."""
    missing = {
        "From": mime.address_line("From", [own_address(mailbox)]),
        "Date": mime.header_line("Date", email.utils.formatdate(date)),
        "Message-ID": mime.header_line("Message-ID", new_message_id()),
    }
    return mime.set_fields(raw, {name: line for name, line in missing.items() if not mime.has_field(raw, name)})


def change(raw: bytes, changes: Mapping[str, Any]) -> bytes:
    """The message after a PATCH. Raises `GraphError`."""
    check_names(changes)
    fixed = sorted(_AT_CREATION.intersection(changes))
    if fixed:
        raise errors.invalid_request(f"The property '{fixed[0]}' can be set only when the message is created.")
    if "body" in changes:
        raw = _with_body(raw, *_body_of(changes["body"]))
    return change_headers(raw, changes)


def change_headers(raw: bytes, changes: Mapping[str, Any]) -> bytes:
    """The message with the header lines that these properties stand for."""
    lines: dict[str, bytes] = {}
    for name, header in _RECIPIENTS.items():
        if name in changes:
            lines[header] = mime.address_line(header, [address_of(item) for item in _list(changes, name)])
    for name, line in _LINES.items():
        if name in changes:
            header, bytes_ = line(changes[name])
            lines[header] = bytes_
    return mime.set_fields(raw, lines) if lines else raw


def _subject(value: Any) -> tuple[str, bytes]:
    return "Subject", _line("Subject", value or "")


def _from(value: Any) -> tuple[str, bytes]:
    return "From", mime.address_line("From", [address_of(value)]) if value else b""


def _sender(value: Any) -> tuple[str, bytes]:
    return "Sender", mime.address_line("Sender", [address_of(value)]) if value else b""


def _importance(value: Any) -> tuple[str, bytes]:
    if str(value).lower() not in {"low", "normal", "high"}:
        raise errors.bad_body(f"Requested value '{value}' was not found: importance is low, normal or high.")
    return "Importance", b"" if str(value).lower() == "normal" else _line("Importance", str(value).lower())


def _receipt(header: str) -> Callable[[Any], tuple[str, bytes]]:
    return lambda wanted: (header, _line(header, "<>") if wanted is True else b"")


_LINES: dict[str, Callable[[Any], tuple[str, bytes]]] = {
    "subject": _subject,
    "from": _from,
    "sender": _sender,
    "importance": _importance,
    "isReadReceiptRequested": _receipt("Disposition-Notification-To"),
    "isDeliveryReceiptRequested": _receipt("Return-Receipt-To"),
}


def own_address(mailbox: Mailbox) -> Address:
    return Address(display_name=mailbox.name, addr_spec=mailbox.address)


def address_of(item: Any) -> Address:
    """The address of a `recipient`. Raises `GraphError`."""
    inner = item.get("emailAddress") if isinstance(item, dict) else None
    if not isinstance(inner, dict):
        raise errors.bad_body("A recipient is an object with emailAddress: {address, name}.")
    address, name = str(inner.get("address") or "").strip(), str(inner.get("name") or "")
    try:
        if not _ADDRESS.fullmatch(address):
            raise ValueError(address)
        user, _, domain = address.rpartition("@")
        return Address(display_name=name, username=user, domain=domain)
    except (ValueError, email.errors.MessageError, IndexError) as error:
        raise errors.invalid_recipients(
            f"Recipient '{address}' is not resolved. All recipients must be resolved before a message can be submitted."
        ) from error


def file_of(item: Any) -> File:
    """The file of a `fileAttachment`. Raises `GraphError`."""
    if not isinstance(item, dict) or item.get("@odata.type", ATTACHMENT_TYPE) != ATTACHMENT_TYPE:
        raise errors.bad_body("The lab takes attachments of type #microsoft.graph.fileAttachment only.")
    name = item.get("name")
    if not isinstance(name, str) or not name:
        raise errors.invalid_request("The attachment has no name.")
    content = item.get("contentBytes")
    try:
        data = base64.b64decode(content if isinstance(content, str) else "", validate=True)
    except (binascii.Error, ValueError) as error:
        raise errors.bad_body(
            "Cannot convert the literal of contentBytes to the expected type 'Edm.Binary'."
        ) from error
    return File(
        name,
        str(item.get("contentType") or "application/octet-stream"),
        data,
        str(item.get("contentId") or ""),
        item.get("isInline") is True,
    )


def check_names(message: Mapping[str, Any]) -> None:
    """Refuses a property that the type does not have (words [I], facts 5 RequestBodyRead)."""
    for name in message:
        if name not in KNOWN and "@" not in name:
            raise errors.bad_body(
                f"The property '{name}' does not exist on type 'microsoft.graph.message'. Make sure to only use "
                "property names that are defined by the type."
            )


def _custom_headers(message: Mapping[str, Any]) -> dict[str, bytes]:
    """At most five, each beginning with x- ([I] msgraph-sdk-dotnet#2208: an empty list is refused too)."""
    if message.get("internetMessageHeaders") is None:
        return {}
    items = _list(message, "internetMessageHeaders")
    if not 0 < len(items) <= HEADERS_AT_MOST:
        raise errors.GraphError(
            400,
            "InvalidInternetMessageHeaderCollection",
            f"Maximum number of headers in one message should be less than or equal to {HEADERS_AT_MOST}.",
        )
    lines = {}
    for item in items:
        name, value = str(item.get("name")), str(item.get("value"))
        if not name.lower().startswith("x-") or not re.fullmatch(r"[!-9;-~]+", name):
            raise errors.GraphError(
                400,
                "InvalidInternetMessageHeader",
                f"The internet message header name '{name}' should start with 'x-' or 'X-'.",
            )
        lines[name] = _line(name, value)
    return lines


def _message_id_line(message: Mapping[str, Any]) -> bytes:
    given = message.get("internetMessageId")
    return _line("Message-ID", given if isinstance(given, str) and given else new_message_id())


def _line(name: str, value: Any) -> bytes:
    try:
        return mime.header_line(name, str(value))
    except ValueError as error:
        raise errors.invalid_request(f"The value of {name} cannot stand in a header: {error}") from error


def _body_of(body: Any) -> tuple[str, str]:
    """Subtype and text of an `itemBody`."""
    if body is None:
        return "plain", ""
    if not isinstance(body, dict):
        raise errors.bad_body("The body is an object with contentType and content.")
    kind = str(body.get("contentType") or "text").lower()
    if kind not in {"text", "html"}:
        raise errors.bad_body(f"Requested value '{kind}' was not found: contentType is text or html.")
    return ("html" if kind == "html" else "plain"), str(body.get("content") or "")


def _with_body(raw: bytes, kind: str, content: str) -> bytes:
    """The message with another text: its own part is replaced, files stay."""
    message = email.message_from_bytes(raw, policy=email.policy.SMTP)
    part = message.get_body(("html", "plain")) if isinstance(message, EmailMessage) else None
    if not isinstance(part, EmailMessage):
        raise errors.invalid_request("The message has no text that could be replaced.")
    part.set_content(content, subtype=kind)
    if part is not message:
        del part["MIME-Version"]
    return message.as_bytes()


def _list(message: Mapping[str, Any], name: str) -> list[Any]:
    items = message.get(name)
    if items is None:
        return []
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise errors.bad_body(f"The property '{name}' is a collection of objects.")
    return items
