"""The SMTP door at the wire: what a program hears, command by command."""

from __future__ import annotations

import asyncio
import os
import re
import smtplib
import socket
import ssl
import time
from base64 import b64encode
from pathlib import Path

import pytest

from postroom.bridge.desk import SignedIn
from postroom.bridge.guard import Guard
from postroom.bridge.listening import open_port
from postroom.bridge.terms import Terms
from postroom.bridge.tls import own_certificate, server_context
from postroom.bridge.values import ListenerData, Mode, Prompts
from postroom.core.faults import Fault
from postroom.outbox.values import Why

from .conftest import LOOPBACK, NAME, SECRET, Backroom, Opener, plain, refusing, talking


async def test_a_message_is_kept_as_it_was_said(door: Opener, backroom: Backroom) -> None:
    port = await door(plain())
    async with talking(port) as wire:
        assert await wire.hear() == "220 door.example ESMTP Postroom"
        await wire.sign_in()
        said = await wire.message(b"From: a@contoso.com\r\nTo: b@x.example\r\n\r\n..dots\r\n")
        assert said == "250 2.0.0 Kept as 1"
        assert await wire.say("QUIT") == "221 2.0.0 Bye"
    (kept,) = backroom.kept
    assert isinstance(kept.message, bytes)
    trace, _, rest = kept.message.partition(b"From:")
    assert b"with ESMTPA;" in trace
    assert b"127.0.0.1" not in trace
    assert rest == b" a@contoso.com\r\nTo: b@x.example\r\n\r\n.dots\r\n"
    assert kept.envelope is not None
    assert (kept.envelope.sender, kept.envelope.recipients) == ("a@contoso.com", ("b@x.example",))
    assert kept.mailbox == 7
    assert (kept.caller.name, kept.caller.address) == ("app:payroll", "127.0.0.1")


async def test_announces_what_it_does(door: Opener) -> None:
    async with talking(await door(plain(message_size=1000))) as wire:
        await wire.hear()
        said = (await wire.say("EHLO me")).splitlines()
    assert {line[4:] for line in said[1:]} == {
        "SIZE 1000", "8BITMIME", "SMTPUTF8", "PIPELINING", "DSN", "ENHANCEDSTATUSCODES", "AUTH PLAIN LOGIN",
    }  # fmt: skip


async def test_delivery_reports_are_noted(door: Opener, backroom: Backroom) -> None:
    async with talking(await door(plain())) as wire:
        await wire.hear()
        await wire.sign_in()
        await wire.say("MAIL FROM:<a@contoso.com> RET=HDRS ENVID=QQ+2B314 BODY=8BITMIME SIZE=20 AUTH=<>")
        await wire.say("RCPT TO:<b@x.example> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;B+2Btag@x.example")
        await wire.say("RCPT TO:<c@x.example> NOTIFY=NEVER")
        await wire.say("DATA")
        assert (await wire.say(b"From: a@contoso.com\r\n\r\n.\r\n")).startswith("250")
    reports = backroom.kept[0].reports
    assert (reports.ret, reports.envelope_id) == ("HDRS", "QQ+314")
    assert reports.notify == {"b@x.example": "SUCCESS,DELAY", "c@x.example": "NEVER"}
    assert reports.original == {"b@x.example": "rfc822;B+tag@x.example"}


async def test_pipelined_commands_are_answered_in_order(door: Opener, backroom: Backroom) -> None:
    """RFC 2920: also what is behind the end of a message."""
    batch = b"MAIL FROM:<a@contoso.com>\r\nRCPT TO:<b@x.example>\r\nRCPT TO:<bad>\r\nDATA\r\n"
    async with talking(await door(plain())) as wire:
        await wire.hear()
        await wire.sign_in()
        await wire.send(batch)
        assert [(await wire.hear())[:3] for _ in range(4)] == ["250", "250", "553", "354"]
        await wire.send(b"From: a@contoso.com\r\n\r\n.\r\n" + batch)
        assert [(await wire.hear())[:3] for _ in range(5)] == ["250", "250", "250", "553", "354"]
        await wire.send(b"From: a@contoso.com\r\n\r\n.\r\nQUIT\r\n")
        assert [(await wire.hear())[:3] for _ in range(2)] == ["250", "221"]
    assert len(backroom.kept) == 2


@pytest.mark.parametrize(
    ("lines", "last"),
    [
        (["MAIL FROM:<a@contoso.com>"], "503 5.5.1"),
        (["EHLO me", "MAIL FROM:<a@contoso.com>"], "530 5.7.0"),
        (["EHLO me", "RCPT TO:<a@contoso.com>"], "503 5.5.1"),
        (["EHLO me", "DATA"], "503 5.5.1"),
        (["EHLO"], "501 5.5.4"),
        (["EHLO me", "XYZZY"], "500 5.5.2"),
        (["EHLO me", "STARTTLS"], "502 5.5.1"),
        (["EHLO me", "VRFY a"], "252 2.5.2"),
        (["EHLO me", "EXPN a"], "502 5.5.1"),
        (["EHLO me", "NOOP"], "250 2.0.0"),
        (["EHLO me", "HELP"], "214 2.0.0"),
        (["EHLO me", "AUTH XOAUTH2 eA=="], "504 5.5.4"),
        (["EHLO me", "AUTH PLAIN ####"], "501 5.5.2"),
        (["EHLO me", "AUTH PLAIN eA=="], "501 5.5.2"),
        (["EHLO me", "AUTH LOGIN", "*"], "501 5.7.0"),
        (["EHLO me", "AUTH PLAIN", "*"], "501 5.7.0"),
        (["EHLO me", "A" * 3000], "500 5.5.2"),
        (["EHLO me", "A" * 200_000], "500 5.5.2"),
        (["EHLO me", "\u00e9"], "500 5.5.2"),
    ],
)
async def test_what_is_out_of_order_is_refused(door: Opener, lines: list[str], last: str) -> None:
    async with talking(await door(plain())) as wire:
        await wire.hear()
        replies = [await wire.say(line) for line in lines]
        assert replies[-1].startswith(last)
        assert (await wire.say("NOOP")).startswith("250")


@pytest.mark.parametrize(
    ("line", "reply"),
    [
        ("MAIL FROM:<>", "250"),
        ("MAIL FROM: a@contoso.com", "250"),
        ("mail from:<a@contoso.com>", "250"),
        ("MAIL FROM:<@relay.example:a@contoso.com>", "250"),
        ("MAIL FROM:<a@contoso.com> SIZE=99999999999", "552 5.3.4"),
        ("MAIL FROM:<a@contoso.com> SIZE=-1", "501 5.5.4"),
        ("MAIL FROM:<a@contoso.com> BODY=BINARYMIME", "501 5.5.4"),
        ("MAIL FROM:<a@contoso.com> XFOO=1", "555 5.5.4"),
        ("MAIL FROM:<a@contoso.com> RET=FULL RET=HDRS", "501 5.5.4"),
        ("MAIL FROM:<a@contoso.com> ENVID=a+0D+0Ab", "501 5.5.4"),
        ("MAIL FROM:<a@contoso.com", "501 5.5.4"),
        ("MAIL FROM:<a b@contoso.com>", "553 5.1.7"),
        ("MAIL TO:<a@contoso.com>", "501 5.5.4"),
        ("MAIL FROM:<\u00e4@contoso.com>", "553 5.6.7"),
        ("MAIL FROM:<\u00e4@contoso.com> SMTPUTF8", "250"),
        ("MAIL FROM:<a@b\u00fccher.example>", "250"),
    ],
)
async def test_mail_from(door: Opener, line: str, reply: str) -> None:
    async with talking(await door(plain())) as wire:
        await wire.hear()
        await wire.sign_in()
        assert (await wire.say(line)).startswith(reply)


@pytest.mark.parametrize(
    ("why", "reply"),
    [
        (Why.UNAVAILABLE, "451 4.3.0"),
        (Why.MAILBOX, "451 4.3.5"),
        (Why.SENDER_NOT_ALLOWED, "550 5.7.1"),
        (Why.MAILBOX_NOT_ALLOWED, "550 5.7.1"),
        (Why.TOO_LARGE, "552 5.3.4"),
        (Why.MALFORMED, "554 5.6.0"),
        (Why.LOOP, "554 5.4.6"),
    ],
)
async def test_the_outbox_says_no(door: Opener, backroom: Backroom, why: Why, reply: str) -> None:
    backroom.refusal = refusing(why)
    async with talking(await door(plain())) as wire:
        await wire.hear()
        await wire.sign_in()
        assert (await wire.message()).startswith(f"{reply} it is so. do this")


async def test_every_refusal_has_its_code() -> None:
    from postroom.bridge.replies import refused

    for why in Why:
        assert refused(refusing(why))[0] == ("4" if why in {Why.UNAVAILABLE, Why.MAILBOX} else "5")


async def test_a_fault_here_is_not_the_messages_fault(door: Opener, backroom: Backroom) -> None:
    """Neither on accepting nor on signing in: 4xx, so that the program keeps the message."""
    async with talking(await door(plain())) as wire:
        await wire.hear()
        await wire.sign_in()
        backroom.refusal = RuntimeError("boom secret-detail")
        said = await wire.message()
        assert said.startswith("451 4.3.0")
        assert "boom" not in said
    backroom.sign_in_fault = RuntimeError("the database is away")
    async with talking(await door(plain())) as wire:
        await wire.hear()
        await wire.say("EHLO me")
        assert (await wire.say("AUTH PLAIN AGEAYg==")).startswith("454 4.7.0")


async def test_wrong_secrets_end_the_session_and_then_lock(door: Opener, backroom: Backroom) -> None:
    port = await door(plain())
    wrong = b64encode(f"\0{NAME}\0guess".encode()).decode()
    heard = []
    for _ in range(5):
        async with talking(port) as wire:
            await wire.hear()
            await wire.say("EHLO me")
            while not (said := await wire.say(f"AUTH PLAIN {wrong}")).startswith(("421", "454")):
                heard.append(said[:3])
                if len(heard) % 3 == 0:
                    assert (await wire.hear()).startswith("421 4.7.0")
                    assert await wire.closed()
                    break
    assert heard == ["535"] * 10
    # The right secret does not help from there now, and other names are not locked.
    async with talking(port) as wire:
        await wire.hear()
        await wire.say("EHLO me")
        right = b64encode(f"\0{NAME}\0{SECRET}".encode()).decode()
        assert (await wire.say(f"AUTH PLAIN {right}")).startswith("454 4.7.0")
        assert (await wire.say("AUTH PLAIN " + b64encode(b"\0other\0x").decode())).startswith("535")


async def test_login_asks_in_the_words_of_the_listener(door: Opener, backroom: Backroom) -> None:
    words = {Prompts.COMMON: ("Username:", "Password:"), Prompts.DRAFT: ("User Name\0", "Password\0")}
    for prompts, (for_name, for_secret) in words.items():
        async with talking(await door(plain(login_prompts=prompts))) as wire:
            await wire.hear()
            await wire.say("EHLO me")
            assert await wire.say("AUTH login") == f"334 {b64encode(for_name.encode()).decode()}"
            assert (
                await wire.say(b64encode(NAME.encode()) + b"\r\n") == f"334 {b64encode(for_secret.encode()).decode()}"
            )
            assert (await wire.say(b64encode(SECRET.encode()) + b"\r\n")).startswith("235 2.7.0")


async def test_an_ended_secret_ends_open_sessions(door: Opener, backroom: Backroom) -> None:
    async with talking(await door(plain())) as wire:
        await wire.hear()
        await wire.sign_in()
        assert (await wire.message()).startswith("250")
        backroom.ended = True
        assert (await wire.say("MAIL FROM:<a@contoso.com>")).startswith("421 4.7.0")
        assert await wire.closed()


async def test_pace_of_an_app(door: Opener, backroom: Backroom) -> None:
    backroom.messages_per_minute = 2
    async with talking(await door(plain())) as wire:
        await wire.hear()
        await wire.sign_in()
        assert (await wire.message()).startswith("250")
        assert (await wire.message()).startswith("250")
        await wire.say("MAIL FROM:<a@contoso.com>")
        await wire.say("RCPT TO:<b@x.example>")
        assert (await wire.say("DATA")).startswith("450 4.7.1 2 messages a minute")


async def test_limits_of_a_listener(door: Opener, backroom: Backroom) -> None:
    port = await door(plain(message_size=1000, recipients=2, longest_line=100))
    async with talking(port) as wire:
        await wire.hear()
        await wire.sign_in()
        assert (await wire.message(b"x" * 98 + b"\r\n" + b"y\r\n" * 400)).startswith("552 5.3.4")
        assert (await wire.message(b"From: a@contoso.com\r\n\r\n" + b"x" * 101 + b"\r\n")).startswith("554 5.6.0")
        await wire.say("MAIL FROM:<a@contoso.com>")
        replies = [(await wire.say(f"RCPT TO:<{who}@x.example>"))[:9] for who in "abc"]
        assert replies == ["250 2.1.5", "250 2.1.5", "452 4.5.3"]
    assert backroom.kept == []


async def test_too_many_connections_and_too_many_errors(door: Opener) -> None:
    port = await door(plain(connections=3, connections_each=2))
    async with talking(port) as one, talking(port) as two:
        await one.hear()
        await two.hear()
        async with talking(port) as three:
            assert (await three.hear()).startswith("421 4.7.0")
            assert await three.closed()
        heard = [(await one.say("XYZZY"))[:3] for _ in range(4)]
        assert set(heard) == {"500"}
        while (await one.say("VRFY")).startswith("252"):
            pass
        assert await one.closed()
    async with talking(port) as again:
        assert (await again.hear()).startswith("220")


async def test_only_named_networks(door: Opener) -> None:
    async with talking(await door(plain(networks=("10.1.2.0/24",)))) as wire:
        assert (await wire.hear()).startswith("554 5.7.1 127.0.0.1 is in none")
        assert await wire.closed()


async def test_never_an_open_relay(door: Opener, backroom: Backroom) -> None:
    """Only who signed in, or a network named for it, gets past MAIL; and the latter through one mailbox only."""
    elsewhere = plain(open_networks=("10.1.2.0/24",), open_mailbox=3)
    async with talking(await door(elsewhere)) as wire:
        await wire.hear()
        await wire.say("EHLO me")
        assert (await wire.say("MAIL FROM:<a@contoso.com>")).startswith("530 5.7.0")
    async with talking(await door(plain(open_networks=LOOPBACK, open_mailbox=3))) as wire:
        await wire.hear()
        await wire.say("HELO printer")
        assert (await wire.message()).startswith("250")
    (kept,) = backroom.kept
    assert kept.caller.name == "listener:test"
    assert kept.mailbox == 3
    assert isinstance(kept.message, bytes)
    assert b"with SMTP;" in kept.message


async def test_old_devices_messages_are_mended_where_that_is_asked(door: Opener, backroom: Backroom) -> None:
    raw = b"From: scan@hall <a@contoso.com>\r\nSubject: x\r\n\r\nbody\r\n"
    for data in (plain(), plain(fill_in_to=True, mend_names=True)):
        async with talking(await door(data)) as wire:
            await wire.hear()
            await wire.sign_in()
            assert (await wire.message(raw)).startswith("250")
    as_it_was, mended = (kept.message for kept in backroom.kept)
    assert isinstance(as_it_was, bytes)
    assert isinstance(mended, bytes)
    assert as_it_was.endswith(raw)
    assert b'From: "scan at hall" <a@contoso.com>\r\n' in mended
    assert b"To: b@x.example\r\n\r\nbody" in mended


async def test_starttls_comes_before_all_else_and_forgets_what_was_before(door: Opener, backroom: Backroom) -> None:
    port = await door(ListenerData("t", port=0, mode=Mode.STARTTLS, hostname="door.example"))
    async with talking(port) as wire:
        await wire.hear()
        said = await wire.say("EHLO me")
        assert "STARTTLS" in said
        assert "AUTH" not in said
        for line in ("AUTH PLAIN AGEAYg==", "MAIL FROM:<a@contoso.com>", "DATA"):
            assert (await wire.say(line)).startswith("530 5.7.0")
        # Commands put into the same packet as STARTTLS must not count as said under TLS (CVE-2011-0411).
        await wire.send(b"STARTTLS\r\nNOOP\r\n")
        assert (await wire.hear()).startswith("220 2.0.0")
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        await wire.writer.start_tls(context)
        assert (await wire.say("MAIL FROM:<a@contoso.com>")).startswith("503 5.5.1")
        await wire.sign_in()
        assert (await wire.say("STARTTLS")).startswith("503 5.5.1")
        assert (await wire.message()).startswith("250")
    assert isinstance(backroom.kept[0].message, bytes)
    assert b"with ESMTPSA;" in backroom.kept[0].message


async def test_tls_from_the_first_byte(door: Opener, backroom: Backroom) -> None:
    port = await door(ListenerData("t", port=0, mode=Mode.TLS, hostname="door.example"))

    def send() -> None:
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        with smtplib.SMTP_SSL("127.0.0.1", port.number, context=context) as client:
            client.login(NAME, SECRET)
            client.sendmail("a@contoso.com", ["b@x.example"], "From: a@contoso.com\r\n\r\nHi")

    await asyncio.to_thread(send)
    assert len(backroom.kept) == 1


@pytest.mark.parametrize(
    "header",
    [
        b"PROXY TCP4 192.0.2.9 127.0.0.1 4711 25\r\n",
        b"\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c" + bytes([192, 0, 2, 9, 127, 0, 0, 1, 0x12, 0x67, 0, 25]),
    ],
)
async def test_proxy_header_is_believed_from_named_proxies(door: Opener, backroom: Backroom, header: bytes) -> None:
    port = await door(plain(networks=("192.0.2.0/24",), proxies=LOOPBACK))
    async with talking(port) as wire:
        await wire.send(header)
        assert (await wire.hear()).startswith("220")
        await wire.sign_in()
        assert (await wire.message()).startswith("250")
    assert backroom.kept[0].caller.address == "192.0.2.9"
    async with talking(port) as wire:
        await wire.send(b"PROXY TCP4 198.51.100.1 127.0.0.1 4711 25\r\n")
        assert (await wire.hear()).startswith("554 5.7.1 198.51.100.1")


async def test_proxy_header_from_others_is_no_command(door: Opener) -> None:
    async with talking(await door(plain(proxies=("10.1.2.3/32",)))) as wire:
        await wire.hear()
        assert (await wire.say("PROXY TCP4 192.0.2.9 127.0.0.1 4711 25")).startswith("500 5.5.2")


async def test_graceful_end(door: Opener, backroom: Backroom) -> None:
    """Idle sessions hear 421; a message that is being accepted gets its answer first."""
    port = await door(plain())
    number = port.number
    backroom.gate = asyncio.Event()
    async with talking(port) as idle, talking(port) as busy:
        await idle.hear()
        await busy.hear()
        await idle.say("EHLO me")
        await busy.sign_in()
        answer = asyncio.create_task(busy.message())
        await backroom.accepting.wait()
        closing = asyncio.create_task(port.close())
        assert (await idle.hear()).startswith("421 4.3.2")
        assert await idle.closed()
        backroom.gate.set()
        assert (await answer).startswith("250")
        assert (await busy.hear()).startswith("421 4.3.2")
        await closing
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", number)


async def test_a_named_proxy_must_say_for_whom_it_speaks(door: Opener) -> None:
    async with talking(await door(plain(proxies=LOOPBACK))) as wire:
        await wire.send(b"EHLO me\r\n")
        assert await wire.closed()


async def test_the_database_goes_away_between_messages(door: Opener, backroom: Backroom) -> None:
    """Looking the app up anew fails: the program is told to come again, nothing is taken in its name."""
    async with talking(await door(plain())) as wire:
        await wire.hear()
        await wire.sign_in()

        async def gone(_: object) -> SignedIn:
            raise OSError("connection to the database lost")

        backroom.still = gone  # type: ignore[method-assign,assignment]
        assert (await wire.say("MAIL FROM:<a@contoso.com>")).startswith("451 4.3.0")
        assert (await wire.say("RCPT TO:<b@x.example>")).startswith("503")


async def test_several_processes_share_a_port(backroom: Backroom) -> None:
    """What each process does with its own loop: all connections are served, whichever ear they reach."""
    guard = Guard(time.monotonic)
    first = await open_port(Terms(1, plain(), "door.example"), backroom, guard, share=True)
    data = plain(port=first.number)
    with pytest.raises(OSError, match="in use"):
        await open_port(Terms(1, data, "door.example"), backroom, guard)
    second = await open_port(Terms(1, data, "door.example"), backroom, guard, share=True)
    heard = []
    for _ in range(40):
        async with talking(first) as wire:
            heard.append((await wire.hear())[:3])
    await first.close()
    async with talking(second) as wire:
        assert (await wire.hear()).startswith("220")
    await second.close()
    assert heard.count("220") == 40


@pytest.mark.parametrize(
    ("oldest", "spoken", "works"),
    [("1.2", "1.1", False), ("1.2", "1.2", True), ("1.0", "1.0", True), ("1.3", "1.2", False)],
)
async def test_oldest_tls(door: Opener, oldest: str, spoken: str, works: bool) -> None:
    """1.2 unless a listener says otherwise."""
    port = await door(ListenerData("t", port=0, mode=Mode.TLS, hostname="door.example", tls_minimum=oldest))
    version = {"1.0": ssl.TLSVersion.TLSv1, "1.1": ssl.TLSVersion.TLSv1_1, "1.2": ssl.TLSVersion.TLSv1_2}[spoken]

    def greeting() -> bytes:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.set_ciphers("DEFAULT:@SECLEVEL=0")
        context.minimum_version = context.maximum_version = version
        with (
            socket.create_connection(("127.0.0.1", port.number), timeout=20) as raw,
            context.wrap_socket(raw) as connection,
        ):
            return connection.recv(3)

    if works:
        assert await asyncio.to_thread(greeting) == b"220"
    else:
        with pytest.raises(ssl.SSLError):
            await asyncio.to_thread(greeting)


def test_a_certificate_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    broken = tmp_path / "broken.pem"
    broken.write_text("nothing")
    for file in (broken, tmp_path / "missing.pem"):
        with pytest.raises(Fault, match=re.escape(str(file))):
            server_context(ListenerData("t", certificate=str(file)), "door.example", tmp_path)


def test_a_certificate_made_here_is_kept_and_private(tmp_path: Path) -> None:
    first = own_certificate(tmp_path / "tls", "door.example").read_bytes()
    path = own_certificate(tmp_path / "tls", "door.example")
    assert path.read_bytes() == first
    assert path.stat().st_mode & 0o077 == 0
    assert b"PRIVATE" not in path.with_suffix(".crt").read_bytes()


async def test_a_renewed_certificate_is_read_without_a_stop(door: Opener, tmp_path: Path) -> None:
    file = tmp_path / "mail.pem"
    old, new = (own_certificate(tmp_path / name, "door.example").read_bytes() for name in ("old", "new"))
    file.write_bytes(old)
    port = await door(ListenerData("t", port=0, mode=Mode.TLS, hostname="door.example", certificate=str(file)))

    async def shown() -> str:
        return await asyncio.to_thread(ssl.get_server_certificate, ("127.0.0.1", port.number), timeout=20)

    assert (await shown()).encode() in old
    for contents in (b"half written", new):
        file.write_bytes(contents)
        os.utime(file, ns=(port.stamp[0] + len(contents),) * 2)
        port.renew()
        assert (await shown()).encode() in (new if contents == new else old)
