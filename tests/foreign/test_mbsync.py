"""mbsync keeps a Maildir in step with a mailbox, signing in with XOAUTH2 by KDE's plugin for Cyrus SASL."""

from __future__ import annotations

import subprocess
from pathlib import Path

from support.mail_access import MailAccess

CONFIG = """
IMAPAccount lab
Host localhost
Port {port}
User {mailbox}
PassCmd "cat {token}"
AuthMechs XOAUTH2
SSLType IMAPS
SystemCertificates no
CertificateFile {ca}

IMAPStore remote
Account lab

MaildirStore local
Path {folder}/mail/
Inbox {folder}/mail/INBOX
SubFolders Verbatim

Channel all
Far :remote:
Near :local:
Patterns INBOX "Sent Items"
Create Near
Expunge Both
SyncState *
"""


def sync(access: MailAccess, folder: Path) -> None:
    (folder / "mail").mkdir(exist_ok=True)
    (folder / "token").write_text(access.lab.token())
    values = {"port": access.lab.cloud["imap_port"], "ca": access.lab.ca_file, "mailbox": access.mailbox}
    config = folder / "mbsyncrc"
    config.write_text(CONFIG.format(token=folder / "token", folder=folder, **values))
    command = ["mbsync", "--config", str(config), "--all"]
    ended = subprocess.run(command, capture_output=True, check=False, timeout=60)
    assert ended.returncode == 0, ended.stdout + ended.stderr


def here(folder: Path, name: str = "INBOX") -> list[Path]:
    return sorted(file for part in ("cur", "new") for file in (folder / "mail" / name / part).iterdir())


def test_both_sides_become_alike(access: MailAccess, tmp_path: Path) -> None:
    access.deliver(b"From: a@example.org\r\nSubject: one\r\n\r\ntext one\r\n")
    access.deliver(b"From: a@example.org\r\nSubject: two\r\n\r\ntext two\r\n")
    sync(access, tmp_path)
    assert len(here(tmp_path)) == 2

    one, two = sorted(here(tmp_path), key=lambda file: b"text two" in file.read_bytes())
    one.unlink()
    two.rename(two.parent.parent / "cur" / f"{two.name.partition(':')[0]}:2,S")
    own = b"From: me@contoso.example\nSubject: three\n\nwritten here\n"
    (tmp_path / "mail" / "Sent Items" / "new" / "1.own.host").write_bytes(own)
    sync(access, tmp_path)

    (left,) = access.lab.control("GET", f"/mailboxes/{access.mailbox}/messages?folder=inbox")
    assert left["subject"] == "two"
    assert left["flags"] == ["\\Seen"]
    (sent,) = access.messages("sentitems")
    assert sent.endswith(b"\r\n\r\nwritten here\r\n")

    access.deliver(b"From: a@example.org\r\nSubject: four\r\n\r\ntext four\r\n")
    sync(access, tmp_path)
    assert sum(b"text four" in file.read_bytes() for file in here(tmp_path)) == 1
