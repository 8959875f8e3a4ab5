"""Commands that Twisted lacks (ID, UNSELECT, MOVE, UID EXPUNGE) or answers too briefly (SELECT, LIST, APPEND ...)."""

from __future__ import annotations

import email.utils
from typing import IO, Any

from twisted.mail.imap4 import (
    IllegalClientResponse,
    IllegalOperation,
    IMAP4Server,
    MessageSet,
    _parseMbox,
    parseIdList,
    wildcardToRegexp,
)

from m365lab.imap.folder import SYSTEM_FLAGS, Account, View, flag_list
from m365lab.imap.search import BadSearch
from m365lab.imap.structure import quoted
from m365lab.mailstore import Message
from m365lab.tenant import Tenant

_NO_FOLDER = b"The requested folder could not be found."  # [U]
_ARGUMENTS = b"Command Argument Error. 11"  # [U]
_FULL = b"[OVERQUOTA] The mailbox is full."  # [U]


class Commands(IMAP4Server):
    """A mixin before `IMAP4Server`."""

    tenant: Tenant
    account: Account | None
    mbox: View | None

    def lookupCommand(self, cmd: bytes) -> Any:
        """Twisted's tables hold its own functions; they are looked up by name here, so that overriding works."""
        found = super().lookupCommand(cmd)
        return found and tuple(getattr(type(self), one.__name__) if callable(one) else one for one in found)

    # Folders.

    def deselect(self) -> None:
        if self.mbox is not None:
            self.mbox.removeListener(self)
            self.mbox = None

    def _selectWork(self, tag: bytes, name: bytes, rw: int, cmdName: bytes) -> None:
        self.deselect()
        self.state = "auth"
        view = self._account.select(_parseMbox(name), rw)
        if view is None:
            self.sendNegativeResponse(tag, _NO_FOLDER)
            return
        folder = view.folder
        flags = flag_list(SYSTEM_FLAGS)
        self.sendUntaggedResponse(b"%d EXISTS" % len(view))
        self.sendUntaggedResponse(b"0 RECENT")
        self.sendUntaggedResponse(b"FLAGS " + flags)
        permanent = flags[:-1] + b" \\*)" if rw else b"()"
        self.sendPositiveResponse(None, b"[PERMANENTFLAGS %b] Permanent flags" % permanent)
        unseen = view.search([b"UNSEEN"], uid=False)
        if unseen:
            self.sendPositiveResponse(None, b"[UNSEEN %d] Is the first unseen message" % unseen[0])
        self.sendPositiveResponse(None, b"[UIDVALIDITY %d] UIDVALIDITY value" % folder.uid_validity)
        self.sendPositiveResponse(None, b"[UIDNEXT %d] The next unique identifier value" % folder.uid_next)
        view.addListener(self)
        self.mbox, self.state = view, "select"
        self.sendPositiveResponse(tag, b"[READ-WRITE]" if rw else b"[READ-ONLY]")

    def do_CLOSE(self, tag: bytes) -> None:
        if self._view.writeable:
            self._view.remove(self._view.deleted())
        self.do_UNSELECT(tag)

    def do_UNSELECT(self, tag: bytes) -> None:
        """RFC 3691: leaves the folder and removes nothing."""
        self.deselect()
        self.state = "auth"
        self.sendPositiveResponse(tag)

    select_UNSELECT = (do_UNSELECT,)

    def _listWork(self, tag: bytes, ref: bytes, mbox: bytes, sub: int, cmdName: bytes) -> None:
        pattern = _parseMbox(mbox)
        if not pattern:  # asks for the hierarchy delimiter only (RFC 9051 section 6.3.9)
            self.sendUntaggedResponse(cmdName + b' (\\Noselect) "/" ""')
        else:
            fits = wildcardToRegexp(_parseMbox(ref) + pattern, "/")
            for name, attributes in self._account.listed(fits.fullmatch):
                if not sub or self._account.isSubscribed(name):
                    shown = quoted(name.encode("imap4-utf-7").decode("ascii"))
                    self.sendUntaggedResponse(b'%b (%b) "/" %b' % (cmdName, b" ".join(attributes), shown))
        self.sendPositiveResponse(tag)

    def do_STATUS(self, tag: bytes, mailbox: bytes, names: list[bytes]) -> None:
        folder = self._account.folder(_parseMbox(mailbox))
        if folder is None:
            self.sendNegativeResponse(tag, _NO_FOLDER)
            return
        known = {
            b"MESSAGES": len(folder.messages),
            b"RECENT": 0,
            b"UIDNEXT": folder.uid_next,
            b"UIDVALIDITY": folder.uid_validity,
            b"UNSEEN": sum(not message.seen for message in folder.messages.values()),
        }
        wanted = [name.upper() for name in names]
        if not wanted or not set(wanted) <= set(known):
            self.sendBadResponse(tag, _ARGUMENTS)
            return
        items = b" ".join(b"%b %d" % (name, known[name]) for name in wanted)
        shown = quoted(folder.name.encode("imap4-utf-7").decode("ascii"))
        self.sendUntaggedResponse(b"STATUS %b (%b)" % (shown, items))
        self.sendPositiveResponse(tag)

    def do_NAMESPACE(self, tag: bytes) -> None:
        self.sendUntaggedResponse(b'NAMESPACE (("" "/")) NIL NIL')
        self.sendPositiveResponse(tag)

    def do_ID(self, tag: bytes, parameters: bytes | None) -> None:
        """RFC 2971; the values are [U]."""
        self.sendUntaggedResponse(b'ID ("name" "Microsoft.Exchange.Imap4.Imap4Server" "version" "15.20")')
        self.sendPositiveResponse(tag)

    unauth_ID = auth_ID = select_ID = (do_ID, IMAP4Server.arg_line)

    def do_LOGOUT(self, tag: bytes) -> None:
        self.sendUntaggedResponse(b"BYE Microsoft Exchange Server IMAP4 server signing off.")  # [U]
        self.sendPositiveResponse(tag)
        self.transport.loseConnection()

    # Messages.

    def do_SEARCH(self, tag: bytes, charset: bytes | None, query: list[Any], uid: int = 0) -> None:
        if charset is not None and charset.upper() not in {b"UTF-8", b"US-ASCII"}:
            self.sendNegativeResponse(tag, b"[BADCHARSET (US-ASCII UTF-8)] The specified charset is not supported.")
            return
        try:
            found = self._view.search(query, uid=bool(uid))
        except BadSearch:
            self.sendBadResponse(tag, _ARGUMENTS)
            return
        self.sendUntaggedResponse(b" ".join([b"SEARCH", *(b"%d" % number for number in found)]))
        self.sendPositiveResponse(tag)

    def do_STORE(self, tag: bytes, messages: MessageSet, mode: bytes, flags: list[bytes], uid: int = 0) -> None:
        mode = mode.upper()
        if mode.lstrip(b"+-").removesuffix(b".SILENT") != b"FLAGS":
            self.sendBadResponse(tag, _ARGUMENTS)
            return
        way = {b"+": 1, b"-": -1}.get(mode[:1], 0)
        try:
            changed = self._view.store_flags(messages, [flag.decode("ascii", "replace") for flag in flags], way, uid)
        except IllegalOperation as refused:
            self.sendNegativeResponse(tag, str(refused).encode())
            return
        for number, message in changed if not mode.endswith(b".SILENT") else ():
            with_uid = b" UID %d" % message.uid if uid else b""
            self.sendUntaggedResponse(b"%d FETCH (FLAGS %b%b)" % (number, flag_list(message.flags), with_uid))
        self.sendPositiveResponse(tag)

    def do_EXPUNGE(self, tag: bytes, messages: MessageSet | None = None) -> None:
        """With a set of UIDs it is RFC 4315's UID EXPUNGE. The numbers are told with the other news."""
        if not self._view.writeable:
            self.sendNegativeResponse(tag, b"The folder is open read-only.")
            return
        deleted = self._view.deleted()
        if messages is not None:
            chosen = {message.uid for _, message in self._view.fetch(messages, uid=1)}
            deleted = [message for message in deleted if message.uid in chosen]
        self._view.remove(deleted)
        self.sendPositiveResponse(tag)

    def do_UID(self, tag: bytes, command: bytes, line: bytes) -> None:
        command = command.upper()
        if command == b"EXPUNGE":
            self._command = command
            self.do_EXPUNGE(tag, parseIdList(line))
        elif command in {b"COPY", b"FETCH", b"MOVE", b"SEARCH", b"STORE"}:
            self.dispatchCommand(tag, command, line, uid=1)
        else:
            raise IllegalClientResponse(command.decode("ascii", "replace"))

    def do_COPY(self, tag: bytes, messages: MessageSet, mailbox: bytes, uid: int = 0) -> None:
        self._transfer(tag, messages, mailbox, uid, moves=False)

    def do_MOVE(self, tag: bytes, messages: MessageSet, mailbox: bytes, uid: int = 0) -> None:
        """RFC 6851."""
        self._transfer(tag, messages, mailbox, uid, moves=True)

    select_MOVE = (do_MOVE, IMAP4Server.arg_seqset, IMAP4Server.arg_finalastring)

    def _transfer(self, tag: bytes, messages: MessageSet, mailbox: bytes, uid: int, *, moves: bool) -> None:
        view, target = self._view, self._account.folder(_parseMbox(mailbox))
        if target is None:
            self.sendNegativeResponse(tag, b"[TRYCREATE] " + _NO_FOLDER)
            return
        old, new = [], []
        for _, message in view.fetch(messages, uid):
            copied = (
                view.store.move(view.folder, message, target)
                if moves
                else view.store.add(target, Message(message.raw, message.received_at, set(message.flags)))
            )
            old.append(b"%d" % message.uid)
            new.append(b"%d" % copied.uid)
        code = b"[COPYUID %d %b %b]" % (target.uid_validity, b",".join(old), b",".join(new)) if old else b""
        if moves and code:
            self.sendPositiveResponse(None, code)
            code = b""
        self.sendPositiveResponse(tag, code)

    def do_APPEND(
        self, tag: bytes, mailbox: bytes, flags: list[bytes] | None, date: bytes | None, message: IO[bytes]
    ) -> None:
        folder, store = self._account.folder(_parseMbox(mailbox)), self._account.store
        if folder is None:
            self.sendNegativeResponse(tag, b"[TRYCREATE] " + _NO_FOLDER)
            return
        try:
            received_at = _unix_time(date) if date else self.tenant.clock.time()
        except ValueError:
            self.sendBadResponse(tag, _ARGUMENTS)
            return
        raw = message.read()
        if store.size + len(raw) > store.quota:
            self.sendNegativeResponse(tag, _FULL)
            return
        given = {flag.decode("ascii", "replace") for flag in flags or ()}
        added = store.add(folder, Message(raw, received_at, given))
        self.sendPositiveResponse(tag, b"[APPENDUID %d %d]" % (folder.uid_validity, added.uid))

    # For mypy: what is there once a client has signed in, or selected a folder.

    @property
    def _account(self) -> Account:
        if self.account is None:
            raise IllegalOperation("not signed in")
        return self.account

    @property
    def _view(self) -> View:
        if self.mbox is None:
            raise IllegalOperation("no folder is selected")
        return self.mbox


def _unix_time(date_time: bytes) -> float:
    """Of IMAP's `17-Jul-1996 02:44:25 -0700`. Raises `ValueError`."""
    words = date_time.decode("ascii", "replace").strip().replace("-", " ", 2)
    return email.utils.parsedate_to_datetime(words).timestamp()
