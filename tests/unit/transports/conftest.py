"""What the transport tests share: certificates of an authority of their own, tokens, an observer that remembers."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from postroom.microsoft.answers import Step
from postroom.microsoft.claims import AccessToken, Claims
from postroom.transports.base import OAuth


@dataclass(frozen=True)
class Certificates:
    """Of one authority: its file, and server contexts for two names."""

    ca_file: str
    localhost: ssl.SSLContext
    elsewhere: ssl.SSLContext
    """For another name than the one connected to."""


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    folder = tmp_path_factory.mktemp("tls")
    key = ec.generate_private_key(ec.SECP256R1())
    ca = _certificate("Test CA", key, None, None)
    (folder / "ca.pem").write_bytes(ca.public_bytes(serialization.Encoding.PEM))
    contexts = [_server(folder, name, ca, key) for name in ("localhost", "elsewhere.test")]
    return Certificates(str(folder / "ca.pem"), *contexts)


def _server(folder: Path, name: str, ca: x509.Certificate, ca_key: ec.EllipticCurvePrivateKey) -> ssl.SSLContext:
    key = ec.generate_private_key(ec.SECP256R1())
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ) + _certificate(name, key, ca, ca_key).public_bytes(serialization.Encoding.PEM)
    (folder / f"{name}.pem").write_bytes(pem)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(folder / f"{name}.pem")
    return context


def _certificate(
    name: str, key: ec.EllipticCurvePrivateKey, ca: x509.Certificate | None, ca_key: ec.EllipticCurvePrivateKey | None
) -> x509.Certificate:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(ca.subject if ca else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=ca is None, path_length=None), critical=True)
    )
    if ca is not None:
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
    return builder.sign(ca_key or key, hashes.SHA256())


class Tokens:
    """Gives token-1, then token-2 when forced, and so on; remembers how often it was forced."""

    def __init__(self) -> None:
        self.number = 1

    def __call__(self, *, force: bool = False) -> AccessToken:
        self.number += force
        return AccessToken(f"token-{self.number}", 0.0, Claims())


@pytest.fixture
def tokens() -> Tokens:
    return Tokens()


@pytest.fixture
def oauth(tokens: Tokens) -> OAuth:
    return OAuth("ann@contoso.test", tokens)


class Watcher:
    """An observer that remembers."""

    def __init__(self) -> None:
        self.seen: list[tuple[Step, str]] = []

    def __call__(self, step: Step, detail: str) -> None:
        self.seen.append((step, detail))

    @property
    def steps(self) -> list[Step]:
        """Each step once, in order."""
        return list(dict.fromkeys(step for step, _ in self.seen))

    def detail(self, step: Step) -> str:
        return next(detail for seen, detail in reversed(self.seen) if seen is step)


@pytest.fixture
def watcher() -> Watcher:
    return Watcher()
