"""Self-signed certificates of applications, and client assertions made by hand."""

from __future__ import annotations

import base64
import datetime
import time
import uuid
from dataclasses import dataclass
from typing import Any

import jwt
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID


@dataclass(frozen=True)
class KeyPair:
    """PEM of an RSA key and of its self-signed certificate."""

    key: str
    certificate: str

    @property
    def pem(self) -> str:
        """Both, as azure-identity takes them."""
        return self.key + self.certificate

    def thumbprint(self, algorithm: hashes.HashAlgorithm) -> bytes:
        return x509.load_pem_x509_certificate(self.certificate.encode()).fingerprint(algorithm)


def key_pair(days: float = 30) -> KeyPair:
    """A new pair; negative days for a certificate that has ended."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "an application")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=90))
        .not_valid_after(now + datetime.timedelta(days=days))
        .sign(key, hashes.SHA256())
    )
    return KeyPair(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode(),
        certificate.public_bytes(Encoding.PEM).decode(),
    )


def assertion(
    pair: KeyPair,
    client_id: str,
    audience: str,
    *,
    algorithm: str = "PS256",
    header: str = "x5t#S256",
    padded: bool = False,
    **changes: Any,
) -> str:
    """A client assertion (Microsoft's certificate-credentials page); `changes` replace claims, None removes one."""
    digest = pair.thumbprint(hashes.SHA1() if header == "x5t" else hashes.SHA256())
    thumbprint = base64.urlsafe_b64encode(digest).decode()
    now = time.time()
    claims: dict[str, Any] = {
        "aud": audience,
        "iss": client_id,
        "sub": client_id,
        "jti": str(uuid.uuid4()),
        "nbf": int(now),
        "exp": int(now + 300),
    } | changes
    headers = {header: thumbprint if padded else thumbprint.rstrip("=")} if header else {}
    present = {name: value for name, value in claims.items() if value is not None}
    return jwt.encode(present, pair.key, algorithm=algorithm, headers=headers)
