"""What one process keeps in mind against haste and guessing: connections, wrong sign-ins, pace of each app.

In memory and for this process only. Secrets have 130 bits of chance, so guessing them is hopeless with or without a
lock; what it protects is the machine's time. The clock is a function that gives seconds.
"""

from __future__ import annotations

from collections import Counter, OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass, field

GUESSES = 10
"""Wrong sign-ins of one name from one address before it is locked."""
GUESSES_OF_ADDRESS = 100
"""The same for all names together."""
LOCKED_FOR = 900.0
"""Seconds, counted from the last wrong one."""
_REMEMBERED = 10_000


@dataclass(slots=True)
class Guard:
    clock: Callable[[], float]
    _open: Counter[tuple[int, str]] = field(default_factory=Counter)
    _wrong: OrderedDict[tuple[str, str], tuple[int, float]] = field(default_factory=OrderedDict)
    _sent: dict[int, deque[float]] = field(default_factory=dict)

    def enter(self, listener: int, address: str, most: int, most_each: int) -> bool:
        """Whether one more connection fits; if so it counts, until `leave`."""
        if self._open[listener, ""] >= most or self._open[listener, address] >= most_each:
            return False
        self._open.update([(listener, ""), (listener, address)])
        return True

    def leave(self, listener: int, address: str) -> None:
        for key in ((listener, ""), (listener, address)):
            self._open[key] -= 1
            if self._open[key] <= 0:
                del self._open[key]

    def locked(self, address: str, name: str) -> bool:
        """Whether this address has guessed too often, this name or altogether."""
        return self._count(address, name) >= GUESSES or self._count(address, "") >= GUESSES_OF_ADDRESS

    def wrong(self, address: str, name: str) -> None:
        """One more wrong sign-in. The longest ago are forgotten, so that memory stays bounded."""
        for key in ((address, name), (address, "")):
            self._wrong[key] = (self._count(*key) + 1, self.clock())
            self._wrong.move_to_end(key)
        while len(self._wrong) > _REMEMBERED:
            self._wrong.popitem(last=False)

    def right(self, address: str, name: str) -> None:
        """The name has proved itself: its earlier mistakes are forgiven."""
        self._wrong.pop((address, name), None)

    def wait_for(self, app: int, per_minute: int | None) -> float:
        """Seconds until this app may send its next message; 0 when it may now, and then this one counts."""
        if per_minute is None:
            return 0.0
        now = self.clock()
        sent = self._sent.setdefault(app, deque())
        while sent and now - sent[0] >= 60.0:
            sent.popleft()
        if len(sent) >= per_minute:
            return 60.0 - (now - sent[-per_minute])
        sent.append(now)
        return 0.0

    def _count(self, address: str, name: str) -> int:
        count, at = self._wrong.get((address, name), (0, 0.0))
        return count if self.clock() - at < LOCKED_FOR else 0
