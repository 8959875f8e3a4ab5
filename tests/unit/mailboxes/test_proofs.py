"""Proofs as rows: in the background, one at a time, and what becomes of one whose process died."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest

from postroom.accounts.audit import Actor
from postroom.accounts.models import AuditEvent
from postroom.core.clock import now
from postroom.core.faults import Invalid, NotFound
from postroom.mailboxes import proofs, service
from postroom.mailboxes.health import State
from postroom.mailboxes.models import Credential, Mailbox, Proof
from postroom.mailboxes.proof import Patience
from postroom.mailboxes.stages import TITLES

from .conftest import CLIENT, PRINCIPAL, TENANT
from .otherside import NO_NAME, OtherSide

AT_ONCE = Patience(read_back=0, poll=0, spreading=())


@pytest.fixture
def side(monkeypatch: pytest.MonkeyPatch) -> OtherSide:
    other = OtherSide(oid=PRINCIPAL, client_id=CLIENT, tenant=TENANT)
    other.install(monkeypatch)
    return other


def the_threads_of_proofs() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("proof-")]


def test_every_change_is_written_as_it_comes(office: Mailbox, side: OtherSide, by: Actor) -> None:
    seen: list[tuple[str, str]] = []

    def watch(_: object) -> None:
        row = Proof.objects.get()
        seen.extend((stage["stage"], stage["state"]) for stage in row.stages if stage["state"] == "passed")

    row = proofs.run(office.pk, "me@contoso.com", by, patience=AT_ONCE, watch=watch)
    assert row.passed
    assert ("token", "passed") in seen
    assert [stage["stage"] for stage in row.stages] == list(TITLES)
    assert service.list_mailboxes()[0].health.state is State.HEALTHY
    actions = list(AuditEvent.objects.order_by("id").values_list("action", flat=True))
    assert actions[-2:] == ["mailbox.test-started", "mailbox.tested"]


def test_the_cause_shows_in_the_list(office: Mailbox, side: OtherSide, by: Actor) -> None:
    side.send_refusals = [NO_NAME]
    proofs.run(office.pk, "me@contoso.com", by, patience=AT_ONCE)
    health = service.list_mailboxes()[0].health
    assert health.state is State.FAILING
    assert health.text


@pytest.mark.django_db(transaction=True)
def test_in_the_background_and_only_one_at_a_time(
    office: Mailbox, side: OtherSide, by: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    go = threading.Event()
    monkeypatch.setattr(proofs, "_run", _after(go, proofs._run))
    first = proofs.start(office.pk, "me@contoso.com", by, AT_ONCE)
    assert proofs.start(office.pk, "me@contoso.com", by, AT_ONCE).pk == first.pk
    go.set()
    for thread in the_threads_of_proofs():
        thread.join(30)
    done = proofs.get(first.pk)
    assert done.passed, done.stages
    assert Proof.objects.count() == 1


def _after(go: threading.Event, run):  # type: ignore[no-untyped-def]
    def waiting(*arguments: object) -> None:
        assert go.wait(30)
        run(*arguments)

    return waiting


def test_one_whose_process_died_is_shown_as_interrupted(office: Mailbox, by: Actor) -> None:
    stages = [{"stage": "resolve", "state": "passed"}, {"stage": "connect", "state": "running"}]
    row = Proof.objects.create(mailbox=office, recipient="me@contoso.com", stages=stages)
    running = proofs.latest(office.pk)
    assert running is not None
    assert running.finished_at is None
    Proof.objects.filter(pk=row.pk).update(touched_at=now() - timedelta(minutes=6))
    died = proofs.latest(office.pk)
    assert died is not None
    assert (died.passed, died.stages[1]["state"], died.stages[1]["detail"]) == (False, "failed", "interrupted")


@pytest.mark.parametrize("recipient", ["", "  ", "nobody", "a@b.org\nBcc: c@d.org"])
def test_without_a_good_address_it_is_refused(office: Mailbox, by: Actor, recipient: str) -> None:
    with pytest.raises(Invalid) as caught:
        proofs.start(office.pk, recipient, by)
    assert list(caught.value.errors) == ["recipient"]
    assert not Proof.objects.exists()


def test_a_mailbox_that_is_not_ready_fails_at_once_and_says_why(office: Mailbox, by: Actor) -> None:
    Credential.objects.all().delete()
    row = proofs.run(office.pk, "me@contoso.com", by)
    assert not row.passed
    assert "has no credential" in row.stages[0]["detail"]
    assert {stage["state"] for stage in row.stages[1:]} == {"skipped"}


def test_what_is_not_there(office: Mailbox, by: Actor) -> None:
    assert proofs.latest(office.pk) is None
    with pytest.raises(NotFound):
        proofs.get(1)
    with pytest.raises(NotFound):
        proofs.start(office.pk + 1, "me@contoso.com", by)
