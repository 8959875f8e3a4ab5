"""The pages of credentials. Secrets go in; what comes out is "set, ends in a1b2, expires 2027-01-01"."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import path
from django.utils.text import slugify
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from postroom.accounts.access import actor_of, needs, person_of
from postroom.accounts.audit import Actor
from postroom.core.faults import Fault, NotFound
from postroom.mailboxes import credentials, service
from postroom.mailboxes.credentials import CredentialView
from postroom.mailboxes.forms import (
    FederatedForm,
    GenerateForm,
    ManagedIdentityForm,
    PasswordForm,
    SecretForm,
    UploadForm,
    end_of_day,
    show_faults,
)
from postroom.mailboxes.surroundings import around

if TYPE_CHECKING:
    from postroom.mailboxes.models import Mailbox

_FOR_APPLICATIONS: dict[str, type[forms.Form]] = {
    "secret": SecretForm,
    "generate": GenerateForm,
    "upload": UploadForm,
    "federated": FederatedForm,
    "managed": ManagedIdentityForm,
}
_FOR_MAILBOXES: dict[str, type[forms.Form]] = {"password": PasswordForm}


@needs("credential.change")
@never_cache
@sensitive_post_parameters("secret-value", "password-value", "upload-password")
@require_http_methods(["GET", "HEAD", "POST"])
def panel(request: HttpRequest, mailbox_id: int) -> HttpResponse:
    """What there is, and the forms to add one; which form was sent says its field `add`."""
    mailbox = service.get(mailbox_id)
    kinds = _FOR_APPLICATIONS if mailbox.sign_in_by == "oauth" else _FOR_MAILBOXES
    wanted = request.POST.get("add", "")
    shown = {
        name: make(request.POST, request.FILES, prefix=name) if name == wanted else make(prefix=name)
        for name, make in kinds.items()
    }
    sent = shown.get(wanted)
    if sent is not None and sent.is_valid():
        try:
            added = _add(mailbox, wanted, sent, actor_of(request))
        except Fault as fault:
            show_faults(sent, fault)
        else:
            messages.success(request, _said(added))
            return redirect("mailboxes:credentials", mailbox_id)
    context = _context(request, mailbox) | {"forms": shown, "sent": wanted}
    failed = sent is not None and bool(sent.errors)
    return render(request, "mailboxes/credentials.html", context, status=422 if failed else 200)


@needs("credential.change")
@require_POST
def remove(request: HttpRequest, mailbox_id: int, credential_id: int) -> HttpResponse:
    _of_mailbox(mailbox_id, credential_id)
    credentials.remove(credential_id, actor_of(request))
    messages.success(request, "The credential is removed here. Delete it in Azure, too, if nothing else uses it.")
    return redirect("mailboxes:credentials", mailbox_id)


@needs("credential.change")
@require_POST
def promote(request: HttpRequest, mailbox_id: int, credential_id: int) -> HttpResponse:
    _of_mailbox(mailbox_id, credential_id)
    credentials.promote(credential_id, actor_of(request))
    messages.success(request, "This credential is now used first.")
    return redirect("mailboxes:credentials", mailbox_id)


@needs("mailbox.view")
@require_safe
def public_part(request: HttpRequest, mailbox_id: int, credential_id: int) -> HttpResponse:
    """The certificate without its key, to upload to Azure."""
    credential = _of_mailbox(mailbox_id, credential_id)
    if not credential.public_certificate:
        raise NotFound("this credential has no public part", "Only certificates have one.")
    name = slugify(f"postroom-{service.get(mailbox_id).name}")
    response = HttpResponse(credential.public_certificate, content_type="application/x-pem-file")
    response["Content-Disposition"] = f'attachment; filename="{name}.pem"'
    return response


def _context(request: HttpRequest, mailbox: Mailbox) -> dict[str, object]:
    found = credentials.list_for(mailbox)
    return around(mailbox, person_of(request).role, "mailboxes:credentials") | {
        "credentials": found,
        "full": len(found) >= credentials.MOST,
    }


def _add(mailbox: Mailbox, kind: str, form: forms.Form, by: Actor) -> CredentialView:
    """Raises `Invalid`."""
    owner, values = credentials.owner_of(mailbox), form.cleaned_data
    if kind == "generate":
        return credentials.generate_certificate(owner, by, days=values["days"])
    if kind == "upload":
        file = values["certificate"]
        return credentials.upload_certificate(owner, file.read() if file else b"", values["password"], by)
    assert isinstance(form, SecretForm | PasswordForm | FederatedForm | ManagedIdentityForm)  # noqa: S101 - the rest
    return credentials.add(owner, form.kind, values["value"], end_of_day(form, "expires_at"), by)


def _said(added: CredentialView) -> str:
    if added.public_certificate:
        return "The certificate is kept. Download its public part and upload it to Azure, then test the mailbox."
    return f"{added.label} is kept, encrypted ({added.hint}). Now test the mailbox."


def _of_mailbox(mailbox_id: int, credential_id: int) -> CredentialView:
    """Only a mailbox's own credentials are reached through its pages. Raises `NotFound`."""
    for credential in credentials.list_for(service.get(mailbox_id)):
        if credential.id == credential_id:
            return credential
    raise NotFound("this mailbox has no such credential", "It may have been removed; reload the page.")


urlpatterns = [
    path("<int:mailbox_id>/credentials", panel, name="credentials"),
    path("<int:mailbox_id>/credentials/<int:credential_id>/remove", remove, name="credential-remove"),
    path("<int:mailbox_id>/credentials/<int:credential_id>/promote", promote, name="credential-promote"),
    path("<int:mailbox_id>/credentials/<int:credential_id>/public", public_part, name="credential-public"),
]
