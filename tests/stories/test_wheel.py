"""The wheel is complete: built, installed in an empty environment, it does the main job from there."""

import os
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

pytestmark = [pytest.mark.timeout(600), pytest.mark.xdist_group("wheel")]


def run(*command: object, **kwargs: object) -> str:
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, **kwargs)  # type: ignore[call-overload]
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return str(done.stdout)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder, cwd=ROOT)
    return next(folder.glob("*.whl"))


def test_the_wheel_holds_pages_styles_migrations_and_data(wheel: Path):
    names = set(zipfile.ZipFile(wheel).namelist())
    sources = {
        path.relative_to(ROOT / "src").as_posix()
        for path in (ROOT / "src").rglob("*")
        if path.is_file() and path.suffix not in {".pyc"} and "__pycache__" not in path.parts
    }
    assert sources <= names, sorted(sources - names)[:10]
    assert any(name.endswith("0001_initial.py") for name in names)


def test_installed_alone_it_does_the_main_job(wheel: Path, tmp_path: Path):
    venv.create(tmp_path / "env", with_pip=True)
    bin_ = tmp_path / "env" / ("Scripts" if os.name == "nt" else "bin")
    run(bin_ / "python", "-m", "pip", "install", "-q", "--require-hashes", "-r", ROOT / "requirements.lock")
    run(bin_ / "python", "-m", "pip", "install", "-q", "--no-deps", wheel)
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("POSTROOM", "DJANGO", "PYTHON"))}
    said = run(bin_ / "postroom", "demo", "--once", "--home", tmp_path / "home", cwd=tmp_path, env=environment)
    for way in ("SMTP", "IMAP", "POP3", "Graph"):
        assert way in said
