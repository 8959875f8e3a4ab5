"""App credentials: made, checked, rotated, limited; nothing of a secret is kept."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.accounts import app_credentials as apps
from postroom.accounts.app_credentials import Denied
from postroom.accounts.app_rules import AppData, is_in, judge, sender_fault, tidy
from postroom.accounts.audit import Actor
from postroom.accounts.models import AppSecret, AuditEvent
from postroom.core.faults import Invalid, NotFound

BY = Actor("test")
PAYROLL = AppData("payroll", (7,), ("*@contoso.com",), ("192.0.2.0/24",), 30)
HERE = "192.0.2.9"


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[datetime]:
    moment = [apps.now()]
    monkeypatch.setattr(apps, "now", lambda: moment[0])
    return moment


@pytest.mark.django_db
def test_signing_in() -> None:
    app, secret = apps.add(PAYROLL, BY)
    grant = apps.sign_in(" PayRoll ", secret.upper(), HERE)
    assert (grant.app_id, grant.name, grant.mailboxes) == (app.pk, "payroll", frozenset({7}))
    assert (grant.senders, grant.messages_per_minute) == (("*@contoso.com",), 30)
    assert apps.still(grant, HERE) == grant
    assert apps.get(app.pk).secrets.get().last_used_at is not None


@pytest.mark.django_db
@pytest.mark.parametrize("name", ["payrol", "", "\0", "pay\udcffroll", "x" * 5000, "'; DROP TABLE"])
def test_nobody_of_this_name(name: str) -> None:
    _, secret = apps.add(PAYROLL, BY)
    with pytest.raises(Denied):
        apps.sign_in(name, secret, HERE)


@pytest.mark.django_db
def test_a_wrong_secret_and_a_wrong_network() -> None:
    _, secret = apps.add(PAYROLL, BY)
    other = apps.add(replace(PAYROLL, name="other"), BY)[1]
    for wrong in ("", other, secret[:-1], "\udcff"):
        with pytest.raises(Denied, match="wrong"):
            apps.sign_in("payroll", wrong, HERE)
    with pytest.raises(Denied) as denied:
        apps.sign_in("payroll", secret, "198.51.100.1")
    assert "networks" in denied.value.reason


@pytest.mark.django_db
def test_rotation_overlaps_and_ends(clock: list[datetime]) -> None:
    app, first = apps.add(PAYROLL, BY)
    second = apps.rotate(app.pk, BY, timedelta(hours=1))
    for secret in (first, second):
        apps.sign_in("payroll", secret, HERE)
    grant = apps.sign_in("payroll", first, HERE)
    clock[0] += timedelta(hours=1, seconds=1)
    apps.sign_in("payroll", second, HERE)
    for ended in (lambda: apps.sign_in("payroll", first, HERE), lambda: apps.still(grant, HERE)):
        with pytest.raises(Denied):
            ended()
    # A second rotation sweeps out what has ended, and does not give the ended one a new life.
    apps.rotate(app.pk, BY, timedelta(hours=1))
    assert AppSecret.objects.count() == 2
    with pytest.raises(Denied):
        apps.sign_in("payroll", first, HERE)


@pytest.mark.django_db
def test_a_shorter_overlap_shortens_and_a_longer_one_does_not_lengthen(clock: list[datetime]) -> None:
    app, first = apps.add(PAYROLL, BY)
    apps.rotate(app.pk, BY, timedelta(hours=1))
    apps.rotate(app.pk, BY, timedelta(days=7))
    clock[0] += timedelta(hours=2)
    with pytest.raises(Denied):
        apps.sign_in("payroll", first, HERE)


@pytest.mark.django_db
def test_changes_reach_open_sessions() -> None:
    app, secret = apps.add(PAYROLL, BY)
    grant = apps.sign_in("payroll", secret, HERE)
    apps.change(app.pk, replace(PAYROLL, mailboxes=None, senders=()), BY)
    changed = apps.still(grant, HERE)
    assert (changed.mailboxes, changed.senders) == (None, ())
    apps.change(app.pk, replace(PAYROLL, enabled=False), BY)
    with pytest.raises(Denied):
        apps.still(grant, HERE)
    apps.remove(app.pk, BY)
    with pytest.raises(Denied):
        apps.still(grant, HERE)
    with pytest.raises(NotFound):
        apps.get(app.pk)


@pytest.mark.django_db
def test_no_secret_is_kept() -> None:
    app, first = apps.add(PAYROLL, BY)
    second = apps.rotate(app.pk, BY)
    kept = repr([list(AppSecret.objects.values()), list(AuditEvent.objects.values())])
    for secret in (first, second):
        assert len(secret) == 26
        assert secret not in kept
        assert secret[:-4] not in kept
    assert AuditEvent.objects.filter(action__startswith="app.").count() == 2


@pytest.mark.django_db
def test_names_are_taken_once() -> None:
    apps.add(PAYROLL, BY)
    with pytest.raises(Invalid, match="taken"):
        apps.add(replace(PAYROLL, name="PAYROLL"), BY)


@pytest.mark.parametrize(
    ("data", "field"),
    [
        (replace(PAYROLL, name="pay roll"), "name"),
        (replace(PAYROLL, mailboxes=()), "mailboxes"),
        (replace(PAYROLL, senders=("boss",)), "senders"),
        (replace(PAYROLL, senders=("a?@contoso.com",)), "senders"),
        (replace(PAYROLL, networks=("192.0.2.1/24",)), "networks"),
        (replace(PAYROLL, messages_per_minute=0), "messages_per_minute"),
    ],
)
def test_what_an_app_must_not_say(data: AppData, field: str) -> None:
    assert list(judge(tidy(data))) == [field]


def test_senders_and_networks() -> None:
    for good in ("*", "a@contoso.com", "*@contoso.com", "no-reply*@contoso.com"):
        assert sender_fault(good) == ""
    assert is_in("::ffff:192.0.2.9", ("192.0.2.0/24",))
    assert is_in("fe80::1%eth0", ("fe80::/10",))
    assert not is_in("192.0.2.9", ("2001:db8::/32",))


@given(st.text(max_size=40))
def test_no_address_surprises(text: str) -> None:
    assert is_in(text, ("0.0.0.0/0", "::/0")) in {True, False}
    sender_fault(text)
