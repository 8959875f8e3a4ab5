"""A link that opens a reply, written ready to send (RFC 6068). Following it decides nothing: the person sends it."""

from __future__ import annotations

from urllib.parse import quote


def mailto(address: str, subject: str, body: str) -> str:
    """`address` is bare, with its tag; line ends of `body` become CRLF, as section 5 asks. Put it into HTML escaped."""
    lines = "\r\n".join(body.splitlines())
    return f"mailto:{quote(address, safe='@')}?subject={quote(subject, safe='')}&body={quote(lines, safe='')}"
