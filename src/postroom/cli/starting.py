"""What commands do before their work (setting Django up) and when it fails (saying why, in a line)."""

from __future__ import annotations

import os

from postroom.core.faults import Fault
from postroom.core.settings import BadSetting

_REPORT = "This is a fault of Postroom. Run it again with --debug before the command, and report what it prints."


def start() -> None:
    """Sets up logging and Django; needed by every command that touches a table. Raises `BadSetting`."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "postroom.settings")
    import django

    from postroom.core import logging

    logging.configure()
    django.setup()


def explain(error: Exception) -> tuple[str, str]:
    """A sentence and a fix for an exception that reached the command line."""
    from django.db import DatabaseError

    from postroom.core.encryption import CannotOpen
    from postroom.microsoft.answers import Refused

    if isinstance(error, Fault):
        return str(error), error.fix
    if isinstance(error, BadSetting):
        return str(error), ""
    if isinstance(error, CannotOpen):
        return str(error), "Give Postroom the key that the secret was stored with, in POSTROOM_KEY or the key file."
    if isinstance(error, Refused):
        return str(error), "See which stage fails, and why: postroom mailbox test"
    if isinstance(error, DatabaseError):
        return _database(str(error))
    if isinstance(error, OSError):
        return f"{error.strerror or error}{f': {error.filename}' if error.filename else ''}", ""
    return f"{type(error).__name__}: {error}", _REPORT


def _database(text: str) -> tuple[str, str]:
    if "no such table" in text or "does not exist" in text or "no such column" in text:
        return "the database is not set up for this version of Postroom", "postroom migrate"
    if "locked" in text:
        return "the database is locked by another process", "Wait until the other command is done."
    return f"the database says: {text}", "Check DATABASE_URL, and that the database server runs."
