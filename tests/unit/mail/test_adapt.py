"""Only the header lines that a mailbox's configuration speaks of change; every other byte stays."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.mail.adapt import Wishes, adapt, without
from postroom.mail.addresses import Address
from postroom.mail.envelope import Envelope
from postroom.mail.headers import split
from postroom.mail.message import Message

WHEN = datetime(2026, 11, 23, 9, 30, tzinfo=UTC)
ID = "<new@contoso.test>"
TO_BOB = Envelope("ann@contoso.test", ("bob@contoso.test",))

SIGNED = (
    b"From: Ann <ann@contoso.test>\r\nTo:\tbob@contoso.test\r\nDate: Mon, 23 Nov 2026 08:00:00 +0000\r\n"
    b"Message-ID: <one@contoso.test>\r\nsUBJECT:   =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n an alle\r\n"
    b"Bcc: eve@contoso.test,\r\n mal@contoso.test\r\nX-Odd:no blank\r\nMIME-Version: 1.0\r\n"
    b'Content-Type: multipart/signed; boundary="b"; micalg=sha-256;\r\n protocol="application/pkcs7-signature"\r\n'
    b"\r\n--b\r\n\r\n.dot\r\ntrailing \xff  \r\n"
    b"--b\r\nContent-Type: application/pkcs7-signature\r\n\r\nMIIB\r\n--b--\r\n"
)


def changed(message: bytes, wishes: Wishes) -> bytes:
    return adapt(TO_BOB, message, wishes, ID, WHEN)[1]


def test_nothing_wished_and_nothing_missing_is_the_very_message() -> None:
    message = without(SIGNED, "Bcc")
    assert changed(message, Wishes()) is message


def test_only_bcc_goes() -> None:
    assert changed(SIGNED, Wishes()) == SIGNED.replace(b"Bcc: eve@contoso.test,\r\n mal@contoso.test\r\n", b"")


def test_prefix_is_put_before_the_subject_as_it_stands() -> None:
    expected = without(SIGNED, "Bcc").replace(b"sUBJECT:   =?", b"sUBJECT: [Test] =?")
    assert changed(SIGNED, Wishes(subject_prefix="[Test] ")) == expected


@pytest.mark.parametrize("prefix", ["[Test]", "[Prüfung]"])
@pytest.mark.parametrize("subject", [b"Hello", b"=?utf-8?q?Gr=C3=BC=C3=9Fe?=", "Grüße".encode()])
def test_prefix_reads_right(prefix: str, subject: bytes) -> None:
    message = Message(changed(b"Subject: " + subject + b"\r\n\r\n", Wishes(subject_prefix=prefix)))
    assert message.subject in {f"{prefix} Hello", f"{prefix} Grüße"}


def test_prefix_is_put_once() -> None:
    message = b"Subject: Re: [Test] Hello\r\n\r\n"
    assert Message(changed(message, Wishes(subject_prefix="[Test]"))).subject == "Re: [Test] Hello"


def test_prefix_without_a_subject() -> None:
    assert Message(changed(b"X: y\r\n\r\n", Wishes(subject_prefix="[Test]"))).subject == "[Test]"


def test_what_is_missing_is_added_at_the_end_of_the_header() -> None:
    wishes = Wishes(default_sender=Address("ann@contoso.test", "Ann"))
    assert changed(b"Subject: x\n\nbody\n", wishes) == (
        b"Subject: x\nFrom: Ann <ann@contoso.test>\nDate: Mon, 23 Nov 2026 09:30:00 +0000\n"
        b"Message-ID: <new@contoso.test>\n\nbody\n"
    )


def test_a_body_alone_gets_a_header() -> None:
    message = changed(b"Just text, no header\r\n", Wishes(default_sender=Address("ann@contoso.test")))
    assert Message(message).sender == Address("ann@contoso.test")
    assert message.endswith(b"\r\n\r\nJust text, no header\r\n")


def test_copies_come_into_the_envelope_once() -> None:
    wishes = Wishes(copies_to=("archive@contoso.test", "BOB@contoso.test", "archive@contoso.test"))
    envelope, message = adapt(TO_BOB, SIGNED, wishes, ID, WHEN)
    assert envelope == Envelope("ann@contoso.test", ("bob@contoso.test", "archive@contoso.test"))
    assert b"archive" not in message


line = st.one_of(
    st.binary(max_size=40),
    st.sampled_from([b"Subject: x", b"Bcc: a@b", b" folded", b"From: a@b", b"", b"Message-ID:", b"bcc : y", b"--b"]),
)
messages = st.tuples(st.lists(line, max_size=12), st.sampled_from([b"\r\n", b"\n"])).map(lambda x: x[1].join(x[0]))


@given(messages, st.sampled_from(["", "[T]", "[Ü]"]))
def test_the_body_never_changes(message: bytes, prefix: str) -> None:
    after = changed(message, Wishes(Address("ann@contoso.test"), prefix))
    assert split(after).body == split(message).body
    assert not split(after).named("Bcc")


@given(messages, st.sampled_from(["[T]", "[Ü]"]))
def test_other_fields_never_change(message: bytes, prefix: str) -> None:
    def others(raw: bytes) -> list[bytes]:
        touched = {b"subject", b"bcc", b"from", b"date", b"message-id"}
        fields = split(raw).fields
        return [field.strip() for field in fields if field.partition(b":")[0].strip().lower() not in touched]

    assert others(changed(message, Wishes(None, prefix))) == others(message)


@given(messages)
def test_split_loses_nothing(message: bytes) -> None:
    parts = split(message)
    assert b"".join(parts.fields) + parts.gap + parts.body == message


@given(messages)
def test_adapting_twice_is_adapting_once(message: bytes) -> None:
    wishes = Wishes(Address("ann@contoso.test"), "[T]")
    once = changed(message, wishes)
    assert changed(once, wishes) == once
