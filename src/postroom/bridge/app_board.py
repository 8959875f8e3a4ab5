"""Apps as people see them: with the names of their mailboxes, and when their secrets were last used."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from postroom.accounts import app_credentials
from postroom.accounts.app_rules import AppData
from postroom.mailboxes import service as mailboxes


@dataclass(frozen=True, slots=True)
class SecretRow:
    hint: str
    ends_at: datetime | None
    last_used_at: datetime | None


@dataclass(frozen=True, slots=True)
class AppRow:
    """One line of the list."""

    id: int
    data: AppData
    mailboxes: tuple[str, ...]
    """Names; a mailbox that is gone shows as such."""
    secrets: tuple[SecretRow, ...]
    """Those that work, the newest first."""

    @property
    def last_used_at(self) -> datetime | None:
        return max((secret.last_used_at for secret in self.secrets if secret.last_used_at), default=None)

    def shown(self) -> dict[str, Any]:
        """For tables and JSON."""
        return {
            "name": self.data.name,
            "mailboxes": list(self.mailboxes),
            "senders": list(self.data.senders),
            "networks": list(self.data.networks),
            "messages_per_minute": self.data.messages_per_minute,
            "enabled": self.data.enabled,
            "secrets": [
                f"...{secret.hint}{f' until {secret.ends_at:%Y-%m-%d %H:%M}' if secret.ends_at else ''}"
                for secret in self.secrets
            ],
            "last_used": self.last_used_at,
        }


def list_apps(search: str = "") -> list[AppRow]:
    names = {row.id: row.name for row in mailboxes.list_mailboxes()}
    rows = []
    for app in app_credentials.list_apps(search):
        data = app_credentials.data_of(app)
        used = ("all",) if data.mailboxes is None else tuple(names.get(one, f"(gone: {one})") for one in data.mailboxes)
        secrets = tuple(SecretRow(one.hint, one.ends_at, one.last_used_at) for one in app.secrets.all())
        rows.append(AppRow(app.pk, data, used, secrets))
    return rows


def mailbox_ids(names: Iterable[str]) -> tuple[int, ...]:
    """The mailboxes of these names or addresses; "" is the default one. Raises `NotFound`."""
    return tuple(mailboxes.find(name).pk for name in names)
