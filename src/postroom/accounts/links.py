"""One-time sign-in links: made here, redeemed here, kept only as digests.

The token is the fragment of the address (after `#`): browsers never send it, so it is in no log and no Referer.
A page with a button posts it; opening the address alone, as link scanners do, uses nothing up.
"""

from __future__ import annotations

import hashlib
import secrets
from datetime import timedelta

from django.db import transaction
from django.db.models import QuerySet

from postroom.accounts import audit
from postroom.accounts.audit import Actor
from postroom.accounts.models import Person, SignInLink
from postroom.core.clock import now
from postroom.core.faults import Fault

LIFETIME = timedelta(minutes=15)
PATH = "/account/link"


class BadLink(Fault):
    """The link was used, is too old, or was never made."""

    def __init__(self) -> None:
        super().__init__(
            "This sign-in link was used already, is older than 15 minutes, or is not complete.",
            "Make a new one: postroom person link you@example.org",
        )


def make(person: Person | None, by: Actor) -> str:
    """A new token for this person, or for the first administrator when `person` is None.

    Links made before for the same person stop working.
    """
    token = secrets.token_urlsafe(32)
    with transaction.atomic():
        SignInLink.objects.filter(person=person, used_at=None).delete()
        SignInLink.objects.create(person=person, digest=_digest(token), expires_at=now() + LIFETIME)
        audit.record(by, "link.made", person.email if person else "first administrator")
    return token


def address(base: str, token: str) -> str:
    """The address to open; `base` is the console's, for example `http://127.0.0.1:8025`."""
    return f"{base.rstrip('/')}{PATH}#{token}"


def look(token: str) -> SignInLink:
    """The link of a token, if it can be redeemed, without redeeming it. Raises `BadLink`."""
    return _good(SignInLink.objects.filter(digest=_digest(token)))


def standing(link_id: int) -> SignInLink:
    """A link that was looked at before, if it still can be redeemed. Raises `BadLink`."""
    return _good(SignInLink.objects.filter(pk=link_id))


def redeem(link: SignInLink) -> None:
    """Uses the link up, once even when two try at the same time. Raises `BadLink`."""
    if not SignInLink.objects.filter(pk=link.pk, used_at=None).update(used_at=now()):
        raise BadLink


def _good(found: QuerySet[SignInLink]) -> SignInLink:
    link = found.select_related("person").filter(used_at=None, expires_at__gt=now()).first()
    if link is None or (link.person is not None and not link.person.is_active):
        raise BadLink
    return link


def _digest(token: str) -> str:
    return hashlib.sha256(token.strip().encode()).hexdigest()
