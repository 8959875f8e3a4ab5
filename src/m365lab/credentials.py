"""Makes the credentials of an application: secrets that look like Microsoft's, certificates with both thumbprints."""

from __future__ import annotations

import base64
import binascii
import secrets

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding

from m365lab.directory import KeyCredential, Secret, new_id

DAY = 86_400
SECRET_DAYS = 730
"""`addPassword` ends after two years when it is not told (facts 3)."""


def new_secret(now: float, *, name: str = "", days: float = SECRET_DAYS) -> Secret:
    """40 characters with a `~` in them, as Microsoft's (facts 8). `now` is the lab's Unix time."""
    value = f"{secrets.token_hex(2)[:3]}8Q~{secrets.token_urlsafe(26)[:34]}"
    return Secret(new_id(), value, now, now + days * DAY, name)


def key_credential(certificate: str, *, name: str = "") -> KeyCredential:
    """A certificate as the portal takes it: PEM, or base64 of its DER. Thumbprints are upper-case hex.

    Raises `ValueError` when it is not a certificate.
    """
    loaded = _load(certificate)
    return KeyCredential(
        new_id(),
        loaded.public_bytes(Encoding.PEM).decode(),
        loaded.fingerprint(hashes.SHA1()).hex().upper(),  # noqa: S303 - x5t is SHA-1 by RFC 7515 section 4.1.7
        loaded.fingerprint(hashes.SHA256()).hex().upper(),
        loaded.not_valid_after_utc.timestamp(),
        name,
    )


def _load(certificate: str) -> x509.Certificate:
    try:
        if "-----BEGIN" in certificate:
            return x509.load_pem_x509_certificate(certificate.encode())
        return x509.load_der_x509_certificate(base64.b64decode(certificate, validate=True))
    except (ValueError, binascii.Error) as error:
        raise ValueError("not a certificate: send one in PEM, or the base64 of its DER, without the key") from error
