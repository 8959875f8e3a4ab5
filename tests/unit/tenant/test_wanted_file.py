"""The wanted state as YAML: ten lines suffice, faults name line, field, fault and fix, and writing loses nothing."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.core.faults import Invalid
from postroom.tenant.wanted import (
    CredentialKind,
    ReadBy,
    Restriction,
    SendBy,
    Wanted,
    WantedCredential,
    WantedMailbox,
)
from postroom.tenant.wanted_file import read, write

TEN_LINES = """\
tenant: contoso.example
cloud: lab
application: Postroom
credential: secret
send: smtp
read: [imap, pop, graph]
mailboxes:
  - address: Notifications@contoso.example
    name: Notifications
    shared: true
"""


def test_ten_lines_suffice() -> None:
    wanted = read(TEN_LINES)
    assert wanted == Wanted(
        tenant="contoso.example",
        cloud="lab",
        read=(ReadBy.IMAP, ReadBy.POP, ReadBy.GRAPH),
        mailboxes=(WantedMailbox("notifications@contoso.example", "Notifications", shared=True),),
    )
    assert wanted.title == "Postroom"


def test_least_and_most() -> None:
    assert read("tenant: contoso.example\nmailboxes: [a@contoso.example]").mailboxes == (
        WantedMailbox("a@contoso.example"),
    )
    most = read(
        "tenant: 11111111-1111-4111-8111-111111111111\n"
        "client_id: 22222222-2222-4222-8222-222222222222\n"
        "name: one\n"
        "credential: {kind: federated, issuer: https://i.example, subject: s, token_file: /run/token}\n"
        "send: none\nread: graph\nrestrict: {smtp: scope, graph: none}\n"
        "mailboxes:\n- {address: a@b.example, licence: E3, members: c@b.example, also_from: [d@b.example]}\n"
    )
    assert most.send == ()
    assert most.restrict_graph is Restriction.NONE
    assert most.credential.kind is CredentialKind.FEDERATED
    assert most.mailboxes[0].members == ("c@b.example",)


@pytest.mark.parametrize(
    ("text", "field", "parts"),
    [
        ("", "", ["not a set of keys"]),
        ("- a", "", ["not a set of keys"]),
        ("tenant: [", "", ["line 1", "not YAML"]),
        ("tenant: a b\nmailboxes: [a@b.example]", "tenant", ["line 1", "GUID"]),
        ("mailboxes: [a@b.example]", "tenant", ["is missing", "contoso.onmicrosoft.com"]),
        ("tenant: b.example\nmailboxes: []", "mailboxes", ["line 2", "list at least one"]),
        ("tenant: b.example\nmailboxes: [a]", "mailboxes[0].address", ["line 2", "not an address"]),
        ("tenant: b.example\nmailboxes:\n - a@b.example\n - A@b.example", "mailboxes", ["twice"]),
        ("tenant: b.example\ntenant: b.example\nmailboxes: [a@b.example]", "tenant", ["line 2", "given twice"]),
        ("tenant: b.example\nmailbox: [a@b.example]", "mailbox", ["line 2", "did you mean mailboxes?"]),
        ("tenant: b.example\nsend: fax\nmailboxes: [a@b.example]", "send", ["line 2", "'fax'", "smtp, graph"]),
        ("tenant: b.example\nsend: none\nread: none\nmailboxes: [a@b.example]", "send", ["both none"]),
        ("tenant: b.example\ncredential: {days: 800}\nmailboxes: [a@b.example]", "credential.days", ["1 to 730"]),
        (
            "tenant: b.example\ncredential: federated\nmailboxes: [a@b.example]",
            "credential",
            ["issuer", "subject", "token_file"],
        ),
        ("tenant: b.example\nrestrict: {graph: grant}\nmailboxes: [a@b.example]", "restrict.graph", ["scope or none"]),
        ("tenant: b.example\nclient_id: x\nmailboxes: [a@b.example]", "client_id", ["GUID"]),
        (f"tenant: b.example\napplication: {'x' * 65}\nmailboxes: [a@b.example]", "application", ["64"]),
        (
            "tenant: b.example\nmailboxes:\n - address: a@b.example\n   shared: perhaps",
            "mailboxes[0].shared",
            ["true or"],
        ),
        ("tenant: b.example\nmailboxes:\n - address: a@b.example\n   members: [x]", "mailboxes[0].members", ["line 4"]),
    ],
)
def test_faults_say_line_field_fault_and_fix(text: str, field: str, parts: list[str]) -> None:
    with pytest.raises(Invalid) as caught:
        read(text)
    said = " ".join(caught.value.errors[field])
    for part in parts:
        assert part in said


def test_all_faults_at_once() -> None:
    with pytest.raises(Invalid) as caught:
        read("tenat: x\nsend: fax\nmailboxes: [a]")
    assert {"tenant", "tenat", "send", "mailboxes[0].address"} <= set(caught.value.errors)


addresses = st.builds("{}@contoso.example".format, st.text("abcdefghij", min_size=1, max_size=8))
names = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Zl", "Zp", "Zs")), max_size=20)
mailboxes = st.builds(
    WantedMailbox,
    address=addresses,
    name=names,
    shared=st.booleans(),
    members=st.lists(addresses, max_size=2).map(tuple),
    also_from=st.lists(addresses, max_size=2).map(tuple),
)
wanteds = st.builds(
    Wanted,
    tenant=st.just("contoso.example"),
    mailboxes=st.lists(mailboxes, min_size=1, max_size=3, unique_by=lambda box: box.address).map(tuple),
    application=names.filter(bool),
    credential=st.builds(
        WantedCredential,
        kind=st.sampled_from([CredentialKind.SECRET, CredentialKind.CERTIFICATE]),
        days=st.integers(1, 730),
    ),
    send=st.just((SendBy.SMTP,)),
    read=st.lists(st.sampled_from(ReadBy), unique=True).map(tuple),
    restrict_smtp=st.sampled_from([Restriction.GRANT, Restriction.SCOPE]),
    restrict_graph=st.sampled_from([Restriction.SCOPE, Restriction.NONE]),
)


@given(wanteds)
def test_written_and_read_again_it_is_the_same(wanted: Wanted) -> None:
    assert read(write(wanted)) == wanted


@given(st.text(max_size=200))
def test_no_text_breaks_it(text: str) -> None:
    with suppress(Invalid):
        read(text)
