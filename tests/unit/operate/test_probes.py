"""Who may see the metrics, what they say, and what makes a process not ready."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import httpx2
import pytest
from django.db import DatabaseError, connection
from django.db.migrations.recorder import MigrationRecorder
from django.test import Client
from prometheus_client.parser import text_string_to_metric_families

from postroom.core.clock import now
from postroom.core.keys import Keys
from postroom.core.settings import Settings
from postroom.mail.envelope import Envelope
from postroom.mailboxes.models import Application, Credential, Mailbox, Provider
from postroom.microsoft.answers import Answer, Service, Step
from postroom.operate import metrics, probes, readiness, tally
from postroom.outbox import accept
from postroom.outbox.models import Lane, Message, Worker
from postroom.outbox.rules import Verdict
from postroom.outbox.store import Begin, End
from postroom.outbox.values import Caller, Door, State, Submission

CLIENT = "c0ffee00-1111-4222-8333-444455556666"
TOKEN = "a-token-for-prometheus"


def use_token(monkeypatch: pytest.MonkeyPatch, token: str = TOKEN) -> None:
    config = Settings.from_environment({"POSTROOM_METRICS_TOKEN": token})
    monkeypatch.setattr(probes, "settings", lambda: config)


@pytest.fixture
def mailbox(db: None) -> Iterator[Mailbox]:
    provider = Provider.objects.create(slug="own", name="Own")
    made = Mailbox.objects.create(name="Letters", address="letters@contoso.com", provider=provider)
    accept.books().forget()
    accept.books().refresh()
    yield made
    accept.books().forget()


def said() -> dict[str, dict[tuple[str, ...], float]]:
    """Metric -> values of its labels, by the alphabet of their names -> value."""
    found: dict[str, dict[tuple[str, ...], float]] = {}
    for family in text_string_to_metric_families(metrics.text()[1].decode()):
        for sample in family.samples:
            found.setdefault(sample.name, {})[tuple(value for _, value in sorted(sample.labels.items()))] = sample.value
    return found


@pytest.mark.parametrize(
    ("address", "headers", "status"),
    [
        ("127.0.0.1", {}, 200),
        ("::1", {}, 200),
        ("192.0.2.7", {}, 403),
        ("", {}, 403),
        ("127.0.0.1", {"X-Forwarded-For": "127.0.0.1"}, 403),
        ("127.0.0.1", {"Forwarded": "for=127.0.0.1"}, 403),
    ],
)
def test_without_a_token_only_this_machine_may_ask(
    db: None, monkeypatch: pytest.MonkeyPatch, address: str, headers: dict[str, str], status: int
) -> None:
    use_token(monkeypatch, "")
    assert probes.measure(address, headers).status == status


@pytest.mark.parametrize(
    ("header", "status"), [(f"Bearer {TOKEN}", 200), (f"Bearer {TOKEN}x", 401), (TOKEN, 401), ("", 401), ("ä", 401)]
)
def test_with_a_token_everybody_must_show_it(
    db: None, monkeypatch: pytest.MonkeyPatch, header: str, status: int
) -> None:
    use_token(monkeypatch)
    for address in ("127.0.0.1", "192.0.2.7"):
        probe = probes.measure(address, {"Authorization": header} if header else {})
        assert probe.status == status
        assert TOKEN.encode() not in probe.body


def test_the_console_answers_the_same(client: Client, db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    assert b"postroom_database_up 1.0" in client.get("/metrics").content
    assert client.get("/metrics", headers={"x-forwarded-for": "192.0.2.7"}).status_code == 403
    use_token(monkeypatch)
    assert client.get("/metrics").status_code == 401
    assert client.get("/metrics", headers={"authorization": f"Bearer {TOKEN}"}).status_code == 200


@pytest.mark.django_db(transaction=True)
def test_a_port_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    use_token(monkeypatch)
    with probes.port("127.0.0.1", 0) as number, httpx2.Client(trust_env=False) as http:
        base = f"http://127.0.0.1:{number}"
        assert http.get(f"{base}/healthz").text == "ok\n"
        assert http.get(f"{base}/metrics").status_code == 401
        shown = http.get(f"{base}/metrics", headers={"authorization": f"Bearer {TOKEN}"})
        assert shown.headers["content-type"].startswith("text/plain; version=0.0.4")
        assert http.get(f"{base}/else").status_code == 404
        assert http.post(f"{base}/metrics").status_code == 501


def test_what_waits_and_who_sends_it(mailbox: Mailbox) -> None:
    moment = now()
    for number, state, due in ((1, State.DEFERRED, moment - timedelta(seconds=90)), (2, State.HELD, None)):
        raw = f"From: {mailbox.address}\r\nTo: ada@example.org\r\nSubject: {number}\r\n\r\nhello\r\n".encode()
        one = Submission(Caller("cli:test"), Door.CLI, raw, Envelope(mailbox.address, ("ada@example.org",)))
        prepared = accept.prepare(one)
        prepared.row.state, prepared.row.next_attempt_at = state.value, due
        accept.insert([prepared])
    Lane.objects.create(mailbox=mailbox, holder="here:1:a", lease_until=now() + timedelta(seconds=9), state="waiting")
    Worker.objects.create(name="here:1:a", seen_at=now())
    Worker.objects.create(name="gone:1:a", seen_at=now() - timedelta(minutes=5))
    found = said()
    assert found["postroom_messages"] == {("Letters", "deferred"): 1, ("Letters", "held"): 1}
    assert 90 <= found["postroom_oldest_due_seconds"]["Letters",] < 150
    assert found["postroom_lane_state"] == {("Letters", "waiting"): 1}
    assert found["postroom_lane_holder"] == {("Letters", "here:1:a"): 1}
    assert found["postroom_workers"][()] == 1
    Lane.objects.update(lease_until=now() - timedelta(seconds=1))
    Message.objects.update(state="sent", next_attempt_at=None)
    later = said()
    assert "postroom_lane_holder" not in later
    assert "postroom_messages" not in later
    assert later["postroom_oldest_due_seconds"]["Letters",] == 0


def test_days_until_a_credential_expires(db: None) -> None:
    owner = Application.objects.create(
        name="Mail", tenant="contoso.com", client_id="c0ffee00-1111-4222-8333-444455556666"
    )
    at = now() + timedelta(days=12, hours=12)
    row = Credential.objects.create(application=owner, kind="secret", sealed=b"", expires_at=at)
    Credential.objects.create(application=owner, kind="secret", sealed=b"")
    ((labels, days),) = said()["postroom_credential_expiry_days"].items()
    assert set(labels) == {"Mail", "secret", str(row.pk)}
    assert 12.4 < days <= 12.5


def test_attempts_are_counted_when_their_outcome_is_on_disk(mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[Future[Any]] = []

    def write(self: object, op: object) -> Future[Any]:
        written.append(Future())
        return written[-1]

    monkeypatch.setattr(tally.Worker, "write", write)
    worker = tally.CountingWorker()
    before = tally.attempts().get((mailbox.pk, "smtp", "deferred"), 0)
    work: Any = SimpleNamespace(id=7)
    worker.write(Begin(7, mailbox.pk, "smtp", worker.name))
    written[0].set_result(work)
    worker.write(End(work, Verdict(State.DEFERRED, "deferred", Answer(Service.SMTP, Step.DATA, "451", "later"))))
    assert tally.attempts().get((mailbox.pk, "smtp", "deferred"), 0) == before
    written[1].set_result(None)
    assert tally.attempts()[mailbox.pk, "smtp", "deferred"] == before + 1
    assert said()["postroom_attempts_total"]["Letters", "deferred", "smtp"] == before + 1
    worker.write(Begin(8, mailbox.pk, "smtp", worker.name))
    written[2].set_result(None)  # taken by another
    assert worker._under_way == {}


def test_while_the_database_is_away_the_rest_is_told(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone() -> None:
        raise DatabaseError("gone")

    with monkeypatch.context() as broken:
        broken.setattr(connection, "cursor", gone)
        found = said()
        probe = probes.ready()
    assert found["postroom_database_up"][()] == 0
    assert "postroom_info" in found
    assert probe.status == 503
    assert b"DATABASE_URL" in probe.body


def test_a_database_of_another_version_is_not_ready(db: None) -> None:
    assert readiness.faults() == []
    MigrationRecorder(connection).record_unapplied("outbox", "0001_initial")
    assert "lacks 1 migrations" in readiness.faults()[0]
    assert b"postroom migrate" in probes.ready().body


def test_a_key_that_opens_nothing_is_not_ready(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    from postroom.accounts.audit import Actor
    from postroom.core import encryption
    from postroom.mailboxes import credentials

    owner = Application.objects.create(
        name="Mail", tenant="contoso.com", client_id="c0ffee00-1111-4222-8333-444455556666"
    )
    credentials.add(owner, "secret", "Qx8~planted.Secret-value_0123456789abcdWXYZ", None, Actor("test"))
    assert readiness.faults() == []
    monkeypatch.setattr(encryption, "keys", lambda: Keys((b"\1" * 32,)))
    assert "POSTROOM_KEY" in readiness.faults()[0]
