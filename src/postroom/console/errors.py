"""The pages of HTTP errors, in the console's own look."""

from __future__ import annotations

from typing import Any

import structlog
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.template.loader import render_to_string

_log = structlog.get_logger("postroom.console")


def bad_request(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    return _show(
        request,
        400,
        "This request cannot be understood",
        "The browser sent something that this console does not accept.",
        "Go back and try again. If you opened the console under another host name, add it to POSTROOM_HOSTS.",
    )


def forbidden(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    return _show(
        request, 403, "This is not for you", "Your role does not allow it.", "Ask an administrator for the role."
    )


def not_found(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    return _show(
        request,
        404,
        "There is no such page",
        "It may have been deleted, or the address is mistyped.",
        "Start from the overview.",
    )


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    return _show(
        request,
        403,
        "The form was too old",
        "The form did not carry the mark that shows it came from this console.",
        "Go back, reload the page and send it again. Cookies must be allowed for this address.",
    )


def server_error(request: HttpRequest) -> HttpResponse:
    """Rendered without a request: whatever broke must not break this page too."""
    request_id = getattr(request, "request_id", "")
    _log.error("unexpected error", path=request.path, request_id=request_id)
    theme = request.COOKIES.get("theme", "")
    context: dict[str, Any] = {
        "status": 500,
        "title": "Something broke in Postroom",
        "message": "Nothing that you did wrong. What happened is in the log of `postroom serve` (its standard error).",
        "fix": f"Look in the log for the request id {request_id}.",
        "theme": theme if theme in {"light", "dark"} else "",
    }
    return HttpResponse(render_to_string("console/error.html", context), status=500)


def _show(request: HttpRequest, status: int, title: str, message: str, fix: str) -> HttpResponse:
    context = {"status": status, "title": title, "message": message, "fix": fix}
    return render(request, "console/error.html", context, status=status)
