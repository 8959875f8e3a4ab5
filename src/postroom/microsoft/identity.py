"""Who asks Entra for a token, and what proves it. No secret shows in a repr."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

from postroom.microsoft.clouds import Cloud


@dataclass(frozen=True, slots=True)
class ClientSecret:
    """A client secret of the application; `id` is ours, to report which one was refused."""

    id: str
    value: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate with its RSA key, PEM; the key may be encrypted with `password`."""

    id: str
    pem_with_key: str = field(repr=False)
    password: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class FederatedFile:
    """A token of another issuer in a file, read anew each time (Kubernetes, GitHub and the like renew it there)."""

    id: str
    path: str


@dataclass(frozen=True, slots=True)
class ManagedIdentity:
    """An Azure managed identity that the application trusts as a federated credential.

    `client_id` names a user-assigned identity; None is the system-assigned one.
    """

    id: str
    client_id: str | None = None


CredentialSecret = ClientSecret | Certificate | FederatedFile | ManagedIdentity


@dataclass(frozen=True, slots=True)
class ApplicationIdentity:
    """One application in one tenant, with its credentials in the order in which they are tried."""

    cloud: Cloud
    tenant: str
    """Directory (tenant) id or a verified domain."""
    client_id: str
    credentials: tuple[CredentialSecret, ...]
    proxy: str = field(default="", repr=False)
    """Egress proxy for the way to Entra: `http://`, `socks4://` or `socks5://`; may carry a password."""

    def fingerprint(self) -> str:
        """Changes with the credentials, so that nothing kept for the old ones is used for the new."""
        digest = hashlib.sha256()
        for one in self.credentials:
            match one:
                case ClientSecret():
                    parts = ("secret", one.id, one.value)
                case Certificate():
                    parts = ("certificate", one.id, one.pem_with_key)
                case FederatedFile():
                    parts = ("file", one.id, one.path)
                case ManagedIdentity():
                    parts = ("managed", one.id, one.client_id or "")
            digest.update(repr(parts).encode())
        return digest.hexdigest()
