"""The IMAP server: Microsoft's dialogue and half failures, exact bytes, and what two clients see of each other."""

from __future__ import annotations

import imaplib
import ssl
from collections.abc import Iterator

import pytest
from imapclient import IMAPClient
from imapclient.exceptions import IMAPClientError

from support.lab import RunningLab
from support.mail_access import TOLD_AT_ONCE, MailAccess, xoauth2

BEFORE = "IMAP4 IMAP4rev1 AUTH=PLAIN AUTH=XOAUTH2 SASL-IR UIDPLUS ID UNSELECT CHILDREN IDLE NAMESPACE LITERAL+"
AFTER = BEFORE.replace("UIDPLUS", "UIDPLUS MOVE")
HELLO = "S: * OK The Microsoft Exchange IMAP4 service is ready. [...]\n"
SIGN_IN = """
    C: 1 AUTHENTICATE XOAUTH2 {sasl}
    S: 1 OK AUTHENTICATE completed.
"""
LETTER = (
    b"From: =?utf-8?q?J=C3=BCrgen?= <juergen@example.org>\r\nTo: notifications@contoso.example\r\n"
    b"Subject: Gr\xc3\xbc\xc3\x9fe\r\nDate: Mon, 23 Nov 2026 10:00:00 +0100\r\nMessage-ID: <one@example.org>\r\n"
    b"MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=AaBb\r\n\r\npreamble\r\n--AaBb\r\n"
    b"Content-Type: text/plain; charset=utf-8\r\n\r\nThe quick  brown\tfox \r\n.\r\n--AaBb\r\n"
    b"Content-Type: message/rfc822\r\n\r\nSubject: inner\r\n\r\ninner text\r\n--AaBb--\r\n"
)


@pytest.fixture
def access(lab: RunningLab) -> MailAccess:
    return MailAccess(lab)


@pytest.fixture
def client(access: MailAccess) -> Iterator[IMAPClient]:
    with connected(access) as client:
        yield client


def connected(access: MailAccess) -> IMAPClient:
    tls: ssl.SSLContext = access.lab.ssl_context()
    client = IMAPClient("localhost", int(access.lab.cloud["imap_port"]), ssl_context=tls, timeout=30)
    client.oauth2_login(access.mailbox, access.lab.token())
    return client


def stored(access: MailAccess) -> bytes:
    """The letter as it lies in the inbox: with what the receiving side put on top."""
    return access.messages("inbox")[-1]


def test_dialogue(access: MailAccess) -> None:
    with access.wire("imap") as wire:
        wire.converse(HELLO + f"C: A CAPABILITY\n S: * CAPABILITY {BEFORE}\n S: A OK CAPABILITY completed.")
        wire.converse(SIGN_IN, sasl=access.sasl())
        wire.converse(f"C: B CAPABILITY\n S: * CAPABILITY {AFTER}\n S: B OK CAPABILITY completed.")
        wire.converse("C: C LOGOUT\n S: * BYE ...\n S: C OK LOGOUT completed.\n CLOSED")


def test_credentials_on_a_line_of_their_own(access: MailAccess) -> None:
    with access.wire("imap") as wire:
        wire.converse(
            HELLO + "C: 1 AUTHENTICATE XOAUTH2\n S: +\n C: {sasl}\n S: 1 OK AUTHENTICATE completed.", sasl=access.sasl()
        )


@pytest.mark.parametrize("what", TOLD_AT_ONCE)
def test_what_is_told_at_the_sign_in(access: MailAccess, what: str) -> None:
    sasl = access.without(what)
    with access.wire("imap") as wire:
        wire.converse(HELLO + "C: 1 AUTHENTICATE XOAUTH2 {sasl}\n S: 1 NO AUTHENTICATE failed.", sasl=sasl)


@pytest.mark.parametrize(
    "command", ["LOGIN a@contoso.example password", "AUTHENTICATE PLAIN AGEAYg==", "AUTHENTICATE XOAUTH2 bm9uc2Vuc2U="]
)
def test_passwords_and_nonsense_are_refused(access: MailAccess, command: str) -> None:
    name = command.split(maxsplit=1)[0]
    with access.wire("imap") as wire:
        wire.converse(HELLO + f"C: 1 {command}\n S: 1 NO {name} failed.")


@pytest.mark.parametrize("why", ["right", "switch"])
def test_authenticated_but_not_connected(access: MailAccess, why: str) -> None:
    if why == "right":
        sasl = access.without("right")
    else:
        access.change(imap_enabled=False)
        sasl = access.sasl()
    refused = "BAD User is authenticated but not connected."
    with access.wire("imap") as wire:
        wire.converse(HELLO + SIGN_IN, sasl=sasl)
        wire.converse(
            f'C: 2 SELECT INBOX\n S: 2 {refused}\n C: 3 NOOP\n S: 3 {refused}\n C: 4 LIST "" *\n S: 4 {refused}'
        )
        wire.converse("S: * BYE Connection closed. 14\n CLOSED")


def test_the_fault_that_looks_like_it(access: MailAccess, client: IMAPClient) -> None:
    access.fault("imap-not-connected", times=1)
    with pytest.raises(IMAPClientError, match=r"User is authenticated but not connected\."):
        client.select_folder("INBOX")
    client.select_folder("INBOX")


def test_throttled(access: MailAccess) -> None:
    access.fault("imap-throttled", times=1, milliseconds=1500)
    with access.wire("imap") as wire:
        wire.converse(HELLO + SIGN_IN, sasl=access.sasl())
        wire.converse("C: 2 NOOP\n S: 2 BAD Request is throttled. Suggested Backoff Time: 1500 milliseconds")
        wire.converse("C: 3 NOOP\n S: 3 OK NOOP completed.")


def test_the_connection_breaks(access: MailAccess, client: IMAPClient) -> None:
    access.fault("imap-lost", times=1)
    with pytest.raises((imaplib.IMAP4.abort, ConnectionError, ssl.SSLError)):
        client.noop()


def test_slow_answers_still_come(access: MailAccess, client: IMAPClient) -> None:
    access.fault("slow", seconds=0.01)
    client.select_folder("INBOX")
    assert client.append("INBOX", LETTER).startswith(b"[APPENDUID")


@pytest.mark.parametrize("idling", [False, True])
def test_the_session_ends_with_the_token(access: MailAccess, idling: bool) -> None:
    with access.wire("imap") as wire:
        wire.converse(HELLO + SIGN_IN, sasl=access.sasl())
        if idling:
            wire.converse("C: 2 IDLE\n S: +")
        access.skew(7200)
        wire.converse("" if idling else "C: 2 NOOP")
        wire.converse("S: * BYE Session invalidated - AccessTokenExpired\n CLOSED")


def test_bytes_are_exact(access: MailAccess, client: IMAPClient) -> None:
    access.deliver(LETTER)
    raw = stored(access)
    client.select_folder("INBOX")
    (got,) = client.fetch([1], ["BODY.PEEK[]", "RFC822.SIZE", "BODY.PEEK[HEADER]", "BODY.PEEK[TEXT]"]).values()
    assert got[b"BODY[]"] == raw
    assert got[b"RFC822.SIZE"] == len(raw)
    assert got[b"BODY[HEADER]"] + got[b"BODY[TEXT]"] == raw


@pytest.mark.parametrize(
    ("section", "wanted"),
    [
        ("BODY.PEEK[1]", b"The quick  brown\tfox \r\n."),
        ("BODY.PEEK[1.MIME]", b"Content-Type: text/plain; charset=utf-8\r\n\r\n"),
        ("BODY.PEEK[2]", b"Subject: inner\r\n\r\ninner text"),
        ("BODY.PEEK[2.HEADER]", b"Subject: inner\r\n\r\n"),
        ("BODY.PEEK[2.TEXT]", b"inner text"),
        ("BODY.PEEK[2.1]", b"inner text"),
        ("BODY.PEEK[3]", None),
        ("BODY.PEEK[1]<4.5>", b"quick"),
        ("BODY.PEEK[HEADER.FIELDS (MESSAGE-ID X-NONE)]", b"Message-ID: <one@example.org>\r\n\r\n"),
    ],
)
def test_sections(access: MailAccess, client: IMAPClient, section: str, wanted: bytes | None) -> None:
    access.deliver(LETTER)
    client.select_folder("INBOX")
    (got,) = client.fetch("1", [section]).values()
    (value,) = (got[key] for key in got if key.startswith(b"BODY["))
    assert value == wanted


def test_envelope_and_structure(access: MailAccess, client: IMAPClient) -> None:
    access.deliver(LETTER)
    client.select_folder("INBOX")
    (got,) = client.fetch("1", ["ENVELOPE", "BODYSTRUCTURE", "INTERNALDATE", "UID"]).values()
    envelope = got[b"ENVELOPE"]
    assert envelope.message_id == b"<one@example.org>"
    assert (envelope.from_[0].mailbox, envelope.from_[0].host) == (b"juergen", b"example.org")
    assert envelope.reply_to == envelope.sender == envelope.from_
    structure = got[b"BODYSTRUCTURE"]
    assert structure.is_multipart
    text, message = structure[0]
    assert text[:3] == (b"text", b"plain", (b"charset", b"utf-8"))
    assert message[:2] == (b"message", b"rfc822")
    assert structure[2] == (b"boundary", b"AaBb")


def test_reading_marks_and_peeking_does_not(access: MailAccess, client: IMAPClient) -> None:
    access.deliver(LETTER)
    client.select_folder("INBOX")
    client.fetch("1", ["BODY.PEEK[]"])
    assert client.get_flags("1") == {1: ()}
    client.fetch("1", ["BODY[TEXT]"])
    assert client.get_flags("1") == {1: (b"\\Seen",)}
    with connected(access) as other:  # flags are the mailbox's, not the session's
        other.select_folder("INBOX")
        assert other.search("UNSEEN") == []


@pytest.mark.parametrize(
    ("criteria", "found"),
    [
        (["HEADER", "Message-ID", "<one@example.org>"], [1]),
        (["SUBJECT", "grüße"], [1]),
        (["FROM", "jürgen"], [1]),
        (["TEXT", "quick  brown"], [1]),
        (["BODY", "one@example.org"], []),
        (["UNSEEN"], [1, 2]),
        (["NOT", "SUBJECT", "second"], [1]),
        (["OR", "SUBJECT", "second", "SUBJECT", "grüße"], [1, 2]),
        (["SENTON", "23-Nov-2026"], [1]),
        (["SENTBEFORE", "23-Nov-2026"], []),
        (["SINCE", "1-Jan-2020"], [1, 2]),
        (["UID", "2:*"], [2]),
        (["2"], [2]),
        (["LARGER", "600"], [1]),
        (["DELETED"], []),
        (["KEYWORD", "$Done"], []),
    ],
)
def test_search(access: MailAccess, client: IMAPClient, criteria: list[str], found: list[int]) -> None:
    access.deliver(LETTER)
    access.deliver(b"From: a@example.org\r\nSubject: second\r\n\r\nx\r\n")
    client.select_folder("INBOX")
    assert list(client.search(criteria, charset="UTF-8")) == found


def test_bad_search(access: MailAccess) -> None:
    with access.wire("imap") as wire:
        wire.converse(HELLO + SIGN_IN + "C: 2 EXAMINE INBOX", sasl=access.sasl())
        while not wire.line().startswith("2 OK"):
            pass
        wire.converse("C: 3 SEARCH FROBNICATE\n S: 3 BAD Command Argument Error. 11")
        wire.converse("C: 4 SEARCH UNSEEN\n S: * SEARCH\n S: 4 OK SEARCH completed.")


def test_folders(client: IMAPClient) -> None:
    listed = {name: flags for flags, _, name in client.list_folders()}
    assert listed["Sent Items"] == (b"\\HasNoChildren", b"\\Sent")
    assert listed["Deleted Items"] == (b"\\HasNoChildren", b"\\Trash")
    client.create_folder("Prüfung/2026")
    assert client.folder_exists("Prüfung/2026")
    client.rename_folder("Prüfung/2026", "Alt & neu")
    assert client.folder_status("Alt & neu", ["MESSAGES", "UIDNEXT"]) == {b"MESSAGES": 0, b"UIDNEXT": 1}
    client.delete_folder("Alt & neu")
    assert not client.folder_exists("Alt & neu")
    assert client.namespace().personal == (("", "/"),)
    with pytest.raises(IMAPClientError):
        client.delete_folder("Drafts")


def test_append_copy_move_and_expunge_tell_uids(access: MailAccess, client: IMAPClient) -> None:
    told = client.append("INBOX", LETTER, [r"\Flagged"])
    validity = client.select_folder("INBOX")[b"UIDVALIDITY"]
    assert told == b"[APPENDUID %d 1] APPEND completed." % validity
    assert client.get_flags(1) == {1: (b"\\Flagged",)}
    client.copy(1, "Archive")
    client.append("INBOX", LETTER)
    client.move(1, "Deleted Items")
    assert list(client.search()) == [2]
    client.delete_messages(2)
    client.uid_expunge([1])
    assert list(client.search()) == [2]
    client.uid_expunge([2])
    assert list(client.search()) == []
    assert access.messages("archive") == access.messages("deleteditems") == [LETTER]


def test_copy_and_move_tell_the_new_uids(access: MailAccess) -> None:
    access.deliver(LETTER)
    with access.wire("imap") as wire:
        wire.converse(HELLO + SIGN_IN + "C: 2 SELECT INBOX", sasl=access.sasl())
        while not wire.line().startswith("2 OK"):
            pass
        wire.converse("C: 3 UID COPY 1 Archive\n S: 3 OK [COPYUID ... 1 1] COPY completed.")
        wire.converse("C: 4 MOVE 1 Archive\n S: * OK [COPYUID ... 1 2]\n S: * 1 EXPUNGE\n S: 4 OK MOVE completed.")
        wire.converse("C: 5 UID COPY 1 Nowhere\n S: 5 NO [TRYCREATE] The requested folder could not be found.")


def test_literal_plus_and_escapes(access: MailAccess) -> None:
    with access.wire("imap") as wire:
        wire.converse(HELLO + SIGN_IN, sasl=access.sasl())
        wire.send(b'2 APPEND "Sent Items" () {12+}\r\nSubject: x\r\n\r\n')
        wire.converse("S: 2 OK [APPENDUID ...] APPEND completed.")
        wire.send(b'3 CREATE {5+}\r\na "b"\r\n4 STATUS "a \\"b\\"" (MESSAGES)\r\n')
        wire.converse('S: 3 OK CREATE completed.\n S: * STATUS "a \\"b\\"" (MESSAGES 0)\n S: 4 OK STATUS completed.')


def test_idle_tells_what_happens(access: MailAccess, client: IMAPClient) -> None:
    access.deliver(LETTER)
    client.select_folder("INBOX")
    client.idle()
    access.deliver(LETTER)
    assert (2, b"EXISTS") in client.idle_check(timeout=20)
    with connected(access) as other:
        other.select_folder("INBOX")
        other.add_flags(2, [r"\Seen"])
        assert (2, b"FETCH", (b"FLAGS", (b"\\Seen",))) in client.idle_check(timeout=20)
        other.delete_messages(1)
        assert client.idle_check(timeout=20)
        other.expunge()
        assert (1, b"EXPUNGE") in client.idle_check(timeout=20)
    client.idle_done()
    assert list(client.search()) == [2]


def test_numbers_stay_until_the_client_was_told(access: MailAccess, client: IMAPClient) -> None:
    for _ in range(3):
        access.deliver(LETTER)
    client.use_uid = False
    client.select_folder("INBOX")
    with connected(access) as other:
        other.select_folder("INBOX")
        other.delete_messages(1)
        other.expunge()
    assert [got[b"UID"] for got in client.fetch([2, 3], ["UID"]).values()] == [2, 3]
    _, told = client.noop()
    assert (1, b"EXPUNGE") in told
    assert [got[b"UID"] for got in client.fetch([1, 2], ["UID"]).values()] == [2, 3]


def test_examine_changes_nothing(access: MailAccess, client: IMAPClient) -> None:
    access.deliver(LETTER)
    client.select_folder("INBOX", readonly=True)
    client.fetch(1, ["BODY[]"])
    with pytest.raises(IMAPClientError):
        client.add_flags(1, [r"\Seen"])
    assert client.get_flags(1) == {1: ()}
    client.unselect_folder()
    assert client.id_({"name": "test"})


def test_imaplib_signs_in_too(access: MailAccess) -> None:
    access.deliver(LETTER)
    with access.imap() as plain:
        assert plain.select("INBOX") == ("OK", [b"1"])
        _, data = plain.fetch("1", "(BODY.PEEK[])")
        assert isinstance(data[0], tuple)
        assert data[0][1] == stored(access)


def test_another_mailbox_of_the_same_application(access: MailAccess) -> None:
    other = "support@contoso.example"
    access.deliver(LETTER, other)
    tls = access.lab.ssl_context()
    with imaplib.IMAP4_SSL("localhost", int(access.lab.cloud["imap_port"]), ssl_context=tls) as plain:
        plain.authenticate("XOAUTH2", lambda _: xoauth2(other, access.lab.token()).encode())
        assert plain.select("INBOX") == ("OK", [b"1"])
