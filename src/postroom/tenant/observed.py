"""The observed state: what is there at Microsoft, and what Postroom holds of it, as values. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class Resource:
    """A service whose app roles can be granted, as the tenant knows it: Exchange Online, or Microsoft Graph."""

    app_id: str
    id: str
    """Object id of its service principal here."""
    roles: Mapping[str, str]
    """App role value -> id; the only place that states the id of `SMTP.SendAsApp` (facts 2)."""

    def role_value(self, role_id: str) -> str:
        """The value of an app role, or its id when the resource has no such role."""
        return next((value for value, one in self.roles.items() if one == role_id), role_id)


@dataclass(frozen=True, slots=True)
class Asked:
    """An entry of `requiredResourceAccess`: `Role` is an application permission, `Scope` a delegated one."""

    resource_app_id: str
    id: str
    type: str


@dataclass(frozen=True, slots=True)
class SecretSeen:
    key_id: str
    """The "secret id"; the value is shown by nobody."""
    name: str
    ends_at: datetime


@dataclass(frozen=True, slots=True)
class CertificateSeen:
    key_id: str
    thumbprint: str
    """SHA-1 of the certificate, hexadecimal, capitals."""
    ends_at: datetime


@dataclass(frozen=True, slots=True)
class FederatedSeen:
    id: str
    name: str
    issuer: str
    subject: str


@dataclass(frozen=True, slots=True)
class ApplicationSeen:
    """The App registration."""

    id: str
    client_id: str
    name: str
    tags: tuple[str, ...] = ()
    asked: tuple[Asked, ...] = ()
    secrets: tuple[SecretSeen, ...] = ()
    certificates: tuple[CertificateSeen, ...] = ()
    federated: tuple[FederatedSeen, ...] = ()


@dataclass(frozen=True, slots=True)
class Granted:
    """An app role that the service principal was granted: admin consent."""

    id: str
    resource_id: str
    role_id: str


@dataclass(frozen=True, slots=True)
class DelegatedSeen:
    """Delegated permissions that were consented to; useless to a program without a person."""

    id: str
    resource_id: str
    scopes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PrincipalSeen:
    """The service principal (Enterprise application)."""

    id: str
    enabled: bool = True
    granted: tuple[Granted, ...] = ()
    delegated: tuple[DelegatedSeen, ...] = ()


@dataclass(frozen=True, slots=True)
class ExchangePrincipal:
    """A row of Get-ServicePrincipal: what somebody told Exchange, rightly or wrongly."""

    app_id: str
    object_id: str
    names: frozenset[str] = frozenset()
    """All by which Exchange may call it in a list of permissions: object id, SID, display name (in small letters)."""


@dataclass(frozen=True, slots=True)
class ScopedRole:
    """A management role assignment of the application."""

    name: str
    role: str
    """Without "Application " before it."""
    scope: str
    """Name of its management scope; empty when it holds for the organisation."""


@dataclass(frozen=True, slots=True)
class UserSeen:
    """A user of the directory."""

    id: str
    licensed: bool
    """Whether it has a licence with Exchange; of no account for a shared mailbox (reference row A7)."""
    country: str = ""
    """`usageLocation`, two letters: without one no licence can be assigned."""


@dataclass(frozen=True, slots=True)
class MailboxSeen:
    """A mailbox. The sets hold trustees in small letters, as Exchange calls them."""

    address: str
    user_id: str = ""
    names: frozenset[str] = frozenset()
    """All by which Exchange may call it as a trustee."""
    shared: bool = False
    smtp_auth_off: bool | None = None
    """`SmtpClientAuthenticationDisabled`; None takes the organisation's."""
    imap: bool = True
    pop: bool = True
    full_access: frozenset[str] = frozenset()
    send_as: frozenset[str] = frozenset()
    send_on_behalf: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Licence:
    """A product that the tenant has bought (`subscribedSkus`)."""

    id: str
    name: str
    free: int
    has_exchange: bool


@dataclass(frozen=True, slots=True)
class Held:
    """A credential in Postroom's own store, without its secret part."""

    kind: str
    """`secret`, `certificate`, `federated-file`, `managed-identity`."""
    remote_id: str = ""
    """Entra's key id of a secret, thumbprint of a certificate; empty when it was typed in."""
    expires_at: datetime | None = None
    refused: bool = False
    """Entra refused it when it was last used; just after it was made that passes."""
    readable: bool = True
    """False when the key of the encryption at rest that it was stored with is gone."""
    replaced_at: datetime | None = None
    """When a newer one took its place; it goes after the grace time."""
    made_here: bool = False


@dataclass(frozen=True, slots=True)
class Configured:
    """The mailbox configuration in Postroom."""

    client_id: str
    service_principal_id: str
    send_by: str
    read_by: str


@dataclass(frozen=True, slots=True)
class Observed:
    """Everything that a plan is made from, besides the wanted state."""

    tenant_id: str
    tenant_name: str = ""
    country: str = ""
    """The organisation's, two letters."""
    resources: Mapping[str, Resource] = field(default_factory=dict)
    """By `exchange` and `graph`."""
    application: ApplicationSeen | None = None
    made_here: bool = False
    """Whether this set-up made the application: only then is anything taken away from it."""
    same_name: int = 0
    """How many applications have the wanted name."""
    principal: PrincipalSeen | None = None
    exchange_principals: tuple[ExchangePrincipal, ...] = ()
    """Those with the application's client id."""
    mailboxes: Mapping[str, MailboxSeen] = field(default_factory=dict)
    """By address as wanted."""
    users: Mapping[str, UserSeen] = field(default_factory=dict)
    """By address as wanted."""
    people: frozenset[str] = frozenset()
    """Wanted people whom Exchange knows."""
    senders: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """Further From address -> those who may send as it, as Exchange calls them."""
    scopes: Mapping[str, str] = field(default_factory=dict)
    """Management scope -> its recipient filter; only that of this set-up is looked at."""
    scoped_roles: tuple[ScopedRole, ...] = ()
    smtp_auth_off: bool = False
    """The organisation's switch (Set-TransportConfig)."""
    security_defaults: bool = False
    licences: tuple[Licence, ...] = ()
    held: tuple[Held, ...] = ()
    configured: Mapping[str, Configured] = field(default_factory=dict)
    """By address as wanted."""

    @property
    def client_id(self) -> str:
        return self.application.client_id if self.application else ""

    def to_data(self) -> dict[str, Any]:
        """Plain data, for the database, `--json` and the state file. Holds no secret."""
        data: dict[str, Any] = _plain(asdict(self))
        return data


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, frozenset):
        return sorted(value)
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return value.isoformat() if isinstance(value, datetime) else value
