"""Addresses as people type them: parsed, checked, made fit for the wire, or refused with the reason.

RFC 5321 and 5322 addresses, RFC 6531 (SMTPUTF8) local parts, and IDNA 2008 domains.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from email.header import Header
from email.headerregistry import Address as _Known
from email.utils import formataddr

import idna

_ATEXT = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~\-\u0080-\U0010ffff]+"
_DOT_ATOM = re.compile(rf"{_ATEXT}(?:\.{_ATEXT})*")
_QUOTED = re.compile(r'"(?:[^"\\\x00-\x1f\x7f]|\\[\x20-\x7e])*"')
_LABEL = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?")
_LITERAL = re.compile(r"\[[0-9A-Fa-f:.]+\]|\[IPv6:[0-9A-Fa-f:.]+\]")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


class BadAddress(ValueError):
    """An address that no server would take; the message names the field, the fault and the fix."""

    def __init__(self, field: str, text: str, fault: str) -> None:
        shown = _CONTROL.sub("\N{REPLACEMENT CHARACTER}", text)
        super().__init__(f"{field}: {shown!r} {fault}")
        self.field = field


@dataclass(frozen=True, slots=True)
class Address:
    """One address; the domain in lower case and as ASCII (A-labels), so that only the local part may need SMTPUTF8."""

    mailbox: str
    """`local@domain`, bare."""
    name: str = ""

    @property
    def key(self) -> str:
        """For comparing: servers treat local parts as case-insensitive, although RFC 5321 would let them not."""
        return self.mailbox.casefold()

    @property
    def needs_smtputf8(self) -> bool:
        """RFC 6531: whether a server must offer SMTPUTF8 to take it."""
        return not self.mailbox.isascii()

    def __str__(self) -> str:
        """As a person reads it, and as `parse` takes it back."""
        return str(_Known(self.name, addr_spec=self.mailbox)) if self.name else self.mailbox

    def header(self) -> str:
        """As it stands in a header, folded; the name is encoded (RFC 2047) where it is not plain ASCII."""
        if not self.name:
            return self.mailbox
        if self.name.isascii() and "=?" not in self.name:
            return formataddr((self.name, "@")).removesuffix("<@>") + f"<{self.mailbox}>"
        return Header(self.name, "utf-8", maxlinelen=70).encode(linesep="\r\n") + f" <{self.mailbox}>"


def parse(text: str, field: str = "address") -> Address:
    """`a@b.example` or `Name <a@b.example>`. Raises `BadAddress`."""
    if _CONTROL.search(text):
        raise BadAddress(field, text, "contains a line break or control character; remove it")
    text = text.strip()
    if not text:
        raise BadAddress(field, text, "is empty; write an address such as name@example.com")
    name, mailbox = _taken_apart(text, field)
    local, at, domain = mailbox.rpartition("@")
    if not at or not local or not domain:
        raise BadAddress(field, text, "is not an address; write one such as name@example.com")
    if not (_DOT_ATOM.fullmatch(local) or _QUOTED.fullmatch(local)):
        raise BadAddress(field, text, f"has characters before the @ that an address cannot have: {local!r}")
    # RFC 5321 section 4.5.3.1: octets.
    if len(local.encode()) > 64:
        raise BadAddress(field, text, "has more than 64 bytes before the @ (RFC 5321); shorten it")
    return Address(f"{local}@{_domain(domain, field, text)}", name)


def parse_list(text: str, field: str = "address") -> tuple[Address, ...]:
    """Addresses separated by commas, semicolons or line ends; each once. Raises `BadAddress` for the first bad one."""
    return dedupe(parse(piece, field) for piece in _pieces(text) if piece.strip())


def dedupe(addresses: Iterable[Address]) -> tuple[Address, ...]:
    """The first of each mailbox, in order."""
    kept: dict[str, Address] = {}
    for address in addresses:
        kept.setdefault(address.key, address)
    return tuple(kept.values())


def _pieces(text: str) -> Iterable[str]:
    """Splits at separators that stand outside quotes and angle brackets."""
    piece = ""
    quoted = angled = escaped = False
    for char in text:
        if char in ",;\n" and not quoted and not angled:
            yield piece.removesuffix("\r")
            piece = ""
            continue
        piece += char
        if escaped:
            escaped = False
        elif char == "\\" and quoted:
            escaped = True
        elif char == '"':
            quoted = not quoted
        elif not quoted and char in "<>":
            angled = char == "<"
    yield piece


def _taken_apart(text: str, field: str) -> tuple[str, str]:
    if not text.endswith(">"):
        return "", text
    name, bracket, mailbox = text[:-1].rpartition("<")
    if not bracket:
        raise BadAddress(field, text, "ends with > but has no <; write Name <name@example.com>")
    name = name.strip()
    if len(name) > 1 and name[0] == name[-1] == '"':
        name = re.sub(r"\\(.)", r"\1", name[1:-1])
    return name, mailbox.strip()


def _domain(domain: str, field: str, text: str) -> str:
    if _LITERAL.fullmatch(domain):
        return domain
    if not domain.isascii():
        try:
            domain = idna.encode(domain, uts46=True).decode("ascii")
        except idna.IDNAError as error:
            raise BadAddress(field, text, f"has a domain that cannot be written in DNS: {error}") from error
    domain = domain.lower()
    if len(domain) > 253 or not all(_LABEL.fullmatch(label) for label in domain.split(".")):
        raise BadAddress(field, text, f"has a domain that cannot be: {domain!r}; check it for typing errors")
    return domain
