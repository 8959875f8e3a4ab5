"""A listener on a free port in front of an acceptor that the test holds in its hands."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

import pytest

from postroom.accounts.app_credentials import Denied, Grant
from postroom.bridge.desk import SignedIn
from postroom.bridge.guard import Guard
from postroom.bridge.listening import Port, open_port
from postroom.bridge.terms import Terms
from postroom.bridge.tls import server_context
from postroom.bridge.values import ListenerData, Mode
from postroom.outbox.values import Caller, Receipt, Refusal, Submission, Why

LOOPBACK = ("127.0.0.0/8",)
NAME, SECRET = "payroll", "mfrggzdfmztwq2lknnwg23tpob"


@dataclass
class Backroom:
    """Stands for the other rooms: one app, and an outbox that keeps messages in a list, or refuses them."""

    kept: list[Submission] = field(default_factory=list)
    refusal: Exception | None = None
    sign_in_fault: Exception | None = None
    ended: bool = False
    messages_per_minute: int | None = None
    gate: asyncio.Event | None = None
    """When set, accepting waits for it."""
    accepting: asyncio.Event = field(default_factory=asyncio.Event)

    async def sign_in(self, name: str, secret: str, address: str) -> SignedIn:
        if self.sign_in_fault:
            raise self.sign_in_fault
        if (name, secret) != (NAME, SECRET):
            raise Denied("wrong")
        grant = Grant(1, 1, name, frozenset({7}), (), self.messages_per_minute)
        return SignedIn(Caller(f"app:{name}", frozenset({7}), ("*@contoso.com",), address), grant, time.monotonic())

    async def still(self, signed_in: SignedIn) -> SignedIn:
        if self.ended:
            raise Denied("ended")
        return signed_in

    async def open_house(self, data: ListenerData, address: str) -> SignedIn:
        if data.open_mailbox is None:
            raise Denied("no mailbox")
        return SignedIn(Caller(f"listener:{data.name}", frozenset({data.open_mailbox}), (), address), None, 0.0)

    async def accept(self, submission: Submission) -> Receipt:
        self.accepting.set()
        if self.gate:
            await self.gate.wait()
        if self.refusal:
            raise self.refusal
        self.kept.append(submission)
        envelope = submission.envelope
        assert envelope is not None
        return Receipt(len(self.kept), "<x@contoso.com>", 7, envelope.recipients)


@pytest.fixture
def backroom() -> Backroom:
    return Backroom()


PLAIN = ListenerData("test", port=0, mode=Mode.PLAIN, networks=LOOPBACK, hostname="door.example")

Opener = Callable[[ListenerData], Awaitable[Port]]


@pytest.fixture
async def door(backroom: Backroom, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Opener]:
    """Opens listeners; they close with the test."""
    ports: list[Port] = []
    guard = Guard(time.monotonic)

    async def opened(data: ListenerData) -> Port:
        folder = tmp_path_factory.getbasetemp() / "tls"
        tls = None if data.mode == Mode.PLAIN else server_context(data, data.hostname, folder)
        ports.append(await open_port(Terms(len(ports), data, data.hostname, tls), backroom, guard))
        return ports[-1]

    yield opened
    for port in ports:
        await port.close(grace=0.1)


class Wire:
    """A client that says exactly what it is told to."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def hear(self) -> str:
        """One reply, all its lines."""
        said = ""
        while True:
            line = (await asyncio.wait_for(self.reader.readline(), 20)).decode()
            said += line
            if line[3:4] != "-":
                return said.rstrip("\r\n")

    async def say(self, line: str | bytes) -> str:
        """One command, its reply."""
        await self.send(line if isinstance(line, bytes) else f"{line}\r\n".encode())
        return await self.hear()

    async def send(self, raw: bytes) -> None:
        self.writer.write(raw)
        await self.writer.drain()

    async def closed(self) -> bool:
        """Whether the other side has ended the connection, waiting for it."""
        return await asyncio.wait_for(self.reader.read(1), 20) == b""

    async def sign_in(self) -> None:
        from base64 import b64encode

        await self.say("EHLO me")
        said = await self.say(f"AUTH PLAIN {b64encode(f'{chr(0)}{NAME}{chr(0)}{SECRET}'.encode()).decode()}")
        assert said.startswith("235"), said

    async def message(self, raw: bytes = b"From: a@contoso.com\r\nTo: b@x.example\r\n\r\nHi\r\n") -> str:
        for line in ("MAIL FROM:<a@contoso.com>", "RCPT TO:<b@x.example>", "DATA"):
            said = await self.say(line)
            assert said[0] in "23", said
        return await self.say(raw + b".\r\n")


@asynccontextmanager
async def talking(port: Port, host: str = "127.0.0.1") -> AsyncIterator[Wire]:
    reader, writer = await asyncio.open_connection(host, port.number)
    try:
        yield Wire(reader, writer)
    finally:
        writer.close()


def refusing(why: Why) -> Refusal:
    return Refusal(why, "it is so", "do this")


def plain(**changes: object) -> ListenerData:
    return replace(PLAIN, **changes)  # type: ignore[arg-type]
