"""Whether this process can do its work: the database answers, it is of this version, and the key opens its secrets."""

from __future__ import annotations

from functools import cache

from django.db import DatabaseError, InterfaceError, connection
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder

from postroom.core.encryption import CannotOpen
from postroom.mailboxes.credentials import open_secret
from postroom.mailboxes.models import Credential


def faults() -> list[str]:
    """What keeps it from working, each in a sentence; none when it is ready. Asks the database, and nobody else."""
    try:
        if waiting := migrations_waiting():
            return [f"the database lacks {waiting} migrations of this version; run: postroom migrate"]
        return _key()
    except (DatabaseError, InterfaceError):
        return ["the database does not answer; check DATABASE_URL, and that its server runs"]


def migrations_waiting() -> int:
    """Migrations of this version that the database has not seen."""
    return len(ours() - MigrationRecorder(connection).applied_migrations().keys())


@cache
def ours() -> frozenset[tuple[str, str]]:
    """The migrations that this version brings: (room, name)."""
    return frozenset(MigrationLoader(None).graph.nodes)


def _key() -> list[str]:
    """The newest secret stands for all: a wrong key opens none."""
    newest = Credential.objects.order_by("-id").first()
    try:
        if newest is not None:
            open_secret(newest)
    except CannotOpen as error:
        return [f"{error}; give back the key in POSTROOM_KEY or the key file"]
    return []
