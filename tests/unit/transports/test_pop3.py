"""POP3 at the wire, as dialogues."""

from __future__ import annotations

import base64

import pytest

from postroom.microsoft.answers import Refused, Service, Step
from postroom.transports.base import Folder, Item, Marker, OAuth, Password, PopRoute, Security
from postroom.transports.pop3 import PopReader

from .authority import Certificates
from .conftest import Tokens, Watcher
from .dialogue import Dialogue

TOKEN_1, TOKEN_2 = (
    base64.b64encode(f"user=ann@contoso.test\x01auth=Bearer token-{n}\x01\x01".encode()).decode() for n in (1, 2)
)
GREETING = "S: +OK The Microsoft Exchange POP3 service is ready. [QQ==]\n"
SIGN_IN = f"C: AUTH XOAUTH2\nS: +\\x20\nC: {TOKEN_1}\n"
SIGNED_IN = "S: +OK User successfully authenticated.\n"
TWO = "C: LIST\nS: +OK\nS: 1 70\nS: 2 90\nS: .\nC: UIDL\nS: +OK\nS: 1 AAA\nS: 2 B B\nS: .\n"
THREE = TWO.replace("S: 2 90\n", "S: 2 90\nS: 3 30\n").replace("S: 2 B B\n", "S: 2 B B\nS: 3 CCC\n")
OPENED = GREETING + SIGN_IN + SIGNED_IN
QUIT = "C: QUIT\nS: +OK bye\n"


def reader(server: Dialogue, sign_in: OAuth | Password) -> PopReader:
    return PopReader(PopRoute(server.endpoint(), sign_in))


async def test_xoauth2_in_two_lines_and_every_step(certificates: Certificates, oauth: OAuth, watcher: Watcher) -> None:
    script = OPENED + TWO + QUIT
    async with Dialogue(script, certificates.localhost, implicit=True, ca=certificates.ca_file) as server:
        pop = PopReader(PopRoute(server.endpoint(Security.TLS), oauth), watcher)
        assert await pop.open() == Folder("INBOX", 2)
        await pop.close()
    assert watcher.steps == [Step.RESOLVE, Step.CONNECT, Step.TLS, Step.SIGN_IN, Step.FOLDER]
    assert watcher.detail(Step.SIGN_IN) == "+OK User successfully authenticated."


async def test_stls(certificates: Certificates, oauth: OAuth) -> None:
    start = GREETING + 2 * "C: CAPA\nS: +OK\nS: STLS\nS: .\n" + "C: STLS\nS: +OK begin\nTLS\n"
    async with Dialogue(
        start + SIGN_IN + SIGNED_IN + TWO + QUIT, certificates.localhost, ca=certificates.ca_file
    ) as server:
        pop = PopReader(PopRoute(server.endpoint(Security.STARTTLS), oauth))
        await pop.open()
        await pop.close()


FAILED = "S: -ERR Authentication failure: unknown user name or bad password.\n"


@pytest.mark.parametrize("challenge", ["", "S: + eyJzdGF0dXMiOiI0MDEifQ==\nC:\n"])
async def test_after_a_refusal_one_new_token(challenge: str, oauth: OAuth, tokens: Tokens) -> None:
    first = GREETING + SIGN_IN + challenge + FAILED + "IGNORE"
    second = OPENED.replace(TOKEN_1, TOKEN_2) + TWO + QUIT
    async with Dialogue(first + "\n---\n" + second) as server:
        pop = reader(server, oauth)
        await pop.open()
        await pop.close()
    assert tokens.number == 2


async def test_refusal_in_the_servers_words() -> None:
    async with Dialogue(GREETING + "C: USER ann\nS: +OK\nC: PASS pass\n" + FAILED + "IGNORE") as server:
        with pytest.raises(Refused) as caught:
            await reader(server, Password("ann", "pass")).open()
    answer = caught.value.answer
    assert (answer.service, answer.step, answer.code) == (Service.POP3, Step.SIGN_IN, "-ERR")
    assert answer.text == "Authentication failure: unknown user name or bad password."


async def test_list_goes_on_from_the_last_uidl(oauth: OAuth) -> None:
    async with Dialogue(OPENED + TWO + QUIT + "\n---\n" + OPENED + THREE + QUIT) as server:
        pop = reader(server, oauth)
        first = await pop.list(Marker(), limit=1)
        assert (first.items, first.marker) == ([Item("AAA", 70)], Marker("AAA"))
        second = await pop.list(first.marker)
        assert second.items == [Item("B B", 90), Item("CCC", 30)]
        assert (second.marker, second.restarted) == (Marker("CCC"), False)
        await pop.close()


async def test_a_marker_that_is_gone_starts_over(oauth: OAuth) -> None:
    async with Dialogue(OPENED + TWO + QUIT) as server:
        pop = reader(server, oauth)
        listing = await pop.list(Marker("ZZZ"))
        assert (len(listing.items), listing.restarted) == (2, True)
        await pop.close()


async def test_fetch_takes_the_dots_away_and_long_lines(oauth: OAuth) -> None:
    long = "x" * 5000
    script = OPENED + TWO + f"C: RETR 2\nS: +OK\nS: Subject: x\nS:\nS: ..dot\nS: {long}\nS: .\n" + QUIT
    async with Dialogue(script) as server:
        pop = reader(server, oauth)
        assert await pop.fetch("B B") == f"Subject: x\r\n\r\n.dot\r\n{long}\r\n".encode()
        with pytest.raises(Refused, match="no message with UIDL ZZZ"):
            await pop.fetch("ZZZ")
        await pop.close()


async def test_delete_is_done_by_quit(oauth: OAuth) -> None:
    script = OPENED + TWO + "C: DELE 1\nS: +OK\n" + QUIT + "\n---\n" + OPENED + TWO + QUIT
    async with Dialogue(script) as server:
        pop = reader(server, oauth)
        await pop.open()
        await pop.delete("AAA")
        assert len(await pop.newest()) == 2
        await pop.close()


async def test_find_by_message_id(oauth: OAuth) -> None:
    heads = "C: TOP 2 0\nS: +OK\nS: Message-ID: <two@x>\nS: .\nC: TOP 1 0\nS: +OK\nS: message-id: <one@x>\nS: .\n"
    async with Dialogue(OPENED + TWO + heads + QUIT) as server:
        pop = reader(server, oauth)
        assert await pop.find("<one@x>") == [Item("AAA", 70)]
        for beyond in (pop.find("<one@x>", "Sent"), pop.move("AAA", "Done")):
            with pytest.raises(Refused, match="choose IMAP or Graph"):
                await beyond
        await pop.close()


async def test_wait_signs_in_again(oauth: OAuth, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("postroom.transports.pop3._POLL_EVERY", 0.01)
    sessions = [OPENED + TWO + QUIT, OPENED + TWO + QUIT, OPENED + THREE + QUIT]
    async with Dialogue("\n---\n".join(sessions)) as server:
        pop = reader(server, oauth)
        await pop.open()
        assert await pop.wait(60) is True
        await pop.close()


async def test_connection_lost(oauth: OAuth) -> None:
    async with Dialogue(OPENED + TWO + "C: RETR 1\nDROP") as server:
        pop = reader(server, oauth)
        with pytest.raises(Refused) as caught:
            await pop.fetch("AAA")
        await pop.close()
    assert (caught.value.answer.service, caught.value.answer.code) == (Service.NETWORK, "lost")
