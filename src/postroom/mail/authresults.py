"""The Authentication-Results field (RFC 8601 section 2.2), parsed by its grammar or refused as a whole.

Comments and quoted strings are content, never syntax: what a sender can get echoed into them proves nothing.
Two habits of receivers are allowed beside the grammar: Exchange Online's field without an authserv-id, and its
properties without a type (`action=none`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from postroom.mail.structured import NotUnderstood, Reader

# RFC 2045 section 5.1: a token is printable ASCII less the specials; RFC 8601 lets the id be internationalised.
_TOKEN = re.compile(r'[^\x00-\x20\x7f()<>@,;:\\"/\[\]?=]+')
_KEYWORD = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_-]*[A-Za-z0-9])?")
_NAME = re.compile(r"[A-Za-z0-9_-]+")
# Wider than RFC 8601's pvalue: receivers leave base64 and addresses unquoted.
_VALUE = re.compile(r'[^\x00-\x20\x7f();"\\]+')
_DIGITS = re.compile(r"[0-9]+")


@dataclass(frozen=True, slots=True)
class Clause:
    """What one method found. Properties of one clause are never read together with those of another."""

    method: str
    """In lower case, such as `dkim`."""
    result: str
    """In lower case, such as `pass`."""
    properties: Mapping[str, str] = field(default_factory=dict)
    """By `type.name` in lower case, such as `header.d`."""


@dataclass(frozen=True, slots=True)
class Results:
    """One field. `authserv_id` is in lower case, and empty where the receiver gave none."""

    authserv_id: str
    clauses: tuple[Clause, ...]

    def of(self, method: str) -> tuple[Clause, ...]:
        return tuple(clause for clause in self.clauses if clause.method == method)


def parse(value: str) -> Results:
    """The unfolded value after the colon. Raises `NotUnderstood`."""
    reader = Reader(value)
    reader.skip()
    authserv_id = _authserv_id(reader)
    clauses: list[Clause] = []
    first = not authserv_id
    while not reader.at_end():
        if not first:
            reader.expect(";")
        first = False
        reader.skip()
        if reader.at_end():  # a last semicolon with nothing after it
            break
        clause = _clause(reader)
        if clause:
            clauses.append(clause)
        elif clauses or not reader.at_end():
            raise NotUnderstood("'none' stands beside results", reader.at)
    return Results(authserv_id, tuple(clauses))


def _authserv_id(reader: Reader) -> str:
    """The id, past its version; nothing, and no step taken, where the field begins with a result."""
    start = reader.at
    name = reader.quoted() if reader.next_is('"') else reader.take(_TOKEN)
    if not name:
        raise NotUnderstood("the authserv-id is missing", reader.at)
    reader.skip()
    if reader.next_is("="):
        reader.at = start
        return ""
    version = reader.take(_DIGITS)
    if version and version != "1":
        raise NotUnderstood(f"version {version} is not known", reader.at)
    reader.skip()
    return name.lower()


def _clause(reader: Reader) -> Clause | None:
    """One result; None for `none`, which says that nothing was checked."""
    method = _keyword(reader)
    reader.skip()
    if method == "none" and (reader.at_end() or reader.next_is(";")):
        return None
    if reader.next_is("/"):
        reader.at += 1
        reader.skip()
        if reader.take(_DIGITS) != "1":
            raise NotUnderstood("the method's version is not known", reader.at)
        reader.skip()
    reader.expect("=")
    reader.skip()
    result = _keyword(reader)
    properties: dict[str, str] = {}
    while True:
        before = reader.at
        reader.skip()
        if reader.at_end() or reader.next_is(";"):
            return Clause(method, result, properties)
        if reader.at == before:
            raise NotUnderstood("a blank is missing", reader.at)
        name, value = _property(reader)
        if name in properties:
            raise NotUnderstood(f"{name} stands twice", reader.at)
        properties[name] = value


def _keyword(reader: Reader) -> str:
    word = reader.take(_KEYWORD).lower()
    if not word:
        raise NotUnderstood("a word is missing", reader.at)
    return word


def _name(reader: Reader) -> str:
    name = reader.take(_NAME).lower()
    if not name:
        raise NotUnderstood("a property's name is missing", reader.at)
    return name


def _property(reader: Reader) -> tuple[str, str]:
    name = _name(reader)
    reader.skip()
    if reader.next_is("."):
        reader.at += 1
        reader.skip()
        name = f"{name}.{_name(reader)}"
        reader.skip()
    reader.expect("=")
    reader.skip()
    value = ""
    while not reader.at_end():
        piece = reader.quoted() if reader.next_is('"') else reader.take(_VALUE)
        if not piece:
            break
        value += piece
    return name, value
