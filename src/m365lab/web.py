"""The lab's HTTPS site (Entra, Graph, Exchange administration, control API, page), and the plain one beside it."""

from __future__ import annotations

import contextlib
import email.utils
import socket
from collections.abc import Iterator

import uvicorn
from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.middleware import Middleware
from starlette.routing import BaseRoute, Mount
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from m365lab import adminapi, graph, introspection, page
from m365lab.certificates import Certificates
from m365lab.clock import Clock
from m365lab.control.routes import routes as control_routes
from m365lab.entra.routes import routes as entra_routes
from m365lab.guard import Guard
from m365lab.hanging_up import HangingUp
from m365lab.works import Works


def application(works: Works, guard: Guard) -> Starlette:
    """The site. Entra comes last, since its paths begin with any tenant's name."""
    microsoft = graph.routes(works.tenant, works.office)
    routes: list[BaseRoute] = [
        Mount("/lab/api", routes=control_routes(works, guard)),
        *page.routes(works, guard),
        Mount("/v1.0", routes=microsoft),
        Mount("/beta", routes=microsoft),
        *adminapi.routes(works.tenant),
        *introspection.routes(works.tenant),
        *entra_routes(works.entra),
    ]
    return Starlette(routes=routes, middleware=[Middleware(Dated, clock=works.tenant.clock)])


def plain_application(works: Works, guard: Guard) -> Starlette:
    """What is in plain HTTP on loopback: the page, where no browser knows the lab's authority, and introspection."""
    routes = [*page.routes(works, guard), *introspection.routes(works.tenant)]
    return Starlette(routes=routes, middleware=[Middleware(Dated, clock=works.tenant.clock)])


class Dated:
    """Puts the lab's time on every answer: a client measures its own clock, and Retry-After, by it."""

    def __init__(self, app: ASGIApp, clock: Clock) -> None:
        self._app = app
        self._clock = clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def dated(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)["Date"] = email.utils.formatdate(self._clock.time(), usegmt=True)
            await send(message)

        await self._app(scope, receive, dated)


class Site(uvicorn.Server):
    """An HTTP server inside our loop, which leaves signals to the program around it."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def site(app: Starlette, certificates: Certificates | None = None) -> Site:
    """A server for `app`; without certificates it speaks plain HTTP."""
    config = uvicorn.Config(
        app,
        http=HangingUp,
        log_level="warning",
        access_log=False,
        lifespan="off",
        server_header=False,
        date_header=False,  # `Dated` tells the lab's time, not the machine's
        timeout_graceful_shutdown=1,
        ssl_certfile=certificates.certificate_file if certificates else None,
        ssl_keyfile=certificates.key_file if certificates else None,
    )
    return Site(config)


def listening_socket(host: str, port: int) -> socket.socket:
    """A bound socket, so that the port is known before what names it is built. Raises `OSError`."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((host, port))
    except OSError as error:
        bound.close()
        raise port_taken(host, port, error) from error
    return bound


def port_taken(host: str, port: int, error: OSError) -> OSError:
    """The same error, saying which port, and what to do."""
    return OSError(error.errno, f"port {port} of {host} cannot be used ({error.strerror}); choose another")
