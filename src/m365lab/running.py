"""Where a running lab leaves its control address, so that `python -m m365lab fault on ...` finds it."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import platformdirs

_FILE = "running.json"


@dataclass(frozen=True)
class Running:
    """How to speak with a running lab."""

    control: str
    key: str = field(repr=False)
    ca_file: str = ""


def place(folder: Path | None) -> Path:
    """The file for a lab with this state folder; without one, in the user's own state directory."""
    return (folder or platformdirs.user_state_path("m365lab")) / _FILE


def announce(path: Path, described: dict[str, Any]) -> None:
    """Writes the file, readable by its owner only. The lab that was started last is the one that is found.

    Raises `OSError` where nothing can be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    values = {"pid": os.getpid()} | {name: described[name] for name in ("control", "control_key", "ca_file")}
    fresh = path.with_suffix(f".{os.getpid()}")
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        json.dump(values, file)
    fresh.replace(path)


def withdraw(path: Path) -> None:
    """Removes the file if it is still ours."""
    try:
        if json.loads(path.read_text())["pid"] == os.getpid():
            path.unlink()
    except (OSError, ValueError, KeyError):
        return


def find(path: Path) -> Running | None:
    """The lab that announced itself there."""
    try:
        values = json.loads(path.read_text())
        return Running(values["control"], values["control_key"], values["ca_file"])
    except (OSError, ValueError, KeyError):
        return None
