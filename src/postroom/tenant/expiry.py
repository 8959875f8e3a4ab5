"""When to warn of a credential's end: 60, 30, 14, 7 and 1 days before (reference row X3). Pure."""

from __future__ import annotations

from datetime import datetime

WARN_AT = (60, 30, 14, 7, 1)
"""Days."""


def due(ends_at: datetime | None, now: datetime, warned: int | None = None) -> int | None:
    """The warning that is due now: the smallest threshold that has been reached, or 0 when it has ended.

    None when there is nothing to say, or when it was said: `warned` is what `due` gave last time.
    """
    if ends_at is None:
        return None
    days = (ends_at - now).total_seconds() / 86_400
    reached = 0 if days <= 0 else min((one for one in WARN_AT if days <= one), default=None)
    if reached is None or (warned is not None and warned <= reached):
        return None
    return reached
