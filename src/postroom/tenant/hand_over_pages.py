"""When somebody else has the rights: what to send them, and what they send back."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import path
from django.utils.text import slugify
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe

from postroom.accounts.access import actor_of, needs
from postroom.core.faults import Fault, NotFound
from postroom.mailboxes.forms import show_faults
from postroom.tenant import export, importing, sheet, wizard
from postroom.tenant.forms import AnswerForm
from postroom.tenant.surroundings import around

_PAPERS = {
    "script": (export.script, "ps1", "\r\n"),
    "checklist": (export.checklist, "md", "\n"),
    "state": (export.state, "yaml", "\n"),
}
"""Name -> what writes it, ending of the file, end of a line: Windows PowerShell's own editor wants its own."""


@needs("tenant.change")
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def hand_over(request: HttpRequest, setup_id: int) -> HttpResponse:
    """POST takes what came back."""
    setup = wizard.get(setup_id)
    form = AnswerForm(request.POST or None, initial=wizard.ids(setup))
    if request.method == "POST" and form.is_valid():
        try:
            done = importing.take(setup, form.as_answer(), actor_of(request))
        except Fault as fault:
            show_faults(form, fault)
            form.spread()
            setup = wizard.get(setup_id)  # as it is kept, without what was refused
        else:
            messages.success(request, f"Taken. Configured: {', '.join(done.mailboxes)}. Now prove that it works.")
            return redirect("tenant:proof", setup_id)
    checklist = export.checklist(setup)
    context = around(setup, "tenant:hand-over") | {
        "form": form,
        "script": export.script(setup),
        "sentences": sheet.sentences(checklist),
        "answer": sheet.answer_block(checklist),
    }
    return render(request, "tenant/hand_over.html", context, status=422 if form.errors else 200)


@needs("tenant.change")
@never_cache
@require_safe
def download(request: HttpRequest, setup_id: int, paper: str) -> HttpResponse:
    if paper not in _PAPERS:
        raise NotFound(f"there is no paper {paper!r}", f"There are: {', '.join(_PAPERS)}.")
    setup = wizard.get(setup_id)
    maker, ending, line_end = _PAPERS[paper]
    text = maker(setup).replace("\n", line_end)
    name = f"{slugify(setup.name) or 'postroom'}-{paper}.{ending}"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return HttpResponse(text, content_type="text/plain; charset=utf-8", headers=headers)


urlpatterns = [
    path("<int:setup_id>/hand-over", hand_over, name="hand-over"),
    path("<int:setup_id>/hand-over/<slug:paper>", download, name="download"),
]
