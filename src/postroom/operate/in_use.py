"""Who works on an embedded database: servers together, or one command that needs it alone.

A lock on a file beside the database says it (flock, as `outbox.turns`): it ends with its process, however that ends.
PostgreSQL needs none of this. Where there is no flock (not a Unix), nothing is noticed.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from postroom.core.faults import Fault

try:
    import fcntl
except ImportError:
    fcntl = None  # type: ignore[assignment]


@contextmanager
def serving(database: Path | None) -> Iterator[None]:
    """While a server runs on this SQLite file; None for another kind of database. Raises `Fault`."""
    with _locked(
        database,
        alone=False,
        refusal=Fault(f"{database} is being restored or moved", "Wait until that command is done, and start again."),
    ):
        yield


@contextmanager
def alone(database: Path) -> Iterator[None]:
    """While nobody may serve. Raises `Fault` when somebody does."""
    with _locked(
        database,
        alone=True,
        refusal=Fault(f"a server runs on {database}", "Stop every `postroom serve` on it, and repeat the command."),
    ):
        yield


@contextmanager
def _locked(database: Path | None, *, alone: bool, refusal: Fault) -> Iterator[None]:
    if database is None or fcntl is None:
        yield
        return
    database.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    handle = os.open(f"{database}-serving", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(handle, (fcntl.LOCK_EX if alone else fcntl.LOCK_SH) | fcntl.LOCK_NB)
        except BlockingIOError:
            raise refusal from None
        yield
    finally:
        os.close(handle)
