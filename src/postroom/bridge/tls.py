"""TLS of a listener: the certificate that was named, or one made here; the versions that are taken."""

from __future__ import annotations

import datetime
import ipaddress
import os
import ssl
import warnings
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from postroom.bridge.values import ListenerData
from postroom.core.faults import Fault

_DAYS = 825
_RENEW_DAYS = 60
_VERSIONS = {
    "1.0": ssl.TLSVersion.TLSv1,
    "1.1": ssl.TLSVersion.TLSv1_1,
    "1.2": ssl.TLSVersion.TLSv1_2,
    "1.3": ssl.TLSVersion.TLSv1_3,
}
_HERE = {"1.0": ssl.HAS_TLSv1, "1.1": ssl.HAS_TLSv1_1, "1.2": ssl.HAS_TLSv1_2, "1.3": ssl.HAS_TLSv1_3}


def server_context(data: ListenerData, hostname: str, folder: Path) -> ssl.SSLContext:
    """For this listener; a certificate made here lies in `folder`. Raises `Fault`."""
    if not _HERE[data.tls_minimum]:
        raise Fault(
            f"this machine's OpenSSL has no TLS {data.tls_minimum}", "Choose 1.2, or run it where there is one."
        )
    certificate = Path(data.certificate) if data.certificate else own_certificate(folder, hostname)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with warnings.catch_warnings():
        # Python calls the old versions deprecated; the console says it louder.
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = _VERSIONS[data.tls_minimum]
    if data.tls_minimum in ("1.0", "1.1"):
        # OpenSSL 3 keeps the old versions behind its lowest security level (SSL_CTX_set_security_level(3)).
        context.set_ciphers("DEFAULT:@SECLEVEL=0")
    load(context, certificate, data.key)
    return context


def load(context: ssl.SSLContext, certificate: Path | str, key: str) -> None:
    """Connections from now on see this certificate; done again, a renewed one. Raises `Fault`."""
    try:
        context.load_cert_chain(certificate, key or None)
    except (OSError, ssl.SSLError) as error:
        raise Fault(
            f"the certificate {certificate} cannot be used: {error.strerror or error}",
            "Name a PEM file with the chain, and one with the key that belongs to it, both readable for Postroom.",
        ) from None


def stamp(data: ListenerData) -> tuple[int, ...]:
    """Changes when the files of a named certificate do; () for one made here."""
    if not data.certificate:
        return ()
    files = [Path(data.certificate), *([Path(data.key)] if data.key else [])]
    return tuple(file.stat().st_mtime_ns if file.exists() else 0 for file in files)


def own_certificate(folder: Path, hostname: str) -> Path:
    """A self-signed certificate and key in one file, made when there is none for this name, or when it is about to end.

    Programs trust it by trusting the very file (without its key: `<name>.crt`).
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    path = folder / f"{_safe(hostname)}.pem"
    if not _still_good(path):
        certificate, key = _make(hostname)
        (folder / f"{_safe(hostname)}.crt").write_bytes(certificate)
        fresh = path.with_suffix(f".{os.getpid()}.new")
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(certificate + key)
        fresh.replace(path)
    return path


def _make(hostname: str) -> tuple[bytes, bytes]:
    key = ec.generate_private_key(ec.SECP256R1())
    start = datetime.datetime.now(datetime.UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, hostname[:64])])
    names: list[x509.GeneralName] = [x509.DNSName(each) for each in dict.fromkeys((hostname, "localhost"))]
    names += [x509.IPAddress(ipaddress.ip_address(each)) for each in ("127.0.0.1", "::1")]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start - datetime.timedelta(minutes=5))
        .not_valid_after(start + datetime.timedelta(days=_DAYS))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return certificate.public_bytes(Encoding.PEM), private


def _still_good(path: Path) -> bool:
    try:
        certificate = x509.load_pem_x509_certificate(path.read_bytes())
    except (OSError, ValueError):
        return False
    left = certificate.not_valid_after_utc - datetime.datetime.now(datetime.UTC)
    return left > datetime.timedelta(days=_RENEW_DAYS)


def _safe(hostname: str) -> str:
    return "".join(char if char.isalnum() or char in ".-" else "_" for char in hostname) or "postroom"
