"""Reading by POP3 (RFC 1939): one folder, messages known by their UIDL, deletion when the session ends.

The protocol shows the mailbox as it was at sign-in, so new messages are seen after signing in again; and it has
neither seen marks nor folders.
"""

from __future__ import annotations

import asyncio
import contextlib
import poplib
import re
import socket
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

from postroom.mail.message import Message
from postroom.microsoft.answers import Answer, Refused, Service, Step
from postroom.transports import network, sasl
from postroom.transports.base import (
    Folder,
    Item,
    Listing,
    Marker,
    OAuth,
    Observer,
    Password,
    PopRoute,
    Security,
    nobody,
)
from postroom.transports.thread import OwnThread, heard_in_loop
from postroom.transports.tokens import token, worth_a_new_token

T = TypeVar("T")

# poplib gives up on longer lines, although mail in the wild has them (RFC 5322 allows 998 characters).
poplib._MAXLINE = max(poplib._MAXLINE, 64 * 1024 * 1024)  # type: ignore[attr-defined]

_ENHANCED = re.compile(r"\[([A-Z/-]+)\]")
_POLL_EVERY = 60.0
_SEARCHED = 200
"""How many of the newest messages `find` looks at: each costs a TOP."""


class PopReader:
    """See `base.Reader`. Items are UIDLs; a marker is the last one listed. Signs in again by itself after a QUIT."""

    def __init__(self, route: PopRoute, observer: Observer = nobody) -> None:
        self._route = route
        self._observe = observer
        self._thread = OwnThread("pop3")
        self._pop: _Connection | None = None
        self._items: dict[str, tuple[int, int]] = {}
        """UIDL -> (number in this session, size), oldest first."""

    async def open(self) -> Folder:
        """Raises `Refused`. After a sign-in refused with OAuth, once more with a new token on a new connection."""
        try:
            return await self._open(force=False)
        except Refused as error:
            if not worth_a_new_token(self._route.sign_in, error.answer):
                raise
            return await self._open(force=True)

    async def _open(self, *, force: bool) -> Folder:
        self._hang_up()
        route = self._route
        secret = await token(route.sign_in, force=force) if isinstance(route.sign_in, OAuth) else ""
        sock = await network.connect(route.endpoint, self._observe)
        return await self._thread.run(self._start, sock, secret, heard_in_loop(self._observe))

    def _start(self, sock: socket.socket, secret: str, observe: Observer) -> Folder:
        endpoint = self._route.endpoint
        sock.settimeout(endpoint.timeout)
        pop: _Connection | None = None
        try:
            if endpoint.security is Security.TLS:
                sock = network.secure(sock, endpoint, observe)
            with self._said(Step.CONNECT):
                pop = _Connection(sock, endpoint.host)
                observe(Step.CONNECT, _text(pop.welcome))
            with self._said(Step.TLS):
                if endpoint.security is Security.STARTTLS:
                    if "STLS" not in pop.capa():
                        text = f"{endpoint.host} port {endpoint.port} does not offer STLS"
                        raise Refused(Answer(Service.NETWORK, Step.TLS, "tls", text))
                    pop.stls(network.tls_context(endpoint))
                    observe(Step.TLS, network.describe_tls(pop.sock))
            network.refuse_in_the_clear(endpoint, self._route.sign_in, endpoint.security is not Security.NONE)
            with self._said(Step.SIGN_IN):
                observe(Step.SIGN_IN, self._sign_in(pop, secret))
            with self._said(Step.FOLDER):
                self._items = _inventory(pop)
        except BaseException:
            if pop is not None:
                pop.close()
            sock.close()
            raise
        self._pop = pop
        observe(Step.FOLDER, f"{len(self._items)} messages")
        return Folder("INBOX", len(self._items))

    def _sign_in(self, pop: _Connection, secret: str) -> str:
        match self._route.sign_in:
            case OAuth(user=user):
                return pop.sasl("XOAUTH2", sasl.xoauth2(user, secret))
            case Password(user=user, password=password):
                pop.user(user)
                return _text(pop.pass_(password))
            case _:
                raise Refused(_answer(Step.SIGN_IN, "POP3 has no mailbox without a sign-in"))

    # the verbs -----------------------------------------------------------------------------------------------

    async def list(self, after: Marker, limit: int = 100) -> Listing:
        await self._renewed()
        uids = list(self._items)
        holds = after.value in self._items
        past = uids[uids.index(after.value) + 1 :] if holds else uids
        listed = past[:limit]
        last = listed[-1] if listed else (after.value if holds else "")
        return Listing(self._described(listed), Marker(last), restarted=bool(after.value) and not holds)

    async def newest(self, limit: int = 50) -> Sequence[Item]:
        await self._renewed()
        return self._described(list(self._items)[::-1][:limit])

    async def fetch(self, uid: str) -> bytes:
        return await self._read(lambda pop: b"\r\n".join([*pop.retr(self._number(uid))[1], b""]))

    async def find(self, message_id: str, folder: str = "") -> Sequence[Item]:
        if folder:
            raise Refused(_answer(Step.FOLDER, "POP3 has no other folders; choose IMAP or Graph to read"))
        await self._renewed()
        return await self._read(self._find, message_id)

    def _find(self, pop: _Connection, message_id: str) -> Sequence[Item]:
        newest = list(self._items)[::-1][:_SEARCHED]
        heads = ((uid, b"\r\n".join(pop.top(self._items[uid][0], 0)[1])) for uid in newest)
        return self._described([uid for uid, head in heads if Message(head).message_id == message_id])

    async def mark_seen(self, uid: str) -> None:
        """Nothing: the protocol has no such mark."""

    async def move(self, uid: str, folder: str) -> None:
        raise Refused(_answer(Step.READ, "POP3 cannot move messages; choose IMAP or Graph to read"))

    async def delete(self, uid: str) -> None:
        """Signs out, as only that deletes (RFC 1939 section 6)."""

        def gone(pop: _Connection) -> None:
            pop.dele(self._number(uid))
            pop.quit()

        await self._read(gone)
        self._pop = None

    async def wait(self, seconds: float) -> bool:
        known = set(self._items)
        loop = asyncio.get_running_loop()
        end = loop.time() + seconds
        while (left := end - loop.time()) > 0:
            await asyncio.sleep(min(left, _POLL_EVERY))
            await self._sign_out()
            await self.open()
            if not known.issuperset(self._items):
                return True
        return False

    async def close(self) -> None:
        await self._sign_out()
        self._thread.stop()

    # how -----------------------------------------------------------------------------------------------------

    async def _renewed(self) -> None:
        """Signs in again when this session was looked at already, so that what came since is there."""
        if self._pop is None or self._pop.was_used:
            await self._sign_out()
            await self.open()
        if self._pop is not None:
            self._pop.was_used = True

    async def _sign_out(self) -> None:
        pop, self._pop = self._pop, None
        if pop is not None:
            with contextlib.suppress(poplib.error_proto, OSError, EOFError):
                await self._thread.run(pop.quit)

    async def _read(self, verb: Callable[..., T], *args: Any) -> T:
        if self._pop is None:
            await self.open()

        def told() -> T:
            with self._said(Step.READ):
                if self._pop is None:
                    raise EOFError("not connected")
                return verb(self._pop, *args)

        return await self._thread.run(told)

    def _number(self, uid: str) -> int:
        if uid not in self._items:
            raise Refused(_answer(Step.READ, f"the mailbox has no message with UIDL {uid} any more"))
        return self._items[uid][0]

    def _described(self, uids: Sequence[str]) -> Sequence[Item]:
        return [Item(uid, size=self._items[uid][1]) for uid in uids]

    def _hang_up(self) -> None:
        pop, self._pop = self._pop, None
        if pop is not None:
            with contextlib.suppress(OSError):
                pop.close()

    @contextlib.contextmanager
    def _said(self, step: Step) -> Iterator[None]:
        """Turns what poplib raises into `Refused`."""
        try:
            yield
        except poplib.error_proto as error:
            said = error.args[0] if error.args else ""
            if not isinstance(said, bytes):  # poplib's own words, mostly "-ERR EOF"
                self._hang_up()
                lost = ConnectionError("connection closed by the server" if "EOF" in said else said)
                raise Refused(network.failure(lost, step, self._route.endpoint)) from None
            raise Refused(_answer(step, _text(said).removeprefix("-ERR").strip())) from None
        except (OSError, EOFError) as error:
            self._hang_up()
            raise Refused(network.failure(error, step, self._route.endpoint)) from None


class _Connection(poplib.POP3):
    """poplib on a socket that is open already, with SASL in two lines (facts 1.5)."""

    was_used = False

    def __init__(self, sock: socket.socket, host: str) -> None:
        self._given = sock
        super().__init__(host)

    def _create_socket(self, timeout: float) -> socket.socket:
        return self._given

    def sasl(self, mechanism: str, response: bytes) -> str:
        """Raises `poplib.error_proto`. An error that comes as a challenge (Gmail) is answered by an empty line."""
        said = b""
        for line in sasl.two_lines(mechanism, response):
            said = self._shortcmd(line.decode("ascii"))  # type: ignore[attr-defined]
        if not said.startswith(b"+OK"):
            said = self._shortcmd("")  # type: ignore[attr-defined]
        return _text(said)


def _inventory(pop: poplib.POP3) -> dict[str, tuple[int, int]]:
    sizes = {int(number): int(size) for number, size in (line.split()[:2] for line in pop.list()[1])}
    items = {}
    for line in pop.uidl()[1]:
        number, _, uid = line.decode("utf-8", "replace").partition(" ")
        items[uid.strip()] = (int(number), sizes.get(int(number), 0))
    return items


def _answer(step: Step, text: str) -> Answer:
    code = _ENHANCED.match(text)  # RFC 2449 response codes, such as [AUTH] and [IN-USE]
    return Answer(Service.POP3, step, "-ERR", text, enhanced=code.group(1) if code else "")


def _text(words: Any) -> str:
    return " ".join((words.decode("utf-8", "replace") if isinstance(words, bytes) else str(words)).split())
