"""Postroom on SQLite and on PostgreSQL, with workers and submitters as processes that can be killed."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import pytest

from support.lab import RunningLab
from support.postgres import Postgres
from support.postroom import Postroom

SUBMITTER = Path(__file__).with_name("submitter.py")


@dataclass
class MailRoom:
    """One installation with two mailboxes, for which nothing limits the pace."""

    lab: RunningLab
    postroom: Postroom
    workers: list[subprocess.Popen[bytes]] = field(default_factory=list)
    mailboxes: list[int] = field(default_factory=list)

    @property
    def address(self) -> str:
        return self.lab.application["mailbox"]

    def set_up(self) -> list[int]:
        """Adds the mailboxes; returns their ids."""
        self.postroom.add_cloud(self.lab.cloud)
        assert self.postroom.run("migrate").returncode == 0
        self.lab.control(
            "PATCH",
            "/limits",
            dict.fromkeys(
                ["messages_per_minute", "connections", "recipients_per_day", "graph_concurrent", "graph_requests"]
            ),
        )
        application = self.lab.application
        found = []
        for name, provider in (("Letters", "microsoft-365"), ("Cards", "microsoft-365-graph")):
            added = self.postroom.cli(
                *(
                    "mailbox",
                    "add",
                    name,
                    "--provider",
                    provider,
                    "--address",
                    self.address,
                    "--cloud",
                    "lab",
                    "--read",
                ),
                *("--tenant", self.lab.tenant_id, "--client-id", application["client_id"]),
                *("--service-principal-id", application["service_principal_id"]),
                *("--messages-per-minute", "1000000", "--recipients-per-day", "10000000", "--connections", "4"),
            )
            found.append(int(added["id"]))
        self.postroom.cli("credential", "add", "Letters", stdin=application["client_secret"] + "\n")
        return found

    def start_worker(self) -> subprocess.Popen[bytes]:
        with (self.postroom.home / "worker.log").open("ab") as log:
            worker = subprocess.Popen(
                [*self.postroom.program, "serve", "--role", "worker", "--json"],
                env=self.postroom.surroundings(),
                stdout=subprocess.DEVNULL,
                stderr=log,
            )
        self.workers.append(worker)
        return worker

    def start_submitter(self, log: Path, first: int, count: int, mailboxes: list[int]) -> subprocess.Popen[bytes]:
        ids = ",".join(map(str, mailboxes))
        return subprocess.Popen(
            [sys.executable, str(SUBMITTER), str(log), str(first), str(count), ids, self.address],
            env=self.postroom.surroundings(),
        )

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """What the tables hold; a look by the command takes a process each time."""
        url = self.postroom.environment.get("DATABASE_URL")
        if url:
            with psycopg.connect(url) as connection:
                return connection.execute(query.encode()).fetchall()
        with closing(sqlite3.connect(self.postroom.home / "postroom.sqlite3", timeout=30)) as connection:
            return connection.execute(query).fetchall()

    def stats(self) -> Counter[str]:
        """Messages by state, and `open`: those that will be sent without anybody doing anything."""
        found = Counter(dict(self.rows("SELECT state, count(*) FROM outbox_message GROUP BY state")))
        found["open"] = found["queued"] + found["sending"] + found["deferred"] + found["unknown"]
        return found

    def until(self, done: Callable[[Counter[str]], bool], seconds: float = 120) -> Counter[str]:
        """Waits until the counts are so."""
        deadline = time.monotonic() + seconds
        while not done(stats := self.stats()):
            assert time.monotonic() < deadline, f"{json.dumps(stats)}\n{self.log[-3000:]}"
            time.sleep(0.2)
        return stats

    @property
    def log(self) -> str:
        return (self.postroom.home / "worker.log").read_text()

    def gone(self) -> list[str]:
        """Recipient of each message that left the tenant, as often as it did."""
        return [recipient for one in self.lab.control("GET", "/gone") for recipient in one["recipients"]]

    def stop(self) -> None:
        for worker in self.workers:
            worker.terminate()
        for worker in self.workers:
            try:
                worker.wait(40)
            finally:
                worker.kill()


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    with Postgres() as server:
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def mail_room(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[MailRoom]:
    """On each of the two databases, with a lab of its own."""
    environment = {"POSTROOM_SENT_ITEMS_PATIENCE": "2"}
    if request.param == "postgresql":
        environment["DATABASE_URL"] = request.getfixturevalue("postgres").url(tmp_path.name)
    with RunningLab() as lab:
        room = MailRoom(lab, Postroom(tmp_path, environment=environment))
        try:
            yield room
        finally:
            room.stop()
