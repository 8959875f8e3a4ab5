"""Looking in Sent Items for messages of unknown fate, before anything is sent again.

Each message carries its id in a field of its own (`checks.PASSED`), which its copy in Sent Items keeps; where that is
missing, the Message-ID decides: Exchange gives its own, and keeps ours beside it (facts 8).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from postroom.core.faults import Fault
from postroom.mail.message import Message
from postroom.mailboxes import connect
from postroom.mailboxes.connect import Ready
from postroom.outbox.checks import PASSED
from postroom.outbox.store import Uncertain
from postroom.transports.base import GraphRoute, ImapRoute, Reader, ReadRoute
from postroom.transports.folders import SENT
from postroom.transports.opening import open_reader

_ORIGINAL = "X-Microsoft-Original-Message-ID"
_FIRST_LOOK = 50
_LONGEST_LOOK = 3200
_OTHERS = 100
"""Copies that may lie above ours although they are older: clocks differ, folders are not sorted to the second."""
_PER_MINUTE = 30.0
"""What a mailbox of Microsoft's may send (facts 6); used where the mailbox names no limit."""


@dataclass(frozen=True, slots=True)
class Look:
    """What was seen."""

    found: dict[int, str]
    """Id of the message -> the server's Message-ID."""
    complete: bool
    """Whether the look reached back to before the oldest attempt: then what was not found is not there."""


def sent_items(prepared: Ready) -> ReadRoute | None:
    """The way to the folder of sent mail; None where there is none to look at: POP3 sees no other folder, a mailbox
    that does not read cannot look, and by Graph the copy may have been switched off."""
    whole = prepared.whole
    if whole.send_by == "graph" and not whole.save_to_sent:
        return None
    try:
        route = connect.read_route(prepared)
    except Fault:
        return None
    if isinstance(route, ImapRoute | GraphRoute):
        return replace(route, folder=SENT)
    return None


def depth(sought: Sequence[Uncertain], per_minute: float | None, now: datetime) -> int:
    """How many of the newest copies must be seen: as many as the mailbox may have sent since the oldest attempt.

    Not told by the date in the header: a message that waited has an old one.
    """
    minutes = max((now - min(one.since for one in sought)).total_seconds(), 0.0) / 60
    return _OTHERS + len(sought) + int(minutes * (per_minute or _PER_MINUTE))


async def look(route: ReadRoute, sought: Sequence[Uncertain], depth: int) -> Look:
    """Reads the newest messages until all are found, or `depth` of them are seen.

    Raises `Refused` when the folder cannot be read.
    """
    reader = open_reader(route)
    try:
        await reader.open()
        return await _look(reader, sought, depth)
    finally:
        await reader.close()


async def _look(reader: Reader, sought: Sequence[Uncertain], depth: int) -> Look:
    by_mark = {str(one.id): one.id for one in sought}
    by_message_id = {one.message_id: one.id for one in sought if one.message_id}
    found: dict[int, str] = {}
    seen: set[str] = set()
    size = _FIRST_LOOK
    while True:
        items = await reader.newest(size)
        for item in items:
            if item.uid in seen:
                continue
            seen.add(item.uid)
            copy = Message(await reader.fetch(item.uid))
            one = _whose(copy, by_mark, by_message_id)
            if one is not None:
                found.setdefault(one, copy.message_id)
        if len(items) < size or size >= depth or len(found) == len(sought):
            return Look(found, True)
        if size >= _LONGEST_LOOK:
            return Look(found, False)
        size = min(size * 4, max(depth, size + 1), _LONGEST_LOOK)


def _whose(copy: Message, by_mark: dict[str, int], by_message_id: dict[str, int]) -> int | None:
    mark = copy.header(PASSED.decode())
    if mark:
        return by_mark.get(mark)
    return by_message_id.get(copy.header(_ORIGINAL) or copy.message_id)
