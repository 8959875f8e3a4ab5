"""What the connections of a process ask of the other rooms: sign programs in, accept messages, remember guesses.

The database is asked in a few threads of its own, so that the event loop never waits for it.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from django.db import close_old_connections

from postroom.accounts import app_credentials
from postroom.accounts.app_credentials import Denied, Grant
from postroom.bridge.values import ListenerData
from postroom.mailboxes.service import own_addresses
from postroom.outbox.accept import accept_async
from postroom.outbox.values import Caller, Receipt, Submission

T = TypeVar("T")

_REMEMBERED = 10_000


@dataclass(frozen=True, slots=True)
class SignedIn:
    """Whom a connection speaks for."""

    caller: Caller
    grant: Grant | None
    """None for a network that need not sign in."""
    seen_at: float
    """Seconds of the monotonic clock, when this was last looked up."""

    @property
    def mailbox(self) -> int | None:
        """The one mailbox, where there is no choice."""
        ids = self.caller.mailboxes
        return next(iter(ids)) if ids is not None and len(ids) == 1 else None


class Asked(Protocol):
    """What a connection asks. Each may raise anything for a fault here: the program is told to come again."""

    async def sign_in(self, name: str, secret: str, address: str) -> SignedIn:
        """Raises `Denied`."""

    async def still(self, signed_in: SignedIn) -> SignedIn:
        """The same, fresh when it has become old. Raises `Denied`."""

    async def open_house(self, data: ListenerData, address: str) -> SignedIn:
        """For a network that need not sign in. Raises `Denied`."""

    async def accept(self, submission: Submission) -> Receipt:
        """Raises `Refusal`."""


@dataclass
class Desk:
    """The real one."""

    fresh_for: float = 5.0
    """Seconds for which an answer holds: open sessions are looked up again after it, and whoever signs in for each
    message costs one look at the database in this time."""
    _recent: dict[tuple[str, bytes, str], SignedIn] = field(default_factory=dict, repr=False)
    """Name, digest of the secret, address -> what was found. Refusals are not kept."""
    _threads: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(4, "door"))

    async def sign_in(self, name: str, secret: str, address: str) -> SignedIn:
        key = (name, hashlib.sha256(secret.encode("utf-8", "surrogateescape")).digest(), address)
        return await self._found(key, lambda: _signed_in(app_credentials.sign_in(name, secret, address), address))

    async def still(self, signed_in: SignedIn) -> SignedIn:
        grant, address = signed_in.grant, signed_in.caller.address
        if grant is None or self._is_fresh(signed_in):
            return signed_in
        return await self.ask(lambda: _signed_in(app_credentials.still(grant, address), address))

    async def open_house(self, data: ListenerData, address: str) -> SignedIn:
        return await self._found((f"listener:{data.name}", b"", address), lambda: _visitor(data, address))

    async def _found(self, key: tuple[str, bytes, str], question: Callable[[], SignedIn]) -> SignedIn:
        known = self._recent.get(key)
        if known is not None and self._is_fresh(known):
            return known
        self._recent.pop(key, None)
        if len(self._recent) >= _REMEMBERED:
            self._recent.clear()
        found = self._recent[key] = await self.ask(question)
        return found

    def _is_fresh(self, signed_in: SignedIn) -> bool:
        return time.monotonic() - signed_in.seen_at < self.fresh_for

    async def accept(self, submission: Submission) -> Receipt:
        return await accept_async(submission)

    async def ask(self, question: Callable[[], T]) -> T:
        """Runs in a thread that keeps its database connection for the next question."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, _with_database, question)

    def close(self) -> None:
        """Lets what was asked be answered."""
        self._threads.shutdown(wait=True)


def _with_database(question: Callable[[], T]) -> T:
    close_old_connections()
    return question()


def _signed_in(grant: Grant, address: str) -> SignedIn:
    senders = grant.senders or own_addresses(grant.mailboxes)
    return SignedIn(Caller(f"app:{grant.name}", grant.mailboxes, senders, address), grant, time.monotonic())


def _visitor(data: ListenerData, address: str) -> SignedIn:
    if data.open_mailbox is None:
        raise Denied("no mailbox is named for those who do not sign in")
    allowed = frozenset({data.open_mailbox})
    senders = data.open_senders or own_addresses(allowed)
    return SignedIn(Caller(f"listener:{data.name}", allowed, senders, address), None, time.monotonic())
