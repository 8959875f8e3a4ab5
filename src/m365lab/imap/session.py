"""An IMAP session: Exchange's greeting and words, the sign-in, and what stands before each command."""

from __future__ import annotations

import base64

from twisted.internet.defer import Deferred
from twisted.internet.task import LoopingCall
from twisted.python.failure import Failure

from m365lab.access import Denial, Denied, Protocol, Visit, check
from m365lab.faults import FaultName
from m365lab.imap.commands import Commands
from m365lab.imap.fetching import Fetching
from m365lab.imap.folder import Account
from m365lab.imap.literals import Literals
from m365lab.reactor import reactor
from m365lab.smtp_words import FRONT
from m365lab.tenant import Tenant
from m365lab.xoauth2 import parse

GREETING = b"The Microsoft Exchange IMAP4 service is ready. [%b]" % base64.b64encode(FRONT.encode("utf-16-le"))  # [I]
NOT_CONNECTED = b"User is authenticated but not connected."  # [C]
_REFUSALS_BEFORE_BYE = 3
"""How many commands are answered so before the connection ends: [U]."""
_TOKEN_TICK = 0.5
"""Seconds between two looks at the token's expiry while a client idles."""
# Facts 1.5 [I], without Microsoft's own CLIENTACCESSRULES, CLIENTNETWORKPRESENCELOCATION and BACKENDAUTHENTICATE.
BEFORE = "IMAP4 IMAP4rev1 AUTH=PLAIN AUTH=XOAUTH2 SASL-IR UIDPLUS ID UNSELECT CHILDREN IDLE NAMESPACE LITERAL+"
AFTER = BEFORE.replace("UIDPLUS", "UIDPLUS MOVE")
_WITHOUT_REMOVALS = {b"FETCH", b"STORE", b"SEARCH"}
"""Commands during which no EXPUNGE may be sent (RFC 9051 section 7.5.1)."""
_UNCHECKED = {b"LOGOUT"}


class Session(Literals, Fetching, Commands):
    """One client's connection."""

    def __init__(self, tenant: Tenant) -> None:
        super().__init__()
        self.tenant = tenant
        self.visit: Visit | None = None
        self._half_way = False
        """Signed in, but without the right or with the protocol switched off."""
        self._refusals = 0
        self._command = b""
        self._token_watch = LoopingCall(self._end_when_expired)

    # Connection.

    def sendServerGreeting(self) -> None:
        self.sendLine(b"* OK " + GREETING)

    def connectionLost(self, reason: Failure) -> None:
        self.deselect()
        if self._token_watch.running:
            self._token_watch.stop()
        super().connectionLost(reason)

    def lineReceived(self, line: bytes) -> None:
        slow = self.tenant.faults.strikes(FaultName.SLOW)
        if not slow:
            super().lineReceived(line)
            return
        self.pauseProducing()
        reactor().callLater(float(slow.values.get("seconds", 1)), self._go_on, line)

    def _go_on(self, line: bytes) -> None:
        if self.transport is not None and self.transport.connected:
            super().lineReceived(line)
            self.resumeProducing()

    # Before each command, and with each answer.

    def dispatchCommand(self, tag: bytes, cmd: bytes, rest: bytes | None, uid: int | None = None) -> None:
        self._command = cmd
        if uid is None and self.visit is not None and cmd not in _UNCHECKED:
            if self._end_when_expired():
                return
            if self.tenant.faults.strikes(FaultName.IMAP_LOST):
                self.transport.abortConnection()
                return
            refusal = self._refuses()
            if refusal:
                self.sendBadResponse(tag, refusal)
                self._count_refusal()
                return
        super().dispatchCommand(tag, cmd, rest, uid)

    def _refuses(self) -> bytes | None:
        throttled = self.tenant.faults.strikes(FaultName.IMAP_THROTTLED)
        if throttled:
            wait = int(throttled.values.get("milliseconds", 92_415))
            return b"Request is throttled. Suggested Backoff Time: %d milliseconds" % wait  # [C]
        if self._half_way or self.tenant.faults.strikes(FaultName.IMAP_NOT_CONNECTED):
            return NOT_CONNECTED
        return None

    def _count_refusal(self) -> None:
        if self._half_way:
            self._refusals += 1
            if self._refusals >= _REFUSALS_BEFORE_BYE:
                self._bye(b"Connection closed. 14")  # [I]

    def _end_when_expired(self) -> bool:
        if self.visit is None or self.tenant.clock.time() < self.visit.expires_at:
            return False
        self._bye(b"Session invalidated - AccessTokenExpired")  # [I]
        return True

    def _bye(self, words: bytes) -> None:
        self.sendLine(b"* BYE " + words)
        self.transport.loseConnection()

    def sendPositiveResponse(self, tag: bytes | None = None, message: bytes = b"") -> None:
        """Exchange says "SELECT completed." and the like; before it, what is new in the folder is told."""
        if tag is None:
            super().sendPositiveResponse(tag, message)
            return
        self.tell_news(removals=self._command not in _WITHOUT_REMOVALS)
        code = message[: message.index(b"]") + 1] + b" " if message.startswith(b"[") else b""
        super().sendPositiveResponse(tag, code + self._command + b" completed.")

    def _respond(self, state: bytes, tag: bytes | None, message: bytes | str | None) -> None:
        super()._respond(state, tag, message.encode("ascii", "replace") if isinstance(message, str) else message)

    def tell_news(self, *, removals: bool) -> None:
        if self.mbox is not None:
            for line in self.mbox.news(removals=removals):
                self.sendUntaggedResponse(line)

    def folder_changed(self) -> None:
        """Something happened in the selected folder: told at once to a client that idles (RFC 2177)."""
        if self.parseState == "idle":
            self.tell_news(removals=True)

    def do_IDLE(self, tag: bytes) -> None:
        super().do_IDLE(tag)
        self.tell_news(removals=True)
        self._token_watch.start(_TOKEN_TICK, now=False)

    def parse_idle(self, *line: bytes) -> None:
        self._token_watch.stop()
        super().parse_idle(*line)

    # Signing in.

    def listCapabilities(self) -> list[bytes]:
        return (AFTER if self.visit else BEFORE).encode().split()

    def do_AUTHENTICATE(self, tag: bytes, line: bytes | None) -> None:
        mechanism, _, initial = (line or b"").partition(b" ")
        if initial:
            self._sign_in(tag, mechanism.upper(), b"" if initial == b"=" else initial)
            return
        # The client sends its credentials on a line of their own, after "+" (facts 1.5).
        answer: Deferred[bytes] = Deferred()
        self.parseState, self._pendingLiteral = "pending", answer
        self.sendContinuationRequest(b"")
        answer.addCallback(lambda credentials: self._sign_in(tag, mechanism.upper(), credentials))

    unauth_AUTHENTICATE = (do_AUTHENTICATE, Literals.arg_line)

    def _sign_in(self, tag: bytes, mechanism: bytes, encoded: bytes) -> None:
        if encoded.strip() == b"*":
            self.sendBadResponse(tag, b"AUTHENTICATE cancelled.")
            return
        credentials = parse(encoded) if mechanism == b"XOAUTH2" else None
        verdict = credentials and check(self.tenant, Protocol.IMAP, credentials.user, credentials.token)
        if isinstance(verdict, Denied):
            self._half_way = verdict.why in {Denial.RIGHT, Denial.SWITCHED_OFF_MAILBOX}
            verdict = verdict.visit if self._half_way else None
        if not verdict:
            self.sendNegativeResponse(tag, b"AUTHENTICATE failed.")  # [D]
            return
        self.visit = verdict
        self.account = Account(verdict.mailbox)
        self.state = "auth"
        self.setTimeout(self.POSTAUTH_TIMEOUT)
        self.sendPositiveResponse(tag)

    def do_LOGIN(self, tag: bytes, user: bytes, password: bytes) -> None:
        """Passwords are refused whoever asks: basic authentication is off (facts 6)."""
        self.sendNegativeResponse(tag, b"LOGIN failed.")
