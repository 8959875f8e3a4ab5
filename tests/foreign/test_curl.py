"""curl signs in with XOAUTH2, sends over SMTP, and reads over IMAP and POP3."""

from __future__ import annotations

import subprocess
import tempfile

import pytest

from support.mail_access import MailAccess

LETTER = "From: {0}\r\nTo: {0}\r\nSubject: by curl\r\n\r\n.a dot first\r\nlast line\r\n"


def curl(access: MailAccess, url: str, *options: str, token: str = "", given: bytes = b"") -> bytes:
    """What curl prints. Raises `CalledProcessError` with its exit code."""
    # The token goes by a file: on a command line others could see it.
    with tempfile.NamedTemporaryFile("w", suffix=".curlrc") as config:
        config.write(f'user = "{access.mailbox}:"\noauth2-bearer = "{token or access.lab.token()}"\n')
        config.flush()
        command = ["curl", "--config", config.name, "--silent", "--show-error", "--cacert", access.lab.ca_file]
        return subprocess.run(
            [*command, url, *options], input=given, capture_output=True, check=True, timeout=60
        ).stdout


def address(access: MailAccess, protocol: str, path: str = "") -> str:
    scheme = {"smtp": "smtp", "imap": "imaps", "pop": "pop3s"}[protocol]
    return f"{scheme}://localhost:{access.lab.cloud[f'{protocol}_port']}/{path}"


def send(access: MailAccess) -> None:
    who = ("--mail-from", access.mailbox, "--mail-rcpt", access.mailbox)
    text = LETTER.format(access.mailbox).encode()
    curl(access, address(access, "smtp"), "--ssl-reqd", *who, "--upload-file", "-", given=text)


def test_sends(access: MailAccess) -> None:
    send(access)
    (arrived,) = access.messages("inbox")
    assert arrived.endswith(b"\r\n\r\n.a dot first\r\nlast line\r\n")


def test_reads_over_imap_and_pop(access: MailAccess) -> None:
    send(access)
    (stored,) = access.messages("inbox")
    assert curl(access, address(access, "imap", "INBOX;MAILINDEX=1")) == stored
    # Without --sasl-ir curl sends the credentials on a line of their own, as Exchange's POP3 wants it.
    assert curl(access, address(access, "pop", "1")) == stored


@pytest.mark.parametrize("protocol", ["smtp", "imap", "pop"])
def test_is_refused_without_a_good_token(access: MailAccess, protocol: str) -> None:
    options = ["--ssl-reqd", "--request", "NOOP"] if protocol == "smtp" else []
    with pytest.raises(subprocess.CalledProcessError) as caught:
        curl(access, address(access, protocol), *options, token=access.lab.token("https://graph.microsoft.com"))
    assert caught.value.returncode == 67  # CURLE_LOGIN_DENIED
