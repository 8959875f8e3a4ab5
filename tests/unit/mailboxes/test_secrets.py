"""Planted secrets: after everything has been done with them they are in no table, audit row, output, log or repr."""

from __future__ import annotations

import logging
from collections.abc import Callable
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection
from typer.testing import CliRunner

from postroom.accounts.audit import Actor
from postroom.core.faults import Invalid
from postroom.mailboxes import commands, connect, credential_commands, credentials, importing, mailing, proofs, service
from postroom.mailboxes.models import Mailbox
from postroom.mailboxes.proof import Patience
from postroom.microsoft.answers import Answer, Service, Step

from .conftest import CLIENT, PRINCIPAL, SECRET, TENANT
from .otherside import OtherSide

PASSWORD = "planted-password-8d1f0c"
PLANTED = (SECRET, PASSWORD, "PRIVATE KEY", "planted-old-gateway")


@pytest.fixture
def everything(
    office: Mailbox, make: Callable[..., Mailbox], by: Actor, monkeypatch: pytest.MonkeyPatch
) -> list[Mailbox]:
    """Every kind of credential added, used, shown, refused, replaced, re-sealed."""
    side = OtherSide(oid=PRINCIPAL, client_id=CLIENT, tenant=TENANT)
    side.install(monkeypatch)
    plain = make()
    credentials.add(plain, "password", PASSWORD, None, by)
    view = credentials.generate_certificate(credentials.owner_of(office), by)
    with pytest.raises(Invalid):
        credentials.add(credentials.owner_of(office), "secret", SECRET + "\u200b", None, by)
    old = importing.from_properties(
        "mail.host=h.example.org\nmail.username=u@example.org\nmail.password=planted-old-gateway", by
    )
    for mailbox in (office, plain):
        proofs.run(mailbox.pk, "me@contoso.com", by, patience=Patience(0, 0, ()))
    side.token_refusal = Answer(Service.ENTRA, Step.TOKEN, "AADSTS7000215", "Invalid client secret", "invalid_client")
    proofs.run(office.pk, "me@contoso.com", by, patience=Patience(0, 0, ()))
    credentials.promote(view.id, by)
    credentials.rotate_key(by)
    service.copy(plain.pk, "Copy", by)
    return [office, plain, old.mailbox]


def test_the_database_holds_none_in_plain(everything: list[Mailbox]) -> None:
    dump = StringIO()
    call_command("dumpdata", stdout=dump)
    with connection.cursor() as cursor:
        raw = ""
        for table in connection.introspection.table_names():
            cursor.execute(f'SELECT * FROM "{table}"')
            raw += str([[bytes(v) if isinstance(v, memoryview) else v for v in row] for row in cursor.fetchall()])
    for secret in PLANTED:
        assert secret not in dump.getvalue()
        assert secret not in raw


def test_no_command_prints_one(everything: list[Mailbox]) -> None:
    runner = CliRunner()
    shown = ""
    for mailbox in everything:
        for app, words in (
            (commands.app, ["show", mailbox.name]),
            (commands.app, ["show", mailbox.name, "--json"]),
            (credential_commands.app, ["list", mailbox.name]),
            (credential_commands.app, ["list", mailbox.name, "--json"]),
        ):
            shown += runner.invoke(app, words).output
    assert "ends in WXYZ" in shown
    for secret in PLANTED:
        assert secret not in shown


def test_no_repr_and_no_export_shows_one(everything: list[Mailbox]) -> None:
    shown = ""
    for mailbox in everything:
        prepared = connect.ready(service.get(mailbox.pk))
        values: list[Any] = [
            prepared,
            connect.send_route(prepared),
            service.data_of(mailbox),
            credentials.list_for(mailbox),
            credentials.rows_of(mailbox),
            mailing.sender_of(prepared.whole),
        ]
        shown += repr(values)
    for secret in PLANTED:
        assert secret not in shown


def test_no_log_line_holds_one(caplog: pytest.LogCaptureFixture, request: pytest.FixtureRequest) -> None:
    with caplog.at_level(logging.DEBUG):
        request.getfixturevalue("everything")
    for secret in PLANTED:
        assert secret not in caplog.text
