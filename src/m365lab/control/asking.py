"""Routes of the control API: JSON in, JSON out, and errors that name the field, the fault and the fix."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import pydantic
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from m365lab.guard import Guard

_BODY_LIMIT = 64 * 1024 * 1024
"""Bytes of a request's body: a raw message in base64 may be large."""

Answer = Response | dict[str, Any] | list[Any] | None
Asked = Callable[[Request], Awaitable[Answer]]


class Bad(Exception):
    """The request cannot be done. The message is for the person who sent it."""

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


class Model(pydantic.BaseModel):
    """A request's body. Unknown fields are refused, so that a misspelt one is not passed over."""

    model_config = pydantic.ConfigDict(extra="forbid")


M = TypeVar("M", bound=Model)


async def body(request: Request, model: type[M]) -> M:
    """The body as `model`. Raises `Bad` with every fault in it."""
    raw = b""
    async for chunk in request.stream():
        raw += chunk
        if len(raw) > _BODY_LIMIT:
            raise Bad(f"The body is larger than {_BODY_LIMIT} bytes.", 413)
    try:
        return model.model_validate_json(raw or b"{}")
    except pydantic.ValidationError as error:
        faults = [f"{'.'.join(str(part) for part in e['loc']) or 'body'}: {e['msg']}" for e in error.errors()]
        raise Bad("; ".join(faults)) from error


class Table:
    """The routes of one part of the API, gathered by decorators."""

    def __init__(self, guard: Guard) -> None:
        self._guard = guard
        self.routes: list[BaseRoute] = []

    def on(self, method: str, path: str) -> Callable[[Asked], Asked]:
        """Registers a handler: a dict or list is answered as JSON, None as 204."""

        def register(handler: Asked) -> Asked:
            self.routes.append(Route(path, functools.partial(self._answer, handler), methods=[method]))
            return handler

        return register

    async def _answer(self, handler: Asked, request: Request) -> Response:
        if refusal := self._guard.refusal(request):
            return JSONResponse({"error": refusal}, 401 if "key" in refusal else 403)
        try:
            answer = await handler(request)
        except Bad as bad:
            return JSONResponse({"error": str(bad)}, bad.status)
        if isinstance(answer, Response):
            return answer
        return Response(status_code=204) if answer is None else JSONResponse(answer)
