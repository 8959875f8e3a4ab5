"""The values that columns of this room choose from; forms and commands offer the same ones."""

from __future__ import annotations

from django.db import models


class SendBy(models.TextChoices):
    SMTP = "smtp", "SMTP"
    GRAPH = "graph", "Microsoft Graph"
    NONE = "none", "does not send"


class ReadBy(models.TextChoices):
    IMAP = "imap", "IMAP"
    POP3 = "pop3", "POP3"
    GRAPH = "graph", "Microsoft Graph"
    NONE = "none", "does not read"


class SignInBy(models.TextChoices):
    OAUTH = "oauth", "OAuth 2.0 client credentials (Azure application)"
    PASSWORD = "password", "User name and password"
    NONE = "none", "No sign-in"


class SecurityChoice(models.TextChoices):
    TLS = "tls", "TLS"
    STARTTLS = "starttls", "STARTTLS"
    NONE = "none", "none"


class CredentialKind(models.TextChoices):
    SECRET = "secret", "Client secret"
    CERTIFICATE = "certificate", "Certificate"
    FEDERATED_FILE = "federated-file", "Federated identity (token file)"
    MANAGED_IDENTITY = "managed-identity", "Managed identity"
    PASSWORD = "password", "Password"
