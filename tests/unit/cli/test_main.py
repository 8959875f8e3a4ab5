"""The root command: quick, lazy, and faults in a line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from postroom.app import COMMANDS


def postroom(home: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("POSTROOM_", "DATABASE_URL"))}
    return subprocess.run(
        [str(Path(sys.executable).with_name("postroom")), *arguments],
        env={**kept, "POSTROOM_HOME": str(home), "COLUMNS": "200", **environment},
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["key", "new"]])
def test_what_needs_no_table_imports_no_django_and_leaves_no_trace(tmp_path: Path, arguments: list[str]) -> None:
    home = tmp_path / "home"
    code = (
        "import sys; from postroom.cli.main import run\n"
        "try: run()\nfinally: print('django' in sys.modules, file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        env={**os.environ, "POSTROOM_HOME": str(home)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0
    assert done.stderr.splitlines()[-1] == "False"
    assert not home.exists()


def test_help_lists_every_room(tmp_path: Path) -> None:
    text = postroom(tmp_path, "--help").stdout
    for name, _ in COMMANDS:
        assert name in text
    assert "People who sign in" in text  # the purpose comes from the module, which was not imported


def test_a_fault_is_one_line_and_its_fix(tmp_path: Path) -> None:
    done = postroom(tmp_path, "person", "list")
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr == "error: the database is not set up for this version of Postroom\nfix: postroom migrate\n"


def test_programs_get_the_fault_as_json(tmp_path: Path) -> None:
    postroom(tmp_path, "migrate")
    done = postroom(tmp_path, "person", "link", "nobody@contoso.example", "--json")
    assert done.returncode == 1
    assert json.loads(done.stdout)["error"] == "there is nobody with the address nobody@contoso.example"


def test_a_traceback_is_shown_when_asked_for(tmp_path: Path) -> None:
    done = postroom(tmp_path, "--debug", "person", "list")
    assert "Traceback" in done.stderr
    assert done.returncode == 1


@pytest.mark.parametrize("arguments", [["nonsense"], ["person", "add"], ["serve", "--port", "x"], ["--nonsense"]])
def test_a_command_that_is_not_written_right_ends_with_2(tmp_path: Path, arguments: list[str]) -> None:
    assert postroom(tmp_path, *arguments).returncode == 2


def test_a_bad_setting_is_named(tmp_path: Path) -> None:
    done = postroom(tmp_path, "person", "list", DATABASE_URL="mysql://x/y")
    assert done.returncode == 1
    assert "DATABASE_URL" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_port_in_use_is_said(tmp_path: Path) -> None:
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        done = postroom(tmp_path, "serve", "--port", str(taken.getsockname()[1]))
    assert done.returncode == 1
    assert "error: cannot listen on 127.0.0.1" in done.stderr
    assert "Traceback" not in done.stderr


def test_people_are_kept_by_commands(tmp_path: Path) -> None:
    postroom(tmp_path, "migrate")
    added = json.loads(
        postroom(tmp_path, "person", "add", "ada@contoso.example", "--role", "administrator", "--json").stdout
    )
    assert added["link"].startswith("http://127.0.0.1:8025/account/link#")
    assert postroom(tmp_path, "person", "deactivate", "ada@contoso.example").returncode == 1
    rows = json.loads(postroom(tmp_path, "person", "list", "--json").stdout)
    assert [(row["email"], row["role"], row["active"]) for row in rows] == [
        ("ada@contoso.example", "administrator", True)
    ]
    verified = json.loads(postroom(tmp_path, "person", "audit-verify", "--json").stdout)
    assert verified["events"] == 2
