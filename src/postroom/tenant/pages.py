"""The pages of set-ups: list, describe, look at one; and where all pages of the room hang."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import path
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from postroom.accounts.access import actor_of, needs
from postroom.core.faults import Fault
from postroom.mailboxes.forms import show_faults
from postroom.mailboxes.known_clouds import known_clouds
from postroom.tenant import hand_over_pages, setups, upkeep_pages, wizard, wizard_pages
from postroom.tenant.forms import FileForm, WholeForm
from postroom.tenant.surroundings import around
from postroom.tenant.wanted import Wanted, WantedMailbox
from postroom.tenant.wanted_file import write

_EXAMPLE = """\
tenant: contoso.onmicrosoft.com
application: Postroom
send: smtp
read: [imap]
mailboxes:
  - address: notifications@contoso.com
    name: Notifications
    shared: true
"""


@needs("tenant.view")
@never_cache
@require_safe
def list_setups(request: HttpRequest) -> HttpResponse:
    """How each stands, by what was seen last; calls nobody."""
    return render(request, "tenant/list.html", {"rows": wizard.rows()})


@needs("tenant.change")
@require_http_methods(["GET", "HEAD", "POST"])
def new(request: HttpRequest) -> HttpResponse:
    """Where the wizard begins."""
    blank = Wanted(tenant="", mailboxes=(WantedMailbox("", shared=True),))
    form = _whole(request, blank, is_new=True)
    if _is_sent(request) and form.is_valid():
        try:
            setup = wizard.create(write(form.as_wanted()), actor_of(request))
        except Fault as fault:
            form.show_faults(fault)
        else:
            return redirect("tenant:sign-in", setup.pk)
    status = 422 if _is_sent(request) else 200
    return render(request, "tenant/new.html", {"form": form}, status=status)


@needs("tenant.change")
@require_http_methods(["GET", "HEAD", "POST"])
def new_from_file(request: HttpRequest) -> HttpResponse:
    form = FileForm(request.POST or None, initial={"text": _EXAMPLE})
    if request.method == "POST" and form.is_valid():
        try:
            setup = wizard.create(form.cleaned_data["text"], actor_of(request))
        except Fault as fault:
            show_faults(form, fault)
        else:
            return redirect("tenant:sign-in", setup.pk)
    return render(request, "tenant/file.html", {"form": form}, status=422 if form.errors else 200)


@needs("tenant.change")
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def edit(request: HttpRequest, setup_id: int) -> HttpResponse:
    setup = wizard.get(setup_id)
    form = _whole(request, setups.wanted_of(setup), is_new=False)
    if _is_sent(request) and form.is_valid():
        try:
            wizard.change(setup, write(form.as_wanted(setup.name)), actor_of(request))
        except Fault as fault:
            form.show_faults(fault)
        else:
            return _changed(request, setup_id)
    context = around(setup, "tenant:edit") | {"form": form}
    return render(request, "tenant/edit.html", context, status=422 if _is_sent(request) else 200)


@needs("tenant.change")
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def edit_file(request: HttpRequest, setup_id: int) -> HttpResponse:
    setup = wizard.get(setup_id)
    form = FileForm(request.POST or None, initial={"text": setup.wanted})
    if request.method == "POST" and form.is_valid():
        try:
            wizard.change(setup, form.cleaned_data["text"], actor_of(request))
        except Fault as fault:
            show_faults(form, fault)
        else:
            return _changed(request, setup_id)
    context = around(setup, "tenant:edit") | {"form": form}
    return render(request, "tenant/edit_file.html", context, status=422 if form.errors else 200)


@needs("tenant.view")
@never_cache
@require_safe
def show(request: HttpRequest, setup_id: int) -> HttpResponse:
    setup = wizard.get(setup_id)
    return render(request, "tenant/show.html", around(setup, "tenant:show"))


@needs("tenant.change")
@require_POST
def delete(request: HttpRequest, setup_id: int) -> HttpResponse:
    """Only Postroom's own record, and only when nothing that it made is left."""
    setup = wizard.get(setup_id)
    try:
        wizard.forget(setup, actor_of(request))
    except Fault as fault:
        messages.error(request, f"{fault}. {fault.fix}")
        return redirect("tenant:show", setup_id)
    messages.success(request, f"The set-up {setup.name} is deleted.")
    return redirect("tenant:list")


def _whole(request: HttpRequest, wanted: Wanted, *, is_new: bool) -> WholeForm:
    clouds = [(name, cloud.title) for name, cloud in known_clouds().items()]
    return WholeForm(request.POST if request.method == "POST" else None, wanted, clouds, is_new=is_new)


def _is_sent(request: HttpRequest) -> bool:
    """False while only the list of mailboxes grows or shrinks: then nothing is judged."""
    return request.method == "POST" and "more" not in request.POST and "drop" not in request.POST


def _changed(request: HttpRequest, setup_id: int) -> HttpResponse:
    messages.success(request, "What is wanted is saved. Nothing is changed in the tenant before you apply the plan.")
    return redirect("tenant:plan", setup_id)


app_name = "tenant"
urlpatterns = [
    path("", list_setups, name="list"),
    path("new", new, name="new"),
    path("new/file", new_from_file, name="new-file"),
    path("<int:setup_id>/", show, name="show"),
    path("<int:setup_id>/wanted", edit, name="edit"),
    path("<int:setup_id>/wanted/file", edit_file, name="edit-file"),
    path("<int:setup_id>/delete", delete, name="delete"),
    *wizard_pages.urlpatterns,
    *hand_over_pages.urlpatterns,
    *upkeep_pages.urlpatterns,
]
