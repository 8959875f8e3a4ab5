"""The post office: takes a submitted message, stamps it, keeps a copy in Sent Items, and delivers inside the tenant.

SMTP and Graph both end here, so that what one may do the other may too. Mail for other domains leaves the lab by
being put on the list `gone`, where tests and the lab's page can see it.
"""

from __future__ import annotations

import contextlib
import email.utils
import re
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from m365lab.bounces import bounce
from m365lab.exchange import Mailbox, spreading_key
from m365lab.faults import FaultName
from m365lab.mailstore import Message
from m365lab.tenant import Tenant

HOST = "AM0PR01MB0001.eurprd01.prod.exchangelabs.com"
_MESSAGE_ID = re.compile(rb"^message-id:[ \t]*(\r?\n[ \t]+)?(<[^>\r\n]*>)[^\r\n]*\r?\n", re.IGNORECASE | re.MULTILINE)


@dataclass(frozen=True)
class Gone:
    """A message that left the tenant."""

    sender: str
    recipients: tuple[str, ...]
    raw: bytes
    at: float


@dataclass(frozen=True)
class Submitted:
    message_id: str
    """The Message-ID that Exchange gave, with angle brackets."""
    unknown: tuple[str, ...] = ()
    """Recipients of the tenant's own domain that do not exist: Exchange sends a bounce for them."""
    kept: Message | None = None
    """The copy in Sent Items."""


class SendAsDenied(Exception):
    """From is an address that the signed-in mailbox may not use."""


class MailboxFull(Exception):
    """The copy for Sent Items finds no room."""


@dataclass
class PostOffice:
    tenant: Tenant
    gone: list[Gone] = field(default_factory=list)
    watchers: list[Callable[[], None]] = field(default_factory=list)
    """Called after each message that left the tenant."""

    def check_sender(self, mailbox: Mailbox, address: str) -> bool:
        """The check is on the signed-in mailbox, not on the application (facts 4.2). Raises `SendAsDenied`.

        True when it may send only on behalf of the other: then the message names it as the Sender.
        """
        owner = self.tenant.exchange.mailbox(address)
        if owner is mailbox:
            return False
        holders = {mailbox.address, mailbox.user_id}
        if owner is not None:
            keys = [spreading_key("send_as", owner.address, holder) for holder in holders & owner.send_as]
            if any(self.tenant.has_spread(key) for key in keys):
                return False
            if holders & owner.send_on_behalf:
                return True
        raise SendAsDenied(f"{mailbox.address} not allowed to send as {address}")

    def submit(
        self,
        mailbox: Mailbox,
        sender: str,
        recipients: tuple[str, ...],
        raw: bytes,
        *,
        keep: bool = True,
        restamp: bool = True,
    ) -> Submitted:
        """Takes a message from a signed-in mailbox. Raises `SendAsDenied` or `MailboxFull`.

        Without `restamp` the message keeps the Message-ID that it has: a Graph draft got Exchange's when it was made.
        """
        if self.check_sender(mailbox, sender):
            raw = f"Sender: {mailbox.address}\r\n".encode() + raw
        now = self.tenant.clock.time()
        message_id, stamped = _restamp(raw) if restamp else (_message_id(raw), raw)
        kept = self.keep(mailbox, "sentitems", stamped, {"\\Seen"}) if keep else None
        unknown = self.deliver(sender, recipients, stamped, authenticated=True)
        if unknown:
            self._return(mailbox, sender, unknown, stamped)
        self.tenant.limits.count(mailbox.address, len(recipients), now)
        return Submitted(message_id, unknown, kept)

    def deliver(
        self,
        sender: str,
        recipients: tuple[str, ...],
        raw: bytes,
        *,
        authenticated: bool,
        verdicts: Mapping[str, str] | None = None,
    ) -> tuple[str, ...]:
        """Delivers to the tenant's mailboxes; the rest is `gone`. Returns unknown addresses of our domains.

        `verdicts` replaces results of the sender's authentication, such as `{"dkim": "fail"}` (RFC 8601 section 2.7).
        """
        now = self.tenant.clock.time()
        stamped = _trace(sender, raw, authenticated=authenticated, date=now, verdicts=verdicts)
        outside, unknown = [], []
        for recipient in dict.fromkeys(recipients):
            mailbox = self.tenant.exchange.mailbox(recipient)
            if mailbox is not None:
                with contextlib.suppress(MailboxFull):  # the sender is not told at once; the lab sends no report on it
                    self.keep(mailbox, "inbox", stamped, set())
            elif recipient.rsplit("@", 1)[-1].lower() in self.tenant.directory.domains:
                unknown.append(recipient)
            else:
                outside.append(recipient)
        if outside:
            self.gone.append(Gone(sender, tuple(outside), raw, now))
            for watcher in list(self.watchers):
                watcher()
        return tuple(unknown)

    def _return(self, mailbox: Mailbox, sender: str, unknown: tuple[str, ...], raw: bytes) -> None:
        """Exchange takes mail for its own unknown recipients, and tells later: a bounce to the sender's inbox."""
        domain, now = self.tenant.directory.domains[0], self.tenant.clock.time()
        report = bounce(raw, sender, unknown, host=HOST, domain=domain, at=now)
        back = self.tenant.exchange.mailbox(sender) or mailbox
        with contextlib.suppress(MailboxFull):
            self.keep(back, "inbox", _trace("", report, authenticated=True, date=now), set())

    def check_room(self, mailbox: Mailbox, size: int) -> None:
        """Raises `MailboxFull` when `size` more bytes find no room, by the quota or by the fault "mailbox-full"."""
        faults = self.tenant.faults
        fault = faults.peek(FaultName.MAILBOX_FULL)
        struck = fault is not None and str(fault.values.get("mailbox", mailbox.address)).lower() == mailbox.address
        if (struck and faults.strikes(FaultName.MAILBOX_FULL)) or mailbox.store.size + size > mailbox.store.quota:
            raise MailboxFull(mailbox.address)

    def keep(self, mailbox: Mailbox, folder_key: str, raw: bytes, flags: set[str]) -> Message:
        folder = mailbox.store.folder(folder_key)
        if folder is None:
            raise KeyError(folder_key)
        self.check_room(mailbox, len(raw))
        return mailbox.store.add(folder, Message(raw, self.tenant.clock.time(), flags))


def new_message_id() -> str:
    """A Message-ID as Exchange makes them, with angle brackets."""
    return f"<{secrets.token_hex(16).upper()}@{HOST}>"


def _message_id(raw: bytes) -> str:
    found = _MESSAGE_ID.search(raw.partition(b"\r\n\r\n")[0] + b"\r\n")
    return found.group(2).decode("ascii", "replace") if found else ""


def _restamp(raw: bytes) -> tuple[str, bytes]:
    """Gives the message Exchange's own Message-ID and keeps the sender's in another header (facts 8)."""
    ours = new_message_id()
    head, separator, body = raw.partition(b"\r\n\r\n")
    found = _MESSAGE_ID.search(head + b"\r\n")
    if found:
        original = b"X-Microsoft-Original-Message-ID: " + found.group(2) + b"\r\n"
        head = ((head + b"\r\n")[: found.start()] + original + (head + b"\r\n")[found.end() :]).removesuffix(b"\r\n")
    return ours, b"Message-ID: " + ours.encode() + b"\r\n" + head + separator + body


def _trace(
    sender: str, raw: bytes, *, authenticated: bool, date: float, verdicts: Mapping[str, str] | None = None
) -> bytes:
    """The headers that the receiving side puts on top: Received, Return-Path and Authentication-Results (RFC 8601)."""
    domain = sender.rsplit("@", 1)[-1] or "unknown"
    found = dict.fromkeys(("spf", "dkim", "dmarc"), "pass" if authenticated else "none") | dict(verdicts or {})
    stamp = (
        f"Received: from {HOST} by {HOST} with Microsoft SMTP Server (version=TLS1_3,\r\n"
        f" cipher=TLS_AES_256_GCM_SHA384); {email.utils.formatdate(date)}\r\n"
        f"Authentication-Results: {HOST}; spf={found['spf']} smtp.mailfrom={domain};\r\n"
        f" dkim={found['dkim']} header.d={domain}; dmarc={found['dmarc']} action=none header.from={domain}\r\n"
        f"Return-Path: {sender}\r\n"
    )
    return stamp.encode("utf-8") + raw
