"""Pieces of a message as they are in its bytes: what `BODY[...]` asks for (RFC 9051 section 6.4.5.1). Pure."""

from __future__ import annotations

import email
import email.policy
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from email.message import Message

_BLANK = re.compile(rb"\r?\n\r?\n")
_FIELD = re.compile(rb"^[^\s:][^:\r\n]*:[^\r\n]*(?:\r?\n[ \t][^\r\n]*)*\r?\n?", re.MULTILINE)


@dataclass(frozen=True)
class Entity:
    """A message or a part of one: its header (with the blank line that ends it) and its body."""

    header: bytes
    body: bytes

    @classmethod
    def parse(cls, raw: bytes) -> Entity:
        if raw.startswith((b"\r\n", b"\n")):  # a part without a header
            cut = raw.index(b"\n") + 1
        else:
            found = _BLANK.search(raw)
            cut = found.end() if found else len(raw)
        return cls(raw[:cut], raw[cut:])

    @property
    def fields(self) -> Message:
        """The header, parsed."""
        return email.message_from_bytes(self.header, policy=email.policy.compat32)

    @property
    def enclosed(self) -> Entity:
        """The message in a message/rfc822 part; of any other part the part itself."""
        return Entity.parse(self.body) if self.fields.get_content_type() == "message/rfc822" else self

    def children(self) -> list[Entity]:
        """The parts of a multipart, in order; of anything else nothing."""
        fields = self.fields
        boundary = fields.get_boundary()
        if fields.get_content_maintype() != "multipart" or not boundary:
            return []
        marker = re.escape(boundary.encode("ascii", "surrogateescape"))
        line = re.compile(rb"(?:\A|\r?\n)--" + marker + rb"(--)?[ \t]*(?=\r?\n|\Z)")
        return [Entity.parse(piece) for piece in _between(line, self.body)]

    def part(self, path: Collection[int]) -> Entity:
        """The part with this path of numbers from 1. Raises `IndexError`."""
        here = self
        for depth, number in enumerate(path):
            inner = here.enclosed if depth else here
            children = inner.children()
            if children:
                here = children[number - 1]
            elif number != 1:
                raise IndexError(number)
            else:
                here = inner
        return here


def _between(line: re.Pattern[bytes], body: bytes) -> Iterator[bytes]:
    """What stands between the boundary lines; a last one that is missing is borne."""
    start = None
    for found in line.finditer(body):
        if start is not None:
            yield body[start : found.start()]
        if found[1]:
            return
        end_of_line = body.find(b"\n", found.end())
        start = end_of_line + 1 if end_of_line >= 0 else len(body)
        # The line break before the next boundary belongs to that boundary: an empty part has none of its own.
        if line.match(body, found.end()):
            start = found.end()
    if start is not None:
        yield body[start:]


def header_fields(header: bytes, names: Collection[str], *, without: bool) -> bytes:
    """The fields with these names (or all others), as they are, ended by a blank line."""
    wanted = {name.lower() for name in names}
    kept = [
        found[0]
        for found in _FIELD.finditer(header)
        if (found[0].split(b":", 1)[0].strip().decode("ascii", "replace").lower() in wanted) != without
    ]
    return b"".join(kept) + b"\r\n"
