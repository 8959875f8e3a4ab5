"""The room as Django knows it; brings the shipped providers up to date after each migration."""

from __future__ import annotations

from typing import Any

from django.apps import AppConfig
from django.db.models.signals import post_migrate


class MailboxesConfig(AppConfig):
    name = "postroom.mailboxes"
    label = "mailboxes"
    verbose_name = "Mailboxes"

    def ready(self) -> None:
        post_migrate.connect(_install_providers, sender=self)


def _install_providers(using: str, **_: Any) -> None:
    from postroom.mailboxes.providers import install

    install(using)
