"""Token introspection (RFC 7662) for servers that take the lab's tokens, such as Dovecot.

Microsoft has no such endpoint. It lets a real mail server play Exchange in tests: a token is active when Exchange's
resource would take it and it carries a mail role. An application's token names no mailbox, so `username` is the
mailbox given in the query `?user=`, or else the first one that the service principal has full access to.
"""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from m365lab.access import AUDIENCES, ROLE
from m365lab.entra.routes import read_form
from m365lab.tenant import Tenant
from m365lab.tokens import BadToken

_INACTIVE = {"active": False}


def introspect(tenant: Tenant, token: str, user: str = "") -> dict[str, Any]:
    """The answer of RFC 7662 section 2.2."""
    try:
        claims = tenant.tokens.verify(token, AUDIENCES)
    except BadToken:
        return _INACTIVE
    roles = sorted(set(claims.get("roles", [])) & set(ROLE.values()))
    allowed = sorted(m.address for m in tenant.exchange.mailboxes.values() if claims["oid"] in m.full_access)
    username = user.lower() if user else next(iter(allowed), "")
    if not roles or username not in allowed:
        return _INACTIVE
    return {
        "active": True,
        "username": username,
        "client_id": claims["appid"],
        "scope": " ".join(roles),
        "sub": claims["sub"],
        "aud": claims["aud"],
        "iss": claims["iss"],
        "exp": claims["exp"],
        "iat": claims["iat"],
        "token_type": "Bearer",
    }


def routes(tenant: Tenant) -> list[BaseRoute]:
    async def endpoint(request: Request) -> Response:
        form = await read_form(request)
        return JSONResponse(introspect(tenant, form.get("token", ""), request.query_params.get("user", "")))

    return [Route("/lab/introspect", endpoint, methods=["POST"])]
