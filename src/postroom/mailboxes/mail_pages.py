"""The pages where mail moves: test a mailbox, send through it, look at its inbox."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import path
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe

from postroom.accounts.access import actor_of, needs, person_of
from postroom.core.faults import Fault
from postroom.mail.addresses import BadAddress, parse_list
from postroom.mail.compose import Draft
from postroom.mail.message import Attachment
from postroom.mailboxes import mailing, proofs, service
from postroom.mailboxes.forms import MailForm, TestForm, show_faults
from postroom.mailboxes.surroundings import around

if TYPE_CHECKING:
    from postroom.mailboxes.models import Mailbox

_RAW_SHOWN = 200_000
"""Characters of a raw message that a page shows; the whole is for a download."""


@needs("mailbox.test")
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def test(request: HttpRequest, mailbox_id: int) -> HttpResponse:
    """POST starts a proof; the page then asks for its stages until it is done."""
    mailbox = service.get(mailbox_id)
    form = TestForm(request.POST or None, initial={"recipient": person_of(request).email})
    if request.method == "POST" and form.is_valid():
        try:
            proofs.start(mailbox_id, form.cleaned_data["recipient"], actor_of(request))
        except Fault as fault:
            show_faults(form, fault)
        else:
            return redirect("mailboxes:test", mailbox_id)
    context = around(mailbox, person_of(request).role, "mailboxes:test") | _run(mailbox) | {"form": form}
    return render(request, "mailboxes/test.html", context, status=422 if form.errors else 200)


@needs("mailbox.test")
@never_cache
@require_safe
def stages(request: HttpRequest, mailbox_id: int) -> HttpResponse:
    """The part of the page that is asked for while a proof runs; without htmx, the page itself."""
    if not _by_htmx(request):
        return redirect("mailboxes:test", mailbox_id)
    mailbox = service.get(mailbox_id)
    run = _run(mailbox)
    context = {"mailbox": mailbox, "health": service.health_of(mailbox, run["proof"])} | run
    return render(request, "mailboxes/stages.html", context)


@needs("mailbox.send")
@require_http_methods(["GET", "HEAD", "POST"])
def send(request: HttpRequest, mailbox_id: int) -> HttpResponse:
    mailbox = service.get(mailbox_id)
    form = MailForm(request.POST or None, request.FILES or None)
    context = around(mailbox, person_of(request).role, "mailboxes:send") | {"form": form}
    if request.method == "POST" and form.is_valid():
        try:
            report = mailing.send(mailbox_id, _draft(mailbox, form), actor_of(request))
            # A fresh form after a mail that was taken, so that it is not sent twice by mistake.
            context |= {"report": report, "form": MailForm() if report.sent else form}
        except BadAddress as error:
            form.add_error(error.field, str(error).removeprefix(f"{error.field}: "))
        except Fault as fault:
            show_faults(form, fault)
    return render(request, "mailboxes/send.html", context, status=422 if form.errors else 200)


@needs("mailbox.read")
@never_cache
@require_safe
def inbox(request: HttpRequest, mailbox_id: int) -> HttpResponse:
    """The page comes at once; the list, which has to be asked for, follows by htmx."""
    mailbox = service.get(mailbox_id)
    context = around(mailbox, person_of(request).role, "mailboxes:inbox")
    if not _by_htmx(request):
        return render(request, "mailboxes/inbox.html", context)
    try:
        context["entries"] = mailing.inbox(mailbox_id)
    except Fault as fault:
        context["fault"] = _shown(fault)
    return render(request, "mailboxes/inbox_list.html", context)


@needs("mailbox.read")
@never_cache
@require_safe
def message(request: HttpRequest, mailbox_id: int) -> HttpResponse:
    """One message: headers, text, raw. HTML is shown as its source."""
    mailbox = service.get(mailbox_id)
    context = around(mailbox, person_of(request).role, "mailboxes:inbox")
    try:
        found = mailing.read(mailbox_id, request.GET.get("uid", ""))
    except Fault as fault:
        context["fault"] = _shown(fault)
        return render(request, "mailboxes/message.html", context, status=502)
    raw = found.raw.decode("utf-8", "replace")
    context |= {"to": found.addresses("To", "Cc")} | {
        "message": found,
        "raw": raw[:_RAW_SHOWN],
        "raw_cut": len(raw) > _RAW_SHOWN,
    }
    return render(request, "mailboxes/message.html", context)


def _by_htmx(request: HttpRequest) -> bool:
    """Whether a part of a page is asked for, rather than a page."""
    return request.headers.get("HX-Request") == "true"


def _run(mailbox: Mailbox) -> dict[str, Any]:
    """The latest proof, for the list of stages."""
    proof = proofs.latest(mailbox.pk)
    return {"proof": proof, "running": proof is not None and proof.finished_at is None}


def _draft(mailbox: Mailbox, form: MailForm) -> Draft:
    """Raises `BadAddress` naming the field."""
    values = form.cleaned_data
    return Draft(
        sender=mailing.sender_of(service.effective(mailbox)),
        to=parse_list(values["to"], "to"),
        cc=parse_list(values["cc"], "cc"),
        bcc=parse_list(values["bcc"], "bcc"),
        subject=values["subject"],
        text=values["text"],
        attachments=tuple(
            Attachment(file.name, file.content_type or "application/octet-stream", file.read())
            for file in values["attachments"]
        ),
    )


def _shown(fault: Fault) -> dict[str, Any]:
    """A fault as the diagnosis card shows it, whether the catalogue knows it or not."""
    if isinstance(fault, mailing.MailFault):
        return fault.diagnosis.to_json()
    return {"cause": str(fault), "fix": fault.fix}


urlpatterns = [
    path("<int:mailbox_id>/test", test, name="test"),
    path("<int:mailbox_id>/test/stages", stages, name="stages"),
    path("<int:mailbox_id>/send", send, name="send"),
    path("<int:mailbox_id>/inbox", inbox, name="inbox"),
    path("<int:mailbox_id>/inbox/message", message, name="message"),
]
