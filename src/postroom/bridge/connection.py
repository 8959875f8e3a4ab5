"""The life of one program's connection on aiosmtpd: who may connect, strict lines, every reply, its end.

`signing_in.py` and `dialogue.py` add the commands. docs/decisions/0012-smtp-server.md says why aiosmtpd, and what of
it is replaced, and why.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from typing import Any, ClassVar

from aiosmtpd.smtp import SMTP

from postroom.accounts.app_rules import is_in
from postroom.bridge import replies
from postroom.bridge.guard import Guard
from postroom.bridge.parameters import Refused
from postroom.bridge.reading import read_line
from postroom.bridge.terms import Terms
from postroom.bridge.values import ListenerData, Mode

_log = logging.getLogger(__name__)

_LONGEST_COMMAND = 2048
_BUFFER = 65_536
_IDLE = 300.0
"""Seconds; RFC 5321 section 4.5.3.2.7 wants five minutes at least."""
_ERRORS = 20
_CALLS = {"*": 100, **dict.fromkeys(("MAIL", "RCPT", "DATA", "RSET", "NOOP"), 100_000)}
"""How often each command may come on one connection."""
_CLOSING = ("421 ", "521 ")


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
    _commands: ClassVar[list[str]]
    command_size_limit = _LONGEST_COMMAND
    line_length_limit = _BUFFER

    def __init__(self, terms: Terms, guard: Guard, open_ones: set[Connection]) -> None:
        self.command_size_limits = defaultdict(lambda: _LONGEST_COMMAND)
        self.terms = terms
        self.address = ""
        self._guard = guard
        self._open_ones = open_ones
        self._greeted = self._entered = self._waiting = self._ending = False
        self._errors = 0
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

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        names = {name for kind in cls.__mro__ for name in vars(kind)}
        cls._commands = sorted(name for name in names if name.startswith(("smtp_", "auth_")))

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
        return self._commands

    # the connection's life --------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if self._original_transport is None:
            peer = transport.get_extra_info("peername") or ("",)
            self.address = str(peer[0]).partition("%")[0].removeprefix("::ffff:")
            if self.data.proxies and is_in(self.address, self.data.proxies):
                self._proxy_timeout = 5.0
            self._open_ones.add(self)
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
