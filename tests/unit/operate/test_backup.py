"""A backup is whole, holds secrets only when asked to, and a restore puts aside what was there."""

from __future__ import annotations

import io
import sqlite3
import stat
import tarfile
from contextlib import closing
from pathlib import Path

import pytest

from postroom.core.faults import Fault
from postroom.core.keys import new_key
from postroom.core.settings import Settings
from postroom.operate import backup


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """With a database of one table, a cloud, a key and a listener's certificate; of this home are the settings."""
    folder = tmp_path / "home"
    for name, content in {"clouds/lab.toml": "[lab]", "tls/door.pem": "key and certificate", "key": new_key()}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)
    with closing(sqlite3.connect(folder / "postroom.sqlite3")) as database:
        database.execute("PRAGMA journal_mode=WAL")
        database.execute("CREATE TABLE django_migrations (id INTEGER PRIMARY KEY, app TEXT, name TEXT)")
        database.execute("INSERT INTO django_migrations (app, name) VALUES ('outbox', '0001_initial')")
        database.execute("CREATE TABLE letters (body TEXT)")
        database.execute("INSERT INTO letters VALUES ('the first')")
        database.commit()
    use(monkeypatch, folder)
    return folder


def use(monkeypatch: pytest.MonkeyPatch, home: Path, **more: str) -> None:
    config = Settings.from_environment({"POSTROOM_HOME": str(home)} | more)
    monkeypatch.setattr(backup, "settings", lambda: config)


def letters(database: Path) -> list[str]:
    with closing(sqlite3.connect(database)) as opened:
        return [row[0] for row in opened.execute("SELECT body FROM letters")]


def names(file: Path) -> list[str]:
    with tarfile.open(file) as tar:
        return tar.getnames()


def test_what_is_committed_but_still_in_the_write_ahead_log_is_in_it(home: Path, tmp_path: Path) -> None:
    database, file = home / "postroom.sqlite3", tmp_path / "a.tar"
    with closing(sqlite3.connect(database)) as writer:
        writer.execute("INSERT INTO letters VALUES ('the second')")
        writer.commit()
        writer.execute("INSERT INTO letters VALUES ('not committed')")
        backup.back_up(database, file, with_key=False)
    target = tmp_path / "elsewhere" / "postroom.sqlite3"
    backup.restore(target, file)
    assert letters(target) == ["the first", "the second"]


def test_the_key_is_in_it_only_when_asked_for(home: Path, tmp_path: Path) -> None:
    database = home / "postroom.sqlite3"
    without = backup.back_up(database, tmp_path / "a.tar", with_key=False)
    with_key = backup.back_up(database, tmp_path / "b.tar", with_key=True)
    assert (without.with_key, with_key.with_key) == (False, True)
    assert names(tmp_path / "a.tar") == ["manifest.json", "postroom.sqlite3", "clouds/lab.toml"]
    assert (home / "key").read_bytes().strip() not in (tmp_path / "a.tar").read_bytes()
    assert {"key", "tls/door.pem"} <= set(names(tmp_path / "b.tar"))
    assert stat.S_IMODE((tmp_path / "b.tar").stat().st_mode) == 0o600
    assert backup.read(tmp_path / "a.tar").migrations == [["outbox", "0001_initial"]]


def test_nothing_is_written_over_unasked(home: Path, tmp_path: Path) -> None:
    file = tmp_path / "a.tar"
    file.write_text("last week's")
    with pytest.raises(Fault, match=r"a\.tar exists"):
        backup.back_up(home / "postroom.sqlite3", file, with_key=False)
    assert file.read_text() == "last week's"
    backup.back_up(home / "postroom.sqlite3", file, with_key=False, force=True)
    assert backup.read(file)
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_a_restore_puts_aside_what_was_there(home: Path, tmp_path: Path) -> None:
    database, file = home / "postroom.sqlite3", tmp_path / "a.tar"
    backup.back_up(database, file, with_key=False)
    with closing(sqlite3.connect(database)) as writer:
        writer.execute("INSERT INTO letters VALUES ('later')")
        writer.commit()
        assert backup.in_the_way(database, file) == [database]
        aside = backup.restore(database, file)
    assert letters(database) == ["the first"]
    assert letters(aside[0]) == ["the first", "later"]


def test_the_key_goes_before_those_that_are_here(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, old = tmp_path / "a.tar", (home / "key").read_text().strip()
    backup.back_up(home / "postroom.sqlite3", file, with_key=True)
    elsewhere = tmp_path / "elsewhere"
    use(monkeypatch, elsewhere)
    assert str(elsewhere / "key") in backup.bring_key(file)
    assert (elsewhere / "key").read_text().split() == [old]
    own = new_key()
    (elsewhere / "key").write_text(own)
    backup.bring_key(file)
    assert (elsewhere / "key").read_text().split() == [old, own]
    assert stat.S_IMODE((elsewhere / "key").stat().st_mode) == 0o600
    use(monkeypatch, elsewhere, POSTROOM_KEY=own)
    assert "add it there" in backup.bring_key(file)


@pytest.mark.parametrize("content", [b"", b"not a tar file", b"\0" * 10240])
def test_another_file_is_no_backup(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.tar").write_bytes(content)
    with pytest.raises(Fault, match="not a backup"):
        backup.read(tmp_path / "a.tar")


def test_nothing_is_written_outside_of_the_home(home: Path, tmp_path: Path) -> None:
    file = tmp_path / "a.tar"
    backup.back_up(home / "postroom.sqlite3", file, with_key=False)
    with tarfile.open(file, "a") as tar:
        for name in ("../escaped", "clouds/../../escaped", "/tmp/escaped", "clouds/link"):
            member = tarfile.TarInfo(name)
            member.size = 3
            if name == "clouds/link":
                member.type, member.size, member.linkname = tarfile.SYMTYPE, 0, "/etc/passwd"
            tar.addfile(member, io.BytesIO(b"bad"))
    backup.restore(tmp_path / "elsewhere" / "postroom.sqlite3", file)
    assert not list(tmp_path.rglob("escaped"))
    assert not (home / "clouds" / "link").exists()


def test_a_damaged_backup_replaces_nothing(home: Path, tmp_path: Path) -> None:
    database, file = home / "postroom.sqlite3", tmp_path / "a.tar"
    backup.back_up(database, file, with_key=False)
    with tarfile.open(file) as tar:
        start = tar.getmember("postroom.sqlite3").offset_data
    with file.open("r+b") as raw:
        raw.seek(start + 4096 + 8)
        raw.write(b"\xff" * 2000)
    with pytest.raises(Fault, match="damaged"):
        backup.restore(database, file)
    assert letters(database) == ["the first"]
