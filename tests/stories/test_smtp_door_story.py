"""A program that knows SMTP and a password sends through Microsoft 365: from the first command to the letter."""

from __future__ import annotations

import smtplib
from collections.abc import Iterator
from email.message import EmailMessage

import pytest

from support.door import HOST, Door, answers, opened, waited
from support.postroom import Postroom, RunningPostroom

from .conftest import PERSON, House


@pytest.fixture(scope="module", autouse=True)
def served(postroom: Postroom) -> Iterator[RunningPostroom]:
    """One server for all tests here: everything they make is made while it runs."""
    with RunningPostroom(postroom) as running:
        yield running


def letter(house: House, subject: str) -> EmailMessage:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = house.mail.mailbox, PERSON, subject
    message.set_content("Hello")
    return message


def arrived(house: House, subject: str) -> bool:
    return any(f"Subject: {subject}".encode() in raw for raw in house.mail.messages("Inbox", PERSON))


def test_from_nothing_to_a_letter(house: House) -> None:
    """App and listener are made while the server runs; what is handed in arrives, sent with OAuth."""
    house.add("Door")
    door = opened(house.postroom, "payroll", "Door")
    with door.client() as client:
        client.login(door.user, door.secret)
        assert client.send_message(letter(house, "Your payslip")) == {}
    waited(lambda: arrived(house, "Your payslip"))
    (app,) = house.cli("app", "list", "payroll")
    assert app["last_used"]
    assert app["secrets"] == [f"...{door.secret[-4:]}"]


def test_what_an_app_may_not_is_said(house: House) -> None:
    house.add("Strict")
    door = opened(house.postroom, "strict", "Strict")
    with door.client() as client:
        client.login(door.user, door.secret)
        boss = letter(house, "I am the boss")
        boss.replace_header("From", "ceo@contoso.example")
        with pytest.raises(smtplib.SMTPDataError, match=r"strict may not send as ceo@contoso\.example") as refused:
            client.send_message(boss, from_addr=house.mail.mailbox)
        assert refused.value.smtp_code == 550
    with door.client() as client, pytest.raises(smtplib.SMTPAuthenticationError) as wrong:
        client.login(door.user, "guess")
    assert wrong.value.smtp_code == 535


def test_secrets_change_without_a_stop(house: House, served: RunningPostroom) -> None:
    """Rotated: old and new work side by side. Removed: open sessions end too."""
    house.add("Rotating")
    door = opened(house.postroom, "rotating", "Rotating")
    new = house.cli("app", "rotate", "rotating", "--overlap", "1")["secret"]
    for secret in (door.secret, new):
        with door.client() as client:
            client.login("Rotating", secret)
    with door.client() as client:
        client.login(door.user, new)
        assert client.mail(house.mail.mailbox)[0] == 250
        assert house.postroom.run("app", "remove", "rotating", "--yes").returncode == 0
        waited(lambda: client.rset()[0] == 250 and client.mail(house.mail.mailbox)[0] == 421)
    assert door.secret not in served.log


def test_a_listener_changes_and_goes(house: House) -> None:
    """The table is followed while the server runs; exceptions for old devices are said loudly."""
    house.add("Printers")
    door = opened(house.postroom, "scanner", "Printers")
    changed = house.cli(
        *("listener", "edit", door.listener, "--set", "mode=plain", "--set", "open_networks=127.0.0.1/32"),
        *("--set", "open_mailbox=Printers", "--set", "fill_in_to=true"),
    )
    assert any("No sign-in from 127.0.0.1/32" in warning for warning in changed["warnings"])
    assert any("in clear" in warning for warning in changed["warnings"])
    waited(lambda: "starttls" not in extensions(door))
    with smtplib.SMTP(HOST, door.port, timeout=30) as client:
        raw = f"From: {house.mail.mailbox}\r\nSubject: Scan of a device\r\n\r\nHi\r\n"
        client.sendmail(house.mail.mailbox, [PERSON], raw)
    waited(lambda: arrived(house, "Scan of a device"))
    assert house.postroom.run("listener", "remove", door.listener, "--yes").returncode == 0
    waited(lambda: not answers(door))


def test_a_port_in_use_is_said_and_tried_again(house: House, served: RunningPostroom) -> None:
    house.add("Busy")
    door = opened(house.postroom, "busy", "Busy")
    taken = ("listener", "add", "second", "--address", "0.0.0.0", "--port", str(door.port))
    house.cli(*taken)
    waited(lambda: fault_of(house, "second"))
    assert "cannot listen on 0.0.0.0" in fault_of(house, "second")
    assert served.log.count("second: cannot listen") == 1
    assert house.postroom.run("listener", "remove", door.listener, "--yes").returncode == 0
    waited(lambda: not fault_of(house, "second"))


def test_never_open_to_everybody(house: House) -> None:
    plain = house.cli("listener", "add", "open", "--mode", "plain", "--address", "0.0.0.0", exit_code=1)
    assert "named networks only" in plain["error"]
    wide = house.cli(
        *("listener", "add", "open", "--set", "open_networks=0.0.0.0/0", "--set", "open_mailbox=9"), exit_code=1
    )
    assert "no mailbox" in wide["error"] or "too wide" in wide["error"]


def extensions(door: Door) -> dict[str, str]:
    """What EHLO announces; STARTTLS as long as nobody answers there."""
    try:
        with smtplib.SMTP(HOST, door.port, timeout=30) as client:
            client.ehlo()
            return client.esmtp_features
    except OSError:
        return {"starttls": ""}


def fault_of(house: House, listener: str) -> str:
    return next(str(row["fault"]) for row in house.cli("listener", "list") if row["name"] == listener)
