"""What a mailbox's configuration asks of each message, done by editing only the header lines it speaks of.

Everything else stays as it was submitted, byte for byte, so that S/MIME and PGP signatures over the body hold.
(A DKIM signature that the submitter made covers the subject, and does not survive a subject prefix.)
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from email.header import Header
from email.utils import format_datetime

from postroom.mail.addresses import Address
from postroom.mail.envelope import Envelope
from postroom.mail.headers import field_name, join, split, unfold
from postroom.mail.message import decoded

# RFC 5322 section 3.6.3: what tells one recipient of another that was to stay hidden.
_HIDDEN = frozenset({b"bcc", b"resent-bcc"})
_SUBJECT = re.compile(rb"(subject[ \t]*:)[ \t]*", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Wishes:
    """What a mailbox's configuration asks for."""

    default_sender: Address | None = None
    """For messages without a From."""
    subject_prefix: str = ""
    copies_to: tuple[str, ...] = ()
    """Bare addresses that get a blind copy."""


def adapt(
    envelope: Envelope, message: bytes, wishes: Wishes, message_id: str, date: datetime
) -> tuple[Envelope, bytes]:
    """The envelope with the blind copies, and the message made complete.

    `message_id` and `date` (aware) are for a message that has none. Bcc fields are taken out.
    """
    parts = split(message)
    end = parts.line_end
    fields = [field for field in parts.fields if field_name(field) not in _HIDDEN]
    present = {field_name(field) for field in fields}
    fields = _prefixed(fields, wishes.subject_prefix.strip(), end)
    missing = []
    if b"from" not in present and wishes.default_sender:
        missing.append(f"From: {wishes.default_sender.header()}".encode())
    if b"date" not in present:
        missing.append(f"Date: {format_datetime(date)}".encode("ascii"))
    if b"message-id" not in present:
        missing.append(f"Message-ID: {message_id}".encode("ascii"))
    fields += [field + end for field in missing]
    if fields == list(parts.fields):
        return _with_copies(envelope, wishes.copies_to), message
    return _with_copies(envelope, wishes.copies_to), join(fields, parts)


def without(message: bytes, *names: str) -> bytes:
    """The message less these header fields; all else as it was."""
    parts = split(message)
    gone = {name.lower().encode("ascii") for name in names}
    fields = [field for field in parts.fields if field_name(field) not in gone]
    return message if len(fields) == len(parts.fields) else join(fields, parts)


def _with_copies(envelope: Envelope, copies: tuple[str, ...]) -> Envelope:
    known = {recipient.casefold() for recipient in envelope.recipients}
    added = [copy for copy in dict.fromkeys(copies) if copy.casefold() not in known]
    return Envelope(envelope.sender, (*envelope.recipients, *added))


def _prefixed(fields: list[bytes], prefix: str, end: bytes) -> list[bytes]:
    """The prefix in front of the first subject; a reply that carries it already is left alone."""
    if not prefix:
        return fields
    for at, field in enumerate(fields):
        if field_name(field) != b"subject":
            continue
        if prefix in decoded(unfold(field)):
            return fields
        head = _SUBJECT.match(field)
        if head is None:  # cannot be: field_name found it
            return fields
        rest = field[head.end() :]
        changed = head.group(1) + b" " + _encoded(prefix, rest) + rest
        return [*fields[:at], changed, *fields[at + 1 :]]
    return [*fields, b"Subject: " + _encoded(prefix, b"").rstrip() + end]


def _encoded(prefix: str, before: bytes) -> bytes:
    """The prefix and a blank, which between two encoded-words goes inside, as it is not shown there (RFC 2047, 6.2)."""
    if prefix.isascii() and "=?" not in prefix:
        return prefix.encode("ascii") + (b" " if before.strip() else b"")
    inside = " " if before.startswith(b"=?") else ""
    return Header(prefix + inside, "utf-8", maxlinelen=10_000).encode().encode("ascii") + b" "
