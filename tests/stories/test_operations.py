"""The operator's day: a backup while mail goes in, bringing it back, the move to PostgreSQL, metrics of roles."""

from __future__ import annotations

import json
import re
import shlex
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import httpx2
import psycopg
import pytest

from support.lab import RunningLab
from support.postgres import Postgres
from support.postroom import Postroom

SUBMITTER = Path(__file__).parent / "outbox" / "submitter.py"

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def lab() -> Iterator[RunningLab]:
    with RunningLab() as running:
        yield running


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    with Postgres() as server:
        yield server


@pytest.fixture
def postroom(tmp_path: Path, lab: RunningLab) -> Postroom:
    """With one mailbox that sends, and a person."""
    lab.reset()
    made = Postroom(tmp_path / "home")
    made.home.mkdir()
    made.add_cloud(lab.cloud)
    assert made.run("migrate").returncode == 0
    application = lab.application
    made.cli(
        *("mailbox", "add", "Letters", "--provider", "microsoft-365", "--address", application["mailbox"]),
        *("--cloud", "lab", "--tenant", lab.tenant_id, "--client-id", application["client_id"]),
        *("--service-principal-id", application["service_principal_id"]),
    )
    made.cli("credential", "add", "Letters", stdin=application["client_secret"] + "\n")
    made.cli("person", "add", "ada@contoso.example", "--role", "administrator")
    return made


def hand_in(postroom: Postroom, log: Path, lab: RunningLab, first: int, count: int) -> subprocess.Popen[bytes]:
    """A program that hands messages in, and writes the number of each that was accepted to `log`."""
    log.touch()
    return subprocess.Popen(
        [sys.executable, str(SUBMITTER), str(log), str(first), str(count), "1", lab.application["mailbox"]],
        env=postroom.surroundings(),
    )


def numbers(postroom: Postroom) -> set[int]:
    """Of the messages that are kept."""
    rows = postroom.cli("outbox", "list", "--limit", "1000")
    return {int(row["subject"].removeprefix("number ")) for row in rows}


def accepted(log: Path) -> set[int]:
    return set(map(int, log.read_text().split()))


@contextmanager
def serving(postroom: Postroom, *roles: str) -> Iterator[dict[str, Any]]:
    """`postroom serve` with these roles and a port for metrics; yields what it announced."""
    options = [word for role in roles for word in ("--role", role)]
    with (postroom.home / "roles.log").open("ab") as log:
        process = subprocess.Popen(
            [*postroom.program, "serve", "--port", "0", "--metrics-port", "0", "--json", *options],
            env=postroom.surroundings(),
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
    try:
        assert process.stdout is not None
        yield json.loads(process.stdout.readline() or "null")
    finally:
        process.terminate()
        process.wait(60)
        assert process.stdout is not None
        process.stdout.close()


def until(done: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.25)


def metric(address: str, name: str, **labels: str) -> float:
    """One sample; 0 when there is none."""
    text = httpx2.get(address, trust_env=False).text
    wanted = "".join(rf'(?=[^}}]*{label}="{value}")' for label, value in labels.items())
    found = re.search(rf"^{name}{{?{wanted}.*}}? (\S+)$" if labels else rf"^{name} (\S+)$", text, re.MULTILINE)
    return float(found[1]) if found else 0.0


def probe(announced: dict[str, Any], path: str) -> httpx2.Response:
    return httpx2.get(announced["metrics"].replace("/metrics", path), trust_env=False, timeout=30)


def test_a_backup_of_what_is_in_use_and_bringing_it_back(postroom: Postroom, lab: RunningLab, tmp_path: Path) -> None:
    file, log = tmp_path / "a.tar", tmp_path / "accepted"
    with serving(postroom):
        submitter = hand_in(postroom, log, lab, 0, 200)
        until(lambda: len(accepted(log)) >= 20)
        before = accepted(log)
        told = postroom.run("backup", str(file), "--with-key")
        assert told.returncode == 0, told.stderr
        assert "whoever has the file has the secrets" in told.stderr
        assert submitter.wait(120) == 0
        assert len(accepted(log)) == 200
        refused = postroom.cli("restore", str(file), "--force", exit_code=1)
        assert "a server runs" in refused["error"]

    fresh = Postroom(tmp_path / "fresh")
    assert fresh.cli("restore", str(file))["faults"] == []
    assert before <= numbers(fresh) <= accepted(log)
    assert [row["name"] for row in fresh.cli("mailbox", "list")] == ["Letters"]
    assert (fresh.home / "clouds" / "lab.toml").read_text() == (postroom.home / "clouds" / "lab.toml").read_text()
    with serving(fresh) as announced:
        assert (probe(announced, "/readyz").status_code, probe(announced, "/readyz").text) == (200, "ok\n")

    assert "there is data" in fresh.cli("restore", str(file), exit_code=1)["error"]
    (aside,) = fresh.cli("restore", str(file), "--force")["aside"]
    assert Path(aside).is_file()


def test_a_backup_without_the_key_says_so_and_so_does_its_restore(postroom: Postroom, tmp_path: Path) -> None:
    file = tmp_path / "a.tar"
    assert str(postroom.home / "key") in postroom.run("backup", str(file)).stderr
    assert (postroom.home / "key").read_bytes().strip() not in file.read_bytes()
    other = Postroom(tmp_path / "other")
    restored = other.cli("restore", str(file))
    assert any("key" in fault for fault in restored["faults"])
    with serving(other) as announced:
        answer = probe(announced, "/readyz")
        assert answer.status_code == 503
        assert "POSTROOM_KEY" in answer.text
    key = (postroom.home / "key").read_text().strip()
    with serving(Postroom(other.home, environment={"POSTROOM_KEY": key})) as announced:
        assert probe(announced, "/readyz").status_code == 200


def test_from_sqlite_to_postgresql_in_one_command(
    postroom: Postroom, lab: RunningLab, postgres: Postgres, tmp_path: Path
) -> None:
    log, url = tmp_path / "accepted", postgres.url("moved")
    assert hand_in(postroom, log, lab, 0, 12).wait(60) == 0
    postroom.cli("outbox", "cancel", str(postroom.cli("outbox", "list")[0]["id"]))
    on_sqlite = postroom.cli("outbox", "stats")
    database = postroom.home / "postroom.sqlite3"

    with serving(postroom, "web"):
        assert "a server runs" in postroom.cli("database", "move", "--to", url, exit_code=1)["error"]

    # SQLite does not insist on lengths, PostgreSQL does: the whole move fails, and may be repeated.
    change(database, "UPDATE outbox_message SET subject = subject || ?", "x" * 300)
    failed = postroom.cli("database", "move", "--to", url, exit_code=1)
    assert "value too long" in failed["error"]
    with psycopg.connect(url) as opened:
        assert opened.execute("SELECT count(*) FROM mailboxes_mailbox").fetchone() == (0,)
    change(database, "UPDATE outbox_message SET subject = replace(subject, ?, '')", "x" * 300)

    moved = postroom.cli("database", "move", "--to", url)
    assert moved["tables"]["outbox_message"] == moved["tables"]["outbox_body"] == 12
    assert postroom.cli("outbox", "stats") == on_sqlite

    there = Postroom(postroom.home, environment={"DATABASE_URL": url})
    assert there.cli("outbox", "stats") == on_sqlite
    assert numbers(there) == accepted(log)
    there.cli("person", "add", "grace@contoso.example", "--role", "reader")  # its id is a new one
    assert there.run("person", "audit-verify").returncode == 0  # the chain of digests has come over whole
    assert "not empty" in postroom.cli("database", "move", "--to", url, exit_code=1)["error"]

    with serving(there, "worker") as worker, serving(there, "submission") as door:
        until(lambda: metric(worker["metrics"], "postroom_attempts_total", outcome="sent") == 11)
        assert metric(door["metrics"], "postroom_workers") == 1
        assert metric(door["metrics"], "postroom_messages", state="cancelled") == 1
        assert metric(door["metrics"], "postroom_attempts_total", outcome="sent") == 0
        assert metric(door["metrics"], "postroom_lane_holder", mailbox="Letters") == 1
        assert probe(door, "/readyz").text == "ok\n"
    assert there.cli("outbox", "stats")["sent"] == 11


def test_on_postgresql_the_command_that_is_told_works(postgres: Postgres, tmp_path: Path) -> None:
    url = postgres.url("told")
    there = Postroom(tmp_path, environment={"DATABASE_URL": url.replace("postroom@", "postroom:planted-password@")})
    assert there.run("migrate").returncode == 0
    file = tmp_path / "dump"
    told = there.cli("backup", str(file), exit_code=1)
    assert "planted-password" not in json.dumps(told)
    command = shlex.split(told["fix"].partition(";")[0])
    assert subprocess.run(command, capture_output=True, timeout=60).returncode == 0
    with psycopg.connect(url, autocommit=True) as opened:
        opened.execute("DROP TABLE outbox_lane CASCADE")
    file_command = there.cli("restore", str(file), exit_code=1)["fix"].partition(";")[0]
    assert subprocess.run(shlex.split(file_command), capture_output=True, timeout=60).returncode == 0
    assert there.cli("outbox", "stats")["total"] == 0


def test_a_target_that_is_no_empty_postgresql_is_refused(postroom: Postroom, postgres: Postgres) -> None:
    for target, why in (
        ("sqlite:////tmp/other.sqlite3", "not PostgreSQL"),
        (f"postgresql://postroom@127.0.0.1:{postgres.port}/missing", "does not exist"),
        ("mysql://localhost/postroom", "not PostgreSQL"),
    ):
        assert why in postroom.cli("database", "move", "--to", target, exit_code=1)["error"]
    foreign = postgres.url("foreign")
    with psycopg.connect(foreign, autocommit=True) as opened:
        opened.execute("CREATE TABLE invoices (id int)")
    assert "invoices" in postroom.cli("database", "move", "--to", foreign, exit_code=1)["error"]


def change(database: Path, statement: str, value: str) -> None:
    """Beside Postroom's back."""
    with closing(sqlite3.connect(database)) as opened:
        opened.execute(statement, [value])
        opened.commit()
