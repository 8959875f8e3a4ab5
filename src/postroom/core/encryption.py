"""Encryption at rest: AES-256-GCM, each secret bound to where it belongs.

A sealed value is `version || key id (4 bytes) || nonce (12 bytes) || ciphertext and tag`. The key id tells which
of several keys opens it, so that keys can be rotated while everything runs.
"""

from __future__ import annotations

import hashlib
import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from postroom.core.keys import Keys, keys

_VERSION = b"\x01"


class CannotOpen(ValueError):
    """The sealed value was made with a key that is not here, or was changed; POSTROOM_KEY must still hold its key."""


def seal(secret: str, purpose: str, ring: Keys | None = None) -> bytes:
    """Encrypts; `purpose` ("credential:42") must be given again to open it, so that rows cannot be swapped."""
    key = (ring or keys()).first
    nonce = os.urandom(12)
    return _VERSION + _key_id(key) + nonce + AESGCM(key).encrypt(nonce, secret.encode(), purpose.encode())


def unseal(sealed: bytes, purpose: str, ring: Keys | None = None) -> str:
    """Raises `CannotOpen`."""
    sealed = bytes(sealed)
    if sealed[:1] != _VERSION or len(sealed) < 33:
        raise CannotOpen("not a sealed value of this version of Postroom")
    for key in (ring or keys()).all:
        if _key_id(key) == sealed[1:5]:
            try:
                return AESGCM(key).decrypt(sealed[5:17], sealed[17:], purpose.encode()).decode()
            except InvalidTag as error:
                raise CannotOpen("a stored secret was changed, or belongs to another record") from error
    raise CannotOpen("a stored secret was encrypted with a key that is not in POSTROOM_KEY or the key file")


def is_sealed_with_first(sealed: bytes, ring: Keys | None = None) -> bool:
    """False when rotating the keys has left this value behind."""
    return bytes(sealed)[1:5] == _key_id((ring or keys()).first)


def _key_id(key: bytes) -> bytes:
    return hashlib.sha256(b"postroom-key-id:" + key).digest()[:4]
