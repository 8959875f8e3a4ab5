"""Reading by IMAP (RFC 3501, 9051): by UID, without marking anything seen, woken by IDLE where the server has it."""

from __future__ import annotations

import asyncio
import contextlib
import imaplib
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

from imapclient import IMAPClient

from postroom.microsoft.answers import Answer, Refused, Service, Step
from postroom.transports import network, sasl
from postroom.transports.base import (
    Anonymous,
    Folder,
    ImapRoute,
    Item,
    Listing,
    Marker,
    OAuth,
    Observer,
    Password,
    Security,
    nobody,
)
from postroom.transports.folders import is_special
from postroom.transports.thread import OwnThread, heard_in_loop
from postroom.transports.tokens import token, worth_a_new_token

T = TypeVar("T")

# imaplib gives up on longer lines; the answer to SEARCH in a folder of some 140,000 messages is one.
imaplib._MAXLINE = max(imaplib._MAXLINE, 64 * 1024 * 1024)  # type: ignore[attr-defined]

# facts 1.5: "Request is throttled. Suggested Backoff Time: 92415 milliseconds"
_BACKOFF = re.compile(r"Suggested Backoff Time: (\d+) milliseconds", re.IGNORECASE)
# RFC 2177: an IDLE is renewed before 29 minutes.
_LONGEST_IDLE = 28 * 60
_NOOP_EVERY = 30.0
_NEWS = (b"EXISTS", b"RECENT")


class ImapReader:
    """See `base.Reader`. Items are UIDs; a marker is `UIDVALIDITY:last UID`."""

    def __init__(self, route: ImapRoute, observer: Observer = nobody) -> None:
        self._route = route
        self._observe = observer
        self._thread = OwnThread("imap")
        self._client: _Client | None = None
        self._validity = 0
        self._listed = 0
        """The highest UID that `list` gave out, so that `wait` misses nothing that came in between."""

    async def open(self) -> Folder:
        """Raises `Refused`. After a sign-in refused with OAuth, once more with a new token on a new connection."""
        try:
            return await self._open(force=False)
        except Refused as error:
            if not worth_a_new_token(self._route.sign_in, error.answer):
                raise
            return await self._open(force=True)

    async def _open(self, *, force: bool) -> Folder:
        await self._drop()
        route = self._route
        secret = await token(route.sign_in, force=force) if isinstance(route.sign_in, OAuth) else ""
        sock = await network.connect(route.endpoint, self._observe)
        return await self._thread.run(self._start, sock, secret, heard_in_loop(self._observe))

    def _start(self, sock: socket.socket, secret: str, observe: Observer) -> Folder:
        endpoint = self._route.endpoint
        sock.settimeout(endpoint.timeout)
        try:
            if endpoint.security is Security.TLS:
                sock = network.secure(sock, endpoint, observe)
            with self._said(Step.CONNECT):
                self._client = client = _Client(sock, endpoint.host, endpoint.timeout)
            observe(Step.CONNECT, client.words_of_welcome)
            with self._said(Step.TLS):
                protected = self._protect(client, observe)
            network.refuse_in_the_clear(endpoint, self._route.sign_in, protected)
            with self._said(Step.SIGN_IN):
                observe(Step.SIGN_IN, self._sign_in(client, secret))
            folder = self._select()
            observe(Step.FOLDER, f"{folder.name}, {folder.messages} messages")
        except BaseException:
            self._let_go()
            sock.close()
            raise
        return folder

    def _protect(self, client: _Client, observe: Observer) -> bool:
        endpoint = self._route.endpoint
        if endpoint.security is Security.STARTTLS:
            if not client.has_capability("STARTTLS"):
                text = f"{endpoint.host} port {endpoint.port} does not offer STARTTLS"
                raise Refused(Answer(Service.NETWORK, Step.TLS, "tls", text))
            client.starttls(network.tls_context(endpoint))
            observe(Step.TLS, network.describe_tls(client.socket()))
        return endpoint.security is not Security.NONE

    def _sign_in(self, client: _Client, secret: str) -> str:
        match self._route.sign_in:
            case OAuth(user=user):
                return client.sasl("XOAUTH2", sasl.xoauth2(user, secret))
            case Password(user=user, password=password) if client.has_capability("AUTH=PLAIN"):
                return client.sasl("PLAIN", sasl.plain(user, password))
            case Password(user=user, password=password):
                return str(client.login(user, password), "utf-8", "replace")
            case Anonymous():
                raise Refused(_answer(Step.SIGN_IN, "NO", "IMAP has no mailbox without a sign-in"))

    def _select(self) -> Folder:
        with self._said(Step.FOLDER):
            found = self._connected().select_folder(self._named(self._route.folder))
        self._validity = int(found.get(b"UIDVALIDITY", 0))
        return Folder(self._route.folder, int(found.get(b"EXISTS", 0)))

    # the verbs, each in the thread ---------------------------------------------------------------------------

    async def list(self, after: Marker, limit: int = 100) -> Listing:
        return await self._read(self._list, after, limit)

    def _list(self, after: Marker, limit: int) -> Listing:
        client = self._connected()
        client.noop()  # a server need not tell of new messages before it is asked
        validity, _, last_text = after.value.partition(":")
        holds = validity == str(self._validity) and last_text.isdigit()
        last = int(last_text) if holds else 0
        # "n:*" holds the last message even when its UID is below n (RFC 3501 section 6.4.8).
        uids = sorted(uid for uid in client.search(["UID", f"{last + 1}:*"]) if uid > last)[:limit]
        items = self._items(uids)
        self._listed = uids[-1] if uids else last
        return Listing(items, Marker(f"{self._validity}:{self._listed}"), restarted=bool(after.value) and not holds)

    async def newest(self, limit: int = 50) -> Sequence[Item]:
        return await self._read(self._newest, limit)

    def _newest(self, limit: int) -> Sequence[Item]:
        self._connected().noop()
        uids = sorted(self._connected().search("ALL"))[-limit:] if limit > 0 else []
        return self._items(uids)[::-1]

    def _items(self, uids: Sequence[int]) -> Sequence[Item]:
        if not uids:
            return []
        found = self._connected().fetch(uids, ["RFC822.SIZE", "FLAGS"])
        return [
            Item(str(uid), size=int(found[uid].get(b"RFC822.SIZE", 0)), seen=b"\\Seen" in found[uid].get(b"FLAGS", ()))
            for uid in uids
            if uid in found  # not when it was deleted in between
        ]

    async def fetch(self, uid: str) -> bytes:
        return await self._read(self._fetch, uid)

    def _fetch(self, uid: str) -> bytes:
        found = self._connected().fetch([int(uid)], ["BODY.PEEK[]"]).get(int(uid), {})
        content = found.get(b"BODY[]")
        if not isinstance(content, bytes):
            text = f"the folder {self._route.folder} has no message with UID {uid} any more"
            raise Refused(Answer(Service.IMAP, Step.READ, "NO", text))
        return content

    async def find(self, message_id: str, folder: str = "") -> Sequence[Item]:
        return await self._read(self._find, message_id, folder)

    def _find(self, message_id: str, folder: str) -> Sequence[Item]:
        client = self._connected()
        wanted = self._named(folder) if folder else self._route.folder
        elsewhere = wanted != self._route.folder
        try:
            if elsewhere:
                with self._said(Step.FOLDER):
                    client.select_folder(wanted, readonly=True)
            else:
                client.noop()
            return self._items(sorted(client.search(_with_id(message_id))))
        finally:
            # A SELECT that fails leaves no folder open (RFC 3501 section 6.3.1).
            if elsewhere and self._client is client:
                self._select()

    async def mark_seen(self, uid: str) -> None:
        await self._read(lambda: self._connected().add_flags([int(uid)], [b"\\Seen"], silent=True))

    async def move(self, uid: str, folder: str) -> None:
        await self._read(self._move, uid, folder)

    def _move(self, uid: str, folder: str) -> None:
        client = self._connected()
        wanted = self._named(folder)
        if client.has_capability("MOVE"):
            client.move([int(uid)], wanted)
        else:
            client.copy([int(uid)], wanted)
            self._delete(uid)

    async def delete(self, uid: str) -> None:
        await self._read(self._delete, uid)

    def _delete(self, uid: str) -> None:
        client = self._connected()
        client.delete_messages([int(uid)], silent=True)
        # Without UIDPLUS an EXPUNGE would take what others have marked: then the mark must do.
        if client.has_capability("UIDPLUS"):
            client.uid_expunge([int(uid)])

    async def wait(self, seconds: float) -> bool:
        """Given up (cancelled), it ends the connection: the thread would go on waiting."""
        try:
            return await self._read(self._wait, seconds)
        except asyncio.CancelledError:
            if self._client is not None:
                self._client.hang_up()
            raise

    def _wait(self, seconds: float) -> bool:
        client = self._connected()
        if any(uid > self._listed for uid in client.search(["UID", f"{self._listed + 1}:*"])):
            return True
        end = time.monotonic() + min(seconds, _LONGEST_IDLE)
        return self._idle(end) if client.has_capability("IDLE") else self._poll(end)

    def _idle(self, end: float) -> bool:
        client = self._connected()
        client.idle()
        news = False
        while not news and (left := end - time.monotonic()) > 0:
            heard = client.idle_check(timeout=left)
            news = any(len(line) > 1 and line[1] in _NEWS for line in heard)
            farewell = next((line for line in heard if line[0] == b"BYE"), None)
            if farewell:
                self._let_go()
                raise Refused(_answer(Step.READ, "BYE", _text(farewell[-1])))
            if not heard and end > time.monotonic():
                raise imaplib.IMAP4.abort("connection closed while waiting")
        client.idle_done()
        return news

    def _poll(self, end: float) -> bool:
        client = self._connected()
        while (left := end - time.monotonic()) > 0:
            if client.stopped.wait(min(left, _NOOP_EVERY)):
                break
            _, heard = client.noop()
            if any(len(line) > 1 and line[1] in _NEWS for line in heard):
                return True
        return False

    async def close(self) -> None:
        await self._drop()
        self._thread.stop()

    async def _drop(self) -> None:
        if self._client is not None:
            self._client.hang_up()  # ends what may be waiting in the thread
            await self._thread.run(self._let_go)

    def _let_go(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            client.hang_up()
            with contextlib.suppress(OSError, ValueError):
                client.shutdown()

    # what was said -------------------------------------------------------------------------------------------

    def _connected(self) -> _Client:
        if self._client is None:
            text = f"{self._route.endpoint.host}: not connected"
            raise Refused(Answer(Service.NETWORK, Step.READ, "lost", text))
        return self._client

    def _named(self, folder: str) -> str:
        """The server's name of a folder that is given by its use."""
        if not is_special(folder):
            return folder
        found = self._connected().find_special_folder(folder.encode("ascii"))
        if not found:
            raise Refused(_answer(Step.FOLDER, "NO", f"the mailbox has no folder marked {folder}"))
        return str(found)

    async def _read(self, verb: Callable[..., T], *args: Any) -> T:
        def told() -> T:
            with self._said(Step.READ):
                return verb(*args)

        return await self._thread.run(told)

    @contextlib.contextmanager
    def _said(self, step: Step) -> Iterator[None]:
        """Turns what the libraries raise into `Refused`."""
        try:
            yield
        except (imaplib.IMAP4.error, OSError, EOFError) as error:
            client = self._client
            said = client.last_word(error) if client is not None else _greeting(error)
            if said is None or said[0] == "BYE":
                self._let_go()
            if said is None:
                raise Refused(network.failure(error, step, self._route.endpoint)) from None
            raise Refused(_answer(step, *said)) from None


class _Connection(imaplib.IMAP4):
    """imaplib on a socket that is open already; remembers the server's last tagged answer in its own words."""

    def __init__(self, sock: socket.socket, host: str) -> None:
        self._given = sock
        self.tagged: tuple[str, str] = ("", "")
        super().__init__(host)

    def _create_socket(self, timeout: float | None = None) -> socket.socket:
        return self._given

    def _get_tagged_response(self, tag: str, expect_bye: bool = False) -> Any:
        self.tagged = ("", "")
        typ, data = super()._get_tagged_response(tag, expect_bye)  # type: ignore[misc]
        self.tagged = (typ, _text(data[-1] if data else b""))
        return typ, data


class _Client(IMAPClient):  # type: ignore[misc]
    """IMAPClient on such a connection, with SASL initial responses (RFC 4959)."""

    def __init__(self, sock: socket.socket, host: str, timeout: float) -> None:
        self._given = sock
        self.stopped = threading.Event()
        super().__init__(host, ssl=False, timeout=timeout)

    def _create_IMAP4(self) -> _Connection:  # noqa: N802  its name
        return _Connection(self._given, self.host)

    @property
    def words_of_welcome(self) -> str:
        return _text(self.welcome)

    def sasl(self, mechanism: str, response: bytes) -> str:
        """Raises `imaplib.IMAP4.error`. An error that comes as a challenge (Gmail) is answered by an empty line."""
        waiting = [sasl.encoded(response)]
        words = [waiting.pop()] if self.has_capability("SASL-IR") else []

        class _Answers:
            def process(self, challenge: bytes) -> bytes:
                return waiting.pop() if waiting else b""

        self._imap.literal = _Answers().process
        typ, data = self._imap._simple_command("AUTHENTICATE", mechanism, *(word.decode() for word in words))
        if typ != "OK":
            raise imaplib.IMAP4.error(_text(data[-1]))
        self._imap.state = "AUTH"
        return _text(data[-1])

    def _poll_socket(self, sock: Any, timeout: float | None = None) -> Any:
        return [sock] if self._has_read_ahead(sock) else super()._poll_socket(sock, timeout)

    def _select_poll_socket(self, sock: Any, timeout: float | None = None) -> Any:
        return [sock] if self._has_read_ahead(sock) else super()._select_poll_socket(sock, timeout)

    def _has_read_ahead(self, sock: Any) -> bool:
        """News that came in one piece with the answer to IDLE lies in buffers, where no poll sees it."""
        try:
            return bool(self._imap.file.peek(1)) or (hasattr(sock, "pending") and sock.pending() > 0)
        except OSError:  # nothing there: the socket does not block just now
            return False

    def last_word(self, error: Exception) -> tuple[str, str] | None:
        """The refusal that an error stands for, as (NO | BAD | BYE, text); None when the connection broke."""
        bye = self._imap.untagged_responses.get("BYE")
        if bye:
            return "BYE", _text(bye[-1])
        if isinstance(error, imaplib.IMAP4.abort | OSError | EOFError):
            return None
        typ, text = self._imap.tagged
        return (typ, text) if typ in {"NO", "BAD"} else ("NO", " ".join(str(error).split()))

    def hang_up(self) -> None:
        """Ends the connection at once, from any thread: only the one that reads may close it."""
        self.stopped.set()
        with contextlib.suppress(OSError):
            # Not SSLSocket's own, which takes the TLS state away from the thread that reads.
            socket.socket.shutdown(self.socket(), socket.SHUT_RDWR)


def _greeting(error: Exception) -> tuple[str, str] | None:
    """A server that refuses at once says BYE, and imaplib raises its line."""
    words = error.args[0] if error.args else b""
    if isinstance(words, bytes) and words.startswith(b"* BYE"):
        return "BYE", _text(words[5:])
    return None


def _answer(step: Step, code: str, text: str) -> Answer:
    backoff = _BACKOFF.search(text)
    return Answer(Service.IMAP, step, code, text, retry_after=int(backoff.group(1)) / 1000 if backoff else None)


def _text(words: Any) -> str:
    return " ".join((words.decode("utf-8", "replace") if isinstance(words, bytes) else str(words)).split())


def _with_id(message_id: str) -> list[str]:
    """By the Message-ID it has, or the one it came with where Exchange gave it another (facts 8)."""
    return ["OR", "HEADER", "Message-ID", message_id, "HEADER", "X-Microsoft-Original-Message-ID", message_id]
