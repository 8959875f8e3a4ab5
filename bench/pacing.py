"""Pacing: under the lab's real limits, how much of what is allowed is used, and how often the lab has to refuse."""

from __future__ import annotations

import time

from bench.house import Stage
from bench.processes import Failed
from bench.results import Aim, Measured, Say, Scale

_PER_MINUTE = 30
_SKIP = 62.0
"""Seconds: the first minute holds the burst that a fresh mailbox may have."""


def run(stage: Stage, scale: Scale, say: Say) -> Measured:
    lab, count = stage.lab, scale.of(5, 3)
    window = scale.of(90, 12)
    skip = scale.of(int(_SKIP), 8)
    addresses = [stage.address, *(f"pace{number}@{lab.domain}" for number in range(1, count))]
    for address in addresses[1:]:
        lab.control("POST", "/mailboxes", {"address": address})
        lab.control("PUT", f"/mailboxes/{address}/rights/full-access/{lab.application['service_principal_id']}")
    lab.control("DELETE", "/gone")
    limits = {"messages_per_minute": _PER_MINUTE, "connections": 3, "recipients_per_day": 10_000}
    before = lab.control("GET", "/limits")
    lab.control("PATCH", "/limits", limits | {"pace_refuses": 1})
    try:
        postroom = stage.postroom(
            "pacing", addresses=addresses, to_lab=True, messages_per_minute=_PER_MINUTE, connections=3
        )
        postroom.run("bench.inside", _waiting(postroom.mailboxes, count))
        with postroom.serving("worker"):
            began = _first(stage)
            say(f"  {count} mailboxes, {_PER_MINUTE} messages a minute each; looking for {skip + window} s")
            time.sleep(max(began + skip - time.time(), 0))
            time.sleep(window)
            times = _taken(stage)
        refused = postroom.run("bench.inside", {"what": "refusals"})
    finally:
        lab.control("PATCH", "/limits", {name: before[name] for name in (*limits, "pace_refuses")})
    taken = sum(began + skip < at <= began + skip + window for at in times)
    return _told(taken, count * _PER_MINUTE * window / 60, len(times), refused, count, window)


def _waiting(mailboxes: list[int], count: int) -> dict[str, object]:
    """More than can go out in the time."""
    return {
        "what": "fill",
        "messages": count * 200,
        "state": "queued",
        "priority": 1,
        "mailboxes": mailboxes,
        "size": 2000,
    }


def _taken(stage: Stage) -> list[float]:
    """When the lab took each message that left the tenant."""
    return [one["at"] for one in stage.lab.control("GET", "/gone")]


def _first(stage: Stage) -> float:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if times := _taken(stage):
            return min(times)
        time.sleep(0.2)
    raise Failed("the lab has taken no message for a minute")


def _told(taken: int, possible: float, in_all: int, refused: int, mailboxes: int, window: float) -> Measured:
    share = taken / possible
    return Measured(
        "Pacing",
        ["mailboxes", "limit each", "looked for", "taken", "possible", "share", "refused or throttled"],
        [
            [
                str(mailboxes),
                f"{_PER_MINUTE}/min, 3 connections",
                f"{window:.0f} s",
                str(taken),
                f"{possible:.0f}",
                f"{share:.1%}",
                f"{refused} of {in_all + refused}",
            ]
        ],
        [
            Aim("Pacing: share of what the limits allow", "98 %", f"{share:.1%}", share >= 0.98),
            Aim("Pacing: refusals provoked", "0", str(refused), refused == 0),
        ],
        ["The lab refuses (432) what is above its limits, instead of delaying it. Looked at after the first minute."],
        {"share": share, "taken": taken, "refused": refused},
    )
