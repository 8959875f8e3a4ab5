"""A worker with urgent messages coming in beside it, in one process as `postroom serve` is.

    python -m bench.engine '{"mailboxes": [1, 2], "addresses": [...], "seconds": 30, "each": 0.1}'

Prints when each urgent message was handed in (monotonic clock), how many lanes ran, and the memory in bytes.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.prepare import RECIPIENT
from postroom.cli.starting import start

_PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True)
class Order:
    mailboxes: list[int]
    addresses: list[str]
    seconds: float
    each: float
    """Seconds between two urgent messages."""
    settle: float
    """Seconds before the first one: lanes are opened and connected."""
    tag: str


async def run(order: Order) -> dict[str, Any]:
    from postroom.outbox import accept
    from postroom.outbox.worker import Worker

    worker = Worker()
    working = asyncio.create_task(worker.run())
    await asyncio.sleep(order.settle)
    handed_in: dict[str, float] = {}
    chance = random.Random(1)
    ends = time.monotonic() + order.seconds
    while time.monotonic() < ends:
        subject = f"{order.tag}.{len(handed_in)}"
        submission = _urgent(*chance.choice(list(zip(order.mailboxes, order.addresses, strict=True))), subject)
        handed_in[subject] = time.monotonic()
        await accept.accept_async(submission)
        await asyncio.sleep(order.each)
    said = {"handed_in": handed_in, "lanes": worker.lanes, "memory": _memory()}
    await asyncio.sleep(2)
    worker.stop()
    await working
    return said


def _memory() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE


def _urgent(mailbox: int, address: str, subject: str) -> Any:
    from postroom.mail.envelope import Envelope
    from postroom.outbox.values import Caller, Door, Priority, Submission

    message = f"From: <{address}>\r\nTo: <{RECIPIENT}>\r\nSubject: {subject}\r\n\r\nYour code is 123456\r\n"
    envelope = Envelope(address, (RECIPIENT,))
    return Submission(Caller("bench"), Door.REST, message.encode(), envelope, mailbox=mailbox, priority=Priority.URGENT)


if __name__ == "__main__":
    start()
    print(json.dumps(asyncio.run(run(Order(**json.loads(sys.argv[1]))))))
