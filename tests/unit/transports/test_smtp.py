"""SMTP at the wire, as dialogues."""

from __future__ import annotations

import asyncio
import base64

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from postroom.mail.envelope import Envelope
from postroom.microsoft.answers import Answer, Refused, Service, Step
from postroom.microsoft.claims import AccessToken, Claims
from postroom.transports.base import (
    Accepted,
    Anonymous,
    Endpoint,
    OAuth,
    Password,
    Rejected,
    Security,
    SmtpRoute,
    Unanswered,
)
from postroom.transports.smtp import SmtpSender

from .authority import Certificates
from .conftest import Tokens, Watcher
from .dialogue import Dialogue

TO_BOB = Envelope("ann@contoso.test", ("bob@contoso.test",))
MESSAGE = b"Subject: x\r\n\r\n.dot\r\nend\r\n"
HELLO = """
S: 220 mx.test ESMTP
C: EHLO localhost
S: 250-mx.test
S: 250-SIZE 1000
S: 250 8BITMIME
"""
MAIL = """
C: MAIL FROM:<ann@contoso.test> SIZE=25
S: 250 2.1.0 Sender OK
C: RCPT TO:<bob@contoso.test>
S: 250 2.1.5 Recipient OK
C: DATA
S: 354 Start mail input; end with <CRLF>.<CRLF>
C: Subject: x
C:
C: ..dot
C: end
C: .
"""
OK = "S: 250 2.0.0 OK <AM9@EURP.outlook.test> [Hostname=AM9.eurp.outlook.test]\n"
QUIT = "C: QUIT\nS: 221 bye\n"
TOKEN_1, TOKEN_2 = (
    base64.b64encode(f"user=ann@contoso.test\x01auth=Bearer token-{n}\x01\x01".encode()).decode() for n in (1, 2)
)


def sender(server: Dialogue, sign_in: OAuth | Password | Anonymous = Anonymous(), **more: object) -> SmtpSender:  # noqa: B008
    return SmtpSender(SmtpRoute(server.endpoint(**more), sign_in))  # type: ignore[arg-type]


async def test_one_message() -> None:
    async with Dialogue(HELLO + MAIL + OK + QUIT) as server:
        smtp = sender(server)
        result = await smtp.send(TO_BOB, MESSAGE)
        await smtp.close()
    assert isinstance(result, Accepted)
    assert result.message_id == "<AM9@EURP.outlook.test>"
    assert result.answer == Answer(
        Service.SMTP,
        Step.DATA,
        "250",
        "2.0.0 OK <AM9@EURP.outlook.test> [Hostname=AM9.eurp.outlook.test]",
        enhanced="2.0.0",
    )
    assert not result.refused


async def test_connection_is_kept() -> None:
    async with Dialogue(HELLO + MAIL + OK + MAIL + OK + QUIT) as server:
        smtp = sender(server)
        for _ in range(2):
            assert isinstance(await smtp.send(TO_BOB, MESSAGE), Accepted)
        await smtp.close()


@pytest.mark.parametrize("left", ["DROP", "S: 421 4.4.1 Connection timed out", "C~ MAIL.*\nS: 421 4.4.1 timeout"])
async def test_a_kept_connection_that_died_is_opened_again(left: str) -> None:
    async with Dialogue(HELLO + MAIL + OK + left + "\n---\n" + HELLO + MAIL + OK + QUIT) as server:
        smtp = sender(server)
        for _ in range(2):
            assert isinstance(await smtp.send(TO_BOB, MESSAGE), Accepted)
        await smtp.close()


async def test_some_recipients_refused() -> None:
    script = HELLO + MAIL.replace("C: DATA", "C: RCPT TO:<no@contoso.test>\nS: 550 5.1.1 No such user\nC: DATA")
    async with Dialogue(script + OK + QUIT) as server:
        smtp = sender(server)
        result = await smtp.send(Envelope("ann@contoso.test", ("bob@contoso.test", "no@contoso.test")), MESSAGE)
        await smtp.close()
    assert isinstance(result, Accepted)
    assert result.refused == {
        "no@contoso.test": Answer(Service.SMTP, Step.RECIPIENT, "550", "5.1.1 No such user", "5.1.1")
    }


async def test_all_recipients_refused_then_the_next_message() -> None:
    refusal = """
C~ MAIL .+
S: 250 ok
C: RCPT TO:<bob@contoso.test>
S: 451 4.7.1 Greylisted
C: RSET
S: 250 ok
"""
    async with Dialogue(HELLO + refusal + MAIL + OK + QUIT) as server:
        smtp = sender(server)
        result = await smtp.send(TO_BOB, MESSAGE)
        assert isinstance(result, Rejected)
        assert result.answer.code == "451"
        assert set(result.refused) == {"bob@contoso.test"}
        assert isinstance(await smtp.send(TO_BOB, MESSAGE), Accepted)
        await smtp.close()


@pytest.mark.parametrize(
    ("said", "step", "enhanced"),
    [
        ("C~ MAIL .+\nS: 530 5.7.57 Client not authenticated to send mail", Step.SENDER, "5.7.57"),
        ("C~ MAIL .+\nS: 250 ok\nC~ RCPT .+\nS: 250 ok\nC: DATA\nS: 451 4.3.0 later", Step.DATA, "4.3.0"),
        (MAIL + "S: 554 5.2.252 SendAsDenied; a@x not allowed to send as b@y", Step.DATA, "5.2.252"),
        (MAIL + "S: 430-4.2.0 STOREDRV;\nS: 430 mailbox logon failure", Step.DATA, "4.2.0"),
    ],
)
async def test_refusals_say_where(said: str, step: Step, enhanced: str) -> None:
    async with Dialogue(HELLO + said + "\n" + QUIT) as server:
        smtp = sender(server)
        result = await smtp.send(TO_BOB, MESSAGE)
        await smtp.close()
    assert isinstance(result, Rejected)
    assert (result.answer.step, result.answer.enhanced) == (step, enhanced)


@pytest.mark.parametrize("before", ["C~ MAIL .+\n", "C~ MAIL .+\nS: 250 ok\nC~ RCPT .+\nS: 250 ok\nC: DATA\n"])
async def test_lost_before_the_message_was_handed_over(before: str) -> None:
    async with Dialogue(HELLO + before + "DROP") as server:
        result = await sender(server).send(TO_BOB, MESSAGE)
    assert isinstance(result, Rejected)
    assert (result.answer.service, result.answer.code) == (Service.NETWORK, "lost")


@pytest.mark.parametrize("after", ["DROP", "WAIT", "S: nonsense"])
async def test_nobody_knows_when_the_last_answer_is_lost(after: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("postroom.transports.smtp._PATIENCE", 0.1)
    async with Dialogue(HELLO + MAIL + after) as server:
        result = await sender(server).send(TO_BOB, MESSAGE)
    assert isinstance(result, Unanswered)
    assert result.answer.step is Step.DATA


async def test_cancelled_in_the_middle_the_connection_is_not_used_again() -> None:
    script = HELLO + "C~ MAIL .+\nWAIT" + "\n---\n" + HELLO + MAIL + OK + QUIT
    async with Dialogue(script) as server:
        smtp = sender(server)
        sending = asyncio.create_task(smtp.send(TO_BOB, MESSAGE))
        await server.hears("MAIL")
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending
        assert isinstance(await smtp.send(TO_BOB, MESSAGE), Accepted)
        await smtp.close()


async def test_too_large_is_known_before_data() -> None:
    async with Dialogue(HELLO + QUIT) as server:
        smtp = sender(server)
        result = await smtp.send(TO_BOB, b"x" * 999)
        await smtp.close()
    assert isinstance(result, Rejected)
    assert (result.answer.code, result.answer.enhanced) == ("552", "5.3.4")
    assert "1001 bytes" in result.answer.text
    assert "1000" in result.answer.text


async def test_8_bits_are_announced() -> None:
    script = HELLO + "C: MAIL FROM:<ann@contoso.test> SIZE=6 BODY=8BITMIME\nS: 550 no\n" + QUIT
    async with Dialogue(script) as server:
        smtp = sender(server)
        await smtp.send(TO_BOB, b"\r\n\xff\xfe")
        await smtp.close()


@pytest.mark.parametrize(
    ("envelope", "message", "wanted"),
    [
        (Envelope("ännchen@contoso.test", ("bob@contoso.test",)), b"\r\nx", True),
        (TO_BOB, "Subject: ü\r\n\r\nx".encode(), True),
        (TO_BOB, "Subject: ü\r\n\r\nx".encode("latin-1"), False),
        (TO_BOB, "Subject: u\r\n\r\nü".encode(), False),
    ],
)
async def test_smtputf8_where_it_is_needed(envelope: Envelope, message: bytes, wanted: bool) -> None:
    script = HELLO.replace("S: 250 8", "S: 250-SMTPUTF8\nS: 250 8") + "C~ MAIL .+\nS: 550 no\n" + QUIT
    async with Dialogue(script) as server:
        smtp = sender(server)
        await smtp.send(envelope, message)
        await smtp.close()
    assert ("SMTPUTF8" in server.heard[1]) is wanted
    assert envelope.sender.encode().decode("latin-1") in server.heard[1]


async def test_smtputf8_that_is_not_offered() -> None:
    async with Dialogue(HELLO + QUIT) as server:
        smtp = sender(server)
        result = await smtp.send(Envelope("ann@contoso.test", ("jö@contoso.test",)), MESSAGE)
        await smtp.close()
    assert isinstance(result, Rejected)
    assert (result.answer.code, result.answer.enhanced) == ("553", "5.6.7")


@pytest.mark.parametrize("address", ["a@b> SIZE=1", "a@b\r\nDATA", "a@b <c@d", "a b@c"])
async def test_no_address_ends_its_command(address: str) -> None:
    async with Dialogue(HELLO + QUIT) as server:
        smtp = sender(server)
        result = await smtp.send(Envelope(address, ("bob@contoso.test",)), MESSAGE)
        await smtp.close()
    assert isinstance(result, Rejected)
    assert result.answer.code == "553"


# sign-in ---------------------------------------------------------------------------------------------------


def with_auth(methods: str) -> str:
    return HELLO.replace("S: 250 8BITMIME", f"S: 250-AUTH {methods}\nS: 250 8BITMIME")


async def test_xoauth2_in_one_line(oauth: OAuth) -> None:
    said = f"C: AUTH XOAUTH2 {TOKEN_1}\nS: 235 2.7.0 Authentication successful\n"
    async with Dialogue(with_auth("LOGIN XOAUTH2") + said + QUIT) as server:
        smtp = sender(server, oauth)
        await smtp.open()
        await smtp.close()


async def test_a_token_of_real_length_goes_on_a_line_of_its_own() -> None:
    """RFC 4954 section 4: an AUTH line may not be longer than any other command's."""
    long = "x" * 1500
    encoded = base64.b64encode(f"user=ann@contoso.test\1auth=Bearer {long}\1\1".encode()).decode()
    oauth = OAuth("ann@contoso.test", lambda *, force=False: AccessToken(long, 0.0, Claims()))
    said = f"C: AUTH XOAUTH2\nS: 334 \nC: {encoded}\nS: 235 2.7.0 Authentication successful\n"
    async with Dialogue(with_auth("LOGIN XOAUTH2") + said + QUIT) as server:
        smtp = sender(server, oauth)
        await smtp.open()
        await smtp.close()


REFUSED = "S: 535 5.7.3 Authentication unsuccessful [SN2 2025-07-22T09:34:23.313Z 08DD]\n"


@pytest.mark.parametrize("refusal", [REFUSED, "S: 334 eyJzdGF0dXMiOiI0MDEifQ==\nC:\n" + REFUSED])
async def test_after_535_one_new_token(refusal: str, oauth: OAuth, tokens: Tokens) -> None:
    hello = with_auth("LOGIN XOAUTH2")
    first = f"{hello}C: AUTH XOAUTH2 {TOKEN_1}\n{refusal}WAIT"
    second = f"{hello}C: AUTH XOAUTH2 {TOKEN_2}\nS: 235 2.7.0 Authentication successful\n" + QUIT
    async with Dialogue(first + "\n---\n" + second) as server:
        smtp = sender(server, oauth)
        await smtp.open()
        await smtp.close()
    assert tokens.number == 2


async def test_after_a_second_535_no_more(oauth: OAuth, tokens: Tokens) -> None:
    one = with_auth("LOGIN XOAUTH2") + "C~ AUTH XOAUTH2 .+\n" + REFUSED + "WAIT"
    async with Dialogue(one + "\n---\n" + one) as server:
        result = await sender(server, oauth).send(TO_BOB, MESSAGE)
    assert isinstance(result, Rejected)
    assert (result.answer.step, result.answer.code, result.answer.enhanced) == (Step.SIGN_IN, "535", "5.7.3")
    assert tokens.number == 2
    assert "token-" not in repr(result)


@pytest.mark.parametrize(
    ("methods", "said"),
    [
        ("PLAIN LOGIN", "C: AUTH PLAIN " + base64.b64encode(b"\0ann\0pa ss").decode()),
        ("LOGIN", f"C: AUTH LOGIN {base64.b64encode(b'ann').decode()}\nS: 334 UGFzc3dvcmQ6\nC: cGEgc3M="),
    ],
)
async def test_passwords(methods: str, said: str) -> None:
    async with Dialogue(with_auth(methods) + said + "\nS: 235 ok\n" + QUIT) as server:
        smtp = sender(server, Password("ann", "pa ss"))
        await smtp.open()
        await smtp.close()


async def test_a_method_that_is_not_offered(oauth: OAuth) -> None:
    async with Dialogue(with_auth("LOGIN PLAIN") + "WAIT") as server:
        with pytest.raises(Refused, match="offers no XOAUTH2; it offers: LOGIN PLAIN"):
            await sender(server, oauth).open()


async def test_no_password_in_the_clear(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("postroom.transports.network.is_loopback", lambda host: False)
    async with Dialogue(with_auth("PLAIN") + "WAIT") as server:
        with pytest.raises(Refused, match="not protected") as caught:
            await sender(server, Password("ann", "secret")).open()
    assert caught.value.answer.code == "tls"


# TLS -------------------------------------------------------------------------------------------------------

STARTTLS = """
S: 220 mx.test ESMTP
C: EHLO localhost
S: 250-mx.test
S: 250 STARTTLS
C: STARTTLS
S: 220 2.0.0 SMTP server ready
TLS
"""
INSIDE = HELLO.partition("\n")[2].partition("\n")[2]


async def test_starttls_and_every_step_is_told(certificates: Certificates, oauth: OAuth, watcher: Watcher) -> None:
    inside = INSIDE.replace("S: 250 8BITMIME", "S: 250-AUTH XOAUTH2\nS: 250 8BITMIME")
    script = STARTTLS + inside + f"C: AUTH XOAUTH2 {TOKEN_1}\nS: 235 yes\n" + MAIL + OK + QUIT
    async with Dialogue(script, certificates.localhost, ca=certificates.ca_file) as server:
        smtp = SmtpSender(SmtpRoute(server.endpoint(Security.STARTTLS), oauth), watcher)
        assert isinstance(await smtp.send(TO_BOB, MESSAGE), Accepted)
        await smtp.close()
    conversation = [Step.RESOLVE, Step.CONNECT, Step.TLS, Step.SIGN_IN, Step.SENDER, Step.RECIPIENT, Step.DATA]
    assert watcher.steps == conversation
    assert watcher.detail(Step.CONNECT) == "220 mx.test ESMTP"
    assert watcher.detail(Step.TLS).startswith("TLSv1.3, certificate of localhost (localhost), issued by Test CA")
    assert watcher.detail(Step.RECIPIENT) == "bob@contoso.test: 250 2.1.5 Recipient OK"


async def test_implicit_tls(certificates: Certificates) -> None:
    script = HELLO + MAIL + OK + QUIT
    async with Dialogue(script, certificates.localhost, implicit=True, ca=certificates.ca_file) as server:
        smtp = sender(server, security=Security.TLS)
        assert isinstance(await smtp.send(TO_BOB, MESSAGE), Accepted)
        await smtp.close()


async def test_plain_answer_where_tls_was_expected() -> None:
    async with Dialogue("S: 220 mx.test ESMTP\nIGNORE") as server:
        with pytest.raises(Refused, match="answered in plain text") as caught:
            await sender(server, security=Security.TLS).open()
    assert (caught.value.answer.step, caught.value.answer.code) == (Step.TLS, "tls")


async def test_silence_where_a_greeting_was_expected() -> None:
    async with Dialogue("WAIT") as server:
        with pytest.raises(Refused, match="stays silent like this") as caught:
            await sender(server, security=Security.STARTTLS, timeout=0.2).open()
    assert (caught.value.answer.step, caught.value.answer.code) == (Step.CONNECT, "timeout")


async def test_starttls_that_is_not_offered() -> None:
    async with Dialogue(HELLO + "WAIT") as server:
        with pytest.raises(Refused, match="does not offer STARTTLS") as caught:
            await sender(server, security=Security.STARTTLS).open()
    assert (caught.value.answer.step, caught.value.answer.code) == (Step.TLS, "tls")


@pytest.mark.parametrize("implicit", [True, False])
async def test_certificate_of_another_name(certificates: Certificates, implicit: bool) -> None:
    script = "" if implicit else STARTTLS.removesuffix("TLS\n") + "TLS!"
    async with Dialogue(script, certificates.elsewhere, implicit=implicit, ca=certificates.ca_file) as server:
        with pytest.raises(Refused, match="Hostname mismatch") as caught:
            await sender(server, security=Security.TLS if implicit else Security.STARTTLS).open()
    assert (caught.value.answer.step, caught.value.answer.code) == (Step.TLS, "certificate")


async def test_certificate_of_an_unknown_authority(certificates: Certificates) -> None:
    async with Dialogue("", certificates.localhost, implicit=True) as server:
        with pytest.raises(Refused, match="unable to get local issuer") as caught:
            await sender(server, security=Security.TLS).open()
    assert caught.value.answer.code == "certificate"


@pytest.mark.parametrize(("host", "code"), [("127.0.0.1", "refused"), ("nowhere.invalid", "resolve")])
async def test_no_server(host: str, code: str) -> None:
    async with Dialogue("") as server:
        endpoint = server.endpoint(host=host)
    result = await SmtpSender(SmtpRoute(endpoint, Anonymous())).send(TO_BOB, MESSAGE)
    assert isinstance(result, Rejected)
    assert (result.answer.service, result.answer.code) == (Service.NETWORK, code)


# bytes -----------------------------------------------------------------------------------------------------


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=300).map(lambda raw: raw.replace(b"\r", b"").replace(b"\n", b"\r\n")))
async def test_exactly_the_bytes_given(message: bytes) -> None:
    received = bytearray()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 hi\r\n")
        while (line := await reader.readline()) and line != b"QUIT\r\n":
            if line == b"DATA\r\n":
                writer.write(b"354 go\r\n")
                while (text := await reader.readline()) != b".\r\n":
                    received.extend(text[1:] if text.startswith(b".") else text)
            writer.write(b"250-x\r\n250 8BITMIME\r\n" if line.startswith(b"EHLO") else b"250 ok\r\n")
        writer.write(b"221 bye\r\n")
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        smtp = SmtpSender(SmtpRoute(Endpoint("127.0.0.1", port, Security.NONE), Anonymous()))
        assert isinstance(await smtp.send(TO_BOB, message), Accepted)
        await smtp.close()
    assert received == (message if message.endswith(b"\r\n") else message + b"\r\n")
