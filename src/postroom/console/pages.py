"""The overview, and the two addresses that probes ask."""

from __future__ import annotations

from django.contrib.auth.decorators import login_not_required
from django.db import DatabaseError, connection
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import path
from django.views.decorators.cache import never_cache
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


@login_not_required
@never_cache
@require_safe
def healthz(request: HttpRequest) -> HttpResponse:
    """The process answers."""
    return HttpResponse("ok\n", content_type="text/plain")


@login_not_required
@never_cache
@require_safe
def readyz(request: HttpRequest) -> HttpResponse:
    """The process can do its work: the database answers."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError:
        return HttpResponse("the database does not answer\n", status=503, content_type="text/plain")
    return HttpResponse("ok\n", content_type="text/plain")


app_name = "console"
urlpatterns = [
    path("", home, name="home"),
    path("healthz", healthz, name="healthz"),
    path("readyz", readyz, name="readyz"),
]
