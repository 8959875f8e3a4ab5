"""What a reply brings back of ours, and the token in it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.mail.message import Message
from postroom.mail.reply_tokens import is_ours, issue, question_of
from postroom.mail.threads import answered, in_subject, tagged, traces

KEY, OLD = b"k" * 32, b"o" * 32
BOB = "bob@fabrikam.example"
OWN = {"approvals@contoso.example"}


def test_a_token_is_for_one_question_and_one_person():
    token = issue(KEY, "q7", BOB)
    assert question_of(token) == "q7"
    assert is_ours(token, [KEY], BOB)
    assert is_ours(token, [OLD, KEY], "Bob@Fabrikam.example")
    assert not is_ours(token, [OLD], BOB)
    assert not is_ours(token, [KEY], "eve@fabrikam.example")
    assert not is_ours(token.replace("q7", "q8"), [KEY], BOB)
    assert not is_ours("", [KEY], BOB)


@given(st.text(alphabet="abc0189-", max_size=30))
def test_a_question_id_is_refused_or_comes_back(question: str):
    if not 1 <= len(question) <= 26 or "-" in question:
        with pytest.raises(ValueError, match="1 to 26"):
            issue(KEY, question, BOB)
        return
    token = issue(KEY, question, BOB)
    assert question_of(token) == question
    assert len(token) <= 53


def test_a_token_comes_back_by_address_subject_or_reference():
    token = issue(KEY, "q7", BOB)
    for head in (
        f"To: {tagged('approvals@contoso.example', token)}",
        f"To: {tagged('approvals@contoso.example', token).upper()}",
        f"Delivered-To: {tagged('approvals@contoso.example', token)}",
        f"Subject: Re: {in_subject('Laptop', token)}",
        f"Subject: AW: [#{token.upper()}]",
        f"References: <a@b> <{token}@contoso.example>",
    ):
        assert traces(Message(f"{head}\r\n\r\n".encode()), OWN).tokens == (token,), head


def test_a_token_behind_somebody_elses_address_is_none():
    token = issue(KEY, "q7", BOB)
    assert traces(Message(f"To: eve+{token}@evil.example\r\n\r\n".encode()), OWN).tokens == ()


def test_what_it_answers_comes_before_its_thread():
    mail = Message(b"In-Reply-To: <c@x>\r\nReferences: <a@x>\r\n <b@x> <c@x>\r\n\r\n")
    found = traces(mail)
    assert found.message_ids == ("<c@x>", "<b@x>", "<a@x>")
    assert answered(found, {"<a@x>", "<b@x>"}) == ["<b@x>", "<a@x>"]


@pytest.mark.parametrize("subject", ["Fwd: x", "FW: x", "WG: x", "TR : x", "RV: x", "転送: x"])
def test_forwarded_by_its_subject(subject: str):
    assert traces(Message(f"Subject: {subject}\r\n\r\n".encode())).forwarded


@pytest.mark.parametrize("subject", ["Re: x", "Trip: x", "Sv: x", "Rv", "i think: so"])
def test_not_forwarded(subject: str):
    assert not traces(Message(f"Subject: {subject}\r\n\r\n".encode())).forwarded


def test_an_address_too_long_for_a_token_is_refused_with_the_fix():
    with pytest.raises(ValueError, match="shorten it"):
        tagged("a-very-long-local-part@contoso.example", issue(KEY, "q" * 26, BOB))
