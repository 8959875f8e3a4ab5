"""The lab as a process of its own: started, described by its one line of JSON, stopped."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from postroom.core.faults import Fault

COMMAND = (sys.executable, "-m", "m365lab")


@contextmanager
def running(folder: Path) -> Iterator[dict[str, Any]]:
    """A lab that keeps its tenant in `folder`, on free ports; yields what `--json` says. Raises `Fault`."""
    ports = (
        "--https-port",
        "0",
        "--smtp-port",
        "0",
        "--imap-port",
        "0",
        "--pop-port",
        "0",
        "--introspection-port",
        "0",
    )
    with subprocess.Popen(  # noqa: S603 - our own interpreter and package
        [*COMMAND, "serve", "--json", "--folder", str(folder), *ports], stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            yield _first_line(process)
        finally:
            process.terminate()


def _first_line(process: subprocess.Popen[str]) -> dict[str, Any]:
    line = process.stdout.readline() if process.stdout else ""
    try:
        said = json.loads(line)
    except ValueError:
        said = None
    if not isinstance(said, dict):
        raise Fault("the lab did not start", "Run it alone to see why: postroom lab")
    return said
