"""The verbs of providers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from postroom.accounts.audit import Actor
from postroom.accounts.models import AuditEvent
from postroom.core.faults import Invalid, NotFound
from postroom.mailboxes import providers
from postroom.mailboxes.models import Mailbox, Provider
from postroom.mailboxes.values import ProviderData

pytestmark = pytest.mark.django_db


def test_those_of_the_issue_ship() -> None:
    assert {provider.slug for provider in providers.list_providers() if provider.built_in} == {
        "microsoft-365",
        "microsoft-365-pop3",
        "microsoft-365-graph",
        "google",
        "sendgrid",
        "brevo",
        "other",
        "migrated",
    }


def test_installing_again_brings_them_up_to_date_and_leaves_a_persons_own_alone(by: Actor) -> None:
    own = providers.copy("other", "Our relay", by)
    Provider.objects.filter(slug="google").update(smtp_host="old.example.org")
    providers.install()
    assert providers.get("google").smtp_host == "smtp.gmail.com"
    assert providers.get(own.slug).name == "Our relay"
    assert Provider.objects.count() == len(providers.shipped()) + 1


def test_a_persons_provider_keeps_its_name_when_one_of_that_name_begins_to_ship() -> None:
    Provider.objects.filter(slug="brevo").delete()
    Provider.objects.create(slug="brevo-1", name="Brevo (formerly Sendinblue)")
    providers.install()
    assert providers.get("brevo").name == "Brevo (formerly Sendinblue) (shipped)"


def test_a_copy_has_all_settings_and_can_be_edited(by: Actor) -> None:
    copied = providers.copy("sendgrid", "SendGrid EU", by)
    assert (copied.slug, copied.smtp_host, copied.can_read, copied.built_in) == (
        "sendgrid-eu",
        "smtp.sendgrid.net",
        False,
        False,
    )
    data = replace(providers.data_of(copied), smtp_host="smtp.eu.sendgrid.net")
    assert providers.save(data, by, copied.slug).smtp_host == "smtp.eu.sendgrid.net"
    event = AuditEvent.objects.latest("id")
    assert event.action == "provider.changed"
    assert event.detail == {"smtp_host": {"before": "smtp.sendgrid.net", "after": "smtp.eu.sendgrid.net"}}


def test_shipped_ones_are_neither_edited_nor_deleted(by: Actor) -> None:
    with pytest.raises(Invalid, match="copy it"):
        providers.save(ProviderData(name="Mine now"), by, "google")
    with pytest.raises(Invalid, match="would come back"):
        providers.delete("google", by)


def test_one_in_use_is_not_deleted(by: Actor, make: Callable[..., Mailbox]) -> None:
    own = providers.copy("other", "Our relay", by)
    make(provider=own.slug)
    with pytest.raises(Invalid, match="Plain"):
        providers.delete(own.slug, by)


def test_one_that_nobody_uses_is(by: Actor) -> None:
    own = providers.copy("other", "Our relay", by)
    providers.delete(own.slug, by)
    with pytest.raises(NotFound):
        providers.get(own.slug)


def test_search_and_names(by: Actor) -> None:
    assert [provider.slug for provider in providers.list_providers("graph")] == ["microsoft-365-graph"]
    with pytest.raises(Invalid, match="already"):
        providers.save(ProviderData(name="brevo (FORMERLY Sendinblue)"), by)
    first, second = providers.copy("other", "A b", by), providers.copy("other", "A-b", by)
    assert (first.slug, second.slug) == ("a-b", "a-b-2")
