"""What a listener's exceptions change in messages of old devices, and the trace that every message gets. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from email.utils import format_datetime

from postroom.mail.headers import field_name, join, split, unfold

_ANGLE = re.compile(r"(.*)<([^<>]*)>\s*", re.DOTALL)


def received(hostname: str, protocol: str, at: datetime) -> bytes:
    """The trace that RFC 5321 section 4.4 wants, without the client's address: recipients need not learn it.

    `protocol` is one of RFC 3848: ESMTP, ESMTPS, ESMTPA, ESMTPSA, or SMTP.
    """
    return f"Received: by {hostname} (Postroom) with {protocol};\r\n {format_datetime(at)}\r\n".encode(
        "ascii", "replace"
    )


def fill_in_to(message: bytes, recipients: Sequence[str]) -> bytes:
    """A message with neither To nor Cc gets a To that names its recipients."""
    parts = split(message)
    if {b"to", b"cc"} & {field_name(one) for one in parts.fields}:
        return message
    to = b"To: " + (b"," + parts.line_end + b" ").join(recipient.encode() for recipient in recipients)
    return join([*parts.fields, to + parts.line_end], parts)


def mend_names(message: bytes) -> bytes:
    """`From: scan@3rd floor <a@contoso.com>` becomes `From: "scan at 3rd floor" <a@contoso.com>`.

    Some servers take the display name for the sender and refuse it (facts, peers: SMTP2Graph issue 28).
    """
    parts = split(message)
    fields = [_mended(one, parts.line_end) if field_name(one) == b"from" else one for one in parts.fields]
    return message if fields == list(parts.fields) else join(fields, parts)


def _mended(one: bytes, line_end: bytes) -> bytes:
    match = _ANGLE.fullmatch(unfold(one))
    if match is None or "@" not in match.group(1) or "<" in match.group(1):
        return one
    name = match.group(1).strip().strip('"').replace("@", " at ")
    name = " ".join(name.replace("\\", "").replace('"', "").split())
    return f'From: "{name}" <{match.group(2)}>'.encode() + line_end
