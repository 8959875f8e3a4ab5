"""A client of the lab's Exchange administration in one process."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import httpx2
from starlette.testclient import TestClient

from m365lab.contoso import ReadyMade
from m365lab.exchange import Mailbox
from m365lab.tenant import Tenant

EXCHANGE = "https://outlook.office365.com"


@dataclass
class Exchange:
    """What the tests work with."""

    tenant: Tenant
    ready: ReadyMade
    http: TestClient

    @property
    def url(self) -> str:
        return f"/adminapi/beta/{self.tenant.directory.tenant_id}/InvokeCommand"

    def token(self, *roles: str, audience: str = EXCHANGE) -> str:
        return self.tenant.tokens.app_token(self.ready.principal, audience, roles or ("Exchange.ManageAsApp",), "1")

    def post(
        self, cmdlet: str, url: str = "", headers: dict[str, str] | None = None, **parameters: Any
    ) -> httpx2.Response:
        body = {"CmdletInput": {"CmdletName": cmdlet, "Parameters": parameters}}
        sent = {"Authorization": f"Bearer {self.token()}"} | (headers or {})
        return self.http.post(url or self.url, json=body, headers=sent)

    def run(self, cmdlet: str, **parameters: Any) -> list[dict[str, Any]]:
        """The rows of a cmdlet that must succeed."""
        answer = self.post(cmdlet, **parameters)
        assert answer.status_code == 200, answer.text
        return list(answer.json()["value"])

    def fails(self, cmdlet: str, **parameters: Any) -> tuple[int, str, str]:
        """Status, exception and text of a cmdlet that must fail."""
        answer = self.post(cmdlet, **parameters)
        assert answer.status_code >= 400, answer.text
        error = answer.json()["error"]
        assert error["message"] == "Error executing cmdlet"
        _, kind, text = error["details"][0]["message"].split("|", 2)
        assert answer.headers["x-exceptiontype"] == kind.rpartition(".")[2]
        return answer.status_code, kind.rpartition(".")[2], text

    def mailbox(self, local: str) -> Mailbox:
        return self.tenant.exchange.mailboxes[f"{local}@contoso.example"]
