"""The seams: what a sender and a reader can do, what they are told, and what they bring back.

A route says where and as whom. A sender or reader is opened on a route, reports each step of the
conversation to its observer, and brings remote refusals back as values (`Answer`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from postroom.mail.envelope import Envelope
from postroom.microsoft.answers import Answer, Step
from postroom.microsoft.claims import AccessToken


class Security(StrEnum):
    """How a connection is protected (RFC 8314 prefers `TLS`; Microsoft's SMTP offers `STARTTLS` only)."""

    TLS = "tls"
    STARTTLS = "starttls"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One server to connect to."""

    host: str
    port: int
    security: Security = Security.TLS
    ca_file: str = ""
    """PEM file of the certificate authorities to trust instead of the system's."""
    proxy: str = ""
    """`http://`, `socks4://` or `socks5://` address of an egress proxy, with `user:password@` if it wants one."""
    timeout: float = 30.0
    """Seconds for each network step."""


class TokenFor(Protocol):
    """Gives the access token for one application and resource; may block on the network.

    Raises `Refused` with Entra's answer. `force` asks Entra again although a token is held.
    """

    def __call__(self, *, force: bool = False) -> AccessToken: ...


@dataclass(frozen=True, slots=True)
class Anonymous:
    """No sign-in."""


@dataclass(frozen=True, slots=True)
class Password:
    """User name and password (SASL PLAIN or LOGIN, POP3 USER/PASS, IMAP LOGIN)."""

    user: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class OAuth:
    """SASL XOAUTH2, or a bearer token for Graph, as the mailbox `user`."""

    user: str
    token: TokenFor = field(repr=False)


SignIn = Anonymous | Password | OAuth

Observer = Callable[[Step, str], None]
"""Told of each step when it has succeeded, with a detail for people ("TLSv1.3, certificate of ...")."""


def nobody(step: Step, detail: str) -> None:
    """The observer of real mail."""


@dataclass(frozen=True, slots=True)
class SmtpRoute:
    endpoint: Endpoint
    sign_in: SignIn
    helo: str = ""


@dataclass(frozen=True, slots=True)
class GraphRoute:
    """Microsoft Graph for one mailbox. `endpoint.host`/`port` come from the cloud's Graph address."""

    endpoint: Endpoint
    sign_in: OAuth
    save_to_sent: bool = True
    folder: str = "inbox"


@dataclass(frozen=True, slots=True)
class ImapRoute:
    endpoint: Endpoint
    sign_in: SignIn
    folder: str = "INBOX"


@dataclass(frozen=True, slots=True)
class PopRoute:
    endpoint: Endpoint
    sign_in: SignIn


SendRoute = SmtpRoute | GraphRoute
ReadRoute = ImapRoute | PopRoute | GraphRoute


@dataclass(frozen=True, slots=True)
class Accepted:
    """The other side took the message, for all recipients but those in `refused`."""

    answer: Answer
    message_id: str = ""
    """The Message-ID that the server gave it, with angle brackets, where it said so (facts 8)."""
    refused: Mapping[str, Answer] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Rejected:
    """The other side did not take the message; it is still ours."""

    answer: Answer
    refused: Mapping[str, Answer] = field(default_factory=dict)
    """What was said of each recipient, when every one was refused."""


@dataclass(frozen=True, slots=True)
class Unanswered:
    """The message was handed over and no answer came: it may or may not have been taken."""

    answer: Answer


SendResult = Accepted | Rejected | Unanswered


class Sender(Protocol):
    """One connection that sends; used by one task at a time, for any number of messages."""

    async def open(self) -> None:
        """Connects and signs in. Raises `Refused`."""

    async def send(self, envelope: Envelope, message: bytes) -> SendResult:
        """Hands over exactly these bytes to exactly this envelope, connecting first where need be."""

    async def close(self) -> None:
        """Says goodbye; never raises."""


@dataclass(frozen=True, slots=True)
class Marker:
    """How far a folder has been read, opaque to all but the transport that made it.

    IMAP: UIDVALIDITY and the last UID; Graph: the link to the next page or the delta; POP3: the last UIDL.
    """

    value: str = ""


@dataclass(frozen=True, slots=True)
class Item:
    """A message on the server. `uid` is the IMAP UID, the POP3 UIDL, or Graph's immutable id."""

    uid: str
    size: int = 0
    seen: bool = False


@dataclass(frozen=True, slots=True)
class Listing:
    """What is there past a marker; `restarted` when the old marker no longer holds (UIDVALIDITY, resync)."""

    items: Sequence[Item]
    marker: Marker
    restarted: bool = False


@dataclass(frozen=True, slots=True)
class Folder:
    """The folder as opened."""

    name: str
    messages: int


class Reader(Protocol):
    """One connection that reads one folder; used by one task at a time. Every verb may raise `Refused`."""

    async def open(self) -> Folder:
        """Connects, signs in, opens the folder."""

    async def list(self, after: Marker, limit: int = 100) -> Listing:
        """Up to `limit` messages past the marker, oldest first; all of the folder for `Marker()`."""

    async def newest(self, limit: int = 50) -> Sequence[Item]:
        """The latest messages, newest first."""

    async def fetch(self, uid: str) -> bytes:
        """The message as it is on the server, without marking it seen."""

    async def find(self, message_id: str, folder: str = "") -> Sequence[Item]:
        """Messages with this Message-ID in the open folder, or in the one named."""

    async def mark_seen(self, uid: str) -> None: ...

    async def move(self, uid: str, folder: str) -> None: ...

    async def delete(self, uid: str) -> None: ...

    async def wait(self, seconds: float) -> bool:
        """Waits for news (IDLE where there is one) up to `seconds`; True when there may be some."""

    async def close(self) -> None:
        """Says goodbye; never raises."""
