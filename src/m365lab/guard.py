"""Who may use the lab's control API and page: programs and browsers on this machine that know the key.

The lab holds nothing real, but a page in somebody's browser must not be able to steer it, and a stand-in tenant that
listens on a network (`--host`) must not hand out its secrets there.
"""

from __future__ import annotations

import ipaddress
import secrets
import urllib.parse
from collections.abc import Collection
from dataclasses import dataclass, field

from starlette.requests import Request

COOKIE = "m365lab_key"
_READING = frozenset({"GET", "HEAD"})
_OWN_PAGES = frozenset({"none", "same-origin"})


@dataclass(frozen=True)
class Guard:
    names: Collection[str]
    """Host names that the lab is reached by. Others are refused, against DNS rebinding."""
    is_open: bool = False
    """No key is asked for."""
    key: str = field(default_factory=lambda: secrets.token_urlsafe(24), repr=False)

    def refusal(self, request: Request, *, cookie: bool = False) -> str:
        """Why the request is refused; "" when it may pass. With `cookie` the page's cookie counts as the key."""
        if not _is_loopback(request.client.host if request.client else ""):
            return "The lab is steered from its own machine only: come from a loopback address."
        host = urllib.parse.urlsplit(f"//{request.headers.get('host', '')}").hostname or ""
        if host not in self.names:
            return f"Host {host!r} is not a name of this lab: use {', '.join(self.names)}."
        if request.method not in _READING and request.headers.get("sec-fetch-site", "none") not in _OWN_PAGES:
            return "Another site's page may not change the lab: open the lab's own page."
        if self.is_open or self.knows(_bearer(request)):
            return ""
        if cookie and self.knows(request.cookies.get(COOKIE, "")):
            return ""
        return "The key is missing or wrong: send `Authorization: Bearer KEY` with the control_key that --json prints."

    def knows(self, key: str) -> bool:
        return secrets.compare_digest(key.encode(), self.key.encode())


def _bearer(request: Request) -> str:
    scheme, _, value = request.headers.get("authorization", "").partition(" ")
    return value.strip() if scheme.lower() == "bearer" else ""


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
