"""What happens to every Graph request before and after its endpoint: ids, faults, limits, token, errors, headers.

An endpoint is a function of a `Call` and answers a `Response` or raises `GraphError`. The desk is the only place that
knows of HTTP's surroundings.
"""

from __future__ import annotations

import asyncio
import json
import uuid
from collections import Counter, defaultdict, deque
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any
from urllib.parse import quote, urlencode

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from m365lab.exchange import Mailbox
from m365lab.faults import Fault, FaultName
from m365lab.graph import errors
from m365lab.graph.auth import Caller, identify, open_mailbox
from m365lab.graph.errors import GraphError
from m365lab.graph.odata import BadQuery
from m365lab.hanging_up import hang_up
from m365lab.post import MailboxFull, PostOffice, SendAsDenied
from m365lab.tenant import Tenant

TEN_MINUTES = 600.0


@dataclass
class Call:
    """One request, seen from an endpoint."""

    request: Request
    tenant: Tenant
    office: PostOffice
    caller: Caller
    body: bytes
    """Read in full; at most `limits.graph_request_size`."""
    _mailbox: Mailbox | None = None

    @property
    def mailbox(self) -> Mailbox:
        """The mailbox that the URL names."""
        if self._mailbox is None:
            raise LookupError("this route names no mailbox")
        return self._mailbox

    def part(self, name: str) -> str:
        """A path parameter."""
        return str(self.request.path_params[name])

    @property
    def media_type(self) -> str:
        return self.request.headers.get("content-type", "").partition(";")[0].strip().lower()

    @cached_property
    def json(self) -> dict[str, Any]:
        """The body as an object. Raises `GraphError` RequestBodyRead (facts 5 [I])."""
        try:
            value = json.loads(self.body)
        except (ValueError, RecursionError) as error:
            raise errors.bad_body(
                "Unable to read JSON request payload. Please ensure Content-Type header is set and payload is of "
                "valid JSON format."
            ) from error
        if not isinstance(value, dict):
            raise errors.bad_body("The request body must be a JSON object.")
        return value

    @cached_property
    def preferences(self) -> dict[str, str]:
        """The `Prefer` header (RFC 7240), names in lower case, quotes taken off."""
        found = {}
        for item in ",".join(self.request.headers.getlist("prefer")).split(","):
            name, _, value = item.strip().partition("=")
            found[name.strip().lower()] = value.strip().strip('"')
        return found

    @property
    def immutable(self) -> bool:
        """True for `Prefer: IdType="ImmutableId"` (facts 3 [U])."""
        return self.preferences.get("idtype", "").lower() == "immutableid"

    @property
    def base(self) -> str:
        """The service root, such as https://localhost:8443/v1.0/."""
        return service_root(self.request)

    def url(self, query: Mapping[str, str]) -> str:
        """This request's own address with other query options."""
        return f"{self.plain_url}?{urlencode(query, quote_via=quote, safe='$')}"

    @property
    def plain_url(self) -> str:
        return str(self.request.url.replace(query=""))


Endpoint = Callable[[Call], Awaitable[Response]]


@dataclass
class Desk:
    """One per Graph service."""

    tenant: Tenant
    office: PostOffice
    _in_flight: Counter[tuple[str, str]] = field(default_factory=Counter)
    _past: dict[tuple[str, str], deque[float]] = field(default_factory=lambda: defaultdict(deque))

    def mail(self, method: str, path: str, endpoint: Endpoint, needs: Collection[str]) -> list[Route]:
        """Routes of an endpoint below a mailbox: by user, and for the signed-in person as /me."""

        async def serve(request: Request) -> Response:
            key = request.path_params.get("user", "me")
            return await self._serve(request, endpoint, key, needs)

        return [Route(start + path, serve, methods=[method]) for start in ("/users/{user}", "/me")]

    def directory(self, method: str, path: str, endpoint: Endpoint) -> Route:
        """The route of an endpoint that concerns no mailbox; it checks its own rights."""

        async def serve(request: Request) -> Response:
            response = await self._serve(request, self._of_directory(endpoint), None, ())
            response.headers["x-ms-resource-unit"] = "1"
            return response

        return Route(path, serve, methods=[method])

    def _of_directory(self, endpoint: Endpoint) -> Endpoint:
        """The endpoint, with the directory's words for a query that is wrong."""

        async def answer(call: Call) -> Response:
            try:
                return await endpoint(call)
            except BadQuery as bad:
                raise GraphError(400, "Request_UnsupportedQuery", str(bad)) from bad

        return answer

    def open(self, method: str, path: str, endpoint: Callable[[Request], Awaitable[Response]]) -> Route:
        """The route of an endpoint that needs no token: its address is the key."""

        async def serve(request: Request) -> Response:
            ids = request_ids(request)
            try:
                await self._strike()
                response = await self._worded(endpoint(request))
            except GraphError as error:
                response = refusal(error, self.tenant, ids)
            return await self._out(request, response, ids)

        return Route(path, serve, methods=[method])

    async def _serve(self, request: Request, endpoint: Endpoint, key: str | None, needs: Collection[str]) -> Response:
        ids = request_ids(request)
        try:
            await self._strike()
            caller = identify(self.tenant, request)
            mailbox = None if key is None else open_mailbox(self.tenant, caller, key, needs)
            async with self._counted(caller, mailbox):
                body = await read_body(request, self.tenant.limits.graph_request_size)
                call = Call(request, self.tenant, self.office, caller, body, mailbox)
                response = await self._worded(endpoint(call))
            if call.immutable:
                response.headers["Preference-Applied"] = 'IdType="ImmutableId"'
        except GraphError as error:
            response = refusal(error, self.tenant, ids)
        return await self._out(request, response, ids)

    async def _worded(self, answer: Awaitable[Response]) -> Response:
        """The endpoint's answer, with what lies below put into Graph's words."""
        try:
            return await answer
        except BadQuery as bad:
            raise errors.bad_query(str(bad)) from bad
        except SendAsDenied as denied:
            raise errors.send_as_denied() from denied
        except MailboxFull as full:
            raise errors.quota_exceeded() from full

    async def _out(self, request: Request, response: Response, ids: tuple[str, str]) -> Response:
        """The answer on its way, unless the fault `graph-lost` takes it."""
        if self.tenant.faults.strikes(FaultName.GRAPH_LOST):
            return await hang_up(request)
        return stamped(response, ids)

    async def _strike(self) -> None:
        """The faults that come before anything is done."""
        faults = self.tenant.faults
        slow = faults.strikes(FaultName.SLOW)
        if slow:
            await asyncio.sleep(float(slow.values.get("seconds", 1)))
        throttled = faults.strikes(FaultName.GRAPH_THROTTLED)
        if throttled:
            raise errors.throttled(
                "Application is over its MailboxConcurrency limit.", int(throttled.values.get("retry_after", 10))
            )
        down = faults.strikes(FaultName.GRAPH_DOWN)
        if down:
            raise GraphError(int(down.values.get("status", 503)), "ServiceUnavailable", "Service unavailable.")
        told = faults.strikes(FaultName.GRAPH_ERROR)
        if told:
            raise _told(told)

    @asynccontextmanager
    async def _counted(self, caller: Caller, mailbox: Mailbox | None) -> AsyncIterator[None]:
        """Graph's limits for one application and one mailbox (facts 6): in flight, and in ten minutes."""
        if mailbox is None:
            yield
            return
        limits, pair, now = self.tenant.limits, (caller.app_id, mailbox.address), self.tenant.clock.time()
        if limits.graph_concurrent is not None and self._in_flight[pair] >= limits.graph_concurrent:
            raise errors.throttled("Application is over its MailboxConcurrency limit.", 1)
        past = self._past[pair]
        while past and past[0] <= now - TEN_MINUTES:
            past.popleft()
        past.append(now)
        if limits.graph_requests is not None and len(past) > limits.graph_requests:
            raise errors.throttled("Application is over its request limit.", int(past[0] + TEN_MINUTES - now) + 1)
        self._in_flight[pair] += 1
        try:
            yield
        finally:
            self._in_flight[pair] -= 1


def _told(fault: Fault) -> GraphError:
    values = fault.values
    return GraphError(
        int(values.get("status", 500)),
        str(values.get("code", "InternalServerError")),
        str(values.get("text", "An internal server error occurred. The operation failed.")),
    )


async def read_body(request: Request, most: int) -> bytes:
    """The whole body. Raises `GraphError` 413 above `most` bytes.

    The rest is read and dropped: a client that is still sending when the connection closes may never see the answer.
    """
    body, size = bytearray(), 0
    async for chunk in request.stream():
        size += len(chunk)
        if size <= most:
            body += chunk
    if size > most:
        raise errors.request_too_large()
    return bytes(body)


def service_root(request: Request) -> str:
    """Where the service is mounted, with a slash at the end."""
    return str(request.url.replace(path=f"{request.scope.get('root_path', '')}/", query=""))


def request_ids(request: Request) -> tuple[str, str]:
    """`request-id` of the service, and `client-request-id`, the client's own or the same."""
    ours = str(uuid.uuid4())
    return ours, request.headers.get("client-request-id") or ours


def refusal(error: GraphError, tenant: Tenant, ids: tuple[str, str]) -> Response:
    return JSONResponse(errors.error_body(error, tenant.clock, *ids), error.status, error.headers)


def stamped(response: Response, ids: tuple[str, str]) -> Response:
    """The headers that every answer carries."""
    response.headers["request-id"], response.headers["client-request-id"] = ids
    return response
