"""The audit log: what it says, that it cannot be changed unnoticed, and what never gets into it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.accounts import audit
from postroom.accounts.audit import SYSTEM, Actor
from postroom.accounts.models import AuditEvent

ADA = Actor("ada@contoso.example", "192.0.2.7")


@pytest.mark.django_db
def test_a_row_says_who_did_what_to_what_from_where() -> None:
    event = audit.record(ADA, "mailbox.changed", "Sales", {"port": {"before": 25, "after": 587}})
    event.refresh_from_db()
    assert (event.actor, event.origin, event.action, event.subject) == (
        ADA.name,
        ADA.origin,
        "mailbox.changed",
        "Sales",
    )
    assert event.detail == {"port": {"before": 25, "after": 587}}


@pytest.mark.django_db
def test_an_untouched_chain_holds_together() -> None:
    assert audit.verify() == audit.Verification(0, "")
    last = [audit.record(ADA, "x", detail={"ü": [1, 2.5, None, {"b": "é", "a": 1}]}) for _ in range(3)][-1]
    assert audit.verify() == audit.Verification(3, last.hash)


@pytest.mark.django_db
@pytest.mark.parametrize(
    "change",
    [
        {"actor": "eve@contoso.example"},
        {"detail": {"port": 26}},
        {"subject": ""},
        {"origin": "192.0.2.8"},
        {"hash": "0"},
    ],
)
def test_a_changed_row_breaks_it(change: dict[str, object]) -> None:
    rows = [audit.record(ADA, "mailbox.changed", "Sales", {"port": 25}) for _ in range(3)]
    AuditEvent.objects.filter(pk=rows[1].pk).update(**change)
    assert audit.verify().broken in {rows[1].pk, rows[2].pk}


@pytest.mark.django_db
def test_a_changed_row_with_a_fitting_hash_breaks_it_at_the_next() -> None:
    rows = [audit.record(ADA, "mailbox.changed", "Sales") for _ in range(3)]
    rows[1].subject = "Other"
    rows[1].hash = audit.digest(rows[1])
    rows[1].save()
    assert audit.verify().broken == rows[2].pk


@pytest.mark.django_db
def test_a_removed_row_breaks_it() -> None:
    rows = [audit.record(ADA, "mailbox.changed", "Sales") for _ in range(3)]
    rows[1].delete()
    assert audit.verify().broken == rows[2].pk


@pytest.mark.django_db
@pytest.mark.parametrize("name", ["secret", "password", "Value", "pem", "token", "client_secret"])
def test_what_is_named_like_a_secret_is_not_written_at_any_depth(name: str) -> None:
    event = audit.record(
        SYSTEM, "x", detail={"outer": [{name: "planted"}], name: {"before": "planted", "after": "planted"}}
    )
    assert "planted" not in str(AuditEvent.objects.get(pk=event.pk).detail)


@given(
    st.dictionaries(st.text(max_size=5), st.integers() | st.text(max_size=5), max_size=6),
    st.dictionaries(st.text(max_size=5), st.integers() | st.text(max_size=5), max_size=6),
)
def test_changes_are_those_and_only_those_that_differ(before: dict[str, object], after: dict[str, object]) -> None:
    found = audit.changes(before, after)
    for name in {*before, *after}:
        assert (name in found) == (before.get(name) != after.get(name))
    assert {name: pair["after"] for name, pair in found.items() if name in after} == {
        name: after[name] for name in found if name in after
    }


_WRITERS = """
from concurrent.futures import ThreadPoolExecutor
from postroom.cli.starting import start
start()
from django.core.management import call_command
from django.db import connections
from postroom.accounts import audit
call_command("migrate", verbosity=0)
def write(number):
    try:
        audit.record(audit.SYSTEM, "x", str(number))
    finally:
        connections.close_all()
with ThreadPoolExecutor(4) as pool:
    list(pool.map(write, range(20)))
found = audit.verify()
print(found.events, found.broken)
"""


def test_many_writers_make_one_chain(tmp_path: Path) -> None:
    """In a process of its own: the tests' database is in memory, where SQLite's writers do not wait for one another."""
    environment = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"}
    done = subprocess.run(
        [sys.executable, "-c", _WRITERS],
        env={**environment, "POSTROOM_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stdout == "20 None\n", done.stderr
