"""Relay end to end: from 20 sessions of a program through the relay to one XOAUTH2 sink, in turns with the peers."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

from bench import load
from bench.house import RECIPIENT, Stage, run_module
from bench.peers import emailproxy, relaying_postfix
from bench.processes import Program
from bench.results import Aim, Measured, Say, Scale, median

PROXY, POSTFIX, POSTROOM = "emailproxy", "Postfix", "Postroom"
_WAYS = {"a sign-in for each message": False, "kept connections": True}


class Meter(Protocol):
    @property
    def cpu(self) -> float: ...


@dataclass
class Reading:
    """Of one relay in one way, round by round."""

    rates: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    refused: int = 0


def run(stage: Stage, scale: Scale, say: Say, proxy_environment: Path) -> Measured:
    readings: dict[tuple[str, str], Reading] = defaultdict(Reading)
    with _relays(stage, proxy_environment) as relays:
        for number in range(scale.of(2, 1)):
            for way, kept in _WAYS.items():
                for name in (PROXY, POSTFIX, POSTROOM):
                    meter, order = relays[name, kept]
                    # Each sign-in at emailproxy takes most of a second: fewer messages tell as much.
                    count = scale.of(40, 20) if name == PROXY and not kept else scale.of(1000, 200)
                    order = replace(order, messages=count, kept=kept, tag=f"relay-{name}-{kept}-{number}")
                    _one(stage, meter, order, readings[name, way])
                    say(f"  round {number + 1}, {way}: {name} {readings[name, way].rates[-1]:,.1f}/s")
    return _told(readings)


@contextmanager
def _relays(stage: Stage, environment: Path) -> Iterator[dict[tuple[str, bool], tuple[Meter, load.Order]]]:
    """All at once, each idle while another is measured."""
    postroom = stage.postroom("relay")
    plain = load.Order(0, stage.address, RECIPIENT)
    with (
        emailproxy(stage, environment) as proxy,
        relaying_postfix(stage, reuse=False) as each,
        relaying_postfix(stage, reuse=True) as reusing,
        postroom.serving("submission", "worker") as (program,),
    ):
        # It loses a session now and then when twenty sign in at once: no use in waiting long for those.
        signed_in = replace(plain, port=proxy.port, name=stage.address, secret="anything", patience=12)
        yield {
            (PROXY, False): (proxy, signed_in),
            (PROXY, True): (proxy, signed_in),
            (POSTFIX, False): (each, replace(plain, port=each.port)),
            (POSTFIX, True): (reusing, replace(plain, port=reusing.port)),
            **{(POSTROOM, kept): (_typed(program), postroom.order()) for kept in (False, True)},
        }


def _typed(program: Program) -> Meter:
    return program


def _one(stage: Stage, meter: Meter, order: load.Order, reading: Reading) -> None:
    """From the first command of the program to the arrival of the last message at the sink."""
    before = meter.cpu
    sent = load.Sent(**run_module("bench.load", vars(order)))
    arrived = stage.sink.wait_for(order.tag, sent.accepted, 120)
    reading.rates.append(sent.accepted / (max(arrived) - sent.started_at))
    reading.cpu.append((meter.cpu - before) / max(sent.accepted, 1) * 1000)
    reading.refused += len(sent.refusals)


def _told(readings: Mapping[tuple[str, str], Reading]) -> Measured:
    said = Measured(
        "Relay end to end",
        ["", "program's sessions", "messages/s", "against emailproxy", "CPU s per 1,000", "failed"],
        raw={f"{name}, {way}": vars(reading) for (name, way), reading in readings.items()},
        notes=[
            "20 sessions, 5 KB messages, to one sink with STARTTLS and XOAUTH2, limits off; timed until the last "
            "message has arrived there. Kept connections have signed in before; the CPU time includes it.",
            "emailproxy passes through: it keeps nothing, so the program hears the server's own answer; each sign-in "
            "costs it a key derivation (PBKDF2, 1.2 million rounds). Postfix and Postroom keep the message first.",
            "Postfix signs in with AUTH PLAIN, the token being the password, and its programs need no sign-in.",
        ],
    )
    for way in _WAYS:
        base = readings[PROXY, way]
        for name in (PROXY, POSTFIX, POSTROOM):
            reading = readings[name, way]
            ratio = median(a / b for a, b in zip(reading.rates, base.rates, strict=True))
            row = [name, way, f"{median(reading.rates):,.1f}", f"{ratio:.2f}", f"{median(reading.cpu):.2f}"]
            said.rows.append([*row, str(reading.refused)])
            if name == POSTROOM:
                said.aims.append(Aim(f"Relay, {way}", "at least 3x emailproxy", f"{ratio:.2f}x", ratio >= 3))
    return said
