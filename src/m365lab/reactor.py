"""Twisted on the lab's one asyncio loop, and its TLS ports.

Twisted has one reactor per process, chosen before anything of it asks for one; so `reactor()` must be called in the
running loop before a Twisted server starts, and there can be only one such loop in a process.
"""

from __future__ import annotations

import asyncio
import importlib
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from OpenSSL.crypto import FILETYPE_PEM
from twisted.internet import asyncioreactor, ssl
from twisted.internet.protocol import Factory, Protocol
from twisted.logger import ILogObserver, STDLibLogObserver, globalLogBeginner
from twisted.python.failure import Failure


def reactor() -> Any:
    """The reactor on the running loop; installs it the first time."""
    if "twisted.internet.reactor" not in sys.modules:
        asyncioreactor.install(asyncio.get_running_loop())  # type: ignore[no-untyped-call]
        globalLogBeginner.beginLoggingTo([cast(ILogObserver, STDLibLogObserver())], redirectStandardIO=False)
    installed: Any = importlib.import_module("twisted.internet.reactor")
    if getattr(installed, "_asyncioEventloop", None) is not asyncio.get_running_loop():
        raise RuntimeError(
            "Twisted's reactor of this process runs on another loop; start the lab in a process of its own"
        )
    if not installed.running:
        installed.startRunning(installSignalHandlers=False)
    return installed


class Connections(Factory):
    """Makes a protocol for each connection, and knows those that are open."""

    noisy = False

    def __init__(self, make: Any) -> None:
        self._make = make
        self.open: set[Protocol] = set()

    def buildProtocol(self, addr: Any) -> Protocol:
        protocol: Protocol = self._make()
        protocol.factory = self
        self.open.add(protocol)
        ended = protocol.connectionLost

        def connection_lost(reason: Failure) -> None:
            self.open.discard(protocol)
            ended(reason)

        protocol.connectionLost = connection_lost  # type: ignore[method-assign, assignment]
        return protocol


@dataclass
class TwistedListener:
    """A listening port of Twisted's."""

    _port: Any
    _connections: Connections = field(repr=False)

    @property
    def port(self) -> int:
        return int(self._port.getHost().port)

    async def close(self) -> None:
        """Stops listening and drops the open connections."""
        stopped = self._port.stopListening()
        for protocol in list(self._connections.open):
            transport: Any = protocol.transport
            transport.abortConnection()
        if stopped is not None:
            await stopped.asFuture(asyncio.get_running_loop())


def listen_tls(make: Any, certificate_file: str | Path, key_file: str | Path, host: str, port: int) -> TwistedListener:
    """Listens with implicit TLS; `make` builds the protocol of a connection. The chain may follow the certificate."""
    begin, end = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"
    pems = [begin + rest.split(end)[0] + end for rest in Path(certificate_file).read_text().split(begin)[1:]]
    own, *chain = [ssl.Certificate.loadPEM(pem.encode()) for pem in pems]
    key = ssl.KeyPair.load(Path(key_file).read_bytes(), FILETYPE_PEM)
    options = ssl.CertificateOptions(
        privateKey=key.original, certificate=own.original, extraCertChain=[other.original for other in chain]
    )
    connections = Connections(make)
    return TwistedListener(reactor().listenSSL(port, connections, options, interface=host), connections)
