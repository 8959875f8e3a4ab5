"""PostgreSQL: how fast one, two and four worker processes clear the same queue."""

from __future__ import annotations

from contextlib import suppress

from bench.house import Stage
from bench.processes import Failed
from bench.results import Measured, Say, Scale, median

_WORKERS = (1, 2, 4)
_MAILBOXES = 12


def run(stage: Stage, scale: Scale, say: Say) -> Measured:
    rates: dict[int, list[float]] = {workers: [] for workers in _WORKERS}
    for number in range(scale.of(2, 1)):
        for workers in _WORKERS:
            rates[workers].append(_clear(stage, f"pg-{workers}-{number}", workers, scale.of(1800, 480)))
            say(f"  round {number + 1}: {workers} workers {rates[workers][-1]:,.0f}/s")
    base = median(rates[1])
    return Measured(
        "PostgreSQL: workers on one queue",
        ["workers", "messages/s", "against 1 worker"],
        [[str(workers), f"{median(found):,.0f}", f"{median(found) / base:.2f}"] for workers, found in rates.items()],
        notes=[
            f"{_MAILBOXES} mailboxes, 4 connections each, to the sink; a process each, with database, sink and all "
            "workers on the cores of this machine. From the 5th to the 95th hundredth of the arrivals."
        ],
        raw={str(workers): found for workers, found in rates.items()},
    )


def _clear(stage: Stage, name: str, workers: int, messages: int) -> float:
    """Messages a second at the sink."""
    addresses = [f"{name}-{number}@{stage.lab.domain}" for number in range(_MAILBOXES)]
    home = stage.postroom(name, addresses=addresses, database=stage.postgres.url(name), connections=4)
    fill = {"what": "fill", "messages": messages, "state": "queued", "priority": 1, "size": 5120}
    home.run("bench.inside", fill | {"mailboxes": home.mailboxes})
    stage.sink.ask("forget bulk")
    with home.serving("worker", processes=workers):
        times = sorted(stage.sink.wait_for("bulk", messages, 180))
    first, last = int(len(times) * 0.05), int(len(times) * 0.95)
    with suppress(ZeroDivisionError):
        return (last - first) / (times[last] - times[first])
    raise Failed("all messages came at one moment")
