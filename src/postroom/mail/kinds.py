"""What a message in the inbox is: a bounce, a robot's, a reply to something of ours, or new mail."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum

from postroom.mail.autoreplies import Automatic, automatic
from postroom.mail.bounces import Bounce, read_bounce
from postroom.mail.message import Message
from postroom.mail.threads import Traces, answered, traces


class Kind(StrEnum):
    BOUNCE = "bounce"
    AUTOMATIC = "automatic"
    REPLY = "reply"
    NEW = "new"


@dataclass(frozen=True, slots=True)
class Sorted:
    """The kind, and what it rests on."""

    kind: Kind
    traces: Traces
    bounce: Bounce | None = None
    automatic: Automatic | None = None


def sort(message: Message, own: Collection[str], sent: Collection[str]) -> Sorted:
    """`own`: bare addresses of ours. `sent`: those Message-IDs of ours, or the server's, that the caller knows of.

    `sent` needs to hold only what `traces` finds: look these up first. Never raises.
    """
    found = traces(message, own)
    bounce = read_bounce(message)
    if bounce:
        return Sorted(Kind.BOUNCE, found, bounce=bounce)
    robot = automatic(message, own)
    if robot:
        return Sorted(Kind.AUTOMATIC, found, automatic=robot)
    ours = bool(answered(found, sent) or found.tokens)
    return Sorted(Kind.REPLY if ours else Kind.NEW, found)
