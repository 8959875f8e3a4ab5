"""The listeners: one row for each port."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from postroom.bridge.values import TLS_VERSIONS, ListenerData, Mode, Prompts

_DEFAULTS = ListenerData("")


class Listener(models.Model):
    """One port; the fields are those of `ListenerData`, which says what they mean."""

    name = models.CharField(max_length=60, unique=True)
    address = models.GenericIPAddressField(default=_DEFAULTS.address)
    port = models.PositiveIntegerField(default=_DEFAULTS.port)
    mode = models.CharField(
        max_length=8, choices=[(mode.value, mode.value) for mode in Mode], default=Mode.STARTTLS.value
    )
    enabled = models.BooleanField(default=True)
    hostname = models.CharField(max_length=253, blank=True)
    certificate = models.CharField(max_length=500, blank=True)
    key = models.CharField(max_length=500, blank=True)
    networks = models.JSONField(default=list, blank=True)
    proxies = models.JSONField(default=list, blank=True)
    message_size = models.PositiveBigIntegerField(default=_DEFAULTS.message_size)
    recipients = models.PositiveIntegerField(default=_DEFAULTS.recipients)
    connections = models.PositiveIntegerField(default=_DEFAULTS.connections)
    connections_each = models.PositiveIntegerField(default=_DEFAULTS.connections_each)
    tls_minimum = models.CharField(
        max_length=3, choices=[(version, version) for version in TLS_VERSIONS], default=_DEFAULTS.tls_minimum
    )
    open_networks = models.JSONField(default=list, blank=True)
    open_mailbox = models.BigIntegerField(null=True, blank=True)
    open_senders = models.JSONField(default=list, blank=True)
    login_prompts = models.CharField(
        max_length=8, choices=[(words.value, words.value) for words in Prompts], default=Prompts.COMMON.value
    )
    fill_in_to = models.BooleanField(default=False)
    mend_names = models.BooleanField(default=False)
    longest_line = models.PositiveIntegerField(default=_DEFAULTS.longest_line)
    fault = models.CharField(max_length=300, blank=True)
    """Why it does not listen, as the process that tried last found it; empty when it does."""

    class Meta:
        ordering: ClassVar[list[str]] = ["name"]
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["address", "port"], name="listener_once"),
        ]

    def __str__(self) -> str:
        return self.name
