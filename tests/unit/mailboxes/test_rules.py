"""What a mailbox may look like, and what it comes to with its provider and cloud."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.mailboxes.providers import shipped
from postroom.mailboxes.rules import effective, judge_mailbox, judge_provider, tidy
from postroom.mailboxes.values import MailboxData, ProviderData, Server
from postroom.microsoft.clouds import clouds

PROVIDERS = {provider.slug: provider for provider in shipped()}
CLOUDS = clouds()
GUIDS = {
    "tenant": "2b7f1c6e-1f5a-4a51-9f0e-6a2d3b4c5d6e",
    "client_id": "c0ffee00-1111-4222-8333-444455556666",
    "service_principal_id": "5e1ec7ed-aaaa-4bbb-8ccc-ddddeeeeffff",
}
M365 = MailboxData(name="Office", address="office@contoso.com", read_inbox=True, **GUIDS)
PLAIN = MailboxData(
    name="Plain",
    address="plain@example.org",
    provider="other",
    smtp_host="smtp.example.org",
    incoming_host="imap.example.org",
    read_inbox=True,
)


def faults(data: MailboxData) -> dict[str, list[str]]:
    return judge_mailbox(data, PROVIDERS[data.provider], CLOUDS)


def test_a_mailbox_on_microsoft_365_gets_its_servers_from_the_cloud() -> None:
    assert faults(M365) == {}
    whole = effective(M365, PROVIDERS["microsoft-365"], CLOUDS["global"])
    assert whole.smtp == Server("smtp.office365.com", 587, "starttls")
    assert whole.incoming == Server("outlook.office365.com", 993, "tls")
    assert (whole.messages_per_minute, whole.connections, whole.recipients_per_day) == (30, 3, 10_000)


def test_another_cloud_brings_other_servers() -> None:
    data = replace(M365, cloud="gcc-high")
    whole = effective(data, PROVIDERS["microsoft-365"], CLOUDS["gcc-high"])
    assert whole.smtp is not None
    assert whole.smtp.host == "smtp.office365.us"


def test_the_mailbox_wins_over_provider_and_cloud() -> None:
    data = replace(M365, smtp_host="relay.contoso.com", smtp_port=2525, messages_per_minute=5)
    whole = effective(data, PROVIDERS["microsoft-365"], CLOUDS["global"])
    assert whole.smtp == Server("relay.contoso.com", 2525, "starttls")
    assert whole.messages_per_minute == 5


@pytest.mark.parametrize(
    ("read_by", "security", "port"),
    [("imap", "tls", 993), ("imap", "starttls", 143), ("pop3", "tls", 995), ("pop3", "starttls", 110)],
)
def test_the_port_follows_protocol_and_security(read_by: str, security: str, port: int) -> None:
    provider = replace(PROVIDERS["other"], incoming_port=None)
    whole = effective(replace(PLAIN, read_by=read_by, incoming_security=security), provider, None)
    assert whole.incoming == Server("imap.example.org", port, security)


def test_a_providers_imap_port_is_not_used_for_pop3() -> None:
    whole = effective(replace(PLAIN, read_by="pop3"), PROVIDERS["other"], None)
    assert whole.incoming is not None
    assert whole.incoming.port == 995


def test_reading_switched_off_reads_by_nothing() -> None:
    assert effective(replace(M365, read_inbox=False), PROVIDERS["microsoft-365"], CLOUDS["global"]).read_by == "none"


@pytest.mark.parametrize(
    ("changes", "field", "words"),
    [
        ({"name": ""}, "name", "is empty"),
        ({"address": ""}, "address", "is empty"),
        ({"address": "no address"}, "address", "not an address"),
        ({"address": "Name <a@b.org>"}, "address", "bare address"),
        ({"default_sender": "boss@"}, "default_sender", "not an address"),
        ({"copies_to": ("ok@b.org", "bad")}, "copies_to", "not an address"),
        ({"subject_prefix": "[a]\nBcc: x@y.org"}, "subject_prefix", "line break"),
        ({"name": "a\x00b"}, "name", "control character"),
        ({"smtp_host": "https://smtp.example.org"}, "smtp_host", "host name alone"),
        ({"smtp_host": "smtp.example.org:587"}, "smtp_host", "the port in its own field"),
        ({"smtp_host": "joe@example.org"}, "smtp_host", "mail address"),
        ({"smtp_host": "smtp example org"}, "smtp_host", "not a host name"),
        ({"smtp_port": 70000}, "smtp_port", "1 to 65535"),
        ({"connections": 0}, "connections", "1 or more"),
        ({"send_by": "pigeon"}, "send_by", "smtp, graph, none"),
        ({"cloud": "mars"}, "cloud", "global"),
        ({"proxy": "socks5://user:hidden@proxy:1080"}, "proxy", "POSTROOM_PROXY"),
        ({"proxy": "proxy.example.org"}, "proxy", "http://host:port"),
        ({"tenant": ""}, "tenant", "Directory (tenant) ID"),
        ({"tenant": "common"}, "tenant", "people who sign in"),
        ({"client_id": "1234"}, "client_id", "not a GUID"),
        ({"service_principal_id": GUIDS["client_id"]}, "service_principal_id", "Enterprise applications"),
        (
            {"object_id": GUIDS["service_principal_id"]},
            "service_principal_id",
            "App registration's Object ID",
        ),
        ({"smtp_host": "outlook.office365.com"}, "smtp_host", "smtp.office365.com"),
        ({"incoming_host": "smtp.office365.com"}, "incoming_host", "outlook.office365.com"),
        ({"smtp_port": 465, "smtp_security": "starttls"}, "smtp_port", "TLS"),
        ({"smtp_port": 587, "smtp_security": "tls"}, "smtp_port", "STARTTLS"),
        ({"smtp_security": "none", "smtp_host": "relay.example.org"}, "smtp_security", "STARTTLS or TLS"),
        ({"send_by": "none", "read_inbox": False}, "send_by", "neither sends nor reads"),
        ({"read_by": "none"}, "read_inbox", "does not read"),
        ({"send_by": "graph", "sign_in_by": "password"}, "sign_in_by", "OAuth"),
    ],
)
def test_what_is_wrong_is_named_at_its_field_with_the_fix(changes: dict[str, Any], field: str, words: str) -> None:
    found = faults(replace(M365, **changes))
    assert list(found) == [field]
    assert words in " ".join(found[field])


@pytest.mark.parametrize("slug", ["sendgrid", "brevo"])
def test_reading_cannot_be_switched_on_for_a_provider_that_only_sends(slug: str) -> None:
    data = MailboxData(name="Bulk", address="bulk@example.org", provider=slug)
    assert faults(data) == {}
    assert "only sends" in faults(replace(data, read_inbox=True))["read_inbox"][0]
    assert "only sends" in faults(replace(data, read_by="imap"))["read_inbox"][0]


def test_a_server_that_nobody_names_is_asked_for() -> None:
    found = faults(replace(PLAIN, smtp_host="", incoming_host=""))
    assert set(found) == {"smtp_host", "incoming_host"}


def test_no_tls_is_fine_on_the_machine_itself() -> None:
    assert faults(replace(PLAIN, smtp_host="127.0.0.1", smtp_port=2525, smtp_security="none")) == {}


def test_blanks_around_are_taken_off_but_those_of_the_prefix_stay() -> None:
    data = tidy(replace(M365, client_id=f" {GUIDS['client_id']}\t", copies_to=(" a@b.org ", ""), subject_prefix="[x] "))
    assert (data.client_id, data.copies_to, data.subject_prefix) == (GUIDS["client_id"], ("a@b.org",), "[x] ")


@given(st.text(max_size=80))
def test_any_host_is_judged_without_an_exception(host: str) -> None:
    faults(tidy(replace(PLAIN, smtp_host=host)))


@given(st.text(max_size=80))
def test_a_prefix_that_passes_holds_no_line_break(prefix: str) -> None:
    if "subject_prefix" not in faults(replace(PLAIN, subject_prefix=prefix)):
        assert len(prefix.splitlines()) <= 1


@pytest.mark.parametrize("provider", shipped(), ids=lambda provider: provider.slug)
def test_every_shipped_provider_is_sound(provider: ProviderData) -> None:
    assert judge_provider(provider) == {}
    assert provider.description


def test_send_only_providers_cannot_be_given_a_way_to_read() -> None:
    assert "read_by" in judge_provider(replace(PROVIDERS["sendgrid"], read_by="imap"))
