"""One program's connection: aiosmtpd's SMTP server, made strict, with DSN, async sign-in, and an acceptor on disk.

docs/decisions/0012-smtp-server.md says why aiosmtpd, and what of it is replaced here and why.
"""

from __future__ import annotations

import asyncio
import binascii
import logging
from base64 import b64decode
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult

from postroom.accounts.app_credentials import Denied
from postroom.accounts.app_rules import is_in
from postroom.bridge import mending, replies
from postroom.bridge.desk import Asked, SignedIn
from postroom.bridge.guard import Guard
from postroom.bridge.parameters import Mail, Rcpt, Refused, parse_mail, parse_rcpt
from postroom.bridge.reading import Limits, read_line, read_message
from postroom.bridge.terms import Terms
from postroom.bridge.values import ListenerData, Mode, Prompts
from postroom.core.clock import now
from postroom.mail.envelope import Envelope
from postroom.outbox.values import DeliveryReports, Door, Refusal, Submission

_log = logging.getLogger(__name__)

_LONGEST_COMMAND = 2048
_LONGEST_AUTH = 12_288  # RFC 4954 section 4
_BUFFER = 65_536
_IDLE = 300.0
"""Seconds; RFC 5321 section 4.5.3.2.7 wants five minutes at least."""
_LONGEST_DATA = 1800.0
_ERRORS = 20
_GUESSES = 3
_CALLS = {"*": 100, **dict.fromkeys(("MAIL", "RCPT", "DATA", "RSET", "NOOP"), 100_000)}
"""How often each command may come on one connection."""
_CLOSING = ("421 ", "521 ")


@dataclass
class Transaction:
    """One message on its way in."""

    mail: Mail
    recipients: list[Rcpt] = field(default_factory=list)

    @property
    def envelope(self) -> Envelope:
        return Envelope(self.mail.sender, tuple(dict.fromkeys(rcpt.address for rcpt in self.recipients)))

    @property
    def reports(self) -> DeliveryReports:
        return DeliveryReports(
            self.mail.ret,
            self.mail.envelope_id,
            {rcpt.address: rcpt.notify for rcpt in self.recipients if rcpt.notify},
            {rcpt.address: rcpt.original for rcpt in self.recipients if rcpt.original},
        )


class Hooks:
    """aiosmtpd's handler; it is asked for the PROXY header only, all else is in the connection itself."""

    async def handle_PROXY(self, server: Connection, session: Any, envelope: Any, data: Any) -> bool:  # noqa: N802
        if data.src_addr is not None:  # none in LOCAL and UNKNOWN: the proxy speaks for itself
            server.address = str(data.src_addr)
        return await server.admitted()

    def __dir__(self) -> list[str]:
        return ["handle_PROXY"]


_HOOKS = Hooks()


class Connection(SMTP):
    """`open_ones` holds all connections of the listener, for a graceful end."""

    session: Any
    command_size_limit = _LONGEST_COMMAND
    line_length_limit = _BUFFER

    def __init__(self, terms: Terms, asked: Asked, guard: Guard, open_ones: set[Connection]) -> None:
        self.command_size_limits = defaultdict(lambda: _LONGEST_COMMAND)
        self.terms = terms
        self.address = ""
        self._asked = asked
        self._guard = guard
        self._open_ones = open_ones
        self._signed_in: SignedIn | None = None
        self._transaction: Transaction | None = None
        self._greeted = self._entered = self._waiting = self._ending = False
        self._errors = self._guesses = 0
        super().__init__(
            _HOOKS,
            data_size_limit=terms.data.message_size,
            enable_SMTPUTF8=True,
            hostname=terms.hostname,
            ident="ESMTP Postroom",
            tls_context=terms.tls if terms.data.mode == Mode.STARTTLS else None,
            require_starttls=terms.data.mode == Mode.STARTTLS,
            timeout=_IDLE,
            auth_require_tls=False,  # `require_starttls` and the mode see to it
            command_call_limit=_CALLS,
            loop=asyncio.get_running_loop(),
        )

    @property
    def data(self) -> ListenerData:
        return self.terms.data

    @property
    def secure(self) -> bool:
        return self._tls_protocol is not None or self.data.mode == Mode.TLS

    def __dir__(self) -> list[str]:
        """What aiosmtpd is to find when it looks for commands and mechanisms.

        It reads every member of every new connection, which would be a third of the time that a connection costs.
        """
        return _COMMANDS

    # the connection's life --------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if self._original_transport is None:
            peer = transport.get_extra_info("peername") or ("",)
            self.address = str(peer[0]).partition("%")[0].removeprefix("::ffff:")
            if self.data.proxies and is_in(self.address, self.data.proxies):
                self._proxy_timeout = 5.0
            self._open_ones.add(self)
        else:  # RFC 3207 section 4.2: what was known before TLS is forgotten
            self._signed_in = self._transaction = None
        super().connection_made(transport)

    def connection_lost(self, error: Exception | None) -> None:
        self._open_ones.discard(self)
        if self._entered:
            self._entered = False
            self._guard.leave(self.terms.listener_id, self.address)
        super().connection_lost(error)

    def _cb_client_connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        super()._cb_client_connected(reader, writer)
        read = reader.readuntil

        async def strictly(separator: bytes = b"") -> bytes:
            """aiosmtpd's loop asks for the next command without an argument, its PROXY parser with one."""
            return await (read(separator) if separator else self._next_command())

        self._read_until = read
        reader.readuntil = strictly  # type: ignore[method-assign,assignment]

    async def _handle_client(self) -> None:
        if self._proxy_timeout is None and not await self.admitted():
            return
        await super()._handle_client()

    async def admitted(self) -> bool:
        """Whether this address may connect; says why not, and closes."""
        data = self.data
        reply = ""
        if data.networks and not is_in(self.address, data.networks):
            reply = replies.elsewhere(self.address)
        elif not self._guard.enter(self.terms.listener_id, self.address, data.connections, data.connections_each):
            reply = replies.CROWDED
        else:
            self._entered = True
            return True
        _log.warning("%s: %s turned away: %s", data.name, self.address, reply)
        await self.push(reply)
        self._hang_up()
        return False

    def retire(self) -> None:
        """The server goes down: an idle connection ends now, a busy one after its present command."""
        self._ending = True
        if self._waiting:
            self._writer.write(replies.GOING_DOWN.encode() + b"\r\n")
            self._hang_up()

    def task(self) -> asyncio.Task[None]:
        """Ends with the connection. Not a property: aiosmtpd reads them all before there is one."""
        assert self._handler_coroutine is not None  # noqa: S101 - there is one from `connection_made` on
        return self._handler_coroutine

    def abort(self) -> None:
        """Cuts the connection: it had its time."""
        transport = self._original_transport or self.transport
        if isinstance(transport, asyncio.WriteTransport):
            transport.abort()

    async def _next_command(self) -> bytes:
        """The next line, for aiosmtpd's loop. Raises `Refused`, `LimitOverrunError`."""
        if self.transport is None or self.transport.is_closing():
            await asyncio.Event().wait()  # until `connection_lost` cancels us
        if self._ending:
            raise Refused(replies.GOING_DOWN)
        if self._errors > _ERRORS:
            raise Refused(replies.TOO_MANY_ERRORS)
        self._waiting = True
        try:
            return await read_line(self._read_until)
        finally:
            self._waiting = False

    def _timeout_cb(self) -> None:
        if self._writer is not None and not self._writer.is_closing():
            self._writer.write(replies.IDLE.encode() + b"\r\n")
        super()._timeout_cb()  # type: ignore[no-untyped-call]

    def _hang_up(self) -> None:
        if self.transport is not None:
            self.transport.close()

    # replies ------------------------------------------------------------------------------------------------------

    async def push(self, status: Any) -> None:
        """Every reply passes here: it gets its enhanced status code, errors are counted, 421 and 521 close."""
        if isinstance(status, str):
            if self._greeted or not status.startswith("220 "):
                status = replies.one_line(replies.with_status(status))
            self._greeted = True
            if status[:1] in "45":
                self._errors += 1
        await super().push(status)
        if isinstance(status, str) and status.startswith(_CLOSING):
            self._hang_up()

    async def handle_exception(self, error: Exception) -> str:
        """What aiosmtpd's loop says when a command raises. A fault of ours is never the message's."""
        if isinstance(error, Refused):
            return error.reply
        if isinstance(error, asyncio.LimitOverrunError):
            return replies.LINE_TOO_LONG
        if isinstance(error, EOFError | ConnectionError):
            return replies.IDLE
        _log.error("%s: a command failed", self.data.name, exc_info=error)
        return replies.TROUBLE

    # commands -----------------------------------------------------------------------------------------------------

    async def smtp_HELO(self, hostname: str) -> None:  # noqa: N802
        await self._hello(hostname, extended=False)

    async def smtp_EHLO(self, hostname: str) -> None:  # noqa: N802
        await self._hello(hostname, extended=True)

    async def _hello(self, hostname: str | None, *, extended: bool) -> None:
        if not hostname:
            await self.push(f"501 5.5.4 Write {'EHLO' if extended else 'HELO'} and your host's name")
            return
        self._set_rset_state()
        self.session.host_name = hostname
        self.session.extended_smtp = extended
        lines = [self.hostname, *(self._extensions() if extended else ())]
        block = [f"250-{line}" for line in lines[:-1]] + [f"250 {lines[-1]}"]
        await self.push("\r\n".join(block).encode("ascii", "replace"))

    def _extensions(self) -> list[str]:
        named = [f"SIZE {self.data.message_size}", "8BITMIME", "SMTPUTF8", "PIPELINING", "DSN", "ENHANCEDSTATUSCODES"]
        if self.tls_context is not None and not self.secure:
            return ["STARTTLS", *named]
        return ["AUTH PLAIN LOGIN", *named]

    async def smtp_STARTTLS(self, arg: str | None) -> None:  # noqa: N802
        if self.tls_context is None or self.secure:
            raise Refused(replies.TLS_ALREADY if self.secure else replies.NO_TLS)
        await super().smtp_STARTTLS(arg or "")

    async def smtp_AUTH(self, arg: str | None) -> None:  # noqa: N802
        if self.session.authenticated:
            raise Refused(replies.TWICE)
        if self._transaction is not None:
            raise Refused(replies.NOT_WITHIN)
        mechanism, _, rest = (arg or "").partition(" ")
        await super().smtp_AUTH(f"{mechanism.upper()} {rest}".strip())
        if self._guesses >= _GUESSES:
            await self.push(replies.TOO_MANY_ERRORS)

    async def auth_PLAIN(self, _: Any, args: list[str]) -> AuthResult:  # noqa: N802
        """RFC 4616: authorization identity, NUL, name, NUL, secret. The first is not used here."""
        answer = _decoded(args[1]) if len(args) > 1 else await self._answer("")
        words = answer.split("\0")
        if len(words) != 3:
            raise Refused(replies.BAD_BASE64)
        return await self._check(words[1], words[2])

    async def auth_LOGIN(self, _: Any, args: list[str]) -> AuthResult:  # noqa: N802
        for_name, for_secret = Prompts(self.data.login_prompts).words
        name = _decoded(args[1]) if len(args) > 1 else await self._answer(for_name)
        return await self._check(name, await self._answer(for_secret))

    async def _answer(self, challenge: str) -> str:
        await self.push(b"334 " + binascii.b2a_base64(challenge.encode(), newline=False))
        line = (await read_line(self._read_until)).strip()
        if line == b"*":
            raise Refused(replies.CANCELLED)
        return _decoded(line.decode("ascii", "replace"))

    async def _check(self, name: str, secret: str) -> AuthResult:
        known = name.strip().lower()[:64] or "nobody"
        if self._guard.locked(self.address, known):
            return AuthResult(success=False, handled=False, message=replies.LOCKED)
        try:
            self._signed_in = await self._asked.sign_in(name, secret, self.address)
        except Denied as denied:
            self._guesses += 1
            self._guard.wrong(self.address, known)
            _log.warning("%s: sign-in from %s refused: %s", self.data.name, self.address, denied.reason)
            return AuthResult(success=False, handled=False, message=replies.WRONG)
        except Exception:
            _log.exception("%s: a sign-in could not be checked", self.data.name)
            return AuthResult(success=False, handled=False, message=replies.NOT_NOW)
        self._guard.right(self.address, known)
        return AuthResult(success=True, message=replies.SIGNED_IN)

    async def smtp_MAIL(self, arg: str | None) -> None:  # noqa: N802
        if await self.check_helo_needed():
            return
        await self._refresh()
        if self._transaction is not None:
            raise Refused(replies.NESTED)
        mail = parse_mail(arg or "")
        if mail.size is not None and mail.size > self.data.message_size:
            raise Refused(replies.too_large(self.data.message_size))
        self._transaction = Transaction(mail)
        await self.push("250 2.1.0 Go on")

    async def _refresh(self) -> None:
        """Who this is, looked up anew now and then. Raises `Refused`."""
        try:
            if self._signed_in is not None:
                self._signed_in = await self._asked.still(self._signed_in)
            elif self.data.open_networks and is_in(self.address, self.data.open_networks):
                self._signed_in = await self._asked.open_house(self.data, self.address)
        except Denied as denied:
            _log.warning("%s: session from %s ends: %s", self.data.name, self.address, denied.reason)
            raise Refused("421 4.7.0 Your sign-in has ended; connect and sign in anew") from None
        if self._signed_in is None:
            raise Refused(replies.SIGN_IN_FIRST)

    async def smtp_RCPT(self, arg: str | None) -> None:  # noqa: N802
        if self._transaction is None:
            raise Refused(replies.NO_SENDER)
        if len(self._transaction.recipients) >= self.data.recipients:
            raise Refused(replies.too_many_recipients(self.data.recipients))
        self._transaction.recipients.append(parse_rcpt(arg or "", self._transaction.mail.smtputf8))
        await self.push("250 2.1.5 Go on")

    async def smtp_DATA(self, arg: str | None) -> None:  # noqa: N802
        transaction, signed_in = self._transaction, self._signed_in
        if transaction is None or signed_in is None:
            raise Refused(replies.NO_SENDER)
        if not transaction.recipients:
            raise Refused(replies.NO_RECIPIENT)
        if arg:
            raise Refused("501 5.5.4 DATA takes nothing behind it")
        self._insist_on_pace(signed_in)
        self._transaction = None
        await self.push(replies.GO_ON)
        self._reset_timeout(_LONGEST_DATA)
        try:
            message = await read_message(self._reader, Limits(self.data.message_size, self.data.longest_line))
        except EOFError:
            self._hang_up()
            return
        finally:
            self._reset_timeout()
        await self.push(await self._accept(signed_in, transaction, message))

    def _insist_on_pace(self, signed_in: SignedIn) -> None:
        grant = signed_in.grant
        if grant is not None and grant.messages_per_minute:
            seconds = self._guard.wait_for(grant.app_id, grant.messages_per_minute)
            if seconds:
                raise Refused(replies.too_fast(grant.messages_per_minute, seconds))

    async def _accept(self, signed_in: SignedIn, transaction: Transaction, message: bytes) -> str:
        """The reply to the end of the message. Yes means: it is on disk."""
        try:
            receipt = await self._asked.accept(
                Submission(
                    caller=signed_in.caller,
                    door=Door.SMTP,
                    message=self._traced(transaction, message),
                    envelope=transaction.envelope,
                    mailbox=signed_in.mailbox,
                    reports=transaction.reports,
                )
            )
        except Refusal as refusal:
            _log.info("%s: %s: %s", self.data.name, signed_in.caller.name, refusal)
            return replies.refused(refusal)
        except Exception:
            _log.exception("%s: a message could not be accepted", self.data.name)
            return replies.TROUBLE
        return replies.taken(receipt.id)

    def _traced(self, transaction: Transaction, message: bytes) -> bytes:
        if self.data.mend_names:
            message = mending.mend_names(message)
        if self.data.fill_in_to:
            message = mending.fill_in_to(message, transaction.envelope.recipients)
        # RFC 3848: S for TLS, A for a sign-in.
        protocol = "SMTP"
        if self.session.extended_smtp:
            protocol = f"ESMTP{'S' if self.secure else ''}{'A' if self.session.authenticated else ''}"
        return mending.received(self.hostname, protocol, now()) + message

    async def smtp_RSET(self, arg: str | None) -> None:  # noqa: N802
        self._set_rset_state()
        await self.push(replies.RESET)

    async def smtp_VRFY(self, arg: str | None) -> None:  # noqa: N802
        await self.push("252 2.5.2 Not said here; send the message, and it will be tried")

    async def smtp_HELP(self, arg: str | None) -> None:  # noqa: N802
        await self.push("214 2.0.0 Mail submission, RFC 6409. See docs/smtp-door.md of Postroom")

    def _set_rset_state(self) -> None:
        self._transaction = None
        super()._set_rset_state()  # type: ignore[no-untyped-call]


def _decoded(text: str) -> str:
    """Raises `Refused`."""
    if len(text) > _LONGEST_AUTH:
        raise Refused(replies.LINE_TOO_LONG)
    try:
        # RFC 4954 section 4: "=" alone is an empty answer.
        return b64decode("" if text == "=" else text, validate=True).decode("utf-8")
    except (binascii.Error, ValueError):
        raise Refused(replies.BAD_BASE64) from None


_COMMANDS = sorted(name for kind in Connection.__mro__ for name in vars(kind) if name.startswith(("smtp_", "auth_")))
