"""The values that columns of this room choose from; forms and commands offer the same ones."""

from __future__ import annotations

from django.db import models


class Role(models.TextChoices):
    """What a person may do; `rules.py` says which verbs each role has."""

    ADMINISTRATOR = "administrator", "Administrator"
    MAILBOX_ADMINISTRATOR = "mailbox-administrator", "Mailbox administrator"
    OPERATOR = "operator", "Operator"
    APPROVER = "approver", "Approver of quarantine"
    READER = "reader", "Reader"
