"""Ids of messages: milliseconds since 1970 and 22 bits of chance, so that they sort by time. Pure but for the chance.

Made by whoever accepts, without asking the database: several processes may accept at once, and all rows of a message
are written in one go.
"""

from __future__ import annotations

import secrets
from datetime import UTC, datetime

_CHANCE = 22


def new_id(at: datetime) -> int:
    """63 bits. Two of the same millisecond collide once in four million; the key in the table would tell."""
    return (_milliseconds(at) << _CHANCE) | secrets.randbits(_CHANCE)


def first_id(at: datetime) -> int:
    """The lowest that a message of this moment can have: what is below is older."""
    return _milliseconds(at) << _CHANCE


def moment(message_id: int) -> datetime:
    return datetime.fromtimestamp((message_id >> _CHANCE) / 1000, UTC)


def _milliseconds(at: datetime) -> int:
    return int(at.timestamp() * 1000)
