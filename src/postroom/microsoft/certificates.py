"""Certificates that prove an application: make one, read what was uploaded, know its thumbprints and its end."""

from __future__ import annotations

import datetime
from dataclasses import dataclass, field

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    pkcs12,
)
from cryptography.x509.oid import NameOID

_SMALLEST_KEY = 2048
_LONGEST_DAYS = 3650


@dataclass(frozen=True, slots=True)
class CertificateWithKey:
    """A certificate together with its private key."""

    pem_with_key: str = field(repr=False)
    """PKCS #8 key, unencrypted, then the certificate: what azure-identity takes. Secret."""
    public_pem: str
    """The certificate alone: what is uploaded to Azure."""
    subject: str
    not_before: datetime.datetime
    not_after: datetime.datetime
    sha1: str
    """Thumbprint as the Azure portal shows it: upper-case hexadecimal, no colons."""
    sha256: str


def make_certificate(
    subject: str, *, days: int = 365, key_size: int = _SMALLEST_KEY, now: datetime.datetime | None = None
) -> CertificateWithKey:
    """A new self-signed certificate, good for `days` from `now` (aware; the present moment when None).

    Its common name is `subject`, cut to the 64 characters that X.509 allows (RFC 5280 appendix A.1). Raises
    `ValueError` for an empty subject, days not in 1 to 3650, or a key below 2048 bits.
    """
    if not subject.strip():
        raise ValueError("the subject is empty; give a name such as postroom-contoso")
    if not 0 < days <= _LONGEST_DAYS:
        raise ValueError(f"days is {days}; a certificate can be good for 1 to {_LONGEST_DAYS} days")
    if key_size < _SMALLEST_KEY:
        raise ValueError(f"the key has {key_size} bits; Entra wants {_SMALLEST_KEY} or more")
    start = now or datetime.datetime.now(datetime.UTC)
    key = rsa.generate_private_key(public_exponent=65537, key_size=key_size)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject.strip()[:64])])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start - datetime.timedelta(minutes=5))  # Entra's clock may be a little behind
        .not_valid_after(start + datetime.timedelta(days=days))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    return _keyed(key, certificate)


def read_certificate(data: bytes, password: str = "") -> CertificateWithKey:
    """An uploaded PEM or PFX (PKCS #12), its key in the clear. Raises `ValueError` saying what is wrong with it."""
    secret = password.encode() or None
    if b"-----BEGIN" in data:
        key, certificates = _from_pem(data, secret)
    else:
        key, certificates = _from_pfx(data, secret)
    if not isinstance(key, rsa.RSAPrivateKey):
        raise ValueError("the private key is not RSA; Entra takes RSA keys for client assertions only")
    if key.key_size < _SMALLEST_KEY:
        raise ValueError(f"the RSA key has {key.key_size} bits; make one with {_SMALLEST_KEY} or more")
    own = _public(key.public_key())
    for certificate in certificates:
        if _public(certificate.public_key()) == own:
            return _keyed(key, certificate)
    raise ValueError("the private key does not belong to the certificate; upload the two that were made together")


def _from_pem(data: bytes, password: bytes | None) -> tuple[object, list[x509.Certificate]]:
    if b"PRIVATE KEY-----" not in data:
        raise ValueError("the file holds no private key; upload certificate and key in one PEM file, or a PFX file")
    if b"-----BEGIN CERTIFICATE-----" not in data:
        raise ValueError("the file holds no certificate; upload certificate and key in one PEM file, or a PFX file")
    encrypted = b"ENCRYPTED" in data
    if encrypted and password is None:
        raise ValueError("the private key is encrypted; give its password")
    start = next(data.index(mark) for mark in _key_marks(data))
    try:
        key = load_pem_private_key(data[start:], password if encrypted else None)
    except (ValueError, TypeError) as error:
        hint = "the password is wrong, or the key is damaged" if encrypted else "it is damaged, or of an unknown kind"
        raise ValueError(f"the private key cannot be read: {hint}") from error
    try:
        return key, x509.load_pem_x509_certificates(data)
    except ValueError as error:
        raise ValueError("the certificate cannot be read; export it again as PEM") from error


def _key_marks(data: bytes) -> list[bytes]:
    marks = (b"-----BEGIN PRIVATE KEY", b"-----BEGIN ENCRYPTED PRIVATE KEY", b"-----BEGIN RSA PRIVATE KEY")
    return [mark for mark in (*marks, b"-----BEGIN EC PRIVATE KEY", b"-----BEGIN") if mark in data]


def _from_pfx(data: bytes, password: bytes | None) -> tuple[object, list[x509.Certificate]]:
    try:
        key, certificate, more = pkcs12.load_key_and_certificates(data, password)
    except ValueError as error:
        raise ValueError(
            "this is neither PEM nor a PFX that opens with this password; check file and password"
        ) from error
    if key is None:
        raise ValueError("the PFX holds no private key; export it again with its private key")
    return key, [one for one in (certificate, *more) if one is not None]


def _keyed(key: rsa.RSAPrivateKey, certificate: x509.Certificate) -> CertificateWithKey:
    public = certificate.public_bytes(Encoding.PEM).decode()
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    return CertificateWithKey(
        pem_with_key=private + public,
        public_pem=public,
        subject=certificate.subject.rfc4514_string(),
        not_before=certificate.not_valid_before_utc,
        not_after=certificate.not_valid_after_utc,
        sha1=certificate.fingerprint(hashes.SHA1()).hex().upper(),  # noqa: S303 - a name, not a signature
        sha256=certificate.fingerprint(hashes.SHA256()).hex().upper(),
    )


def _public(key: object) -> bytes:
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)  # type: ignore[attr-defined,no-any-return]
