"""Backup of the embedded database while it is in use, and restoring it.

A backup is one tar file: `manifest.json`, `postroom.sqlite3`, the clouds, and, only when asked for, what is secret:
`key`, and the certificates with their keys that listeners made (`tls/`).
"""

from __future__ import annotations

import io
import json
import os
import re
import sqlite3
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from postroom import __version__
from postroom.core.clock import now
from postroom.core.faults import Fault
from postroom.core.keys import Keys
from postroom.core.settings import Settings, settings

MANIFEST, DATABASE, KEY = "manifest.json", "postroom.sqlite3", "key"
_MEMBER = re.compile(r"(clouds|tls)/[\w.-]{1,200}")
"""What else a backup may hold: nothing that could be written outside of the home."""
_NOT_ONE = "Name a file that `postroom backup` made."


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a backup says of itself."""

    version: str
    """Of Postroom."""
    made_at: str
    """ISO 8601, UTC."""
    with_key: bool
    migrations: list[list[str]]
    """(room, name) of those that the database has seen."""


def back_up(database: Path, file: Path, *, with_key: bool, force: bool = False) -> Manifest:
    """Writes one snapshot of everything to `file`, readable by its owner only; writers need not wait.

    Raises `Fault`, `OSError`.
    """
    if file.exists() and not force:
        raise Fault(f"{file} exists", "Name a new file, or write over it with --force.")
    if not database.is_file():
        raise Fault(f"there is no database {database} to copy", "Is POSTROOM_HOME, or DATABASE_URL, the right one?")
    with _beside(file) as copy, _beside(file) as whole:
        migrations = _snapshot(database, copy)
        manifest = Manifest(__version__, now().isoformat(timespec="seconds"), with_key, migrations)
        with tarfile.open(whole, "w") as tar:
            _add(tar, MANIFEST, json.dumps(asdict(manifest), indent=1).encode())
            tar.add(copy, DATABASE, recursive=False)
            for path in _files(settings(), with_key):
                _add(tar, f"{path.parent.name}/{path.name}", path.read_bytes())
            if with_key:
                _add(tar, KEY, _key(settings()).encode())
        _keep(whole)
        whole.replace(file)
    return manifest


def read(file: Path) -> Manifest:
    """Raises `Fault` when it is no backup, `OSError`."""
    try:
        with tarfile.open(file, "r:") as tar:
            said = json.loads(_content(tar, MANIFEST))
            tar.getmember(DATABASE)
        return Manifest(**said)
    except (tarfile.TarError, KeyError, TypeError, ValueError) as error:
        raise Fault(f"{file} is not a backup of Postroom", _NOT_ONE) from error


def in_the_way(database: Path, file: Path) -> list[Path]:
    """What a restore of this backup would replace with something else."""
    found = [database] if database.exists() and database.stat().st_size else []
    for name, content in _others(file):
        path = settings().home / name
        if path.exists() and path.read_bytes() != content:
            found.append(path)
    return found


def restore(database: Path, file: Path) -> list[Path]:
    """Puts everything in its place. What was there is put aside, and returned. Nobody may serve (`in_use.alone`).

    Raises `Fault`, `OSError`.
    """
    home, stamp = settings().home, f"{now():%Y%m%dT%H%M%S}"
    database.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with _beside(database) as fresh:
        with tarfile.open(file, "r:") as tar, fresh.open("wb") as out:
            content = tar.extractfile(DATABASE)
            while content is not None and (block := content.read(1 << 20)):
                out.write(block)
        _insist_whole(fresh, file)
        _keep(fresh)
        aside = [_aside(path, stamp) for path in in_the_way(database, file)]
        for tail in ("-wal", "-shm"):  # they belong to the database that was put aside, and would spoil another
            if (path := Path(f"{database}{tail}")).exists():
                path.replace(f"{database}.before-{stamp}{tail}")
        fresh.replace(database)
    for name, content_of in _others(file):
        path = home / name
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        _write(path, content_of)
    return aside


def bring_key(file: Path) -> str:
    """Makes the key of a backup one of ours; says what was done, "" when there was none in it.

    Before anything else: whoever looks for a key makes one where there is none. Raises `BadSetting`, `OSError`.
    """
    with tarfile.open(file, "r:") as tar:
        if KEY not in tar.getnames():
            return ""
        brought = _content(tar, KEY).decode("ascii", "replace").split()
    Keys.parse(" ".join(brought), f"the key in {file}")
    config = settings()
    if config.key:
        missing = set(Keys.parse(" ".join(brought), str(file)).all) - set(Keys.parse(config.key, "POSTROOM_KEY").all)
        return "the key in the backup is not in POSTROOM_KEY: add it there" if missing else "POSTROOM_KEY has the key"
    present = config.key_file.read_text(encoding="ascii").replace(",", " ").split() if config.key_file.exists() else []
    config.key_file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    # Those that were here stay behind it: they may be needed for what was put aside.
    _write(config.key_file, ("\n".join(dict.fromkeys(brought + present)) + "\n").encode())
    return f"the key is in {config.key_file}"


def _snapshot(database: Path, copy: Path) -> list[list[str]]:
    """In one step, which is one read transaction: in WAL mode writers go on beside it (sqlite.org/backup.html)."""
    opened = sqlite3.connect(f"{database.absolute().as_uri()}?mode=ro", uri=True, timeout=20)
    with closing(opened) as source, closing(sqlite3.connect(copy)) as target:
        source.backup(target)
        target.execute("PRAGMA journal_mode=DELETE")  # the copy is one file
        if (said := target.execute("PRAGMA quick_check(1)").fetchone()[0]) != "ok":
            raise Fault(f"{database} is damaged: {said}", "Restore the latest good backup: postroom restore FILE")
        rows = target.execute("SELECT app, name FROM django_migrations ORDER BY id").fetchall()
    return [list(row) for row in rows]


def _insist_whole(fresh: Path, file: Path) -> None:
    try:
        with closing(sqlite3.connect(f"{fresh.absolute().as_uri()}?mode=ro", uri=True)) as opened:
            said = opened.execute("PRAGMA quick_check(1)").fetchone()[0]
    except sqlite3.DatabaseError as error:
        said = str(error)
    if said != "ok":
        raise Fault(f"the database in {file} is damaged: {said}", "Take an earlier backup.")


def _files(config: Settings, with_key: bool) -> list[Path]:
    folders = ("clouds", "tls") if with_key else ("clouds",)
    found = [path for folder in folders for path in sorted((config.home / folder).glob("*")) if path.is_file()]
    return [path for path in found if _MEMBER.fullmatch(f"{path.parent.name}/{path.name}")]


def _key(config: Settings) -> str:
    return config.key or config.key_file.read_text(encoding="ascii")


def _others(file: Path) -> Iterator[tuple[str, bytes]]:
    with tarfile.open(file, "r:") as tar:
        for member in tar:
            if member.isfile() and _MEMBER.fullmatch(member.name):
                yield member.name, _content(tar, member.name)


def _content(tar: tarfile.TarFile, name: str) -> bytes:
    content = tar.extractfile(name)
    if content is None:
        raise KeyError(name)
    return content.read()


def _add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size, member.mode, member.mtime = len(content), 0o600, int(now().timestamp())
    tar.addfile(member, io.BytesIO(content))


def _aside(path: Path, stamp: str) -> Path:
    return path.replace(path.with_name(f"{path.name}.before-{stamp}"))


@contextmanager
def _beside(path: Path) -> Iterator[Path]:
    """A new file of the same folder, readable by its owner only; gone in the end unless it was renamed."""
    handle, name = tempfile.mkstemp(dir=path.absolute().parent, prefix=f".{path.name}-")
    os.close(handle)
    try:
        yield Path(name)
    finally:
        Path(name).unlink(missing_ok=True)


def _write(path: Path, content: bytes) -> None:
    """Whole or not at all."""
    with _beside(path) as fresh:
        fresh.write_bytes(content)
        _keep(fresh)
        fresh.replace(path)


def _keep(path: Path) -> None:
    """On disk."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
