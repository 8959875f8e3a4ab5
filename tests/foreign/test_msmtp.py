"""msmtp sends with XOAUTH2, its token coming from a command."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from support.mail_access import MailAccess

CONFIG = """
defaults
host localhost
port {port}
tls on
tls_starttls on
tls_trust_file {ca}
auth xoauth2
account lab
from {mailbox}
user {mailbox}
passwordeval cat {token}
"""


def msmtp(access: MailAccess, folder: Path, token: str, *recipients: str) -> subprocess.CompletedProcess[bytes]:
    (folder / "token").write_text(token)
    config = folder / "msmtprc"
    values = {"port": access.lab.cloud["smtp_port"], "ca": access.lab.ca_file, "mailbox": access.mailbox}
    config.write_text(CONFIG.format(token=folder / "token", **values))
    config.chmod(0o600)
    text = f"From: {access.mailbox}\nTo: {', '.join(recipients)}\nSubject: by msmtp\n\n.a dot\nlast\n"
    command = ["msmtp", "-C", str(config), "-a", "lab", *recipients]
    return subprocess.run(command, input=text.encode(), capture_output=True, check=False, timeout=60)


def test_sends(access: MailAccess, tmp_path: Path) -> None:
    ended = msmtp(access, tmp_path, access.lab.token(), "megan@contoso.example", "someone@example.org")
    assert ended.returncode == 0, ended.stderr
    (arrived,) = access.messages("inbox", "megan@contoso.example")
    assert arrived.endswith(b"\r\n\r\n.a dot\r\nlast\r\n")
    assert [gone["recipients"] for gone in access.lab.control("GET", "/gone")] == [["someone@example.org"]]


@pytest.mark.parametrize("what", ["role", "principal"])
def test_shows_microsofts_refusal(access: MailAccess, tmp_path: Path, what: str) -> None:
    access.without(what)
    ended = msmtp(access, tmp_path, access.lab.token(), "megan@contoso.example")
    assert ended.returncode == 77  # EX_NOPERM
    assert b"535 5.7.3 Authentication unsuccessful [" in ended.stderr
