"""The pages of apps and listeners: list, make, change, rotate, remove."""

from __future__ import annotations

from dataclasses import asdict

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import path
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from postroom.accounts import app_credentials
from postroom.accounts.access import actor_of, needs
from postroom.accounts.app_rules import AppData
from postroom.bridge import app_board, service
from postroom.bridge.forms import AppForm, ListenerForm
from postroom.bridge.rules import warnings
from postroom.bridge.values import ListenerData
from postroom.core.faults import Fault
from postroom.mailboxes.forms import show_faults


@needs("mailbox.view")
@require_safe
def list_apps(request: HttpRequest) -> HttpResponse:
    search = request.GET.get("search", "").strip()
    return render(request, "bridge/apps.html", {"apps": app_board.list_apps(search), "search": search})


@never_cache
@needs("app.change")
@require_http_methods(["GET", "HEAD", "POST"])
def new_app(request: HttpRequest) -> HttpResponse:
    form = AppForm(request.POST or None, initial=AppForm.initial_of(AppData("")))
    if request.method == "POST" and form.is_valid():
        try:
            app, secret = app_credentials.add(form.as_data(), actor_of(request))
        except Fault as fault:
            show_faults(form, fault)
        else:
            return _secret(request, app.name, secret)
    return render(request, "bridge/app.html", {"form": form}, status=422 if form.errors else 200)


@needs("app.change")
@require_http_methods(["GET", "HEAD", "POST"])
def app(request: HttpRequest, app_id: int) -> HttpResponse:
    found = app_credentials.get(app_id)
    form = AppForm(request.POST or None, initial=AppForm.initial_of(app_credentials.data_of(found)))
    if request.method == "POST" and form.is_valid():
        try:
            changed = app_credentials.change(app_id, form.as_data(), actor_of(request))
        except Fault as fault:
            show_faults(form, fault)
        else:
            messages.success(request, f"{changed} is changed; open sessions follow within seconds.")
            return redirect("bridge:apps")
    context = {"form": form, "app": found}
    return render(request, "bridge/app.html", context, status=422 if form.errors else 200)


@never_cache
@needs("app.change")
@require_POST
def rotate_app(request: HttpRequest, app_id: int) -> HttpResponse:
    name = app_credentials.get(app_id).name
    return _secret(request, name, app_credentials.rotate(app_id, actor_of(request)), rotated=True)


@needs("app.change")
@require_POST
def remove_app(request: HttpRequest, app_id: int) -> HttpResponse:
    app_credentials.remove(app_id, actor_of(request))
    messages.success(request, "The app is removed; it can hand nothing in any more.")
    return redirect("bridge:apps")


@needs("mailbox.view")
@require_safe
def list_listeners(request: HttpRequest) -> HttpResponse:
    return render(request, "bridge/listeners.html", {"listeners": service.list_listeners()})


@needs("listener.change")
@require_http_methods(["GET", "HEAD", "POST"])
def listener(request: HttpRequest, listener_id: int | None = None) -> HttpResponse:
    """Makes one, or changes the one named."""
    data = service.data_of(service.get(listener_id)) if listener_id else ListenerData("")
    form = ListenerForm(request.POST or None, initial=asdict(data))
    if request.method == "POST" and form.is_valid():
        try:
            saved = service.save(form.as_data(), actor_of(request), listener_id)
        except Fault as fault:
            show_faults(form, fault)
        else:
            messages.success(request, f"{saved} is saved; it opens within seconds where Postroom runs.")
            return redirect("bridge:listeners")
    context = {"form": form, "listener": data if listener_id else None, "warnings": warnings(data)}
    return render(request, "bridge/listener.html", context, status=422 if form.errors else 200)


@needs("listener.change")
@require_POST
def remove_listener(request: HttpRequest, listener_id: int) -> HttpResponse:
    service.remove(listener_id, actor_of(request))
    messages.success(request, "The port is closed within seconds, and gone.")
    return redirect("bridge:listeners")


def _secret(request: HttpRequest, name: str, secret: str, *, rotated: bool = False) -> HttpResponse:
    """The secret is in this answer only: it is kept nowhere."""
    ports = [row.data for row in service.list_listeners() if row.data.enabled]
    context = {"name": name, "secret": secret, "rotated": rotated, "ports": ports}
    return render(request, "bridge/secret.html", context)


app_name = "bridge"
urlpatterns = [
    path("apps", list_apps, name="apps"),
    path("apps/new", new_app, name="app-new"),
    path("apps/<int:app_id>", app, name="app"),
    path("apps/<int:app_id>/rotate", rotate_app, name="app-rotate"),
    path("apps/<int:app_id>/remove", remove_app, name="app-remove"),
    path("ports", list_listeners, name="listeners"),
    path("ports/new", listener, name="listener-new"),
    path("ports/<int:listener_id>", listener, name="listener"),
    path("ports/<int:listener_id>/remove", remove_listener, name="listener-remove"),
]
