"""Lanes: a thousand mailboxes in one process, and urgent messages among a hundred thousand that wait."""

from __future__ import annotations

from typing import Any

from bench.house import Stage
from bench.results import Aim, Measured, Say, Scale, percentile

_PER_MINUTE = 6


def run(stage: Stage, scale: Scale, say: Say) -> Measured:
    count, waiting = scale.of(1000, 100), scale.of(100_000, 5_000)
    seconds, settle = scale.of(35, 10), scale.of(40, 5)
    base = _engine(stage, "lanes-one", 1, 100, scale.of(5, 2), scale.of(5, 2))
    say(f"  1 lane: {base['memory'] / 2**20:.0f} MB")
    before = stage.sink.ask("count")["taken"]
    many = _engine(stage, "lanes-many", count, waiting, seconds, settle)
    bulk = stage.sink.ask("count")["taken"] - before
    say(f"  {many['lanes']:,} lanes: {many['memory'] / 2**20:.0f} MB, {bulk:,} messages went out")
    arrived = stage.sink.ask("first lanes-many.")
    arrived_in = [arrived[subject] - at for subject, at in many["handed_in"].items() if subject in arrived]
    lost = len(many["handed_in"]) - len(arrived_in)
    each = (many["memory"] - base["memory"]) / max(many["lanes"] - 1, 1) / 1024
    # What did not arrive took longer than any that did.
    with_lost = [*arrived_in, *[float("inf")] * lost]
    p50, p99 = percentile(with_lost, 0.5), percentile(with_lost, 0.99)
    rows = [
        ["mailboxes at work", f"{many['lanes']:,}"],
        ["memory of each, its kept connection included", f"{each:,.0f} KB"],
        ["urgent messages among bulk, and missing at the end", f"{len(arrived_in):,}, {lost}"],
        ["from handing in to the sink, 50th percentile", _milliseconds(p50)],
        ["from handing in to the sink, 99th percentile", _milliseconds(p99)],
        ["bulk that went out meanwhile", f"{bulk / (seconds + settle):,.0f} messages/s"],
    ]
    aim = Aim(
        f"Lanes: urgent message, 99th percentile, {many['lanes']:,} mailboxes, {waiting:,} waiting",
        "under 1 s",
        _milliseconds(p99),
        p99 < 1,
    )
    notes = [
        f"Each mailbox may send {_PER_MINUTE} messages a minute; all of them have bulk waiting, so the process is "
        f"asked for {count * _PER_MINUTE / 60:,.0f} messages/s. SQLite, one process."
    ]
    return Measured(
        "Lanes",
        ["", ""],
        rows,
        [aim],
        notes,
        {"seconds": arrived_in, "missing": lost, "memory_each_kb": each},
    )


def _milliseconds(seconds: float) -> str:
    return f"{seconds * 1000:,.0f} ms" if seconds < float("inf") else "not within the run"


def _engine(stage: Stage, name: str, mailboxes: int, waiting: int, seconds: float, settle: float) -> dict[str, Any]:
    addresses = [f"{name}{number}@{stage.lab.domain}" for number in range(mailboxes)]
    home = stage.postroom(name, addresses=addresses, messages_per_minute=_PER_MINUTE, connections=3)
    fill = {"what": "fill", "messages": waiting, "state": "queued", "priority": 2, "size": 5120}
    home.run("bench.inside", fill | {"mailboxes": home.mailboxes})
    order = {"mailboxes": home.mailboxes, "addresses": addresses, "seconds": seconds, "settle": settle}
    return dict(home.run("bench.engine", order | {"each": 0.1, "tag": name}))
