"""Sending by SMTP submission (RFC 6409): exactly these bytes to exactly this envelope.

The conversation: connect, EHLO, STARTTLS, EHLO, AUTH; then for each message MAIL, RCPT, DATA on the connection
that is kept. A kept connection that has died in the meantime is opened again, once, as long as nothing was
handed over. When the connection breaks between the end of DATA and the answer, nobody knows: `Unanswered`.
"""

from __future__ import annotations

import contextlib
import re

import aiosmtplib
from aiosmtplib.protocol import normalize_message_line_endings

from postroom.mail.envelope import Envelope
from postroom.mail.headers import split
from postroom.microsoft.answers import Answer, Refused, Service, Step
from postroom.transports import network, sasl
from postroom.transports.base import (
    Accepted,
    Anonymous,
    OAuth,
    Observer,
    Password,
    Rejected,
    Security,
    SendResult,
    SmtpRoute,
    Unanswered,
    nobody,
)
from postroom.transports.tokens import token, worth_a_new_token

_ENHANCED = re.compile(r"\s*([245]\.\d{1,3}\.\d{1,3})\b")
# facts 1.5 and 8: `250 2.0.0 OK <...@...outlook.com> [Hostname=...]`
_GIVEN_ID = re.compile(r"\bOK\s+(<[^<>\s]+@[^<>\s]+>)")
_DOT = re.compile(rb"(?m)^\.")
# What an envelope address may not hold: it would end the path, or the command (RFC 5321 section 4.1.2).
_NO_PATH = re.compile(r'[\x00-\x1f\x7f<>]|(?<!\\) (?![^"]*")')
# With CR LF (RFC 5321 section 4.5.3.1.4); AUTH's initial response has to fit in (RFC 4954 section 4).
_LONGEST_COMMAND = 512
# RFC 5321 section 4.5.3.2.6: ten minutes for the answer to the end of DATA; twenty times the default timeout.
_PATIENCE = 20


class SmtpSender:
    """See `base.Sender`."""

    def __init__(self, route: SmtpRoute, observer: Observer = nobody) -> None:
        self._route = route
        self._observe = observer
        self._smtp: aiosmtplib.SMTP | None = None
        self._clean = True
        """Whether the server holds no half-made envelope of ours."""

    async def open(self) -> None:
        """Raises `Refused`. After a sign-in refused with OAuth, once more with a new token on a new connection."""
        try:
            await self._open(force=False)
        except Refused as error:
            if not worth_a_new_token(self._route.sign_in, error.answer):
                raise
            await self._open(force=True)

    async def send(self, envelope: Envelope, message: bytes) -> SendResult:
        reused = self._smtp is not None and self._smtp.is_connected
        try:
            result = await self._once(envelope, message)
            if reused and isinstance(result, Rejected) and _was_stale(result.answer):
                await self._drop()
                result = await self._once(envelope, message)
        except BaseException:
            # Cancelled between a command and its reply: the next reply would be taken for another's.
            await self._drop()
            raise
        return result

    async def close(self) -> None:
        smtp, self._smtp = self._smtp, None
        if smtp is None:
            return
        with contextlib.suppress(aiosmtplib.SMTPException, OSError):
            await smtp.quit(timeout=5)
        smtp.close()

    async def _drop(self) -> None:
        smtp, self._smtp = self._smtp, None
        if smtp is not None:
            smtp.close()

    # opening -----------------------------------------------------------------------------------------------

    async def _open(self, *, force: bool) -> None:
        await self._drop()
        route = self._route
        secret = await self._secret(force=force)
        smtp = await self._connect()
        try:
            protected = await self._protect(smtp)
            network.refuse_in_the_clear(route.endpoint, route.sign_in, protected)
            await self._sign_in(smtp, secret)
        except BaseException:
            smtp.close()
            raise
        self._smtp, self._clean = smtp, True

    async def _secret(self, *, force: bool) -> str:
        match self._route.sign_in:
            case OAuth() as oauth:
                return await token(oauth, force=force)
            case Password(password=password):
                return password
            case _:
                return ""

    async def _connect(self) -> aiosmtplib.SMTP:
        endpoint = self._route.endpoint
        implicit = endpoint.security is Security.TLS
        context = network.tls_context(endpoint) if implicit else None
        sock = await network.connect(endpoint, self._observe)
        smtp = aiosmtplib.SMTP(
            hostname=endpoint.host,
            sock=sock,
            use_tls=implicit,
            start_tls=False,
            tls_context=context,
            local_hostname=self._route.helo or "localhost",
            timeout=endpoint.timeout,
        )
        try:
            greeting = await smtp.connect()
        except aiosmtplib.SMTPResponseException as error:
            raise Refused(_answer(Step.CONNECT, error.code, error.message)) from error
        except (aiosmtplib.SMTPException, OSError) as error:
            raise Refused(network.failure(error, Step.CONNECT, endpoint)) from error
        finally:
            if not smtp.is_connected:
                sock.close()
        self._observe(Step.CONNECT, f"220 {_line(greeting.message)}")
        return smtp

    async def _protect(self, smtp: aiosmtplib.SMTP) -> bool:
        endpoint = self._route.endpoint
        try:
            await smtp.ehlo()
            if endpoint.security is Security.STARTTLS:
                if not smtp.supports_extension("starttls"):
                    text = f"{endpoint.host} port {endpoint.port} does not offer STARTTLS"
                    raise Refused(Answer(Service.NETWORK, Step.TLS, "tls", text))
                await smtp.starttls(tls_context=network.tls_context(endpoint), server_hostname=endpoint.host)
                await smtp.ehlo()
        except aiosmtplib.SMTPResponseException as error:
            raise Refused(_answer(Step.TLS, error.code, error.message)) from error
        except (aiosmtplib.SMTPException, OSError) as error:
            raise Refused(network.failure(error, Step.TLS, endpoint)) from error
        if endpoint.security is Security.NONE:
            return False
        self._observe(Step.TLS, network.describe_tls(smtp.get_transport_info("ssl_object")))
        return True

    async def _sign_in(self, smtp: aiosmtplib.SMTP, secret: str) -> None:
        sign_in = self._route.sign_in
        if isinstance(sign_in, Anonymous):
            return
        offered = smtp.server_auth_methods
        wanted = ["xoauth2"] if isinstance(sign_in, OAuth) else ["plain", "login"]
        method = next((name for name in wanted if name in offered), None)
        if method is None:
            what = " ".join(offered).upper() or "no AUTH"
            text = f"the server offers no {' or '.join(wanted).upper()}; it offers: {what}"
            raise Refused(_answer(Step.SIGN_IN, 504, text))
        try:
            if method == "xoauth2":
                response = await _xoauth2(smtp, sasl.encoded(sasl.xoauth2(sign_in.user, secret)))
            else:
                authenticate = {"plain": smtp.auth_plain, "login": smtp.auth_login}[method]
                response = await authenticate(sign_in.user, secret)
        except aiosmtplib.SMTPResponseException as error:
            raise Refused(_answer(Step.SIGN_IN, error.code, error.message)) from None
        except (aiosmtplib.SMTPException, OSError) as error:
            raise Refused(network.failure(error, Step.SIGN_IN, self._route.endpoint)) from error
        self._observe(Step.SIGN_IN, f"{response.code} {_line(response.message)}")

    # sending -----------------------------------------------------------------------------------------------

    async def _once(self, envelope: Envelope, message: bytes) -> SendResult:
        try:
            smtp = await self._ready()
            self._clean = False
            options, utf8 = _options(smtp, envelope, message)
            await self._sender(smtp, envelope.sender, options, utf8)
            refused = await self._recipients(smtp, envelope.recipients, utf8)
            if len(refused) == len(envelope.recipients):
                first = next(
                    iter(refused.values()), _answer(Step.RECIPIENT, 554, "5.5.1 the envelope has no recipients")
                )
                return Rejected(first, refused)
            await self._command(smtp, Step.DATA, b"DATA", expect=354)
        except Refused as error:
            return Rejected(error.answer)
        return await self._hand_over(smtp, message, refused)

    async def _ready(self) -> aiosmtplib.SMTP:
        smtp = self._smtp
        if smtp is not None and smtp.is_connected and not self._clean:
            try:
                await smtp.rset()
                self._clean = True
            except (aiosmtplib.SMTPException, OSError):
                await self._drop()
        if self._smtp is None or not self._smtp.is_connected:
            await self.open()
        if self._smtp is None:
            raise RuntimeError("open() neither connected nor raised")
        return self._smtp

    async def _sender(self, smtp: aiosmtplib.SMTP, sender: str, options: list[str], utf8: bool) -> None:
        path = b"FROM:" + _path(sender, Step.SENDER, utf8)
        said = await self._command(smtp, Step.SENDER, b"MAIL", path, *(option.encode() for option in options))
        self._observe(Step.SENDER, said)

    async def _recipients(self, smtp: aiosmtplib.SMTP, recipients: tuple[str, ...], utf8: bool) -> dict[str, Answer]:
        """Each that was refused. Raises `Refused` when the server closes the connection instead."""
        refused: dict[str, Answer] = {}
        for recipient in recipients:
            try:
                said = await self._command(
                    smtp, Step.RECIPIENT, b"RCPT", b"TO:" + _path(recipient, Step.RECIPIENT, utf8), expect=250, also=251
                )
            except Refused as error:
                if not smtp.is_connected:
                    raise
                refused[recipient] = error.answer
            else:
                self._observe(Step.RECIPIENT, f"{recipient}: {said}")
        return refused

    async def _command(
        self, smtp: aiosmtplib.SMTP, step: Step, *words: bytes, expect: int = 250, also: int = 250
    ) -> str:
        """The reply, for people. Raises `Refused`."""
        try:
            response = await smtp.execute_command(*words)
        except aiosmtplib.SMTPResponseException as error:
            raise Refused(_answer(step, error.code, error.message)) from error
        except (aiosmtplib.SMTPException, OSError) as error:
            raise Refused(network.failure(error, step, self._route.endpoint)) from error
        if response.code not in (expect, also):
            raise Refused(_answer(step, response.code, response.message))
        return f"{response.code} {_line(response.message)}"

    async def _hand_over(self, smtp: aiosmtplib.SMTP, message: bytes, refused: dict[str, Answer]) -> SendResult:
        protocol = smtp.protocol
        endpoint = self._route.endpoint
        if protocol is None:
            return Rejected(Answer(Service.NETWORK, Step.DATA, "lost", f"{endpoint.host}: connection closed"))
        # Line ends and dots as RFC 5321 sections 2.3.8 and 4.5.2 want them, nothing else. Not `smtp.data()`: it
        # does not tell a connection lost before the message was handed over from one lost after.
        protocol.write(_DOT.sub(b"..", normalize_message_line_endings(message)) + b".\r\n")
        try:
            response = await protocol.read_response(timeout=endpoint.timeout * _PATIENCE)
        except aiosmtplib.SMTPResponseException as error:
            await self._drop()
            return Unanswered(_answer(Step.DATA, error.code, error.message))
        except (aiosmtplib.SMTPException, OSError) as error:
            await self._drop()
            return Unanswered(network.failure(error, Step.DATA, endpoint))
        answer = _answer(Step.DATA, response.code, response.message)
        if response.code == 421:
            await self._drop()
        if response.code != 250:
            return Rejected(answer)
        self._clean = True
        self._observe(Step.DATA, f"250 {answer.text}")
        given = _GIVEN_ID.search(answer.text)
        return Accepted(answer, message_id=given.group(1) if given else "", refused=refused)


async def _xoauth2(smtp: aiosmtplib.SMTP, credentials: bytes) -> aiosmtplib.SMTPResponse:
    """Signs in on one line, or on two when it grows too long: Dovecot refuses it then, Microsoft takes both."""
    if len(b"AUTH XOAUTH2 " + credentials + b"\r\n") <= _LONGEST_COMMAND:
        response = await smtp.execute_command(b"AUTH", b"XOAUTH2", credentials)
    else:
        response = await smtp.execute_command(b"AUTH", b"XOAUTH2")
        if response.code == aiosmtplib.SMTPStatus.auth_continue:
            response = await smtp.execute_command(credentials)
    if response.code == aiosmtplib.SMTPStatus.auth_continue:
        # A refusal explained in base64; the answer itself comes after an empty line (facts 1.5).
        response = await smtp.execute_command(b"")
    if response.code != aiosmtplib.SMTPStatus.auth_successful:
        raise aiosmtplib.SMTPAuthenticationError(response.code, response.message)
    return response


def _options(smtp: aiosmtplib.SMTP, envelope: Envelope, message: bytes) -> tuple[list[str], bool]:
    """Of MAIL: SIZE (RFC 1870), BODY (RFC 6152), SMTPUTF8 (RFC 6531). Raises `Refused` where one is missing."""
    options: list[str] = []
    size = len(normalize_message_line_endings(message))
    if smtp.supports_extension("size"):
        limit = smtp.esmtp_extensions["size"].strip()
        if limit.isdigit() and 0 < int(limit) < size:
            text = f"5.3.4 the message has {size} bytes, and the server takes {limit} (its EHLO SIZE)"
            raise Refused(_answer(Step.DATA, 552, text))
        options.append(f"SIZE={size}")
    if not message.isascii():
        if not smtp.supports_extension("8bitmime"):
            raise Refused(_answer(Step.DATA, 554, "5.6.3 the message has 8-bit text, and the server has no 8BITMIME"))
        options.append("BODY=8BITMIME")
    has_utf8 = smtp.supports_extension("smtputf8")
    if not all(address.isascii() for address in (envelope.sender, *envelope.recipients)):
        if not has_utf8:
            text = "5.6.7 an address of the envelope is not ASCII, and the server has no SMTPUTF8"
            raise Refused(_answer(Step.SENDER, 553, text))
        return [*options, "SMTPUTF8"], True
    # Old programs write 8-bit headers that are no UTF-8; those go as they are.
    if has_utf8 and _is_utf8_header(b"".join(split(message).fields)):
        return [*options, "SMTPUTF8"], True
    return options, False


def _is_utf8_header(head: bytes) -> bool:
    if head.isascii():
        return False
    try:
        head.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _path(address: str, step: Step, utf8: bool) -> bytes:
    if _NO_PATH.search(address):
        raise Refused(_answer(step, 553, f"5.1.3 {address!r} is not an address"))
    return f"<{address}>".encode("utf-8" if utf8 else "ascii")


def _was_stale(answer: Answer) -> bool:
    """A kept connection that the server had left in the meantime: it says so by 421, or is gone."""
    return answer.code in {"lost", "421"} and answer.step in (Step.SENDER, Step.RECIPIENT, Step.DATA)


def _answer(step: Step, code: int, text: str) -> Answer:
    text = _line(text)
    enhanced = _ENHANCED.match(text)
    return Answer(Service.SMTP, step, str(code), text, enhanced=enhanced.group(1) if enhanced else "")


def _line(text: str) -> str:
    # Undecodable bytes of the server come as lone surrogates, which nothing could store.
    return " ".join(text.encode("utf-8", "replace").decode().split())
