"""Microsoft Graph as the lab has it: mail under a user or /me. `routes` is the way in.

Read `desk` for what every request goes through, then `messages`, `sending`, `attachments`, `delta`.
Change notifications (`/subscriptions`) and the directory will add their routes here.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route, Router
from starlette.types import Receive, Scope, Send

from m365lab.graph import attachments, delta, errors, folders, messages, sending
from m365lab.graph.auth import READ, SEND, WRITE
from m365lab.graph.desk import Desk, Endpoint, refusal, request_ids, stamped
from m365lab.graph.directory import directory_routes
from m365lab.post import PostOffice
from m365lab.tenant import Tenant

_KEY = re.compile(r"\('([^'/]*)'\)")
_ALTERNATE_KEY = re.compile(r"\((\w+)='([^'/]*)'\)")


def routes(tenant: Tenant, office: PostOffice) -> list[BaseRoute]:
    """The routes to mount under /v1.0 (and /beta)."""
    desk = Desk(tenant, office)
    return [Mount("", app=_Service(desk, [*mail_routes(desk), *directory_routes(desk)]))]


def mail_routes(desk: Desk) -> list[Route]:
    """Mail: what Graph has, as far as Postroom or a person with a script may want it."""
    uploads = attachments.Uploads(desk)
    piece = "/users/{user}/messages/{message}/attachmentSessions/{session}"
    mail = desk.mail
    return [
        *mail("POST", "/sendMail", sending.send_mail, SEND),
        *mail("GET", "/mailFolders", folders.list_folders, READ),
        *mail("POST", "/mailFolders", folders.create_folder, WRITE),
        *mail("GET", "/mailFolders/{folder}", folders.get_folder, READ),
        *mail("GET", "/mailFolders/{folder}/messages/delta", delta.delta, READ),
        *_messages(desk, "/mailFolders/{folder}/messages", messages.list_folder),
        *_messages(desk, "/messages", messages.list_all),
        *mail("POST", "/messages/{message}/attachments/createUploadSession", uploads.create, WRITE),
        desk.open("PUT", piece, uploads.put),
        desk.open("GET", piece, uploads.status),
        desk.open("DELETE", piece, uploads.cancel),
    ]


def _messages(desk: Desk, path: str, listing: Endpoint) -> list[Route]:
    """The routes of messages, which stand under a mailbox and under each folder alike."""
    mail, one = desk.mail, f"{path}/{{message}}"
    return [
        *mail("GET", path, listing, READ),
        *mail("POST", path, messages.create, WRITE),
        *mail("GET", one, messages.get, READ),
        *mail("PATCH", one, messages.patch, WRITE),
        *mail("DELETE", one, messages.delete, WRITE),
        *mail("GET", f"{one}/$value", messages.raw, READ),
        *mail("POST", f"{one}/send", sending.send_draft, SEND),
        *mail("POST", f"{one}/move", messages.move, WRITE),
        *mail("POST", f"{one}/copy", messages.copy, WRITE),
        *mail("POST", f"{one}/permanentDelete", messages.delete_for_good, WRITE),
        *mail("GET", f"{one}/attachments", attachments.list_attachments, READ),
        *mail("POST", f"{one}/attachments", attachments.add_attachment, WRITE),
        *mail("GET", f"{one}/attachments/{{attachment}}", attachments.get_attachment, READ),
        *mail("GET", f"{one}/attachments/{{attachment}}/$value", attachments.attachment_bytes, READ),
    ]


class _Service:
    """The routes, with OData's keys in parentheses allowed and Graph's words for what is not there."""

    def __init__(self, desk: Desk, routes: Sequence[BaseRoute]) -> None:
        self._desk = desk
        self._router = Router(routes, redirect_slashes=False, default=self._nothing)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """`/users('a')/messages('b')` is `/users/a/messages/b` ([D] OData 4.01 URL conventions 4.3.6).

        An alternate key stays readable: `/applications(appId='a')` is `/applications/appId=a`.
        """
        if scope["type"] == "http":
            path = _ALTERNATE_KEY.sub(r"/\1=\2", _KEY.sub(r"/\1", scope["path"]))
            scope = dict(scope, path=path)
        await self._router(scope, receive, send)

    async def _nothing(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        error = errors.not_a_resource(request.url.path.rstrip("/").rpartition("/")[2])
        ids = request_ids(request)
        answer: Response = stamped(refusal(error, self._desk.tenant, ids), ids)
        await answer(scope, receive, send)
