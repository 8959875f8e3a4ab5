"""The commands of a submission: greeting, then messages, each on disk before the yes, or refused with a reason."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field

from postroom.bridge import mending, replies
from postroom.bridge.connection import Connection
from postroom.bridge.desk import Asked, SignedIn
from postroom.bridge.guard import Guard
from postroom.bridge.parameters import Mail, Rcpt, Refused, parse_mail, parse_rcpt
from postroom.bridge.reading import Limits, read_message
from postroom.bridge.signing_in import SigningIn
from postroom.bridge.terms import Terms
from postroom.core.clock import now
from postroom.mail.envelope import Envelope
from postroom.outbox.values import DeliveryReports, Door, Refusal, Submission

_log = logging.getLogger(__name__)

_LONGEST_DATA = 1800.0
"""Seconds."""


@dataclass
class Transaction:
    """One message on its way in."""

    mail: Mail
    signed_in: SignedIn
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


class Dialogue(SigningIn):
    """The door's protocol, whole."""

    def __init__(self, terms: Terms, asked: Asked, guard: Guard, open_ones: set[Connection]) -> None:
        self._transaction: Transaction | None = None
        super().__init__(terms, asked, guard, open_ones)

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
        if self._transaction is not None:
            raise Refused(replies.NOT_WITHIN)
        await super().smtp_AUTH(arg)

    async def smtp_MAIL(self, arg: str | None) -> None:  # noqa: N802
        if await self.check_helo_needed():
            return
        signed_in = await self.speaks_for()
        if self._transaction is not None:
            raise Refused(replies.NESTED)
        mail = parse_mail(arg or "")
        if mail.size is not None and mail.size > self.data.message_size:
            raise Refused(replies.too_large(self.data.message_size))
        self._transaction = Transaction(mail, signed_in)
        await self.push("250 2.1.0 Go on")

    async def smtp_RCPT(self, arg: str | None) -> None:  # noqa: N802
        if self._transaction is None:
            raise Refused(replies.NO_SENDER)
        if len(self._transaction.recipients) >= self.data.recipients:
            raise Refused(replies.too_many_recipients(self.data.recipients))
        self._transaction.recipients.append(parse_rcpt(arg or "", self._transaction.mail.smtputf8))
        await self.push("250 2.1.5 Go on")

    async def smtp_DATA(self, arg: str | None) -> None:  # noqa: N802
        transaction = self._transaction
        if transaction is None:
            raise Refused(replies.NO_SENDER)
        if not transaction.recipients:
            raise Refused(replies.NO_RECIPIENT)
        if arg:
            raise Refused("501 5.5.4 DATA takes nothing behind it")
        self._insist_on_pace(transaction.signed_in)
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
        await self.push(await self._accept(transaction, message))

    def _insist_on_pace(self, signed_in: SignedIn) -> None:
        grant = signed_in.grant
        if grant is not None and grant.messages_per_minute:
            seconds = self._guard.wait_for(grant.app_id, grant.messages_per_minute)
            if seconds:
                raise Refused(replies.too_fast(grant.messages_per_minute, seconds))

    async def _accept(self, transaction: Transaction, message: bytes) -> str:
        """The reply to the end of the message. Yes means: it is on disk."""
        signed_in = transaction.signed_in
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
