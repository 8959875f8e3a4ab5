"""The pages of providers: list, make, edit, copy, delete. Those that ship can only be copied."""

from __future__ import annotations

from dataclasses import asdict
from functools import partial

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import path
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from postroom.accounts.access import actor_of, needs
from postroom.core.faults import Fault, Invalid
from postroom.mailboxes import providers
from postroom.mailboxes.forms import ProviderForm, show_faults


@needs("mailbox.view")
@require_safe
def list_providers(request: HttpRequest) -> HttpResponse:
    search = request.GET.get("search", "").strip()
    context = {"providers": providers.list_providers(search), "search": search}
    return render(request, "mailboxes/providers.html", context)


@needs("provider.change")
@require_http_methods(["GET", "HEAD", "POST"])
def edit(request: HttpRequest, slug: str = "") -> HttpResponse:
    """Makes one, or changes the one named."""
    provider = providers.get(slug) if slug else None
    initial = asdict(providers.data_of(provider)) if provider else {"can_read": True}
    form = ProviderForm(request.POST or None, initial=initial)
    if request.method == "POST" and form.is_valid():
        try:
            warn = partial(messages.warning, request)
            saved = providers.save(form.as_data(), actor_of(request), slug or None, tell=warn)
        except Fault as fault:
            show_faults(form, fault)
        else:
            messages.success(request, f"{saved} is saved.")
            return redirect("mailboxes:providers")
    context = {"form": form, "provider": provider}
    return render(request, "mailboxes/provider.html", context, status=422 if form.errors else 200)


@needs("provider.change")
@require_POST
def copy(request: HttpRequest, slug: str) -> HttpResponse:
    try:
        made = providers.copy(slug, request.POST.get("name", ""), actor_of(request))
    except Invalid as fault:
        messages.error(request, f"Not copied: {fault}")
        return redirect("mailboxes:providers")
    messages.success(request, f"{made} is a copy; change in it what differs.")
    return redirect("mailboxes:provider", made.slug)


@needs("provider.change")
@require_POST
def delete(request: HttpRequest, slug: str) -> HttpResponse:
    try:
        providers.delete(slug, actor_of(request))
    except Invalid as fault:
        messages.error(request, f"Not deleted: {fault}")
    else:
        messages.success(request, "The provider is deleted.")
    return redirect("mailboxes:providers")


urlpatterns = [
    path("providers/", list_providers, name="providers"),
    path("providers/new", edit, name="provider-new"),
    path("providers/<slug:slug>", edit, name="provider"),
    path("providers/<slug:slug>/copy", copy, name="provider-copy"),
    path("providers/<slug:slug>/delete", delete, name="provider-delete"),
]
