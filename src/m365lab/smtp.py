"""Exchange Online's submission server, smtp.office365.com:587, on aiosmtpd.

Announced is what works: DSN, BINARYMIME and CHUNKING, which Microsoft announces too, are left out because aiosmtpd
does not have them (docs/lab/smtp-imap-pop.md lists all differences).
"""

from __future__ import annotations

import asyncio
import functools
import secrets
import ssl
from collections import defaultdict
from collections.abc import Awaitable, Callable
from typing import Any, AnyStr, NoReturn

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, Session

from m365lab import smtp_words as words
from m365lab.faults import FaultName
from m365lab.listening import AsyncioListener
from m365lab.post import PostOffice
from m365lab.submission import SignedIn, Submissions
from m365lab.tenant import Tenant
from m365lab.xoauth2 import parse

_LONGEST_COMMAND = 16_384
"""Bytes: a token's base64 makes AUTH a line of some 2,500."""
_COMMANDS_PER_CONNECTION = 10_000
_IDLE_SECONDS = 300.0

_Method = Callable[[str | None], Awaitable[None]]


async def start_smtp(
    tenant: Tenant, office: PostOffice, tls: ssl.SSLContext, host: str = "127.0.0.1", port: int = 0
) -> AsyncioListener:
    """Listens with STARTTLS; port 0 takes any free one."""
    loop = asyncio.get_running_loop()
    submissions = Submissions(tenant, office)
    connections: set[asyncio.BaseTransport] = set()
    server = await loop.create_server(lambda: Connection(submissions, tls, connections), host, port)
    return AsyncioListener(server, connections)


class SignIns(Session):
    """aiosmtpd writes its own deprecated `login_data` at each sign-in, and warns of that; nobody here reads it."""

    login_data: Any = None


class Connection(SMTP):
    """One client's connection."""

    command_size_limit = _LONGEST_COMMAND
    command_size_limits = defaultdict(lambda: _LONGEST_COMMAND)
    line_length_limit = 65_536
    AuthLoginUsernameChallenge = "Username:"
    AuthLoginPasswordChallenge = "Password:"

    def __init__(self, submissions: Submissions, tls: ssl.SSLContext, connections: set[asyncio.BaseTransport]) -> None:
        self.tenant = submissions.tenant
        self._connections = connections
        now = self.tenant.clock.now()
        super().__init__(
            Dialogue(submissions),
            data_size_limit=self.tenant.limits.message_size,
            enable_SMTPUTF8=True,
            hostname=words.FRONT,
            ident=f"Microsoft ESMTP MAIL Service ready at {now:%a, %d %b %Y %H:%M:%S} +0000 "
            f"[{secrets.token_hex(8).upper()}]",
            tls_context=tls,
            timeout=_IDLE_SECONDS,
            auth_required=True,
            auth_exclude_mechanism=("PLAIN",),
            authenticator=self._password,
            command_call_limit=_COMMANDS_PER_CONNECTION,
            loop=asyncio.get_running_loop(),
        )
        self._smtp_methods = {
            name: functools.partial(self._command, name, method) for name, method in self._smtp_methods.items()
        }

    @property
    def signed_in(self) -> SignedIn | None:
        """The sign-in of this connection, once there is one."""
        found = getattr(self.session, "auth_data", None)
        return found if isinstance(found, SignedIn) else None

    def _create_session(self) -> Session:
        return SignIns(self.loop)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if self._original_transport is None:
            self._connections.add(transport)
        super().connection_made(transport)

    def connection_lost(self, error: Exception | None) -> None:
        if self.signed_in:
            self.event_handler.submissions.sign_out(self.signed_in)
        transport = self._original_transport or self.transport
        if transport:
            self._connections.discard(transport)
        super().connection_lost(error)

    def _cb_client_connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # A command ends with CR LF and nothing else (RFC 5321 section 2.3.8); aiosmtpd would take a bare LF.
        read = reader.readuntil
        reader.readuntil = lambda separator=b"\r\n": read(separator)  # type: ignore[method-assign]
        super()._cb_client_connected(reader, writer)

    async def push(self, status: AnyStr) -> None:
        if isinstance(status, str):
            await super().push(words.instead_of(status))
        else:
            await super().push(status)

    async def _handle_client(self) -> None:
        reply = self.canned_reply("connect")
        if reply:
            await self.push(reply)
            self._writer.close()
            return
        await super()._handle_client()

    async def _command(self, name: str, method: _Method, arg: str | None) -> None:
        """Before each command: the fault "slow", and the end of the token's life."""
        slow = self.tenant.faults.strikes(FaultName.SLOW)
        if slow:
            await asyncio.sleep(float(slow.values.get("seconds", 1)))
        if self.signed_in and self.tenant.clock.time() >= self.signed_in.visit.expires_at and name != "QUIT":
            await self.push(words.EXPIRED)
            self._writer.close()
            return
        await method(arg)

    async def check_auth_needed(self, caller_method: str) -> bool:
        if self.signed_in:
            return False
        await self.push(words.NOT_SIGNED_IN)
        return True

    async def smtp_AUTH(self, arg: str | None) -> None:
        mechanism, _, rest = (arg or "").partition(" ")
        await super().smtp_AUTH(f"{mechanism.upper()} {rest}".strip())

    async def smtp_HELP(self, arg: str | None) -> None:
        await self.push("214 This server supports the following commands:")

    async def smtp_DATA(self, arg: str | None) -> None:
        is_complete = self.signed_in and self.envelope and self.envelope.rcpt_tos
        if is_complete and self.tenant.faults.strikes(FaultName.SMTP_LOST_IN_DATA):
            await self.push("354 Start mail input; end with <CRLF>.<CRLF>")
            await self._reader.read(1)
            await self.drop()
        await super().smtp_DATA(arg)

    async def drop(self) -> NoReturn:
        """Breaks the connection without a word; aiosmtpd then cancels whoever waits here."""
        transport = self._original_transport or self.transport
        if isinstance(transport, asyncio.WriteTransport):
            transport.abort()
        await asyncio.Event().wait()
        raise AssertionError("nobody sets that event")

    def canned_reply(self, step: str) -> str | None:
        """The fault "smtp-reply" for this step: connect, auth, mail, rcpt or data."""
        fault = self.tenant.faults.peek(FaultName.SMTP_REPLY)
        if fault is None or fault.values.get("step", "data") != step:
            return None
        self.tenant.faults.strikes(FaultName.SMTP_REPLY)
        return str(fault.values.get("reply", "451 4.7.0 Temporary server error. Please try again later."))

    def _password(self, *_: Any) -> AuthResult:
        """AUTH LOGIN is still announced, and refused (facts 5 [I])."""
        retired = self.tenant.exchange.basic_auth_retired
        refusal = words.BASIC_RETIRED if retired else words.basic_disabled(self.tenant.clock.now())
        return AuthResult(success=False, handled=False, message=refusal)


class Dialogue:
    """aiosmtpd's hooks: each returns the answer to a command."""

    def __init__(self, submissions: Submissions) -> None:
        self.submissions = submissions

    async def handle_EHLO(
        self, server: Connection, session: Session, envelope: Envelope, hostname: str, responses: list[str]
    ) -> list[str]:
        session.host_name = hostname
        keywords = [
            f"{server.hostname} Hello [{_address(session)}]",
            f"SIZE {server.data_size_limit}",
            "PIPELINING",
            "ENHANCEDSTATUSCODES",
            "STARTTLS" if session.ssl is None else "AUTH LOGIN XOAUTH2",
            "8BITMIME",
            "SMTPUTF8",
        ]
        return [f"250-{keyword}" for keyword in keywords[:-1]] + [f"250 {keywords[-1]}"]

    async def handle_HELO(self, server: Connection, session: Session, envelope: Envelope, hostname: str) -> str:
        session.host_name = hostname
        return f"250 {server.hostname} Hello [{_address(session)}]"

    async def handle_RSET(self, server: Connection, session: Session, envelope: Envelope) -> str:
        return "250 2.0.0 Resetting"

    async def auth_XOAUTH2(self, server: Connection, args: list[str]) -> AuthResult:
        """With the credentials on the same line or on the next; a failure is told at once, without 334 (facts 1.5)."""
        encoded = args[1].encode("ascii", "replace") if len(args) > 1 else await _next_line(server)
        reply = server.canned_reply("auth")
        if reply:
            return AuthResult(success=False, handled=False, message=reply)
        if encoded == b"*":
            return AuthResult(success=False, handled=False, message="501 5.7.0 Authentication cancelled")
        credentials = parse(encoded)
        if credentials is None:
            return AuthResult(success=False, handled=False, message=words.BAD_XOAUTH2)
        outcome = self.submissions.sign_in(credentials)
        if isinstance(outcome, str):
            return AuthResult(success=False, handled=False, message=outcome)
        return AuthResult(success=True, auth_data=outcome, message=words.SIGNED_IN)

    async def handle_MAIL(
        self, server: Connection, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        reply = server.canned_reply("mail")
        if reply:
            return reply
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return words.SENDER_OK

    async def handle_RCPT(
        self, server: Connection, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        reply = server.canned_reply("rcpt")
        if reply:
            return reply
        if len(envelope.rcpt_tos) >= server.tenant.limits.recipients_per_message:
            return words.TOO_MANY_RECIPIENTS
        envelope.rcpt_tos.append(address)
        return words.RECIPIENT_OK

    async def handle_DATA(self, server: Connection, session: Session, envelope: Envelope) -> str:
        faults = server.tenant.faults
        signed_in = server.signed_in
        if signed_in is None:
            return words.NOT_SIGNED_IN
        if faults.strikes(FaultName.SMTP_LOST_BEFORE_ANSWER):
            await server.drop()
        reply = server.canned_reply("data")
        if reply:
            return reply
        sender = signed_in.mailbox.address if envelope.mail_from == "<>" else str(envelope.mail_from)
        recipients = tuple(str(address) for address in envelope.rcpt_tos)
        answer = await self.submissions.submit(signed_in, sender, recipients, bytes(envelope.original_content or b""))
        if answer.startswith("250") and faults.strikes(FaultName.SMTP_LOST_AFTER_TAKING):
            await server.drop()
        return answer


async def _next_line(server: Connection) -> bytes:
    """The credentials on a line of their own, asked for with an empty challenge."""
    await server.push(b"334 ")
    return bytes((await server._reader.readline()).strip())


def _address(session: Session) -> str:
    return str(session.peer[0]) if session.peer else ""
