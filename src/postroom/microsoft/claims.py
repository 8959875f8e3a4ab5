"""An access token and what it says of itself."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Claims:
    """The claims of an app-only token that a set-up can be judged by.

    Source: Microsoft, "Access token claims reference"; `oid` is the object id of the service principal
    (the Enterprise application), the id that Exchange wants.
    """

    audience: str = ""
    tenant: str = ""
    client_id: str = ""
    service_principal_id: str = ""
    roles: frozenset[str] = frozenset()
    scopes: frozenset[str] = frozenset()
    """Delegated permissions (`scp`): a token with these and no roles was got for a person."""
    expires_at: float = 0.0
    """Unix time."""
    user_name: str = ""
    """User principal name of the person a delegated token is for."""
    directory_roles: frozenset[str] = frozenset()
    """Template ids of the directory roles held (`wids`)."""

    @classmethod
    def of(cls, token: str) -> Claims:
        """Reads the claims without checking the signature: only the resource can (facts 1.4).

        Raises `ValueError` when it is not a JWT (RFC 7519).
        """
        try:
            body = token.split(".")[1]
            data = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
        except (IndexError, ValueError) as error:
            raise ValueError("the access token is not a JWT") from error
        return cls(
            audience=str(data.get("aud", "")),
            tenant=str(data.get("tid", "")),
            client_id=str(data.get("appid") or data.get("azp") or ""),
            service_principal_id=str(data.get("oid", "")),
            roles=frozenset(data.get("roles", ())),
            scopes=frozenset(str(data.get("scp", "")).split()),
            expires_at=float(data.get("exp", 0)),
            user_name=str(data.get("upn") or data.get("preferred_username") or ""),
            directory_roles=frozenset(data.get("wids", ())),
        )


@dataclass(frozen=True, slots=True)
class AccessToken:
    """A bearer token (RFC 6750). Its value never shows in a repr."""

    value: str = field(repr=False)
    expires_at: float
    """Unix time, from Entra's `expires_in`, which is the truth (facts 1.4)."""
    claims: Claims
