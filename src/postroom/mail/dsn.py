"""Reports of delivery status (RFC 3464) in a multipart/report (RFC 6522): what became of a message, for its sender.

Pure: id and date are passed in.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from email.utils import format_datetime

from postroom.mail.addresses import Address
from postroom.mail.headers import join, split

_STATUS = re.compile(r"\b([245]\.\d{1,3}\.\d{1,3})\b")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]+")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one recipient."""

    recipient: str
    action: str
    """`failed`, `delayed`, `relayed` (RFC 3464 section 2.3.3)."""
    status: str
    """RFC 3463, such as `5.1.1`."""
    words: str = ""
    """The server's, verbatim."""
    original: str = ""
    """ORCPT, such as `rfc822;ada@contoso.com`."""


@dataclass(frozen=True, slots=True)
class Report:
    """One report. It goes out with an empty return path, so that nobody reports on it in turn."""

    sender: Address
    to: str
    message_id: str
    date: datetime
    reporter: str
    """Host name of who reports."""
    outcomes: Sequence[Outcome]
    explanation: str
    """For people: the cause and what to do."""
    arrived: datetime
    original: bytes
    full: bool = False
    """Bring the whole message back, not its header alone (RFC 3461 section 4.3)."""
    envelope_id: str = ""


def status_of(words: str, otherwise: str) -> str:
    """The enhanced status code in the server's words."""
    match = _STATUS.search(words)
    return match.group(1) if match else otherwise


def compose_report(report: Report) -> bytes:
    """The report with CRLF line ends."""
    boundary = f"=_{re.sub(r'[^A-Za-z0-9]', '', report.message_id)[:40]}"
    head = [
        f"Date: {format_datetime(report.date)}",
        f"From: {report.sender.header()}",
        f"To: {report.to}",
        f"Subject: {_subject(report)}",
        f"Message-ID: {report.message_id}",
        "Auto-Submitted: auto-replied",  # RFC 3834 section 5
        "MIME-Version: 1.0",
        f'Content-Type: multipart/report; report-type=delivery-status; boundary="{boundary}"',
        "",
    ]
    parts = [
        ["Content-Type: text/plain; charset=utf-8", "Content-Transfer-Encoding: 8bit", "", *_text(report)],
        ["Content-Type: message/delivery-status", "", *_status(report)],
    ]
    body = b"".join(_part(boundary, "\r\n".join(part).encode() + b"\r\n") for part in parts)
    returned = _part(boundary, _returned(report))
    return "\r\n".join(head).encode() + b"\r\n" + body + returned + f"--{boundary}--\r\n".encode()


def _subject(report: Report) -> str:
    final = any(outcome.action == "failed" for outcome in report.outcomes)
    return "Your message was not sent" if final else "Your message is on its way"


def _text(report: Report) -> list[str]:
    lines = [_line(report.explanation), ""]
    for outcome in report.outcomes:
        lines.append(f"{outcome.recipient}: {outcome.action}")
        if outcome.words:
            lines.append(f"    {_line(outcome.words)}")
    return lines


def _status(report: Report) -> list[str]:
    """RFC 3464 section 2.1: fields about the message, then a block for each recipient."""
    lines = [f"Reporting-MTA: dns; {report.reporter}", f"Arrival-Date: {format_datetime(report.arrived)}"]
    if report.envelope_id:
        lines.insert(0, f"Original-Envelope-Id: {_line(report.envelope_id)}")
    for outcome in report.outcomes:
        lines.append("")
        if outcome.original:
            lines.append(f"Original-Recipient: {_line(outcome.original)}")
        lines += [
            f"Final-Recipient: rfc822; {outcome.recipient}",
            f"Action: {outcome.action}",
            f"Status: {outcome.status}",
        ]
        if outcome.words:
            lines.append(f"Diagnostic-Code: smtp; {_line(outcome.words)[:900]}")
    return lines


def _returned(report: Report) -> bytes:
    eight = b"Content-Transfer-Encoding: 8bit\r\n"
    if report.full:
        head = b"Content-Type: message/rfc822\r\n" + (b"" if report.original.isascii() else eight)
        return head + b"\r\n" + report.original + b"\r\n"
    parts = split(report.original)
    fields = join(parts.fields, split(b""))
    head = b"Content-Type: text/rfc822-headers\r\n" + (b"" if fields.isascii() else eight)
    return head + b"\r\n" + fields


def _part(boundary: str, content: bytes) -> bytes:
    return f"--{boundary}\r\n".encode() + content


def _line(text: str) -> str:
    return _CONTROL.sub(" ", text).strip()
