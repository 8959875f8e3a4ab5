"""Entra's addresses: discovery documents, keys, token and device code endpoints, and the page to type a code in."""

from __future__ import annotations

import asyncio
import urllib.parse
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import BaseRoute, Route

from m365lab.entra.errors import EntraError
from m365lab.entra.token_endpoint import Entra
from m365lab.faults import FaultName
from m365lab.templating import SECURE, render

_FORM_LIMIT = 65_536
"""Bytes of a form that are read: no request of a client comes near."""


class FormTooLarge(Exception):
    """A form is larger than any client's."""


async def read_form(request: Request) -> dict[str, str]:
    """An `application/x-www-form-urlencoded` body; of a repeated field the last one. Raises `FormTooLarge`."""
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > _FORM_LIMIT:
            raise FormTooLarge
    return dict(urllib.parse.parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True))


def routes(entra: Entra) -> list[BaseRoute]:
    """Entra's routes. Most specific first: `{tenant}` matches any first segment."""
    endpoints = _Endpoints(entra)
    return [
        Route("/common/discovery/instance", endpoints.instance),
        Route("/{tenant}/discovery/v2.0/keys", endpoints.keys),
        Route("/{tenant}/discovery/keys", endpoints.keys),
        Route("/{tenant}/v2.0/.well-known/openid-configuration", endpoints.configuration_v2),
        Route("/{tenant}/.well-known/openid-configuration", endpoints.configuration_v1),
        Route("/{tenant}/oauth2/v2.0/token", endpoints.token, methods=["POST"]),
        Route("/{tenant}/oauth2/v2.0/devicecode", endpoints.device_code, methods=["POST"]),
        Route("/common/oauth2/deviceauth", endpoints.device_page, methods=["GET", "POST"]),
    ]


def _microsofts_errors(endpoint: Callable[[_Endpoints, Request], Awaitable[Response]]) -> Any:
    """Answers an `EntraError` as Entra does, after the delay of the fault "slow"."""

    async def answering(self: _Endpoints, request: Request) -> Response:
        clock, faults = self.entra.tenant.clock, self.entra.tenant.faults
        if fault := faults.strikes(FaultName.SLOW):
            await asyncio.sleep(float(fault.values.get("seconds", 1)))
        try:
            return await endpoint(self, request)
        except EntraError as error:
            body = error.body(clock.now(), request.headers.get("client-request-id", ""))
            return JSONResponse(body, error.status, {**_NO_STORE, **error.headers})
        except FormTooLarge:
            return JSONResponse({"error": "invalid_request", "error_description": "Request too large."}, 413)

    return answering


_NO_STORE = {"Cache-Control": "no-store, no-cache", "Pragma": "no-cache"}


class _Endpoints:
    def __init__(self, entra: Entra) -> None:
        self.entra = entra

    @_microsofts_errors
    async def token(self, request: Request) -> Response:
        form = await read_form(request)
        answer = self.entra.token(request.path_params["tenant"], form, request.headers.get("authorization", ""))
        return JSONResponse(answer, headers=_NO_STORE)

    @_microsofts_errors
    async def device_code(self, request: Request) -> Response:
        answer = self.entra.device_code(request.path_params["tenant"], await read_form(request))
        return JSONResponse(answer, headers=_NO_STORE)

    @_microsofts_errors
    async def keys(self, request: Request) -> Response:
        self.entra.check_tenant(request.path_params["tenant"])
        return JSONResponse(self.entra.tenant.tokens.jwks)

    @_microsofts_errors
    async def configuration_v2(self, request: Request) -> Response:
        return self._configuration(request, self.entra.issuer)

    @_microsofts_errors
    async def configuration_v1(self, request: Request) -> Response:
        return self._configuration(request, f"https://sts.windows.net/{self.entra.tenant.directory.tenant_id}/")

    async def instance(self, request: Request) -> Response:
        """What libraries ask before they trust an authority's host name."""
        asked = urllib.parse.urlsplit(request.query_params.get("authorization_endpoint", ""))
        tenant = asked.path.strip("/").partition("/")[0] or "common"
        host = urllib.parse.urlsplit(self.entra.authority).netloc
        return JSONResponse(
            {
                "tenant_discovery_endpoint": f"{self.entra.authority}/{tenant}/v2.0/.well-known/openid-configuration",
                "api-version": "1.1",
                "metadata": [{"preferred_network": host, "preferred_cache": host, "aliases": [host]}],
            }
        )

    async def device_page(self, request: Request) -> Response:
        """Where a person types the code and signs in. Needs no key: at Microsoft it is a public page."""
        directory, form, said, failed = self.entra.tenant.directory, {}, "", ""
        if request.method == "POST":
            form = await read_form(request)
            try:
                said = self._sign_in(form)
            except EntraError as error:
                failed = str(error)
        users = [user for user in directory.users.values() if user.password and user.enabled]
        page = render("device.html", users=users, form=form, said=said, failed=failed, organisation=directory.name)
        return HTMLResponse(page, 400 if failed else 200, SECURE)

    def _sign_in(self, form: dict[str, str]) -> str:
        devices = self.entra.devices
        code = devices.waiting(form.get("code", ""))
        name = self.entra.people.check_client(code.client_id)
        if form.get("decision") == "decline":
            devices.decline(code.user_code)
            return f"You have declined the sign-in to {name}."
        devices.approve(
            code.user_code,
            self.entra.people.check_password(form.get("user", ""), form.get("password", "")),
        )
        return f"You have signed in to the {name} application on your device. You may now close this window."

    def _configuration(self, request: Request, issuer: str) -> Response:
        name = request.path_params["tenant"]
        self.entra.check_tenant(name)
        base = f"{self.entra.authority}/{name}"
        return JSONResponse(
            {
                "token_endpoint": f"{base}/oauth2/v2.0/token",
                "token_endpoint_auth_methods_supported": [
                    "client_secret_post",
                    "private_key_jwt",
                    "client_secret_basic",
                ],
                "jwks_uri": f"{base}/discovery/v2.0/keys",
                "response_modes_supported": ["query", "fragment", "form_post"],
                "subject_types_supported": ["pairwise"],
                "id_token_signing_alg_values_supported": ["RS256"],
                "response_types_supported": ["code"],
                "scopes_supported": ["openid", "profile", "email", "offline_access"],
                "issuer": issuer,
                "authorization_endpoint": f"{base}/oauth2/v2.0/authorize",
                "device_authorization_endpoint": f"{base}/oauth2/v2.0/devicecode",
                "tenant_region_scope": "EU",
            }
        )
