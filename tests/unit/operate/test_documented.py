"""docs/operations.md names every metric, and only commands that exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from postroom.cli.main import app
from postroom.operate import metrics

PAGE = (Path(__file__).parents[3] / "docs/operations.md").read_text()
COMMANDS = sorted(
    {
        " ".join(found)
        for found in re.findall(
            r"postroom (outbox|mailbox|credential|database|backup|restore|migrate|serve)(?: ([a-z]+))?\b", PAGE
        )
    }
)


def test_every_metric_is_documented_and_nothing_else(db: None) -> None:
    families = re.findall(r"^# TYPE (postroom\w+?)(?:_created)? ", metrics.text()[1].decode(), re.MULTILINE)
    documented = re.findall(r"^\| `(postroom_\w+)`", PAGE, re.MULTILINE)
    assert set(families) == set(documented)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_exists(command: str) -> None:
    done = CliRunner().invoke(app, [*command.split(), "--help"])
    assert done.exit_code == 0, done.output
    assert "Usage:" in done.output
