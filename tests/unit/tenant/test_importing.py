"""What a colleague sends back is checked like everything that is typed in, and no message quotes a secret."""

from __future__ import annotations

import pytest

from postroom.accounts.audit import Actor
from postroom.accounts.models import AuditEvent
from postroom.core.faults import Invalid
from postroom.mailboxes import service as mailboxes
from postroom.mailboxes.models import Application, Credential, Mailbox
from postroom.tenant import export, importing, setups
from postroom.tenant.models import Setup

from .states import APPLICATION_ID, BOX, CLIENT_ID, OTHER_ID, PRINCIPAL_ID

BY = Actor("admin@contoso.example")
TENANT_ID = "55555555-5555-4555-8555-555555555555"
SECRET = "abc8Q~0123456789012345678901234567890123"
ANSWER = {
    "tenant": TENANT_ID,
    "client_id": CLIENT_ID,
    "application_object_id": APPLICATION_ID,
    "service_principal_id": PRINCIPAL_ID,
    "secret": SECRET,
    "secret_expires": "2099-05-31",
}
YAML = f"tenant: contoso.example\nmailboxes:\n- address: {BOX}\n  name: Notifications\n  shared: true\n"

pytestmark = pytest.mark.django_db


@pytest.fixture
def setup() -> Setup:
    return setups.save(YAML, BY)


def as_yaml(**changes: str | None) -> str:
    return "\n".join(f"{key}: {value}" for key, value in (ANSWER | changes).items() if value is not None)


def test_ids_secret_and_configuration(setup: Setup) -> None:
    done = importing.take(setup, as_yaml(), BY)
    assert done.mailboxes == (BOX,)
    data = mailboxes.data_of(Mailbox.objects.get())
    assert (data.client_id, data.object_id, data.service_principal_id) == (CLIENT_ID, APPLICATION_ID, PRINCIPAL_ID)
    assert (data.tenant, data.address, data.read_by) == (TENANT_ID, BOX, "imap")
    credential = Credential.objects.get()
    assert credential.expires_at is not None
    assert credential.expires_at.year == 2099
    assert SECRET.encode() not in bytes(credential.sealed)
    assert SECRET not in str(list(AuditEvent.objects.values()))


def test_piece_by_piece_and_again(setup: Setup) -> None:
    importing.take(setup, as_yaml(secret=None, secret_expires=None), BY)
    assert Credential.objects.count() == 0
    importing.take(setup, f'{{"secret": "{SECRET}"}}', BY)
    importing.take(setup, as_yaml(secret=None, secret_expires=None), BY)
    assert (Mailbox.objects.count(), Application.objects.count(), Credential.objects.count()) == (1, 1, 1)


@pytest.mark.parametrize(
    ("changes", "field", "part"),
    [
        ({"service_principal_id": None}, "service_principal_id", "is missing"),
        ({"service_principal_id": APPLICATION_ID}, "service_principal_id", "Object ID"),
        ({"client_id": "x"}, "client_id", "GUID"),
        ({"secret": OTHER_ID}, "secret", "ID"),
        ({"secret_expires": "next year"}, "secret_expires", "2027-05-31"),
        ({"tenant": "contoso.example"}, "tenant", "GUID"),
        ({"secrets": "x"}, "secrets", "is not a key"),
    ],
)
def test_faults_are_told_by_key(setup: Setup, changes: dict[str, str | None], field: str, part: str) -> None:
    with pytest.raises(Invalid) as caught:
        importing.take(setup, as_yaml(**changes), BY)
    assert part in " ".join(caught.value.errors[field]), caught.value.errors
    assert SECRET not in str(caught.value)
    assert Mailbox.objects.count() == Application.objects.count() == 0


def test_nonsense_is_not_quoted(setup: Setup) -> None:
    for text in (SECRET, f"secret: [{SECRET}", f'{{"secret": {SECRET}}}'):
        with pytest.raises(Invalid) as caught:
            importing.take(setup, text, BY)
        assert SECRET not in str(caught.value)


def test_another_tenant_is_refused(setup: Setup) -> None:
    importing.take(setup, as_yaml(), BY)
    with pytest.raises(Invalid, match="another tenant"):
        importing.take(setup, as_yaml(tenant=OTHER_ID), BY)


def test_exports_hold_no_secret_and_the_ids_that_are_known(setup: Setup) -> None:
    importing.take(setup, as_yaml(), BY)
    script, checklist, state = export.script(setup), export.checklist(setup), export.state(setup)
    for text in (script, checklist, state):
        assert SECRET not in text
        assert CLIENT_ID in text
        assert PRINCIPAL_ID in text
    assert "New registration" not in checklist, "it is there already"


def test_checklist_asks_for_application_permissions_only_as_needed(setup: Setup) -> None:
    checklist = export.checklist(setup)
    assert "**Application permissions**" in checklist
    assert "`SMTP.SendAsApp`, `IMAP.AccessAsApp`" in checklist
    assert "POP.AccessAsApp" not in checklist
    for key in ANSWER:
        assert f"\n{key}:" in checklist
