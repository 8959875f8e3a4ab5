"""The link brings back address, subject and body as they were."""

from __future__ import annotations

from urllib.parse import parse_qs, unquote, urlsplit

from hypothesis import given
from hypothesis import strategies as st

from postroom.mail.mailto import mailto


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"])), st.text(alphabet="ab&?=#%+ é日\n"))
def test_a_link_brings_back_what_was_put_in(subject: str, body: str):
    link = urlsplit(mailto("approvals+q7-x@contoso.example", subject, body))
    assert unquote(link.path) == "approvals+q7-x@contoso.example"
    assert "+" not in link.path.partition("@")[0].replace("%2B", "")
    given_back = parse_qs(link.query, keep_blank_values=True)
    assert given_back["subject"] == [subject]
    assert given_back["body"][0].split("\r\n") == ("\n".join(body.splitlines())).split("\n")
