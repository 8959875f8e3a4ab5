"""Who a message is from and for, as far as the moving of it goes (RFC 5321 section 2.3.1)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Envelope:
    """The return path and the recipients. `sender` may be "" (a bounce); recipients are bare addresses."""

    sender: str
    recipients: tuple[str, ...]
