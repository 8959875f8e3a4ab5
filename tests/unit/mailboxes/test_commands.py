"""The command line, through its own runner: what it prints, its exit codes, and that secrets come in by other ways."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from postroom.core.faults import Fault, Invalid
from postroom.mailboxes import (
    commands,
    connect,
    credential_commands,
    inbox_command,
    proofs,
    provider_commands,
    send_command,
    service,
)
from postroom.mailboxes.models import Mailbox

from .conftest import CLIENT, PRINCIPAL, SECRET, TENANT
from .otherside import AUTH_FAILED, OtherSide

pytestmark = pytest.mark.django_db
RUNNER = CliRunner()
ADD = ["add", "Office", "--address", "office@contoso.com", "--tenant", TENANT, "--client-id", CLIENT, "--read"]


def run(app: Any, *words: str, **kwargs: Any) -> Result:
    return RUNNER.invoke(app, list(words), **kwargs)


def printed(app: Any, *words: str, **kwargs: Any) -> Any:
    result = run(app, *words, "--json", **kwargs)
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


@pytest.fixture
def side(monkeypatch: pytest.MonkeyPatch) -> OtherSide:
    other = OtherSide(oid=PRINCIPAL, client_id=CLIENT, tenant=TENANT)
    other.install(monkeypatch)
    return other


def test_add_show_edit_list() -> None:
    added = printed(commands.app, *ADD)
    assert (added["sends_to"], added["health"]) == ("smtp.office365.com:587 starttls", "unproved")
    edited = printed(commands.app, "edit", "office", "--bcc", "a@b.org", "--bcc", "c@d.org", "--no-read")
    assert (edited["copies_to"], edited["reads_from"]) == (["a@b.org", "c@d.org"], "none")
    assert edited["tenant"] == TENANT
    assert [row["name"] for row in printed(commands.app, "list")] == ["Office"]
    assert "Office" in run(commands.app, "list").stdout


def test_a_fault_carries_field_and_fix() -> None:
    result = run(commands.app, *ADD, "--smtp-host", "outlook.office365.com")
    assert isinstance(result.exception, Invalid)
    assert "for sending write smtp.office365.com" in str(result.exception)
    assert isinstance(run(commands.app, "show", "nobody").exception, Fault)


def test_copy_default_disable_delete() -> None:
    run(commands.app, *ADD)
    assert printed(commands.app, "copy", "Office", "Second")["name"] == "Second"
    assert printed(commands.app, "default", "Second")["is_default"]
    assert not printed(commands.app, "disable", "Second")["enabled"]
    assert run(commands.app, "delete", "Second", input="n\n").exit_code != 0
    assert run(commands.app, "delete", "Second", "--yes").exit_code == 0
    assert [row.name for row in service.list_mailboxes()] == ["Office"]


@pytest.mark.parametrize("way", ["stdin", "file", "env"])
def test_a_secret_comes_in_by_every_way_but_the_command_line(
    way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(commands.app, *ADD)
    words, given = ["add", "Office", "--expires", "2099-01-01"], None
    if way == "stdin":
        given = SECRET + "\n"
    elif way == "file":
        file = tmp_path / "secret"
        file.write_text(SECRET + "\n")
        words += ["--file", str(file)]
    else:
        monkeypatch.setenv("THE_SECRET", SECRET)
        words += ["--env", "THE_SECRET"]
    added = printed(credential_commands.app, *words, input=given)
    assert added["hint"] == "ends in WXYZ"
    identity = connect.ready(service.find("Office")).identity
    assert identity is not None
    assert identity.credentials[0].value == SECRET  # type: ignore[union-attr]


def test_no_command_has_an_option_for_a_secret() -> None:
    for app in (commands.app, credential_commands.app, send_command.app):
        for command in app.registered_commands:
            names = set(command.callback.__annotations__) if command.callback else set()
            assert not names & {"secret", "password", "value", "token"}


def test_certificates_and_rotation(office: Mailbox, tmp_path: Path) -> None:
    public = tmp_path / "public.pem"
    result = run(credential_commands.app, "generate-certificate", "Office", "--out", str(public))
    assert result.exit_code == 0
    assert "PRIVATE" not in public.read_text() + result.output
    rows = printed(credential_commands.app, "list", "Office")
    assert [row["kind"] for row in rows] == ["secret", "certificate"]
    assert run(credential_commands.app, "promote", str(rows[1]["id"])).exit_code == 0
    assert run(credential_commands.app, "remove", str(rows[0]["id"]), "--yes").exit_code == 0
    assert printed(credential_commands.app, "rotate-key")["already"] == 1


def test_providers() -> None:
    assert "sendgrid" in {row["slug"] for row in printed(provider_commands.app, "list")}
    made = printed(provider_commands.app, "add", "Ours", "--set", "smtp_host=mail.example.org", "--set", "smtp_port=25")
    assert (made["slug"], made["smtp_port"]) == ("ours", 25)
    edited = printed(
        provider_commands.app, "edit", "ours", "--set", "smtp_port=", "--set", "can_read=false", "--set", "read_by=none"
    )
    assert (edited["smtp_port"], edited["can_read"]) == (None, False)
    assert isinstance(run(provider_commands.app, "edit", "ours", "--set", "colour=red").exception, Invalid)
    assert printed(provider_commands.app, "copy", "google", "Our Gmail")["smtp_host"] == "smtp.gmail.com"
    assert run(provider_commands.app, "delete", "ours", "--yes").exit_code == 0


def test_the_test_prints_stages_and_its_exit_code_tells(office: Mailbox, side: OtherSide) -> None:
    result = run(commands.app, "test", "Office", "--to", "me@contoso.com", "--wait", "0")
    assert result.exit_code == 0, result.output
    assert "Message read back" in result.stdout
    side.send_refusals = [AUTH_FAILED] * 9
    result = run(commands.app, "test", "Office", "--to", "me@contoso.com", "--wait", "0", "--no-retry")
    assert result.exit_code == 1
    assert "FAIL" in result.stdout
    side.send_refusals = [AUTH_FAILED] * 9
    result = run(commands.app, "test", "--to", "me@contoso.com", "--wait", "0", "--no-retry", "--json")
    assert result.exit_code == 1
    assert json.loads(result.stdout)["passed"] is False


def test_without_an_address_nothing_is_tried(office: Mailbox, side: OtherSide) -> None:
    result = run(commands.app, "test", "Office")
    assert isinstance(result.exception, Invalid)
    assert side.tokens == 0
    assert proofs.latest(office.pk) is None


def test_send_and_inbox(office: Mailbox, side: OtherSide, tmp_path: Path) -> None:
    words = ["--to", "a@b.org, c@d.org", "--bcc", "e@f.org", "--subject", "Hi", "--text", "x"]
    sent = printed(send_command.app, *words)
    assert sent["recipients"] == ["a@b.org", "c@d.org", "e@f.org"]
    raw = tmp_path / "ready.eml"
    raw.write_bytes(b"From: office@contoso.com\r\nSubject: ready\r\n\r\nx\r\n")
    assert printed(send_command.app, "--to", "a@b.org", "--raw", str(raw))["sent"]
    assert b"Subject: ready" in side.messages["2"]
    listed = printed(inbox_command.app)
    assert [entry["subject"] for entry in listed] == ["Hi", "ready"]
    shown = printed(inbox_command.app, "--read", "1")
    assert shown["text"].strip() == "x"


def test_a_refused_mail_is_exit_code_1_with_its_cause(office: Mailbox, side: OtherSide) -> None:
    side.send_refusals = [AUTH_FAILED]
    result = run(send_command.app, "--to", "a@b.org", "--text", "x", "--json")
    assert result.exit_code == 1
    assert json.loads(result.stdout)["diagnosis"]["fault"] == "exchange-service-principal"


def test_import(tmp_path: Path) -> None:
    file = tmp_path / "gateway.properties"
    file.write_text("mail.host=smtp.example.org\nmail.defaultSender=a@example.org\nmail.debug=true\n")
    imported = printed(commands.app, "import", str(file), "--name", "Old")
    assert imported["mailbox"] == "Old"
    assert {"key": "mail.debug", "use": "no effect", "text": "see the log"} in imported["keys"]
