"""How fast a lane may go: the mailbox's limits as a budget, so that the server need not refuse. Pure; time is given.

Three things are kept: messages in the last minute, recipients in the last 24 hours, and what the server taught by
throttling. The minute is a rolling window that counts a message until a minute after its answer: the server counted
it somewhere in between. Within it messages go evenly, after a small burst, so that an urgent one never waits for a
whole window to pass.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

MINUTE = 60.0
DAY = 86_400.0
_BURST = 6
"""The share of a minute's messages that may go at once is one in so many."""
_MARGIN = 0.02
"""Seconds by which a window is kept longer: clocks are not that exact."""
_SLOWER = 0.8
_FASTER = 1.02
"""Learned: one step down at each throttling, small steps up with each message that was taken."""
_SLOWEST = 1.0


@dataclass
class Pace:
    """The budget of one lane. Times are seconds of one clock that only goes forward."""

    per_minute: float | None = None
    per_day: int | None = None
    """Recipients."""
    learned: float | None = None
    """Messages a minute that the server was seen to bear, below the limit; None: nothing was learned."""
    _minute: deque[float] = field(default_factory=deque)
    """When each message of the last minute was answered; of those under way, nothing yet."""
    _under_way: int = 0
    _day: deque[tuple[float, int]] = field(default_factory=deque)
    _today: int = 0
    _free_at: float = float("-inf")
    """When the next may start, by the even spacing."""

    def remember(self, past: Iterable[tuple[float, int]]) -> None:
        """What was sent before this lane came into these hands: (when, recipients), oldest first."""
        for at, recipients in past:
            self._minute.append(at)
            self._day.append((at, recipients))
            self._today += recipients

    @property
    def rate(self) -> float | None:
        """Messages a minute, as it goes now."""
        if self.learned is None:
            return self.per_minute
        return self.learned if self.per_minute is None else min(self.per_minute, self.learned)

    def wait(self, now: float, recipients: int, *, urgent: bool = False) -> float:
        """Seconds until a message to so many may start; 0 for now. An urgent one need not keep the distance."""
        self._forget(now)
        return max(self._minute_wait(now), 0.0 if urgent else self._free_at - now, self._day_wait(now, recipients), 0.0)

    def start(self, now: float, recipients: int) -> None:
        """A message starts."""
        self._under_way += 1
        self._day.append((now, recipients))
        self._today += recipients
        rate = self.rate
        if rate is not None:
            gap = MINUTE / rate
            burst = max(rate / _BURST, 1.0)
            self._free_at = max(self._free_at, now - gap * (burst - 1)) + gap

    def end(self, now: float, *, counted: bool) -> None:
        """It was answered; `counted` when the server may have counted it."""
        self._under_way -= 1
        if counted:
            self._minute.append(now)
        if self.learned is not None and counted:
            self.learned *= _FASTER
            if self.per_minute is not None and self.learned >= self.per_minute:
                self.learned = None

    def give_back(self, recipients: int) -> None:
        """The message that ended did not go out: its recipients are free again."""
        for at in range(len(self._day) - 1, -1, -1):
            if self._day[at][1] == recipients:
                del self._day[at]
                self._today -= recipients
                return

    def slow_down(self) -> None:
        """The server said: too fast."""
        base = self.rate
        if base is not None:
            self.learned = max(base * _SLOWER, _SLOWEST)

    def left_today(self, now: float) -> int | None:
        self._forget(now)
        return None if self.per_day is None else max(self.per_day - self._today, 0)

    def _minute_wait(self, now: float) -> float:
        rate = self.rate
        if rate is None:
            return 0.0
        room = max(int(rate), 1) - self._under_way
        over = len(self._minute) - room
        if over < 0:
            return 0.0
        if over >= len(self._minute):
            return _MARGIN * 5  # as many under way as may be: look again shortly
        return self._minute[over] + MINUTE + _MARGIN - now

    def _day_wait(self, now: float, recipients: int) -> float:
        if self.per_day is None or not self._day:
            return 0.0
        over = self._today + recipients - self.per_day
        if over <= 0:
            return 0.0
        for at, count in self._day:
            over -= count
            if over <= 0:
                return at + DAY + _MARGIN - now
        return 0.0  # more recipients than a whole day's: the server may say what it thinks of it

    def _forget(self, now: float) -> None:
        while self._minute and self._minute[0] <= now - MINUTE - _MARGIN:
            self._minute.popleft()
        while self._day and self._day[0][0] <= now - DAY - _MARGIN:
            self._today -= self._day.popleft()[1]
