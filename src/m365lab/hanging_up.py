"""Dropping a connection without an answer: what the faults "lost" do to HTTP clients.

ASGI has no means for it, so the lab's HTTP server hands the connection's `abort` along with each request.
Give `HangingUp` to uvicorn as its `http` class.
"""

from __future__ import annotations

import asyncio
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

_EXTENSION = "m365lab.hang_up"


class ConnectionDropped(Exception):
    """What a client sees that speaks to the application without a connection, as tests in one process do."""


class HangingUp(H11Protocol):
    """uvicorn's protocol, whose requests can drop their connection."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        served = self.app

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            scope.setdefault("extensions", {})[_EXTENSION] = {"abort": transport.abort}
            await served(scope, receive, send)

        self.app: Any = app


class _Nothing(Response):
    """An answer that is never sent: it ends when the server has seen the connection go."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass


async def hang_up(request: Request) -> Response:
    """Drops the request's connection. Raises `ConnectionDropped` where there is none."""
    extension = request.scope.get("extensions", {}).get(_EXTENSION)
    if extension is None:
        raise ConnectionDropped
    extension["abort"]()
    return _Nothing()
