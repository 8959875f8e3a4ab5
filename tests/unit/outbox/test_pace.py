"""The pace under a simulated clock, against the lab's own kind of window."""

from __future__ import annotations

from collections import deque

from hypothesis import given
from hypothesis import strategies as st

from postroom.outbox.pace import Pace


class Server:
    """Counts as Exchange does: a rolling minute, at the moment it answers."""

    def __init__(self, per_minute: int) -> None:
        self.per_minute = per_minute
        self.refused = 0
        self._sent: deque[float] = deque()

    def answer(self, now: float) -> None:
        while self._sent and self._sent[0] <= now - 60:
            self._sent.popleft()
        if len(self._sent) >= self.per_minute:
            self.refused += 1
        else:
            self._sent.append(now)


def send(pace: Pace, server: Server, latencies: list[float], until: float) -> int:
    """One connection that always has something to send; returns how many went out."""
    now, sent = 0.0, 0
    while now < until:
        wait = pace.wait(now, 1)
        if wait > 0:
            now += wait
            continue
        pace.start(now, 1)
        now += latencies[sent % len(latencies)]
        server.answer(now)
        pace.end(now, counted=True)
        sent += 1
    return sent


@given(st.lists(st.floats(0.001, 1.5), min_size=1, max_size=20))
def test_the_server_never_has_to_refuse(latencies: list[float]) -> None:
    server = Server(30)
    send(Pace(per_minute=30, per_day=10_000), server, latencies, 600)
    assert server.refused == 0


def test_nearly_all_of_what_is_allowed_is_used() -> None:
    server = Server(30)
    sent = send(Pace(per_minute=30), server, [0.1], 3600)
    assert server.refused == 0
    assert sent >= 0.98 * 30 * 60


def test_after_the_burst_messages_go_evenly() -> None:
    pace = Pace(per_minute=30)
    now = 0.0
    for _ in range(5):
        assert pace.wait(now, 1) == 0
        pace.start(now, 1)
        pace.end(now, counted=True)
    assert 1.5 < pace.wait(now, 1) <= 2.0
    assert pace.wait(now, 1, urgent=True) == 0


def test_the_days_recipients_are_a_rolling_window() -> None:
    pace = Pace(per_day=100)
    pace.start(0, 60)
    pace.end(0, counted=True)
    pace.start(10, 40)
    pace.end(10, counted=True)
    assert pace.left_today(20) == 0
    assert 86_379 < pace.wait(20, 50) < 86_381
    assert pace.wait(86_401, 50) == 0


def test_what_did_not_go_out_is_given_back() -> None:
    pace = Pace(per_day=100)
    pace.start(0, 100)
    pace.end(0, counted=False)
    pace.give_back(100)
    assert pace.left_today(1) == 100


def test_throttling_slows_down_and_success_speeds_up_again() -> None:
    pace = Pace(per_minute=30)
    pace.slow_down()
    assert pace.rate == 24
    for second in range(60):
        pace.start(second * 10, 1)
        pace.end(second * 10, counted=True)
    assert pace.rate == 30


def test_what_was_sent_before_counts() -> None:
    pace = Pace(per_minute=30, per_day=1000)
    pace.remember([(-3600.0, 500), *((-10.0, 1) for _ in range(30))])
    assert 49 < pace.wait(0, 1) < 51
    assert pace.left_today(0) == 470
