"""Signing in: AUTH PLAIN and LOGIN against app credentials, and networks that need not."""

from __future__ import annotations

import asyncio
import binascii
import logging
from base64 import b64decode
from typing import Any

from aiosmtpd.smtp import AuthResult

from postroom.accounts.app_credentials import Denied
from postroom.accounts.app_rules import is_in
from postroom.bridge import replies
from postroom.bridge.connection import Connection
from postroom.bridge.desk import Asked, SignedIn
from postroom.bridge.guard import Guard
from postroom.bridge.parameters import Refused
from postroom.bridge.reading import read_line
from postroom.bridge.terms import Terms
from postroom.bridge.values import Prompts

_log = logging.getLogger(__name__)

_LONGEST_AUTH = 12_288  # RFC 4954 section 4
_GUESSES = 3


class SigningIn(Connection):
    """A connection that knows for whom it speaks."""

    def __init__(self, terms: Terms, asked: Asked, guard: Guard, open_ones: set[Connection]) -> None:
        self._asked = asked
        self._signed_in: SignedIn | None = None
        self._guesses = 0
        super().__init__(terms, guard, open_ones)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._signed_in = None  # RFC 3207 section 4.2: what was known before TLS is forgotten
        super().connection_made(transport)

    async def smtp_AUTH(self, arg: str | None) -> None:  # noqa: N802
        if self.session.authenticated:
            raise Refused(replies.TWICE)
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

    async def speaks_for(self) -> SignedIn:
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
        return self._signed_in


def _decoded(text: str) -> str:
    """Raises `Refused`."""
    if len(text) > _LONGEST_AUTH:
        raise Refused(replies.LINE_TOO_LONG)
    try:
        # RFC 4954 section 4: "=" alone is an empty answer.
        return b64decode("" if text == "=" else text, validate=True).decode("utf-8")
    except (binascii.Error, ValueError):
        raise Refused(replies.BAD_BASE64) from None
