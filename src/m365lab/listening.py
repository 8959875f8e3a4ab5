"""What every server of the lab hands back when it was started."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Protocol


class Listener(Protocol):
    """A listening port."""

    @property
    def port(self) -> int:
        """The port it listens on, also when any free one was asked for."""

    async def close(self) -> None:
        """Stops listening and drops the open connections."""


@dataclass
class AsyncioListener:
    """A server of asyncio's; `connections` holds the transports that are open."""

    server: asyncio.Server
    connections: set[asyncio.BaseTransport]

    @property
    def port(self) -> int:
        return int(self.server.sockets[0].getsockname()[1])

    async def close(self) -> None:
        self.server.close()
        for transport in list(self.connections):
            transport.close()
        await self.server.wait_closed()
