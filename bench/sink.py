"""Where the relays send to: takes mail over STARTTLS and XOAUTH2 as fast as it can, counts it, and forgets it.

    python -m bench.sink '{"tls": FOLDER, "introspection": URL}'

A token counts when the lab says so; each is asked about once. It may also come as the password of AUTH PLAIN, for
programs without XOAUTH2. Prints its two ports as JSON. On the second port each line
asked is answered with JSON: `count`; `times TAG` gives when each message with this subject came (monotonic clock),
`first PREFIX` the first time for each subject that begins so; `forget TAG` starts anew.
The sign-in of the lab with limits off would be the same; but the lab keeps and delivers what it takes, so it would be
the slowest part of every chain.
"""

from __future__ import annotations

import asyncio
import base64
import json
import ssl
import sys
import time
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import httpx2

from m365lab.certificates import certificates
from m365lab.xoauth2 import parse


class Sink:
    """All connections of one run."""

    def __init__(self, tls: ssl.SSLContext, introspection: str) -> None:
        self._tls = tls
        self._introspection = introspection
        self._good: set[str] = set()
        self.taken = 0
        self.connections = 0
        self.sign_ins = 0
        self.open_now = 0
        self.refusals: Counter[str] = Counter()
        self.times: dict[str, list[float]] = defaultdict(list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.open_now += 1
        try:
            await self._talk(reader, writer)
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            self.open_now -= 1
            writer.close()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 sink.example ESMTP\r\n")
        secure = signed_in = False
        while line := await reader.readline():
            verb = line[:4].upper()
            if verb in (b"EHLO", b"HELO"):
                offered = b"AUTH XOAUTH2 PLAIN" if secure else b"STARTTLS"
                writer.write(
                    b"250-sink.example\r\n250-%s\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 SIZE 99999999\r\n" % offered
                )
            elif verb == b"STAR":
                writer.write(b"220 go\r\n")
                await writer.drain()
                await writer.start_tls(self._tls)
                secure = True
            elif verb == b"AUTH":
                signed_in = await self._sign_in(line, reader, writer) and secure
            elif verb == b"DATA" and signed_in:
                writer.write(b"354 go\r\n")
                self._take(await reader.readuntil(b"\r\n.\r\n"))
                writer.write(
                    b"250 2.0.0 OK <%d.%d@sink.example> [Hostname=SINK]\r\n" % (self.taken, time.monotonic_ns())
                )
            elif verb == b"QUIT":
                writer.write(b"221 bye\r\n")
                await writer.drain()
                return
            elif verb in (b"MAIL", b"RCPT", b"RSET", b"NOOP") and signed_in:
                writer.write(b"250 2.0.0 OK\r\n")
            else:
                self.refusals[line[:40].decode(errors="replace")] += 1
                writer.write(b"530 5.7.57 Client not authenticated to send mail.\r\n")

    async def _sign_in(self, line: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        words = line.split()
        if len(words) < 3:
            writer.write(b"334 \r\n")
            words.append((await reader.readline()).strip())
        if not await self._is_good(_token(words[1], words[2])):
            self.refusals["AUTH"] += 1
            writer.write(b"535 5.7.3 Authentication unsuccessful\r\n")
            return False
        self.sign_ins += 1
        writer.write(b"235 2.7.0 Authentication successful\r\n")
        return True

    async def _is_good(self, token: str) -> bool:
        if token and token not in self._good:
            async with httpx2.AsyncClient() as http:
                answer = await http.post(self._introspection, data={"token": token})
            if answer.json().get("active"):
                self._good.add(token)
        return token in self._good

    def _take(self, message: bytes) -> None:
        self.taken += 1
        start = message.find(b"\nSubject: ") + 10
        self.times[message[start : message.find(b"\r", start)].decode(errors="replace")].append(time.monotonic())

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """The second port."""
        while line := await reader.readline():
            writer.write(json.dumps(self._asked(line.decode().strip())).encode() + b"\n")
        writer.close()

    def _asked(self, question: str) -> Any:
        verb, _, tag = question.partition(" ")
        if verb == "times":
            return self.times.get(tag, [])
        if verb == "forget":
            return len(self.times.pop(tag, []))
        if verb == "first":
            return {subject: times[0] for subject, times in self.times.items() if subject.startswith(tag)}
        return {
            "taken": self.taken,
            "connections": self.connections,
            "open": self.open_now,
            "sign_ins": self.sign_ins,
            "refusals": dict(self.refusals),
        }


def _token(mechanism: bytes, response: bytes) -> str:
    """Of either mechanism; "" when there is none."""
    if mechanism.upper() == b"PLAIN":
        return base64.b64decode(response).decode().rpartition("\0")[2]
    credentials = parse(response)
    return credentials.token if credentials else ""


async def main(tls: str, introspection: str) -> None:
    sink = Sink(certificates(Path(tls)).ssl_context(), introspection)
    mail = await asyncio.start_server(sink.serve, "127.0.0.1", 0, limit=2**22, backlog=2048)
    control = await asyncio.start_server(sink.answer, "127.0.0.1", 0)
    ports = [server.sockets[0].getsockname()[1] for server in (mail, control)]
    print(json.dumps({"smtp": ports[0], "control": ports[1]}), flush=True)
    await asyncio.gather(mail.serve_forever(), control.serve_forever())


if __name__ == "__main__":
    asyncio.run(main(**json.loads(sys.argv[1])))
