"""FETCH's answers, byte for byte what is stored; Twisted would put headers together anew and ignore partial fetches."""

from __future__ import annotations

import email.utils
from collections.abc import Callable
from typing import Any

from twisted.mail.imap4 import IMAP4Server

from m365lab.imap.folder import View, flag_list
from m365lab.imap.sections import Entity, header_fields
from m365lab.imap.structure import body_structure, envelope
from m365lab.mailstore import Message

Write = Callable[[bytes], None]


class Fetching(IMAP4Server):
    """A mixin before `IMAP4Server`: one `spew_` method for each thing to fetch."""

    mbox: View | None

    def spew_uid(self, id: int, msg: Message, write: Write, flush: Any = None) -> None:  # noqa: A002 - Twisted's name
        write(b"UID %d" % msg.uid)

    def spew_flags(self, id: int, msg: Message, write: Write, flush: Any = None) -> None:  # noqa: A002
        write(b"FLAGS " + flag_list(msg.flags))

    def spew_internaldate(self, id: int, msg: Message, write: Write, flush: Any = None) -> None:  # noqa: A002
        _, day, month, year, time, _ = email.utils.formatdate(msg.received_at).split()
        write(f'INTERNALDATE "{day}-{month}-{year} {time} +0000"'.encode())

    def spew_rfc822size(self, id: int, msg: Message, write: Write, flush: Any = None) -> None:  # noqa: A002
        write(b"RFC822.SIZE %d" % len(msg.raw))

    def spew_envelope(self, id: int, msg: Message, write: Write, flush: Any = None) -> None:  # noqa: A002
        write(b"ENVELOPE " + envelope(Entity.parse(msg.raw)))

    def spew_bodystructure(self, id: int, msg: Message, write: Write, flush: Any = None) -> None:  # noqa: A002
        write(b"BODYSTRUCTURE " + body_structure(Entity.parse(msg.raw), extended=True))

    def spew_rfc822(self, id: int, msg: Message, write: Write, flush: Any = None) -> None:  # noqa: A002
        write(b"RFC822 " + _literal(msg.raw))
        self._seen(msg)

    def spew_rfc822header(self, id: int, msg: Message, write: Write, flush: Any = None) -> None:  # noqa: A002
        write(b"RFC822.HEADER " + _literal(Entity.parse(msg.raw).header))

    def spew_rfc822text(self, id: int, msg: Message, write: Write, flush: Any = None) -> None:  # noqa: A002
        write(b"RFC822.TEXT " + _literal(Entity.parse(msg.raw).body))
        self._seen(msg)

    def spew_body(self, part: Any, id: int, msg: Message, write: Write, flush: Any = None) -> None:  # noqa: A002
        """`BODY`, or `BODY[section]<partial>` with Twisted's parse of it."""
        if not (part.header or part.text or part.mime or part.empty):
            write(b"BODY " + body_structure(Entity.parse(msg.raw), extended=False))
            return
        path = [number + 1 for number in part.part or ()]
        name = _section_name(part, path)
        try:
            data: bytes | None = _section(part, path, msg.raw)
        except IndexError:
            data = None
        if part.partialBegin is not None and data is not None:
            name += b"<%d>" % part.partialBegin
            data = data[part.partialBegin : part.partialBegin + part.partialLength]
        write(b"BODY" + name + b" " + (b"NIL" if data is None else _literal(data)))
        if not part.peek:
            self._seen(msg)

    def _seen(self, message: Message) -> None:
        """Fetching without PEEK marks as read; the client is told after the FETCH."""
        if self.mbox is not None and self.mbox.writeable and not message.seen:
            message.flags.add("\\Seen")
            self.mbox.store.touch(self.mbox.folder, message)


def _section(part: Any, path: list[int], raw: bytes) -> bytes:
    if not path and part.empty:
        return raw
    entity = Entity.parse(raw).part(path)
    if part.mime:
        return entity.header
    if part.empty:
        return entity.body
    inner = entity.enclosed if path else entity
    if part.text:
        return inner.body
    if part.header.fields:
        names = [name.decode("ascii", "replace") for name in part.header.fields]
        return header_fields(inner.header, names, without=part.header.negate)
    return inner.header


def _section_name(part: Any, path: list[int]) -> bytes:
    words = [".".join(map(str, path))] if path else []
    if part.text:
        words.append("TEXT")
    elif part.mime:
        words.append("MIME")
    elif part.header:
        fields = [name.decode("ascii", "replace") for name in part.header.fields or ()]
        kind = "HEADER.FIELDS.NOT" if part.header.negate else "HEADER.FIELDS"
        words.append(f"{kind} ({' '.join(fields)})" if fields else "HEADER")
    return b"[" + ".".join(words).encode() + b"]"


def _literal(data: bytes) -> bytes:
    return b"{%d}\r\n" % len(data) + data
