"""Which organisation a domain belongs to, for alignment (RFC 7489 section 3.2)."""

from __future__ import annotations

from functools import cache

import idna
from publicsuffixlist import PublicSuffixList

# Under these, each label is another organisation's, yet the public suffix list does not name them (read 2026-11-23).
# Without them contoso.onmicrosoft.com and any other tenant's would count as one organisation.
_SHARED = (
    "mail.onmicrosoft.com",
    "onmicrosoft.com",
    "mail.onmicrosoft.us",
    "onmicrosoft.us",
    "onmicrosoft.de",
    "partner.mail.onmschina.cn",
    "partner.onmschina.cn",
)


def normal(domain: str) -> str:
    """In lower case, as A-labels, without a last dot; empty when it is no domain."""
    domain = domain.strip().removesuffix(".").lower()
    try:
        return domain if domain.isascii() else idna.encode(domain, uts46=True).decode("ascii")
    except idna.IDNAError:
        return ""


def organisation(domain: str) -> str:
    """The organisational domain; empty for a public suffix and for what is no domain."""
    domain = normal(domain)
    for suffix in _SHARED:
        if domain == suffix:
            return ""
        if domain.endswith("." + suffix):
            return f"{domain.removesuffix('.' + suffix).rpartition('.')[2]}.{suffix}"
    return _public_suffixes().privatesuffix(domain) or ""


def aligned(domain: str, with_domain: str, *, strict: bool = False) -> bool:
    """Whether both are of one organisation; `strict`: whether they are the same (RFC 7489 section 3.1)."""
    one, other = normal(domain), normal(with_domain)
    if not one or not other:
        return False
    return one == other or (not strict and organisation(one) == organisation(other) != "")


@cache
def _public_suffixes() -> PublicSuffixList:
    return PublicSuffixList()
