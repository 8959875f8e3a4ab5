"""The overview of the outbox: counts, the last 24 hours, lanes. Asked for by every open page every few seconds, so
one look serves all who ask within two."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Generic, TypeVar

from postroom.core.clock import now
from postroom.outbox import service
from postroom.outbox.models import Message
from postroom.outbox.service import Counts, LaneView
from postroom.outbox.values import State

T = TypeVar("T")

HOURS = 24
_SHARE = 20.0
_HEIGHT = 60
_WIDTH = 20


@dataclass(frozen=True, slots=True)
class Hour:
    """One bar of the chart; places are of the drawing, 24 bars of 20 by 60."""

    at: datetime
    settled: int
    failed: int
    x: int
    top: int
    height: int
    failed_top: int
    failed_height: int


@dataclass(frozen=True, slots=True)
class Board:
    counts: Counts
    lanes: list[LaneView]
    hours: list[Hour]
    busiest: int
    """Messages of the hour with the most."""


class _Held(Generic[T]):
    """A value that is good for some seconds."""

    def __init__(self, make: Callable[[], T], seconds: float) -> None:
        self._make, self._seconds = make, seconds
        self._lock = threading.Lock()
        self._value: T | None = None
        self._until = float("-inf")

    def get(self) -> T:
        with self._lock:
            if self._value is None or time.monotonic() >= self._until:
                begun = time.monotonic()
                self._value = self._make()
                # What takes long, as with a million messages, is asked less often.
                self._until = time.monotonic() + max(self._seconds, _SHARE * (time.monotonic() - begun))
            return self._value


def board() -> Board:
    """Two seconds old at most, the chart thirty; older only where a look takes more than a twentieth of that."""
    hours = _hours().get()
    return Board(_counts().get(), _lanes().get(), hours, max((hour.settled for hour in hours), default=0))


@cache
def _counts() -> _Held[Counts]:
    return _Held(service.counts, 2.0)


@cache
def _lanes() -> _Held[list[LaneView]]:
    return _Held(service.lanes, 2.0)


@cache
def _hours() -> _Held[list[Hour]]:
    return _Held(last_hours, 30.0)


def last_hours() -> list[Hour]:
    """What was settled in each of the last 24 hours, oldest first."""
    end = now().replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
    starts = [end - timedelta(hours=HOURS - number) for number in range(HOURS)]
    # One range of an index each: cheaper than truncating a million times, and the same on both databases.
    settled = [
        Message.objects.filter(settled_at__gte=start, settled_at__lt=start + timedelta(hours=1)).count()
        for start in starts
    ]
    failed = [0] * HOURS
    lost = Message.objects.filter(unsent__in=[State.FAILED, State.EXPIRED], settled_at__gte=starts[0])
    for at in lost.values_list("settled_at", flat=True).iterator():
        if at is not None and at < end:
            failed[int((at - starts[0]).total_seconds() // 3600)] += 1
    most = max(*settled, 1)
    return [_bar(*values, most) for values in zip(range(HOURS), starts, settled, failed, strict=True)]


def _bar(number: int, at: datetime, settled: int, failed: int, most: int) -> Hour:
    height = -(-settled * _HEIGHT // most)
    lost = -(-failed * _HEIGHT // most)
    return Hour(at, settled, failed, number * _WIDTH, _HEIGHT - height, height, _HEIGHT - lost, lost)
