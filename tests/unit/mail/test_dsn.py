"""Reports of failure as other programs read them: by Python's own parser."""

from __future__ import annotations

from datetime import UTC, datetime
from email import message_from_bytes
from email.policy import default

from postroom.mail.addresses import Address
from postroom.mail.dsn import Outcome, Report, compose_report, status_of

ORIGINAL = b"From: ada@contoso.example\r\nSubject: Order\r\nMessage-ID: <1@contoso.example>\r\n\r\nBody\r\n"
AT = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


def report(*, full: bool = False, original: bytes = ORIGINAL) -> bytes:
    outcome = Outcome("bob@example.com", "failed", "5.1.1", "550 5.1.1 no such user", "rfc822;bob@example.com")
    return compose_report(
        Report(
            sender=Address("letters@contoso.example", "Mail delivery"),
            to="ada@contoso.example",
            message_id="<r1@contoso.example>",
            date=AT,
            reporter="postroom.contoso.example",
            outcomes=[outcome],
            explanation="There is no such recipient.\r\nInjected: yes",
            arrived=AT,
            original=original,
            full=full,
            envelope_id="env-1",
        )
    )


def test_its_three_parts() -> None:
    parsed = message_from_bytes(report(), policy=default)
    assert parsed.get_content_type() == "multipart/report"
    assert parsed["Content-Type"].params["report-type"] == "delivery-status"
    assert parsed["Auto-Submitted"] == "auto-replied"
    text, status, returned = parsed.iter_parts()
    assert "no such recipient" in text.get_content()
    assert status.get_content_type() == "message/delivery-status"
    whole, one = status.get_payload()
    assert whole["Original-Envelope-Id"] == "env-1"
    assert whole["Reporting-MTA"] == "dns; postroom.contoso.example"
    assert one["Final-Recipient"] == "rfc822; bob@example.com"
    assert one["Original-Recipient"] == "rfc822;bob@example.com"
    assert (one["Action"], one["Status"]) == ("failed", "5.1.1")
    assert one["Diagnostic-Code"] == "smtp; 550 5.1.1 no such user"
    assert returned.get_content_type() == "text/rfc822-headers"
    assert b"Body" not in report()


def test_the_whole_message_comes_back_when_asked_for() -> None:
    *_, returned = message_from_bytes(report(full=True), policy=default).iter_parts()
    assert returned.get_content_type() == "message/rfc822"
    assert returned.get_content()["Subject"] == "Order"


def test_nothing_that_was_said_breaks_out_of_its_line() -> None:
    assert b"\r\nInjected:" not in report()


def test_the_status_is_the_servers_where_it_gave_one() -> None:
    assert status_of("550 5.7.1 no", "5.0.0") == "5.7.1"
    assert status_of("no", "4.4.7") == "4.4.7"
