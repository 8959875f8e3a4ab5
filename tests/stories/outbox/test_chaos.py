"""Processes are killed at random points (SIGKILL), and the other side misbehaves: nothing accepted is lost.

What was accepted is what a submitter wrote down after the answer. Each message has a recipient of its own, so the lab
tells how often each one left. The counts are printed.
"""

from __future__ import annotations

import os
import random
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

import httpx2
import pytest

from stories.outbox.conftest import MailRoom

MESSAGES = int(os.environ.get("CHAOS_MESSAGES", "1500"))
"""`make chaos` asks for 10,000; each run of the tests for fewer, so that it ends in minutes."""
_PER_SUBMITTER = max(MESSAGES // 4, 300)
_FAULTS: tuple[tuple[str, dict[str, object]], ...] = (
    ("smtp-lost-before-answer", {}),
    ("smtp-lost-after-taking", {}),
    ("smtp-lost-in-data", {}),
    ("smtp-reply", {"step": "rcpt", "reply": "451 4.3.0 try again"}),
    ("smtp-reply", {"step": "mail", "reply": "421 4.3.2 closing"}),
    ("graph-lost", {}),
    ("graph-down", {"status": 503}),
    ("imap-lost", {}),
)


@pytest.mark.timeout(1200)
def test_nothing_accepted_is_lost(mail_room: MailRoom, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    chance = random.Random(4)
    log = tmp_path / "accepted"
    mailboxes = mail_room.set_up()
    kills = _storm(mail_room, log, mailboxes, chance)
    mail_room.lab.control("DELETE", "/faults")
    while len(mail_room.workers) < 2:
        mail_room.start_worker()
    stats = mail_room.until(lambda counts: not counts["open"], 900)
    accepted = {int(line) for line in log.read_text().split()}
    arrived = Counter(int(recipient[1:].partition("@")[0]) for recipient in mail_room.gone())
    lost = accepted - arrived.keys()
    twice = {number: times for number, times in arrived.items() if times > 1}
    with capsys.disabled():
        print(  # noqa: T201 - the counts are part of what is asked for
            f"\n{mail_room.postroom.environment.get('DATABASE_URL', 'sqlite')[:10]}: {len(accepted)} accepted, "
            f"{len(arrived)} arrived, {len(lost)} lost, {len(twice)} twice, {kills} kills, {stats}"
        )
    assert len(accepted) >= MESSAGES
    assert lost == set()
    # Both mailboxes can look into Sent Items, so each message goes out once (docs/outbox.md).
    assert twice == {}
    assert stats["failed"] == stats["expired"] == 0


def _storm(room: MailRoom, log: Path, mailboxes: list[int], chance: random.Random) -> int:
    """Submitters and workers run, are killed and replaced, until enough was accepted; returns how many were killed."""
    log.touch()
    first, kills = 0, 0
    worker = room.start_worker()
    submitter = room.start_submitter(log, first, _PER_SUBMITTER, mailboxes)
    while (done := len(log.read_text().split())) < MESSAGES:
        time.sleep(chance.uniform(1.0, 4.0))
        name, values = chance.choice(_FAULTS)
        with suppress(httpx2.HTTPStatusError):
            room.lab.control("PUT", f"/faults/{name}", {"times": chance.randint(1, 3), "values": values})
        if chance.random() < 0.3:
            worker.kill()
            worker.wait()
            room.workers.remove(worker)
            worker = room.start_worker()
            kills += 1
        if submitter.poll() is not None or chance.random() < 0.2:
            kills += submitter.poll() is None
            submitter.kill()
            submitter.wait()
            # Numbers that were handed in and not answered are never used again: they may have been kept, or not.
            first += _PER_SUBMITTER
            submitter = room.start_submitter(log, first, _PER_SUBMITTER, mailboxes)
        assert done <= MESSAGES + _PER_SUBMITTER
    submitter.kill()
    submitter.wait()
    return kills
