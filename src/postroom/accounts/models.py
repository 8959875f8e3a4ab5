"""People, their roles, one-time sign-in links, and the audit log."""

from __future__ import annotations

from typing import Any, ClassVar

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.db import models

from postroom.accounts.choices import Role


class People(BaseUserManager["Person"]):
    def create_user(self, email: str, password: str | None = None, **fields: Any) -> Person:
        person = self.model(email=email.strip().lower(), **fields)
        person.set_password(password)
        person.save(using=self._db)
        return person

    def get_by_natural_key(self, username: str | None) -> Person:
        return self.get(email=(username or "").strip().lower())


class Person(AbstractBaseUser):
    """Somebody who signs in to the console."""

    email = models.EmailField(unique=True)
    """Where test mails go, and the sign-in name; stored in lower case."""
    name = models.CharField(max_length=200, blank=True)
    role = models.CharField(max_length=32, choices=Role.choices, default=Role.READER)
    is_active = models.BooleanField(default=True)
    created_at = models.DateTimeField(auto_now_add=True)

    USERNAME_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []
    objects: ClassVar[People] = People()

    def __str__(self) -> str:
        return self.name or self.email


class SignInLink(models.Model):
    """A link that signs a person in once; only its digest is kept."""

    person = models.ForeignKey(Person, on_delete=models.CASCADE, null=True)
    """Empty for the link of the very first start: whoever redeems it becomes the first administrator."""
    digest = models.CharField(max_length=64, unique=True)
    expires_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True)


class AuditEvent(models.Model):
    """Who did what, when, from where. Each row carries the hash of the row before it."""

    at = models.DateTimeField(db_index=True)
    actor = models.CharField(max_length=254)
    """E-mail of the person, `cli:<login name>`, or `system`."""
    origin = models.CharField(max_length=64, blank=True)
    """IP address, where there is one."""
    action = models.CharField(max_length=64, db_index=True)
    """`mailbox.changed`, `credential.added`, `sign-in.failed` ..."""
    subject = models.CharField(max_length=254, blank=True)
    detail = models.JSONField(default=dict)
    """Before and after of each changed field, without secrets."""
    previous_hash = models.CharField(max_length=64, blank=True)
    hash = models.CharField(max_length=64)

    class Meta:
        ordering: ClassVar[list[str]] = ["-id"]


class App(models.Model):
    """A program that may hand mail in, and how far it may go. Its `name` is what it signs in with."""

    name = models.CharField(max_length=64, unique=True)
    """In lower case; programs may write it as they like."""
    mailboxes = models.JSONField(null=True, default=list, blank=True)
    """Ids of the mailboxes it may use; null: all."""
    senders = models.JSONField(default=list, blank=True)
    """Addresses it may send as, `*@contoso.com` for a domain; empty: those of its mailboxes."""
    networks = models.JSONField(default=list, blank=True)
    """Networks it may come from; empty: any."""
    messages_per_minute = models.PositiveIntegerField(null=True, blank=True)
    enabled = models.BooleanField(default=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering: ClassVar[list[str]] = ["name"]

    def __str__(self) -> str:
        return self.name


class AppSecret(models.Model):
    """A secret of an app, kept as its digest only. Two can stand side by side while one takes over from the other."""

    app = models.ForeignKey(App, on_delete=models.CASCADE, related_name="secrets")
    digest = models.CharField(max_length=64)
    """docs/decisions/0013-app-secrets.md says why it is SHA-256."""
    hint = models.CharField(max_length=8)
    """The last characters, to tell one from the other."""
    created_at = models.DateTimeField(auto_now_add=True)
    ends_at = models.DateTimeField(null=True)
    last_used_at = models.DateTimeField(null=True)
    """To ten minutes, so that signing in costs no write."""

    class Meta:
        ordering: ClassVar[list[str]] = ["-id"]
