"""What a token is asked for: scopes of the v2.0 endpoint, and the resource that they mean (facts 1.2)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from m365lab.directory import Directory, ServicePrincipal
from m365lab.entra.errors import EntraError

DEFAULT = "/.default"
OPENID = frozenset({"openid", "profile", "email", "offline_access"})


@dataclass(frozen=True)
class Wanted:
    """The resource as it was named (that becomes the token's audience), and what was asked of it."""

    audience: str
    scopes: tuple[str, ...]


def app_only(scope: str) -> Wanted:
    """The scope of client credentials: one resource, with `/.default`. Raises `EntraError`."""
    asked = scope.split()
    if not asked:
        raise EntraError(900144, {"parameter": "scope"})
    if any(not one.endswith(DEFAULT) for one in asked):
        raise EntraError(1002012, {"scope": scope})
    audiences = {one.removesuffix(DEFAULT) for one in asked}
    if len(audiences) > 1:
        raise EntraError(700022, {"scope": scope})
    audience = audiences.pop()
    if not audience:
        raise EntraError(70011, {"scope": scope})
    return Wanted(audience, ("/.default",))


def delegated(scope: str) -> Wanted:
    """The scopes of a person's sign-in: OpenID's own, and those of one resource. Raises `EntraError`."""
    asked = [one for one in scope.split() if one not in OPENID]
    if not asked:
        return Wanted("https://graph.microsoft.com", ("User.Read",))
    found = {_split(one) for one in asked}
    if len({audience for audience, _ in found}) > 1:
        raise EntraError(700022, {"scope": scope})
    audience = next(iter(found))[0]
    return Wanted(audience, tuple(sorted(name for _, name in found)))


def resource(directory: Directory, audience: str) -> ServicePrincipal:
    """The service principal of the resource. Raises `EntraError` 500011."""
    found = directory.principal_by_app_id(audience) or next(
        (
            p
            for p in directory.service_principals.values()
            if audience.rstrip("/") in _without_slash(p.service_principal_names)
        ),
        None,
    )
    if found is None:
        raise EntraError(500011, {"resource": audience, "tenant": directory.name})
    return found


def _split(scope: str) -> tuple[str, str]:
    """`https://host/Name` -> resource and permission; a bare name is Graph's, as in Microsoft's libraries."""
    if scope.endswith(DEFAULT):
        return scope.removesuffix(DEFAULT), ".default"
    if "/" not in scope:
        return "https://graph.microsoft.com", scope
    audience, _, name = scope.rpartition("/")
    if not name:
        raise EntraError(70011, {"scope": scope})
    return audience, name


def _without_slash(names: Iterable[str]) -> set[str]:
    return {name.rstrip("/") for name in names}
