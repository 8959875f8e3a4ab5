"""What is composed can be read back, and nothing can be smuggled into a header."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.mail.addresses import Address
from postroom.mail.compose import CannotCompose, Draft, compose
from postroom.mail.message import Attachment, Message

WHEN = datetime(2026, 11, 23, 9, 30, tzinfo=UTC)
ID = "<one@contoso.test>"
ANN, BOB, EVE = Address("ann@contoso.test", "Ann Lee"), Address("bob@contoso.test"), Address("eve@contoso.test")

shown = st.text(st.characters(exclude_categories=("Cc", "Cs", "Zl", "Zp")), max_size=200)
bodies = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"), max_size=500)


def test_pieces_come_back() -> None:
    file = Attachment("täglich.pdf", "application/pdf", b"%PDF\r\n\0\xff")
    draft = Draft(ANN, (BOB,), (EVE,), subject="Grüße", text="Hallo\n", html="<p>Hallo</p>", attachments=(file,))
    mail = Message(compose(draft, ID, WHEN))
    assert mail.sender == ANN
    assert mail.addresses("To", "Cc") == (BOB, EVE)
    assert (mail.subject, mail.message_id, mail.date) == ("Grüße", ID, WHEN)
    assert mail.text() == "Hallo\r\n"
    assert mail.html() == "<p>Hallo</p>\r\n"
    assert mail.attachments() == (file,)
    assert mail.raw.isascii()


def test_blind_copies_are_in_the_envelope_only() -> None:
    draft = Draft(ANN, (BOB,), bcc=(EVE, BOB), text="x")
    assert draft.envelope.recipients == ("bob@contoso.test", "eve@contoso.test")
    assert b"eve@" not in compose(draft, ID, WHEN)


def test_only_blind_copies() -> None:
    assert b"To: undisclosed-recipients:;\r\n" in compose(Draft(ANN, bcc=(EVE,), text="x"), ID, WHEN)


def test_a_message_is_not_attached_as_a_message() -> None:
    """message/rfc822 must not be base64 (RFC 2046 section 5.2.1), so it goes as a plain file."""
    mail = Message(compose(Draft(ANN, (BOB,), attachments=(Attachment("a.eml", "message/rfc822", b"x"),)), ID, WHEN))
    assert [(part.content_type, part.content) for part in mail.attachments()] == [("application/octet-stream", b"x")]


@given(shown)
def test_any_subject_comes_back(subject: str) -> None:
    mail = Message(compose(Draft(ANN, (BOB,), subject=subject), ID, WHEN))
    assert " ".join(mail.subject.split()) == " ".join(subject.split())


@given(bodies)
def test_any_text_comes_back(text: str) -> None:
    mail = Message(compose(Draft(ANN, (BOB,), text=text or "-"), ID, WHEN))
    lines = (text or "-").replace("\r\n", "\n").replace("\r", "\n").removesuffix("\n")
    assert mail.text().replace("\r\n", "\n").removesuffix("\n") == lines


@given(bodies, shown, shown)
def test_lines_are_ended_by_crlf_and_short_enough_for_smtp(text: str, subject: str, name: str) -> None:
    raw = compose(Draft(Address("ann@contoso.test", name.strip()), (BOB,), subject=subject, text=text), ID, WHEN)
    assert raw.count(b"\r") == raw.count(b"\n") == raw.count(b"\r\n")
    assert max(map(len, raw.split(b"\r\n"))) <= 998


@pytest.mark.parametrize(
    "change",
    [
        {"subject": "Hi\r\nBcc: eve@evil.test"},
        {"subject": "Hi\nX"},
        {"subject": "Hi\u2028X"},
        {"sender": Address("ann@contoso.test", "Ann\r\nBcc: eve@evil.test")},
        {"to": (Address("bob@contoso.test\r\nBcc: eve@evil.test"),)},
        {"cc": (Address("bob@contoso.test", "\0"),)},
        {"reply_to": (Address("bob@contoso.test", "a\x85b"),)},
        {"headers": (("X-A", "1\r\nBcc: eve@evil.test"),)},
        {"headers": (("X-A: 1\r\nBcc", "eve@evil.test"),)},
        {"headers": (("Bcc", "eve@evil.test"),)},
        {"headers": (("content-type", "text/html"),)},
        {"attachments": (Attachment("a\r\nX: y", "text/plain", b""),)},
        {"attachments": (Attachment("a", "text/plain; x\r\nX: y", b""),)},
        {"text": "a\0b"},
        {"html": "\ud800"},
    ],
)
def test_injection_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(CannotCompose):
        compose(Draft(**{"sender": ANN, "to": (BOB,), **change}), ID, WHEN)


@pytest.mark.parametrize("message_id", ["", "one@contoso.test", "<one@x>\r\nBcc: e@e", "<a b@c>"])
def test_message_id_must_be_one(message_id: str) -> None:
    with pytest.raises(CannotCompose, match="Message-ID"):
        compose(Draft(ANN, (BOB,)), message_id, WHEN)


@given(st.text(max_size=60), st.text(max_size=60), st.text(max_size=40))
def test_no_header_but_our_own(subject: str, name: str, filename: str) -> None:
    file = Attachment(filename, "image/png", b"x")
    draft = Draft(Address("ann@contoso.test", name), (BOB,), subject=subject, text="t", attachments=(file,))
    try:
        raw = compose(draft, ID, WHEN)
    except CannotCompose:
        return
    assert {head.lower() for head, _ in Message(raw).headers} <= {
        *("date", "from", "to", "subject", "message-id"),
        *("mime-version", "content-type", "content-transfer-encoding"),
    }
