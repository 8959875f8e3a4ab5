"""A server that plays a written dialogue, so that a protocol test reads as the wire does.

    S: 220 hello                 the server says it (\\xNN escapes are understood)
    C: EHLO localhost            the client must say exactly this
    C~ AUTH XOAUTH2 .+           ... or what matches this
    C: TAG NOOP / S: TAG OK      TAG is the tag that the client chose last (IMAP)
    TLS                          both sides start TLS
    DROP                         the server closes the connection without a word
    TLS!                         ... which the client gives up
    WAIT                         the server waits for the client to close it without a word
    IGNORE                       ... whatever it says
    ---                          what follows is for the next connection

What differs is kept, and fails the test at the end of the `with` block.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import ssl
from types import TracebackType

from postroom.transports.base import Endpoint, Security

PATIENCE = 5.0


class Dialogue:
    """`async with Dialogue(text) as server:` and connect to `server.endpoint()`."""

    def __init__(self, text: str, tls: ssl.SSLContext | None = None, implicit: bool = False, ca: str = "") -> None:
        self._scripts = [part.strip().splitlines() for part in text.split("\n---\n") if part.strip()]
        self._tls = tls
        self._implicit = implicit
        self._ca = ca
        self._server: asyncio.Server | None = None
        self._playing: set[asyncio.Task[None]] = set()
        self.faults: list[str] = []
        self.played = 0
        self.heard: list[str] = []
        """Every line that clients said."""
        self._news = asyncio.Event()
        self._tag = ""

    def endpoint(self, security: Security = Security.NONE, host: str = "localhost", timeout: float = 3.0) -> Endpoint:
        assert self._server is not None
        port = self._server.sockets[0].getsockname()[1]
        return Endpoint(host, port, security, ca_file=self._ca, timeout=timeout)

    async def __aenter__(self) -> Dialogue:
        self._server = await asyncio.start_server(
            self._accept, "127.0.0.1", 0, ssl=self._tls if self._implicit else None, limit=1 << 22
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        if self._playing:
            _, late = await asyncio.wait(self._playing, timeout=PATIENCE)
            for task in late:
                task.cancel()
                self.faults.append("the dialogue did not come to its end")
        if error is not None:
            error.add_note("\n".join(self.faults))
        else:
            assert not self.faults, "\n".join(self.faults)
            assert self.played == len(self._scripts), f"{self.played} of {len(self._scripts)} connections came"

    async def hears(self, words: str) -> None:
        """Comes back when a client has said a line with these words."""
        while not any(words in line for line in self.heard):
            self._news.clear()
            await asyncio.wait_for(self._news.wait(), PATIENCE)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._playing.add(task)
        number, self.played = self.played, self.played + 1
        try:
            if number >= len(self._scripts):
                self.faults.append("one connection too many")
            else:
                await self._play(self._scripts[number], reader, writer)
        except Exception as error:
            self.faults.append(f"connection {number + 1}: {type(error).__name__}: {error}")
        finally:
            writer.close()
            self._playing.discard(task)

    async def _play(self, script: list[str], reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for line in script:
            order, _, text = line.strip().partition(" ")
            match order:
                case "S:":
                    writer.write(
                        re.sub(r"^TAG\b", self._tag, text).encode("latin-1").decode("unicode_escape").encode("latin-1")
                        + b"\r\n"
                    )
                case "S-":
                    writer.write(text.encode())
                case "C:" | "C~":
                    said = (await asyncio.wait_for(reader.readline(), PATIENCE)).decode("latin-1")
                    self._compare(order, text, said)
                case "TLS":
                    await writer.start_tls(self._tls)  # type: ignore[arg-type]
                case "TLS!":
                    with contextlib.suppress(OSError):
                        await writer.start_tls(self._tls)  # type: ignore[arg-type]
                case "IGNORE":
                    with contextlib.suppress(OSError):
                        await asyncio.wait_for(reader.read(), PATIENCE)
                case "DROP":
                    writer.transport.abort()
                    return
                case "WAIT":
                    assert await asyncio.wait_for(reader.read(), PATIENCE) == b""
                case "":
                    continue
                case _:
                    raise ValueError(f"what is {line!r}?")

    def _compare(self, order: str, text: str, said: str) -> None:
        self.heard.append(said.removesuffix("\r\n"))
        self._news.set()
        if not said.endswith("\r\n"):
            raise AssertionError(f"expected {text!r}, got {said!r} and the end")
        said = said.removesuffix("\r\n")
        if text.startswith("TAG "):
            self._tag, text = said.partition(" ")[0], text.removeprefix("TAG ")
            said = said.partition(" ")[2]
        if not (said == text if order == "C:" else re.fullmatch(text, said)):
            raise AssertionError(f"expected {text!r}, got {said!r}")
