"""The lab's page: what arrived, what left, faults to switch, ids to copy. Plain HTML, a little script for comfort."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from m365lab.control import directory, messages, workings
from m365lab.control.asking import Bad
from m365lab.entra.routes import read_form
from m365lab.exchange import Mailbox
from m365lab.guard import COOKIE, Guard
from m365lab.mailstore import Folder, Message
from m365lab.templating import SECURE, STATIC, render
from m365lab.works import Works

_SHOWN = 200
"""Messages of a folder that are listed, newest first."""


def routes(works: Works, guard: Guard) -> list[BaseRoute]:
    """The page's routes under `/lab`."""
    page = _Page(works, guard)
    return [
        Mount("/lab/static", StaticFiles(directory=STATIC)),
        Route("/lab", page.enter),
        Route("/lab/", page.enter),
        Route("/lab/mailboxes/{address}", page.mailbox),
        Route("/lab/mailboxes/{address}/messages/{id}", page.message),
        Route("/lab/mailboxes/{address}/messages/{id}/raw", page.raw),
        Route("/lab/gone", page.gone),
        Route("/lab/gone/{number:int}", page.gone_message),
        Route("/lab/applications", page.applications),
        Route("/lab/faults", page.faults, methods=["GET", "POST"]),
        Route("/lab/changes", page.changes),
    ]


class _Page:
    def __init__(self, works: Works, guard: Guard) -> None:
        self._works = works
        self._guard = guard

    async def enter(self, request: Request) -> Response:
        """The overview. With `?key=` the key goes into a cookie, and out of the address."""
        key = request.query_params.get("key", "")
        if key and self._guard.knows(key):
            answer = RedirectResponse("/lab", 303)
            encrypted = request.url.scheme == "https"
            answer.set_cookie(COOKIE, key, path="/lab", secure=encrypted, httponly=True, samesite="strict")
            return answer
        return self._show(request, "overview.html", lab=self._works.describe())

    async def mailbox(self, request: Request) -> Response:
        mailbox = self._mailbox(request)
        folder = mailbox.store.folder(request.query_params.get("folder", "inbox")) if mailbox else None
        if mailbox is None or folder is None:
            return self._missing(request)
        listed = [_row(message) for message in reversed(list(folder.messages.values())[-_SHOWN:])]
        return self._show(request, "mailbox.html", mailbox=mailbox, folder=folder, listed=listed)

    async def message(self, request: Request) -> Response:
        mailbox, found = self._mailbox(request), self._message(request)
        if mailbox is None or found is None:
            return self._missing(request)
        folder, message = found
        shown = messages.view(folder, message, whole=True)
        back = f"/lab/mailboxes/{mailbox.address}?folder={folder.id}"
        raw = f"/lab/mailboxes/{mailbox.address}/messages/{message.immutable_id}/raw"
        return self._show(request, "message.html", shown=shown, back=back, place=folder.name, raw=raw, envelope=None)

    async def raw(self, request: Request) -> Response:
        found = self._message(request)
        if refused := self._refusal(request):
            return refused
        # As text, so that no browser takes a message for a page.
        return Response(found[1].raw, media_type="text/plain", headers=SECURE) if found else self._missing(request)

    async def gone(self, request: Request) -> Response:
        listed = [messages.gone_view(number, gone) for number, gone in enumerate(self._works.office.gone)]
        return self._show(request, "gone.html", listed=list(reversed(listed))[:_SHOWN])

    async def gone_message(self, request: Request) -> Response:
        number, gone = request.path_params["number"], self._works.office.gone
        if number >= len(gone):
            return self._missing(request)
        shown = messages.gone_view(number, gone[number])
        envelope = {"sender": gone[number].sender, "recipients": ", ".join(gone[number].recipients)}
        return self._show(
            request, "message.html", shown=shown, back="/lab/gone", place="Left the tenant", raw="", envelope=envelope
        )

    async def applications(self, request: Request) -> Response:
        entra = self._works.tenant.directory
        shown = [directory.view(self._works, application) for application in entra.applications.values()]
        return self._show(
            request, "applications.html", shown=shown, known=self._works.tenant.exchange.principals, entra=entra
        )

    async def faults(self, request: Request) -> Response:
        failed = ""
        if request.method == "POST":
            if refused := self._refusal(request):
                return refused
            try:
                self._switch(await read_form(request))
                return RedirectResponse("/lab/faults", 303, headers=SECURE)
            except Bad as bad:
                failed = str(bad)
        listed = workings.fault_list(self._works)
        return self._show(request, "faults.html", 400 if failed else 200, listed=listed, failed=failed)

    async def changes(self, request: Request) -> Response:
        """A number that changes with the mail: the page's script looks at it to stay current."""
        if refused := self._refusal(request):
            return refused
        stores = [mailbox.store.last_change for mailbox in self._works.tenant.exchange.mailboxes.values()]
        return Response(str(sum(stores) + len(self._works.office.gone)), media_type="text/plain", headers=SECURE)

    def _switch(self, form: dict[str, str]) -> None:
        """Raises `Bad`."""
        name = form.get("fault", "")
        if form.get("switch") == "clear":
            self._works.tenant.faults.clear()
        elif form.get("switch") == "off":
            self._works.tenant.faults.switch_off(workings.fault_named(name))
        else:
            times = form.get("times", "")
            if times and not (times.isascii() and times.isdigit() and int(times)):
                raise Bad(f"times: {times!r} is not a number from 1; leave it empty to let the fault stay on.")
            values: dict[str, str | int | float] = {
                key.removeprefix("value."): value for key, value in form.items() if key.startswith("value.") and value
            }
            workings.switch_on(self._works, name, int(times) if times else None, values)

    def _show(self, request: Request, template: str, status: int = 200, **values: Any) -> Response:
        if refused := self._refusal(request):
            return refused
        tenant = self._works.tenant
        page = render(
            template,
            organisation=tenant.directory.name,
            mailboxes=list(tenant.exchange.mailboxes.values()),
            gone_count=len(self._works.office.gone),
            active_faults=len(tenant.faults.active),
            path=request.url.path,
            **values,
        )
        return HTMLResponse(page, status, SECURE)

    def _refusal(self, request: Request) -> Response | None:
        refusal = self._guard.refusal(request, cookie=True)
        if not refusal:
            return None
        return HTMLResponse(render("refused.html", refusal=refusal), 403, SECURE)

    def _missing(self, request: Request) -> Response:
        return self._show(request, "missing.html", 404)

    def _mailbox(self, request: Request) -> Mailbox | None:
        return self._works.tenant.exchange.mailbox(request.path_params["address"])

    def _message(self, request: Request) -> tuple[Folder, Message] | None:
        mailbox = self._mailbox(request)
        return mailbox.store.find(request.path_params["id"]) if mailbox else None


def _row(message: Message) -> dict[str, Any]:
    return {
        "id": message.immutable_id,
        "received_at": message.received_at,
        "seen": message.seen,
        **messages.content(message.parsed, len(message.raw), whole=False),
    }
