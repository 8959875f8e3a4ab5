"""The programs that send: some SMTP sessions side by side, as lean as they can be, so that the servers are measured.

    python -m bench.load '{"port": 2525, "sessions": 20, ...}'

prints one line of JSON. It runs as a process of its own, so that its CPU time is nobody else's.
"""

from __future__ import annotations

import asyncio
import base64
import json
import sys
import time
from dataclasses import asdict, dataclass, field


@dataclass(frozen=True)
class Order:
    """What to send. A `name` means: sign in with AUTH PLAIN."""

    port: int
    sender: str
    recipient: str
    sessions: int = 20
    messages: int = 1000
    size: int = 5120
    kept: bool = True
    """On kept connections; else one connection, and one sign-in, for each message."""
    name: str = ""
    secret: str = ""
    tag: str = "bench"
    patience: float = 60.0
    """Seconds to wait for one reply."""


@dataclass
class Sent:
    """`seconds` from the first command of a message to the last answer; with kept connections they stand already."""

    seconds: float = 0.0
    started_at: float = 0.0
    """By the machine's monotonic clock."""
    accepted: int = 0
    answers: list[float] = field(default_factory=list)
    """Seconds that each message took, sign-in included where there is one for each."""
    refusals: list[str] = field(default_factory=list)


class Session:
    """One SMTP conversation after the other."""

    def __init__(self, order: Order, sent: Sent) -> None:
        self._order = order
        self._sent = sent
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._head = (
            f"From: <{order.sender}>\r\nTo: <{order.recipient}>\r\nSubject: {order.tag}\r\n"
            "Date: Mon, 23 Nov 2026 12:00:00 +0000\r\n"
        )
        line = b"x" * 70 + b"\r\n"
        self._body = line * max((order.size - len(self._head) - 60) // len(line), 1) + b".\r\n"

    async def open(self) -> None:
        order = self._order
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", order.port)
        await self._expect("220")
        await self.command("EHLO client.example", "250")
        if order.name:
            secret = base64.b64encode(f"\0{order.name}\0{order.secret}".encode()).decode()
            await self.command(f"AUTH PLAIN {secret}", "235")

    async def send(self, number: int) -> None:
        order, began = self._order, time.monotonic()
        if not order.kept:
            await self.open()
        try:
            await self.command(f"MAIL FROM:<{order.sender}>", "250")
            await self.command(f"RCPT TO:<{order.recipient}>", "250")
            await self.command("DATA", "354")
            head = f"{self._head}Message-ID: <{order.tag}.{number}@client.example>\r\n\r\n"
            self._write(head.encode() + self._body)
            await self._expect("250")
        finally:
            if not order.kept:
                await self.close()
        self._sent.accepted += 1
        self._sent.answers.append(time.monotonic() - began)

    async def close(self) -> None:
        if self._writer is None:
            return
        self._write(b"QUIT\r\n")
        await self._expect("221")
        self._writer.close()
        self._writer = None

    async def command(self, line: str, wanted: str) -> None:
        self._write(line.encode() + b"\r\n")
        await self._expect(wanted)

    def _write(self, data: bytes) -> None:
        assert self._writer is not None
        self._writer.write(data)

    async def _expect(self, wanted: str) -> None:
        assert self._reader is not None
        while True:
            line = await asyncio.wait_for(self._reader.readline(), self._order.patience)
            if line[3:4] != b"-":
                break
        if not line.startswith(wanted.encode()):
            raise ConnectionError(f"wanted {wanted}, heard {line.decode(errors='replace').strip()!r}")


async def send(order: Order) -> Sent:
    """All sessions together."""
    sent = Sent()
    sessions = [Session(order, sent) for _ in range(order.sessions)]
    if order.kept:
        for session in sessions:
            await session.open()
    numbers = iter(range(order.messages))

    async def work(session: Session) -> None:
        for number in numbers:
            try:
                await session.send(number)
            except (OSError, TimeoutError) as error:
                sent.refusals.append(f"{type(error).__name__}: {error}")
                if order.kept:
                    return

    sent.started_at = time.monotonic()
    await asyncio.gather(*(work(session) for session in sessions))
    sent.seconds = time.monotonic() - sent.started_at
    if order.kept and not sent.refusals:
        await asyncio.gather(*(session.close() for session in sessions))
    return sent


if __name__ == "__main__":
    print(json.dumps(asdict(asyncio.run(send(Order(**json.loads(sys.argv[1])))))))
