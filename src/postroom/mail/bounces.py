"""What a bounce says: which message it speaks of, whom that did not reach, and whether trying again makes sense.

Reports by the standard (RFC 3464 in RFC 6522) are read here; the freehand ones by flufl.bounce, which knows the
habits of some twenty servers. Status codes are those of RFC 3463. Hostile input never raises.

Anybody can write a report. Act on one only when an id of it is of a message that was sent to this very recipient.
"""

from __future__ import annotations

import re
from base64 import b64decode
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from email import message_from_bytes
from email.message import Message as Part
from email.policy import compat32
from enum import StrEnum
from typing import Any

from flufl.bounce import all_failures

from postroom.mail.bounce_words import FAILED_SUBJECT, FULL, GONE, WAITING
from postroom.mail.message import Message, decoded

_ID_FIELDS = ("Message-ID", "X-Microsoft-Original-Message-ID")
_ID = re.compile(r"<[^<>\s]{1,500}>")
_RETURNED_ID = re.compile(
    r"^[> \t]*(?:Message-ID|X-Microsoft-Original-Message-ID):[ \t]*(?:\r?\n[> \t]+)?(<[^<>\s]{1,500}>)",
    re.IGNORECASE | re.MULTILINE,
)
_STATUS = re.compile(r"(?<![\d.])([245]\.\d{1,3}\.\d{1,3})(?![\d.])")
_REPLY = re.compile(r"(?<![\d.])([45])[0-5]\d(?=[ -])")
_ADDRESS = re.compile(r"[^\s<>\"'(),;:]{1,64}@[A-Za-z0-9.-]{1,253}[A-Za-z0-9]")
_NOTHING_SENT = frozenset({"delivered", "relayed", "expanded"})
# What the parser and the detectors raise on input that was made to break them.
_HOSTILE = (ValueError, LookupError, TypeError, AttributeError, RecursionError, AssertionError)
# Of a report, in bytes: what it says of the message stands before the message it returns.
_MOST = 300_000


class Severity(StrEnum):
    """What a failure says of the address."""

    HARD = "hard"
    """The address takes no mail: send there no more."""
    SOFT = "soft"
    """Not now: full, busy, late."""
    UNKNOWN = "unknown"
    """This message was refused, and the address may well be good: policy, size, spam, or no reason given."""


@dataclass(frozen=True, slots=True)
class Failure:
    """One recipient that was not reached."""

    recipient: str
    """Bare address, as it was sent to where the report tells, in lower case."""
    severity: Severity
    status: str = ""
    """RFC 3463, such as `5.1.1`; empty when the report has none."""
    words: str = ""
    """The server's, on one line."""


@dataclass(frozen=True, slots=True)
class Bounce:
    """A report. `message_ids` with angle brackets, the surest first: any may be ours or the server's."""

    failures: tuple[Failure, ...]
    message_ids: tuple[str, ...] = ()
    envelope_id: str = ""
    """ENVID, where we gave one (RFC 3461 section 4.4)."""
    standard: bool = True
    """By RFC 3464; otherwise guessed from the text."""


def read_bounce(message: Message) -> Bounce | None:
    """None for what is no bounce, a report of success among them."""
    try:
        tree = message_from_bytes(message.raw[:_MOST], policy=compat32)
        reported = tuple(_reported(tree))
        if reported:
            failures = tuple(failure for action, failure in reported if action not in _NOTHING_SENT)
            ids = _ids(message, tree)
            return Bounce(failures, ids, _envelope_id(tree)) if failures else None
        if not _looks_like_one(message):
            return None
        failures = tuple(_guessed(message, tree))
        return Bounce(failures, _ids(message, tree), standard=False) if failures else None
    except _HOSTILE:
        return None


def severity_of(status: str, words: str = "", action: str = "failed") -> Severity:
    """From status code and the server's words, both of which may be empty."""
    if action == "delayed" or status.startswith("4"):
        return Severity.SOFT
    # 5.2.2 full, 5.4.7 given up after many tries: permanent for this message, not for the address.
    if status in {"5.2.2", "5.4.7"} or FULL.search(words):
        return Severity.SOFT
    # 5.1.x the address is wrong, has moved or is unknown; 5.2.1 switched off. 5.1.7 and 5.1.8 blame the sender.
    if (status.startswith("5.1.") and status not in {"5.1.7", "5.1.8"}) or status == "5.2.1":
        return Severity.HARD
    # 5.7.x is policy; Exchange answers 5.4.1 "Recipient address rejected" for an unknown one.
    if status.startswith("5.7.") or not GONE.search(words):
        return Severity.UNKNOWN
    return Severity.HARD


def _walk(tree: Part, *, into_messages: bool = True) -> Iterator[Part]:
    waiting = [tree]
    while waiting:
        part = waiting.pop()
        yield part
        if part.is_multipart() and (into_messages or part.get_content_maintype() == "multipart"):
            children: Any = part.get_payload()
            waiting.extend(reversed(children))


def _reported(tree: Part) -> Iterator[tuple[str, Failure]]:
    """Action and failure of each recipient block."""
    for block in _blocks(tree):
        recipient = _recipient(block)
        action = str(block.get("Action", "")).split("(")[0].strip().lower()
        if not recipient or not action:
            continue
        words = _one_line(str(block.get("Diagnostic-Code", "")).partition(";")[2])
        match = _STATUS.search(str(block.get("Status", "")))
        status = match.group(1) if match else ""
        # Many servers give 5.0.0 and put the true code into their words.
        spoken = _STATUS.search(words)
        if spoken and status in {"", "4.0.0", "5.0.0"}:
            status = spoken.group(1)
        yield action, Failure(recipient, severity_of(status, words, action), status, words)


def _blocks(tree: Part) -> Iterator[Part]:
    """The header blocks of every message/delivery-status (and its internationalised form, RFC 6533).

    Not of a report that lies in an attached message: who sends one on does not report.
    """
    for part in _walk(tree, into_messages=False):
        if part.get_content_type() not in {"message/delivery-status", "message/global-delivery-status"}:
            continue
        children: Any = part.get_payload() if part.is_multipart() else []
        if str(part.get("Content-Transfer-Encoding", "")).strip().lower() == "base64":
            yield from _encoded_blocks("".join(str(child.get_payload()) for child in children))
        else:
            yield from children


def _encoded_blocks(text: str) -> Iterator[Part]:
    """Some gateways encode the part, against RFC 3464 section 2.1; the parser then takes the code for blocks."""
    plain = b64decode(text.encode("ascii", "ignore"))
    for block in re.split(rb"\r?\n[ \t]*\r?\n", plain):
        yield message_from_bytes(block, policy=compat32)


def _recipient(block: Part) -> str:
    for name in ("Original-Recipient", "Final-Recipient"):
        value = str(block.get(name, ""))
        kind, _, address = value.rpartition(";")
        found = _ADDRESS.search(address)
        if found and kind.strip().lower() in {"rfc822", "utf-8", ""}:
            return found.group().lower()
    return ""


def _envelope_id(tree: Part) -> str:
    for block in _blocks(tree):
        value = str(block.get("Original-Envelope-Id", "")).strip()
        if value:
            return value
    return ""


def _ids(message: Message, tree: Part) -> tuple[str, ...]:
    """Of the returned message first, then what the report says it answers."""
    found: list[str] = []
    returned = [part for part in _walk(tree) if part is not tree]
    for part in returned:
        for name in _ID_FIELDS:
            found += _ID.findall(str(part.get(name, "")))
        if part.get_content_type() == "text/rfc822-headers":
            found += _RETURNED_ID.findall(_text(part))
    if not found:
        for part in returned or [tree]:
            if part.get_content_maintype() == "text":
                found += _RETURNED_ID.findall(_text(part))
    for name in ("X-Original-Message-ID", "In-Reply-To", "References"):
        found += reversed(_ID.findall(message.header(name)[-5000:]))
    return tuple(dict.fromkeys(one for one in found if one != message.message_id))


def _looks_like_one(message: Message) -> bool:
    """A freehand report: from a machine, or with a return path that is empty, and a subject that says so."""
    sender = message.sender
    local = sender.mailbox.partition("@")[0].lower() if sender else ""
    if local in {"mailer-daemon", "postmaster", "mail-daemon", "maildaemon"} or local.startswith("microsoftexchange"):
        return True
    if message.header("X-Failed-Recipients"):
        return True
    path = message.parts.value("Return-Path")
    return path is not None and path.strip() == "<>" and bool(FAILED_SUBJECT.search(message.subject))


def _guessed(message: Message, tree: Part) -> Iterator[Failure]:
    text = "\n".join(_text(part) for part in _walk(tree) if part.get_content_maintype() == "text")
    delayed, failed = (_plain(found) for found in all_failures(tree))
    named = _ADDRESS.findall(message.header("X-Failed-Recipients"))
    if not (delayed or failed or named) and FAILED_SUBJECT.search(message.subject):
        failed = _spoken_of(message, text)
    for recipient in dict.fromkeys(one.lower() for one in (*named, *failed, *delayed)):
        words = _near(recipient, text)
        status = _STATUS.search(words)
        code = status.group(1) if status else ""
        reply = _REPLY.search(words)
        action = "delayed" if recipient in delayed or WAITING.search(message.subject) else "failed"
        if not code and reply and reply.group(1) == "4":
            action = "delayed"
        yield Failure(recipient, severity_of(code, words, action), code, words)


def _plain(found: Iterable[bytes]) -> tuple[str, ...]:
    texts = (one.decode("ascii", "replace").strip().lower() for one in found)
    return tuple(sorted(text for text in texts if _ADDRESS.fullmatch(text)))


def _spoken_of(message: Message, text: str) -> tuple[str, ...]:
    """The first address in the report's own words, when it is neither its sender nor its recipient."""
    own = {address.key for address in message.addresses("From", "To", "Cc")}
    before_the_copy = re.split(r"(?im)^[> \t]*(?:received|message-id|return-path):", text, maxsplit=1)[0]
    others = [one for one in _ADDRESS.findall(before_the_copy) if one.casefold() not in own]
    return tuple(others[:1])


def _near(recipient: str, text: str) -> str:
    """The words on the line of the address and those that follow, up to another address or the returned message."""
    lines = text.splitlines()
    for at, line in enumerate(lines):
        if recipient in line.lower() and not re.match(r"[> \t]*(?:to|cc|delivered-to):", line, re.IGNORECASE):
            near = lines[at : at + 6]
            end = next((n for n, other in enumerate(near) if n and _of_another(other, recipient)), len(near))
            return _one_line(" ".join(near[:end]))
    return ""


def _of_another(line: str, recipient: str) -> bool:
    addresses = [found.lower() for found in _ADDRESS.findall(line)]
    return line.startswith("---") or bool(addresses and recipient not in addresses)


def _text(part: Part) -> str:
    payload: Any = part.get_payload(decode=True)
    if not isinstance(payload, bytes):
        return ""
    charset = str(part.get_content_charset() or "utf-8")
    try:
        return payload.decode(charset, "replace")
    except (LookupError, ValueError):
        return payload.decode("utf-8", "replace")


def _one_line(words: str) -> str:
    return " ".join(decoded(words).split())[:1000]
