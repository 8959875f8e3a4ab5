"""Reading lines and messages off a connection, strictly: a line ends with CRLF, a message with CRLF.CRLF, no other way.

RFC 5321 sections 2.3.8, 4.1.1.4 and 4.5.2. Whatever two servers could read in two ways (SMTP smuggling, CVE-2023-51764
and its kin) is refused before it is anybody's message.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from postroom.bridge import replies
from postroom.bridge.parameters import Refused

_END = b"\r\n.\r\n"
# A CR or LF alone. A CR at the very end may still get its LF.
_BARE = re.compile(rb"(?<!\r)\n|\r(?=[^\n])")
_ALL_THERE_IS = 1 << 30


@dataclass(frozen=True, slots=True)
class Limits:
    """Bytes."""

    message: int
    line: int


async def read_line(read_until: Callable[[bytes], Awaitable[bytes]]) -> bytes:
    """One line with its CRLF. `read_until` is a stream reader's. Raises `Refused` for a CR or LF alone.

    It waits for LF, so that a program which sends nothing else hears at once what is wrong.
    """
    line = await read_until(b"\n")
    if _BARE.search(line):
        raise Refused(replies.BARE)
    return line


async def read_message(reader: asyncio.StreamReader, limits: Limits) -> bytes:
    """What comes after 354, without its end and with dots unstuffed (RFC 5321 section 4.5.2).

    Raises `Refused`: at once, with 521, for a CR or LF alone, as nothing that follows can be trusted; when all has
    come, for what is too large or has too long a line. `EOFError` when the connection ends before the message does.
    """
    got = bytearray(b"\r\n")  # the CRLF of DATA is the first half of the end of an empty message
    dropped = 0
    while True:
        chunk = await reader.read(_ALL_THERE_IS)
        if not chunk:
            raise EOFError
        start = max(0, len(got) - len(_END) + 1)
        got += chunk
        end = got.find(_END, start)
        if _has_bare(got, start, len(got) if end < 0 else end + 2):
            raise Refused(replies.BARE)
        if end >= 0:
            break
        if len(got) > limits.message + len(_END):
            dropped += len(got) - len(_END)
            del got[: -len(_END)]
    rest = bytes(got[end + len(_END) :])
    # The reader is empty, and nothing ran since: what was pipelined behind goes back to where it was.
    if rest and not reader.at_eof():
        reader.feed_data(rest)
    return _checked(bytes(got[2 : end + 2]), dropped, limits)


def _has_bare(got: bytearray, start: int, stop: int) -> bool:
    """Counting is ten times as fast as the pattern, and settles it for nearly every chunk."""
    pairs = got.count(b"\r\n", start, stop)
    if got.count(b"\n", start, stop) == pairs == got.count(b"\r", start, stop):
        return False
    return _BARE.search(got, start, stop) is not None


def _checked(stuffed: bytes, dropped: int, limits: Limits) -> bytes:
    if dropped or len(stuffed) > limits.message:
        raise Refused(replies.too_large(limits.message))
    if b"\0" in stuffed:
        raise Refused(replies.NUL)
    message = stuffed[1:] if stuffed.startswith(b".") else stuffed
    message = message.replace(b"\r\n.", b"\r\n")
    if _is_long(message, limits.line):
        raise Refused(replies.line_too_long(limits.line))
    return message


def _is_long(message: bytes, most: int) -> bool:
    """Whether a line has more than `most` bytes before its CRLF; looks at one place in each `most` bytes only."""
    at = 0
    while len(message) - at > most + 1:
        end = message.rfind(b"\r\n", at, at + most + 2)
        if end < 0:
            return True
        at = end + 2
    return False
