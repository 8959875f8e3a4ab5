"""IMAP at the wire, as dialogues."""

from __future__ import annotations

import asyncio
import base64
import logging

import pytest

from postroom.microsoft.answers import Refused, Service, Step
from postroom.transports.base import Folder, ImapRoute, Item, Marker, OAuth, Password, Security
from postroom.transports.folders import SENT
from postroom.transports.imap import ImapReader

from .authority import Certificates
from .conftest import Tokens, Watcher
from .dialogue import Dialogue

TOKEN_1, TOKEN_2 = (
    base64.b64encode(f"user=ann@contoso.test\x01auth=Bearer token-{n}\x01\x01".encode()).decode() for n in (1, 2)
)
CAPABLE = "IMAP4 IMAP4rev1 AUTH=PLAIN AUTH=XOAUTH2 SASL-IR UIDPLUS MOVE IDLE LITERAL+"
GREETING = f"""
S: * OK The Microsoft Exchange IMAP4 service is ready.
C: TAG CAPABILITY
S: * CAPABILITY {CAPABLE}
S: TAG OK CAPABILITY completed.
"""
SIGN_IN = f"C: TAG AUTHENTICATE XOAUTH2 {TOKEN_1}\n"
SIGNED_IN = """
S: TAG OK AUTHENTICATE completed.
C: TAG SELECT \"INBOX\"
S: * 3 EXISTS
S: * OK [UIDVALIDITY 14] UIDs valid
S: TAG OK [READ-WRITE] SELECT completed.
"""
OPENED = GREETING + SIGN_IN + SIGNED_IN
ASKED = f"""
C: TAG CAPABILITY
S: * CAPABILITY {CAPABLE}
S: TAG OK CAPABILITY completed.
"""
NOOP = "C: TAG NOOP\nS: TAG OK NOOP completed.\n"


def without(*capabilities: str) -> str:
    return " ".join(word for word in CAPABLE.split() if word not in capabilities)


def reader(server: Dialogue, sign_in: OAuth | Password, **more: object) -> ImapReader:
    return ImapReader(ImapRoute(server.endpoint(**more), sign_in))  # type: ignore[arg-type]


async def test_opening_is_told_step_by_step(certificates: Certificates, oauth: OAuth, watcher: Watcher) -> None:
    async with Dialogue(OPENED + "IGNORE", certificates.localhost, implicit=True, ca=certificates.ca_file) as server:
        imap = ImapReader(ImapRoute(server.endpoint(Security.TLS), oauth), watcher)
        assert await imap.open() == Folder("INBOX", 3)
        await imap.close()
    assert watcher.steps == [Step.RESOLVE, Step.CONNECT, Step.TLS, Step.SIGN_IN, Step.FOLDER]
    assert watcher.detail(Step.CONNECT) == "* OK The Microsoft Exchange IMAP4 service is ready."
    assert "issued by Test CA" in watcher.detail(Step.TLS)
    assert watcher.detail(Step.FOLDER) == "INBOX, 3 messages"


async def test_starttls(certificates: Certificates, oauth: OAuth) -> None:
    start = GREETING.replace(CAPABLE, CAPABLE + " STARTTLS") + "C: TAG STARTTLS\nS: TAG OK begin\nTLS\n"
    inside = ASKED + ASKED + SIGN_IN + SIGNED_IN + "IGNORE"
    async with Dialogue(start + inside, certificates.localhost, ca=certificates.ca_file) as server:
        imap = reader(server, oauth, security=Security.STARTTLS)
        await imap.open()
        await imap.close()


async def test_without_sasl_ir_the_token_comes_when_asked(oauth: OAuth) -> None:
    script = GREETING.replace(CAPABLE, without("SASL-IR"))
    sign_in = f"C: TAG AUTHENTICATE XOAUTH2\nS: +\nC: {TOKEN_1}\n"
    async with Dialogue(script + sign_in + SIGNED_IN + "IGNORE") as server:
        imap = reader(server, oauth)
        await imap.open()
        await imap.close()


@pytest.mark.parametrize("challenge", ["", "S: + eyJzdGF0dXMiOiI0MDEifQ==\nC:\n"])
async def test_after_no_one_new_token(challenge: str, oauth: OAuth, tokens: Tokens) -> None:
    first = GREETING + SIGN_IN + challenge + "S: TAG NO AUTHENTICATE failed.\nIGNORE"
    second = OPENED.replace(TOKEN_1, TOKEN_2) + "IGNORE"
    async with Dialogue(first + "\n---\n" + second) as server:
        imap = reader(server, oauth)
        await imap.open()
        await imap.close()
    assert tokens.number == 2


async def test_passwords(oauth: OAuth) -> None:
    sign_in = f"C: TAG AUTHENTICATE PLAIN {base64.b64encode(b'%cann%cpass' % (0, 0)).decode()}"
    async with Dialogue(GREETING + sign_in + SIGNED_IN + "IGNORE") as server:
        imap = reader(server, Password("ann", "pass"))
        await imap.open()
        await imap.close()


async def test_no_token_in_any_log(oauth: OAuth, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with Dialogue(OPENED + "IGNORE") as server:
        imap = reader(server, oauth)
        await imap.open()
        await imap.close()
    assert TOKEN_1 not in caplog.text
    assert "token-1" not in caplog.text


@pytest.mark.parametrize(
    ("script", "step", "code", "retry_after"),
    [
        ("S: * BYE Too many connections", Step.CONNECT, "BYE", None),
        (GREETING + SIGN_IN + "S: TAG BAD Request is throttled. Suggested Backoff Time: 92415 milliseconds",
         Step.SIGN_IN, "BAD", 92.415),
        (GREETING + SIGN_IN + "S: TAG OK AUTHENTICATE completed.\nC: TAG SELECT \"INBOX\"\n"
         "S: TAG BAD User is authenticated but not connected.", Step.FOLDER, "BAD", None),
        (GREETING + SIGN_IN + "S: TAG OK AUTHENTICATE completed.\nC: TAG SELECT \"INBOX\"\n"
         "S: * BYE Session invalidated - AccessTokenExpired", Step.FOLDER, "BYE", None),
        (GREETING + SIGN_IN + "S: TAG OK AUTHENTICATE completed.\nC: TAG SELECT \"INBOX\"\n"
         "S: TAG NO [NONEXISTENT] no such folder", Step.FOLDER, "NO", None),
    ],
)  # fmt: skip
async def test_refusals_in_the_servers_words(
    script: str, step: Step, code: str, retry_after: float | None, oauth: OAuth
) -> None:
    async with Dialogue(script + "\nIGNORE") as server:
        imap = reader(server, oauth)
        with pytest.raises(Refused) as caught:
            await imap.open()
        await imap.close()
    answer = caught.value.answer
    assert (answer.service, answer.step, answer.code, answer.retry_after) == (Service.IMAP, step, code, retry_after)
    words = next(line for line in script.splitlines()[::-1] if line.startswith("S: ")).split(" ", 3)[3]
    assert answer.text == words


async def test_connection_lost(oauth: OAuth) -> None:
    async with Dialogue(OPENED + "C: TAG NOOP\nDROP") as server:
        imap = reader(server, oauth)
        await imap.open()
        for _ in range(2):
            with pytest.raises(Refused) as caught:
                await imap.list(Marker())
            assert (caught.value.answer.service, caught.value.answer.code) == (Service.NETWORK, "lost")
        await imap.close()


FETCHED = """
S: * 1 FETCH (UID 7 RFC822.SIZE 70 FLAGS (\\\\Seen))
S: * 2 FETCH (UID 9 RFC822.SIZE 90 FLAGS ())
S: TAG OK FETCH completed.
"""


async def test_list_from_the_start_and_on(oauth: OAuth) -> None:
    first = f"{NOOP}{ASKED}C: TAG UID SEARCH UID 1:*\nS: * SEARCH 9 7 12\nS: TAG OK done\n"
    fetch = "C: TAG UID FETCH 7,9 (RFC822.SIZE FLAGS)" + FETCHED
    on = f"{NOOP}C: TAG UID SEARCH UID 10:*\nS: * SEARCH 9\nS: TAG OK done\n"
    async with Dialogue(OPENED + first + fetch + on + "IGNORE") as server:
        imap = reader(server, oauth)
        await imap.open()
        listing = await imap.list(Marker(), limit=2)
        assert listing.items == [Item("7", 70, True), Item("9", 90, False)]
        assert (listing.marker, listing.restarted) == (Marker("14:9"), False)
        again = await imap.list(listing.marker)
        assert (list(again.items), again.marker, again.restarted) == ([], Marker("14:9"), False)
        await imap.close()


async def test_a_marker_of_another_uidvalidity_starts_over(oauth: OAuth) -> None:
    script = f"{NOOP}{ASKED}C: TAG UID SEARCH UID 1:*\nS: * SEARCH\nS: TAG OK done\nIGNORE"
    async with Dialogue(OPENED + script) as server:
        imap = reader(server, oauth)
        await imap.open()
        listing = await imap.list(Marker("13:9"))
        assert (listing.restarted, listing.marker) == (True, Marker("14:0"))
        await imap.close()


async def test_fetch_leaves_unseen_and_keeps_bytes(oauth: OAuth) -> None:
    script = "C: TAG UID FETCH 7 (BODY.PEEK[])\nS: * 1 FETCH (UID 7 BODY[] {6}\nS: a\\xff\\x00\\r\\nb)\n"
    gone = "C: TAG UID FETCH 8 (BODY.PEEK[])\nS: TAG OK FETCH completed.\n"
    async with Dialogue(OPENED + script + "S: TAG OK FETCH completed.\n" + gone + "IGNORE") as server:
        imap = reader(server, oauth)
        await imap.open()
        assert await imap.fetch("7") == b"a\xff\0\r\nb"
        with pytest.raises(Refused, match="no message with UID 8"):
            await imap.fetch("8")
        await imap.close()


async def test_find_in_the_folder_for_sent_mail(oauth: OAuth) -> None:
    look = """
C~ TAG LIST .+
S: * LIST (\\\\HasNoChildren \\\\Sent) "/" "Sent Items"
S: TAG OK LIST completed.
C: TAG EXAMINE "Sent Items"
S: * 1 EXISTS
S: TAG OK [READ-ONLY] done
C: TAG CAPABILITY
S: * CAPABILITY IMAP4rev1 UIDPLUS
S: TAG OK done
C~ TAG UID SEARCH OR HEADER Message-ID "?<one@contoso.test>"? HEADER X-Microsoft-Original-Message-ID .*<one@.+
S: * SEARCH
S: TAG OK done
C: TAG SELECT \"INBOX\"
S: * 3 EXISTS
S: * OK [UIDVALIDITY 14] UIDs valid
S: TAG OK [READ-WRITE] SELECT completed.
IGNORE
"""
    async with Dialogue(OPENED + look) as server:
        imap = reader(server, oauth)
        await imap.open()
        assert list(await imap.find("<one@contoso.test>", SENT)) == []
        await imap.close()


async def test_find_in_a_folder_that_is_not_there_leaves_the_own_one_open(oauth: OAuth) -> None:
    look = """
C: TAG EXAMINE "Gone"
S: TAG NO no such folder
C: TAG SELECT "INBOX"
S: * 3 EXISTS
S: * OK [UIDVALIDITY 14] UIDs valid
S: TAG OK [READ-WRITE] SELECT completed.
"""
    listed = "C: TAG UID SEARCH UID 1:*\nS: * SEARCH\nS: TAG OK done\nIGNORE"
    async with Dialogue(OPENED + look + NOOP + ASKED + listed) as server:
        imap = reader(server, oauth)
        await imap.open()
        with pytest.raises(Refused, match="no such folder") as caught:
            await imap.find("<one@contoso.test>", "Gone")
        assert caught.value.answer.step is Step.FOLDER
        assert list((await imap.list(Marker())).items) == []
        await imap.close()


async def test_a_wait_given_up_does_not_keep_the_thread(oauth: OAuth) -> None:
    async with Dialogue(OPENED + SEARCHED + "C: TAG IDLE\nS: + idling\nIGNORE") as server:
        imap = reader(server, oauth)
        await imap.open()
        waiting = asyncio.create_task(imap.wait(600))
        await server.hears(" IDLE")
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        with pytest.raises(Refused):
            await imap.newest()
        await imap.close()


async def test_move_where_there_is_move(oauth: OAuth) -> None:
    async with Dialogue(OPENED + ASKED + 'C: TAG UID MOVE 7 "Done"\nS: TAG OK moved\nIGNORE') as server:
        imap = reader(server, oauth)
        await imap.open()
        await imap.move("7", "Done")
        await imap.close()


async def test_move_where_there_is_none(oauth: OAuth) -> None:
    script = (
        ASKED.replace(CAPABLE, without("MOVE"))
        + """
C: TAG UID COPY 7 \"Done\"
S: TAG OK copied
C~ TAG UID STORE 7 \\+FLAGS.SILENT \\(\\\\Deleted\\)
S: TAG OK stored
C: TAG UID EXPUNGE 7
S: TAG OK gone
IGNORE
"""
    )
    async with Dialogue(OPENED + script) as server:
        imap = reader(server, oauth)
        await imap.open()
        await imap.move("7", "Done")
        await imap.close()


async def test_delete_without_uidplus_takes_nothing_of_others(oauth: OAuth) -> None:
    asked = ASKED.replace(CAPABLE, without("UIDPLUS"))
    script = "C~ TAG UID STORE 7 .+Deleted.+\nS: TAG OK stored\n" + asked + "WAIT"
    async with Dialogue(OPENED + script) as server:
        imap = reader(server, oauth)
        await imap.open()
        await imap.delete("7")
        await imap.close()


SEARCHED = ASKED + "C: TAG UID SEARCH UID 1:*\nS: * SEARCH\nS: TAG OK done\n"


async def test_idle_wakes(oauth: OAuth) -> None:
    script = SEARCHED + "C: TAG IDLE\nS: + idling\nS: * OK Still here\nS: * 4 EXISTS\nC: DONE\nS: TAG OK done\nIGNORE"
    async with Dialogue(OPENED + script) as server:
        imap = reader(server, oauth)
        await imap.open()
        assert await imap.wait(60) is True
        await imap.close()


async def test_idle_without_news(oauth: OAuth) -> None:
    async with Dialogue(OPENED + SEARCHED + "C: TAG IDLE\nS: + idling\nC: DONE\nS: TAG OK done\nIGNORE") as server:
        imap = reader(server, oauth)
        await imap.open()
        assert await imap.wait(0.05) is False
        await imap.close()


async def test_what_came_before_idle_is_not_missed(oauth: OAuth) -> None:
    async with Dialogue(OPENED + SEARCHED.replace("SEARCH\n", "SEARCH 5\n") + "IGNORE") as server:
        imap = reader(server, oauth)
        await imap.open()
        assert await imap.wait(60) is True
        await imap.close()


@pytest.mark.parametrize(
    ("said", "service", "code"),
    [("S: * BYE Session invalidated - AccessTokenExpired", Service.IMAP, "BYE"), ("DROP", Service.NETWORK, "lost")],
)
async def test_idle_that_ends(said: str, service: Service, code: str, oauth: OAuth) -> None:
    async with Dialogue(OPENED + SEARCHED + f"C: TAG IDLE\nS: + idling\n{said}\nIGNORE") as server:
        imap = reader(server, oauth)
        await imap.open()
        with pytest.raises(Refused) as caught:
            await imap.wait(60)
        assert (caught.value.answer.service, caught.value.answer.code) == (service, code)
        await imap.close()


async def test_polling_where_there_is_no_idle(oauth: OAuth, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("postroom.transports.imap._NOOP_EVERY", 0.01)
    searched = SEARCHED.replace(CAPABLE, without("IDLE"))
    async with Dialogue(OPENED + searched + NOOP + "C: TAG NOOP\nS: * 4 EXISTS\nS: TAG OK done\nIGNORE") as server:
        imap = reader(server, oauth)
        await imap.open()
        assert await imap.wait(60) is True
        await imap.close()


async def test_close_ends_a_wait_at_once(oauth: OAuth) -> None:
    async with Dialogue(OPENED + SEARCHED + "C: TAG IDLE\nS: + idling\nIGNORE") as server:
        imap = reader(server, oauth)
        await imap.open()
        waiting = asyncio.create_task(imap.wait(600))
        await server.hears(" IDLE")
        await imap.close()
        with pytest.raises(Refused):
            await waiting
