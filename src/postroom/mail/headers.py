"""The header section of a message as bytes: taken apart without changing any, and put together again.

RFC 5322 section 2.1: fields, an empty line, the body. Here a field keeps its folding, its spelling and its line
ends, so that what is not edited stays as it was submitted.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

_LINE = re.compile(rb"[^\n]*\n|[^\n]+\Z")
# RFC 5322 section 2.2: a name is printable ASCII without the colon; blanks before the colon are obsolete but met.
_NAME = re.compile(rb"([!-9;-~]+)[ \t]*")
# RFC 5321 section 4.5.3.1.6 sets no bound for a header; past this, what comes is not one.
_LONGEST_NAME = 998


@dataclass(frozen=True, slots=True)
class Split:
    """A message in its parts; `b"".join(fields) + gap + body` is the message, byte for byte."""

    fields: tuple[bytes, ...]
    gap: bytes
    """The empty line, or nothing when there is none."""
    body: bytes

    @property
    def line_end(self) -> bytes:
        """The message's own: CRLF unless its first line ends otherwise."""
        first = self.fields[0] if self.fields else self.gap or self.body
        end = first.find(b"\n")
        return b"\n" if end == 0 or (end > 0 and first[end - 1 : end] != b"\r") else b"\r\n"

    def named(self, name: str) -> tuple[bytes, ...]:
        """All fields of this name, in order, as they stand."""
        wanted = name.encode("ascii").lower()
        return tuple(field for field in self.fields if field_name(field) == wanted)

    def value(self, name: str) -> str | None:
        """The first such field's value, unfolded, encoded-words left as they are; None when there is none."""
        for field in self.named(name):
            return unfold(field)
        return None


def split(message: bytes) -> Split:
    """Never raises: what cannot be a header is body."""
    fields: list[bytes] = []
    at = 0
    for line in _LINE.finditer(message):
        text = line.group()
        if text in (b"\r\n", b"\n"):
            return Split(tuple(fields), text, message[line.end() :])
        if text[:1] in (b" ", b"\t") and fields:
            fields[-1] += text
        elif field_name(text):
            fields.append(text)
        else:
            break
        at = line.end()
    return Split(tuple(fields), b"", message[at:])


def join(fields: Iterable[bytes], parts: Split) -> bytes:
    """The message with these fields; an empty line is put in where the message had none."""
    ended = [field if field.endswith(b"\n") else field + parts.line_end for field in fields]
    gap = parts.gap or (parts.line_end if parts.body or ended else b"")
    return b"".join([*ended, gap, parts.body])


def field_name(field: bytes) -> bytes:
    """In lower case; empty when this is not a field."""
    name, colon, _ = field[: _LONGEST_NAME + 1].partition(b":")
    return _lower_name(name) if colon else b""


@lru_cache(maxsize=1024)
def _lower_name(name: bytes) -> bytes:
    """The same few names come with every message, and each is asked for many times."""
    match = _NAME.fullmatch(name)
    return match.group(1).lower() if match else b""


def unfold(field: bytes) -> str:
    """The value after the colon, without line ends (RFC 5322 section 2.2.3); bytes that are not UTF-8 are replaced."""
    value = field.partition(b":")[2].replace(b"\r", b"").replace(b"\n", b"")
    return value.decode("utf-8", "replace").strip()
