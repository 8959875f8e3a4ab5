"""SEARCH (RFC 9051 section 6.4.4): search keys made into one test. Pure.

Twisted's own search does not look into headers with TEXT, fails on dates, and stays silent when nothing is found.
"""

from __future__ import annotations

import email
import email.header
import email.message
import email.policy
import email.utils
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

from twisted.mail.imap4 import IMAP4Exception, parseIdList

from m365lab.mailstore import Message


class BadSearch(ValueError):
    """The search keys cannot be understood."""


@dataclass(frozen=True)
class Candidate:
    """A message as its folder's view numbers it."""

    number: int
    message: Message


@dataclass(frozen=True)
class Highest:
    """What `*` stands for."""

    number: int
    uid: int


Test = Callable[[Candidate], bool]

_FLAGS = {
    "ANSWERED": "\\Answered",
    "DELETED": "\\Deleted",
    "DRAFT": "\\Draft",
    "FLAGGED": "\\Flagged",
    "SEEN": "\\Seen",
    "RECENT": "\\Recent",
}
_ADDRESSES = {"FROM", "TO", "CC", "BCC", "SUBJECT"}
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")


def compile_keys(keys: list[Any], highest: Highest) -> Test:
    """All of `keys` (as Twisted parses them: bytes and nested lists) as one test. Raises `BadSearch`."""
    rest = list(keys)
    tests: list[Test] = []
    while rest:
        tests.append(_key(rest, highest))
    if not tests:
        raise BadSearch("no search key")
    return lambda candidate: all(test(candidate) for test in tests)


def _key(rest: list[Any], highest: Highest) -> Test:
    """Takes one key with its arguments off `rest`."""
    if not rest:
        raise BadSearch("a search key is missing")
    first = rest.pop(0)
    if isinstance(first, list):
        return compile_keys(first, highest)
    name = _word(first).upper()
    if name == "NOT":
        inner = _key(rest, highest)
        return lambda candidate: not inner(candidate)
    if name == "OR":
        either, other = _key(rest, highest), _key(rest, highest)
        return lambda candidate: either(candidate) or other(candidate)
    if name[:1].isdigit() or name[:1] == "*":
        numbers = _ids(first, highest.number)
        return lambda candidate: candidate.number in numbers
    return _named(name, rest, highest)


def _named(name: str, rest: list[Any], highest: Highest) -> Test:
    if name in {"ALL", "OLD"}:
        return lambda _: True
    if name == "NEW":
        return lambda _: False  # Exchange's folders show no \Recent
    positive = name.removeprefix("UN")
    if positive in _FLAGS:
        flag, wanted = _FLAGS[positive], positive == name
        return lambda candidate: (flag in candidate.message.flags) is wanted
    if name == "UID":
        uids = _ids(_argument(rest), highest.uid)
        return lambda candidate: candidate.message.uid in uids
    if positive == "KEYWORD":
        keyword, wanted = _word(_argument(rest)).lower(), positive == name
        return lambda candidate: (keyword in {f.lower() for f in candidate.message.flags}) is wanted
    if name in {"LARGER", "SMALLER"}:
        size = _number(_argument(rest))
        return lambda candidate: (
            len(candidate.message.raw) > size if name == "LARGER" else len(candidate.message.raw) < size
        )
    if name in {"BODY", "TEXT", "HEADER"} or name in _ADDRESSES:
        return _text_test(name, rest)
    return _date_test(name, rest)


def _text_test(name: str, rest: list[Any]) -> Test:
    field = _word(_argument(rest)) if name == "HEADER" else name
    needle = _word(_argument(rest)).lower()
    if name in {"BODY", "TEXT"}:
        return lambda candidate: needle in _readable(candidate.message, with_header=name == "TEXT")
    return lambda candidate: any(needle in value for value in _values(candidate.message, field))


def _date_test(name: str, rest: list[Any]) -> Test:
    if name.removeprefix("SENT") not in {"BEFORE", "ON", "SINCE"}:
        raise BadSearch(f"no search key {name}")
    day, way, sent = _day(_argument(rest)), name.removeprefix("SENT"), name.startswith("SENT")

    def test(candidate: Candidate) -> bool:
        when = _sent_on(candidate.message) if sent else _received_on(candidate.message)
        if when is None:
            return False
        return when < day if way == "BEFORE" else when == day if way == "ON" else when >= day

    return test


def _header(message: Message) -> email.message.Message:
    """The header alone; bytes outside ASCII are read as UTF-8 (RFC 6532)."""
    text = message.raw.partition(b"\r\n\r\n")[0].decode("utf-8", "replace")
    return email.message_from_string(text, policy=email.policy.compat32)


def _values(message: Message, field: str) -> list[str]:
    header = _header(message)
    return [_decoded(str(value)) for value in header.get_all(field, [])]


def _decoded(value: str) -> str:
    try:
        return str(email.header.make_header(email.header.decode_header(value))).lower()
    except (ValueError, LookupError):
        return value.lower()


def _readable(message: Message, *, with_header: bool) -> str:
    parsed = email.message_from_bytes(message.raw, policy=email.policy.compat32)
    pieces = [_decoded(str(value)) for value in _header(message).values()] if with_header else []
    for part in parsed.walk():
        if part.get_content_maintype() == "text":
            content = part.get_payload(decode=True)
            pieces.append(content.decode("utf-8", "replace").lower() if isinstance(content, bytes) else "")
    return "\n".join(pieces)


def _received_on(message: Message) -> date:
    return datetime.fromtimestamp(message.received_at, UTC).date()


def _sent_on(message: Message) -> date | None:
    header = _header(message)
    try:
        return email.utils.parsedate_to_datetime(str(header.get("Date", ""))).date()
    except ValueError:
        return None


def _argument(rest: list[Any]) -> Any:
    if not rest:
        raise BadSearch("a search key lacks its argument")
    return rest.pop(0)


def _word(value: Any) -> str:
    if value is None:  # Twisted's parser takes the atom NIL for nothing
        return "NIL"
    if not isinstance(value, bytes):
        raise BadSearch("a search key's argument is a list")
    return value.decode("utf-8", "replace")


def _number(value: Any) -> int:
    word = _word(value)
    if not word.isdigit():
        raise BadSearch(f"{word} is not a number")
    return int(word)


def _ids(value: Any, highest: int) -> Any:
    try:
        ids = parseIdList(value)
    except (IMAP4Exception, ValueError, TypeError) as error:
        raise BadSearch("bad message set") from error
    ids.last = highest
    return ids


def _day(value: Any) -> date:
    try:
        day, month, year = _word(value).strip().split("-")
        return date(int(year), 1 + _MONTHS.index(month.lower()), int(day))
    except ValueError as error:
        raise BadSearch("a date is written 1-Feb-2026") from error
