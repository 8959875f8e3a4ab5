"""Finding in a mailbox the message that a proof has sent."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from postroom.mail.message import Message
from postroom.transports.base import Reader

HEADER = "X-Postroom-Proof"
_LOOKED_AT = 10
"""How many of the newest messages are looked into when the Message-ID finds nothing."""


@dataclass(frozen=True, slots=True)
class Sought:
    """How to tell the message: by either Message-ID (Exchange may give its own, facts 8), or by the proof's mark."""

    message_ids: tuple[str, ...]
    mark: str


async def search(
    reader: Reader, sought: Sought, *, patience: float, poll: float, progress: Callable[[float], None]
) -> bytes | None:
    """The message as read, or None when it has not come within `patience` seconds. Raises `Refused`."""
    loop = asyncio.get_running_loop()
    begun = loop.time()
    known: set[str] = set()
    while True:
        found = await _look(reader, sought, known)
        if found is not None:
            return found
        waited = loop.time() - begun
        if waited >= patience:
            return None
        progress(waited)
        await reader.wait(min(poll, patience - waited))


async def _look(reader: Reader, sought: Sought, known: set[str]) -> bytes | None:
    for message_id in sought.message_ids:
        for item in await reader.find(message_id):
            return await reader.fetch(item.uid)
    for item in await reader.newest(_LOOKED_AT):
        if item.uid in known:
            continue
        known.add(item.uid)
        raw = await reader.fetch(item.uid)
        if sought.mark in Message(raw).header(HEADER):
            return raw
    return None
