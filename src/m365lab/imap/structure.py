"""ENVELOPE and BODYSTRUCTURE of a message (RFC 9051 section 7.5.2), written as IMAP writes them. Pure.

Twisted has both too, but lower-cases parameters such as the boundary and fails on headers that are not ASCII.
"""

from __future__ import annotations

import email.utils
from email.message import Message

from m365lab.imap.sections import Entity


def envelope(entity: Entity) -> bytes:
    fields = entity.fields
    author = _addresses(fields, "From")
    people = [
        author,
        *(_addresses(fields, name) or author for name in ("Sender", "Reply-To")),
        *(_addresses(fields, name) for name in ("To", "Cc", "Bcc")),
    ]
    texts = [_text(fields, name) for name in ("Date", "Subject", "In-Reply-To", "Message-ID")]
    return b"(" + b" ".join([*texts[:2], *(one or b"NIL" for one in people), *texts[2:]]) + b")"


def body_structure(entity: Entity, *, extended: bool) -> bytes:
    """`extended` adds what BODYSTRUCTURE has and BODY has not."""
    fields = entity.fields
    children = entity.children()
    if children:
        pieces = [b"".join(body_structure(child, extended=extended) for child in children)]
        pieces.append(quoted(fields.get_content_subtype()))
        if extended:
            pieces += [_parameters(fields), _disposition(fields), _text(fields, "Content-Language"), b"NIL"]
    else:
        pieces = _single(entity, fields, extended=extended)
    return b"(" + b" ".join(pieces) + b")"


def quoted(text: str) -> bytes:
    """A quoted string, or a literal when it cannot be one."""
    raw = " ".join(text.split()).encode("utf-8", "replace")
    if any(byte < 32 or byte > 126 for byte in raw):
        return b"{%d}\r\n%b" % (len(raw), raw)
    return b'"' + raw.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'


def _single(entity: Entity, fields: Message, *, extended: bool) -> list[bytes]:
    encoding = str(fields.get("Content-Transfer-Encoding", "7bit")).strip()
    pieces = [
        quoted(fields.get_content_maintype()),
        quoted(fields.get_content_subtype()),
        _parameters(fields),
        _text(fields, "Content-ID"),
        _text(fields, "Content-Description"),
        quoted(encoding),
        b"%d" % len(entity.body),
    ]
    if fields.get_content_type() == "message/rfc822":
        inner = entity.enclosed
        pieces += [envelope(inner), body_structure(inner, extended=extended), _lines(entity)]
    elif fields.get_content_maintype() == "text":
        pieces.append(_lines(entity))
    if extended:
        pieces += [b"NIL", _disposition(fields), _text(fields, "Content-Language"), b"NIL"]
    return pieces


def _lines(entity: Entity) -> bytes:
    return b"%d" % entity.body.count(b"\n")


def _parameters(fields: Message, header: str = "Content-Type") -> bytes:
    found = fields.get_params(None, header, unquote=True)
    pairs = [(name, email.utils.collapse_rfc2231_value(value)) for name, value in (found or [])[1:]]
    if not pairs:
        return b"NIL" if header != "Content-Type" or found else b'("charset" "us-ascii")'
    return b"(" + b" ".join(quoted(word) for pair in pairs for word in pair) + b")"


def _disposition(fields: Message) -> bytes:
    kind = fields.get_content_disposition()
    return b"(%b %b)" % (quoted(kind), _parameters(fields, "Content-Disposition")) if kind else b"NIL"


def _text(fields: Message, name: str) -> bytes:
    value = fields.get(name)
    return b"NIL" if value is None else quoted(str(value))


def _addresses(fields: Message, name: str) -> bytes:
    """A list of (name, route, mailbox, host), or nothing at all."""
    found = email.utils.getaddresses([" ".join(str(value).split()) for value in fields.get_all(name, [])])
    shown = []
    for display, address in found:
        local, _, domain = address.rpartition("@")
        if address:
            shown.append(
                b"(%b NIL %b %b)" % (quoted(display) if display else b"NIL", quoted(local or domain), quoted(domain))
            )
    return b"(" + b"".join(shown) + b")" if shown else b""
