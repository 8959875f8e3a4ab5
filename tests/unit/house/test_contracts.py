"""Each import contract of `make check` is shown to fail on a planted violation."""

import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]

PLANTED = {
    "downwards": ("postroom/microsoft/planted.py", "import postroom.mailboxes.service\n"),
    "acyclic": ("postroom/core/clock.py", "def late():\n    import postroom.core.encryption_planted\n"),
    "doors": ("postroom/mailboxes/pages.py", "from postroom.mailboxes import models\n"),
    "pure": ("postroom/microsoft/planted.py", "import django.db\n"),
    "mail-is-pure": ("postroom/mail/planted.py", "import socket\n"),
    "lab-by-url": ("postroom/transports/planted.py", "import m365lab.tenant\n"),
}
# The other half of a planted cycle.
ALSO = {"acyclic": ("postroom/core/encryption_planted.py", "import postroom.core.clock\n")}


def lint(tree: Path, contract: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(Path(sys.executable).parent / "lint-imports"), "--no-cache", "--contract", contract],
        cwd=tree,
        env=os.environ | {"PYTHONPATH": str(tree / "src")},
        capture_output=True,
        text=True,
    )


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    copy = tmp_path_factory.mktemp("planted")
    shutil.copytree(ROOT / "src", copy / "src", ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    shutil.copy(ROOT / "pyproject.toml", copy)
    return copy


def test_every_contract_has_a_planted_violation():
    config = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert {c["id"] for c in config["tool"]["importlinter"]["contracts"]} == set(PLANTED)


@pytest.mark.parametrize("contract", PLANTED)
def test_planted_violation_is_caught(tree: Path, contract: str):
    assert lint(tree, contract).returncode == 0, "the contract is broken before anything is planted"
    files = [PLANTED[contract], *([ALSO[contract]] if contract in ALSO else [])]
    before = {name: (tree / "src" / name).read_text() if (tree / "src" / name).exists() else None for name, _ in files}
    try:
        for name, text in files:
            with (tree / "src" / name).open("a") as file:
                file.write("\n" + text)
        assert "BROKEN" in lint(tree, contract).stdout
    finally:
        for name, text in before.items():
            if text is None:
                (tree / "src" / name).unlink()
            else:
                (tree / "src" / name).write_text(text)
