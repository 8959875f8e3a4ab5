"""The outbox in the console: what waits and how it goes, the lanes, the messages and what became of each."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import urlencode

from django.contrib import messages as toasts
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import path, reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from postroom.accounts.access import actor_of, needs
from postroom.accounts.audit import Actor
from postroom.core.faults import Fault
from postroom.core.settings import settings
from postroom.mailboxes import service as mailboxes
from postroom.outbox import service
from postroom.outbox.board import board
from postroom.outbox.values import State

_PAGE = 50
_RAW_SHOWN = 200_000
"""Characters of a raw message that a page shows."""

_VERBS: dict[str, tuple[Callable[[Iterable[int], Actor], int], str]] = {
    "retry": (service.retry, "will be sent now"),
    "cancel": (service.cancel, "cancelled"),
    "hold": (service.hold, "held"),
    "release": (service.release, "released"),
}


@needs("outbox.view")
@never_cache
@require_safe
def overview(request: HttpRequest) -> HttpResponse:
    """Counts, chart and lanes; asked again by htmx, it gives the live part only."""
    live = request.headers.get("HX-Request") == "true"
    context = {"board": board(), "states": list(State), "redirect_to": settings().redirect_to}
    return render(request, "outbox/live.html" if live else "outbox/overview.html", context)


@needs("outbox.view")
@never_cache
@require_safe
def messages(request: HttpRequest) -> HttpResponse:
    """A page of messages, newest first; the next page is asked for by the id of the last one."""
    asked = request.GET
    text, state, mailbox = asked.get("search", ""), asked.get("state", ""), _number(asked.get("mailbox", ""))
    before = _number(asked.get("before", ""))
    if state not in set(State):
        state = ""
    rows = service.search(text, state=state, mailbox=mailbox, before=before, limit=_PAGE + 1)
    kept = {name: value for name, value in asked.items() if name in {"search", "state", "mailbox"} and value}
    older = urlencode({**kept, "before": rows[_PAGE - 1].pk}) if len(rows) > _PAGE else ""
    context = {
        "rows": rows[:_PAGE],
        "search": text,
        "state": state,
        "mailbox": mailbox,
        "states": list(State),
        "mailboxes": mailboxes.list_mailboxes(),
        "older": older,
        "newest": urlencode(kept) if before is not None else "",
        "filtered": bool(text or state or mailbox),
        "redirect_to": settings().redirect_to,
    }
    return render(request, "outbox/messages.html", context)


@needs("outbox.view")
@never_cache
@require_safe
def message(request: HttpRequest, message_id: int) -> HttpResponse:
    """One message: where it stands and why, recipients, attempts, history."""
    row = service.get(message_id)
    recipients, attempts, events = service.history(row)
    context: dict[str, Any] = {
        "message": row,
        "recipients": recipients[:_PAGE],
        "more_recipients": max(len(recipients) - _PAGE, 0),
        "attempts": attempts,
        "events": events,
        "can_retry": row.state in {"deferred", "queued", "failed", "expired", "cancelled", "unknown"},
        "can_cancel": row.state in {"queued", "deferred", "held", "unknown"},
        "can_hold": row.state in {"queued", "deferred"},
        "can_release": row.state == "held",
        "redirect_to": settings().redirect_to,
    }
    return render(request, "outbox/message.html", context)


@needs("mailbox.read")
@never_cache
@require_safe
def raw(request: HttpRequest, message_id: int) -> HttpResponse:
    """The message as it is kept, as text."""
    text = service.body(service.get(message_id)).decode("utf-8", "replace")
    context = {"message": service.get(message_id), "raw": text[:_RAW_SHOWN], "raw_cut": len(text) > _RAW_SHOWN}
    return render(request, "outbox/raw.html", context)


@needs("outbox.change")
@require_POST
def change(request: HttpRequest) -> HttpResponse:
    """A verb on the messages ticked."""
    verb, what = _VERBS.get(request.POST.get("verb", ""), (None, ""))
    ids = [int(one) for one in request.POST.getlist("id") if one.isdecimal()]
    if verb is None or not ids:
        raise Fault("no message was chosen", "Go back, and tick at least one.")
    count = verb(ids, actor_of(request))
    if count:
        toasts.success(request, f"{count} {'message' if count == 1 else 'messages'} {what}.")
    else:
        toasts.warning(request, "Nothing changed: what was chosen does not stand where that can be done.")
    if len(ids) == 1:
        return redirect("outbox:message", ids[0])
    # Only a page of our own: the list as it was filtered.
    back = request.POST.get("back", "")
    return redirect(f"{reverse('outbox:messages')}?{back}" if back else "outbox:messages")


@needs("outbox.change")
@require_POST
def lane(request: HttpRequest, mailbox_id: int) -> HttpResponse:
    """Holds or resumes a lane."""
    name = mailboxes.get(mailbox_id).name
    if request.POST.get("verb") == "hold":
        service.hold_lane(mailbox_id, actor_of(request))
        toasts.success(request, f"Nothing is sent through {name} until it is resumed.")
    else:
        service.resume_lane(mailbox_id, actor_of(request))
        toasts.success(request, f"{name} is tried again now.")
    return redirect("outbox:overview")


def _number(text: str) -> int | None:
    return int(text) if text.isdecimal() and len(text) < 20 else None


app_name = "outbox"
urlpatterns = [
    path("", overview, name="overview"),
    path("messages", messages, name="messages"),
    path("messages/change", change, name="change"),
    path("messages/<int:message_id>", message, name="message"),
    path("messages/<int:message_id>/raw", raw, name="raw"),
    path("lanes/<int:mailbox_id>", lane, name="lane"),
]
