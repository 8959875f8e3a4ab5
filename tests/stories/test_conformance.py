"""docs/conformance.md names only what is there: every path exists, and every test is one that pytest collects."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "conformance.md").read_text()
NAMED = re.findall(r"`((?:src|tests|docs)/[^`]+|pyproject\.toml)`", TEXT)
ROWS = re.findall(r"^\| ([MX]\d+) \| .+ \| (yes|partly|no) \| (.+) \| (.+) \|$", TEXT, re.MULTILINE)
WANTED = [*(f"M{n}" for n in range(1, 17)), *(f"X{n}" for n in (*range(1, 14), 22, 23, 25))]


def test_every_row_says_code_and_test() -> None:
    assert [row for row, *_ in ROWS] == WANTED
    for row, met, code, test in ROWS:
        assert "`src/" in code, row
        assert "`tests/" in test, row
        assert met == "yes" or f"\n- {row}: " in TEXT, f"{row} says nowhere what is missing"


def test_every_path_exists() -> None:
    assert [name for name in NAMED if not (ROOT / name.partition("::")[0]).exists()] == []


def test_every_test_is_collected() -> None:
    tests = sorted({name for name in NAMED if name.startswith("tests/")})
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", *tests]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
