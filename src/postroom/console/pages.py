"""The overview."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import path
from django.views.decorators.http import require_safe

from postroom.mailboxes import service
from postroom.mailboxes.health import State


@require_safe
def home(request: HttpRequest) -> HttpResponse:
    """Health at a glance, and what to do next. Looks at stored proofs only; calls nobody."""
    rows = service.list_mailboxes()
    attention = [row for row in rows if row.health.state != State.HEALTHY]
    context = {
        "rows": rows,
        "attention": attention,
        "healthy": len(rows) - len(attention),
        "failing": sum(row.health.state in {State.FAILING, State.UNREADABLE} for row in rows),
        "unproved": sum(row.health.state is State.UNPROVED for row in rows),
        "expiring": sum(row.health.state is State.EXPIRING for row in rows),
    }
    return render(request, "console/home.html", context)


app_name = "console"
urlpatterns = [
    path("", home, name="home"),
]
