"""The directory by Microsoft Graph. Requests and errors: facts 3; "Microsoft Graph error responses"."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import httpx2

from postroom.microsoft.answers import Answer, Refused, Service, Step
from postroom.tenant.calls import GraphCall
from postroom.tenant.web import Web, request_id, retry_after

TokenOf = Callable[[], Awaitable[str]]
"""Gives the access token for the resource; raises `Refused` with Entra's answer."""


class Graph:
    """Requests as the administrator who signed in."""

    def __init__(self, web: Web, token: TokenOf) -> None:
        self._web, self._token = web, token
        self._root = f"{web.cloud.graph.rstrip('/')}/v1.0"

    async def get(self, path: str) -> dict[str, Any]:
        """One object. Raises `Refused`."""
        return await self.call(GraphCall("GET", path))

    async def find(self, path: str) -> dict[str, Any] | None:
        """One object, or None when there is none (404). Raises `Refused`."""
        try:
            return await self.get(path)
        except Refused as refused:
            if refused.answer.status == 404:
                return None
            raise

    async def all(self, path: str) -> list[dict[str, Any]]:
        """A collection, over all its pages. Raises `Refused`."""
        found: list[dict[str, Any]] = []
        link: str = path
        while link:
            page = await self.get(link)
            found += page.get("value", [])
            link = str(page.get("@odata.nextLink") or "")
        return found

    async def call(self, call: GraphCall) -> dict[str, Any]:
        """The answer's object; empty when there is none. Raises `Refused`, `NoAnswer`."""
        url = call.path if call.path.startswith(self._root) else f"{self._root}{call.path}"
        response = await self._web.request(
            Service.GRAPH,
            call.method,
            url,
            _answer,
            headers={"Authorization": f"Bearer {await self._token()}"},
            json=call.body,
            safe=call.method != "POST",
        )
        data = response.json() if response.content else {}
        return data if isinstance(data, dict) else {}


def _answer(response: httpx2.Response) -> Answer:
    """Graph's error body; branch on `code`, as its documentation says, and never on the text."""
    try:
        error = response.json()["error"]
        code, message = str(error["code"]), str(error.get("message", ""))
        inner = error.get("innerError") or error.get("innererror") or {}
        inner_id = str(inner.get("request-id", ""))
    except (ValueError, KeyError, TypeError, AttributeError):
        code, message, inner_id = f"HTTP{response.status_code}", response.text[:500], ""
    return Answer(
        Service.GRAPH,
        Step.SET_UP,
        code,
        " ".join(message.split()),
        status=response.status_code,
        retry_after=retry_after(response.headers),
        request_id=inner_id or request_id(response.headers),
    )
