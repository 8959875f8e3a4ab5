"""The token that a question carries, and that a reply must bring back (reference X14).

It says which question it is for, and proves with an HMAC that we made it: ids can be guessed, this can not. It is
small letters and digits, so that it survives a plus-address (RFC 5321 lets servers ignore case) and a subject line.
That it is used once, and until when, is for the keeper of the questions.
"""

from __future__ import annotations

import hmac
import re
from base64 import b32encode
from collections.abc import Sequence
from hashlib import sha256

_QUESTION = re.compile(r"[a-z0-9]{1,26}")
# 128 bits of the HMAC, in base32.
TOKEN = re.compile(r"([a-z0-9]{1,26})-([a-z2-7]{26})")


def issue(key: bytes, question: str, approver: str) -> str:
    """At most 53 characters. `question`: 1 to 26 of a-z and 0-9, another one for every step; `approver`: bare address.

    Raises `ValueError` for another kind of question id.
    """
    if not _QUESTION.fullmatch(question):
        raise ValueError(f"question: {question!r} must be 1 to 26 of the characters a-z and 0-9")
    return f"{question}-{_proof(key, question, approver)}"


def question_of(token: str) -> str:
    """Which question it claims to be for, unproved; empty when it is no token."""
    match = TOKEN.fullmatch(token)
    return match.group(1) if match else ""


def is_ours(token: str, keys: Sequence[bytes], approver: str) -> bool:
    """Whether it was made with one of these keys for this approver."""
    match = TOKEN.fullmatch(token)
    if not match:
        return False
    return any(hmac.compare_digest(_proof(key, match.group(1), approver), match.group(2)) for key in keys)


def _proof(key: bytes, question: str, approver: str) -> str:
    about = f"postroom reply token\0{question}\0{approver.casefold()}".encode()
    return b32encode(hmac.digest(key, about, sha256)[:16]).decode("ascii").rstrip("=").lower()
