"""Recipient filters in OPATH, the part of it that scopes of RBAC for Applications need.

    or    = and *( "-or" and )
    and   = unary *( "-and" unary )
    unary = "-not" unary / "(" or ")" / property ( "-eq" / "-ne" / "-like" ) 'value'

Properties are those of `_properties`. What lies outside raises `BadFilter`, as Exchange refuses a filter that it
cannot parse.
"""

from __future__ import annotations

import fnmatch
import re
from dataclasses import dataclass

from m365lab.exchange import Exchange, Mailbox

_TOKEN = re.compile(r"\s*(?:(?P<text>'(?:[^']|'')*'|\"[^\"]*\")|(?P<word>-?[A-Za-z][\w]*)|(?P<mark>[()]))")
_DEEPEST = 30
_ATTRIBUTES = {f"customattribute{number}" for number in range(1, 16)}
KNOWN = {
    "primarysmtpaddress", "emailaddresses", "alias", "name", "displayname", "userprincipalname",
    "externaldirectoryobjectid", "recipienttypedetails", "memberofgroup", *_ATTRIBUTES,
}  # fmt: skip


class BadFilter(Exception):
    """The filter cannot be read; the text says where."""


@dataclass
class _Reader:
    """Reads and decides in one go: the values of the recipient are there from the start."""

    tokens: list[tuple[str, str]]
    values: dict[str, list[str]]
    at: int = 0

    def either(self, depth: int = 0) -> bool:
        found = self._both(depth)
        while self._take("-or"):
            found = self._both(depth) or found
        return found

    def end(self) -> None:
        if self.at < len(self.tokens):
            raise BadFilter(f"'{self.tokens[self.at][1]}' was not expected there.")

    def _both(self, depth: int) -> bool:
        found = self._unary(depth)
        while self._take("-and"):
            found = self._unary(depth) and found
        return found

    def _unary(self, depth: int) -> bool:
        if depth > _DEEPEST:
            raise BadFilter("The filter is nested too deeply.")
        if self._take("-not"):
            return not self._unary(depth + 1)
        if self._take("("):
            found = self.either(depth + 1)
            if not self._take(")"):
                raise BadFilter("A closing parenthesis is missing.")
            return found
        name, operator, value = self._next("word").lower(), self._next("word").lower(), self._next("text")
        if name not in KNOWN:
            raise BadFilter(f"'{name}' is not a recognized filterable property.")
        wanted = value[1:-1].replace("''", "'").casefold()
        held = self.values[name]
        if operator in {"-eq", "-ne"}:
            return (wanted in held) is (operator == "-eq")
        if operator == "-like":
            return any(fnmatch.fnmatchcase(text, wanted) for text in held)
        raise BadFilter(f"The operator '{operator}' is not known here: use -eq, -ne or -like.")

    def _take(self, text: str) -> bool:
        if self.at < len(self.tokens) and self.tokens[self.at][1].lower() == text:
            self.at += 1
            return True
        return False

    def _next(self, kind: str) -> str:
        if self.at >= len(self.tokens) or self.tokens[self.at][0] != kind:
            raise BadFilter("A comparison is: property -eq 'value'.")
        self.at += 1
        return self.tokens[self.at - 1][1]


def matches(text: str, mailbox: Mailbox, exchange: Exchange) -> bool:
    """True when the mailbox satisfies the filter. Raises `BadFilter`."""
    reader = _Reader(_tokens(text), _properties(mailbox, exchange))
    found = reader.either()
    reader.end()
    return found


def check(text: str) -> None:
    """Raises `BadFilter` for a filter that cannot be read."""
    matches(text, Mailbox("nobody@nowhere.example", "nobody"), Exchange())


def _tokens(text: str) -> list[tuple[str, str]]:
    found, at = [], 0
    while text[at:].strip():
        match = _TOKEN.match(text, at)
        if match is None or match.lastgroup is None:
            raise BadFilter(f"Syntax error at position {at}.")
        found.append((match.lastgroup, match[match.lastgroup]))
        at = match.end()
    return found


def _properties(mailbox: Mailbox, exchange: Exchange) -> dict[str, list[str]]:
    values = {
        "primarysmtpaddress": [mailbox.address],
        "emailaddresses": [f"smtp:{address}" for address in (mailbox.address, *mailbox.aliases)],
        "alias": [mailbox.alias],
        "name": [mailbox.name],
        "displayname": [mailbox.name],
        "userprincipalname": [mailbox.address],
        "externaldirectoryobjectid": [mailbox.user_id],
        "recipienttypedetails": ["SharedMailbox" if mailbox.shared else "UserMailbox"],
        "memberofgroup": [g.distinguished_name for g in exchange.groups if mailbox.address in g.members],
    } | {name: [mailbox.attributes[name]] if name in mailbox.attributes else [] for name in _ATTRIBUTES}
    return {name: [text.casefold() for text in held] for name, held in values.items()}
