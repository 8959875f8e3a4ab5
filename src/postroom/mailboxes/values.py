"""Mailboxes and providers as plain values: what forms, commands and imports hand in, and what the rules judge."""

from __future__ import annotations

from dataclasses import dataclass, field

from postroom.core.faults import Invalid, NotFound
from postroom.microsoft.clouds import Cloud

__all__ = [
    "ConnectionData",
    "Effective",
    "Faults",
    "Invalid",
    "MailboxData",
    "NotFound",
    "ProviderData",
    "Server",
]

Faults = dict[str, list[str]]
"""Field name -> sentences that name the fault and the fix."""


@dataclass(frozen=True, slots=True)
class ConnectionData:
    """What a provider presets and a mailbox may change. "" and None mean: the provider's, or else the cloud's."""

    send_by: str = ""
    """`smtp`, `graph`, `none`."""
    read_by: str = ""
    """`imap`, `pop3`, `graph`, `none`."""
    sign_in_by: str = ""
    """`oauth`, `password`, `none`."""
    smtp_host: str = ""
    smtp_port: int | None = None
    smtp_security: str = ""
    """`tls`, `starttls`, `none`."""
    incoming_host: str = ""
    incoming_port: int | None = None
    incoming_security: str = ""
    messages_per_minute: int | None = None
    recipients_per_day: int | None = None
    connections: int | None = None
    message_size: int | None = None
    """Bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderData(ConnectionData):
    """A provider's fields. The slug is made from the name when empty."""

    name: str
    slug: str = ""
    description: str = ""
    can_read: bool = True
    uses_cloud: bool = False
    user_name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class MailboxData(ConnectionData):
    """All that a person types in for one mailbox, except its credentials."""

    name: str
    address: str
    provider: str = "microsoft-365"
    """The provider's slug."""
    display_name: str = ""
    default_sender: str = ""
    subject_prefix: str = ""
    copies_to: tuple[str, ...] = ()
    user_name: str = ""
    folder: str = "INBOX"
    read_inbox: bool = False
    save_to_sent: bool = True
    proxy: str = ""
    enabled: bool = True
    cloud: str = "global"
    tenant: str = ""
    client_id: str = ""
    """Application (client) ID."""
    object_id: str = ""
    """Object ID of the App registration; optional, only to recognise it where the other one belongs."""
    service_principal_id: str = ""
    """Object ID of the Enterprise application."""


@dataclass(frozen=True, slots=True)
class Server:
    """A server as it will be connected to."""

    host: str
    port: int
    security: str


@dataclass(frozen=True, slots=True)
class Effective:
    """A mailbox with everything filled in from its provider and cloud: what real mail goes by."""

    name: str
    address: str
    display_name: str
    sender: str
    """Default From address."""
    subject_prefix: str
    copies_to: tuple[str, ...]
    send_by: str
    read_by: str
    """`none` also when reading is switched off."""
    sign_in_by: str
    smtp: Server | None
    incoming: Server | None
    user_name: str
    folder: str
    save_to_sent: bool
    proxy: str = field(repr=False)
    cloud: Cloud | None
    tenant: str
    client_id: str
    object_id: str
    service_principal_id: str
    messages_per_minute: int | None
    recipients_per_day: int | None
    connections: int | None
    message_size: int | None
