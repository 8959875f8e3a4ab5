"""A raw message as Graph tells of it: the properties of `message` that come from the mail itself.

Names of properties are those of the type `message` in Graph's CSDL. A message may be as broken as mail can be: then
what cannot be read is left out, and never an error.
"""

from __future__ import annotations

import base64
import email.policy
import email.utils
import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.message import EmailMessage, Message
from functools import lru_cache
from html.parser import HTMLParser
from typing import Any

_POLICY = email.policy.default
_NO_RAW_BYTE = re.compile("[\ud800-\udc7f\udd00-\udfff]")
"""Surrogates that do not stand for a raw byte (PEP 383)."""


@dataclass(frozen=True)
class Reading:
    """What the lists show. Attachments are read apart, since they may be large."""

    subject: str
    sender: dict[str, Any] | None
    from_: dict[str, Any] | None
    to: list[dict[str, Any]]
    cc: list[dict[str, Any]]
    bcc: list[dict[str, Any]]
    reply_to: list[dict[str, Any]]
    message_id: str
    sent_at: datetime | None
    importance: str
    conversation: str
    """The Message-ID that the thread began with."""
    html: str | None
    text: str | None
    has_attachments: bool
    wants_read_receipt: bool
    wants_delivery_receipt: bool
    headers: list[dict[str, str]] = field(default_factory=list)


@dataclass(frozen=True)
class Attachment:
    key: str
    """Stays the same for as long as the file does."""
    name: str
    content_type: str
    content: bytes
    inline: bool
    content_id: str


@lru_cache(maxsize=256)
def read(raw: bytes) -> Reading:
    """Everything but the attachments."""
    message = _parsed(raw)
    html, text = _body(message, "html"), _body(message, "plain")
    from_ = _addresses(message, "From")
    sender = _addresses(message, "Sender") or from_
    message_id = _text(message, "Message-ID")
    references = _text(message, "References").split() or _text(message, "In-Reply-To").split()
    return Reading(
        subject=_text(message, "Subject"),
        sender=sender[0] if sender else None,
        from_=from_[0] if from_ else None,
        to=_addresses(message, "To"),
        cc=_addresses(message, "Cc"),
        bcc=_addresses(message, "Bcc"),
        reply_to=_addresses(message, "Reply-To"),
        message_id=message_id,
        sent_at=_date(message),
        importance=_importance(message),
        conversation=references[0] if references else message_id,
        html=html,
        text=text,
        has_attachments=any(not _is_inline(part) for part in _files(message)),
        wants_read_receipt="Disposition-Notification-To" in message,
        wants_delivery_receipt="Return-Receipt-To" in message,
        headers=[{"name": name, "value": _text_of(value)} for name, value in message.raw_items()],
    )


def attachments(raw: bytes) -> list[Attachment]:
    """The files in a message, outermost first."""
    return [_attachment(number, part) for number, part in enumerate(_files(_parsed(raw)))]


def thread_id(conversation: str) -> str:
    """`conversationId` of a thread."""
    return "AAQk" + base64.urlsafe_b64encode(hashlib.sha256(conversation.encode()).digest()).decode().rstrip("=")


def plain(html: str) -> str:
    """The text of an HTML body, for `Prefer: outlook.body-content-type="text"` and for previews."""
    reader = _TextOf()
    reader.feed(html)
    reader.close()
    return "".join(reader.pieces).strip()


class _TextOf(HTMLParser):
    _SILENT = {"script", "style", "head", "title"}
    _BREAKS = {"br", "p", "div", "tr", "li", "h1", "h2", "h3"}

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.pieces: list[str] = []
        self._silent = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._silent += tag in self._SILENT
        if tag in self._BREAKS and self.pieces:
            self.pieces.append("\r\n")

    def handle_endtag(self, tag: str) -> None:
        self._silent -= tag in self._SILENT and self._silent > 0

    def handle_data(self, data: str) -> None:
        if not self._silent:
            self.pieces.append(data)


def _parsed(raw: bytes) -> EmailMessage:
    message = email.message_from_bytes(raw, policy=_POLICY)
    if not isinstance(message, EmailMessage):
        raise TypeError("the default policy makes EmailMessage")
    return message


def _header(message: Message, name: str) -> Any:
    """The parsed header, None where the standard library's parser gives up on it."""
    try:
        return message[name]
    except (ValueError, IndexError, AttributeError, TypeError, LookupError):
        return None


def _text(message: Message, name: str) -> str:
    found = _header(message, name)
    return "" if found is None else _readable(str(found)).strip()


def _text_of(value: object) -> str:
    return " ".join(_readable(str(value)).split())


def _readable(text: str) -> str:
    """The text with raw bytes read as UTF-8 (RFC 6532), and what is none replaced: JSON takes no lone surrogates."""
    if text.isascii():
        return text
    return _NO_RAW_BYTE.sub("\ufffd", text).encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _addresses(message: Message, name: str) -> list[dict[str, Any]]:
    found = _header(message, name)
    return [
        recipient(_readable(a.display_name), _readable(a.addr_spec))
        for a in getattr(found, "addresses", ())
        if a.addr_spec != "<>"
    ]


def recipient(name: str, address: str) -> dict[str, Any]:
    """The complex type `recipient`; Exchange repeats the address where there is no name."""
    return {"emailAddress": {"name": name or address, "address": address}}


def _date(message: Message) -> datetime | None:
    found = getattr(_header(message, "Date"), "datetime", None)
    if not isinstance(found, datetime):
        return None
    try:
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)
    except OverflowError:
        return None


def _importance(message: Message) -> str:
    value = _text(message, "Importance").lower()
    return value if value in {"low", "normal", "high"} else "normal"


def _body(message: EmailMessage, subtype: str) -> str | None:
    try:
        part = message.get_body((subtype,))
        return None if part is None else _readable(str(part.get_content()))
    except (LookupError, ValueError, AttributeError, TypeError, KeyError):
        return None


def _files(message: EmailMessage) -> Iterator[EmailMessage]:
    """The parts that a mail program shows as files. A signed or encrypted whole is one file, as Exchange has it."""
    bodies = {id(part) for part in (_part(message, "html"), _part(message, "plain")) if part is not None}
    waiting: list[Message] = [message]
    while waiting:
        part = waiting.pop(0)
        if part.get_content_maintype() == "multipart" and part.is_multipart():
            waiting = [p for p in part.get_payload() if isinstance(p, Message)] + waiting
        elif id(part) not in bodies and isinstance(part, EmailMessage) and _is_file(part):
            yield part


def _part(message: EmailMessage, subtype: str) -> Message | None:
    try:
        return message.get_body((subtype,))
    except (LookupError, ValueError, AttributeError, TypeError, KeyError):
        return None


def _is_file(part: EmailMessage) -> bool:
    named = part.get_filename() is not None or "Content-Disposition" in part or "Content-ID" in part
    return named or part.get_content_maintype() != "text"


def _is_inline(part: EmailMessage) -> bool:
    return part.get_content_disposition() == "inline"


def _attachment(number: int, part: EmailMessage) -> Attachment:
    inner = part.get_payload(0) if part.get_content_maintype() == "message" and part.is_multipart() else None
    content = inner.as_bytes() if isinstance(inner, Message) else part.get_payload(decode=True)
    content = content if isinstance(content, bytes) else b""
    name = _readable(part.get_filename() or f"attachment-{number + 1}")
    digest = hashlib.sha256(f"{number}|{name}|".encode("utf-8", "replace") + content[:65_536]).digest()
    return Attachment(
        key=base64.urlsafe_b64encode(digest[:18]).decode(),
        name=name,
        content_type=_readable(part.get_content_type()),
        content=content,
        inline=_is_inline(part),
        content_id=_text(part, "Content-ID").strip("<>"),
    )
