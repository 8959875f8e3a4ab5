"""SASL initial responses, byte for byte. Pure."""

from __future__ import annotations

import base64


def xoauth2(user: str, token: str) -> bytes:
    """Google's and Microsoft's XOAUTH2 (facts 1.5): `user=`, `auth=Bearer`, each closed by 0x01, and one more."""
    return f"user={user}\x01auth=Bearer {token}\x01\x01".encode()


def plain(user: str, password: str) -> bytes:
    """RFC 4616, without an authorisation identity."""
    return f"\0{user}\0{password}".encode()


def encoded(response: bytes) -> bytes:
    """Base64 on one line, as it goes over the wire."""
    return base64.b64encode(response)


def two_lines(mechanism: str, response: bytes) -> tuple[bytes, bytes]:
    """The form without initial response, the only one that Microsoft's POP3 takes (facts 1.5)."""
    return b"AUTH " + mechanism.encode("ascii"), encoded(response)
