"""Mailboxes as a store of messages: folders, UIDs, flags, ids for Graph, and a log of changes for delta and IDLE."""

from __future__ import annotations

import base64
import email
import email.policy
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from email.message import EmailMessage

WELL_KNOWN = {
    "inbox": "INBOX",
    "sentitems": "Sent Items",
    "drafts": "Drafts",
    "deleteditems": "Deleted Items",
    "junkemail": "Junk Email",
    "archive": "Archive",
}


def _graph_id() -> str:
    return "AAMk" + base64.urlsafe_b64encode(os.urandom(60)).decode().rstrip("=")


@dataclass
class Message:
    """One message in one folder."""

    raw: bytes
    received_at: float
    flags: set[str] = field(default_factory=set)
    """IMAP system flags and keywords, such as `\\Seen`."""
    uid: int = 0
    id: str = field(default_factory=_graph_id)
    """Graph's default id: another one after each move."""
    immutable_id: str = field(default_factory=_graph_id)
    is_draft: bool = False
    change: int = 0
    """Number of the latest change to it, in its mailbox's count."""
    added: int = 0
    """Number of the change that put it in its folder."""
    categories: list[str] = field(default_factory=list)
    """Outlook's coloured labels, which only Graph shows."""

    @property
    def parsed(self) -> EmailMessage:
        message = email.message_from_bytes(self.raw, policy=email.policy.default)
        if not isinstance(message, EmailMessage):
            raise TypeError("the default policy makes EmailMessage")
        return message

    @property
    def seen(self) -> bool:
        return "\\Seen" in self.flags


@dataclass
class Folder:
    """One folder. UIDs rise and are never used again (RFC 9051 section 2.3.1.1)."""

    name: str
    well_known: str = ""
    id: str = field(default_factory=_graph_id)
    uid_validity: int = field(default_factory=lambda: int(time.time()))
    uid_next: int = 1
    messages: dict[int, Message] = field(default_factory=dict)
    """By UID, in rising order."""


@dataclass
class Removal:
    """A tombstone: message `id` left `folder` at `change`."""

    folder: str
    id: str
    immutable_id: str
    change: int


Watcher = Callable[[Folder], None]


class Mailstore:
    """The contents of one mailbox."""

    def __init__(self, quota: int = 50 * 1024**3) -> None:
        self.quota = quota
        """Bytes that it may hold."""
        self.folders: dict[str, Folder] = {}
        self.removals: list[Removal] = []
        self.watchers: list[Watcher] = []
        """Called with the folder after each change to it: IDLE and the lab's own page hang here."""
        self.last_change = 0
        """Number of the latest change; each change gets the next one."""
        for well_known, name in WELL_KNOWN.items():
            self.folders[name] = Folder(name, well_known)

    @property
    def size(self) -> int:
        return sum(len(message.raw) for folder in self.folders.values() for message in folder.messages.values())

    def folder(self, key: str) -> Folder | None:
        """By name (INBOX in any case), Graph's well-known name, or Graph's id."""
        if key.upper() == "INBOX":
            return self.folders["INBOX"]
        for folder in self.folders.values():
            if key in {folder.name, folder.id} or key.lower() == folder.well_known:
                return folder
        return None

    def add(self, folder: Folder, message: Message) -> Message:
        """Puts a message in a folder under the next UID."""
        message.uid = folder.uid_next
        folder.uid_next += 1
        folder.messages[message.uid] = message
        message.added = self.last_change + 1
        self.touch(folder, message)
        return message

    def touch(self, folder: Folder, message: Message) -> None:
        """Notes that a message changed (flags, draft contents)."""
        self.last_change += 1
        message.change = self.last_change
        self._tell(folder)

    def remove(self, folder: Folder, message: Message) -> None:
        folder.messages.pop(message.uid, None)
        self.last_change += 1
        self.removals.append(Removal(folder.name, message.id, message.immutable_id, self.last_change))
        self._tell(folder)

    def move(self, source: Folder, message: Message, target: Folder) -> Message:
        """Moves: a new UID and a new default id, the same immutable id."""
        self.remove(source, message)
        moved = Message(
            message.raw,
            message.received_at,
            set(message.flags),
            immutable_id=message.immutable_id,
            is_draft=message.is_draft,
            categories=list(message.categories),
        )
        return self.add(target, moved)

    def find(self, graph_id: str) -> tuple[Folder, Message] | None:
        """The message with this default or immutable id."""
        for folder, message in self.everything():
            if graph_id in {message.id, message.immutable_id}:
                return folder, message
        return None

    def everything(self) -> Iterator[tuple[Folder, Message]]:
        for folder in self.folders.values():
            for message in list(folder.messages.values()):
                yield folder, message

    def _tell(self, folder: Folder) -> None:
        for watcher in list(self.watchers):
            watcher(folder)
