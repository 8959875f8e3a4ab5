"""Access tokens: signed here, checked here. Version 1.0 tokens with the claims of facts 1.4."""

from __future__ import annotations

import base64
import secrets
import uuid
from collections.abc import Collection
from typing import Any

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeyParameters, KeySet, RSAKey
from joserfc.jws import JWSRegistry

from m365lab.clock import Clock
from m365lab.directory import Directory, ServicePrincipal, User

_KEY_USE: KeyParameters = {"use": "sig", "alg": "RS256"}
# Lets the header's `nonce` pass, which no RFC names.
_ANY_HEADER = JWSRegistry(algorithms=["RS256"], strict_check_header=False)


class BadToken(Exception):
    """The token is not one that this tenant's resources accept."""

    def __init__(self, why: str, *, expired: bool = False, wrong_audience: bool = False) -> None:
        super().__init__(why)
        self.expired = expired
        self.wrong_audience = wrong_audience


class Tokens:
    """The tenant's token signer."""

    def __init__(self, directory: Directory, clock: Clock) -> None:
        self._directory = directory
        self._clock = clock
        self._key = RSAKey.generate_key(2048, _KEY_USE, auto_kid=True)
        self.lifetime = 3599
        """Seconds that a token lives, as `expires_in` says."""

    @property
    def private_key(self) -> str:
        """The signing key as PEM, for a lab that keeps its state: tokens then outlive a restart."""
        return self._key.as_pem(private=True).decode()

    def use_key(self, pem: str) -> None:
        """Goes on with a kept signing key."""
        self._key = RSAKey.import_key(pem, _KEY_USE)
        self._key.ensure_kid()

    @property
    def jwks(self) -> dict[str, Any]:
        return dict(KeySet([self._key]).as_dict(private=False))

    def app_token(
        self,
        principal: ServicePrincipal,
        audience: str,
        roles: Collection[str],
        appidacr: str,
        *,
        lifetime: int | None = None,
    ) -> str:
        """A token for an application: no `roles` claim at all when nothing was granted (facts 1.1)."""
        claims: dict[str, Any] = {
            "app_displayname": principal.name,
            "appid": principal.app_id,
            "appidacr": appidacr,
            "idp": self._issuer,
            "idtyp": "app",
            "oid": principal.id,
            "sub": principal.id,
        }
        if roles:
            claims["roles"] = sorted(roles)
        if principal.directory_roles:
            claims["wids"] = sorted(principal.directory_roles)
        return self._sign(audience, claims, lifetime)

    def user_token(
        self,
        client_id: str,
        audience: str,
        scopes: str,
        user_id: str,
        upn: str,
        *,
        directory_roles: Collection[str] = (),
        lifetime: int | None = None,
    ) -> str:
        """A delegated token: `scp` and a person, no `roles`. `directory_roles` become the claim `wids`."""
        claims: dict[str, Any] = {
            "appid": client_id,
            "appidacr": "0",
            "scp": scopes,
            "oid": user_id,
            "upn": upn,
            "sub": user_id,
            "idtyp": "user",
        }
        if directory_roles:
            claims["wids"] = sorted(directory_roles)
        return self._sign(audience, claims, lifetime)

    def id_token(self, issuer: str, client_id: str, user: User) -> str:
        """Who signed in, for OpenID Connect clients: a version 2.0 token for the client itself."""
        now = int(self._clock.time())
        claims = {
            "aud": client_id,
            "iss": issuer,
            "iat": now,
            "nbf": now,
            "exp": now + self.lifetime + 1,
            "name": user.name,
            "oid": user.id,
            "preferred_username": user.upn,
            "sub": user.id,
            "tid": self._directory.tenant_id,
            "ver": "2.0",
        }
        return jwt.encode({"typ": "JWT", "alg": "RS256", "kid": str(self._key.kid)}, claims, self._key)

    def verify(self, token: str, audiences: Collection[str]) -> dict[str, Any]:
        """The claims of a good token. Raises `BadToken`."""
        try:
            decoded = jwt.decode(token, self._key, registry=_ANY_HEADER)
        except (JoseError, ValueError) as error:
            raise BadToken("bad signature or not a JWT") from error
        claims = dict(decoded.claims)
        if claims.get("tid") != self._directory.tenant_id:
            raise BadToken("token of another tenant")
        if claims.get("aud") not in audiences:
            raise BadToken(f"audience {claims.get('aud')}", wrong_audience=True)
        if float(claims.get("exp", 0)) <= self._clock.time():
            raise BadToken("expired", expired=True)
        return claims

    @property
    def _issuer(self) -> str:
        return f"https://sts.windows.net/{self._directory.tenant_id}/"

    def _sign(self, audience: str, claims: dict[str, Any], lifetime: int | None = None) -> str:
        now = int(self._clock.time())
        kid = str(self._key.kid)
        # Exchange's tokens carry a nonce in the header, which keeps clients from checking the signature.
        header = {"typ": "JWT", "alg": "RS256", "x5t": kid, "kid": kid, "nonce": secrets.token_urlsafe(24)}
        body = {
            "aud": audience,
            "iss": self._issuer,
            "iat": now,
            "nbf": now,
            "exp": now + (self.lifetime if lifetime is None else lifetime) + 1,
            "aio": base64.b64encode(secrets.token_bytes(24)).decode(),
            "rh": secrets.token_urlsafe(20),
            "tid": self._directory.tenant_id,
            "uti": secrets.token_urlsafe(16),
            "sid": str(uuid.uuid4()),
            "ver": "1.0",
        }
        return jwt.encode(header, body | claims, self._key, registry=_ANY_HEADER)
