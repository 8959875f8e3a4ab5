"""Settings, keys and database addresses: what is wrong stops the start, with a sentence."""

import re
import stat
import threading
from dataclasses import fields
from pathlib import Path

import pytest

from postroom.core import keys as keys_module
from postroom.core import settings as settings_module
from postroom.core.database import database
from postroom.core.keys import Keys, new_key
from postroom.core.settings import BadSetting, Settings

ROOT = Path(__file__).parents[3]


def test_every_setting_is_documented_and_nothing_else():
    source = Path(settings_module.__file__).read_text()
    used = set(re.findall(r'"(POSTROOM_[A-Z_]+|DATABASE_URL)"', source))
    documented = set(re.findall(r"^\| `([A-Z_]+)`", (ROOT / "docs/settings.md").read_text(), re.MULTILINE))
    assert used == documented
    assert len(used) == len(fields(Settings))


@pytest.mark.parametrize(
    ("name", "value"), [("POSTROOM_DEBUG", "perhaps"), ("POSTROOM_HTTPS", "2"), ("POSTROOM_KEEP_DAYS", "-1")]
)
def test_a_value_that_is_not_understood_names_its_setting(name: str, value: str):
    with pytest.raises(BadSetting, match=name):
        Settings.from_environment({name: value})


def test_sqlite_is_the_default_and_synchronises_fully(tmp_path: Path):
    found = database(Settings.from_environment({"POSTROOM_HOME": str(tmp_path)}).database_url)
    assert found["NAME"] == str(tmp_path / "postroom.sqlite3")
    assert "synchronous=FULL" in found["OPTIONS"]["init_command"]


def test_postgresql_addresses_are_unquoted():
    found = database("postgresql://mail%40room:p%2Fw@db.example:6432/post%20room?sslmode=verify-full")
    assert (found["USER"], found["PASSWORD"], found["NAME"]) == ("mail@room", "p/w", "post room")
    assert (found["HOST"], found["PORT"], found["OPTIONS"]) == ("db.example", "6432", {"sslmode": "verify-full"})


def test_another_database_is_refused():
    with pytest.raises(BadSetting, match="DATABASE_URL"):
        database("mysql://localhost/postroom")


@pytest.mark.parametrize("text", ["", "short", "!" * 43, "A" * 42])
def test_a_key_that_is_none_is_refused_without_being_shown(text: str):
    with pytest.raises(BadSetting, match="POSTROOM_KEY") as refused:
        Keys.parse(text, "POSTROOM_KEY")
    assert not text or text not in str(refused.value)


def test_several_keys_newest_first():
    first, second = new_key(), new_key()
    assert Keys.parse(f"{first}, {second}", "x").first == Keys.parse(first, "x").first


def test_keys_are_not_in_their_repr():
    assert "o" * 32 not in repr(Keys((b"o" * 32,)))


def test_processes_that_start_together_read_the_same_key_file(tmp_path: Path):
    path, read = tmp_path / "deep" / "key", []
    starters = [threading.Thread(target=lambda: read.append(keys_module._from_file(path).first)) for _ in range(8)]
    for starter in starters:
        starter.start()
    for starter in starters:
        starter.join()
    assert len(read) == 8
    assert len(set(read)) == 1
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(path.parent.iterdir()) == [path]


def test_a_key_file_that_cannot_be_made_says_what_to_set(tmp_path: Path):
    (tmp_path / "file").write_text("")
    with pytest.raises(BadSetting, match="POSTROOM_KEY_FILE"):
        keys_module._from_file(tmp_path / "file" / "key")
