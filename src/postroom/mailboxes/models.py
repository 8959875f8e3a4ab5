"""Providers (presets), Azure applications, mailboxes, their credentials, and the record of their proofs."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from postroom.mailboxes.choices import CredentialKind, ReadBy, SecurityChoice, SendBy, SignInBy


class Connection(models.Model):
    """What a provider presets and a mailbox may change: directions, hosts, ports, security, sign-in, limits.

    An empty host means: the one of the application's cloud (`microsoft.clouds`).
    """

    send_by = models.CharField(max_length=8, choices=SendBy.choices, default=SendBy.SMTP)
    read_by = models.CharField(max_length=8, choices=ReadBy.choices, default=ReadBy.IMAP)
    sign_in_by = models.CharField(max_length=8, choices=SignInBy.choices, default=SignInBy.OAUTH)
    smtp_host = models.CharField(max_length=253, blank=True)
    smtp_port = models.PositiveIntegerField(null=True, blank=True)
    smtp_security = models.CharField(max_length=8, choices=SecurityChoice.choices, default=SecurityChoice.STARTTLS)
    incoming_host = models.CharField(max_length=253, blank=True)
    """IMAP or POP3 server."""
    incoming_port = models.PositiveIntegerField(null=True, blank=True)
    incoming_security = models.CharField(max_length=8, choices=SecurityChoice.choices, default=SecurityChoice.TLS)
    messages_per_minute = models.PositiveIntegerField(null=True, blank=True)
    recipients_per_day = models.PositiveIntegerField(null=True, blank=True)
    connections = models.PositiveIntegerField(null=True, blank=True)
    message_size = models.PositiveBigIntegerField(null=True, blank=True)
    """Largest message in bytes."""

    class Meta:
        abstract = True


class Provider(Connection):
    """A preset. Those that ship (`built_in`) come from `providers.toml`, and are copied rather than edited."""

    slug = models.SlugField(unique=True)
    name = models.CharField(max_length=120, unique=True)
    description = models.TextField(blank=True)
    built_in = models.BooleanField(default=False)
    can_read = models.BooleanField(default=True)
    """False for services that only send (SendGrid, Brevo): reading can't be switched on."""
    uses_cloud = models.BooleanField(default=False)
    """True when hosts come from the Microsoft cloud of the application."""
    user_name = models.CharField(max_length=254, blank=True)
    """For services where everybody signs in under one name (SendGrid: `apikey`)."""

    class Meta:
        ordering: ClassVar[list[str]] = ["name"]

    def __str__(self) -> str:
        return self.name


class Application(models.Model):
    """One Azure (Entra ID) application, as many mailboxes as like may use it.

    Three ids that are easily confused, each in a field of its own (facts A10): the application (client) id, the
    object id of the App registration, and the object id of the Enterprise application, which is the service principal.
    """

    name = models.CharField(max_length=120, blank=True)
    cloud = models.CharField(max_length=32, default="global")
    tenant = models.CharField(max_length=253)
    """Directory (tenant) id, or a verified domain name."""
    client_id = models.UUIDField()
    object_id = models.UUIDField(null=True, blank=True)
    """Of the App registration; kept only to recognise it where the other one belongs."""
    service_principal_id = models.UUIDField(null=True, blank=True)
    """Of the Enterprise application; the one that Exchange wants."""
    scoped_roles = models.JSONField(default=list, blank=True)
    """Roles that it has by RBAC for Applications: its tokens rightly do not carry them (facts 4.3)."""
    changed_at = models.DateTimeField(auto_now=True)

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["cloud", "tenant", "client_id"], name="application_once"),
        ]

    def __str__(self) -> str:
        return self.name or str(self.client_id)


class Mailbox(Connection):
    """One configured mailbox."""

    name = models.CharField(max_length=120, unique=True)
    address = models.EmailField(max_length=254)
    """The mailbox that is signed in to; for a shared mailbox its own address."""
    display_name = models.CharField(max_length=200, blank=True)
    default_sender = models.EmailField(max_length=254, blank=True)
    """From address when a mail names none; the mailbox's own when empty."""
    subject_prefix = models.CharField(max_length=80, blank=True)
    copies_to = models.JSONField(default=list, blank=True)
    """Addresses that get a blind copy of all mail."""
    provider = models.ForeignKey(Provider, on_delete=models.PROTECT, related_name="mailboxes")
    application = models.ForeignKey(
        Application, on_delete=models.PROTECT, null=True, blank=True, related_name="mailboxes"
    )
    user_name = models.CharField(max_length=254, blank=True)
    """For password sign-in; the address when empty."""
    folder = models.CharField(max_length=200, default="INBOX")
    read_inbox = models.BooleanField(default=False)
    save_to_sent = models.BooleanField(default=True)
    """Where the protocol leaves the choice (Graph); SMTP submission always keeps a copy (facts 8)."""
    proxy = models.CharField(max_length=300, blank=True)
    """Egress proxy of this mailbox; the general one when empty. May hold no password (POSTROOM_PROXY may)."""
    is_default = models.BooleanField(default=False)
    enabled = models.BooleanField(default=True)
    created_at = models.DateTimeField(auto_now_add=True)
    changed_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering: ClassVar[list[str]] = ["name"]
        verbose_name_plural = "mailboxes"
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(
                fields=["is_default"], condition=models.Q(is_default=True), name="one_default_mailbox"
            ),
        ]

    def __str__(self) -> str:
        return self.name


class Credential(models.Model):
    """What proves an application (or, for a password, a mailbox). The secret part is write-only and sealed.

    Two can stand side by side: the one with the lowest `rank` is used first, the next when Entra refuses it.
    """

    application = models.ForeignKey(Application, on_delete=models.CASCADE, null=True, related_name="credentials")
    mailbox = models.ForeignKey(Mailbox, on_delete=models.CASCADE, null=True, related_name="passwords")
    kind = models.CharField(max_length=20, choices=CredentialKind.choices)
    sealed = models.BinaryField()
    """`core.encryption.seal` of the secret, the PEM of certificate and key, or the settings of an identity.

    Bound to its owner and kind (`credentials.purpose`), so that it opens in no other row.
    """
    hint = models.CharField(max_length=120, blank=True)
    """What may be shown: last four characters, thumbprint, file name."""
    public_certificate = models.TextField(blank=True)
    """PEM without the key, to upload to Azure."""
    expires_at = models.DateTimeField(null=True, blank=True)
    rank = models.PositiveSmallIntegerField(default=0)
    refused_with = models.CharField(max_length=40, blank=True)
    """The AADSTS code with which Entra last refused it; empty when it works."""
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering: ClassVar[list[str]] = ["rank", "id"]
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.CheckConstraint(
                condition=models.Q(application__isnull=True) ^ models.Q(mailbox__isnull=True),
                name="credential_proves_one",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} {self.hint}".strip()


class Proof(models.Model):
    """One run of "Test this mailbox": its stages as they came, kept so that the list can show health at a glance."""

    mailbox = models.ForeignKey(Mailbox, on_delete=models.CASCADE, related_name="proofs")
    started_at = models.DateTimeField(auto_now_add=True, db_index=True)
    touched_at = models.DateTimeField(auto_now=True)
    """Last sign of life: an unfinished run that gives none has died with its process."""
    finished_at = models.DateTimeField(null=True)
    passed = models.BooleanField(null=True)
    recipient = models.EmailField(blank=True)
    stages = models.JSONField(default=list)
    """What `stages.Stage.to_json` gives of each, in the order of `stages.TITLES`."""

    class Meta:
        ordering: ClassVar[list[str]] = ["-id"]
