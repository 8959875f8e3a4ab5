"""Egress through proxies, and what network errors mean."""

from __future__ import annotations

import asyncio
import base64
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest

from postroom.microsoft.answers import Refused, Step
from postroom.transports import network
from postroom.transports.base import (
    Accepted,
    Anonymous,
    Endpoint,
    GraphRoute,
    ImapRoute,
    OAuth,
    PopRoute,
    Security,
    SmtpRoute,
)
from postroom.transports.graph_read import GraphReader
from postroom.transports.opening import open_reader, open_sender
from postroom.transports.smtp import SmtpSender

from .authority import Certificates
from .conftest import Watcher
from .dialogue import Dialogue
from .test_smtp import HELLO, MAIL, MESSAGE, OK, QUIT, TO_BOB


class EgressProxy:
    """HTTP CONNECT and SOCKS 5 on one port; `host.test` is sent to localhost, as only the proxy knows it."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.credentials = ""

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        start = await reader.readexactly(1)
        host, port = await (self._socks(reader, writer) if start == b"\x05" else self._http(reader))
        self.asked.append(f"{host}:{port}")
        up_reader, up_writer = await asyncio.open_connection("localhost" if host == "host.test" else host, port)
        writer.write(b"\x05\0\0\x01\0\0\0\0\0\0" if start == b"\x05" else b"HTTP/1.1 200 Connected\r\n\r\n")
        await asyncio.gather(self._pipe(reader, up_writer), self._pipe(up_reader, writer))

    async def _http(self, reader: asyncio.StreamReader) -> tuple[str, int]:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        for line in head.splitlines():
            if line.lower().startswith("proxy-authorization: basic "):
                self.credentials = base64.b64decode(line.split()[-1]).decode()
        host, _, port = head.split()[1].rpartition(":")
        return host, int(port)

    async def _socks(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> tuple[str, int]:
        await reader.readexactly((await reader.readexactly(1))[0])
        writer.write(b"\x05\0")
        *_, kind, length = await reader.readexactly(5)
        assert kind == 3, "the name is for the proxy to resolve"
        host = (await reader.readexactly(length)).decode()
        return host, struct.unpack("!H", await reader.readexactly(2))[0]

    async def _pipe(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while piece := await reader.read(65536):
            writer.write(piece)
        writer.close()


@asynccontextmanager
async def proxy() -> AsyncIterator[tuple[EgressProxy, str]]:
    egress = EgressProxy()
    async with await asyncio.start_server(egress, "127.0.0.1", 0) as server:
        yield egress, f"127.0.0.1:{server.sockets[0].getsockname()[1]}"


@pytest.mark.parametrize("scheme", ["http", "socks5"])
async def test_smtp_through_a_proxy(scheme: str, watcher: Watcher) -> None:
    async with proxy() as (egress, address), Dialogue(HELLO + MAIL + OK + QUIT) as server:
        endpoint = replace(server.endpoint(host="host.test"), proxy=f"{scheme}://{address}")
        smtp = open_sender(SmtpRoute(endpoint, Anonymous()), watcher)
        assert isinstance(await smtp.send(TO_BOB, MESSAGE), Accepted)
        await smtp.close()
    assert egress.asked == [f"host.test:{endpoint.port}"]
    assert watcher.seen[1] == (Step.CONNECT, f"host.test port {endpoint.port} through {scheme}://{address}")


@pytest.mark.parametrize("scheme", ["http", "socks5"])
async def test_graph_through_a_proxy(scheme: str, certificates: Certificates, oauth: OAuth, watcher: Watcher) -> None:
    folder = '{"displayName": "Inbox", "totalItemCount": 3}'
    async with proxy() as (egress, address):

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            for _ in range(2):
                await reader.readuntil(b"\r\n\r\n")
                writer.write(f"HTTP/1.1 200 OK\r\nContent-Length: {len(folder)}\r\n\r\n{folder}".encode())
            writer.close()

        async with await asyncio.start_server(serve, "127.0.0.1", 0, ssl=certificates.localhost) as server:
            port = server.sockets[0].getsockname()[1]
            endpoint = Endpoint("localhost", port, Security.TLS, certificates.ca_file, f"{scheme}://{address}", 5)
            reader = GraphReader(GraphRoute(endpoint, oauth), watcher)
            assert (await reader.open()).messages == 3
            await reader.close()
    assert egress.asked == [f"localhost:{port}"]
    assert Step.SIGN_IN in watcher.steps


async def test_proxy_password_is_used_and_never_shown(watcher: Watcher) -> None:
    async with proxy() as (egress, address), Dialogue(HELLO + QUIT) as server:
        endpoint = replace(server.endpoint(host="host.test"), proxy=f"http://me:s3cret@{address}")
        smtp = SmtpSender(SmtpRoute(endpoint, Anonymous()), watcher)
        await smtp.open()
        await smtp.close()
    assert egress.credentials == "me:s3cret"
    assert "s3cret" not in repr(watcher.seen)


@pytest.mark.parametrize("scheme", ["http", "socks5", "nonsense"])
async def test_a_proxy_that_is_not_there(scheme: str, oauth: OAuth) -> None:
    async with proxy() as (_, address):
        pass
    endpoint = Endpoint("host.test", 587, Security.TLS, proxy=f"{scheme}://me:s3cret@{address}", timeout=3)
    for opening in (SmtpSender(SmtpRoute(endpoint, Anonymous())), GraphReader(GraphRoute(endpoint, oauth))):
        with pytest.raises(Refused) as caught:
            await opening.open()
        answer = caught.value.answer
        assert answer.code == "proxy"
        assert "s3cret" not in answer.text


@pytest.mark.parametrize("route", [ImapRoute, PopRoute])
@pytest.mark.parametrize(
    ("ca", "script", "implicit", "code"),
    [
        ("", "", True, "certificate"),
        ("/nowhere.pem", "", True, "certificate"),
        ("mine", "S: 220 who are you\nIGNORE", False, "tls"),
    ],
)
async def test_readers_refuse_what_is_not_proper_tls(
    route: Any, ca: str, script: str, implicit: bool, code: str, certificates: Certificates, oauth: OAuth
) -> None:
    async with Dialogue(script, certificates.localhost, implicit=implicit, ca=certificates.ca_file) as server:
        endpoint = server.endpoint(Security.TLS)
        reader = open_reader(route(endpoint if ca == "mine" else replace(endpoint, ca_file=ca), oauth))
        with pytest.raises(Refused) as caught:
            await reader.open()
        await reader.close()
    assert (caught.value.answer.step, caught.value.answer.code) == (Step.TLS, code)


async def test_graph_steps_are_told(certificates: Certificates, oauth: OAuth, watcher: Watcher) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for _ in range(2):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0, ssl=certificates.localhost) as server:
        endpoint = Endpoint("localhost", server.sockets[0].getsockname()[1], Security.TLS, certificates.ca_file)
        reader = GraphReader(GraphRoute(endpoint, oauth), watcher)
        await reader.open()
        await reader.close()
    assert watcher.steps == [Step.RESOLVE, Step.CONNECT, Step.TLS, Step.SIGN_IN, Step.FOLDER]
    assert "certificate of localhost" in watcher.detail(Step.TLS)


@pytest.mark.parametrize(("ca", "code"), [("", "certificate"), ("/nowhere.pem", "certificate")])
async def test_graph_of_an_unknown_authority(ca: str, code: str, certificates: Certificates, oauth: OAuth) -> None:
    async with Dialogue("", certificates.localhost, implicit=True) as server:
        reader = GraphReader(GraphRoute(replace(server.endpoint(Security.TLS), ca_file=ca), oauth))
        with pytest.raises(Refused) as caught:
            await reader.open()
        await reader.close()
    assert caught.value.answer.code == code


async def test_the_environment_is_nobodys_setting(oauth: OAuth, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    async with Dialogue("IGNORE") as server:
        reader = GraphReader(GraphRoute(replace(server.endpoint(Security.TLS), timeout=0.5), oauth))
        with pytest.raises(Refused):
            await reader.open()
        await reader.close()


@pytest.mark.parametrize(
    ("host", "inside"),
    [("localhost", True), ("127.0.0.9", True), ("[::1]", True), ("localhost.evil.test", False), ("10.0.0.1", False)],
)
def test_loopback(host: str, inside: bool) -> None:
    assert network.is_loopback(host) is inside
