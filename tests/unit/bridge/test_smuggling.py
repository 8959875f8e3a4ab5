"""What two servers could read in two ways is nobody's message here; and hypothesis talks to the door as it likes.

The ends of data are those of the published SMTP smuggling research (SEC Consult 2023-12; CVE-2023-51764 Postfix,
CVE-2023-51765 Sendmail, CVE-2023-51766 Exim, CVE-2024-27305 aiosmtpd), each with a second message behind it.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable
from contextlib import suppress
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from postroom.bridge.guard import Guard
from postroom.bridge.listening import open_port
from postroom.bridge.parameters import Refused, parse_mail, parse_rcpt
from postroom.bridge.reading import Limits, read_message
from postroom.bridge.replies import BARE
from postroom.bridge.terms import Terms

from .conftest import Backroom, Opener, Wire, plain, talking

FAKE_ENDS = [
    b"\n.\n", b"\n.\r\n", b"\r.\r", b"\r.\r\n", b"\r\n.\r", b"\r\n.\n", b"\n.\r", b"\r.\n", b"\r\n.\r\r\n",
    b"\r\n\x00.\r\n", b"\r\r\n.\r\n", b"\n\r\n.\r\n", b"\r\n.\x00\r\n",
]  # fmt: skip
SECOND = (
    b"MAIL FROM:<boss@contoso.com>\r\nRCPT TO:<victim@x.example>\r\nDATA\r\nFrom: boss@contoso.com\r\n\r\nPay\r\n.\r\n"
)
FIRST = b"From: a@contoso.com\r\nTo: b@x.example\r\n\r\nlorem"


@pytest.mark.parametrize("end", FAKE_ENDS, ids=repr)
async def test_a_false_end_smuggles_nothing(door: Opener, backroom: Backroom, end: bytes) -> None:
    """Neither the first message is taken nor the second. A NUL counts too: some servers drop it and see an end."""
    async with talking(await door(plain())) as wire:
        await wire.hear()
        await wire.sign_in()
        for line in ("MAIL FROM:<a@contoso.com>", "RCPT TO:<b@x.example>", "DATA"):
            await wire.say(line)
        await wire.send(FIRST + end + SECOND + b"\r\n.\r\n")
        said = await wire.hear()
        if said.startswith("521"):
            assert await wire.closed()
    assert said == BARE or (b"\x00" in end and said.startswith("554 5.6.0"))
    assert backroom.kept == []


async def test_a_command_line_ends_with_crlf_only(door: Opener, backroom: Backroom) -> None:
    port = await door(plain())
    for raw in (b"EHLO me\n", b"EHLO me\nMAIL FROM:<a@x.example>\r\n", b"EHLO a\rb\r\n", b"NOOP\r\r\n"):
        async with talking(port) as wire:
            await wire.hear()
            await wire.send(raw)
            assert await wire.hear() == BARE
            assert await wire.closed()


async def test_an_injected_line_break_is_no_second_command(door: Opener, backroom: Backroom) -> None:
    """In addresses and in decoded parameters."""
    async with talking(await door(plain())) as wire:
        await wire.hear()
        await wire.sign_in()
        assert (await wire.say("MAIL FROM:<a@contoso.com> ENVID=x+0D+0ARCPT")).startswith("501")
        assert (await wire.say("MAIL FROM:<a@contoso.com>")).startswith("250")
        for bad in ("<a\x00@x.example>", "<a\x0b@x.example>", "<a@x.example> ORCPT=rfc822;a+0Ab"):
            assert (await wire.say(f"RCPT TO:{bad}")).startswith("5")


def unstuffed(raw: bytes, cuts: list[int], limits: Limits) -> tuple[bytes | str, bytes]:
    """`read_message` over these pieces, and what it left in the reader."""

    async def read() -> tuple[bytes | str, bytes]:
        reader = asyncio.StreamReader()
        places = sorted({min(cut, len(raw)) for cut in cuts} | {0, len(raw)})

        async def feed() -> None:
            for start, stop in pairwise(places):
                reader.feed_data(raw[start:stop])
                await asyncio.sleep(0)
                await asyncio.sleep(0)
            reader.feed_eof()

        feeding = asyncio.create_task(feed())
        try:
            found: bytes | str = await read_message(reader, limits)
        except Refused as refused:
            found = refused.reply
        except EOFError:
            found = "EOF"
        await feeding
        return found, await reader.read()

    return asyncio.run(read())


WORDS = st.binary(max_size=30).map(lambda raw: raw.translate(None, b"\r\n\x00"))
LINES = st.lists(WORDS, max_size=8)
CUTS = st.lists(st.integers(0, 200), max_size=6)


@given(LINES, CUTS, st.sampled_from([b"", b"QUIT\r\n", b"MAIL FROM:<a@b.example>\r\n"]))
@example([b"."], [3], b"")
@example([], [], b"QUIT\r\n")
@settings(deadline=None, max_examples=150)
def test_reading_gives_back_what_was_stuffed(lines: list[bytes], cuts: list[int], behind: bytes) -> None:
    """RFC 5321 section 4.5.2, whatever the packets; what comes behind stays for the next command."""
    message = b"".join(line + b"\r\n" for line in lines)
    stuffed = b"".join((b"." if line.startswith(b".") else b"") + line + b"\r\n" for line in lines)
    found, left = unstuffed(stuffed + b".\r\n" + behind, cuts, Limits(10_000, 998))
    assert found == message
    # What had not come yet when the message ended comes after it.
    assert left == behind


@given(st.lists(st.sampled_from([b"\r", b"\n", b".", b"\r\n", b"\r\n.\r\n", b"a", b"\x00"]), max_size=14), CUTS)
@settings(deadline=None, max_examples=300)
def test_no_bytes_bring_a_bare_line_end_in(pieces: list[bytes], cuts: list[int]) -> None:
    found, _ = unstuffed(b"".join(pieces), cuts, Limits(20, 5))
    assert isinstance(found, str) or not re.search(rb"(?<!\r)\n|\r(?!\n)", found)
    assert isinstance(found, str) or len(found) <= 20


@given(st.text(max_size=80))
@example("FROM:<a@x.example> RET=FULL ENVID=+41")
@example("FROM:<@:a@b>")
@example('FROM:<"a b"@x.example> SIZE=1')
@settings(deadline=None)
def test_arguments_are_understood_or_refused(argument: str) -> None:
    """Never another exception; a reply is one line of ASCII with its code."""
    for parse in (parse_mail, lambda text: parse_rcpt(text, False)):
        for text in (argument, f"FROM:{argument}", f"TO:<{argument}>", f"TO:<a@x.example> {argument}"):
            assert re.fullmatch(r"|5\d\d 5\.\d\.\d [ -~]+", refusal_of(parse, text))


def refusal_of(parse: Callable[[str], object], text: str) -> str:
    try:
        parse(text)
    except Refused as refused:
        return refused.reply
    return ""


COMMANDS = st.one_of(
    st.sampled_from(
        [
            b"EHLO me", b"HELO me", b"RSET", b"NOOP", b"DATA", b"VRFY x", b"HELP", b"STARTTLS", b"AUTH PLAIN", b"*",
            b"MAIL FROM:<a@contoso.com>", b"MAIL FROM:<>", b"RCPT TO:<b@x.example>", b"RCPT TO:<bad", b".",
            b"AUTH PLAIN AHBheXJvbGwAbWZyZ2d6ZGZtenR3cTJsa25ud2cyM3Rwb2I=", b"AUTH LOGIN", b"cGF5cm9sbA==",
            b"From: a@contoso.com", b"", b"BDAT 5 LAST", b"TURN", b"MAIL", b"RCPT",
        ]
    ),
    st.binary(max_size=30).map(lambda raw: raw.translate(None, b"\r\n")),
)  # fmt: skip


@given(st.lists(COMMANDS, max_size=16), st.booleans())
@settings(deadline=None, max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_dialogue_keeps_the_promises(commands: list[bytes], pipelined: bool) -> None:
    """Whatever is said: every reply is well-formed, nothing is kept without a sign-in, and the door stays up."""
    asyncio.run(_dialogue(commands, pipelined))


async def _all_that_comes(wire: Wire) -> bytes:
    """To the end. A door that hung up before it had read everything ends the connection with a reset."""
    said = b""
    with suppress(ConnectionError):
        # Whatever is open, a message or a sign-in, ends; then the session does.
        await wire.send(b"\r\n.\r\n*\r\n*\r\nQUIT\r\n")
        while more := await asyncio.wait_for(wire.reader.readline(), 30):
            said += more
    return said


async def _dialogue(commands: list[bytes], pipelined: bool) -> None:
    backroom = Backroom()
    port = await open_port(Terms(1, plain(), "door.example"), backroom, Guard(time.monotonic))
    try:
        async with talking(port) as wire:
            if pipelined:
                await wire.send(b"".join(command + b"\r\n" for command in commands))
            else:
                with suppress(ConnectionError):
                    for command in commands:
                        await wire.send(command + b"\r\n")
                        await asyncio.sleep(0)
            said = await _all_that_comes(wire)
        for line in said.decode("ascii").splitlines():
            assert re.match(r"(220|250|354|334)[ -]|[245]\d\d [245]\.\d{1,3}\.\d{1,3} ", line), line
        for kept in backroom.kept:
            assert kept.caller.name == "app:payroll"
        async with talking(port) as after:
            assert (await after.hear()).startswith("220")
            assert (await after.say("NOOP")).startswith("250")
    finally:
        await port.close(grace=0.1)
