"""Signing in and out, one-time links, one's own password; people and the audit log for those who may."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django import forms
from django.contrib import messages
from django.contrib.auth import authenticate, login, logout, update_session_auth_hash
from django.contrib.auth.decorators import login_not_required
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import path
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from postroom.accounts import audit, links, service
from postroom.accounts.access import actor_of, needs, origin_of, person_of
from postroom.accounts.audit import Actor
from postroom.accounts.forms import FirstAdministratorForm, LinkForm, PasswordForm, PersonForm, SignInForm
from postroom.core.faults import Fault, Invalid

if TYPE_CHECKING:
    from postroom.accounts.models import Person

_BACKEND = "django.contrib.auth.backends.ModelBackend"
_FIRST_LINK = "first-administrator-link"


@login_not_required
@never_cache
@sensitive_post_parameters("password")
@require_http_methods(["GET", "HEAD", "POST"])
def sign_in(request: HttpRequest) -> HttpResponseBase:
    if not service.anybody():
        return render(request, "accounts/first_start.html")
    if request.user.is_authenticated:
        return redirect(_next(request))
    form = SignInForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        email = form.cleaned_data["email"].strip().lower()
        person = authenticate(request, username=email, password=form.cleaned_data["password"])
        if person is not None:
            login(request, person)
            audit.record(actor_of(request), "sign-in.succeeded", email)
            return redirect(_next(request))
        locked = getattr(request, "axes_locked_out", False)
        # What was typed is logged as the subject, not as the actor: nobody has proved to be that person.
        audit.record(Actor("anonymous", origin_of(request)), "sign-in.locked" if locked else "sign-in.failed", email)
        form.add_error(None, "The e-mail or the password is wrong. After ten wrong tries there is a pause.")
    status = 422 if form.errors else 200
    return render(request, "accounts/sign_in.html", {"form": form, "next": _next(request)}, status=status)


@require_POST
def sign_out(request: HttpRequest) -> HttpResponse:
    audit.record(actor_of(request), "sign-out", person_of(request).email)
    logout(request)
    return redirect("accounts:sign-in")


@login_not_required
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def link(request: HttpRequest) -> HttpResponse:
    """Opening it shows a button; only the button's POST uses the link up."""
    form = LinkForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            found = links.look(form.cleaned_data["token"])
            if found.person is None:
                request.session[_FIRST_LINK] = found.pk
                return redirect("accounts:first")
            links.redeem(found)
        except links.BadLink as fault:
            form.add_error("token", f"{fault} {fault.fix}")
        else:
            login(request, found.person, backend=_BACKEND)
            audit.record(actor_of(request), "sign-in.by-link", person_of(request).email)
            return redirect("/")
    return render(request, "accounts/link.html", {"form": form}, status=422 if form.errors else 200)


@login_not_required
@never_cache
@sensitive_post_parameters("password")
@require_http_methods(["GET", "HEAD", "POST"])
def first(request: HttpRequest) -> HttpResponse:
    """The first administrator introduces themself; the session remembers the link."""
    link_id = request.session.get(_FIRST_LINK)
    if link_id is None or service.anybody():
        return redirect("accounts:sign-in")
    form = FirstAdministratorForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            person = service.first_administrator(
                links.standing(link_id), origin=origin_of(request), **form.cleaned_data
            )
        except Fault as fault:
            _show(form, fault)
        else:
            login(request, person, backend=_BACKEND)
            messages.success(request, f"Welcome, {person}. You are the administrator of this Postroom.")
            return redirect("/")
    return render(request, "accounts/first.html", {"form": form}, status=422 if form.errors else 200)


@never_cache
@sensitive_post_parameters("current", "password")
@require_http_methods(["GET", "HEAD", "POST"])
def password(request: HttpRequest) -> HttpResponse:
    person = person_of(request)
    form = PasswordForm(request.POST or None, has_password=person.has_usable_password())
    if request.method == "POST" and form.is_valid():
        try:
            if "current" in form.fields and not person.check_password(form.cleaned_data["current"]):
                raise Invalid({"current": ["This is not your current password."]})
            service.set_password(person, form.cleaned_data["password"], actor_of(request))
        except Invalid as fault:
            _show(form, fault)
        else:
            update_session_auth_hash(request, person)
            messages.success(request, "Your password is changed; your other sessions are ended.")
            return redirect("accounts:password")
    return render(request, "accounts/password.html", {"form": form}, status=422 if form.errors else 200)


@needs("person.change")
@require_http_methods(["GET", "HEAD", "POST"])
def people(request: HttpRequest) -> HttpResponse:
    form = PersonForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            person = service.add_person(by=actor_of(request), **form.cleaned_data)
        except Invalid as fault:
            _show(form, fault)
        else:
            return _show_link(request, person)
    context = {"people": service.list_people(), "form": form}
    return render(request, "accounts/people.html", context, status=422 if form.errors else 200)


@needs("person.change")
@require_POST
def person_link(request: HttpRequest, person_id: int) -> HttpResponse:
    return _show_link(request, service.get(person_id))


@needs("person.change")
@require_POST
def person_switch(request: HttpRequest, person_id: int) -> HttpResponse:
    """Shuts somebody out, or lets them in again."""
    person = service.get(person_id)
    try:
        (service.deactivate if person.is_active else service.activate)(person, actor_of(request))
    except Fault as fault:
        messages.error(request, f"{fault}. {fault.fix}")
    else:
        messages.success(request, f"{person} {'can sign in again' if person.is_active else 'is shut out'}.")
    return redirect("accounts:people")


@needs("audit.view")
@require_safe
def audit_log(request: HttpRequest) -> HttpResponse:
    search = request.GET.get("search", "").strip()
    page = Paginator(audit.search(search), 50).get_page(request.GET.get("page"))
    return render(request, "accounts/audit.html", {"page": page, "search": search})


def _show_link(request: HttpRequest, person: Person) -> HttpResponse:
    """The link is shown in this answer only: it is kept nowhere."""
    address = links.address(f"{request.scheme}://{request.get_host()}", links.make(person, actor_of(request)))
    return render(request, "accounts/person_link.html", {"person": person, "address": address})


def _show(form: forms.Form, fault: Fault) -> None:
    """Puts a service's faults beside the fields they belong to."""
    if isinstance(fault, Invalid):
        for field, faults in fault.errors.items():
            form.add_error(field if field in form.fields else None, faults)
    else:
        form.add_error(None, f"{fault} {fault.fix}")


def _next(request: HttpRequest) -> str:
    """Where the person wanted to go, if that is a page of ours."""
    wish = request.POST.get("next") or request.GET.get("next", "")
    ours = url_has_allowed_host_and_scheme(wish, {request.get_host()}, require_https=request.is_secure())
    return wish if ours else "/"


app_name = "accounts"
urlpatterns = [
    path("sign-in", sign_in, name="sign-in"),
    path("sign-out", sign_out, name="sign-out"),
    path("link", link, name="link"),
    path("first", first, name="first"),
    path("password", password, name="password"),
    path("people", people, name="people"),
    path("people/<int:person_id>/link", person_link, name="person-link"),
    path("people/<int:person_id>/switch", person_switch, name="person-switch"),
    path("audit", audit_log, name="audit"),
]
