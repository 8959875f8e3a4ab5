"""The submission server: Microsoft's dialogue, its order of checks, its limits, its faults."""

from __future__ import annotations

import email
import email.policy
import re
import smtplib
import threading

import pytest

from support.lab import RunningLab
from support.mail_access import TOLD_AT_ONCE, MailAccess

STAMP = "[AM0PR01CA0001.outlook.office365.com ...Z ...]"
HELLO = """
    S: 220 AM0PR01CA0001.outlook.office365.com Microsoft ESMTP MAIL Service ready at ... +0000 [...]
    C: EHLO client.example
    S: 250-AM0PR01CA0001.outlook.office365.com Hello [127.0.0.1]
    S: 250-SIZE 157286400
    S: 250-PIPELINING
    S: 250-ENHANCEDSTATUSCODES
    S: 250-STARTTLS
    S: 250-8BITMIME
    S: 250 SMTPUTF8
    C: STARTTLS
    S: 220 2.0.0 SMTP server ready
    TLS
    C: EHLO client.example
    S: 250-AM0PR01CA0001.outlook.office365.com Hello [127.0.0.1]
    S: 250-SIZE 157286400
    S: 250-PIPELINING
    S: 250-ENHANCEDSTATUSCODES
    S: 250-AUTH LOGIN XOAUTH2
    S: 250-8BITMIME
    S: 250 SMTPUTF8
"""
SIGN_IN = """
    C: AUTH XOAUTH2 {sasl}
    S: 235 2.7.0 Authentication successful
"""
ENVELOPE = """
    C: MAIL FROM:<{mailbox}>
    S: 250 2.1.0 Sender OK
    C: RCPT TO:<megan@contoso.example>
    S: 250 2.1.5 Recipient OK
    C: DATA
    S: 354 Start mail input; end with <CRLF>.<CRLF>
    C: From: {mailbox}
    C: Subject: dialogue
    C:
    C: text
    C: .
"""
TAKEN = "S: 250 2.0.0 OK <...@...> [Hostname=...]"


@pytest.fixture
def access(lab: RunningLab) -> MailAccess:
    return MailAccess(lab)


def letter(access: MailAccess, author: str = "", to: str = "megan@contoso.example") -> bytes:
    lines = (f"From: {author or access.mailbox}", f"To: {to}", "Subject: hello", "Message-ID: <mine@client.example>")
    return "\r\n".join((*lines, "", ".dots..", "..", "", "end without a line break")).encode() + b"\r\n"


def refusal(client: smtplib.SMTP, *arguments: object) -> str:
    with pytest.raises(smtplib.SMTPDataError) as caught:
        client.sendmail(*arguments)  # type: ignore[arg-type]
    return f"{caught.value.smtp_code} {bytes(caught.value.smtp_error).decode()}"


def submits(client: smtplib.SMTP, access: MailAccess) -> int:
    """The code of the answer to DATA."""
    client.mail(access.mailbox)
    client.rcpt("a@example.org")
    return client.data(letter(access))[0]


def test_dialogue_with_the_credentials_on_the_command(access: MailAccess) -> None:
    with access.wire("smtp") as wire:
        wire.converse(HELLO + SIGN_IN + ENVELOPE + TAKEN, sasl=access.sasl(), mailbox=access.mailbox)
        wire.converse("C: QUIT\n S: 221 2.0.0 Service closing transmission channel\n CLOSED")


def test_dialogue_with_the_credentials_on_their_own_line(access: MailAccess) -> None:
    with access.wire("smtp") as wire:
        wire.converse(HELLO)
        wire.converse(
            "C: auth xoauth2\n S: 334\n C: {sasl}\n S: 235 2.7.0 Authentication successful", sasl=access.sasl()
        )


def test_nothing_is_sent_before_the_sign_in(access: MailAccess) -> None:
    with access.wire("smtp") as wire:
        wire.converse(HELLO + "C: MAIL FROM:<a@contoso.example>\n S: 530 5.7.57 Client not authenticated to send mail")


def test_credentials_are_refused_before_tls(access: MailAccess) -> None:
    with access.wire("smtp") as wire:
        wire.converse(
            HELLO.partition("C: STARTTLS")[0] + "C: AUTH XOAUTH2 {sasl}\n S: 538 5.7.11 ...", sasl=access.sasl()
        )


@pytest.mark.parametrize("what", TOLD_AT_ONCE)
def test_what_is_told_at_the_sign_in(access: MailAccess, what: str) -> None:
    sasl = access.without(what)
    with access.wire("smtp") as wire:
        wire.converse(HELLO)
        wire.converse(f"C: AUTH XOAUTH2 {{sasl}}\n S: 535 5.7.3 Authentication unsuccessful {STAMP}", sasl=sasl)


def test_a_missing_right_is_told_at_data(access: MailAccess) -> None:
    sasl = access.without("right")
    access.change(smtp_auth_disabled=True)  # the right is looked at first
    with access.wire("smtp") as wire:
        told = "S: 430 4.2.0 STOREDRV; mailbox logon failure; ...MapiExceptionLogonFailed; ...Cannot open mailbox. ..."
        wire.converse(HELLO + SIGN_IN + ENVELOPE + told, sasl=sasl, mailbox=access.mailbox)
    assert access.messages("sentitems") == []


@pytest.mark.parametrize("where", ["Mailbox", "Tenant"])
def test_smtp_auth_switched_off(access: MailAccess, where: str) -> None:
    if where == "Mailbox":
        access.change(smtp_auth_disabled=True)
    else:
        access.lab.control("PATCH", "/exchange", {"smtp_auth_disabled": True})
    with access.wire("smtp") as wire:
        wire.converse(HELLO)
        answer = f"535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the {where}. "
        link = f"Visit https://aka.ms/smtp_auth_disabled for more information. {STAMP}"
        wire.converse(f"C: AUTH XOAUTH2 {{sasl}}\n S: {answer}{link}", sasl=access.sasl())


def test_the_mailbox_wins_over_the_tenant(access: MailAccess) -> None:
    access.lab.control("PATCH", "/exchange", {"smtp_auth_disabled": True})
    access.change(smtp_auth_disabled=False)
    access.smtp().quit()


@pytest.mark.parametrize(
    ("retired", "answer"),
    [
        (False, f"535 5.7.139 Authentication unsuccessful, basic authentication is disabled. {STAMP}"),
        (True, "550 5.7.30 Basic authentication is not supported for Client Submission."),
    ],
)
def test_passwords_are_refused(access: MailAccess, retired: bool, answer: str) -> None:
    access.lab.control("PATCH", "/exchange", {"basic_auth_retired": retired})
    with access.wire("smtp") as wire:
        wire.converse(HELLO)
        wire.converse(f"C: AUTH LOGIN\n S: 334 VXNlcm5hbWU6\n C: YQ==\n S: 334 UGFzc3dvcmQ6\n C: Yg==\n S: {answer}")


@pytest.mark.parametrize(
    ("sasl", "answer"),
    [("bm9uc2Vuc2U=", "501 5.5.124 Invalid XOAUTH2 auth data"), ("!", "501 5.5.124 Invalid XOAUTH2 auth data")],
)
def test_malformed_credentials(access: MailAccess, sasl: str, answer: str) -> None:
    with access.wire("smtp") as wire:
        wire.converse(HELLO)
        wire.converse(f"C: AUTH XOAUTH2 {sasl}\n S: {answer}")


def test_the_session_ends_with_the_token(access: MailAccess) -> None:
    with access.wire("smtp") as wire:
        wire.converse(HELLO + SIGN_IN, sasl=access.sasl())
        access.skew(7200)
        wire.converse("C: NOOP\n S: 421 4.7.0 Session invalidated - AccessTokenExpired\n CLOSED")


def test_a_message_arrives_as_it_was_sent(access: MailAccess) -> None:
    raw = letter(access)
    with access.smtp() as client:
        client.sendmail(access.mailbox, ["megan@contoso.example", "someone@example.org"], raw)
    (kept,), (arrived,) = access.messages("sentitems"), access.messages("inbox", "megan@contoso.example")
    body = raw.partition(b"\r\n\r\n")[2]
    assert kept.partition(b"\r\n\r\n")[2] == body
    assert arrived.partition(b"\r\n\r\n")[2] == body
    assert b"Authentication-Results: " in arrived
    (gone,) = access.lab.control("GET", "/gone")
    assert gone["recipients"] == ["someone@example.org"]


def test_exchange_gives_its_own_message_id(access: MailAccess) -> None:
    with access.smtp() as client:
        client.mail(access.mailbox)
        client.rcpt("megan@contoso.example")
        code, text = client.data(letter(access))
    told = re.fullmatch(rb"2\.0\.0 OK (<[^<>]+>) \[Hostname=[^\]]+\]", text)
    assert code == 250
    assert told is not None
    (kept,) = access.messages("sentitems")
    parsed = email.message_from_bytes(kept, policy=email.policy.default)
    assert parsed["Message-ID"] == told[1].decode()
    assert parsed["X-Microsoft-Original-Message-ID"] == "<mine@client.example>"


@pytest.mark.parametrize("where", ["header", "envelope"])
def test_another_sender_needs_send_as(access: MailAccess, where: str) -> None:
    other = "megan@contoso.example"
    sender, author = (other, "") if where == "envelope" else (access.mailbox, other)
    with access.smtp() as client:
        told = refusal(client, sender, ["adele@contoso.example"], letter(access, author))
        assert told.startswith(f"554 5.2.252 SendAsDenied; {access.mailbox} not allowed to send as {other}; STOREDRV.")
        access.lab.control("PUT", f"/mailboxes/{other}/rights/send-as/{access.mailbox}")
        client.sendmail(sender, ["adele@contoso.example"], letter(access, author))
    assert len(access.messages("sentitems")) == 1


def test_an_unknown_recipient_bounces(access: MailAccess) -> None:
    with access.smtp() as client:
        client.sendmail(access.mailbox, ["nobody@contoso.example"], letter(access, to="nobody@contoso.example"))
    (raw,) = access.messages("inbox")
    report = email.message_from_bytes(raw, policy=email.policy.default)
    assert report.get_content_type() == "multipart/report"
    assert report.get_param("report-type") == "delivery-status"
    parts = list(report.iter_parts())
    assert [part.get_content_type() for part in parts] == [
        "text/plain",
        "message/delivery-status",
        "text/rfc822-headers",
    ]
    about, recipient = parts[1].get_payload()  # type: ignore[misc]
    assert str(about["Reporting-MTA"]).startswith("dns;")  # type: ignore[index]
    assert recipient["Final-Recipient"] == "rfc822;nobody@contoso.example"  # type: ignore[index]
    assert (recipient["Action"], recipient["Status"]) == ("failed", "5.1.10")  # type: ignore[index]
    assert "<mine@client.example>" in parts[2].get_content()


def test_limits_of_size_and_recipients(access: MailAccess) -> None:
    access.limit(message_size=100_000, recipients_per_message=2)
    with access.smtp() as client:
        assert client.esmtp_features["size"] == "100000"
        code, text = client.mail(access.mailbox, ["SIZE=100001"])
        assert (code, text[:5]) == (552, b"5.3.4")
        client.mail(access.mailbox)
        client.rcpt("megan@contoso.example")
        code, text = client.data(letter(access) + b"line\r\n" * 20_000)  # without having told its size
        assert (code, text[:5]) == (552, b"5.3.4")
        refused = client.sendmail(access.mailbox, [f"r{n}@example.org" for n in range(3)], letter(access))
        assert refused == {"r2@example.org": (452, b"4.5.3 Too many recipients")}


def test_recipients_a_day(access: MailAccess) -> None:
    access.limit(recipients_per_day=2)
    with access.smtp() as client:
        client.sendmail(access.mailbox, ["a@example.org", "b@example.org"], letter(access))
        told = refusal(client, access.mailbox, ["c@example.org"], letter(access))
        assert told.startswith("554 5.2.0 STOREDRV.Submission.Exception:SubmissionQuotaExceededException")
        access.skew(86_400)  # rolling 24 hours; the token has ended meanwhile
    with access.smtp() as client:
        client.sendmail(access.mailbox, ["c@example.org"], letter(access))


def test_pace_refuses_when_told_to(access: MailAccess) -> None:
    access.limit(messages_per_minute=1, pace_refuses=1)
    with access.smtp() as client:
        client.sendmail(access.mailbox, ["a@example.org"], letter(access))
        assert refusal(client, access.mailbox, ["b@example.org"], letter(access)).startswith("432 4.3.2")


def test_pace_delays_and_carries_over(access: MailAccess) -> None:
    access.limit(messages_per_minute=1)
    with access.smtp() as client:
        client.sendmail(access.mailbox, ["a@example.org"], letter(access))
        second = threading.Thread(target=client.sendmail, args=(access.mailbox, ["b@example.org"], letter(access)))
        second.start()
        assert len(access.lab.control("GET", "/gone")) == 1
        access.skew(61)
        second.join(20)
        assert not second.is_alive()
        assert len(access.lab.control("GET", "/gone")) == 2


def test_a_fourth_connection_may_not_submit(access: MailAccess) -> None:
    clients = [access.smtp() for _ in range(4)]
    fourth = clients.pop()
    told = refusal(fourth, access.mailbox, ["a@example.org"], letter(access))
    assert told.startswith("432 4.3.2 STOREDRV.ClientSubmit; sender thread limit exceeded [Hostname=")
    clients[0].sendmail(access.mailbox, ["a@example.org"], letter(access))
    clients.pop(0).close()
    while submits(fourth, access) == 432:  # the server notices in its own time that one has gone
        pass
    assert len(access.lab.control("GET", "/gone")) == 2
    for client in (*clients, fourth):
        client.quit()


@pytest.mark.parametrize(
    ("fault", "answer"),
    [
        ("smtp-throttled", "432 4.3.2 STOREDRV.ClientSubmit; sender thread limit exceeded"),
        ("smtp-quota", "554 5.2.0 STOREDRV.Submission.Exception:SubmissionQuotaExceededException"),
        ("smtp-outbound-spam", "554 5.2.0 STOREDRV.Submission.Exception:OutboundSpamException"),
        ("mailbox-full", "554 5.2.2 mailbox full; STOREDRV.Submission.Exception:QuotaExceededException"),
    ],
)
def test_faults_at_data(access: MailAccess, fault: str, answer: str) -> None:
    access.fault(fault, times=1)
    with access.smtp() as client:
        assert refusal(client, access.mailbox, ["a@example.org"], letter(access)).startswith(answer)
        client.sendmail(access.mailbox, ["a@example.org"], letter(access))
    assert len(access.lab.control("GET", "/gone")) == 1


def test_a_really_full_mailbox(access: MailAccess) -> None:
    access.change(quota=10)
    with access.smtp() as client:
        assert refusal(client, access.mailbox, ["a@example.org"], letter(access)).startswith("554 5.2.2 mailbox full")


@pytest.mark.parametrize(
    ("fault", "sent"), [("smtp-lost-before-answer", 0), ("smtp-lost-after-taking", 1), ("smtp-lost-in-data", 0)]
)
def test_the_connection_breaks(access: MailAccess, fault: str, sent: int) -> None:
    access.fault(fault, times=1)
    client = access.smtp()
    with pytest.raises((smtplib.SMTPServerDisconnected, ConnectionError)):
        client.sendmail(access.mailbox, ["a@example.org"], letter(access) + b"line\r\n" * 50_000)
    assert len(access.lab.control("GET", "/gone")) == sent


@pytest.mark.parametrize("step", ["connect", "auth", "mail", "rcpt", "data"])
def test_any_reply_at_any_step(access: MailAccess, step: str) -> None:
    answer = "550 5.7.60 SMTP; Client does not have permissions to send as this sender [X]"
    access.fault("smtp-reply", times=1, step=step, reply=answer)
    before, _, after = (HELLO + SIGN_IN + ENVELOPE + TAKEN).partition(
        {
            "connect": "S: 220 A",
            "auth": "S: 235",
            "mail": "S: 250 2.1.0",
            "rcpt": "S: 250 2.1.5",
            "data": "S: 250 2.0.0",
        }[step]
    )
    with access.wire("smtp") as wire:
        wire.converse(f"{before}S: {answer}", sasl=access.sasl(), mailbox=access.mailbox)
    assert after


def test_slow_answers_still_come(access: MailAccess) -> None:
    access.fault("slow", seconds=0.01)
    with access.smtp() as client:
        client.sendmail(access.mailbox, ["a@example.org"], letter(access))


def test_pipelined_commands_are_answered_in_order(access: MailAccess) -> None:
    with access.wire("smtp") as wire:
        wire.converse(HELLO + SIGN_IN, sasl=access.sasl())
        commands = [f"MAIL FROM:<{access.mailbox}>", *(f"RCPT TO:<r{n}@example.org>" for n in range(200)), "DATA"]
        wire.send("\r\n".join(commands).encode() + b"\r\n")
        wire.converse("S: 250 2.1.0 Sender OK\n" + "S: 250 2.1.5 Recipient OK\n" * 200 + "S: 354 ...")
        wire.send(b"From: " + access.mailbox.encode() + b"\r\n\r\nx\r\n.\r\nNOOP\r\n")
        wire.converse(TAKEN + "\n S: 250 2.0.0 OK")


def test_a_bare_line_feed_ends_nothing(access: MailAccess) -> None:
    """RFC 5321 section 2.3.8: no second message can be smuggled in behind a "dot" between bare line feeds."""
    with access.wire("smtp") as wire:
        wire.converse(HELLO + SIGN_IN, sasl=access.sasl())
        wire.send(b"NOOP\nNOOP\r\n")
        wire.converse("S: 500 ...")
        wire.converse(ENVELOPE.partition("    C: From")[0], mailbox=access.mailbox)
        text = b"From: " + access.mailbox.encode() + b"\r\n\r\none\n.\nMAIL FROM:<a@b>\r\n"
        wire.send(text + b".\r\n")
        wire.converse(TAKEN)
    (kept,) = access.messages("sentitems")
    assert kept.endswith(b"one\n.\nMAIL FROM:<a@b>\r\n")


@pytest.mark.parametrize(
    ("command", "answer"),
    [
        ("NOOP", "250 2.0.0 OK"),
        ("RSET", "250 2.0.0 Resetting"),
        ("VRFY <megan@contoso.example>", "252 2.1.5 Cannot VRFY user"),
        ("RCPT TO:<a@example.org>", "503 5.5.2 Need mail command"),
        ("DATA", "503 5.5.2 Need rcpt command"),
        ("AUTH XOAUTH2", "503 5.5.2 Already authenticated"),
        ("HELP", "214 This server supports the following commands:..."),
        ("BDAT 1 LAST", "500 ..."),
    ],
)
def test_small_commands(access: MailAccess, command: str, answer: str) -> None:
    with access.wire("smtp") as wire:
        wire.converse(HELLO + SIGN_IN, sasl=access.sasl())
        wire.converse(f"C: {command}\n S: {answer}")


def test_no_token_reaches_the_log(access: MailAccess) -> None:
    token = access.lab.token()
    with access.wire("smtp") as wire:
        wire.converse(HELLO + SIGN_IN, sasl=access.sasl(token=token))
        wire.converse("C: NONSENSE\n S: 500 ...")
    assert token not in access.lab.errors()
    assert access.sasl(token=token) not in access.lab.errors()
    assert "deprecated" not in access.lab.errors()
