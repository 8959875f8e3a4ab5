"""A message in Graph's own terms: its recipients, its size on the wire, and, where nothing is lost, its JSON. Pure."""

from __future__ import annotations

import base64
from typing import Any

from postroom.mail.addresses import Address, BadAddress, parse
from postroom.mail.envelope import Envelope
from postroom.mail.message import Attachment, Message

# The request body's limit is 4 MB (facts 3). Whether of 1000 or 1024 is not said, so the smaller.
REQUEST_LIMIT = 4_000_000
# Microsoft, "Attach large files": below 3 MB in one request, from there by upload session.
ATTACHMENT_LIMIT = 3_000_000

# What the JSON of a message expresses, besides X- headers, of which Graph takes five.
_EXPRESSED = frozenset(
    {"from", "to", "cc", "reply-to", "subject", "date", "message-id", "mime-version"}
    | {"content-type", "content-transfer-encoding", "content-disposition", "content-language"}
)
_MOST_X_HEADERS = 5


def wire_size(message: bytes) -> int:
    """Bytes of the request body that carries it: base64 without line ends."""
    return (len(message) + 2) // 3 * 4


def says_the_same(view: Message, envelope: Envelope) -> bool:
    """Whether To and Cc name exactly the envelope's recipients: only then Graph may read them there."""
    return {_key(address.mailbox) for address in view.addresses("To", "Cc")} == set(map(_key, envelope.recipients))


def recipients(view: Message, envelope: Envelope) -> dict[str, Any]:
    """Exactly the envelope: To and Cc as far as they are in it, and Bcc for the others."""
    left = {_key(recipient): recipient for recipient in envelope.recipients}

    def taken(*names: str) -> list[dict[str, Any]]:
        return [_recipient(address) for address in view.addresses(*names) if left.pop(_key(address.mailbox), None)]

    to, cc = taken("To"), taken("Cc")
    bcc = [_recipient(Address(recipient)) for recipient in left.values()]
    return {"toRecipients": to, "ccRecipients": cc, "bccRecipients": bcc}


def as_json(view: Message, envelope: Envelope) -> dict[str, Any] | None:
    """The message as Graph's JSON, for a send that leaves no copy; None when something of it would be lost.

    Of a text and an HTML alternative the HTML goes: Exchange makes a text of its own.
    """
    headers = [(name, value) for name, value in view.headers if name.lower() not in _EXPRESSED]
    if len(headers) > _MOST_X_HEADERS or not all(name.lower().startswith("x-") for name, _ in headers):
        return None
    if view.content_type not in {"text/plain", "text/html", "multipart/alternative", "multipart/mixed"}:
        return None
    attachments = view.attachments()
    if any(part.content_id or not part.filename for part in attachments):
        return None
    html = view.html()
    message: dict[str, Any] = {
        "subject": view.subject,
        "body": {"contentType": "HTML" if html else "Text", "content": html or view.text()},
        **recipients(view, envelope),
        "replyTo": [_recipient(address) for address in view.addresses("Reply-To")],
        "attachments": [as_attachment(part) for part in attachments],
    }
    if view.sender:
        message["from"] = _recipient(view.sender)
    if view.message_id:
        message["internetMessageId"] = view.message_id
    if headers:
        message["internetMessageHeaders"] = [{"name": name, "value": value} for name, value in headers]
    return message


def as_attachment(part: Attachment) -> dict[str, Any]:
    """A fileAttachment with its content."""
    return {
        "@odata.type": "#microsoft.graph.fileAttachment",
        "name": part.filename,
        "contentType": part.content_type,
        "contentBytes": base64.b64encode(part.content).decode("ascii"),
    }


def _recipient(address: Address) -> dict[str, Any]:
    named = {"address": address.mailbox} | ({"name": address.name} if address.name else {})
    return {"emailAddress": named}


def _key(mailbox: str) -> str:
    try:
        return parse(mailbox).key
    except BadAddress:
        return mailbox.casefold()
