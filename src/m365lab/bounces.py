"""The report that Exchange sends back for a recipient of its own that does not exist (RFC 3464)."""

from __future__ import annotations

import email
import email.policy
import email.utils
from collections.abc import Iterable
from email.message import EmailMessage, Message

_REASON = "550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient {} not found by SMTP address lookup"  # facts 5 [U]
_POSTMASTER = "MicrosoftExchange329e71ec88ae4615bbc36ab6ce41109e"


def bounce(raw: bytes, sender: str, recipients: Iterable[str], *, host: str, domain: str, at: float) -> bytes:
    """The report on message `raw` from `sender`, as bytes with CRLF; `at` is Unix time, `domain` the tenant's."""
    original = email.message_from_bytes(raw, policy=email.policy.SMTP)
    report = EmailMessage(policy=email.policy.SMTP)
    report["From"] = f"Microsoft Outlook <{_POSTMASTER}@{domain}>"
    report["To"] = sender
    report["Date"] = email.utils.formatdate(at)
    report["Message-ID"] = email.utils.make_msgid(domain=host)
    if original["Message-ID"]:
        report["In-Reply-To"] = report["References"] = str(original["Message-ID"])
    report["Subject"] = f"Undeliverable: {' '.join(str(original['Subject'] or '').split())}"
    report["Auto-Submitted"] = "auto-replied"
    report["X-MS-Exchange-Message-Is-Ndr"] = ""
    report["MIME-Version"] = "1.0"
    report["Content-Type"] = "multipart/report; report-type=delivery-status"
    failed = list(recipients)
    report.set_payload([_for_people(failed), _for_programs(failed, host, at), _headers(raw)])
    return report.as_bytes()


def _for_people(recipients: list[str]) -> EmailMessage:
    part = EmailMessage(policy=email.policy.SMTP)
    lines = [f"Your message to {address} couldn't be delivered.\r\n{_REASON.format(address)}" for address in recipients]
    part.set_content("\r\n\r\n".join(lines))
    return part


def _for_programs(recipients: list[str], host: str, at: float) -> Message:
    """message/delivery-status: a block for the message, then one for each recipient (RFC 3464 section 2.1)."""
    part = Message(policy=email.policy.SMTP)
    part["Content-Type"] = "message/delivery-status"
    about = Message(policy=email.policy.SMTP)
    about["Reporting-MTA"] = f"dns;{host}"
    about["Arrival-Date"] = email.utils.formatdate(at)
    blocks: list[Message[str, str] | str] = [about]
    for address in recipients:
        block = Message(policy=email.policy.SMTP)
        block["Final-Recipient"] = f"rfc822;{address}"
        block["Action"] = "failed"
        block["Status"] = "5.1.10"
        block["Diagnostic-Code"] = f"smtp;{_REASON.format(address)}"
        blocks.append(block)
    part.set_payload(blocks)
    return part


def _headers(raw: bytes) -> Message:
    """The header of the message that failed (text/rfc822-headers, RFC 6522 section 4)."""
    part = Message(policy=email.policy.SMTP)
    part["Content-Type"] = "text/rfc822-headers"
    part.set_payload(raw.partition(b"\r\n\r\n")[0].decode("ascii", "surrogateescape") + "\r\n")
    return part
