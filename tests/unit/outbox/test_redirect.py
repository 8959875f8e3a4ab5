"""On a test system all mail goes to one address, and says for whom it was (X22)."""

from dataclasses import replace

import pytest

from postroom.core.settings import settings
from postroom.mail.envelope import Envelope
from postroom.mail.message import Message
from postroom.outbox import ways

RAW = b"From: a@contoso.com\r\nTo: b@fabrikam.com\r\nSubject: Hello\r\n\r\nBody\r\n"
TWO = Envelope("a@contoso.com", ("b@fabrikam.com", "c@fabrikam.com"))


def test_nothing_is_redirected_unless_said():
    assert ways.redirected(TWO, RAW) == (TWO, RAW)


def test_everything_goes_to_the_one_address(monkeypatch: pytest.MonkeyPatch):
    here = replace(settings(), redirect_to="tests@contoso.com")
    monkeypatch.setattr(ways, "settings", lambda: here)
    envelope, raw = ways.redirected(TWO, RAW)
    assert envelope == Envelope("a@contoso.com", ("tests@contoso.com",))
    assert raw.endswith(RAW)
    assert Message(raw).header("X-Postroom-Redirected") == "b@fabrikam.com, c@fabrikam.com"
    assert Message(raw).subject == "Hello"
