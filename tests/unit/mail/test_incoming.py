"""Severity of failures, kinds, and that hostile mail is looked at without an exception."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from postroom.mail.addresses import Address
from postroom.mail.authenticity import Receiver
from postroom.mail.bounces import Severity, read_bounce, severity_of
from postroom.mail.dsn import Outcome, Report, compose_report
from postroom.mail.kinds import Kind, sort
from postroom.mail.message import Message
from postroom.mail.replies import new_words, read_reply
from postroom.mail.verdicts import Treatment, judge

NOW = datetime(2026, 11, 23, tzinfo=UTC)
NAMES = ("From", "To", "Subject", "Sender", "Return-Path", "Auto-Submitted", "Content-Type", "References", "Precedence")
NAMES += ("Content-Transfer-Encoding", "Authentication-Results", "X-Failed-Recipients", "In-Reply-To")


@pytest.mark.parametrize(
    ("status", "words", "action", "severity"),
    [
        ("5.1.1", "", "failed", Severity.HARD),
        ("5.1.8", "", "failed", Severity.UNKNOWN),
        ("5.2.1", "", "failed", Severity.HARD),
        ("5.2.2", "", "failed", Severity.SOFT),
        ("5.1.1", "", "delayed", Severity.SOFT),
        ("4.2.0", "user unknown", "failed", Severity.SOFT),
        ("5.7.1", "user unknown", "failed", Severity.UNKNOWN),
        ("5.4.1", "Recipient address rejected: Access denied", "failed", Severity.HARD),
        ("5.0.0", "mailbox is full", "failed", Severity.SOFT),
        ("", "Benutzer unbekannt", "failed", Severity.HARD),
        ("", "", "failed", Severity.UNKNOWN),
        ("5.3.4", "message too big", "failed", Severity.UNKNOWN),
    ],
)
def test_what_a_failure_says_of_the_address(status: str, words: str, action: str, severity: Severity):
    assert severity_of(status, words, action) is severity


def test_our_own_reports_are_read_back():
    report = Report(
        sender=Address("postmaster@contoso.example"),
        to="app@contoso.example",
        message_id="<r@contoso.example>",
        date=NOW,
        reporter="contoso.example",
        outcomes=[Outcome("ada@fabrikam.example", "failed", "5.1.1", "550 5.1.1 unknown")],
        explanation="No such address.",
        arrived=NOW,
        original=b"Message-ID: <m@contoso.example>\r\nSubject: x\r\n\r\nHello\r\n",
        envelope_id="e-1",
    )
    bounce = read_bounce(Message(compose_report(report)))
    assert bounce
    assert [(one.recipient, one.severity) for one in bounce.failures] == [("ada@fabrikam.example", Severity.HARD)]
    assert bounce.message_ids == ("<m@contoso.example>",)
    assert bounce.envelope_id == "e-1"
    assert bounce.standard


def test_a_reply_is_one_by_what_was_sent():
    mail = Message(b"From: bob@x.example\r\nIn-Reply-To: <m@contoso.example>\r\n\r\nHello\r\n")
    assert sort(mail, (), {"<m@contoso.example>"}).kind is Kind.REPLY
    assert sort(mail, (), ()).kind is Kind.NEW


def test_the_words_above_and_below_a_marked_quote_are_kept():
    seen = new_words("Above\n\nOn Monday Ada <ada@x.example>\nwrote:\n\n> quoted\n> more\n\nBelow\n\n-- \nBob\n")
    assert seen.text == "Above\n\nBelow"
    assert seen.quoted


def test_words_that_look_like_a_closing_are_kept_when_they_are_all():
    assert new_words("Thanks\n").text == "Thanks"


def test_what_an_attached_message_says_is_not_what_the_sender_says():
    mail = Message(
        b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: message/rfc822\r\n\r\n"
        b"Subject: x\r\n\r\nI accept this request\r\n--b--\r\n"
    )
    assert read_reply(mail).versions == ()


field = st.tuples(
    st.sampled_from(NAMES).map(str.encode),
    st.one_of(
        st.binary(max_size=60),
        st.sampled_from(
            [
                b"<>",
                b"mailer-daemon@x.example",
                b"Undelivered Mail",
                b"multipart/report; report-type=delivery-status; boundary=b",
                b"multipart/alternative; boundary=b",
                b"message/delivery-status",
                b"text/html; charset=\xff",
                b"base64",
                b"auto-replied",
                b"mx; dmarc=pass header.from=x.example",
                b"=?utf-8?b?!!!?=",
            ]
        ),
    ),
)
piece = st.one_of(
    st.binary(max_size=80),
    st.sampled_from(
        [
            b"--b",
            b"--b--",
            b"Content-Type: message/delivery-status\r\n",
            b"Content-Type: message/rfc822\r\n",
            b"Content-Type: text/rfc822-headers\r\n",
            b"Content-Transfer-Encoding: base64\r\n",
            b"Final-Recipient: rfc822; a@b.example\r\nAction: failed\r\nStatus: 5.1.1",
            b"Action: failed\r\nFinal-Recipient: \xff",
            b"",
            b"<div><blockquote></p>",
            b"This message was created automatically by mail delivery software.",
            b"<a@b.example>:",
            b"On x wrote:",
            b"> I accept this request",
        ]
    ),
)


@settings(max_examples=300)
@given(st.lists(field, max_size=8), st.lists(piece, max_size=12))
def test_hostile_mail_never_raises_and_never_decides(fields: list[tuple[bytes, bytes]], pieces: list[bytes]):
    raw = b"".join(name + b": " + value + b"\r\n" for name, value in fields) + b"\r\n" + b"\r\n".join(pieces)
    mail = Message(raw)
    sort(mail, {"us@contoso.example"}, ())
    read_reply(mail)
    verdict = judge(mail, Receiver("mx"), lambda _: None, [b"k"], (), NOW)
    assert verdict.treatment is not Treatment.DECIDE
    assert verdict.reason


@given(st.text(max_size=300))
def test_new_words_are_never_more_than_there_was(text: str):
    assert len(new_words(text).text) <= len(text)


@pytest.mark.parametrize(
    "html", ["<div>" * 5000, "<a b=" * 5000, "<!--" * 5000, "<p style='" + "a" * 50_000, "&" * 5000]
)
def test_hostile_html_is_looked_at(html: str):
    mail = Message(b"Content-Type: text/html; charset=utf-8\r\n\r\n" + html.encode())
    assert read_reply(mail).html_text == ""
