"""A client of the lab's Graph in one process, with a good token."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import httpx2
from starlette.applications import Starlette
from starlette.testclient import TestClient

from m365lab.contoso import ReadyMade
from m365lab.exchange import Mailbox
from m365lab.mailstore import Message
from m365lab.post import PostOffice
from m365lab.tenant import Tenant

GRAPH = "https://graph.microsoft.com"
ROLES = ("Mail.Send", "Mail.ReadWrite")


@dataclass
class Graph:
    """What the tests work with. Paths are relative to /v1.0; `user` is the ready-made application's mailbox."""

    tenant: Tenant
    office: PostOffice
    ready: ReadyMade
    app: Starlette
    http: TestClient
    user: str = "/users/notifications@contoso.example"

    def token(self, *roles: str, audience: str = GRAPH) -> str:
        return self.tenant.tokens.app_token(self.ready.principal, audience, roles or ROLES, "1")

    def call(self, method: str, path: str, *, token: str | None = None, **request: Any) -> httpx2.Response:
        """A request; `token` "" sends none."""
        headers = dict(request.pop("headers", {}))
        bearer = self.token() if token is None else token
        if bearer:
            headers["Authorization"] = f"Bearer {bearer}"
        url = path if path.startswith("http") else f"/v1.0{path}"
        return self.http.request(method, url, headers=headers, **request)

    def get(self, path: str, **request: Any) -> httpx2.Response:
        return self.call("GET", path, **request)

    def post(self, path: str, **request: Any) -> httpx2.Response:
        return self.call("POST", path, **request)

    def patch(self, path: str, **request: Any) -> httpx2.Response:
        return self.call("PATCH", path, **request)

    def delete(self, path: str, **request: Any) -> httpx2.Response:
        return self.call("DELETE", path, **request)

    def mailbox(self, local: str) -> Mailbox:
        return self.tenant.exchange.mailboxes[f"{local}@contoso.example"]

    def messages(self, local: str, folder: str = "inbox") -> list[Message]:
        found = self.mailbox(local).store.folder(folder)
        assert found is not None
        return list(found.messages.values())

    def deliver(self, local: str, subject: str, *, sender: str = "ann@fabrikam.example", extra: str = "") -> Message:
        """A mail from outside, in the inbox."""
        raw = (
            f"From: Ann <{sender}>\r\nTo: {local}@contoso.example\r\nSubject: {subject}\r\n{extra}"
            f"Message-ID: <{subject.replace(' ', '-')}@fabrikam.example>\r\n\r\nHello\r\n"
        )
        self.office.deliver(sender, (f"{local}@contoso.example",), raw.encode(), authenticated=True)
        return self.messages(local)[-1]


def to(*addresses: str) -> list[dict[str, Any]]:
    """Recipients in Graph's JSON."""
    return [{"emailAddress": {"address": address}} for address in addresses]


def code(response: httpx2.Response) -> tuple[int, str]:
    """Status and error code of a refusal."""
    return response.status_code, str(response.json()["error"]["code"])
