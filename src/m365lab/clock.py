"""The lab's time, which can be set off from the real one (fault "clock skew")."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime


@dataclass
class Clock:
    skew: float = 0.0
    """Seconds that the lab's clock is ahead."""

    def time(self) -> float:
        """Unix time as the lab sees it."""
        return time.time() + self.skew

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.time(), UTC)
