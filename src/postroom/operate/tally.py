"""What this process has done since it started, counted where the roles are put together: a worker and a desk that
count what passes them."""

from __future__ import annotations

import threading
import time
from collections import Counter
from concurrent.futures import Future

from prometheus_client import Histogram

from postroom.bridge.desk import Desk
from postroom.outbox.store import Begin, End, Op, Work
from postroom.outbox.values import Receipt, Submission
from postroom.outbox.worker import Worker

ACCEPT_SECONDS = Histogram(
    "postroom_accept_seconds",
    "From a whole message at the SMTP door to its answer, which comes when the message is on disk.",
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
ATTEMPT_SECONDS = Histogram(
    "postroom_attempt_seconds",
    "From writing an attempt down to writing down what became of it.",
    ["transport"],
    buckets=(0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300),
)

_lock = threading.Lock()
_attempts: Counter[tuple[int, str, str]] = Counter()


def attempts() -> dict[tuple[int, str, str], int]:
    """(mailbox, transport, outcome) -> attempts that ended so."""
    with _lock:
        return dict(_attempts)


class CountingWorker(Worker):
    """Sends, and counts what became of each attempt once that is on disk."""

    def __init__(self) -> None:
        super().__init__()
        self._under_way: dict[int, tuple[Begin, float]] = {}

    def write(self, op: Op) -> Future[Work | None]:
        future = super().write(op)
        if isinstance(op, Begin):
            self._under_way[op.id] = (op, time.monotonic())
            future.add_done_callback(lambda done: self._forget_unless_begun(op, done))
        elif isinstance(op, End) and (begun := self._under_way.pop(op.work.id, None)) is not None:
            future.add_done_callback(lambda done: _count(done, begun, op))
        return future

    def _forget_unless_begun(self, op: Begin, done: Future[Work | None]) -> None:
        if done.cancelled() or done.exception() is not None or done.result() is None:
            self._under_way.pop(op.id, None)


class CountingDesk(Desk):
    """Accepts, and times it."""

    async def accept(self, submission: Submission) -> Receipt:
        with ACCEPT_SECONDS.time():
            return await super().accept(submission)


def _count(done: Future[Work | None], begun: tuple[Begin, float], end: End) -> None:
    if done.cancelled() or done.exception() is not None:
        return
    begin, at = begun
    ATTEMPT_SECONDS.labels(begin.transport).observe(time.monotonic() - at)
    with _lock:
        _attempts[begin.mailbox, begin.transport, end.verdict.outcome] += 1
