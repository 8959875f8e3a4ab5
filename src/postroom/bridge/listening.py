"""The listening half of a process: opens the ports that the table names, follows its changes, ends gracefully."""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from contextlib import suppress
from dataclasses import dataclass, field

from postroom.bridge import service
from postroom.bridge.connection import Connection
from postroom.bridge.desk import Asked, Desk
from postroom.bridge.dialogue import Dialogue
from postroom.bridge.guard import Guard
from postroom.bridge.rules import warnings
from postroom.bridge.service import ListenerRow
from postroom.bridge.terms import Terms
from postroom.bridge.tls import load, server_context, stamp
from postroom.bridge.values import ListenerData, Mode
from postroom.core.faults import Fault
from postroom.core.settings import settings

_log = logging.getLogger(__name__)
_LOOK_EVERY = 2.0
"""Seconds between two looks at the table."""
_GRACE = 10.0
"""Seconds that busy connections have to finish their present command."""
_HANDSHAKE = 30.0


@dataclass
class Port:
    """One open port and its connections."""

    terms: Terms
    server: asyncio.Server
    connections: set[Connection] = field(default_factory=set)
    stamp: tuple[int, ...] = ()
    """Of the certificate's files as they were read."""

    @property
    def data(self) -> ListenerData:
        return self.terms.data

    @property
    def number(self) -> int:
        return int(self.server.sockets[0].getsockname()[1])

    def renew(self) -> None:
        """Reads a named certificate again when its files have changed; one that cannot be used is left for later."""
        present = stamp(self.data)
        if self.terms.tls is None or present == self.stamp:
            return
        try:
            load(self.terms.tls, self.data.certificate, self.data.key)
        except Fault as fault:
            _log.warning("%s: goes on with the certificate it has: %s", self.data.name, fault)
        else:
            _log.info("%s: certificate read anew", self.data.name)
            self.stamp = present

    async def close(self, grace: float = _GRACE) -> None:
        """No new connections; idle ones are told, busy ones finish their command first."""
        self.server.close()
        for connection in list(self.connections):
            connection.retire()
        if busy := [connection.task() for connection in self.connections]:
            await asyncio.wait(busy, timeout=grace)
        for connection in list(self.connections):
            connection.abort()


async def open_port(terms: Terms, asked: Asked, guard: Guard, *, share: bool = False) -> Port:
    """Listens. With `share` several processes may listen on the same port, and the kernel deals out the connections.

    Raises `OSError`.
    """
    data, connections = terms.data, set[Connection]()
    implicit = terms.tls if data.mode == Mode.TLS else None
    server = await asyncio.get_running_loop().create_server(
        lambda: Dialogue(terms, asked, guard, connections),
        data.address,
        data.port,
        ssl=implicit,
        ssl_handshake_timeout=_HANDSHAKE if implicit else None,
        reuse_port=share or None,
        backlog=512,
    )
    return Port(terms, server, connections, stamp(data))


class Listening:
    """The submission role of a process. Ports that cannot be opened are tried again."""

    def __init__(self, *, share: bool = False) -> None:
        # aiosmtpd logs every command, user names included; what matters is logged here.
        logging.getLogger("mail.log").setLevel(logging.ERROR)
        self.desk = Desk()
        self.guard = Guard(time.monotonic)
        self.ports: dict[int, Port] = {}
        self._share = share and hasattr(socket, "SO_REUSEPORT")
        self._stopped = asyncio.Event()
        self._closing: list[asyncio.Task[None]] = []

    async def run(self) -> None:
        """Until `stop`: opens what the table names, and follows it. In the end every port closes gracefully."""
        try:
            while not self._stopped.is_set():
                await self._try_to_follow()
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._stopped.wait(), _LOOK_EVERY)
        finally:
            await asyncio.gather(*self._closing, *(port.close() for port in self.ports.values()))
            self.ports.clear()
            await asyncio.to_thread(self.desk.close)

    def stop(self) -> None:
        """From the loop's own thread."""
        self._stopped.set()

    async def _try_to_follow(self) -> None:
        try:
            await self._follow()
        except Exception:  # the database is away: the open ports stay open
            _log.exception("the table of listeners cannot be read")

    async def _follow(self) -> None:
        """Closes what is gone or changed, opens what is new, reads renewed certificates."""
        self._closing = [task for task in self._closing if not task.done()]
        rows = {row.id: row for row in await self.desk.ask(service.list_listeners) if row.data.enabled}
        for listener_id, port in list(self.ports.items()):
            if listener_id not in rows or rows[listener_id].data != port.data:
                del self.ports[listener_id]
                _log.info("%s: closes %s port %s", port.data.name, port.data.address, port.data.port)
                # Whoever is still in there finishes; the port itself is free at once.
                self._closing.append(asyncio.create_task(port.close()))
            else:
                await asyncio.to_thread(port.renew)
        for row in rows.values():
            if row.id not in self.ports:
                await self._open(row)

    async def _open(self, row: ListenerRow) -> None:
        data, fault = row.data, ""
        try:
            terms = await asyncio.to_thread(_terms, row)
            self.ports[row.id] = await open_port(terms, self.desk, self.guard, share=self._share)
        except Fault as error:
            fault = f"{error} {error.fix}"
        except OSError as error:
            fault = f"cannot listen on {data.address} port {data.port}: {error.strerror or error}"
        if not fault:
            _log.info("%s: listens on %s port %s (%s)", data.name, data.address, data.port, data.mode)
            for warning in warnings(data):
                _log.warning("%s: %s", data.name, warning)
        elif fault != row.fault:
            _log.error("%s: %s", data.name, fault)
        await self.desk.ask(lambda: service.note_fault(row.id, fault))


def _terms(row: ListenerRow) -> Terms:
    hostname = row.data.hostname or socket.getfqdn()
    if row.data.mode == Mode.PLAIN:
        return Terms(row.id, row.data, hostname)
    return Terms(row.id, row.data, hostname, server_context(row.data, hostname, settings().home / "tls"))
