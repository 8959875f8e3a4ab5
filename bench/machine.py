"""The machine that a result belongs to, and how fast its disk makes things durable."""

from __future__ import annotations

import os
import platform
import re
import sqlite3
import statistics
import subprocess
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

_SYNCS = 200


def describe() -> dict[str, Any]:
    """What a reader needs to judge absolute numbers. No host name, no path."""
    found = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "processor": found[1].strip() if found else platform.machine(),
        "cores": os.cpu_count() or 1,
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "postfix": _version("postfix"),
        "postgresql": _version("postgresql").partition("+")[0],
        "fsync_ms": _fsync(),
        "load_before": round(os.getloadavg()[0], 1),
        "commit": _said("git", "describe", "--always", "--dirty"),
    }


def sentence(machine: dict[str, Any]) -> str:
    """For the head of a table."""
    return (
        f"{machine['date']}, commit {machine['commit']}; {machine['processor']}, {machine['cores']} cores, "
        f"{machine['memory_gb']} GB, Linux {machine['kernel']}, fsync {machine['fsync_ms']:.2f} ms, load before "
        f"the run {machine['load_before']}; Python {machine['python']}, SQLite {machine['sqlite']}, "
        f"PostgreSQL {machine['postgresql']}, Postfix {machine['postfix']}."
    )


def _fsync() -> float:
    """Milliseconds that a 5 KB write with fsync takes, the median of many."""
    took = []
    with tempfile.TemporaryFile(dir="/var/tmp", buffering=0) as file:
        for _ in range(_SYNCS):
            began = time.perf_counter()
            file.write(b"x" * 5120)
            os.fsync(file.fileno())
            took.append(time.perf_counter() - began)
    return round(statistics.median(took) * 1000, 3)


def _version(package: str) -> str:
    return _said("dpkg-query", "-W", "-f=${Version}", package)


def _said(*command: str) -> str:
    return subprocess.run(command, text=True, capture_output=True, check=False).stdout.strip() or "unknown"
