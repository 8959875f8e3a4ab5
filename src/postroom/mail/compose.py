"""A new message from its pieces. What cannot be written safely is refused; nothing is silently changed.

Message-ID and date are passed in: there is no clock and no chance here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime
from email.header import Header
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime

from postroom.mail.addresses import Address, dedupe
from postroom.mail.envelope import Envelope
from postroom.mail.message import Attachment

# 7bit: what we compose passes every server as it is, and so keeps its signature.
_POLICY = SMTP.clone(cte_type="7bit")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_NAME = re.compile(r"[!-9;-~]{1,76}")
_TYPE = re.compile(r"[A-Za-z0-9!#$&^_.+-]{1,127}/[A-Za-z0-9!#$&^_.+-]{1,127}")
_MESSAGE_ID = re.compile(r"<[!-;=?-~]+@[!-;=?-~]+>")
_OWN = frozenset(
    {"from", "to", "cc", "bcc", "reply-to", "subject", "date", "message-id", "mime-version", "content-type"}
    | {"content-transfer-encoding", "content-disposition", "content-id"}
)


class CannotCompose(ValueError):
    """A piece that no message may hold; the message names the field, the fault and the fix."""

    def __init__(self, name: str, fault: str) -> None:
        super().__init__(f"{name} {fault}")
        self.field = name


@dataclass(frozen=True, slots=True)
class Draft:
    """What to say to whom. `bcc` is in the envelope only, never in the message."""

    sender: Address
    to: tuple[Address, ...] = ()
    cc: tuple[Address, ...] = ()
    bcc: tuple[Address, ...] = ()
    reply_to: tuple[Address, ...] = ()
    subject: str = ""
    text: str = ""
    html: str = ""
    attachments: tuple[Attachment, ...] = ()
    headers: tuple[tuple[str, str], ...] = field(default=())
    """Further ones, such as `("X-Campaign", "spring")`."""

    @property
    def envelope(self) -> Envelope:
        """From the sender to everybody, each once."""
        everybody = dedupe((*self.to, *self.cc, *self.bcc))
        return Envelope(self.sender.mailbox, tuple(address.mailbox for address in everybody))


def compose(draft: Draft, message_id: str, date: datetime) -> bytes:
    """The message with CRLF line ends. `date` must be aware. Raises `CannotCompose`."""
    if not _MESSAGE_ID.fullmatch(message_id):
        raise CannotCompose("Message-ID", "must look like <unique@host>")
    if date.tzinfo is None:
        raise CannotCompose("Date", "has no time zone; pass an aware datetime")
    fields = [
        ("Date", format_datetime(date)),
        ("From", _people("From", (draft.sender,))),
        ("To", _people("To", draft.to)),
        ("Cc", _people("Cc", draft.cc)),
        ("Reply-To", _people("Reply-To", draft.reply_to)),
        ("Subject", _words("Subject", draft.subject)),
        ("Message-ID", message_id),
        *((name, _words(_own_name(name), value)) for name, value in draft.headers),
    ]
    if not draft.to and not draft.cc:
        # RFC 5322 section 3.6.3 lets both be absent, yet many filters do not: an empty group says the same.
        fields[2] = ("To", "undisclosed-recipients:;")
    head = "".join(f"{name}: {value}\r\n" for name, value in fields if value)
    return head.encode() + _body(draft)


def _body(draft: Draft) -> bytes:
    """MIME headers and content."""
    for name, text in (("Text", draft.text), ("HTML", draft.html)):
        if "\0" in text or not _is_unicode(text):
            raise CannotCompose(name, "contains a NUL or half a character; remove it")
    mail = EmailMessage(policy=_POLICY)
    if draft.text or not draft.html:
        mail.set_content(draft.text)
        if draft.html:
            mail.add_alternative(draft.html, subtype="html")
    else:
        mail.set_content(draft.html, subtype="html")
    for number, attachment in enumerate(draft.attachments, 1):
        name = f"Attachment {number}"
        _check(name, attachment.filename)
        if not _TYPE.fullmatch(attachment.content_type):
            raise CannotCompose(name, "has a content type that is not like image/png")
        maintype, _, subtype = attachment.content_type.partition("/")
        if maintype.lower() in {"multipart", "message"}:
            maintype, subtype = "application", "octet-stream"
        mail.add_attachment(
            attachment.content,
            maintype=maintype,
            subtype=subtype,
            filename=attachment.filename or f"attachment-{number}",
        )
    return mail.as_bytes()


def _people(name: str, people: tuple[Address, ...]) -> str:
    """One address a line (RFC 5322 section 2.1.1 wants lines below 78 characters)."""
    for person in people:
        _check(name, person.name)
        _check(name, person.mailbox)
    return ",\r\n ".join(person.header() for person in people)


def _words(name: str, value: str) -> str:
    """Free text, folded; encoded (RFC 2047) unless it is plain ASCII that nobody could take for encoded."""
    _check(name, value)
    plain = value.isascii() and "=?" not in value and value == value.strip() and len(name) + len(value) < 76
    if plain:
        return value
    return Header(value, "utf-8", maxlinelen=76, header_name=name).encode(linesep="\r\n")


def _own_name(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise CannotCompose("Header name", "may have letters, digits and dashes only, up to 76")
    if name.lower() in _OWN:
        raise CannotCompose(name, "is written from the draft's own fields; remove it from the further headers")
    return name


def _check(name: str, value: str) -> None:
    if _CONTROL.search(value):
        raise CannotCompose(name, "contains a line break or control character; remove it")


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
