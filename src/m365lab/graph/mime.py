"""Editing a message as bytes: only the header lines that change are written anew, everything else stays as it was.

That is what lets an S/MIME or PGP signed message live through "draft from MIME, then PATCH the recipients, then send".
"""

from __future__ import annotations

import email.policy
import re
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from email.headerregistry import Address
from email.message import EmailMessage

_FIELD = re.compile(rb"([!-9;-~]+)[ \t]*:")
_BARE_NEWLINE = re.compile(rb"(?<!\r)\n")


@dataclass(frozen=True)
class Field:
    """One header field with its folded lines and its line end, as it stood."""

    name: str
    """In lower case."""
    raw: bytes


def with_crlf(raw: bytes) -> bytes:
    """The message with CRLF line ends, as the wire has them (RFC 5322 section 2.1)."""
    return _BARE_NEWLINE.sub(b"\r\n", raw)


def split(raw: bytes) -> tuple[list[Field], bytes]:
    """The header fields, and the rest from the blank line on."""
    fields: list[Field] = []
    at = 0
    while at < len(raw):
        end = raw.find(b"\n", at) + 1 or len(raw)
        line = raw[at:end]
        match = _FIELD.match(line)
        if line[:1] in (b" ", b"\t") and fields:
            fields[-1] = Field(fields[-1].name, fields[-1].raw + line)
        elif match:
            fields.append(Field(match[1].decode("ascii").lower(), line))
        else:
            break
        at = end
    return fields, raw[at:]


def has_field(raw: bytes, name: str) -> bool:
    return any(field.name == name.lower() for field in split(raw)[0])


def set_fields(raw: bytes, new: Mapping[str, bytes]) -> bytes:
    """The message with these fields (name -> whole line, b"" to drop it), each in the place of the old one."""
    fields, rest = split(raw)
    waiting = {name.lower(): line for name, line in new.items()}
    lines = []
    for field in fields:
        if field.name not in waiting:
            lines.append(field.raw)
            continue
        lines.append(waiting[field.name])
        waiting[field.name] = b""
    lines += [line for line in waiting.values() if line]
    return b"".join(lines) + (rest if rest[:1] in (b"\r", b"\n") else b"\r\n" + rest)


def header_line(name: str, value: object) -> bytes:
    """The field, folded and encoded. Raises `ValueError` for what no header can hold (a line break, for example)."""
    utf8 = isinstance(value, tuple) and any(not address.addr_spec.isascii() for address in value)
    message = EmailMessage(policy=email.policy.SMTP.clone(utf8=utf8))
    message[name] = value
    return message.as_bytes().removesuffix(b"\r\n")


def address_line(name: str, addresses: Iterable[Address]) -> bytes:
    """A To, Cc, Bcc, From or Reply-To line; b"" for no address at all."""
    found = tuple(addresses)
    return header_line(name, found) if found else b""


def attachment_part(name: str, content_type: str, content: bytes, content_id: str = "", *, inline: bool) -> bytes:
    """A MIME part that carries a file, in base64."""
    main, _, sub = content_type.partition("/")
    if not re.fullmatch(r"[\w.+-]+/[\w.+-]+", content_type) or main in {"multipart", "message"}:
        main, sub = "application", "octet-stream"
    part = EmailMessage(policy=email.policy.SMTP)
    part.set_content(
        content,
        main,
        sub,
        disposition="inline" if inline else "attachment",
        filename=name,
        cid=f"<{content_id}>" if content_id else None,
    )
    del part["MIME-Version"]
    return part.as_bytes()


def attach(raw: bytes, part: bytes) -> bytes:
    """The message with one more part; what was there is carried over byte by byte."""
    fields, rest = split(raw)
    boundary = _mixed_boundary(fields)
    closing = rest.rfind(b"\r\n--" + boundary + b"--") if boundary else -1
    if closing >= 0:
        inserted = b"\r\n--" + boundary + b"\r\n" + part.removesuffix(b"\r\n")
        return raw[: len(raw) - len(rest)] + rest[:closing] + inserted + rest[closing:]
    moved = b"".join(field.raw for field in fields if field.name.startswith("content-"))
    kept = b"".join(field.raw for field in fields if not field.name.startswith("content-"))
    new = f"_{secrets.token_hex(16)}_".encode()
    mime = b"" if any(field.name == "mime-version" for field in fields) else b"MIME-Version: 1.0\r\n"
    return b"".join(
        (
            kept,
            mime,
            b'Content-Type: multipart/mixed; boundary="' + new + b'"\r\n\r\n--' + new + b"\r\n",
            moved + (rest or b"\r\n"),
            b"\r\n--" + new + b"\r\n",
            part.removesuffix(b"\r\n"),
            b"\r\n--" + new + b"--\r\n",
        )
    )


def _mixed_boundary(fields: list[Field]) -> bytes:
    for field in fields:
        if field.name == "content-type":
            header = email.message_from_bytes(field.raw + b"\r\n", policy=email.policy.default)
            if header.get_content_type() == "multipart/mixed":
                return str(header.get_boundary("")).encode("ascii", "replace")
    return b""
