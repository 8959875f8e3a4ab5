"""Hands messages in as fast as it can, and writes down each one that was accepted. Run as a program, to be killed.

submitter.py LOG FIRST COUNT MAILBOX[,MAILBOX] ADDRESS
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import django


async def hand_in(log: Path, numbers: range, mailboxes: list[int], address: str) -> None:
    from postroom.mail.envelope import Envelope
    from postroom.outbox.accept import accept_async
    from postroom.outbox.values import Caller, Door, Refusal, Submission

    gate = asyncio.Semaphore(20)
    accepted = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    async def one(number: int) -> None:
        to = f"n{number}@example.com"
        raw = f"From: {address}\r\nTo: {to}\r\nSubject: number {number}\r\n\r\n".encode() + b"some words\r\n" * 20
        submission = Submission(
            Caller("cli:chaos"), Door.CLI, raw, Envelope(address, (to,)), mailbox=mailboxes[number % len(mailboxes)]
        )
        while True:
            try:
                await accept_async(submission)
            except Refusal as refusal:
                if not refusal.temporary:
                    raise
                await asyncio.sleep(0.2)
                continue
            os.write(accepted, f"{number}\n".encode())
            return

    async def gated(number: int) -> None:
        async with gate:
            await one(number)

    await asyncio.gather(*(gated(number) for number in numbers))


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "postroom.settings")
    django.setup()
    path, first, count, ids, sender = sys.argv[1:]
    asyncio.run(
        hand_in(Path(path), range(int(first), int(first) + int(count)), [int(one) for one in ids.split(",")], sender)
    )
