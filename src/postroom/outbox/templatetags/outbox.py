"""How the outbox's values look on a page."""

from __future__ import annotations

from datetime import timedelta

from django import template

from postroom.outbox.service import LaneView
from postroom.outbox.values import Priority

register = template.Library()

_LOOKS = {
    **dict.fromkeys(("sent",), "good"),
    **dict.fromkeys(("failed", "expired"), "bad"),
    **dict.fromkeys(("deferred", "unknown", "held", "braked", "partly", "not taken"), "warn"),
    **dict.fromkeys(("sending",), "accent"),
}
_LANE_LOOKS = {"moving": "good", "waiting": "warn", "held": "warn", "stopped": "bad"}


@register.filter
def state_look(state: str) -> str:
    """The badge of a message's, a recipient's or an attempt's state."""
    return _LOOKS.get(state, "")


@register.filter
def lane_look(state: str) -> str:
    return _LANE_LOOKS.get(state, "")


@register.filter
def thousands(number: int) -> str:
    return f"{number:,}"


@register.filter
def priority(number: int) -> str:
    return Priority(number).name.lower()


@register.filter
def forecast(lane: LaneView) -> str:
    """ "1,240 messages, clear in 41 minutes"."""
    if not lane.waiting:
        return "nothing waits"
    what = f"{lane.waiting:,} {'message' if lane.waiting == 1 else 'messages'}"
    if lane.state in {"stopped", "held"}:
        return f"{what}, when the lane moves again"
    return f"{what}, clear in {_words(lane.clear_in)}" if lane.clear_in is not None else f"{what}, as fast as it goes"


def _words(time: timedelta) -> str:
    minutes = max(round(time.total_seconds() / 60), 1)
    if minutes < 120:
        return f"{minutes} {'minute' if minutes == 1 else 'minutes'}"
    hours = round(minutes / 60)
    return f"{hours} hours" if hours < 48 else f"{round(hours / 24)} days"
