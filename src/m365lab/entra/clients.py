"""Which application is asking, and is it who it says: secret, certificate or federated assertion (facts 1.1, 1.3).

A chain of checks in Entra's order as far as answers seen in public tell it; the order of a wrong scope and a wrong
secret in one request is [U].
"""

from __future__ import annotations

import base64
import binascii
import datetime
import json
import urllib.parse
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet, RSAKey
from joserfc.jws import JWSRegistry, extract_compact

from m365lab.directory import Application, KeyCredential, ServicePrincipal
from m365lab.entra.errors import EntraError
from m365lab.faults import FaultName
from m365lab.tenant import Tenant

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
# Both the documented PS256 and the older RS256, with either thumbprint (facts 1.3).
_ALGORITHMS = ["RS256", "PS256"]
_FEDERATED_ALGORITHMS = ["RS256"]
_HEADER_LIMIT = 32_768
"""Bytes of an assertion's header in base64."""
_LEEWAY = 300
"""Seconds that Entra's clock and the client's may differ [U]."""

SECRET, ASSERTION, PUBLIC = "1", "2", "0"
"""Values of the claim `appidacr` (facts 1.4)."""


@dataclass
class Issuers:
    """Other identity providers whose tokens may stand in for a credential: issuer -> JSON Web Key Set.

    At Microsoft the keys are fetched from the issuer; here the control API is told them.
    """

    key_sets: dict[str, dict[str, Any]] = field(default_factory=dict)

    def keys(self, issuer: str) -> KeySet | None:
        found = self.key_sets.get(issuer)
        return None if found is None else KeySet.import_key_set(found)  # type: ignore[arg-type]


@dataclass(frozen=True)
class Caller:
    """An application that is known in the tenant, and what of the request its proof is in."""

    application: Application
    principal: ServicePrincipal
    form: Mapping[str, str]
    basic_secret: str | None


def basic_credentials(header: str) -> tuple[str, str] | None:
    """Client id and secret of HTTP Basic, each form-encoded (RFC 6749 section 2.3.1)."""
    scheme, _, value = header.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        user, _, password = base64.b64decode(value, validate=True).decode("utf-8").partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return None
    return urllib.parse.unquote_plus(user), urllib.parse.unquote_plus(password)


def find_caller(tenant: Tenant, form: Mapping[str, str], authorization: str) -> Caller:
    """The application named in the request. Raises `EntraError` 900144, 700016 or 7000112."""
    basic = basic_credentials(authorization)
    app_id = form.get("client_id", "") or (basic[0] if basic else "")
    if not app_id:
        raise EntraError(900144, {"parameter": "client_id"})
    application = tenant.directory.application_by_app_id(app_id.lower())
    principal = tenant.directory.principal_by_app_id(app_id.lower())
    if application is None or principal is None:
        raise EntraError(700016, {"app_id": app_id, "tenant": tenant.directory.name})
    if not principal.enabled:
        raise EntraError(7000112, {"app_id": app_id, "name": application.name})
    return Caller(application, principal, form, basic[1] if basic else None)


def prove(tenant: Tenant, issuers: Issuers, caller: Caller, is_our_audience: Callable[[str], bool]) -> str:
    """Checks the caller's credential; returns the `appidacr` to put in the token. Raises `EntraError`."""
    secret = caller.form.get("client_secret") or caller.basic_secret
    assertion = caller.form.get("client_assertion")
    if assertion and caller.form.get("client_assertion_type") == ASSERTION_TYPE:
        _check_assertion(tenant, issuers, caller.application, assertion, is_our_audience)
        return ASSERTION
    if not secret:
        raise EntraError(7000218)
    _check_secret(tenant, caller.application, secret)
    return SECRET


def _check_secret(tenant: Tenant, application: Application, value: str) -> None:
    now = tenant.clock.time()
    match = next((s for s in application.secrets if s.value == value), None)
    if match is None:
        raise EntraError(7000215, {"app_id": application.app_id})
    if match.ends_at <= now or tenant.faults.strikes(FaultName.SECRET_EXPIRED):
        raise EntraError(7000222, {"app_id": application.app_id})


def _check_assertion(
    tenant: Tenant, issuers: Issuers, application: Application, assertion: str, is_our_audience: Callable[[str], bool]
) -> None:
    try:
        unverified = extract_compact(assertion.encode(), registry=_registry(_ALGORITHMS))
        claims = json.loads(unverified.payload)
        header = unverified.headers()
        issuer, subject = str(claims.get("iss", "")), str(claims.get("sub", ""))
    except (JoseError, ValueError, AttributeError) as error:
        raise EntraError(50027, {"reason": "The token is malformed."}) from error
    if issuer == application.app_id or "x5t" in header or "x5t#S256" in header:
        certificate = _certificate(tenant, application, header)
        _verify(assertion, _public_key(certificate), _ALGORITHMS)
        if issuer != application.app_id:
            raise EntraError(700021)
        if subject != issuer:
            raise EntraError(50048)
        if not any(is_our_audience(audience) for audience in _audiences(claims)):
            raise EntraError(700023)
    else:
        _match_federated(application, issuer, subject, _audiences(claims))
        keys = issuers.keys(issuer)
        if keys is None:
            raise EntraError(50012)
        _verify(assertion, keys, _FEDERATED_ALGORITHMS)
    _check_times(tenant, claims)


def _certificate(tenant: Tenant, application: Application, header: Mapping[str, Any]) -> KeyCredential:
    """The application's certificate that the header names; padding of the thumbprint is let pass [U]."""
    short, long = _hex(header.get("x5t")), _hex(header.get("x5t#S256"))
    if not short and not long:
        raise EntraError(50027, {"reason": "No certificate thumbprint specified in token header."})
    values = {"thumbprint": short or long, "app_id": application.app_id}
    for certificate in application.certificates:
        if (not short or short == certificate.thumbprint_sha1) and (not long or long == certificate.thumbprint_sha256):
            if certificate.ends_at <= tenant.clock.time():
                raise EntraError(700027, values | {"reason": "The key used is expired."})
            return certificate
    raise EntraError(700027, values | {"reason": "The key was not found."})


def _hex(thumbprint: object) -> str:
    text = str(thumbprint or "").rstrip("=")
    try:
        return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).hex().upper()
    except (binascii.Error, ValueError):
        return "?"


def _public_key(certificate: KeyCredential) -> RSAKey:
    key = x509.load_pem_x509_certificate(certificate.certificate_pem.encode()).public_key()
    return RSAKey.import_key(key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))


def _verify(assertion: str, key: RSAKey | KeySet, algorithms: list[str]) -> None:
    try:
        jwt.decode(assertion, key, registry=_registry(algorithms))
    except (JoseError, ValueError) as error:
        raise EntraError(50012) from error


def _registry(algorithms: list[str]) -> JWSRegistry:
    """Lets the certificate chain pass in the header, `x5c`, which msal sends with a public certificate."""
    registry = JWSRegistry(algorithms=algorithms, strict_check_header=False)
    registry.max_header_length = _HEADER_LIMIT
    return registry


def _match_federated(application: Application, issuer: str, subject: str, audiences: list[str]) -> None:
    """Issuer, subject and audience must each equal those of one federated credential, letter by letter."""
    if not application.federated:
        raise EntraError(70025, {"app_id": application.app_id, "name": application.name})
    same_issuer = [f for f in application.federated if f.issuer == issuer]
    if not same_issuer:
        raise EntraError(700211, {"issuer": issuer})
    same_subject = [f for f in same_issuer if f.subject == subject]
    if not same_subject:
        raise EntraError(700213, {"subject": subject})
    if not any(set(f.audiences) & set(audiences) for f in same_subject):
        raise EntraError(700212, {"audience": ", ".join(audiences)})


def _audiences(claims: Mapping[str, Any]) -> list[str]:
    audience = claims.get("aud", [])
    return [str(a) for a in audience] if isinstance(audience, list) else [str(audience)]


def _check_times(tenant: Tenant, claims: Mapping[str, Any]) -> None:
    now = tenant.clock.time()
    try:
        starts, ends = float(claims.get("nbf", now)), float(claims["exp"])
    except (KeyError, TypeError, ValueError) as error:
        raise EntraError(50027, {"reason": "The token has no expiry time."}) from error
    if not starts - _LEEWAY <= now <= ends + _LEEWAY:
        times = {"now": _when(now), "starts": _when(starts), "ends": _when(ends)}
        raise EntraError(700024, times)


def _when(at: float) -> str:
    return datetime.datetime.fromtimestamp(at, datetime.UTC).strftime("%Y-%m-%dT%H:%M:%S.0000000Z")
