"""Microsoft's limits, as the lab enforces them (facts 6); each can be set, or switched off with None."""

from __future__ import annotations

from collections import defaultdict, deque
from dataclasses import dataclass, field


@dataclass
class Limits:
    messages_per_minute: int | None = 30
    pace_refuses: bool = False
    """Refuse what is above the pace (432) instead of delaying it, as Exchange does (facts 6 [C])."""
    connections: int | None = 3
    """Concurrent SMTP submissions of one mailbox."""
    recipients_per_message: int = 500
    recipients_per_day: int | None = 10_000
    message_size: int = 157_286_400
    """Bytes: what EHLO announces as SIZE."""
    graph_request_size: int = 4 * 1024 * 1024
    """Bytes of one request body (facts 3)."""
    graph_concurrent: int | None = 4
    """Requests in flight of one application to one mailbox."""
    graph_requests: int | None = 10_000
    """Requests of one application to one mailbox in ten minutes."""
    _sent: dict[str, deque[float]] = field(default_factory=lambda: defaultdict(deque), repr=False)
    _recipients: dict[str, deque[tuple[float, int]]] = field(default_factory=lambda: defaultdict(deque), repr=False)

    def seconds_until_message(self, address: str, now: float) -> float:
        """0 when a message may go now; else how long this mailbox is over its pace."""
        if self.messages_per_minute is None:
            return 0.0
        sent = self._sent[address]
        while sent and sent[0] <= now - 60:
            sent.popleft()
        return 0.0 if len(sent) < self.messages_per_minute else sent[0] + 60 - now

    def recipients_left(self, address: str, now: float) -> float:
        """Recipients that this mailbox may still address in its rolling 24 hours."""
        if self.recipients_per_day is None:
            return float("inf")
        past = self._recipients[address]
        while past and past[0][0] <= now - 86_400:
            past.popleft()
        return self.recipients_per_day - sum(count for _, count in past)

    def count(self, address: str, recipients: int, now: float) -> None:
        """Notes a message that was taken."""
        self._sent[address].append(now)
        self._recipients[address].append((now, recipients))
