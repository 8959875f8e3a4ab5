"""Whether a message is from whom its From says, as far as the receiving server vouches for it. Fails closed.

Only the topmost Authentication-Results counts, and only when it carries the id of the receiver that was pinned
(RFC 8601 sections 5 and 7.1): whatever stands below came with the message. The pinned receiver must stamp every
message, and must remove or rename fields that claim its id; that is checked when the mailbox is proved, not here.

DMARC, DKIM and SPF vouch for a domain. That it was this very person in the domain is the domain's promise, so a
decision needs a token beside it (`verdicts`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from postroom.mail.authresults import Clause, Results, parse
from postroom.mail.domains import aligned, normal, organisation
from postroom.mail.headers import field_name, unfold
from postroom.mail.message import Message
from postroom.mail.structured import NotUnderstood, Reader

# A CR or LF that is no fold: two programs would read the field differently.
_UNEVEN = re.compile(rb"\r(?!\n)|\n(?![ \t]|\Z)|\x00")
_WORDS = re.compile(r"[^\x00-\x1f\x7f()<>@,;:\\\"\[\]]+")
_MAILBOX = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.\u0080-\U0010ffff-]+@[A-Za-z0-9.\u0080-\U0010ffff-]+")
_BY = re.compile(r"(?:^|\s)by\s+([A-Za-z0-9.-]+)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Receiver:
    """The server whose word counts."""

    authserv_id: str
    """What it writes in front of its results; empty for Exchange Online's form, which has no id."""
    hosts: tuple[str, ...] = ()
    """Domains of its own machines. When given, a hop by any other host above the results refuses the message."""
    strict: bool = False
    """Whether domains must be the same, not only of one organisation."""


class Proof(StrEnum):
    """What vouched, the strongest first."""

    DMARC = "dmarc"
    DKIM = "dkim"
    SPF = "spf"


class Doubt(StrEnum):
    """Why a message is not taken to be from whom it says."""

    NO_FROM = "there is no From"
    SEVERAL_FROM = "there is more than one From"
    FROM_UNREADABLE = "From is not one plain address"
    FROM_PUBLIC = "the domain of From is nobody's own"
    SENDER_DIFFERS = "Sender is another address than From"
    RESENT = "the message was sent on by somebody (Resent-)"
    NO_STAMP = "the receiver left no Authentication-Results"
    SEVERAL_STAMPS = "there are several Authentication-Results without an id"
    FOREIGN_STAMP = "the topmost Authentication-Results are not the pinned receiver's"
    FOREIGN_HOP = "a foreign server handled the message after it was checked"
    STAMP_UNREADABLE = "the Authentication-Results cannot be read"
    DMARC_CONTRADICTS = "the receiver's DMARC results contradict each other"
    DMARC_FAILED = "DMARC did not pass"
    DMARC_OTHER = "DMARC was checked for another domain than that of From"
    UNALIGNED = "neither DKIM nor SPF passed for the domain of From"


@dataclass(frozen=True, slots=True)
class Authentic:
    """From can be believed. `address` is bare; its local part as written, its domain normal."""

    address: str
    by: Proof
    domain: str
    """That the receiver checked."""


@dataclass(frozen=True, slots=True)
class Doubtful:
    """From cannot be believed. `detail` quotes the evidence, for the person who settles it."""

    doubt: Doubt
    detail: str = ""


class _Doubted(Exception):
    """Ends the examination."""

    def __init__(self, doubt: Doubt, detail: str = "") -> None:
        super().__init__(doubt)
        self.finding = Doubtful(doubt, detail)


def authenticity(message: Message, receiver: Receiver) -> Authentic | Doubtful:
    """Never raises."""
    try:
        address = _author(message)
        results = _stamp(message, receiver)
        domain = address.rpartition("@")[2]
        proof, checked = _vouched(results, domain, strict=receiver.strict)
        return Authentic(address, proof, checked)
    except _Doubted as doubted:
        return doubted.finding


def _author(message: Message) -> str:
    """The one address of the one From, which nobody else sent."""
    fields = message.parts.named("From")
    if len(fields) != 1:
        raise _Doubted(Doubt.SEVERAL_FROM if fields else Doubt.NO_FROM)
    author = _one_address(fields[0])
    if not author:
        raise _Doubted(Doubt.FROM_UNREADABLE, unfold(fields[0]))
    if not organisation(author.rpartition("@")[2]):
        raise _Doubted(Doubt.FROM_PUBLIC, author)
    for field in message.parts.named("Sender"):
        if _one_address(field).casefold() != author.casefold():
            raise _Doubted(Doubt.SENDER_DIFFERS, unfold(field))
    for field in message.parts.fields:
        if field_name(field).startswith(b"resent-"):
            raise _Doubted(Doubt.RESENT, unfold(field))
    return author


def _one_address(field: bytes) -> str:
    """`a@b` or `Name <a@b>` with nothing that could be read as a second address; else empty."""
    if _UNEVEN.search(field):
        return ""
    reader = Reader(unfold(field))
    try:
        reader.skip()
        mailbox = _display_name(reader)
        if reader.next_is("<"):
            if "@" in mailbox:
                return ""
            reader.at += 1
            mailbox = reader.take(_MAILBOX)
            reader.expect(">")
        reader.skip()
    except NotUnderstood:
        return ""
    local, _, domain = mailbox.strip().rpartition("@")
    if not reader.at_end() or not _MAILBOX.fullmatch(mailbox.strip()) or not normal(domain):
        return ""
    return f"{local}@{normal(domain)}"


def _display_name(reader: Reader) -> str:
    """What stands before the angle bracket; the bare address where there is none."""
    name = reader.take(_MAILBOX)
    reader.skip()
    while not reader.at_end() and not reader.next_is("<"):
        word = reader.quoted() if reader.next_is('"') else reader.take(_WORDS)
        if not word:
            raise NotUnderstood("a name is not well-formed", reader.at)
        name += " "
        reader.skip()
    return name


def _stamp(message: Message, receiver: Receiver) -> Results:
    """The results of the pinned receiver."""
    stamps = message.parts.named("Authentication-Results")
    if not stamps:
        raise _Doubted(Doubt.NO_STAMP)
    value = unfold(stamps[0])
    if _UNEVEN.search(stamps[0]):
        raise _Doubted(Doubt.STAMP_UNREADABLE, value)
    try:
        results = parse(value)
    except NotUnderstood as fault:
        raise _Doubted(Doubt.STAMP_UNREADABLE, f"{fault}: {value}") from fault
    if results.authserv_id != receiver.authserv_id.lower():
        raise _Doubted(Doubt.FOREIGN_STAMP, results.authserv_id or "no id")
    if not results.authserv_id and len(stamps) > 1:
        raise _Doubted(Doubt.SEVERAL_STAMPS)
    _hops(message, receiver, stamps[0])
    return results


def _hops(message: Message, receiver: Receiver, stamp: bytes) -> None:
    if not receiver.hosts:
        return
    for field in message.parts.fields:
        if field is stamp:
            return
        if field_name(field) != b"received":
            continue
        by = _BY.search(unfold(field))
        host = by.group(1).lower() if by else ""
        if not any(f".{host}".endswith("." + own.lower()) for own in receiver.hosts):
            raise _Doubted(Doubt.FOREIGN_HOP, unfold(field))


def _vouched(results: Results, domain: str, *, strict: bool) -> tuple[Proof, str]:
    checked = _by_dmarc(results.of("dmarc"), domain)
    if checked:
        return Proof.DMARC, checked
    for clause in results.of("dkim"):
        signer = _signer(clause)
        if aligned(signer, domain, strict=strict):
            return Proof.DKIM, signer
    for clause in results.of("spf"):
        # Of MAIL FROM only: with a null return path SPF speaks of HELO, which names a machine (RFC 7489 3.1.2).
        path = clause.properties.get("smtp.mailfrom", "").rpartition("@")[2]
        if clause.result == "pass" and aligned(path, domain, strict=strict):
            return Proof.SPF, normal(path)
    raise _Doubted(Doubt.UNALIGNED, "; ".join(f"{clause.method}={clause.result}" for clause in results.clauses))


def _by_dmarc(clauses: tuple[Clause, ...], domain: str) -> str:
    """The domain that passed; empty when the domain has no policy, so that the others are asked."""
    # Exchange Online's `bestguesspass` is a guess about a domain without a policy: it proves nothing.
    verdicts = {"none" if clause.result == "bestguesspass" else clause.result for clause in clauses}
    if len(verdicts) > 1:
        raise _Doubted(Doubt.DMARC_CONTRADICTS, ", ".join(sorted(verdicts)))
    if verdicts - {"none", "pass"}:
        raise _Doubted(Doubt.DMARC_FAILED, verdicts.pop())
    for clause in clauses:
        checked = normal(clause.properties.get("header.from", ""))
        if checked and checked != domain:
            raise _Doubted(Doubt.DMARC_OTHER, checked)
        if clause.result == "pass" and checked:
            return checked
    return ""


def _signer(clause: Clause) -> str:
    """The domain whose signature held; empty when none did, or when the clause disagrees with itself."""
    signer = normal(clause.properties.get("header.d", ""))
    identity = normal(clause.properties.get("header.i", "").rpartition("@")[2])
    if clause.result != "pass":
        return ""
    if signer and identity and identity != signer and not identity.endswith("." + signer):
        return ""
    return signer or identity
