"""A mailbox's folders as one IMAP session sees them: sequence numbers, and what the client has yet to be told.

Sequence numbers belong to a session: a message that another client removed keeps its number here until this client
was told so by EXPUNGE (RFC 9051 section 7.5.1).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from twisted.mail.imap4 import IllegalOperation, MailboxException, MessageSet

from m365lab.exchange import Mailbox
from m365lab.imap.search import Candidate, Highest, Test, compile_keys
from m365lab.mailstore import Folder, Mailstore, Message

SYSTEM_FLAGS = ("\\Seen", "\\Answered", "\\Flagged", "\\Deleted", "\\Draft")
_CANONICAL = {flag.lower(): flag for flag in SYSTEM_FLAGS}
# Special-use attributes by Graph's well-known name (RFC 6154); that Exchange shows them without announcing
# SPECIAL-USE is [U].
_ATTRIBUTES = {
    "sentitems": "\\Sent",
    "drafts": "\\Drafts",
    "deleteditems": "\\Trash",
    "junkemail": "\\Junk",
    "archive": "\\Archive",
}


class View:
    """One folder, opened. Fits where Twisted wants an `IMailboxIMAP`."""

    def __init__(self, store: Mailstore, folder: Folder, *, writeable: bool) -> None:
        self.store, self.folder, self.writeable = store, folder, writeable
        self._uids = list(folder.messages)
        self._told = {uid: frozenset(message.flags) for uid, message in folder.messages.items()}
        self._listener: Any = None

    # What Twisted asks for.

    def addListener(self, listener: Any) -> None:
        """`listener.folder_changed()` is called after each change by anyone."""
        self._listener = listener
        self.store.watchers.append(self._changed)

    def removeListener(self, listener: Any) -> None:
        if self._listener is not None:
            self.store.watchers.remove(self._changed)
            self._listener = None

    def isWriteable(self) -> bool:
        return self.writeable

    def fetch(self, messages: MessageSet, uid: int) -> list[tuple[int, Message]]:
        """Those of `messages` that are still here, with their sequence numbers."""
        messages.last = (self._uids or [0])[-1] if uid else len(self._uids)
        return [
            (number, self.folder.messages[one])
            for number, one in enumerate(self._uids, 1)
            if (one if uid else number) in messages and one in self.folder.messages
        ]

    def store_flags(self, messages: MessageSet, flags: Iterable[str], mode: int, uid: int) -> list[tuple[int, Message]]:
        """Adds (1), removes (-1) or sets (0) flags. Raises `IllegalOperation` when opened by EXAMINE."""
        if not self.writeable:
            raise IllegalOperation("the folder is open read-only")
        given = {_CANONICAL.get(flag.lower(), flag) for flag in flags} - {"\\Recent"}
        changed = self.fetch(messages, uid)
        for _, message in changed:
            before = set(message.flags)
            self.flag(message, before | given if mode > 0 else before - given if mode < 0 else given)
        return changed

    # What the session asks for.

    def __len__(self) -> int:
        return len(self._uids)

    def flag(self, message: Message, flags: set[str]) -> None:
        """Sets a message's flags; the client is told by the caller."""
        if flags != message.flags:
            message.flags = set(flags)
            self._told[message.uid] = frozenset(flags)
            self.store.touch(self.folder, message)

    def remove(self, messages: Iterable[Message]) -> None:
        for message in list(messages):
            self.store.remove(self.folder, message)

    def deleted(self) -> list[Message]:
        """What EXPUNGE removes."""
        return [message for message in self.folder.messages.values() if "\\Deleted" in message.flags]

    def search(self, keys: list[Any], *, uid: bool) -> list[int]:
        """Numbers or UIDs of what fits. Raises `BadSearch`."""
        test: Test = compile_keys(keys, Highest(len(self._uids), (self._uids or [0])[-1]))
        found = [
            Candidate(number, self.folder.messages[one])
            for number, one in enumerate(self._uids, 1)
            if one in self.folder.messages
        ]
        return [one.message.uid if uid else one.number for one in found if test(one)]

    def news(self, *, removals: bool) -> list[bytes]:
        """The untagged responses that bring the client up to date; `removals` is False where EXPUNGE may not go."""
        lines: list[bytes] = []
        if removals:
            for number in range(len(self._uids), 0, -1):
                if self._uids[number - 1] not in self.folder.messages:
                    self._told.pop(self._uids.pop(number - 1), None)
                    lines.append(b"%d EXPUNGE" % number)
        known = set(self._uids)
        new = [uid for uid in self.folder.messages if uid not in known]
        if new:
            self._uids += new
            self._told.update((uid, frozenset(self.folder.messages[uid].flags)) for uid in new)
            lines.append(b"%d EXISTS" % len(self._uids))
        for number, uid in enumerate(self._uids, 1):
            message = self.folder.messages.get(uid)
            if message is not None and self._told[uid] != message.flags:
                self._told[uid] = frozenset(message.flags)
                lines.append(b"%d FETCH (FLAGS %b)" % (number, flag_list(message.flags)))
        return lines

    def _changed(self, folder: Folder) -> None:
        if folder is self.folder and self._listener is not None:
            self._listener.folder_changed()


class Account:
    """A mailbox. Fits where Twisted wants an `IAccount`."""

    def __init__(self, mailbox: Mailbox) -> None:
        self.store = mailbox.store
        self._unsubscribed: set[str] = set()

    def select(self, name: str, rw: int = 1) -> View | None:
        folder = self.folder(name)
        return View(self.store, folder, writeable=bool(rw)) if folder else None

    def folder(self, name: str) -> Folder | None:
        """By IMAP's name only: INBOX in any case, the others as written."""
        return self.store.folders.get("INBOX" if name.upper() == "INBOX" else name)

    def create(self, name: str) -> bool:
        name = name.removesuffix("/")
        if not name or self.folder(name):
            raise MailboxException("Mailbox already exists")
        self.store.folders[name] = Folder(name)
        return True

    def delete(self, name: str) -> None:
        folder = self._own(name)
        for message in list(folder.messages.values()):
            self.store.remove(folder, message)
        del self.store.folders[folder.name]

    def rename(self, old: str, new: str) -> None:
        folder = self._own(old)
        if self.folder(new):
            raise MailboxException("Mailbox already exists")
        self.store.folders[new] = self.store.folders.pop(old)
        folder.name = new

    def subscribe(self, name: str) -> None:
        self._unsubscribed.discard(name)

    def unsubscribe(self, name: str) -> None:
        self._unsubscribed.add(name)

    def isSubscribed(self, name: str) -> bool:
        return name not in self._unsubscribed

    def listed(self, fits: Callable[[str], object]) -> list[tuple[str, list[bytes]]]:
        """Names and attributes of the folders whose name fits."""
        names = list(self.store.folders)
        found = []
        for name, folder in self.store.folders.items():
            if fits(name):
                has_children = any(other.startswith(f"{name}/") for other in names)
                attributes = [
                    "\\HasChildren" if has_children else "\\HasNoChildren",
                    _ATTRIBUTES.get(folder.well_known),
                ]
                found.append((name, [one.encode() for one in attributes if one]))
        return found

    def _own(self, name: str) -> Folder:
        """A folder that may be removed or renamed. Raises `MailboxException`."""
        folder = self.folder(name)
        if folder is None:
            raise MailboxException("Mailbox does not exist")
        if folder.well_known:
            raise MailboxException("The default folders cannot be removed")
        return folder


def flag_list(flags: Iterable[str]) -> bytes:
    return b"(" + " ".join(sorted(flags)).encode("ascii", "replace") + b")"
