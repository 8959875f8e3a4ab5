"""What people mix up, seen before anything is tried."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.microsoft.clouds import clouds
from postroom.microsoft.mixups import check_application, check_mailbox, check_secret, check_server

TENANT = "11111111-2222-4333-8444-555555555555"
CLIENT = "aaaaaaaa-2222-4333-8444-555555555555"
REGISTRATION = "cccccccc-2222-4333-8444-555555555555"
PRINCIPAL = "bbbbbbbb-2222-4333-8444-555555555555"
WORLD = clouds()["global"]


def told(found) -> list[tuple[str, str]]:
    return [(mixup.field, mixup.fault) for mixup in found]


def test_a_right_set_up_has_none():
    found = check_mailbox(
        tenant=TENANT,
        client_id=CLIENT,
        object_id=REGISTRATION,
        service_principal_id=PRINCIPAL,
        smtp=("smtp.office365.com", 587, "starttls"),
        incoming=("outlook.office365.com", 993, "tls"),
        cloud=WORLD,
    )
    assert found == []
    assert check_mailbox(tenant="contoso.com", client_id=CLIENT) == []
    assert check_mailbox() == []


@pytest.mark.parametrize(
    ("ids", "field", "words"),
    [
        ((TENANT, CLIENT, REGISTRATION, REGISTRATION), "service_principal_id", "App registration's Object ID"),
        ((TENANT, CLIENT, REGISTRATION, REGISTRATION.upper()), "service_principal_id", "App registration's Object ID"),
        ((TENANT, CLIENT, "", CLIENT), "service_principal_id", "Application (client) ID"),
        ((TENANT, CLIENT, CLIENT, ""), "object_id", "Application (client) ID"),
        ((TENANT, TENANT, "", ""), "client_id", "Directory (tenant) ID"),
        ((TENANT, CLIENT, "", TENANT), "service_principal_id", "Directory (tenant) ID"),
        (("contoso", CLIENT, "", ""), "tenant", "neither a GUID nor a domain"),
        (("common", CLIENT, "", ""), "tenant", "people who sign in"),
        ((TENANT, "my-app", "", ""), "client_id", "not a GUID"),
        ((TENANT + " ", CLIENT, "", ""), "tenant", "blank"),
        ((TENANT, "\u200b" + CLIENT, "", ""), "client_id", "invisible character (zero width space)"),
        ((TENANT, CLIENT.replace("-", "\u2013"), "", ""), "client_id", "dash"),
        ((TENANT.replace("-", "\xa0", 1), CLIENT, "", ""), "tenant", "no-break space"),
    ],
)
def test_ids(ids, field, words):
    assert any(where == field and words in fault for where, fault in told(check_application(*ids)))


def test_the_three_ids_give_one_finding_for_one_mixup():
    assert len(check_application(TENANT, CLIENT, REGISTRATION, REGISTRATION)) == 1


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (PRINCIPAL, "Secret ID"),
        (PRINCIPAL + "\n", "Secret ID"),
        (CLIENT, "application's ids"),
        (" abc8Q~dEfGhIjKlMnOpQrStUvWxYz0123456.ab", "blank"),
        ("abc8Q~dEfGhIjKlMnOp\u200dQrStUvWxYz0123456.ab", "invisible character"),
        ("abc8Q~dEfGhIjKlMn\u2013pQrStUvWxYz0123456.ab", "dash"),
    ],
)
def test_secrets(value, words):
    found = check_secret(value, [CLIENT, ""])
    assert any(words in mixup.fault for mixup in found)
    assert not any(value.strip() in str(mixup) for mixup in found)


@given(st.from_regex(r"[A-Za-z0-9][A-Za-z0-9~._]{38}[A-Za-z0-9]", fullmatch=True))
def test_a_right_secret_has_none(value):
    assert check_secret(value) == []


@given(st.text(max_size=60))
def test_no_finding_repeats_the_secret(value):
    for mixup in check_secret(value):
        assert len(value) < 8 or value not in str(mixup)
        assert "at character" not in str(mixup)


@pytest.mark.parametrize(
    ("server", "protocol", "field", "words"),
    [
        (("outlook.office365.com", 587, "starttls"), "smtp", "smtp_host", "for reading"),
        (("Outlook.Office365.com ", 587, "starttls"), "smtp", "smtp_host", "for reading"),
        (("smtp.office365.com", 993, "tls"), "imap", "incoming_host", "for sending"),
        (("smtp.office365.com", 995, "tls"), "pop3", "incoming_host", "for sending"),
        (("smtp.example.org", 465, "starttls"), "smtp", "smtp_port", "TLS from the first byte"),
        (("smtp.example.org", 465, "none"), "smtp", "smtp_port", "TLS from the first byte"),
        (("smtp.example.org", 587, "tls"), "smtp", "smtp_port", "begins in the clear"),
        (("imap.example.org", 143, "tls"), "imap", "incoming_port", "begins in the clear"),
        (("imap.example.org", 993, "starttls"), "imap", "incoming_port", "TLS from the first byte"),
        (("imap.example.org", 995, "tls"), "imap", "incoming_port", "for POP3"),
        (("smtp.example.org", 993, "tls"), "smtp", "smtp_port", "for IMAP"),
    ],
)
def test_servers(server, protocol, field, words):
    name = "smtp_host" if protocol == "smtp" else "incoming_host"
    found = told(check_server(name, *server, protocol))
    assert any(where == field and words in fault for where, fault in found)


@pytest.mark.parametrize(
    ("server", "protocol"),
    [
        (("smtp.example.org", 465, "tls"), "smtp"),
        (("smtp.example.org", 587, "starttls"), "smtp"),
        (("smtp.example.org", 2525, "tls"), "smtp"),
        (("imap.example.org", 143, "starttls"), "imap"),
        (("pop.example.org", 995, "tls"), "pop3"),
        (("localhost", 25, "none"), "smtp"),
    ],
)
def test_right_servers(server, protocol):
    assert check_server("incoming_host", *server, protocol, WORLD) == []


def test_the_clouds_own_names_are_known_and_the_right_one_is_told():
    [mixup] = check_server("smtp_host", "partner.outlook.cn", 587, "starttls", "smtp", clouds()["china"])
    assert "smtp.partner.outlook.cn" in mixup.fix


def test_a_cloud_with_one_name_for_both_has_no_mixup_of_names():
    """DoD, and any lab on localhost."""
    dod = clouds()["dod"]
    assert check_server("smtp_host", dod.smtp_host, 587, "starttls", "smtp", dod) == []
    assert check_server("incoming_host", dod.imap_host, 993, "tls", "imap", dod) == []


@given(st.text(max_size=30), st.integers(0, 70000), st.sampled_from(["tls", "starttls", "none"]))
def test_any_text_is_judged(text, port, security):
    for protocol in ("smtp", "imap", "pop3"):
        check_server("smtp_host", text, port, security, protocol, WORLD)
    check_application(text, text, text, text)
