"""A multipart/mixed message and its parts as they lie in it, so that some can be left out and the rest stays.

RFC 2046 section 5.1.1. Nothing is parsed again and written again: parts are spans of the message's own bytes.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from email import message_from_bytes
from email.policy import compat32
from itertools import pairwise

from postroom.mail.headers import split
from postroom.mail.message import Message


@dataclass(frozen=True, slots=True)
class Part:
    """One part: where it lies, with the delimiter line before it, and what it is."""

    start: int
    end: int
    view: Message


@dataclass(frozen=True, slots=True)
class Mixed:
    """The message and its parts at the top level."""

    message: bytes
    parts: tuple[Part, ...]

    def without(self, gone: Collection[Part]) -> bytes:
        """The message less these parts; all else byte for byte."""
        kept, at = [], 0
        for part in self.parts:
            if part in gone:
                kept.append(self.message[at : part.start])
                at = part.end
        return b"".join([*kept, self.message[at:]])


def mixed(message: bytes) -> Mixed | None:
    """None when it is not a multipart/mixed that is well-formed to its end."""
    parts = split(message)
    boundary = _boundary(b"".join(parts.fields))
    if not boundary:
        return None
    offset = len(message) - len(parts.body)
    line = re.compile(rb"^--" + re.escape(boundary) + rb"(--)?[ \t]*\r?(?:\n|\Z)", re.MULTILINE)
    marks = []
    for mark in line.finditer(parts.body):
        marks.append(mark)
        if mark.group(1):
            break
    if len(marks) < 2 or not marks[-1].group(1):
        return None
    return Mixed(
        message,
        tuple(
            Part(
                offset + here.start(),
                offset + after.start(),
                Message(_less_line_end(parts.body[here.end() : after.start()])),
            )
            for here, after in pairwise(marks)
        ),
    )


def _boundary(head: bytes) -> bytes:
    try:
        parsed = message_from_bytes(head, policy=compat32)
        if parsed.get_content_type() != "multipart/mixed":
            return b""
        return (parsed.get_boundary() or "").encode("ascii")
    except (ValueError, LookupError, TypeError, AttributeError):
        return b""


def _less_line_end(part: bytes) -> bytes:
    """The line end before a delimiter belongs to the delimiter."""
    return part[:-2] if part.endswith(b"\r\n") else part.removesuffix(b"\n")
