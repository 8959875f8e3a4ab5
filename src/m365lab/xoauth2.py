"""SASL XOAUTH2 as Exchange Online takes it (facts 1.5 [D])."""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass, field

_SHAPE = re.compile(rb"user=([^\x01]+)\x01auth=Bearer ([^\x01\s]+)\x01\x01", re.IGNORECASE)


@dataclass(frozen=True)
class Credentials:
    user: str
    """Address of the mailbox that is asked for."""
    token: str = field(repr=False)


def parse(encoded: bytes) -> Credentials | None:
    """Reads the base64 of `user=<mailbox>^Aauth=Bearer <token>^A^A`; None when it has another shape."""
    try:
        found = _SHAPE.fullmatch(base64.b64decode(encoded.strip(), validate=True))
    except binascii.Error:
        return None
    if found is None:
        return None
    return Credentials(found[1].decode("utf-8", "replace"), found[2].decode("ascii", "replace"))
