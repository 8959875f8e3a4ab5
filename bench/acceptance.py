"""Durable acceptance: how many messages a second are on disk and answered, beside Postfix that only queues.

`smtp-source` of Postfix sends to both, in turns: 5 KB messages, 20 sessions, no TLS, no sign-in on either side.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections import defaultdict
from collections.abc import Mapping

from bench.house import RECIPIENT, Postroom, Stage
from bench.peers import Postfix, queueing_postfix
from bench.processes import Failed, Program
from bench.results import Aim, Measured, Say, Scale, median

_SESSIONS = 20
_SIZE = 5120
_WAYS = {"a connection each": [], "kept connections": ["-d"]}


def run(stage: Stage, scale: Scale, say: Say) -> Measured:
    cores = os.cpu_count() or 1
    rates: dict[tuple[str, str], list[float]] = defaultdict(list)
    cpu: dict[tuple[str, str], list[float]] = defaultdict(list)
    one, many = stage.postroom("accept-one"), stage.postroom("accept-many")
    with (
        queueing_postfix(stage) as postfix,
        one.serving("submission") as single,
        many.serving("submission", processes=cores) as several,
    ):
        targets: dict[str, tuple[int, Postfix | list[Program]]] = {
            "Postfix": (postfix.port, postfix),
            "Postroom, 1 process": (one.port, single),
            f"Postroom, {cores} processes": (many.port, several),
        }
        _warm(stage, targets)
        for number in range(scale.of(4, 2)):
            for way, options in _WAYS.items():
                for name, (port, meter) in targets.items():
                    count = scale.of(1500, 300)
                    before = _cpu(meter)
                    rate = _source(port, stage.address, count, options)
                    rates[name, way].append(rate)
                    cpu[name, way].append((_cpu(meter) - before) / count * 1000)
                    say(f"  round {number + 1}, {way}: {name} {rate:,.0f}/s")
            postfix.empty()
        _all_kept(one, many, rates, scale)
    return _told(targets, rates, cpu)


def _warm(stage: Stage, targets: Mapping[str, tuple[int, object]]) -> None:
    for port, _ in targets.values():
        _source(port, stage.address, 100, [])


def _source(port: int, sender: str, count: int, options: list[str]) -> float:
    """Messages a second."""
    command = ["smtp-source", "-s", str(_SESSIONS), "-m", str(count), "-l", str(_SIZE), *options]
    command += ["-f", sender, "-t", RECIPIENT, f"127.0.0.1:{port}"]
    began = time.monotonic()
    done = subprocess.run(command, text=True, capture_output=True, check=False, timeout=300)
    if done.returncode:
        raise Failed(f"smtp-source: {done.stderr}")
    return count / (time.monotonic() - began)


def _cpu(meter: Postfix | list[Program]) -> float:
    return sum(program.cpu for program in meter) if isinstance(meter, list) else meter.cpu


def _all_kept(one: Postroom, many: Postroom, rates: Mapping[tuple[str, str], list[float]], scale: Scale) -> None:
    """What was answered with yes is in the table. Raises `Failed`."""
    rounds = len(next(iter(rates.values())))
    expected = rounds * len(_WAYS) * scale.of(1500, 300) + 100
    for home in (one, many):
        kept = home.run("bench.inside", {"what": "count"})
        if kept != expected:
            raise Failed(f"{expected} messages were accepted, {kept} are kept")


def _told(
    targets: Mapping[str, object],
    rates: Mapping[tuple[str, str], list[float]],
    cpu: Mapping[tuple[str, str], list[float]],
) -> Measured:
    said = Measured(
        "Durable acceptance",
        ["", "sessions", "messages/s", "against Postfix", "CPU s per 1,000"],
        raw={f"{name}, {way}": values for (name, way), values in rates.items()},
        notes=[
            "`smtp-source`, 5 KB messages, 20 sessions; the median of the rounds, the ratio from each round's pair. "
            "Both sync every message to disk before they answer. Postfix only queues (`HOLD`), in up to 100 processes."
        ],
    )
    for index, name in enumerate(targets):
        for way in _WAYS:
            ratio = median(a / b for a, b in zip(rates[name, way], rates["Postfix", way], strict=True))
            said.rows.append(
                [name, way, f"{median(rates[name, way]):,.0f}", f"{ratio:.2f}", f"{median(cpu[name, way]):.2f}"]
            )
            if index:
                aim = 0.8 if index == 1 else 1.0
                met = ratio >= aim if index == 1 else ratio > aim
                words = "at least 0.8x Postfix" if index == 1 else "above 1.0x Postfix"
                said.aims.append(Aim(f"Durable acceptance, {name}, {way}", words, f"{ratio:.2f}x", met))
    return said
