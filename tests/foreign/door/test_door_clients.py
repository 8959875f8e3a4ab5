"""The SMTP door under clients that nobody here wrote, each with the settings that docs/smtp-door.md gives for it."""

from __future__ import annotations

import os
import smtplib
import subprocess
import sys
from pathlib import Path

from support.door import HOST

from .conftest import PERSON, Post

DJANGO = """
import sys
from django.conf import settings
host, port, user, secret, certificate, sender, to, subject = sys.argv[1:]
settings.configure(
    EMAIL_HOST=host, EMAIL_PORT=int(port), EMAIL_HOST_USER=user, EMAIL_HOST_PASSWORD=secret, EMAIL_USE_TLS=True,
)
import django
django.setup()
from django.core.mail import send_mail
assert send_mail(subject, "Gr\\u00fc\\u00dfe\\n.\\nend", sender, [to]) == 1
"""


def run(*command: str, stdin: str = "", **environment: str) -> str:
    """A program that must succeed; what it said."""
    done = subprocess.run(
        command, input=stdin, text=True, capture_output=True, timeout=90, env=os.environ | environment
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout + done.stderr


def letter(post: Post, subject: str) -> str:
    return f"From: {post.sender}\nTo: {PERSON}\nSubject: {subject}\n\n.a dot\nHello\n"


def test_django_send_mail(post: Post) -> None:
    """An unchanged `django.core.mail`; SSL_CERT_FILE is OpenSSL's own way to trust one more certificate."""
    door = post.door
    arguments = (HOST, str(door.port), door.user, door.secret, str(door.certificate), post.sender, PERSON, "Django")
    run(sys.executable, "-c", DJANGO, *arguments, SSL_CERT_FILE=str(door.certificate))
    assert post.arrived("Django")


def test_smtplib(post: Post) -> None:
    door = post.door
    with smtplib.SMTP(HOST, door.port, timeout=30) as client:
        client.starttls(context=door.context())
        client.login(door.user, door.secret)
        client.sendmail(post.sender, [PERSON], letter(post, "smtplib"))
    assert b"\r\n.a dot\r\n" in post.arrived("smtplib")


def test_msmtp(post: Post, tmp_path: Path) -> None:
    door = post.door
    settings = tmp_path / "msmtprc"
    settings.write_text(
        f"account default\nhost {HOST}\nport {door.port}\ntls on\ntls_starttls on\ntls_trust_file {door.certificate}\n"
        f"auth on\nuser {door.user}\npassword {door.secret}\nfrom {post.sender}\n"
    )
    settings.chmod(0o600)
    # RFC 3461: it asks for a report on failure, and for the headers of the message in it.
    options = ("--dsn-notify=failure", "--dsn-return=hdrs")
    run("msmtp", f"--file={settings}", *options, PERSON, stdin=letter(post, "msmtp"))
    assert b"\r\n.a dot\r\n" in post.arrived("msmtp")


def test_swaks(post: Post) -> None:
    """Both mechanisms, and pipelined."""
    door = post.door
    for mechanism, pipelined in (("PLAIN", ()), ("LOGIN", ("--pipeline",))):
        said = run(
            *("swaks", "--server", HOST, "--port", str(door.port), "--tls", "--tls-ca-path", str(door.certificate)),
            *("--tls-verify", "--auth", mechanism, "--auth-user", door.user, "--auth-password", door.secret),
            *("--from", post.sender, "--to", PERSON, "--header", f"Subject: swaks {mechanism}", *pipelined),
        )
        assert "250 2.0.0 Kept as" in said
        assert post.arrived(f"swaks {mechanism}")


def test_curl(post: Post, tmp_path: Path) -> None:
    door = post.door
    message = tmp_path / "message"
    message.write_bytes(letter(post, "curl").replace("\n", "\r\n").encode())
    run(
        *("curl", "--silent", "--show-error", "--ssl-reqd", "--cacert", str(door.certificate)),
        *("--url", f"smtp://{HOST}:{door.port}", "--user", f"{door.user}:{door.secret}"),
        *("--mail-from", post.sender, "--mail-rcpt", PERSON, "--upload-file", str(message)),
    )
    assert b"\r\n.a dot\r\n" in post.arrived("curl")
