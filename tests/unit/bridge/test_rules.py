"""What a port may be, what deserves a warning, how haste is braked, and what is mended: pure."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from postroom.bridge.guard import GUESSES, LOCKED_FOR, Guard
from postroom.bridge.mending import fill_in_to, mend_names, received
from postroom.bridge.replies import one_line, with_status
from postroom.bridge.rules import judge, tidy, warnings
from postroom.bridge.values import ListenerData, Mode

GOOD = ListenerData("a")


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"name": ""}, "name"),
        ({"address": "localhost"}, "address"),
        ({"port": 0}, "port"),
        ({"port": 65_536}, "port"),
        ({"mode": "ssl"}, "mode"),
        ({"tls_minimum": "0.9"}, "tls_minimum"),
        ({"login_prompts": "odd"}, "login_prompts"),
        ({"mode": Mode.PLAIN, "address": "0.0.0.0"}, "networks"),
        ({"mode": Mode.PLAIN, "networks": ("0.0.0.0/0",)}, "networks"),
        ({"mode": Mode.PLAIN, "networks": ("::/0",)}, "networks"),
        ({"networks": ("10.1.2.3/24",)}, "networks"),
        ({"mode": Mode.TLS, "proxies": ("10.1.2.3/32",)}, "proxies"),
        ({"proxies": ("0.0.0.0/0",)}, "proxies"),
        ({"open_networks": ("10.0.0.0/8",)}, "open_networks"),
        ({"open_networks": ("0.0.0.0/1",), "open_mailbox": 1}, "open_networks"),
        ({"open_mailbox": 2}, "open_mailbox"),
        ({"open_senders": ("printer",)}, "open_senders"),
        ({"recipients": 0}, "recipients"),
    ],
)
def test_what_a_port_must_not_be(changes: dict[str, object], field: str) -> None:
    assert list(judge(tidy(replace(GOOD, **changes)), {1})) == [field]  # type: ignore[arg-type]


def test_a_good_port_has_no_fault_and_few_warnings() -> None:
    assert judge(GOOD, ()) == {}
    assert warnings(replace(GOOD, certificate="/etc/ssl/mail.pem")) == []
    (own,) = warnings(GOOD)
    assert "made by Postroom itself" in own


def test_a_plain_port_on_loopback_is_for_loopback() -> None:
    data = tidy(replace(GOOD, mode=Mode.PLAIN, name=" a "))
    assert data.networks == ("127.0.0.0/8", "::1/128")
    assert judge(data, ()) == {}


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"address": "0.0.0.0"}, "anybody who can reach this machine"),
        ({"address": "0.0.0.0", "networks": ("10.1.2.0/24",)}, "open to 10.1.2.0/24"),
        ({"mode": Mode.PLAIN}, "in clear"),
        ({"tls_minimum": "1.1"}, "TLS 1.1 is taken"),
        ({"open_networks": ("10.1.2.0/24",)}, "No sign-in from 10.1.2.0/24"),
        ({"login_prompts": "draft"}, "old draft"),
        ({"fill_in_to": True}, "sees all the others"),
        ({"mend_names": True}, "Display names"),
        ({"longest_line": 2000}, "2,000 bytes"),
    ],
)
def test_every_exception_is_loud(changes: dict[str, object], word: str) -> None:
    data = replace(GOOD, certificate="/x.pem")
    (said,) = warnings(replace(data, **changes))  # type: ignore[arg-type]
    assert word in said


def test_guesses_lock_and_pass() -> None:
    seconds = [0.0]
    guard = Guard(lambda: seconds[0])
    for _ in range(GUESSES):
        assert not guard.locked("192.0.2.1", "payroll")
        guard.wrong("192.0.2.1", "payroll")
    assert guard.locked("192.0.2.1", "payroll")
    assert not guard.locked("192.0.2.2", "payroll")
    assert not guard.locked("192.0.2.1", "other")
    seconds[0] = LOCKED_FOR
    assert not guard.locked("192.0.2.1", "payroll")
    for number in range(100):
        guard.wrong("192.0.2.3", f"name{number}")
    assert guard.locked("192.0.2.3", "yet another")


def test_pace_lets_as_many_through_as_were_said() -> None:
    seconds = [0.0]
    guard = Guard(lambda: seconds[0])
    passed = 0
    for tenth in range(3000):
        seconds[0] = tenth / 10
        passed += guard.wait_for(1, 30) == 0.0
    assert passed == 150
    assert guard.wait_for(2, None) == 0.0


def test_connections_are_counted_by_listener_and_address() -> None:
    guard = Guard(lambda: 0.0)
    assert guard.enter(1, "a", 2, 1)
    assert not guard.enter(1, "a", 2, 1)
    assert guard.enter(1, "b", 2, 1)
    assert not guard.enter(1, "c", 2, 1)
    assert guard.enter(2, "c", 2, 1)
    guard.leave(1, "a")
    assert guard.enter(1, "a", 2, 1)


MESSAGE = b"From: %s\r\nSubject: x\r\n\r\nFrom: a@b <c@d>\r\n"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"scan@hall <a@contoso.com>", b'"scan at hall" <a@contoso.com>'),
        (b'"scan@hall" <a@contoso.com>', b'"scan at hall" <a@contoso.com>'),
        (b"Scanner <a@contoso.com>", b"Scanner <a@contoso.com>"),
        (b"a@contoso.com", b"a@contoso.com"),
        (b"a@contoso.com <a@contoso.com>, b@contoso.com <b@contoso.com>",) * 2,
    ],
)
def test_display_names(before: bytes, after: bytes) -> None:
    assert mend_names(MESSAGE % before) == MESSAGE % after


def test_a_missing_to() -> None:
    message = b"From: a@contoso.com\r\n\r\nbody\r\n"
    filled = fill_in_to(message, ["b@x.example", "c@x.example"])
    assert filled == b"From: a@contoso.com\r\nTo: b@x.example,\r\n c@x.example\r\n\r\nbody\r\n"
    for present in (b"To: d@x.example\r\n", b"cc: d@x.example\r\n"):
        assert fill_in_to(present + message, ["b@x.example"]) == present + message


def test_the_trace_is_a_field() -> None:
    said = received("mail.contoso.com", "ESMTPSA", datetime(2026, 11, 23, 17, tzinfo=UTC))
    assert said == b"Received: by mail.contoso.com (Postroom) with ESMTPSA;\r\n Mon, 23 Nov 2026 17:00:00 +0000\r\n"


def test_replies_are_one_line_with_a_status() -> None:
    assert one_line("550 5.7.1 a\r\n250 b") == "550 5.7.1 a  250 b"
    assert len(one_line("x" * 1000)) < 512
    assert with_status("250 OK") == "250 2.0.0 OK"
    assert with_status("250 2.1.0 OK") == "250 2.1.0 OK"
    assert with_status("354 Go") == "354 Go"
