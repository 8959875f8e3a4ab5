"""The locks pin everything with hashes and name no host."""

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
LOCKS = ["requirements.lock", "requirements-dev.lock"]


@pytest.mark.parametrize("name", LOCKS)
def test_every_pin_has_a_hash_and_no_host_is_named(name: str):
    text = (ROOT / name).read_text()
    assert "://" not in text
    pins = re.split(r"\n(?=\S)", text.strip())
    assert all("==" in pin and "--hash=sha256:" in pin for pin in pins)


@pytest.mark.parametrize("name", LOCKS)
def test_every_declared_dependency_is_pinned(name: str):
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    pinned = {line.split("==")[0].lower() for line in (ROOT / name).read_text().splitlines() if "==" in line}
    missing = {re.split(r"[\[<>=!~ ]", d)[0].lower() for d in declared} - pinned
    assert not missing, f"run make lock: {sorted(missing)}"
