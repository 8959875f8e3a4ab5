"""Import of an existing SMTP gateway's properties as a mailbox (reference rows B8 and B11).

Each key is told of: used, without effect here, or unknown. The socket factory settings are accepted without effect.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from django.db import transaction

from postroom.accounts import audit
from postroom.accounts.audit import Actor
from postroom.core.faults import Invalid
from postroom.mailboxes import credentials, service
from postroom.mailboxes.choices import CredentialKind
from postroom.mailboxes.models import Mailbox
from postroom.mailboxes.properties import parse_properties
from postroom.mailboxes.values import MailboxData

PROVIDER = "migrated"
_NO_EFFECT = {
    "mail.smtp.socketfactory.class": "TLS is chosen by port and STARTTLS",
    "mail.smtp.socketfactory.fallback": "TLS is never given up silently",
    "mail.smtp.socketfactory.port": "the port of mail.port counts",
    "mail.transport.protocol": "the mailbox sends by SMTP",
    "mail.store.protocol": "the mailbox reads by IMAP",
    "mail.debug": "see the log",
}
_FIELDS = {
    "mail.host": "host",
    "mail.smtp.host": "host",
    "mail.port": "port",
    "mail.smtp.port": "port",
    "mail.username": "user",
    "mail.user": "user",
    "mail.smtp.user": "user",
    "mail.smtp.username": "user",
    "mail.password": "password",
    "mail.smtp.password": "password",
    "mail.smtp.auth": "auth",
    "mail.smtp.starttls.enable": "starttls",
    "mail.smtp.ssl.enable": "ssl",
    "mail.defaultsender": "sender",
    "mail.from": "sender",
    "mail.defaultsubjectprefix": "prefix",
    "mail.optionalbccaddress": "copies",
    "mail.imap.host": "imap_host",
    "mail.imaps.host": "imap_host",
    "mail.imap.port": "imap_port",
    "mail.imaps.port": "imap_port",
    "mail.imap.ssl.enable": "imap_ssl",
    "mail.imap.folder": "folder",
    "mail.imap.inbox": "folder",
    "mail.imaps.folder": "folder",
}


@dataclass(frozen=True, slots=True)
class KeyNote:
    """What became of one key. Never holds a password."""

    key: str
    use: str
    """`used`, `no effect`, `unknown`."""
    text: str = ""

    def __str__(self) -> str:
        return f"{self.key}: {self.use}{f' ({self.text})' if self.text else ''}"


@dataclass(frozen=True, slots=True)
class Imported:
    mailbox: Mailbox
    keys: tuple[KeyNote, ...]
    """All keys of the text, in its order."""

    @property
    def notes(self) -> tuple[str, ...]:
        """What is worth a person's look: keys that were not simply used."""
        return tuple(str(note) for note in self.keys if note.use != "used" or note.text)


@dataclass(slots=True)
class _Gateway:
    """The properties by our names for them."""

    values: dict[str, str] = field(default_factory=dict, repr=False)
    keys: dict[str, str] = field(default_factory=dict)
    """Our name -> the key as it was written."""
    notes: dict[str, KeyNote] = field(default_factory=dict)
    errors: dict[str, list[str]] = field(default_factory=dict)

    def text(self, name: str) -> str:
        return self.values.get(name, "").strip()

    def number(self, name: str) -> int | None:
        text = self.text(name)
        if not text or text.isdecimal():
            return int(text) if text else None
        self._fault(name, "is not a number; write digits only")
        return None

    def flag(self, name: str, default: bool) -> bool:
        text = self.text(name).lower()
        if text and text not in _FLAGS:
            self._fault(name, "is neither true nor false; write one of the two")
        return _FLAGS.get(text, default)

    def note(self, name: str, text: str) -> None:
        key = self.keys[name]
        self.notes[key] = KeyNote(key, "used", text)

    def _fault(self, name: str, sentence: str) -> None:
        self.errors.setdefault("text", []).append(f"{self.keys[name]} {sentence}")


_FLAGS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


@transaction.atomic
def from_properties(text: str, by: Actor, name: str = "") -> Imported:
    """Makes a mailbox, with its password as credential, of the text of a `.properties` file. Raises `Invalid`."""
    gateway = _sorted(parse_properties(text))
    data = _mailbox(gateway, name)
    if gateway.errors:
        raise Invalid(gateway.errors)
    try:
        mailbox = service.save(data, by)
    except Invalid as invalid:
        raise Invalid(_by_key(invalid, gateway)) from None
    if data.sign_in_by == "password" and gateway.text("password"):
        credentials.add(mailbox, CredentialKind.PASSWORD, gateway.values["password"], None, by)
    audit.record(by, "mailbox.imported", mailbox.name, {"keys": sorted(gateway.notes)})
    return Imported(mailbox, tuple(gateway.notes.values()))


def _sorted(properties: dict[str, str]) -> _Gateway:
    gateway = _Gateway()
    for key, value in properties.items():
        lower = key.lower()
        if lower in _NO_EFFECT:
            gateway.notes[key] = KeyNote(key, "no effect", _NO_EFFECT[lower])
        elif lower in _FIELDS:
            ours = _FIELDS[lower]
            gateway.values[ours], gateway.keys[ours] = value, key
            gateway.notes[key] = KeyNote(key, "used")
        else:
            gateway.notes[key] = KeyNote(key, "unknown", "Postroom has no such setting")
    return gateway


def _mailbox(gateway: _Gateway, name: str) -> MailboxData:
    user = gateway.text("user")
    address = user if "@" in user else gateway.text("sender")
    if not gateway.text("host"):
        gateway.errors.setdefault("text", []).append("mail.host is missing; add the name of the SMTP server")
    if not address:
        gateway.errors.setdefault("text", []).append("no address is named; add mail.defaultSender")
    signs_in = gateway.flag("auth", bool(user or gateway.text("password")))
    sender = gateway.text("sender")
    return MailboxData(
        name=name.strip() or _free_name(address),
        address=address,
        provider=PROVIDER,
        default_sender=sender if sender.lower() != address.lower() else "",
        subject_prefix=gateway.text("prefix"),
        copies_to=tuple(gateway.text("copies").replace(";", ",").split(",")),
        sign_in_by="password" if signs_in else "none",
        user_name=user,
        smtp_host=gateway.text("host"),
        smtp_port=gateway.number("port"),
        smtp_security=_smtp_security(gateway, signs_in),
        read_by="imap" if gateway.text("imap_host") else "none",
        read_inbox=bool(gateway.text("imap_host")),
        incoming_host=gateway.text("imap_host"),
        incoming_port=gateway.number("imap_port"),
        incoming_security="tls" if gateway.flag("imap_ssl", True) else "starttls",
        folder=gateway.text("folder") or "INBOX",
    )


def _smtp_security(gateway: _Gateway, signs_in: bool) -> str:
    if gateway.flag("ssl", False) or gateway.number("port") == 465:
        return "tls"
    if gateway.flag("starttls", True):
        return "starttls"
    if not signs_in:
        return "none"
    gateway.note("starttls", "switched on here: a password never goes over an unprotected connection")
    return "starttls"


def _free_name(address: str) -> str:
    stem = f"Imported {address}"[:110]
    name, number = stem, 2
    while Mailbox.objects.filter(name__iexact=name).exists():
        name, number = f"{stem} {number}", number + 1
    return name


_OURS = {
    "smtp_host": "host",
    "smtp_port": "port",
    "incoming_host": "imap_host",
    "incoming_port": "imap_port",
    "default_sender": "sender",
    "subject_prefix": "prefix",
    "copies_to": "copies",
    "user_name": "user",
}


def _by_key(invalid: Invalid, gateway: _Gateway) -> dict[str, list[str]]:
    """What the mailbox's rules say, told by the keys of the text; what has no key there keeps its field's name."""
    said: dict[str, list[str]] = {}
    for name, faults in invalid.errors.items():
        key = gateway.keys.get(_OURS.get(name, name), "")
        for fault in faults:
            said.setdefault("text", []).append(f"{key or name}: {fault}")
    return said
