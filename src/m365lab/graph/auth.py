"""Who calls Graph, and may they? Application access needs a role in the token or an RBAC scope, and no FullAccess.

The order of the refusals: token (401), role (403), user (404), mailbox (404). A mailbox in the scope of an RBAC role
needs no role in the token, and a role in the token needs no scope: the two add up (facts 4.3).
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from starlette.requests import Request

from m365lab.access import in_scope
from m365lab.directory import GRAPH_APP_ID
from m365lab.exchange import Mailbox
from m365lab.graph import errors
from m365lab.tenant import Tenant
from m365lab.tokens import BadToken

AUDIENCES = {"https://graph.microsoft.com", "https://graph.microsoft.com/", GRAPH_APP_ID}

SEND = frozenset({"Mail.Send"})
WRITE = frozenset({"Mail.ReadWrite"})
READ = frozenset({"Mail.Read", "Mail.ReadWrite"})


@dataclass(frozen=True)
class Caller:
    """The bearer of a good token: an application, or with `user_id` a person using one."""

    app_id: str
    object_id: str
    roles: frozenset[str]
    scopes: frozenset[str] = frozenset()
    user_id: str = ""


def identify(tenant: Tenant, request: Request) -> Caller:
    """The caller by the bearer token. Raises `GraphError` 401 in the words of facts 5 [I]."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    token = token.strip()
    if scheme.lower() != "bearer" or not token:
        raise errors.invalid_token("Access token is empty.")
    try:
        claims = tenant.tokens.verify(token, AUDIENCES)
    except BadToken as bad:
        raise errors.invalid_token(_why(bad, token)) from bad
    roles = claims.get("roles")
    delegated = claims.get("idtyp") == "user"
    return Caller(
        app_id=str(claims.get("appid", "")),
        object_id=str(claims.get("oid", "")),
        roles=frozenset(roles if isinstance(roles, list) else ()),
        scopes=frozenset(str(claims.get("scp", "")).split()),
        user_id=str(claims.get("oid", "")) if delegated else "",
    )


def _why(bad: BadToken, token: str) -> str:
    if bad.expired:
        return "Lifetime validation failed, the token is expired."
    if bad.wrong_audience:
        return "Access token validation failure. Invalid audience."
    if token.count(".") != 2:
        return "IDX14100: JWT is not well formed, there are no dots (.)."
    return "Access token validation failure. Invalid signature."


def open_mailbox(tenant: Tenant, caller: Caller, key: str, needs: Collection[str]) -> Mailbox:
    """The mailbox that the URL names, if this caller may do with it what `needs` stands for (one of them suffices).

    `key` is a user's object id, principal name or mail address, or "me". Raises `GraphError`.
    """
    if key == "me" and not caller.user_id:
        raise errors.GraphError(400, "BadRequest", "/me request is only valid with delegated authentication flow.")
    key = caller.user_id if key == "me" else key
    mailbox = _mailbox(tenant, key)
    if not _may(tenant, caller, mailbox, needs):
        raise errors.access_denied()
    if mailbox is not None and tenant.is_licensed(mailbox):
        return mailbox
    if mailbox is None and tenant.directory.user(key) is None:
        raise errors.invalid_user(key)
    raise errors.no_mailbox()


def _may(tenant: Tenant, caller: Caller, mailbox: Mailbox | None, needs: Collection[str]) -> bool:
    if caller.user_id:
        own = mailbox is not None and mailbox.user_id == caller.user_id
        return own and not caller.scopes.isdisjoint(needs)
    if not caller.roles.isdisjoint(needs):
        return True
    return mailbox is not None and any(in_scope(tenant, role, caller.app_id, mailbox.address) for role in needs)


def _mailbox(tenant: Tenant, key: str) -> Mailbox | None:
    user = tenant.directory.user(key)
    by_user = user and tenant.exchange.mailbox_of_user(user.id)
    return by_user or tenant.exchange.mailbox(key)
