"""The whole way by the command line, as processes: sign in, plan, apply killed and taken up again, verify, export."""

from __future__ import annotations

import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from postroom.microsoft.clouds import write_cloud
from support.lab import RunningLab

from .conftest import BOX, TEN_LINES


class Terminal:
    """Somebody at a terminal, with a home of their own."""

    def __init__(self, home: Path, lab: RunningLab) -> None:
        self.home, self.lab = home, lab
        self.said: list[str] = []
        self.environment = {key: value for key, value in os.environ.items() if not key.startswith("POSTROOM_")}
        self.environment |= {"POSTROOM_HOME": str(home), "COLUMNS": "200"}
        self.environment.pop("DATABASE_URL", None)

    def start(self, *words: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "postroom", *words],
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *words: str, status: int = 0) -> str:
        process = self.start(*words)
        out, err = process.communicate(timeout=120)
        self.said += [out, err]
        assert process.returncode == status, (words, out, err)
        return out

    def json(self, *words: str, status: int = 0) -> Any:
        return json.loads(self.run(*words, "--json", status=status))

    def sign_in(self) -> None:
        """Types each code as it is shown."""
        process = self.start("tenant", "signin", "--tenant", "contoso.example", "--cloud", "lab")
        assert process.stderr is not None
        for line in process.stderr:
            self.said.append(line)
            if code := re.search(r"type (\w+)$", line.strip()):
                user = {"user": self.lab.administrator["upn"]}
                self.lab.control("POST", f"/device-codes/{code.group(1)}", user)
        assert process.wait(60) == 0, self.said


@pytest.fixture
def terminal(running_lab: RunningLab, tmp_path: Path) -> Terminal:
    running_lab.reset()
    write_cloud(tmp_path / "clouds", running_lab.cloud)
    terminal = Terminal(tmp_path, running_lab)
    terminal.run("migrate")
    (tmp_path / "wanted.yaml").write_text(TEN_LINES)
    return terminal


def killed_after_a_step(process: subprocess.Popen[str]) -> bool:
    """Sends SIGKILL as soon as one step is said to be done; False when none was left to be done."""
    assert process.stderr is not None
    for line in process.stderr:
        if "\N{CHECK MARK}" in line:
            process.send_signal(signal.SIGKILL)
            break
    process.communicate()
    return process.wait(60) == -signal.SIGKILL


@pytest.mark.timeout(600)
def test_the_whole_way(terminal: Terminal) -> None:
    wanted = str(terminal.home / "wanted.yaml")
    refused = terminal.json("tenant", "plan", wanted, status=1)
    assert "postroom tenant signin" in refused["fix"]
    terminal.sign_in()
    planned = terminal.json("tenant", "plan", wanted)
    assert planned["lacks"] == []
    assert planned["hash"] in terminal.run("tenant", "plan", wanted), "for people it is the same plan"

    kills = [killed_after_a_step(terminal.start("tenant", "apply", planned["hash"])) for _ in range(3)]
    assert kills[0]
    applied = terminal.json("tenant", "apply", planned["hash"])
    assert applied["passed"], applied
    assert 0 < applied["round_trips"]["dependent"] < applied["round_trips"]["total"]
    assert "Nothing to do" in terminal.run("tenant", "plan", "Postroom")
    (application,) = terminal.lab.control("GET", "/applications")
    assert len(application["secrets"]) == 1

    verified = terminal.json("tenant", "verify", "--no-retry")
    assert verified["passed"], verified
    assert BOX in terminal.run("tenant", "observe")
    assert "New-ServicePrincipal" in terminal.run("tenant", "export", "Postroom")
    removed = terminal.json("tenant", "remove", "--with-mailboxes", "--yes")
    assert removed["passed"], removed
    no_secret_is_anywhere(terminal, application["secrets"][0]["value"])


@pytest.mark.timeout(400)
def test_a_file_and_yes_do_it_in_one_go(terminal: Terminal) -> None:
    terminal.sign_in()
    applied = terminal.json("tenant", "apply", str(terminal.home / "wanted.yaml"), "--yes")
    assert applied["passed"], applied
    rotated = terminal.json("tenant", "rotate", "--remove-now")
    assert rotated[0]["setup"] == "Postroom"
    (application,) = terminal.lab.control("GET", "/applications")
    assert len(application["secrets"]) == 1
    no_secret_is_anywhere(terminal, application["secrets"][0]["value"])


def test_faults_are_sentences(terminal: Terminal) -> None:
    (terminal.home / "bad.yaml").write_text("tenant: contoso.example\ncloud: lab\nmailbox: [x]\n")
    said = terminal.json("tenant", "plan", str(terminal.home / "bad.yaml"), status=1)
    assert "line 3" in said["error"]
    assert "did you mean mailboxes?" in said["error"]
    assert "not one that was shown" in terminal.json("tenant", "apply", "0123456789abcdef", status=1)["error"]


def no_secret_is_anywhere(terminal: Terminal, secret: str) -> None:
    """Neither the application's secret nor the administrator's tokens, in what was said or is in the database."""
    said = "\n".join(terminal.said)
    dump = "\n".join(sqlite3.connect(terminal.home / "postroom.sqlite3").iterdump())
    for text in (said, dump):
        assert secret not in text
        assert "eyJ0eXAi" not in text
        assert "refresh_token" not in text
