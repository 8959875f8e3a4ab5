"""The gate before a page: who is asking, and may they?"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, Concatenate, ParamSpec

from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render

from postroom.accounts.audit import Actor
from postroom.accounts.choices import Role
from postroom.accounts.models import Person
from postroom.accounts.rules import may, roles_that_may

P = ParamSpec("P")
Page = Callable[Concatenate[HttpRequest, P], HttpResponseBase]


def needs(verb: str) -> Callable[[Page[P]], Page[P]]:
    """Lets only roles with this verb through; the others get a 403 that says which roles have it."""
    roles_that_may(verb)  # a misspelt verb fails when the module is loaded, not when somebody clicks

    def guard(page: Page[P]) -> Page[P]:
        @wraps(page)
        def guarded(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
            if not may(person_of(request).role, verb):
                return forbidden(request, verb)
            return page(request, *args, **kwargs)

        return guarded

    return guard


def forbidden(request: HttpRequest, verb: str) -> HttpResponse:
    """The 403 page for a verb that the person's role has not."""
    person = person_of(request)
    context: dict[str, Any] = {
        "your_role": Role(person.role).label,
        "needed_roles": [Role(role).label for role in roles_that_may(verb)],
        # The least powerful of them is enough.
        "needed_role": roles_that_may(verb)[-1],
    }
    return render(request, "accounts/forbidden.html", context, status=403)


def person_of(request: HttpRequest) -> Person:
    """The signed-in person; pages that anybody may see do not ask."""
    assert isinstance(request.user, Person)  # noqa: S101 - LoginRequiredMiddleware lets nobody else in
    return request.user


def actor_of(request: HttpRequest) -> Actor:
    """Who the audit log is to name."""
    user = request.user
    return Actor(user.email if isinstance(user, Person) else "anonymous", origin_of(request))


def origin_of(request: HttpRequest) -> str:
    """The address of the peer. Behind a proxy, uvicorn puts the forwarded one here for proxies it trusts."""
    return str(request.META.get("REMOTE_ADDR", ""))
