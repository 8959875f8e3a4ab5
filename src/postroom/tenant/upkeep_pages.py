"""What comes after the set-up: a new credential in time, and taking away what was made."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import path
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from postroom.accounts.access import actor_of, needs
from postroom.tenant import jobs, remove, wizard
from postroom.tenant.forms import RemoveForm, RotateForm
from postroom.tenant.surroundings import around

_PAGE = ["GET", "HEAD", "POST"]


@needs("tenant.change")
@never_cache
@require_http_methods(_PAGE)
def rotate_credential(request: HttpRequest, setup_id: int) -> HttpResponse:
    """POST makes a new credential beside the old one."""
    setup = wizard.get(setup_id)
    form = RotateForm(request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        jobs.start(setup, "rotate", actor_of(request), {"remove_now": form.cleaned_data["remove_now"]})
        return redirect("tenant:rotate", setup_id)
    context = around(setup, "tenant:rotate") | {"form": form, "job": jobs.latest(setup, "rotate")}
    return render(request, _template(request, "rotate"), context)


@needs("tenant.change")
@never_cache
@require_http_methods(_PAGE)
def remove_made(request: HttpRequest, setup_id: int) -> HttpResponse:
    """POST takes away what the set-up made, once its name was typed."""
    setup = wizard.get(setup_id)
    form = RemoveForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        if form.cleaned_data["name"].strip() == setup.name:
            jobs.start(setup, "remove", actor_of(request), {"with_mailboxes": form.cleaned_data["with_mailboxes"]})
            return redirect("tenant:remove", setup_id)
        form.add_error("name", f"is not the name of this set-up; type {setup.name}")
    context = around(setup, "tenant:remove") | {
        "form": form,
        "job": jobs.latest(setup, "remove"),
        "leaving": remove.preview(setup),
    }
    return render(request, _template(request, "remove"), context, status=422 if form.errors else 200)


def _template(request: HttpRequest, name: str) -> str:
    return f"tenant/{name}_part.html" if request.headers.get("HX-Request") else f"tenant/{name}.html"


urlpatterns = [
    path("<int:setup_id>/rotate", rotate_credential, name="rotate"),
    path("<int:setup_id>/remove", remove_made, name="remove"),
]
