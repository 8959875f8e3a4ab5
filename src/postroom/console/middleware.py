"""Around every request: an id and a line in the log; faults of ours become pages that explain them."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable

import structlog
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from postroom.core.faults import Fault, NotFound

_log = structlog.get_logger("postroom.console")
_QUIET = frozenset({"/healthz", "/readyz", "/metrics"})

GetResponse = Callable[[HttpRequest], HttpResponse]


class RequestLog:
    """Gives each request an id, which is in the log, in the answer's `X-Request-ID`, and on the page of an error."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        request_id = uuid.uuid4().hex[:16]
        request.request_id = request_id  # type: ignore[attr-defined]
        structlog.contextvars.bind_contextvars(request_id=request_id)
        started = time.perf_counter()
        try:
            response = self.get_response(request)
        finally:
            structlog.contextvars.unbind_contextvars("request_id")
        response["X-Request-ID"] = request_id
        if request.path not in _QUIET and not request.path.startswith("/static/"):
            _log.info(
                "request",
                request_id=request_id,
                method=request.method,
                path=request.path,
                status=response.status_code,
                milliseconds=round((time.perf_counter() - started) * 1000),
            )
        return response


class Faults:
    """A `Fault` that a page did not handle: 404 for what does not exist, 422 for the rest, with its fix."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        if isinstance(error, NotFound):
            return _page(request, 404, "Not found", error)
        if isinstance(error, Fault):
            return _page(request, 422, "That did not work", error)
        return None


def _page(request: HttpRequest, status: int, title: str, fault: Fault) -> HttpResponse:
    context = {"status": status, "title": title, "message": str(fault), "fix": fault.fix}
    return render(request, "console/error.html", context, status=status)
