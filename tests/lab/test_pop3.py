"""The POP3 server: Microsoft's dialogue in two lines, exact bytes, and deletion at QUIT only."""

from __future__ import annotations

import poplib

import pytest

from support.lab import RunningLab
from support.mail_access import TOLD_AT_ONCE, MailAccess

HELLO = "S: +OK The Microsoft Exchange POP3 service is ready. [...]\n"
SIGN_IN = """
    C: AUTH XOAUTH2
    S: +
    C: {sasl}
    S: +OK User successfully authenticated.
"""
FAILED = "S: -ERR Authentication failure: unknown user name or bad password."
LETTER = b"From: a@example.org\r\nSubject: dots\r\n\r\n.one\r\n..two\r\n.\r\n\r\nfour \t\r\nno line break"


@pytest.fixture
def access(lab: RunningLab) -> MailAccess:
    return MailAccess(lab)


def test_dialogue(access: MailAccess) -> None:
    with access.wire("pop") as wire:
        wire.converse(HELLO + "C: CAPA\n S: +OK\n S: TOP\n S: UIDL\n S: SASL PLAIN XOAUTH2\n S: USER\n S: .")
        wire.converse(SIGN_IN + "C: STAT\n S: +OK 0 0\n C: NOOP\n S: +OK", sasl=access.sasl())
        wire.converse("C: QUIT\n S: +OK ...\n CLOSED")


def test_credentials_on_the_command_end_the_connection(access: MailAccess) -> None:
    with access.wire("pop") as wire:
        wire.converse(
            HELLO + "C: AUTH XOAUTH2 {sasl}\n S: -ERR Protocol error. Connection is closed. 10\n CLOSED",
            sasl=access.sasl(),
        )


@pytest.mark.parametrize("what", [*TOLD_AT_ONCE, "right"])
def test_one_answer_for_all_that_is_wrong(access: MailAccess, what: str) -> None:
    sasl = access.without(what)
    with access.wire("pop") as wire:
        wire.converse(HELLO + "C: AUTH XOAUTH2\n S: +\n C: {sasl}\n" + FAILED, sasl=sasl)


def test_switched_off(access: MailAccess) -> None:
    access.change(pop_enabled=False)
    with access.wire("pop") as wire:
        wire.converse(HELLO + "C: AUTH XOAUTH2\n S: +\n C: {sasl}\n" + FAILED, sasl=access.sasl())


def test_passwords_are_refused(access: MailAccess) -> None:
    with access.wire("pop") as wire:
        wire.converse(HELLO + "C: USER a@contoso.example\n S: +OK\n C: PASS se cret\n" + FAILED)
        wire.converse("C: AUTH PLAIN\n S: +\n C: AGEAYg==\n" + FAILED)


@pytest.mark.parametrize("command", ["STAT", "FROB", "APOP a b", "AUTH", "AUTH FROB", "RETR x", "LIST"])
def test_what_cannot_be_done_before_the_sign_in(access: MailAccess, command: str) -> None:
    with access.wire("pop") as wire:
        wire.converse(HELLO + f"C: {command}\n S: -ERR Protocol error. 19")


@pytest.mark.parametrize("command", ["RETR 2", "RETR x", "TOP 1", "TOP 1 x", "DELE 9", "DELE 0", "UIDL 7", "LIST 7"])
def test_bad_numbers(access: MailAccess, command: str) -> None:
    access.deliver(LETTER)
    with access.wire("pop") as wire:
        wire.converse(HELLO + SIGN_IN + f"C: {command}\n S: -ERR ...\n C: NOOP\n S: +OK", sasl=access.sasl())


def test_the_session_ends_with_the_token(access: MailAccess) -> None:
    with access.wire("pop") as wire:
        wire.converse(HELLO + SIGN_IN, sasl=access.sasl())
        access.skew(7200)
        wire.converse("C: NOOP\n S: -ERR Session invalidated - AccessTokenExpired\n CLOSED")


def test_bytes_are_exact_and_dots_doubled(access: MailAccess) -> None:
    access.deliver(LETTER)
    client = access.pop()
    (stored,) = access.messages("inbox")
    _, lines, _ = client.retr(1)
    assert b"\r\n".join(lines) == stored
    assert client.stat() == (1, len(stored))
    assert client.list()[1] == [b"1 %d" % len(stored)]
    _, top, _ = client.top(1, 2)
    assert top[-3:] == [b"", b".one", b"..two"]
    client.quit()


def test_deletion_happens_at_quit_only(access: MailAccess) -> None:
    access.deliver(LETTER)
    access.deliver(LETTER)
    client = access.pop()
    identity = client.uidl()[1]
    client.dele(1)
    assert client.stat()[0] == 1
    with pytest.raises(poplib.error_proto):
        client.retr(1)
    client.rset()
    assert client.stat()[0] == 2
    client.dele(1)
    client.close()
    assert len(access.messages("inbox")) == 2
    client = access.pop()
    assert client.uidl()[1] == identity
    client.dele(1)
    client.quit()
    client = access.pop()
    assert client.uidl()[1] == [identity[1].replace(b"2 ", b"1 ", 1)]
    client.quit()


def test_what_arrives_meanwhile_waits_for_the_next_session(access: MailAccess) -> None:
    client = access.pop()
    access.deliver(LETTER)
    assert client.stat() == (0, 0)
    client.quit()


def test_slow_answers_still_come_in_order(access: MailAccess) -> None:
    access.deliver(LETTER)
    access.fault("slow", seconds=0.01)
    with access.wire("pop") as wire:
        wire.converse(HELLO + SIGN_IN, sasl=access.sasl())
        wire.send(b"NOOP\r\nSTAT\r\nQUIT\r\n")
        wire.converse("S: +OK\n S: +OK 1 ...\n S: +OK ...\n CLOSED")
