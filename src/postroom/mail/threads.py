"""Which message of ours a message answers: by References and In-Reply-To, plus-address, or token in the subject.

Exchange gives a Message-ID of its own to what is sent through it (facts 8), so any of the three may be the one left.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from postroom.mail.message import Message
from postroom.mail.reply_tokens import TOKEN

_ID = re.compile(r"<[^<>\s]{1,500}>")
_SUBJECT_TAG = re.compile(r"\[#\s?([a-z0-9-]{1,64})\s?\]", re.IGNORECASE)
_RECIPIENTS = ("Delivered-To", "X-Original-To", "To", "Cc", "Resent-To")
_MOST = 100
_FORWARDED = re.compile(
    r"\s*(?:fwd?|wg|tr|rv|enc|i|doorst|vs|vb|pd|転送)\s?[:\uff1a]|\s*إعادة توجيه\s?:", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Traces:
    """What a message brings back. All may be forged: they say what it speaks of, not that it may."""

    message_ids: tuple[str, ...]
    """With angle brackets: what it answers first, then its thread from the newest."""
    tags: tuple[str, ...]
    """What stands behind the plus of our own addresses, in lower case."""
    subject_tags: tuple[str, ...]
    """What stands in `[#...]`, in lower case."""
    forwarded: bool = False
    """Whether the subject says so."""

    @property
    def tokens(self) -> tuple[str, ...]:
        """Each different reply token, wherever it stands."""
        in_ids = (one[1:].partition("@")[0].lower() for one in self.message_ids)
        return tuple(dict.fromkeys(one for one in (*self.tags, *self.subject_tags, *in_ids) if TOKEN.fullmatch(one)))


def traces(message: Message, own: Collection[str] = ()) -> Traces:
    """`own`: bare addresses of ours, without tags. Never raises."""
    answers = _ID.findall(message.header("In-Reply-To"))
    thread = _ID.findall(message.header("References"))[-_MOST:]
    ours = {address.casefold() for address in own}
    tags = [
        tag
        for address in message.addresses(*_RECIPIENTS)[:_MOST]
        for base, tag in [_tag(address.key)]
        if tag and base in ours
    ]
    return Traces(
        tuple(dict.fromkeys([*answers[:_MOST], *reversed(thread)])),
        tuple(dict.fromkeys(tags)),
        tuple(dict.fromkeys(tag.lower() for tag in _SUBJECT_TAG.findall(message.subject[:2000]))),
        bool(_FORWARDED.match(message.subject)),
    )


def tagged(address: str, token: str) -> str:
    """The plus-address to ask replies to, such as `approvals+token@contoso.com` (RFC 5233).

    Raises `ValueError` when the part before the @ would have more than 64 bytes (RFC 5321 section 4.5.3.1.1).
    """
    local, _, domain = address.rpartition("@")
    if len(f"{local}+{token}".encode()) > 64:
        raise ValueError(f"{address}: with a reply token there would be more than 64 bytes before the @; shorten it")
    return f"{local}+{token}@{domain}"


def in_subject(subject: str, token: str) -> str:
    """The subject with the token, which replies keep."""
    return f"{subject} [#{token}]".strip()


def answered(found: Traces, sent: Collection[str]) -> Sequence[str]:
    """Of the ids that were sent, ours or the server's, those that this answers; the nearest first."""
    return [one for one in found.message_ids if one in sent]


def _tag(address: str) -> tuple[str, str]:
    local, _, domain = address.rpartition("@")
    base, _, tag = local.partition("+")
    return f"{base}@{domain}", tag
