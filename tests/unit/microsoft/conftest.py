"""A token endpoint of this test's own: HTTPS with an authority of its own, counting what it is asked."""

from __future__ import annotations

import base64
import datetime
import ipaddress
import json
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from postroom.microsoft.clouds import Cloud
from postroom.microsoft.identity import ApplicationIdentity, ClientSecret

TENANT = "11111111-2222-4333-8444-555555555555"
CLIENT = "aaaaaaaa-2222-4333-8444-555555555555"
PRINCIPAL = "bbbbbbbb-2222-4333-8444-555555555555"
RESOURCE = "https://outlook.office365.com"


@dataclass
class Reply:
    status: int
    body: dict[str, object] | str
    headers: dict[str, str] = field(default_factory=dict)


def error(status: int, oauth_error: str, code: int, text: str, **headers: str) -> Reply:
    """Entra's error JSON (facts 1.1)."""
    trailer = "\r\nTrace ID: trace-1\r\nCorrelation ID: c-1\r\nTimestamp: 2026-11-23 10:00:00Z"
    body = {
        "error": oauth_error,
        "error_description": f"AADSTS{code}: {text}{trailer}",
        "error_codes": [code],
        "trace_id": "trace-1",
        "correlation_id": "c-1",
        "error_uri": f"https://login.microsoftonline.com/error?code={code}",
    }
    return Reply(status, body, headers)


@dataclass
class Entra:
    """What the endpoint was asked, and how it shall answer: by `reply(form)`."""

    url: str = ""
    ca_file: Path = Path()
    forms: list[dict[str, str]] = field(default_factory=list)
    discovery: Reply | None = None
    """An error for the OpenID configuration, when set."""
    hold: threading.Event = field(default_factory=threading.Event)
    """Cleared, answers wait until it is set."""
    lifetime: int = 3599
    reply: Callable[[dict[str, str]], Reply] = field(default=lambda form: Reply(500, "unset"))
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def token(self, form: dict[str, str]) -> Reply:
        with self._lock:
            serial = len(self.forms)
        claims = {
            "aud": form["scope"].removesuffix("/.default"),
            "tid": TENANT,
            "appid": CLIENT,
            "oid": PRINCIPAL,
            "roles": ["SMTP.SendAsApp"],
            "exp": int(time.time()) + self.lifetime,
            "uti": str(serial),
        }
        parts = (base64.urlsafe_b64encode(json.dumps(p).encode()).rstrip(b"=").decode() for p in ({}, claims, {}))
        return Reply(200, {"token_type": "Bearer", "expires_in": self.lifetime, "access_token": ".".join(parts)})

    def cloud(self, **changes: str) -> Cloud:
        values = {
            "name": "test",
            "title": "Test",
            "authority": self.url,
            "graph": self.url,
            "exchange": self.url,
            "smtp_host": "localhost",
            "imap_host": "localhost",
            "pop_host": "localhost",
            "ca_file": str(self.ca_file),
        }
        return Cloud(**{**values, **changes})

    def identity(self, *credentials: object, **changes: object) -> ApplicationIdentity:
        """The application, with one client secret unless other credentials are given."""
        proof = credentials or (ClientSecret("first", "s3cret~value"),)
        return ApplicationIdentity(
            **{"cloud": self.cloud(), "tenant": TENANT, "client_id": CLIENT, "credentials": proof, **changes}
        )


def _handler(entra: Entra) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            tenant = self.path.split("/")[1]
            base = f"{entra.url}/{tenant}"
            self._say(
                entra.discovery
                or Reply(
                    200,
                    {
                        "issuer": f"{base}/v2.0",
                        "authorization_endpoint": f"{base}/oauth2/v2.0/authorize",
                        "token_endpoint": f"{base}/oauth2/v2.0/token",
                    },
                )
            )

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            form = {name: values[0] for name, values in parse_qs(body).items()}
            entra.forms.append(form)
            entra.hold.wait(30)
            self._say(entra.reply(form))

        def _say(self, reply: Reply) -> None:
            body = (reply.body if isinstance(reply.body, str) else json.dumps(reply.body)).encode()
            self.send_response(reply.status)
            for name, value in {"Content-Type": "application/json", **reply.headers}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    return Handler


def _certificates(folder: Path) -> tuple[Path, Path]:
    """An authority, and a certificate of localhost with its key: (authority's PEM, certificate and key)."""
    now = datetime.datetime.now(datetime.UTC)

    def make(
        name: str, key: ec.EllipticCurvePrivateKey, issuer: str, signer: ec.EllipticCurvePrivateKey, ca: bool
    ) -> bytes:
        builder = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
            .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(hours=1))
            .not_valid_after(now + datetime.timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
        )
        if ca:
            usage = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
            builder = builder.add_extension(usage, critical=True)
        else:
            names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        return builder.sign(signer, hashes.SHA256()).public_bytes(Encoding.PEM)

    authority, own = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    (folder / "ca.pem").write_bytes(make("Test authority", authority, "Test authority", authority, True))
    key = own.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (folder / "own.pem").write_bytes(make("localhost", own, "Test authority", authority, False) + key)
    return folder / "ca.pem", folder / "own.pem"


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return _certificates(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def entra(certificates: tuple[Path, Path]) -> Iterator[Entra]:
    found = Entra(ca_file=certificates[0])
    found.reply = found.token
    found.hold.set()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(found))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificates[1])
    server.socket = context.wrap_socket(server.socket, server_side=True)
    server.handle_error = lambda *_: None  # handshakes that fail on purpose
    found.url = f"https://localhost:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield found
    found.hold.set()
    server.shutdown()
    server.server_close()
    thread.join()
