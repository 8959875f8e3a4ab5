"""SASL byte for byte, from the examples of those who made it."""

from __future__ import annotations

from postroom.transports import sasl


def test_xoauth2_of_google_and_microsoft() -> None:
    """Google, "OAuth 2.0 Mechanism": their example, which Microsoft's page shows too."""
    response = sasl.xoauth2("someuser@example.com", "ya29.vF9dft4qmTc2Nvb3RlckBhdHRhdmlzdGEuY29tCg")
    assert sasl.encoded(response) == (
        b"dXNlcj1zb21ldXNlckBleGFtcGxlLmNvbQFhdXRoPUJlYXJlciB5YTI5LnZGOWRmdDRxbVRjMk52YjNSbGNrQmhkSFJoZG1semRHRXVZMjl0Q2cBAQ=="
    )


def test_plain_of_rfc_4616() -> None:
    assert sasl.plain("tim", "tanstaaftanstaaf") == b"\0tim\0tanstaaftanstaaf"


def test_two_lines() -> None:
    assert sasl.two_lines("XOAUTH2", b"user=a\x01auth=Bearer t\x01\x01") == (
        b"AUTH XOAUTH2",
        b"dXNlcj1hAWF1dGg9QmVhcmVyIHQBAQ==",
    )


def test_long_tokens_stay_on_one_line() -> None:
    assert b"\n" not in sasl.encoded(sasl.xoauth2("a@b", "t" * 5000))
