"""A POP3 session: Exchange's words, the sign-in in two lines, and the inbox as it was at the sign-in.

Messages go out byte for byte as they are stored; Twisted would rewrite line ends and miss dots at the edge of a chunk.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable

from twisted.mail.pop3 import POP3

from m365lab.access import Denied, Protocol, Visit, check
from m365lab.faults import FaultName
from m365lab.mailstore import Mailstore, Message
from m365lab.reactor import reactor
from m365lab.smtp_words import FRONT
from m365lab.tenant import Tenant
from m365lab.xoauth2 import parse

_READY = b"The Microsoft Exchange POP3 service is ready. [%b]" % base64.b64encode(FRONT.encode("utf-16-le"))  # [I]
_SIGNED_IN = b"User successfully authenticated."  # [D]
_FAILED = b"Authentication failure: unknown user name or bad password."  # [D]
_ONE_LINE_AUTH = b"Protocol error. Connection is closed. 10"  # [I getmail6#256]
_PROTOCOL_ERROR = b"Protocol error. 19"  # [I freescout#2810]
_EXPIRED = b"Session invalidated - AccessTokenExpired"  # [U]: modelled on IMAP's BYE
_GOODBYE = b"Microsoft Exchange Server POP3 server signing off."  # [U]
_LINE_START_DOT = re.compile(rb"^\.", re.MULTILINE)


class Drop:
    """A mailbox's inbox as it was at the sign-in (RFC 1939 section 4). Fits where Twisted wants an `IMailbox`."""

    def __init__(self, store: Mailstore) -> None:
        folder = store.folder("INBOX")
        if folder is None:
            raise KeyError("INBOX")
        self._store, self._folder = store, folder
        self._messages = list(folder.messages.values())
        self._deleted: set[int] = set()

    def listed(self) -> list[tuple[int, Message]]:
        """What was not deleted in this session, with its number."""
        return [(number, one) for number, one in enumerate(self._messages, 1) if number not in self._deleted]

    def message(self, number: int) -> Message:
        """By its number from 1. Raises `ValueError`."""
        if not 1 <= number <= len(self._messages) or number in self._deleted:
            raise ValueError(number)
        return self._messages[number - 1]

    def delete(self, number: int) -> None:
        self.message(number)
        self._deleted.add(number)

    def unique_id(self, message: Message) -> bytes:
        """Unique for good: the folder's UIDVALIDITY and the UID."""
        return b"%d-%d" % (self._folder.uid_validity, message.uid)

    def undeleteMessages(self) -> None:
        self._deleted.clear()

    def sync(self) -> None:
        """Removes what was deleted: at QUIT and at no other end (RFC 1939 section 6)."""
        for number in self._deleted:
            message = self._messages[number - 1]
            if message.uid in self._folder.messages:
                self._store.remove(self._folder, message)
        self._deleted.clear()


class Session(POP3):
    """One client's connection."""

    mbox: Drop | None

    def __init__(self, tenant: Tenant) -> None:
        self.magic = _READY
        self.tenant = tenant
        self.visit: Visit | None = None
        self._waiting: list[bytes] | None = None
        """Lines that came while an answer is being slowed down."""

    def lineReceived(self, line: bytes) -> None:
        if self._waiting is not None:
            self._waiting.append(line)
            return
        slow = self.tenant.faults.strikes(FaultName.SLOW)
        if slow:
            self._waiting = []
            reactor().callLater(float(slow.values.get("seconds", 1)), self._go_on, line)
        else:
            super().lineReceived(line)

    def _go_on(self, line: bytes) -> None:
        waiting, self._waiting = self._waiting or [], None
        if self.transport.connected:
            super().lineReceived(line)
            for other in waiting:
                self.lineReceived(other)

    def state_COMMAND(self, line: bytes) -> None:
        if self.visit is not None and self.tenant.clock.time() >= self.visit.expires_at:
            self.failResponse(_EXPIRED)
            self.transport.loseConnection()
            return
        try:
            self.processCommand(*line.split(b" "))
        except Exception:
            # Twisted raises for what it does not know or cannot read; each is one answer at Exchange.
            self.failResponse(_PROTOCOL_ERROR)

    def do_CAPA(self) -> None:
        self.successResponse(b"")
        for capability in (b"TOP", b"UIDL", b"SASL PLAIN XOAUTH2", b"USER", b"."):  # [I]
            self.sendLine(capability)

    def do_AUTH(self, mechanism: bytes | None = None, *initial: bytes) -> None:
        """Two lines always: with the credentials on the first, Exchange ends the connection (facts 1.5 [D])."""
        if self.visit is not None or mechanism is None or mechanism.upper() not in {b"XOAUTH2", b"PLAIN"}:
            self.failResponse(_PROTOCOL_ERROR)
        elif initial:
            self.failResponse(_ONE_LINE_AUTH)
            self.transport.loseConnection()
        else:
            self._mechanism = mechanism.upper()
            self.sendLine(b"+ ")
            self.state = "AUTH"

    def state_AUTH(self, line: bytes) -> None:
        self.state = "COMMAND"
        credentials = parse(line) if self._mechanism == b"XOAUTH2" else None
        verdict = credentials and check(self.tenant, Protocol.POP3, credentials.user, credentials.token)
        if not verdict or isinstance(verdict, Denied):
            # One answer for all, also for a missing right and a protocol that is switched off (facts 5).
            self.failResponse(_FAILED)
            return
        self.visit = verdict
        self.mbox = Drop(verdict.mailbox.store)
        self.successResponse(_SIGNED_IN)

    def do_USER(self, user: bytes) -> None:
        self.successResponse(b"")

    def do_PASS(self, *password: bytes) -> None:
        self.failResponse(_FAILED)

    def do_APOP(self, *_: bytes) -> None:
        self.failResponse(_PROTOCOL_ERROR)

    def do_STAT(self) -> None:
        listed = self._drop.listed()
        self.successResponse(b"%d %d" % (len(listed), sum(len(message.raw) for _, message in listed)))

    def do_LIST(self, i: bytes | None = None) -> None:
        self._list(i, lambda message: b"%d" % len(message.raw))

    def do_UIDL(self, i: bytes | None = None) -> None:
        self._list(i, self._drop.unique_id)

    def do_DELE(self, i: bytes) -> None:
        self._drop.delete(int(i))
        self.successResponse(b"")

    def do_RETR(self, i: bytes) -> None:
        message = self._drop.message(int(i))
        self._send(message.raw)

    def do_TOP(self, i: bytes, size: bytes) -> None:
        head, blank, body = self._drop.message(int(i)).raw.partition(b"\r\n\r\n")
        self._send(head + blank + b"".join(body.splitlines(keepends=True)[: int(size)]))

    def do_QUIT(self) -> None:
        if self.mbox:
            self.mbox.sync()
        self.successResponse(_GOODBYE)
        self.transport.loseConnection()

    @property
    def _drop(self) -> Drop:
        if self.mbox is None:
            raise ValueError("not signed in")
        return self.mbox

    def _list(self, i: bytes | None, show: Callable[[Message], bytes]) -> None:
        """One line for each message, or the answer for message `i` alone."""
        if i is not None:
            self.successResponse(b"%d %b" % (int(i), show(self._drop.message(int(i)))))
            return
        listed = self._drop.listed()
        self.successResponse(b"%d messages" % len(listed))
        for number, message in listed:
            self.sendLine(b"%d %b" % (number, show(message)))
        self.sendLine(b".")

    def _send(self, data: bytes) -> None:
        """A multi-line answer: dots doubled at the start of lines, and a line with a dot (RFC 1939 section 3)."""
        self.successResponse(b"")
        self.transport.write(_LINE_START_DOT.sub(b"..", data))
        self.sendLine(b"." if data.endswith(b"\n") else b"\r\n.")
