"""The wizard after its first page: sign in, look at the plan, apply it, prove it. Each may be left and come back to."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import path, reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST
from django_htmx.http import HttpResponseClientRedirect

from postroom.accounts.access import actor_of, needs, person_of
from postroom.core.faults import Fault
from postroom.mailboxes.forms import show_faults
from postroom.microsoft.answers import Refused
from postroom.microsoft.errors import explain
from postroom.tenant import jobs, pending, signin, wizard
from postroom.tenant.forms import AdministratorForm, ProofForm
from postroom.tenant.pending import Waiting
from postroom.tenant.surroundings import around

_PAGE = ["GET", "HEAD", "POST"]


@needs("tenant.change")
@never_cache
@require_http_methods(_PAGE)
def sign_in(request: HttpRequest, setup_id: int) -> HttpResponse:
    """POST has a code given out."""
    setup = wizard.get(setup_id)
    context: dict[str, Any] = {"form": AdministratorForm()}
    if request.method == "POST":
        try:
            begun = pending.begin(setup, actor_of(request))
        except Refused as refused:
            context["diagnosis"] = explain(refused.answer)
        else:
            return redirect("tenant:sign-in" if isinstance(begun, Waiting) else "tenant:plan", setup_id)
    context |= around(setup, "tenant:sign-in") | {"waiting": pending.waiting(setup)}
    return render(request, "tenant/sign_in.html", context, status=422 if "diagnosis" in context else 200)


@needs("tenant.change")
@require_POST
def ask_code(request: HttpRequest, setup_id: int) -> HttpResponse:
    """Whether the code was typed: asked every other second by the page, and by its button without htmx."""
    setup = wizard.get(setup_id)
    context: dict[str, Any] = {"setup": setup}
    try:
        found = pending.ask(setup, actor_of(request))
    except Refused as refused:
        context["diagnosis"] = explain(refused.answer)
    except Fault as fault:
        context["fault"] = fault
    else:
        if not isinstance(found, Waiting):
            messages.success(request, f"{found.name} is signed in to {found.tenant}.")
            return _go(request, reverse("tenant:plan", args=[setup_id]))
        if request.POST.get("shown") == found.user_code:
            return HttpResponse(status=204)  # the page stays as it is, and so does whatever has the focus on it
        context["waiting"] = found
    if not _by_htmx(request):
        return redirect("tenant:sign-in", setup_id)
    return render(request, "tenant/code.html", context)


@needs("tenant.change")
@require_http_methods(_PAGE)
def sign_in_as_application(request: HttpRequest, setup_id: int) -> HttpResponse:
    setup = wizard.get(setup_id)
    form = AdministratorForm(request.POST or None, request.FILES or None)
    context: dict[str, Any] = {"form": form, "by_application": True}
    if request.method == "POST" and form.is_valid():
        given = form.cleaned_data
        try:
            done = signin.by_application(
                setup.cloud,
                setup.tenant,
                given["client_id"],
                actor_of(request),
                secret=given["secret"],
                certificate=given["certificate"].read() if given["certificate"] else b"",
                password=given["password"],
            )
        except Refused as refused:
            context["diagnosis"] = explain(refused.answer)
        except Fault as fault:
            show_faults(form, fault)
        else:
            messages.success(request, f"The application {done.name} is signed in to {done.tenant}.")
            return redirect("tenant:plan", setup_id)
    context |= around(setup, "tenant:sign-in") | {"waiting": None}
    return render(request, "tenant/sign_in.html", context, status=422 if request.method == "POST" else 200)


@needs("tenant.change")
@require_POST
def sign_out(request: HttpRequest, setup_id: int) -> HttpResponse:
    setup = wizard.get(setup_id)
    pending.forget(setup)
    if signin.sign_out(setup.cloud, setup.tenant, actor_of(request)):
        messages.success(request, "The sign-in is forgotten.")
    return redirect("tenant:sign-in", setup_id)


@needs("tenant.change")
@never_cache
@require_http_methods(_PAGE)
def plan(request: HttpRequest, setup_id: int) -> HttpResponse:
    """POST looks at the tenant; nothing is changed there."""
    if request.method == "POST":
        jobs.start(wizard.get(setup_id), "look", actor_of(request))
        return redirect("tenant:plan", setup_id)
    return _shown(request, setup_id, "plan")


@needs("tenant.change")
@never_cache
@require_http_methods(_PAGE)
def progress(request: HttpRequest, setup_id: int) -> HttpResponse:
    """POST applies the plan of the hash that it brings, or what is left of it."""
    if request.method == "POST":
        jobs.start(wizard.get(setup_id), "apply", actor_of(request), {"hash": request.POST.get("hash", "")})
        return redirect("tenant:progress", setup_id)
    return _shown(request, setup_id, "progress")


@needs("tenant.change")
@never_cache
@require_http_methods(_PAGE)
def proof(request: HttpRequest, setup_id: int) -> HttpResponse:
    """POST proves every mailbox in every way that is wanted."""
    form = ProofForm(request.POST or None, initial={"recipient": person_of(request).email})
    if request.method == "POST" and form.is_valid():
        jobs.start(wizard.get(setup_id), "verify", actor_of(request), {"recipient": form.cleaned_data["recipient"]})
        return redirect("tenant:proof", setup_id)
    return _shown(request, setup_id, "proof", {"form": form})


def _shown(request: HttpRequest, setup_id: int, name: str, more: dict[str, Any] | None = None) -> HttpResponse:
    """The page; for htmx, which asks while something is at work, only the part that changes."""
    context = around(wizard.get(setup_id), f"tenant:{name}") | (more or {})
    template = f"tenant/{name}_part.html" if _by_htmx(request) else f"tenant/{name}.html"
    return render(request, template, context)


def _go(request: HttpRequest, address: str) -> HttpResponse:
    return HttpResponseClientRedirect(address) if _by_htmx(request) else redirect(address)


def _by_htmx(request: HttpRequest) -> bool:
    return bool(request.headers.get("HX-Request"))


urlpatterns = [
    path("<int:setup_id>/sign-in", sign_in, name="sign-in"),
    path("<int:setup_id>/sign-in/code", ask_code, name="code"),
    path("<int:setup_id>/sign-in/application", sign_in_as_application, name="sign-in-application"),
    path("<int:setup_id>/sign-out", sign_out, name="sign-out"),
    path("<int:setup_id>/plan", plan, name="plan"),
    path("<int:setup_id>/apply", progress, name="progress"),
    path("<int:setup_id>/proof", proof, name="proof"),
]
