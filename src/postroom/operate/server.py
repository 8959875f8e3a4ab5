"""The server process: uvicorn around `postroom.asgi`, saying where it listens once it does."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable

import uvicorn

from postroom.core.faults import Fault


def run(host: str, port: int, ready: Callable[[str], None]) -> None:
    """Serves until a signal ends it; `ready` is told the console's address once it listens. Raises `Fault`."""
    config = uvicorn.Config(
        "postroom.asgi:application",
        host=host,
        port=port,
        log_config=None,  # core.logging speaks for all
        access_log=False,  # console.middleware logs each request, with its id
        server_header=False,
        proxy_headers=True,
        timeout_graceful_shutdown=10,
    )
    try:
        _Server(config, ready).run()
    except SystemExit as end:
        if end.code:
            raise Fault(f"cannot listen on {host} port {port}", "Is it in use? Choose another with --port.") from None
        raise


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, ready: Callable[[str], None]) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        port = self.servers[0].sockets[0].getsockname()[1]
        host = self.config.host
        shown = f"[{host}]" if ":" in host else host
        # What it says may look into the database, which Django forbids on the event loop's thread.
        await asyncio.to_thread(self._ready, f"http://{shown}:{port}")
