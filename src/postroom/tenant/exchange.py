"""Exchange Online's administration behind one small interface; here over REST, in `script.py` as a script.

InvokeCommand is what Exchange Online PowerShell itself uses; Microsoft documents no other way to most of these
cmdlets (facts 4.4, 4.5).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import httpx2

from postroom.microsoft.answers import Answer, Refused, Service, Step
from postroom.tenant.calls import Change, Cmdlet
from postroom.tenant.graph import TokenOf
from postroom.tenant.web import Web, request_id, retry_after

_SYSTEM_MAILBOX = "SystemMailbox{bb558c35-97f1-4cb9-8ff7-d53741dc928c}"
"""Every organisation's arbitration mailbox: where a request without a person is routed (facts 4.4)."""
_HASH_TABLE = "#Exchange.GenericHashTable"
_PAGE = 1000
_NOT_FOUND = "ManagementObjectNotFoundException"


class ExchangeAdmin(Protocol):
    """Runs cmdlets, or writes them down."""

    async def run(self, cmdlet: Cmdlet) -> list[dict[str, Any]]:
        """The objects that the cmdlet gives; none for a cmdlet that is only written down. Raises `Refused`."""


class RestExchange:
    """InvokeCommand. `person` is the user principal name of a person who signed in, "" for an application."""

    def __init__(self, web: Web, token: TokenOf, tenant_id: str, person: str = "") -> None:
        self._web, self._token = web, token
        self._url = f"{web.cloud.exchange.rstrip('/')}/adminapi/beta/{tenant_id}/InvokeCommand"
        self._anchor = f"UPN:{person}" if person else f"APP:{_SYSTEM_MAILBOX}@{tenant_id}"

    async def run(self, cmdlet: Cmdlet) -> list[dict[str, Any]]:
        """Over all pages: the same body goes to each next link. Raises `Refused`, `NoAnswer`."""
        parameters = {name: as_json(value) for name, value in cmdlet.parameters.items()}
        body = {"CmdletInput": {"CmdletName": cmdlet.name, "Parameters": parameters}}
        found: list[dict[str, Any]] = []
        link = self._url
        while link:
            page = await self._post(link, cmdlet, body)
            found += page.get("value") or []
            link = str(page.get("@odata.nextLink") or "")
        return found

    async def find(self, cmdlet: Cmdlet) -> list[dict[str, Any]]:
        """As `run`, but none when Exchange says that there is no such object. Raises `Refused`."""
        try:
            return await self.run(cmdlet)
        except Refused as refused:
            if refused.answer.code == _NOT_FOUND:
                return []
            raise

    async def _post(self, url: str, cmdlet: Cmdlet, body: Mapping[str, Any]) -> dict[str, Any]:
        response = await self._web.request(
            Service.EXCHANGE,
            "POST",
            url,
            answer_of,
            headers={
                "Authorization": f"Bearer {await self._token()}",
                "Content-Type": "application/json; charset=utf-8",
                "X-AnchorMailbox": self._anchor,
                "X-CmdletName": cmdlet.name,
                "Prefer": f"odata.maxpagesize={_PAGE}",
            },
            json=body,
            safe=cmdlet.reads,
        )
        data = response.json() if response.content else {}
        return data if isinstance(data, dict) else {}


def as_json(value: Any) -> Any:
    """A parameter as InvokeCommand takes it: a hash table says its type (facts 4.4)."""
    if isinstance(value, Change):
        values = value.values[0] if len(value.values) == 1 else list(value.values)
        return {"@odata.type": _HASH_TABLE, value.how: values}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return list(value)
    return value


def answer_of(response: httpx2.Response) -> Answer:
    """Exchange's error: `details[].message` is `id|exception type|text`; a 403 may be no JSON at all (facts 4.4)."""
    try:
        error = response.json()["error"]
        details = error.get("details") or []
        said = str(details[0].get("message", "")) if details else ""
        fallback = str(error.get("message", ""))
    except (ValueError, KeyError, TypeError, AttributeError):
        said, fallback = "", response.text.replace("\x00", "")[:500]
    _, kind, text = (["", "", said] if said.count("|") < 2 else said.split("|", 2)) if said else ("", "", fallback)
    kind = kind or response.headers.get("X-ExceptionType", "")
    return Answer(
        Service.EXCHANGE,
        Step.SET_UP,
        kind.rsplit(".", 1)[-1] or f"HTTP{response.status_code}",
        " ".join((text or fallback).split()),
        status=response.status_code,
        retry_after=retry_after(response.headers),
        request_id=request_id(response.headers),
    )
