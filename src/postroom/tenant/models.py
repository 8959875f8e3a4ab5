"""Set-ups, the plans that were shown, their runs, what was made, sealed sign-ins, and the console's jobs."""

from __future__ import annotations

import secrets
import uuid
from typing import ClassVar

from django.db import models


def new_mark() -> str:
    """Eight hexadecimal digits by which what a set-up made is known again at Microsoft."""
    return secrets.token_hex(4)


class Setup(models.Model):
    """One wanted state, and the ids that were learnt in bringing it about."""

    name = models.CharField(max_length=120, unique=True)
    wanted = models.TextField()
    """The wanted state as YAML."""
    cloud = models.CharField(max_length=32)
    tenant = models.CharField(max_length=253)
    """As wanted: id or domain."""
    mark = models.CharField(max_length=16, unique=True, default=new_mark)
    tenant_id = models.CharField(max_length=36, blank=True)
    client_id = models.CharField(max_length=36, blank=True)
    application_id = models.CharField(max_length=36, blank=True)
    """Object id of the App registration."""
    service_principal_id = models.CharField(max_length=36, blank=True)
    """Object id of the Enterprise application."""
    created_at = models.DateTimeField(auto_now_add=True)
    changed_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering: ClassVar[list[str]] = ["name"]

    def __str__(self) -> str:
        return self.name


class ShownPlan(models.Model):
    """A plan as it was shown: `apply` does nothing that is not in it."""

    setup = models.ForeignKey(Setup, on_delete=models.CASCADE, related_name="plans")
    hash = models.CharField(max_length=16, db_index=True)
    wanted = models.TextField()
    content = models.JSONField()
    """`Plan.to_data()`."""
    shown_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering: ClassVar[list[str]] = ["-shown_at"]
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["setup", "hash"], name="plan_shown_once"),
        ]


class Run(models.Model):
    """One `apply` of a plan."""

    plan = models.ForeignKey(ShownPlan, on_delete=models.CASCADE, related_name="runs")
    by = models.CharField(max_length=254)
    worker = models.CharField(max_length=120)
    """Host and process that does it."""
    started_at = models.DateTimeField(auto_now_add=True)
    touched_at = models.DateTimeField(auto_now=True)
    """Last sign of life: an unfinished run that gives none has died with its process."""
    finished_at = models.DateTimeField(null=True)
    passed = models.BooleanField(null=True)
    steps = models.JSONField(default=list)
    """`[{"key", "title", "state": "planned|running|waiting|done|failed|skipped", "detail", "diagnosis"}]`"""
    trips = models.JSONField(default=dict)
    """`{"total", "dependent"}`: HTTP round trips."""

    class Meta:
        ordering: ClassVar[list[str]] = ["-id"]


class MadeKind(models.TextChoices):
    APPLICATION = "application", "App registration"
    PRINCIPAL = "principal", "Service principal"
    CONSENT = "consent", "Admin consent"
    SECRET = "secret", "Client secret"
    CERTIFICATE = "certificate", "Certificate"
    FEDERATED = "federated", "Federated credential"
    EXCHANGE_PRINCIPAL = "exchange-principal", "Service principal in Exchange"
    MAILBOX = "mailbox", "Shared mailbox"
    MAILBOX_RIGHT = "mailbox-right", "Right on a mailbox"
    SEND_AS = "send-as", "Send As"
    SEND_ON_BEHALF = "send-on-behalf", "Send on Behalf"
    LICENCE = "licence", "Licence"
    SWITCH = "switch", "Protocol switch"
    SCOPE = "scope", "Management scope"
    SCOPED_ROLE = "scoped-role", "Role within a scope"
    CONFIGURATION = "configuration", "Mailbox configuration"


class Made(models.Model):
    """One thing that this set-up made at Microsoft or here. `remove` takes away these, and nothing else."""

    setup = models.ForeignKey(Setup, on_delete=models.CASCADE, related_name="made")
    kind = models.CharField(max_length=20, choices=MadeKind.choices)
    remote_id = models.CharField(max_length=254)
    """What it is called at Microsoft: an id, an address, a name."""
    detail = models.JSONField(default=dict)
    """What taking it away needs: trustee, what was there before."""
    credential_id = models.BigIntegerField(null=True)
    """The credential in Postroom's store, of a secret or certificate."""
    made_at = models.DateTimeField(auto_now_add=True)
    replaced_at = models.DateTimeField(null=True)
    """When a newer credential took its place."""
    gone_at = models.DateTimeField(null=True)

    class Meta:
        ordering: ClassVar[list[str]] = ["id"]
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(
                fields=["setup", "kind", "remote_id"], condition=models.Q(gone_at__isnull=True), name="made_once"
            ),
        ]


class SignIn(models.Model):
    """How an administrator signed in to a tenant: a token cache or an application's credential, sealed."""

    key = models.UUIDField(unique=True, default=uuid.uuid4)
    """What the sealed value is bound to."""
    cloud = models.CharField(max_length=32)
    tenant = models.CharField(max_length=253)
    kind = models.CharField(max_length=12)
    """`device` or `application`."""
    name = models.CharField(max_length=254)
    """User principal name, or client id."""
    sealed = models.BinaryField()
    signed_in_at = models.DateTimeField(auto_now=True)

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["cloud", "tenant"], name="one_sign_in_per_tenant"),
        ]


class PendingSignIn(models.Model):
    """A device code that was given out in the console, and waits for an administrator to type it."""

    setup = models.OneToOneField(Setup, on_delete=models.CASCADE, related_name="pending_sign_in")
    key = models.UUIDField(unique=True, default=uuid.uuid4)
    """What the sealed value is bound to."""
    sealed = models.BinaryField()
    """The flow, and the token cache so far."""
    user_code = models.CharField(max_length=32)
    address = models.CharField(max_length=254)
    service = models.CharField(max_length=32)
    """What it is for: the directory, or Exchange."""
    interval = models.PositiveIntegerField()
    """Seconds that Entra wants between two questions."""
    asked_at = models.DateTimeField()
    expires_at = models.DateTimeField()


class Job(models.Model):
    """A verb that the console does in the background. It is written down as it goes, so that the page may be left."""

    setup = models.ForeignKey(Setup, on_delete=models.CASCADE, related_name="jobs")
    verb = models.CharField(max_length=12)
    """`look`, `apply`, `verify`, `rotate`, `remove`."""
    by = models.CharField(max_length=254)
    worker = models.CharField(max_length=120)
    """Host and process that does it."""
    started_at = models.DateTimeField(auto_now_add=True)
    touched_at = models.DateTimeField(auto_now=True)
    finished_at = models.DateTimeField(null=True)
    passed = models.BooleanField(null=True)
    steps = models.JSONField(default=list)
    """As of `Run`, with what is waited for."""
    note = models.TextField(blank=True)
    """The last thing that was told."""
    result = models.JSONField(default=dict)
    """The verb's own `to_data()`."""
    fault = models.JSONField(default=dict)
    """`{"message", "fix", "diagnosis"}` of what ended it."""

    class Meta:
        ordering: ClassVar[list[str]] = ["-id"]
