"""A stored password stays with the servers and the user it was given for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from django.test import Client
from typer.testing import CliRunner

from postroom.accounts import service as people
from postroom.accounts.audit import Actor
from postroom.accounts.models import AuditEvent
from postroom.mailboxes import commands, credentials, providers, service
from postroom.mailboxes.forms import initial_of
from postroom.mailboxes.models import Mailbox
from postroom.mailboxes.passwords import REMOVED

Make = Callable[..., Mailbox]
PASSWORD = "correct horse battery staple"
ELSEWHERE: dict[str, dict[str, Any]] = {
    "host": {"smtp_host": "mail.attacker.example"},
    "port": {"smtp_port": 2525},
    "security": {"smtp_security": "tls"},
    "reading host": {"incoming_host": "mail.attacker.example"},
    "reading port": {"incoming_port": 1993},
    "reading security": {"incoming_security": "starttls"},
    "protocol, with its port": {"read_by": "pop3", "incoming_port": None},
    "user": {"user_name": "somebody@example.org"},
    "address, which is the user": {"address": "somebody@example.org"},
    "provider": {"provider": "google", "smtp_host": "", "incoming_host": ""},
}
THE_SAME: dict[str, dict[str, Any]] = {
    "prefix": {"subject_prefix": "[x]"},
    "capitals": {"smtp_host": "SMTP.Example.ORG"},
    "the user, written out": {"user_name": "plain@example.org"},
    "no reading": {"read_inbox": False},
}


@pytest.fixture
def plain(make: Make, by: Actor) -> Mailbox:
    mailbox = make(smtp_port=2587, incoming_port=2993)
    credentials.add(mailbox, "password", PASSWORD, None, by)
    return mailbox


def stored(mailbox: Mailbox) -> int:
    return mailbox.passwords.count()


@pytest.mark.parametrize("change", ELSEWHERE.values(), ids=ELSEWHERE)
def test_pointed_elsewhere_it_is_dropped(plain: Mailbox, by: Actor, change: dict[str, Any]) -> None:
    told: list[str] = []
    service.save(replace(service.data_of(plain), **change), by, plain.pk, tell=told.append)
    assert stored(plain) == 0
    assert told == [REMOVED]
    removed = AuditEvent.objects.get(action="credential.removed")
    assert (removed.subject, removed.actor) == ("Plain", by.name)
    assert removed.detail["kind"] == "password"
    assert "another server" in removed.detail["why"]


@pytest.mark.parametrize("change", THE_SAME.values(), ids=THE_SAME)
def test_it_stays_where_it_was_given_for(plain: Mailbox, by: Actor, change: dict[str, Any]) -> None:
    told: list[str] = []
    service.save(replace(service.data_of(plain), **change), by, plain.pk, tell=told.append)
    assert (stored(plain), told) == (1, [])


@pytest.mark.parametrize("hidden", [{"sign_in_by": "none"}, {"send_by": "none"}], ids=["sign-in", "sending"])
def test_no_detour_leads_elsewhere(plain: Mailbox, by: Actor, hidden: dict[str, Any]) -> None:
    """What the password was for is switched off, moved, and switched on again."""
    for change in (hidden, {"smtp_host": "mail.attacker.example"}, {"sign_in_by": "password", "send_by": "smtp"}):
        service.save(replace(service.data_of(service.get(plain.pk)), **change), by, plain.pk)
    assert stored(plain) == 0


def test_a_provider_that_moves_takes_no_password_along(make: Make, by: Actor) -> None:
    own = providers.copy("other", "Our relay", by)
    providers.save(replace(providers.data_of(own), smtp_host="smtp.example.org"), by, own.slug)
    ours = make(provider=own.slug, smtp_host="")
    keeps = make(provider=own.slug, name="With a host of its own")
    for mailbox in (ours, keeps):
        credentials.add(mailbox, "password", PASSWORD, None, by)
    told: list[str] = []
    moved = replace(providers.data_of(own), smtp_host="mail.attacker.example")
    providers.save(moved, by, own.slug, tell=told.append)
    assert (stored(ours), stored(keeps)) == (0, 1)
    assert told == [f"Plain: {REMOVED}"]


def test_the_settings_page_says_so(plain: Mailbox, client: Client, by: Actor) -> None:
    person = people.add_person("admin@example.org", "administrator", by)
    client.force_login(person, "django.contrib.auth.backends.ModelBackend")
    form = {name: value for name, value in initial_of(service.data_of(plain)).items() if value not in (None, False)}
    answer = client.post(f"/mailboxes/{plain.pk}/settings", form | {"smtp_host": "mail.attacker.example"}, follow=True)
    assert REMOVED in answer.content.decode()
    assert stored(plain) == 0


def test_the_command_says_so(plain: Mailbox) -> None:
    result = CliRunner().invoke(commands.app, ["edit", "Plain", "--smtp-host", "mail.attacker.example"])
    assert result.exit_code == 0
    assert REMOVED in result.stderr
    assert stored(plain) == 0
