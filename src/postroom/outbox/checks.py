"""May this message be accepted? Each check gives a refusal with its reason and fix, or None. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from fnmatch import fnmatchcase

from postroom.mail.addresses import BadAddress, parse
from postroom.mail.envelope import Envelope
from postroom.mail.headers import Split, field_name
from postroom.mail.message import Message
from postroom.mailboxes.values import Effective
from postroom.outbox.values import Caller, Refusal, Why

PASSED = b"X-Postroom-Passed"
"""A field that every message gets here, with its id: to know it again in Sent Items, and when it comes back."""
_ROUNDS = 5
# RFC 5321 section 6.3 wants at least 100 for relays; a submission with 50 hops behind it is a loop already.
_HOPS = 50
_ONCE = frozenset({b"from", b"sender", b"subject", b"message-id"})
"""RFC 5322 section 3.6: at most one of each. A second one is how an injected header shows."""


def check_mailbox(whole: Effective, enabled: bool, mailbox_id: int, caller: Caller) -> Refusal | None:
    """Whether this caller may use it, and whether it sends at all."""
    if caller.mailboxes is not None and mailbox_id not in caller.mailboxes:
        return Refusal(
            Why.MAILBOX_NOT_ALLOWED,
            f"{caller.name} may not use the mailbox {whole.name!r}",
            "Allow it in the settings of this app credential, or name another mailbox.",
        )
    if not enabled:
        return Refusal(
            Why.MAILBOX, f"the mailbox {whole.name!r} is switched off", f"postroom mailbox enable {whole.name!r}"
        )
    if whole.send_by == "none":
        return Refusal(
            Why.MAILBOX, f"the mailbox {whole.name!r} does not send", "Choose SMTP or Graph under 'how to send'."
        )
    return None


def check_envelope(envelope: Envelope, most: int) -> Refusal | None:
    """The addresses, and how many they are."""
    if not envelope.recipients:
        return Refusal(Why.RECIPIENTS, "the message has no recipients", "Give at least one address.")
    if len(envelope.recipients) > most:
        return Refusal(
            Why.TOO_MANY_RECIPIENTS,
            f"the message has {len(envelope.recipients):,} recipients; a message takes up to {most:,}",
            "Send it in several messages.",
        )
    try:
        if envelope.sender:
            parse(envelope.sender, "sender")
    except BadAddress as error:
        return Refusal(Why.MALFORMED, str(error), "Give the address that the mail comes from.")
    try:
        for recipient in envelope.recipients:
            parse(recipient, "recipient")
    except BadAddress as error:
        return Refusal(Why.RECIPIENTS, str(error), "Correct the address, or leave it out.")
    return None


def check_senders(message: Message, envelope: Envelope, caller: Caller) -> Refusal | None:
    """Envelope, From and Sender must all be addresses that this caller may use."""
    if caller.senders is None:
        return None
    used = [envelope.sender, *(address.mailbox for address in message.addresses("From", "Sender"))]
    for address in filter(None, used):
        if not allowed(address, caller.senders):
            return Refusal(
                Why.SENDER_NOT_ALLOWED,
                f"{caller.name} may not send as {address}",
                f"Send as one of {', '.join(caller.senders) or 'none'}, or allow this address for the app credential.",
            )
    return None


def allowed(address: str, patterns: Iterable[str]) -> bool:
    """Whether the address is one of these, or of the domains given as `*@contoso.com`."""
    return any(fnmatchcase(address.casefold(), pattern.casefold()) for pattern in patterns)


def check_form(parts: Split, size: int, whole: Effective) -> Refusal | None:
    """What is no message, what goes in circles, what is too large."""
    if whole.message_size is not None and size > whole.message_size:
        return Refusal(
            Why.TOO_LARGE,
            f"the message is {size:,} bytes; this mailbox takes up to {whole.message_size:,}",
            "Send a link instead of the attachment.",
        )
    if not parts.fields:
        return Refusal(Why.MALFORMED, "the message has no header", "Begin it with fields such as From, To and Subject.")
    names = [field_name(field) for field in parts.fields]
    for name in _ONCE:
        if names.count(name) > 1:
            return Refusal(
                Why.MALFORMED,
                f"the message has {names.count(name)} {name.decode().title()} fields (RFC 5322 section 3.6 allows one)",
                "Somebody may have put a line break into a header's value; the program must refuse that.",
            )
    for field, name in zip(parts.fields, names, strict=True):
        if b"\0" in field or b"\r" in field.replace(b"\r\n", b""):
            return Refusal(
                Why.MALFORMED,
                f"the {name.decode().title()} field holds a NUL or a lone carriage return",
                "The program must remove it.",
            )
    if names.count(PASSED.lower()) >= _ROUNDS or names.count(b"received") > _HOPS:
        return Refusal(
            Why.LOOP,
            "the message has been here before, again and again: it goes in circles",
            "Look for a rule that forwards what Postroom sends back to Postroom.",
        )
    return None


def check_times(now: datetime, not_before: datetime | None, expires_at: datetime) -> Refusal | None:
    if expires_at <= max(now, not_before or now):
        return Refusal(
            Why.EXPIRED,
            f"the message expires at {expires_at:%Y-%m-%d %H:%M:%S} UTC, before it may be sent",
            "Give a later time to expire, or none.",
        )
    return None


def mark(message: Message, new_id: int) -> bytes:
    """The message with its id in front of it."""
    return b"%s: %d%s%s" % (PASSED, new_id, message.parts.line_end, message.raw)
