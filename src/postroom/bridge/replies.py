"""What the SMTP door says: codes with enhanced status codes (RFC 3463, RFC 5248) and plain advice. Pure.

4xx: nothing is wrong with the message, or it is ours to mend; the program tries again. 5xx: trying again is no use.
"""

from __future__ import annotations

import re

from postroom.outbox.values import Refusal, Why

_LONGEST = 480
"""Bytes of text: RFC 5321 section 4.5.3.1.5 allows 512 for the line."""
_STATUS = re.compile(r"[245]\d\d [245]\.\d{1,3}\.\d{1,3} ")
# RFC 5248's meaning for what the library says without a status; the class comes from the code.
_DEFAULTS = {"500": "5.5.2", "501": "5.5.4", "502": "5.5.1", "503": "5.5.1", "504": "5.5.4", "530": "5.7.0"}

SIGNED_IN = "235 2.7.0 Signed in"
WRONG = "535 5.7.8 User name or secret is wrong, or not for this network. New secret: postroom app rotate NAME"
NOT_NOW = "454 4.7.0 Cannot check the sign-in right now; try again in a minute"
LOCKED = "454 4.7.0 Too many wrong sign-ins; wait 15 minutes, and correct the secret"
CANCELLED = "501 5.7.0 Sign-in cancelled"
BAD_BASE64 = "501 5.5.2 This is not base64 of what the mechanism wants"
SIGN_IN_FIRST = "530 5.7.0 Sign in first (AUTH PLAIN or LOGIN) with an app credential: postroom app add NAME"
TLS_ALREADY = "503 5.5.1 TLS is on already"
NO_TLS = "502 5.5.1 This port has no TLS"
NOT_WITHIN = "503 5.5.1 Not within a message (RFC 4954 section 4)"
TWICE = "503 5.5.1 Signed in already"
BARE = "521 5.5.2 A line ends with CRLF (RFC 5321 section 2.3.8); this one has a CR or LF alone. Closing"
NUL = "554 5.6.0 The message holds a NUL, which mail cannot carry; encode the part as base64"
LINE_TOO_LONG = "500 5.5.2 The command is too long"
TOO_MANY_ERRORS = "421 4.7.0 Too many errors; closing"
IDLE = "421 4.4.2 Nothing came for too long; closing"
GOING_DOWN = "421 4.3.2 This server goes down; try again in a minute"
CROWDED = "421 4.7.0 Too many connections; close some, or try again later"
TROUBLE = "451 4.3.0 A fault here, not yours; try again in a few minutes"
NO_SENDER = "503 5.5.1 MAIL FROM comes first"
NO_RECIPIENT = "503 5.5.1 RCPT TO comes first, at least one that is accepted"
NESTED = "503 5.5.1 One MAIL FROM for each message; RSET begins anew"
GO_ON = "354 End with <CR><LF>.<CR><LF>"
RESET = "250 2.0.0 OK"


def elsewhere(address: str) -> str:
    """The address may not connect at all."""
    return f"554 5.7.1 {address} is in none of the networks of this port; add it: postroom listener edit"


def too_large(limit: int) -> str:
    return f"552 5.3.4 This port takes messages up to {limit} bytes; send a link instead of the attachment"


def too_many_recipients(limit: int) -> str:
    return f"452 4.5.3 A message takes {limit} recipients here; send it to the others in another one"


def line_too_long(limit: int) -> str:
    return f"554 5.6.0 A line is longer than {limit} bytes (RFC 5322); encode it as quoted-printable or base64"


def too_fast(per_minute: int, seconds: float) -> str:
    return f"450 4.7.1 {per_minute} messages a minute are allowed for this app; try again in {max(1, round(seconds))} s"


def taken(number: int) -> str:
    return f"250 2.0.0 Kept as {number}"


def refused(refusal: Refusal) -> str:
    """The outbox's no, in SMTP."""
    return one_line(f"{_OF_REFUSALS[refusal.why]} {refusal}. {refusal.fix}")


def one_line(reply: str) -> str:
    """Fit for the wire: printable ASCII, one line, not too long."""
    plain = reply.encode("ascii", "replace").decode()
    if not plain.isprintable():
        plain = "".join(char if char.isprintable() else " " for char in plain)
    return plain[:_LONGEST].rstrip()


def with_status(reply: str) -> str:
    """Every reply of 2, 4 or 5 has an enhanced status code (RFC 2034 section 4)."""
    code = reply[:3]
    if code[:1] not in "245" or _STATUS.match(reply + " "):
        return reply
    return f"{code} {_DEFAULTS.get(code, f'{code[0]}.0.0')}{reply[3:]}"


_OF_REFUSALS = {
    # Ours to mend, by the administrator: the program keeps the message until then.
    Why.MAILBOX: "451 4.3.5",
    Why.UNAVAILABLE: "451 4.3.0",
    Why.MAILBOX_NOT_ALLOWED: "550 5.7.1",
    Why.SENDER_NOT_ALLOWED: "550 5.7.1",
    Why.RECIPIENTS: "550 5.1.3",
    Why.TOO_MANY_RECIPIENTS: "552 5.5.3",
    Why.TOO_LARGE: "552 5.3.4",
    Why.MALFORMED: "554 5.6.0",
    Why.LOOP: "554 5.4.6",
    Why.EXPIRED: "554 5.4.7",
    Why.CONFLICT: "554 5.5.0",
}
