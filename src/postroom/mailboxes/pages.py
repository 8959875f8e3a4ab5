"""The pages of mailboxes: list, make, see, edit, copy, delete; and where all pages of the room hang."""

from __future__ import annotations

from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import path
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from postroom.accounts.access import actor_of, needs, person_of
from postroom.core.faults import Fault, Invalid
from postroom.mailboxes import (
    credential_pages,
    credentials,
    importing,
    mail_pages,
    provider_pages,
    providers,
    service,
)
from postroom.mailboxes.forms import CopyForm, ImportForm, MailboxForm, initial_of, show_faults
from postroom.mailboxes.known_clouds import known_clouds
from postroom.mailboxes.surroundings import around

if TYPE_CHECKING:
    from postroom.mailboxes.models import Mailbox, Provider


@needs("mailbox.view")
@require_safe
def list_mailboxes(request: HttpRequest) -> HttpResponse:
    """Health by the latest proofs; calls nobody."""
    search = request.GET.get("search", "").strip()
    context = {"rows": service.list_mailboxes(search), "search": search}
    return render(request, "mailboxes/list.html", context)


@needs("mailbox.change")
@require_safe
def choose_provider(request: HttpRequest) -> HttpResponse:
    """Microsoft 365 first, which this product is for; what imports make for themselves is left out."""
    offered = [provider for provider in providers.list_providers() if provider.slug != importing.PROVIDER]
    offered.sort(key=lambda provider: not provider.uses_cloud)
    return render(request, "mailboxes/choose.html", {"providers": offered})


@needs("mailbox.change")
@require_http_methods(["GET", "HEAD", "POST"])
def new(request: HttpRequest, slug: str) -> HttpResponse:
    provider = providers.get(slug)
    initial = asdict(providers.data_of(provider)) | {
        "name": "",
        "user_name": "",
        "folder": "INBOX",
        "read_inbox": provider.can_read and provider.read_by != "none",
        "save_to_sent": True,
        "enabled": True,
        "cloud": "global",
    }
    for preset in ("smtp_host", "smtp_port", "incoming_host", "incoming_port", *_LIMITS):
        initial[preset] = None  # empty means the provider's, which shows as the placeholder
    form = _form(request, provider, initial)
    if request.method == "POST" and form.is_valid():
        try:
            mailbox = service.save(form.as_data(), actor_of(request))
        except Fault as fault:
            show_faults(form, fault)
        else:
            messages.success(request, f"{mailbox} is saved. Now give it its credential.")
            return redirect("mailboxes:credentials", mailbox.pk)
    status = 422 if form.errors else 200
    return render(request, "mailboxes/new.html", {"form": form, "provider": provider}, status=status)


@needs("mailbox.view")
@require_safe
def show(request: HttpRequest, mailbox_id: int) -> HttpResponse:
    mailbox = service.get(mailbox_id)
    context = around(mailbox, person_of(request).role, "mailboxes:show") | {"copy_form": CopyForm(prefix="copy")}
    try:
        context |= {"whole": service.effective(mailbox), "credentials": credentials.list_for(mailbox)}
    except Fault as fault:
        context["broken"] = f"{fault} {fault.fix}".strip()
    return render(request, "mailboxes/show.html", context)


@needs("mailbox.change")
@require_http_methods(["GET", "HEAD", "POST"])
def edit(request: HttpRequest, mailbox_id: int) -> HttpResponse:
    mailbox = service.get(mailbox_id)
    form = _form(request, _provider_wanted(request, mailbox), initial_of(service.data_of(mailbox)))
    if request.method == "POST" and form.is_valid():
        try:
            service.save(form.as_data(), actor_of(request), mailbox_id, tell=partial(messages.warning, request))
        except Fault as fault:
            show_faults(form, fault)
        else:
            messages.success(request, "The settings are saved. Test the mailbox to see that it works with them.")
            return redirect("mailboxes:show", mailbox_id)
    context = around(mailbox, person_of(request).role, "mailboxes:edit") | {
        "form": form,
        "provider": form.provider,
        "providers": providers.list_providers(),
    }
    return render(request, "mailboxes/edit.html", context, status=422 if form.errors else 200)


@needs("mailbox.change")
@require_POST
def copy(request: HttpRequest, mailbox_id: int) -> HttpResponse:
    try:
        made = service.copy(mailbox_id, request.POST.get("name", ""), actor_of(request))
    except Invalid as fault:
        messages.error(request, f"Not copied: {fault}")
        return redirect("mailboxes:show", mailbox_id)
    messages.success(request, f"{made} is a copy of the settings; change in it what differs.")
    return redirect("mailboxes:edit", made.pk)


@needs("mailbox.change")
@require_POST
def delete(request: HttpRequest, mailbox_id: int) -> HttpResponse:
    name = service.get(mailbox_id).name
    service.delete(mailbox_id, actor_of(request))
    messages.success(request, f"{name} is deleted.")
    return redirect("mailboxes:list")


@needs("mailbox.change")
@require_POST
def make_default(request: HttpRequest, mailbox_id: int) -> HttpResponse:
    mailbox = service.make_default(mailbox_id, actor_of(request))
    messages.success(request, f"Mail that names no mailbox now goes through {mailbox}.")
    return redirect("mailboxes:show", mailbox_id)


@needs("mailbox.change")
@require_POST
def switch(request: HttpRequest, mailbox_id: int) -> HttpResponse:
    """On or off."""
    mailbox = service.set_enabled(mailbox_id, not service.get(mailbox_id).enabled, actor_of(request))
    messages.success(request, f"{mailbox} is switched {'on' if mailbox.enabled else 'off'}.")
    return redirect("mailboxes:show", mailbox_id)


@needs("mailbox.change")
@require_http_methods(["GET", "HEAD", "POST"])
def import_gateway(request: HttpRequest) -> HttpResponse:
    """The properties of an existing mail gateway, pasted (reference rows B8, B11)."""
    form = ImportForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            imported = importing.from_properties(form.cleaned_data["text"], actor_of(request))
        except Fault as fault:
            show_faults(form, fault)
        else:
            messages.success(request, f"{imported.mailbox} is imported. Check it, and test it.")
            for note in imported.notes:
                messages.warning(request, note)
            return redirect("mailboxes:show", imported.mailbox.pk)
    return render(request, "mailboxes/import.html", {"form": form}, status=422 if form.errors else 200)


def _form(request: HttpRequest, provider: Provider, initial: dict[str, object]) -> MailboxForm:
    clouds = [(name, cloud.title) for name, cloud in known_clouds().items()]
    return MailboxForm(request.POST or None, provider=provider, clouds=clouds, initial=initial)


def _provider_wanted(request: HttpRequest, mailbox: Mailbox) -> Provider:
    """The mailbox's own, or the one chosen on the page to change over to."""
    slug = request.POST.get("provider") or request.GET.get("provider")
    return providers.get(slug) if slug else mailbox.provider


_LIMITS = ("messages_per_minute", "recipients_per_day", "connections", "message_size")

app_name = "mailboxes"
urlpatterns = [
    path("", list_mailboxes, name="list"),
    path("new", choose_provider, name="new"),
    path("new/<slug:slug>", new, name="new-with"),
    path("import", import_gateway, name="import"),
    path("<int:mailbox_id>/", show, name="show"),
    path("<int:mailbox_id>/settings", edit, name="edit"),
    path("<int:mailbox_id>/copy", copy, name="copy"),
    path("<int:mailbox_id>/delete", delete, name="delete"),
    path("<int:mailbox_id>/default", make_default, name="default"),
    path("<int:mailbox_id>/switch", switch, name="switch"),
    *credential_pages.urlpatterns,
    *mail_pages.urlpatterns,
    *provider_pages.urlpatterns,
]
