"""The other side, scripted: tokens, one server to send to, one folder to read; each can be told to refuse."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

from postroom.mail.envelope import Envelope
from postroom.mail.message import Message
from postroom.mailboxes import connect, mailing, proof
from postroom.microsoft.answers import Answer, Refused, Service, Step
from postroom.microsoft.claims import AccessToken, Claims
from postroom.microsoft.tokens import ApplicationIdentity
from postroom.transports.base import Accepted, Folder, Item, OAuth, Observer, ReadRoute, SendResult, SendRoute, nobody

ROLES = ("SMTP.SendAsApp", "IMAP.AccessAsApp")
AUTH_FAILED = Answer(Service.SMTP, Step.SIGN_IN, "535", "5.7.3 Authentication unsuccessful [x]", enhanced="5.7.3")
IMAP_REFUSED = Answer(Service.IMAP, Step.SIGN_IN, "NO", "AUTHENTICATE failed.")
NOT_CONNECTED = Answer(Service.IMAP, Step.FOLDER, "BAD", "User is authenticated but not connected.")
NO_NAME = Answer(Service.NETWORK, Step.RESOLVE, "resolve", "Name or service not known")


@dataclass
class OtherSide:
    """What it does; a test changes it before, or while, a proof runs."""

    oid: str
    client_id: str
    tenant: str
    roles: Sequence[str] = ROLES
    audience: str = "https://outlook.office365.com"
    token_refusal: Answer | None = None
    send_refusals: list[Answer] = field(default_factory=list)
    """One for each attempt; then it accepts."""
    read_refusals: list[Answer] = field(default_factory=list)
    delivers: bool = True
    renames: bool = False
    """Gives the message another Message-ID, as Exchange does."""
    tokens: int = 0
    forced: int = 0
    messages: dict[str, bytes] = field(default_factory=dict)
    envelopes: list[Envelope] = field(default_factory=list)

    def install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(connect, "token_source", lambda: self)
        monkeypatch.setattr(mailing, "token_source", lambda: self)
        monkeypatch.setattr(mailing, "open_sender", lambda route, observer: _Sender(self, route, observer))
        monkeypatch.setattr(proof, "open_reader", lambda route, observer: _Reader(self, route, observer))
        monkeypatch.setattr(mailing, "open_reader", lambda route: _Reader(self, route, nobody))

    def get(self, identity: ApplicationIdentity, resource: str, *, force: bool = False) -> AccessToken:
        self.tokens += 1
        self.forced += force
        if self.token_refusal is not None:
            raise Refused(self.token_refusal)
        body = {
            "aud": self.audience,
            "oid": self.oid,
            "appid": self.client_id,
            "tid": self.tenant,
            "roles": list(self.roles),
        }
        value = "h." + base64.urlsafe_b64encode(json.dumps(body).encode()).decode().rstrip("=") + ".s"
        return AccessToken(value, 4_000_000_000.0, Claims.of(value))


@dataclass
class _Sender:
    side: OtherSide
    route: SendRoute
    observe: Observer

    async def open(self) -> None: ...

    async def close(self) -> None: ...

    async def send(self, envelope: Envelope, message: bytes) -> SendResult:
        if isinstance(self.route.sign_in, OAuth):
            self.route.sign_in.token()
        refusal = self.side.send_refusals.pop(0) if self.side.send_refusals else None
        for step in (Step.RESOLVE, Step.CONNECT, Step.TLS, Step.SIGN_IN, Step.SENDER, Step.RECIPIENT, Step.DATA):
            if refusal is not None and refusal.step is step:
                raise Refused(refusal)
            self.observe(step, f"{step} fine")
        self.side.envelopes.append(envelope)
        if self.side.delivers:
            self.side.messages[str(len(self.side.messages) + 1)] = message
        named = "<given@exchange.example>" if self.side.renames else ""
        return Accepted(Answer(Service.SMTP, Step.DATA, "250", "2.0.0 OK"), named)


@dataclass
class _Reader:
    side: OtherSide
    route: ReadRoute
    observe: Observer

    async def open(self) -> Folder:
        if isinstance(self.route.sign_in, OAuth):
            self.route.sign_in.token()
        refusal = self.side.read_refusals.pop(0) if self.side.read_refusals else None
        for step in (Step.RESOLVE, Step.CONNECT, Step.TLS, Step.SIGN_IN, Step.FOLDER):
            if refusal is not None and refusal.step is step:
                raise Refused(refusal)
            self.observe(step, f"{step} fine")
        return Folder("INBOX", len(self.side.messages))

    async def newest(self, limit: int = 50) -> Sequence[Item]:
        return [Item(uid) for uid in self.side.messages]

    async def find(self, message_id: str, folder: str = "") -> Sequence[Item]:
        if self.side.renames:
            return []
        return [Item(uid) for uid, raw in self.side.messages.items() if Message(raw).message_id == message_id]

    async def fetch(self, uid: str) -> bytes:
        return self.side.messages[uid]

    async def wait(self, seconds: float) -> bool:
        return False

    async def close(self) -> None: ...
