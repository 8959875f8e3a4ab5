"""Servers share the embedded database; a restore wants it alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from postroom.core.faults import Fault
from postroom.operate import in_use


def test_servers_share_and_keep_others_out(tmp_path: Path) -> None:
    database = tmp_path / "postroom.sqlite3"
    with in_use.serving(database), in_use.serving(database):
        with pytest.raises(Fault, match="a server runs") as refused, in_use.alone(database):
            pass
        assert "Stop" in refused.value.fix
    with in_use.alone(database):
        pass


def test_no_server_starts_meanwhile(tmp_path: Path) -> None:
    database = tmp_path / "postroom.sqlite3"
    with in_use.alone(database), pytest.raises(Fault, match="being restored or moved"), in_use.serving(database):
        pass


def test_another_database_needs_no_lock(tmp_path: Path) -> None:
    with in_use.serving(None):
        assert not list(tmp_path.iterdir())
