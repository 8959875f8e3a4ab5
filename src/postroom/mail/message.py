"""A message that came from anywhere: looked at without ever raising, whatever is in it."""

from __future__ import annotations

import re
from base64 import b64decode
from binascii import a2b_qp
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from email import message_from_bytes
from email.message import Message as _Parsed
from email.policy import compat32
from email.utils import getaddresses, parsedate_to_datetime
from functools import cached_property, lru_cache
from typing import Any

from postroom.mail.addresses import Address
from postroom.mail.headers import Split, split, unfold

_ENCODED_WORD = re.compile(r"=\?(?P<charset>[^?*\s]+)(?:\*[^?\s]*)?\?(?P<encoding>[bBqQ])\?(?P<text>[^?]*)\?=")
_MESSAGE_ID = re.compile(r"<[^<>\s]+>")
_SHORT = 500
"""Characters of address fields whose reading is remembered."""


@dataclass(frozen=True, slots=True)
class Attachment:
    """A part that is not the text to read. `size` is of the decoded content, in bytes."""

    filename: str
    content_type: str
    content: bytes
    content_id: str = ""

    @property
    def size(self) -> int:
        return len(self.content)


class Message:
    """One message and its views; every view gives something for every input."""

    def __init__(self, raw: bytes) -> None:
        self.raw = raw

    @property
    def size(self) -> int:
        """In bytes, as it is."""
        return len(self.raw)

    @cached_property
    def parts(self) -> Split:
        return split(self.raw)

    @cached_property
    def headers(self) -> tuple[tuple[str, str], ...]:
        """Names as written and decoded values, in order."""
        return tuple(
            (field.partition(b":")[0].decode("ascii", "replace").strip(), decoded(unfold(field)))
            for field in self.parts.fields
        )

    def header(self, name: str) -> str:
        """The first of this name, decoded; empty when there is none."""
        value = self.parts.value(name)
        return decoded(value) if value is not None else ""

    def addresses(self, *names: str) -> tuple[Address, ...]:
        """All in these fields, in order; what is no address is left out."""
        values = tuple(unfold(field) for name in names for field in self.parts.named(name))
        short = sum(map(len, values)) <= _SHORT
        return _parsed_before(values) if short else _parsed(values)

    @property
    def subject(self) -> str:
        return self.header("Subject")

    @property
    def sender(self) -> Address | None:
        """The first address of From."""
        return next(iter(self.addresses("From")), None)

    @property
    def message_id(self) -> str:
        """With angle brackets; empty when there is none that is well-formed."""
        match = _MESSAGE_ID.search(self.header("Message-ID"))
        return match.group() if match else ""

    @property
    def date(self) -> datetime | None:
        """In UTC; None when absent or nonsense."""
        try:
            date = parsedate_to_datetime(self.header("Date"))
            return (date.replace(tzinfo=UTC) if date.tzinfo is None else date).astimezone(UTC)
        except (ValueError, TypeError, IndexError, OverflowError):
            return None

    @cached_property
    def _tree(self) -> _Parsed:
        # compat32: the modern policies parse Content-Type while they read, and raise on some hostile ones.
        try:
            return message_from_bytes(self.raw, policy=compat32)
        except (ValueError, LookupError, TypeError, RecursionError):
            return _Parsed(policy=compat32)

    @property
    def content_type(self) -> str:
        """Of the whole, in lower case, such as `multipart/signed`."""
        return _content_type(self._tree)

    def text(self) -> str:
        """The first plain text that is not attached; empty when there is none."""
        return self._first("text/plain")

    def html(self) -> str:
        """The first HTML that is not attached, as it came: never show it to a person unsanitised."""
        return self._first("text/html")

    def attachments(self) -> tuple[Attachment, ...]:
        """Every leaf that is attached, or is neither plain text nor HTML."""
        return tuple(
            Attachment(
                filename=_filename(part),
                content_type=_content_type(part),
                content=_content(part),
                content_id=str(part.get("Content-ID", "")).strip(),
            )
            for part in self._leaves()
            if _is_attached(part) or _content_type(part) not in {"text/plain", "text/html"}
        )

    def _first(self, content_type: str) -> str:
        # What an attached message says, the sender of this one did not.
        for part in self._leaves(into_messages=False):
            if _content_type(part) == content_type and not _is_attached(part):
                return _text(part)
        return ""

    def _leaves(self, *, into_messages: bool = True) -> Iterator[_Parsed]:
        waiting: list[_Parsed] = [self._tree]
        while waiting:
            part = waiting.pop()
            if part.is_multipart() and not into_messages and _content_type(part).startswith("message/"):
                continue
            if part.is_multipart():
                children: Any = part.get_payload()
                waiting.extend(reversed(children))
            else:
                yield part


def _parsed(values: tuple[str, ...]) -> tuple[Address, ...]:
    try:
        found = getaddresses(list(values))
    except (ValueError, IndexError, TypeError):  # the parser's own bugs on hostile input
        return ()
    return tuple(Address(box, decoded(name)) for name, box in found if "@" in box.strip("@"))


_parsed_before = lru_cache(maxsize=1024)(_parsed)
"""A program sends from the same address again and again, and the parser is slow."""


def decoded(value: str) -> str:
    """A header's value with its encoded-words (RFC 2047) read; what cannot be read stays as it is.

    Characters that a sender cut in two, one half in each of two neighbouring words, are put together.
    """
    if "=?" not in value:
        return value
    shown: list[str] = []
    charset, held, at = "", b"", 0
    for word in _ENCODED_WORD.finditer(value):
        between = value[at : word.start()]
        if not held or between.strip() or word["charset"].lower() != charset:
            shown += [_text_of(held, charset), "" if held and not between.strip() else between]
            held = b""
        charset = word["charset"].lower()
        held += _bytes_of(word)
        at = word.end()
    return "".join([*shown, _text_of(held, charset), value[at:]])


def _bytes_of(word: re.Match[str]) -> bytes:
    text = word["text"].encode("utf-8", "replace")
    if word["encoding"] in "qQ":
        return a2b_qp(text, header=True)
    try:
        return b64decode(text + b"=" * (-len(text) % 4))
    except ValueError:
        return word.group().encode("utf-8", "replace")


def _text_of(content: bytes, charset: str) -> str:
    try:
        return content.decode(charset or "utf-8", "replace")
    except (LookupError, ValueError):
        return content.decode("utf-8", "replace")


def _content_type(part: _Parsed) -> str:
    try:
        return part.get_content_type()
    except (ValueError, LookupError, TypeError, AttributeError):
        return "application/octet-stream"


def _is_attached(part: _Parsed) -> bool:
    try:
        return part.get_content_disposition() == "attachment" or bool(_filename(part))
    except (ValueError, LookupError, TypeError, AttributeError):
        return True


def _filename(part: _Parsed) -> str:
    try:
        return decoded(part.get_filename() or "")
    except (ValueError, LookupError, TypeError, AttributeError):
        return ""


def _content(part: _Parsed) -> bytes:
    try:
        payload = part.get_payload(decode=True)
    except (ValueError, LookupError, TypeError):
        return b""
    return payload if isinstance(payload, bytes) else b""


def _text(part: _Parsed) -> str:
    try:
        charset = str(part.get_content_charset() or "utf-8")
    except (LookupError, ValueError, TypeError, AttributeError):
        charset = "utf-8"
    return _text_of(_content(part), charset)
