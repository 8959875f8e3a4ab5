"""The stage of a run: a folder on disk, the lab, the sink, and Postroom in as many processes as are wanted."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from bench import load
from bench.prepare import RECIPIENT, Order
from bench.processes import Failed, Program, free_port, running, wait_for, wait_for_port
from support.lab import RunningLab
from support.postgres import Postgres

__all__ = ["RECIPIENT", "Postroom", "Sink", "Stage", "run_module", "stage"]


@dataclass
class Sink:
    """The sink, asked over its second port."""

    smtp: int
    control: int

    def ask(self, question: str) -> Any:
        with socket.create_connection(("127.0.0.1", self.control)) as sock, sock.makefile("rw") as lines:
            lines.write(question + "\n")
            lines.flush()
            return json.loads(lines.readline())

    @property
    def taken(self) -> int:
        return int(self.ask("count")["taken"])

    def wait_for(self, tag: str, count: int, seconds: float) -> list[float]:
        """Until so many messages with this subject have come; when each came. Raises `Failed`."""
        return wait_for(lambda: self._times(tag, count), f"{count} messages {tag!r} have arrived", seconds)

    def _times(self, tag: str, count: int) -> list[float]:
        times = self.ask(f"times {tag}")
        return list(times) if len(times) >= count else []


@dataclass
class Postroom:
    """One installation of Postroom: a home, a database, a port."""

    home: Path
    database: str = ""
    """`DATABASE_URL`; "" for SQLite in the home."""
    port: int = 0
    sender: str = ""
    name: str = ""
    secret: str = field(default="", repr=False)
    mailboxes: list[int] = field(default_factory=list)

    @property
    def environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("POSTROOM_")}
        kept.pop("DATABASE_URL", None)
        return kept | {"POSTROOM_HOME": str(self.home)} | ({"DATABASE_URL": self.database} if self.database else {})

    @contextmanager
    def serving(self, *roles: str, processes: int = 1) -> Iterator[list[Program]]:
        """`postroom serve` with these roles, until the block ends."""
        options = [word for role in roles for word in ("--role", role)]
        command = [sys.executable, "-m", "postroom", "serve", *options]
        with ExitStack() as stack:
            programs = [
                stack.enter_context(running(command, self.home / f"serve-{number}.log", self.environment))
                for number in range(processes)
            ]
            if "submission" in roles:
                for program in programs:
                    wait_for(partial(_listens, program, self.port), f"port {self.port} is open")
            yield programs

    def run(self, module: str, order: Any) -> Any:
        """One of our modules in a process of its own; its line of JSON."""
        return run_module(module, order, self.environment)

    def order(self, **changes: Any) -> load.Order:
        """Messages to this installation, signed in."""
        base = load.Order(self.port, self.sender, RECIPIENT, name=self.name, secret=self.secret)
        return load.Order(**(asdict(base) | changes))


def _listens(program: Program, port: int) -> bool:
    """Whether this very process has the port open: several may share it. Raises `Failed` when it has ended."""
    program.check()
    inodes = set()
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        words = line.split()
        if words[3] == "0A" and words[1].endswith(f":{port:04X}"):
            inodes.add(f"socket:[{words[9]}]")
    files = Path(f"/proc/{program.process.pid}/fd")
    try:
        return any(str(file.readlink()) in inodes for file in files.iterdir())
    except OSError:
        return False


@dataclass
class Stage:
    """What all measurements of a run share."""

    folder: Path
    lab: RunningLab
    sink: Sink
    postgres: Postgres

    @property
    def address(self) -> str:
        return str(self.lab.application["mailbox"])

    def postroom(
        self, name: str, *, addresses: Sequence[str] = (), database: str = "", to_lab: bool = False, **limits: int
    ) -> Postroom:
        """A new installation, set up; `limits` are fields of `prepare.Order`."""
        home = self.folder / name
        home.mkdir()
        senders = list(addresses) or [self.address]
        made = Postroom(home, database, free_port(), senders[0])
        smtp = self.lab.cloud["smtp_port"] if to_lab else self.sink.smtp
        order = Order(self.lab.described, smtp, senders, listener_port=made.port, **limits)
        said = made.run("bench.prepare", asdict(order))
        made.name, made.secret, made.mailboxes = said["name"], said["secret"], said["mailboxes"]
        return made


def run_module(module: str, order: Any, environment: dict[str, str] | None = None) -> Any:
    """`python -m module JSON`: its last line, as JSON. Raises `Failed`."""
    done = subprocess.run(
        [sys.executable, "-m", module, json.dumps(order)], env=environment, text=True, capture_output=True, check=False
    )
    if done.returncode:
        raise Failed(f"{module} failed:\n{done.stderr[-3000:]}")
    return json.loads(done.stdout.splitlines()[-1])


@contextmanager
def stage() -> Iterator[Stage]:
    """A lab with its limits off, the sink, and an empty PostgreSQL. All lies on disk, and goes away at the end."""
    with tempfile.TemporaryDirectory(prefix="postroom-bench-", dir="/var/tmp", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        folder.chmod(0o755)  # Postfix's own user has to pass
        with Postgres() as postgres, RunningLab(folder=folder / "lab") as lab:
            lab.control(
                "PATCH", "/limits", {"messages_per_minute": None, "connections": None, "recipients_per_day": None}
            )
            order = {"tls": str(folder / "lab" / "tls"), "introspection": lab.introspection_url}
            log = folder / "sink.log"
            command = [sys.executable, "-m", "bench.sink", json.dumps(order)]
            with running(command, log) as program:
                ports = wait_for(lambda: _said(program), "the sink has started")
                wait_for_port(ports["smtp"], program)
                yield Stage(folder, lab, Sink(**ports), postgres)


def _said(program: Program) -> Any:
    program.check()
    lines = program.log.read_text().splitlines()
    return json.loads(lines[0]) if lines else None
