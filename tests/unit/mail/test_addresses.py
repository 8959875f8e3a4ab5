"""Addresses as people type them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.mail.addresses import Address, BadAddress, dedupe, parse, parse_list
from postroom.mail.message import Message


@pytest.mark.parametrize(
    ("text", "mailbox", "name"),
    [
        ("ann@contoso.test", "ann@contoso.test", ""),
        ("  Ann@CONTOSO.test ", "Ann@contoso.test", ""),
        ("Ann Lee <ann@contoso.test>", "ann@contoso.test", "Ann Lee"),
        ('"Lee, Ann" <ann@contoso.test>', "ann@contoso.test", "Lee, Ann"),
        ('"a \\"b\\"" <ann@contoso.test>', "ann@contoso.test", 'a "b"'),
        ("büro@bücher.example", "büro@xn--bcher-kva.example", ""),
        ('"odd local"@contoso.test', '"odd local"@contoso.test', ""),
        ("root@[127.0.0.1]", "root@[127.0.0.1]", ""),
        ("root@localhost", "root@localhost", ""),
    ],
)
def test_understood(text: str, mailbox: str, name: str) -> None:
    assert parse(text) == Address(mailbox, name)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "is empty"),
        ("ann", "is not an address"),
        ("ann@", "is not an address"),
        ("@contoso.test", "is not an address"),
        ("ann lee@contoso.test", "before the @"),
        (".ann@contoso.test", "before the @"),
        ("ann@contoso..test", "a domain that cannot be"),
        ("ann@-contoso.test", "a domain that cannot be"),
        ("ann@contoso.test\r\nBcc: eve@evil.test", "line break"),
        ("ann@contoso.test>", "has no <"),
        ("ann@\N{SNOWMAN}\N{SNOWMAN}.", "domain"),
        ("x" * 65 + "@contoso.test", "64 bytes"),
    ],
)
def test_refused_with_field_fault_and_fix(text: str, fault: str) -> None:
    with pytest.raises(BadAddress, match=fault) as caught:
        parse(text, "Reply-To")
    assert str(caught.value).startswith("Reply-To: ")
    assert caught.value.field == "Reply-To"
    assert "\n" not in str(caught.value)


def test_lists_take_what_people_paste() -> None:
    found = parse_list('"Lee, Ann" <ann@x.test>, bob@x.test; Cy <cy@x.test>\nBOB@x.test,')
    assert [address.mailbox for address in found] == ["ann@x.test", "bob@x.test", "cy@x.test"]


def test_a_list_names_the_one_that_is_bad() -> None:
    with pytest.raises(BadAddress, match=r"Cc: 'bob' is not an address"):
        parse_list("ann@x.test, bob", "Cc")


def test_first_of_each_is_kept() -> None:
    assert dedupe([Address("a@x", "one"), Address("A@X", "two"), Address("b@x")]) == (
        Address("a@x", "one"),
        Address("b@x"),
    )


names = st.text(st.characters(exclude_categories=("Cc", "Cs", "Zl", "Zp")), max_size=60).map(str.strip)


@given(names)
def test_a_name_survives_the_header(name: str) -> None:
    head = f"To: {Address('ann@contoso.test', name).header()}\r\n\r\n".encode()
    assert b"\r\n" not in head.partition(b"\r\n")[0]
    (back,) = Message(head).addresses("To")
    assert back.mailbox == "ann@contoso.test"
    assert " ".join(back.name.split()) == " ".join(name.split())


@given(names)
def test_as_shown_is_taken_back(name: str) -> None:
    address = Address("ann@contoso.test", name)
    assert parse(str(address)) == address


@given(st.text(max_size=80))
def test_anything_is_parsed_or_refused(text: str) -> None:
    try:
        address = parse(text)
    except BadAddress:
        return
    assert "@" in address.mailbox
    assert not set(address.mailbox + address.name) & set("\r\n\0")
