"""Looking in Sent Items for messages of unknown fate, before anything is sent again.

Each message carries its id in a field of its own (`checks.PASSED`), which its copy in Sent Items keeps; where that is
missing, the Message-ID decides: Exchange gives its own, and keeps ours beside it (facts 8).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

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
GLANCE = 50
"""How many of the newest copies are looked at while there is still time for the copy to show."""
_LONGEST_LOOK = 5000
_OTHERS = 100
"""Copies that may lie above ours although they are older: folders are not sorted to the second."""
_PER_MINUTE = 30.0
"""What other programs may send through a mailbox of Microsoft's (facts 6)."""


NOT_THERE = "not in Sent Items: it was not taken, and is sent again"
NO_LOOK = "Sent Items of this mailbox cannot be looked at, so it is sent again; it may arrive twice"


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


def depth(seconds: float, ours: int) -> int:
    """How many of the newest copies must be seen before "not there" is true: what this mailbox may have sent in the
    `seconds` since the oldest attempt, by us (`ours` attempts) and by others.

    Not told by the date in the header: a message that waited has an old one.
    """
    return _OTHERS + ours + int(seconds / 60 * _PER_MINUTE)


class SentItems:
    """The folder of sent mail, as far as one lane has looked: each copy is read once."""

    def __init__(self) -> None:
        self._copies: dict[str, _Copy] = {}

    async def look(self, route: ReadRoute, sought: Sequence[Uncertain], depth: int) -> Look:
        """Looks at the newest copies until all are found or `depth` of them are seen; in a folder too full for that,
        searches by Message-ID.

        Raises `Refused` when the folder cannot be read.
        """
        reader = open_reader(route)
        try:
            await reader.open()
            return await self._look(reader, _Search(sought), depth)
        finally:
            await reader.close()

    async def _look(self, reader: Reader, search: _Search, depth: int) -> Look:
        size = GLANCE
        while search.left:
            items = await reader.newest(min(size, _LONGEST_LOOK))
            for item in items:
                search.see(await self._copy(reader, item.uid))
            if len(items) < size or size >= depth:
                break
            if size >= _LONGEST_LOOK:
                for message_id in search.left:
                    for item in await reader.find(message_id):
                        search.see(await self._copy(reader, item.uid))
                return Look(search.found, complete=False)
            size = min(size * 4, max(depth, size + 1))
        return Look(search.found, complete=True)

    async def _copy(self, reader: Reader, uid: str) -> _Copy:
        if uid not in self._copies:
            if len(self._copies) > 2 * _LONGEST_LOOK:
                self._copies.clear()
            message = Message(await reader.fetch(uid))
            original = message.header(_ORIGINAL) or message.message_id
            self._copies[uid] = _Copy(message.header(PASSED.decode()), original, message.message_id)
        return self._copies[uid]


@dataclass(frozen=True, slots=True)
class _Copy:
    """What tells whose copy it is."""

    mark: str
    original_id: str
    message_id: str


class _Search:
    """What is sought, and what was found so far."""

    def __init__(self, sought: Sequence[Uncertain]) -> None:
        self._by_mark = {str(one.id): one for one in sought}
        self._by_message_id = {one.message_id: one for one in sought if one.message_id}
        self.found: dict[int, str] = {}

    @property
    def left(self) -> list[str]:
        """Message-IDs of those not found."""
        return [one.message_id for one in self._by_mark.values() if one.id not in self.found]

    def see(self, copy: _Copy) -> None:
        one = self._by_mark.get(copy.mark) if copy.mark else self._by_message_id.get(copy.original_id)
        if one is not None:
            self.found.setdefault(one.id, copy.message_id)
