"""The disk is full, the database is gone: nobody hears yes for what is not kept, and all goes on when it is mended."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from stories.outbox.conftest import MailRoom
from support.lab import RunningLab
from support.postgres import Postgres
from support.postroom import Postroom

FULL = Path(__file__).with_name("full_disk.py")


@pytest.fixture
def on_postgres(tmp_path: Path) -> Iterator[tuple[MailRoom, Postgres]]:
    with Postgres() as server, RunningLab() as lab:
        environment = {"POSTROOM_SENT_ITEMS_PATIENCE": "2", "DATABASE_URL": server.url("gone")}
        room = MailRoom(lab, Postroom(tmp_path, environment=environment))
        try:
            yield room, server
        finally:
            room.stop()


@pytest.mark.timeout(400)
def test_the_database_goes_away_and_comes_back(on_postgres: tuple[MailRoom, Postgres]) -> None:
    room, server = on_postgres
    mailboxes = room.set_up()
    room.start_worker()
    log = room.postroom.home / "accepted"
    submitter = room.start_submitter(log, 0, 400, mailboxes)
    deadline = time.monotonic() + 60
    while not log.exists() or len(log.read_text().split()) < 50:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    server.stop("immediate")  # as a crash would
    time.sleep(2.0)  # the outage
    server.start()
    assert submitter.wait(120) == 0
    assert len(log.read_text().split()) == 400
    # Those that were committed when the server fell, and not answered, were handed in again.
    counts = room.until(lambda counts: not counts["open"], 180)
    assert counts["sent"] >= 400
    assert set(room.gone()) == {f"n{number}@example.com" for number in range(400)}


@pytest.mark.timeout(300)
def test_a_full_disk(tmp_path: Path) -> None:
    """The database's file cannot grow (RLIMIT_FSIZE): refused for now, what was accepted is there, and it goes on."""
    room = Postroom(tmp_path)
    assert room.run("migrate").returncode == 0
    added = room.cli(
        *("mailbox", "add", "Letters", "--provider", "other", "--address", "letters@contoso.example"),
        *("--smtp-host", "smtp.invalid", "--sign-in-by", "none"),
    )
    done = subprocess.run(
        [sys.executable, str(FULL), str(added["id"])], env=room.surroundings(), text=True, capture_output=True
    )
    assert done.returncode == 0, done.stderr
    accepted, refused, after = map(int, done.stdout.split())
    assert accepted > 0
    assert refused > 0
    assert after == 1
    with closing(sqlite3.connect(tmp_path / "postroom.sqlite3")) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert connection.execute("SELECT count(*) FROM outbox_message").fetchone() == (accepted + after,)
        assert connection.execute("SELECT count(*) FROM outbox_body").fetchone() == (accepted + after,)
