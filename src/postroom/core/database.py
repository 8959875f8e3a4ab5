"""From a `DATABASE_URL` to Django's settings of a connection."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from postroom.core.settings import BadSetting


def database(url: str) -> dict[str, Any]:
    """Understands `sqlite:///path` and `postgresql://user:password@host:port/name?option=value`.

    Raises `BadSetting`.
    """
    parts = urlsplit(url)
    if parts.scheme == "sqlite":
        return _sqlite(Path(unquote(parts.path[1:] if parts.path.startswith("//") else parts.path)))
    if parts.scheme in {"postgres", "postgresql"}:
        return {
            "ENGINE": "django.db.backends.postgresql",
            "NAME": unquote(parts.path.lstrip("/")),
            "USER": unquote(parts.username or ""),
            "PASSWORD": unquote(parts.password or ""),
            "HOST": parts.hostname or "",
            "PORT": str(parts.port or ""),
            "CONN_HEALTH_CHECKS": True,
            "CONN_MAX_AGE": 60,
            "OPTIONS": dict(parse_qsl(parts.query)),
        }
    raise BadSetting(
        f"DATABASE_URL starts with {parts.scheme or url!r}; write sqlite:///path or postgresql://user:password@host/name"
    )


def _sqlite(path: Path) -> dict[str, Any]:
    """WAL with full synchronisation: a committed row survives a power cut (sqlite.org, "PRAGMA synchronous")."""
    return {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": str(path),
        # Kept by each thread: opening one takes longer than most questions do.
        "CONN_MAX_AGE": None,
        "OPTIONS": {
            "transaction_mode": "IMMEDIATE",
            "timeout": 20,
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;",
        },
    }
