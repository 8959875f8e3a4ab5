"""The arguments of MAIL and RCPT, with the parameters of SIZE, 8BITMIME, SMTPUTF8, AUTH and DSN. Pure.

RFC 5321 section 4.1.2 (paths), RFC 1870, RFC 6152, RFC 6531, RFC 4954 section 5, RFC 3461 section 4.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from postroom.bridge.replies import one_line
from postroom.mail.addresses import BadAddress, parse

_PARAMETER = re.compile(r"([A-Za-z0-9][A-Za-z0-9-]*)(?:=([^\x00-\x20=\x7f]+))?")
_PATH = re.compile(r'<((?:"(?:[^"\\]|\\.)*"|[^<>"])*)>(?:\s+(.*))?', re.DOTALL)
# Old devices leave the brackets out; nothing is lost by understanding them.
_BARE_PATH = re.compile(r"([^<>\s\"]+)(?:\s+(.*))?", re.DOTALL)
_SOURCE_ROUTE = re.compile(r"@[^:]+:")
_XTEXT = re.compile(r"(?:[!-*,-<>-~]|\+[0-9A-F]{2})+")
_NOTIFY = frozenset({"SUCCESS", "FAILURE", "DELAY"})


class Refused(Exception):
    """The command cannot be taken; `reply` is what the door says."""

    def __init__(self, reply: str) -> None:
        super().__init__(reply)
        self.reply = one_line(reply)


@dataclass(frozen=True, slots=True)
class Mail:
    """What MAIL FROM says."""

    sender: str
    """"" for the empty path of reports."""
    size: int | None = None
    smtputf8: bool = False
    ret: str = ""
    envelope_id: str = ""


@dataclass(frozen=True, slots=True)
class Rcpt:
    """What RCPT TO says."""

    address: str
    notify: str = ""
    original: str = ""


def parse_mail(argument: str) -> Mail:
    """`FROM:<ada@contoso.com> SIZE=2048 BODY=8BITMIME`. Raises `Refused`."""
    path, parameters = _taken_apart(argument, "FROM:", "MAIL FROM:<address>")
    known = _known(parameters, {"SIZE": _size, "BODY": _body, "SMTPUTF8": _bare, "RET": _ret, "ENVID": _envelope_id,
                                "AUTH": _auth})  # fmt: skip
    smtputf8 = "SMTPUTF8" in known
    sender = _address(path, "sender", smtputf8) if path else ""
    size = int(known["SIZE"]) if "SIZE" in known else None
    return Mail(sender, size, smtputf8, known.get("RET", ""), known.get("ENVID", ""))


def parse_rcpt(argument: str, smtputf8: bool) -> Rcpt:
    """`TO:<bob@example.org> NOTIFY=FAILURE`. Raises `Refused`."""
    path, parameters = _taken_apart(argument, "TO:", "RCPT TO:<address>")
    known = _known(parameters, {"NOTIFY": _notify, "ORCPT": _original})
    if not path:
        raise Refused("501 5.1.3 A recipient is missing: RCPT TO:<address>")
    return Rcpt(_address(path, "recipient", smtputf8), known.get("NOTIFY", ""), known.get("ORCPT", ""))


def xtext(text: str) -> str:
    """Decoded (RFC 3461 section 4). Raises `ValueError` also for what could break a header's line."""
    if not _XTEXT.fullmatch(text):
        raise ValueError("not xtext")
    decoded = re.sub(r"\+([0-9A-F]{2})", lambda found: chr(int(found.group(1), 16)), text)
    if not (decoded.isascii() and decoded.isprintable()):
        raise ValueError("not printable")
    return decoded


def _taken_apart(argument: str, keyword: str, syntax: str) -> tuple[str, str]:
    """The path without its brackets and source route, and the parameters."""
    if argument[: len(keyword)].upper() != keyword:
        raise Refused(f"501 5.5.4 Write {syntax}")
    rest = argument[len(keyword) :].strip()
    found = _PATH.fullmatch(rest) or _BARE_PATH.fullmatch(rest)
    if found is None:
        raise Refused(f"501 5.5.4 Write {syntax}, and parameters after a blank")
    path = found.group(1).strip()
    # RFC 5321 appendix F.2: source routes are accepted and ignored.
    return (_SOURCE_ROUTE.sub("", path, count=1) if path.startswith("@") else path), found.group(2) or ""


def _address(path: str, field: str, smtputf8: bool) -> str:
    try:
        address = parse(path, field)
    except BadAddress as error:
        code = "553 5.1.7" if field == "sender" else "553 5.1.3"
        raise Refused(f"{code} {error}") from None
    # RFC 6531 section 3.5; the domain is in A-labels by now, so it is the local part that counts.
    if address.needs_smtputf8 and not smtputf8:
        raise Refused(f"553 5.6.7 The {field} has characters beyond ASCII; say SMTPUTF8 in MAIL FROM")
    return address.mailbox


def _known(text: str, readers: Mapping[str, Callable[[str | None], str]]) -> dict[str, str]:
    """The parameters, each read by its reader. Raises `Refused`."""
    found: dict[str, str] = {}
    for word in text.split():
        match = _PARAMETER.fullmatch(word)
        if match is None:
            raise Refused(f"501 5.5.4 The parameter {word[:60]!r} is not understood; write KEYWORD=value")
        name = match.group(1).upper()
        if name not in readers:
            raise Refused(f"555 5.5.4 The parameter {name[:60]} is not known here; leave it out")
        if name in found:
            raise Refused(f"501 5.5.4 {name} is there twice")
        try:
            found[name] = readers[name](match.group(2))
        except ValueError as error:
            raise Refused(f"501 5.5.4 {name} {error}") from None
    return found


def _size(value: str | None) -> str:
    # RFC 1870 section 3: up to 20 digits.
    if value is None or not (value.isascii() and value.isdigit()) or len(value) > 20:
        raise ValueError("wants the number of bytes")
    return value


def _body(value: str | None) -> str:
    if value is None or value.upper() not in {"7BIT", "8BITMIME"}:
        raise ValueError("is 7BIT or 8BITMIME here")
    return value.upper()


def _bare(value: str | None) -> str:
    if value is not None:
        raise ValueError("takes no value")
    return ""


def _auth(value: str | None) -> str:
    # RFC 4954 section 5: who handed it in first; must be understood, need not be believed.
    if value is None:
        raise ValueError("wants a value, <> for nobody")
    return value


def _ret(value: str | None) -> str:
    if value is None or value.upper() not in {"FULL", "HDRS"}:
        raise ValueError("is FULL or HDRS")
    return value.upper()


def _envelope_id(value: str | None) -> str:
    if value is None or len(value) > 100:
        raise ValueError("wants up to 100 characters of xtext (RFC 3461)")
    return _decoded(value)


def _notify(value: str | None) -> str:
    words = (value or "").upper().split(",")
    if words != ["NEVER"] and (not set(words) <= _NOTIFY or len(set(words)) != len(words)):
        raise ValueError("is NEVER, or some of SUCCESS,FAILURE,DELAY")
    return ",".join(words)


def _original(value: str | None) -> str:
    kind, semicolon, address = (value or "").partition(";")
    if not semicolon or not re.fullmatch(r"[A-Za-z0-9-]+", kind) or len(value or "") > 500:
        raise ValueError("is written rfc822;address, the address in xtext (RFC 3461)")
    return f"{kind};{_decoded(address)}"


def _decoded(value: str) -> str:
    try:
        return xtext(value)
    except ValueError:
        raise ValueError("is not xtext (RFC 3461 section 4), or hides a control character") from None
