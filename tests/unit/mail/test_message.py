"""Hostile input is looked at without an exception."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from postroom.mail.addresses import Address
from postroom.mail.message import Message
from postroom.mail.mixed import mixed


def look_at_everything(raw: bytes) -> None:
    mail = Message(raw)
    mail.headers, mail.subject, mail.sender, mail.message_id, mail.date, mail.content_type  # noqa: B018
    mail.text()
    mail.html()
    mail.attachments()
    mixed(raw)


field = st.tuples(
    st.sampled_from([b"From", b"To", b"Subject", b"Date", b"Content-Type", b"Message-ID", b"Content-Disposition"])
    | st.just(b"Content-Transfer-Encoding"),
    st.one_of(
        st.binary(max_size=60),
        st.sampled_from(
            [
                b"multipart/mixed; boundary=b",
                b"text/plain; charset=nonsense",
                b"text/plain; charset*=utf-8''%ff",
                b"attachment; filename*0*=x",
                b"message/rfc822",
                b"=?utf-8?b?!!!?=",
                b"=?x?q?=ff?=",
                b"base64",
                b"Mon, 99 Nov 99999999 99:99:99 +9999",
                b'<<>>,;:@\\"',
            ]
        ),
    ),
).map(b": ".join)


@given(st.lists(field, max_size=6), st.binary(max_size=200))
@example([b"Content-Type: multipart/mixed; boundary=b"], b"--b\r\n" * 50)
def test_never_raises(fields: list[bytes], body: bytes) -> None:
    look_at_everything(b"\r\n".join([*fields, b"", body]))


@given(st.binary(max_size=400))
def test_never_raises_on_noise(raw: bytes) -> None:
    look_at_everything(raw)


def test_nested_far_too_deep() -> None:
    raw = b"".join(b"Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n" % (n, n) for n in range(1500))
    look_at_everything(raw)


def test_dates_are_in_utc() -> None:
    assert Message(b"Date: Mon, 23 Nov 2026 10:00:00 +0100\n\n").date == datetime(2026, 11, 23, 9, tzinfo=UTC)
    assert Message(b"Date: Mon, 23 Nov 2026 10:00:00 -0000\n\n").date == datetime(2026, 11, 23, 10, tzinfo=UTC)
    assert Message(b"Date: soon\n\n").date is None


def test_addresses_of_several_fields() -> None:
    raw = b'To: =?utf-8?q?J=C3=B6?= <jo@x.test>, undisclosed:;\nCc: "Lee, Ann" <ann@x.test>,\n bob@x.test\n\n'
    assert Message(raw).addresses("To", "Cc") == (
        Address("jo@x.test", "Jö"),
        Address("ann@x.test", "Lee, Ann"),
        Address("bob@x.test"),
    )


@pytest.mark.parametrize("end", [b"\r\n", b"\n"])
def test_parts_can_be_left_out(end: bytes) -> None:
    head = b'Subject: x\nContent-Type: multipart/mixed; boundary="b b"\n\npreamble\n'
    first = b"--b b\n\ntext\n"
    second = b'--b b\nContent-Type: image/png\nContent-Disposition: attachment; filename="a"\n\n--not b b\n'
    third = b"--b b\nContent-Type: image/gif\n\nthird\n"
    tail = b"--b b--\nepilogue\n--b b\n"
    raw, kept = ((head + first + part + third + tail).replace(b"\n", end) for part in (second, b""))
    whole = mixed(raw)
    assert whole is not None
    assert [part.view.content_type for part in whole.parts] == ["text/plain", "image/png", "image/gif"]
    assert whole.parts[1].view.attachments()[0].content == b"--not b b"
    assert whole.without([whole.parts[1]]) == kept
    assert whole.without([]) == raw


def test_a_part_cut_off_is_not_taken_apart() -> None:
    assert mixed(b"Content-Type: multipart/mixed; boundary=b\n\n--b\n\ntext\n--b\n\nmore") is None
    assert mixed(b"Content-Type: multipart/signed; boundary=b\n\n--b\n\ntext\n--b--\n") is None
