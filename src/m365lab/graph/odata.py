"""The part of OData's query options that Graph's lists take: $filter, $orderby, $select, $top, $skip, $count.

A real parser for a real subset, grammar of OData 4.01 URL conventions (ABNF `commonExpr`):

    or    = and *( "or" and )
    and   = unary *( "and" unary )
    unary = "not" unary / "(" or ")" / function "(" path "," literal ")" / path operator literal

What lies outside is refused with a sentence, never half understood. Nothing here knows of mail: a `Schema` says which
paths there are and of which type.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any


class Kind(StrEnum):
    """The type of a property, as far as comparing goes."""

    TEXT = "Edm.String"
    FLAG = "Edm.Boolean"
    MOMENT = "Edm.DateTimeOffset"
    GUID = "Edm.Guid"


Schema = Mapping[str, Kind]
Value = str | bool | datetime | None


class BadQuery(Exception):
    """The query option is wrong, or outside the subset; the text says where."""


@dataclass(frozen=True)
class Comparison:
    path: str
    operator: str
    """eq, ne, gt, ge, lt or le."""
    value: Value


@dataclass(frozen=True)
class Call:
    """startswith, endswith or contains of a text."""

    function: str
    path: str
    value: str


@dataclass(frozen=True)
class Not:
    operand: Expression


@dataclass(frozen=True)
class Both:
    left: Expression
    right: Expression


@dataclass(frozen=True)
class Either:
    left: Expression
    right: Expression


Expression = Comparison | Call | Not | Both | Either

_TOKEN = re.compile(
    r"\s*(?:(?P<text>'(?:[^']|'')*')"
    r"|(?P<moment>\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(?::\d{2}(?:\.\d{1,12})?)?(?:Z|[+-]\d{2}:\d{2}))"
    r"|(?P<guid>[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12})"
    r"|(?P<word>[A-Za-z_@][\w.@]*(?:/[A-Za-z_@][\w.@]*)*)"
    r"|(?P<mark>[(),]))"
)
_OPERATORS = {"eq", "ne", "gt", "ge", "lt", "le"}
_FUNCTIONS: dict[str, Callable[[str, str], bool]] = {
    "startswith": str.startswith,
    "endswith": str.endswith,
    "contains": lambda text, part: part in text,
}
_DEEPEST = 50


@dataclass(frozen=True)
class _Token:
    kind: str
    text: str
    at: int


def parse_filter(text: str, schema: Schema) -> Expression:
    """The expression of a `$filter`. Raises `BadQuery`."""
    parser = _Parser(_tokens(text), schema, text)
    expression = parser.either(0)
    parser.end()
    return expression


def _tokens(text: str) -> list[_Token]:
    found, at = [], 0
    while text[at:].strip():
        match = _TOKEN.match(text, at)
        if match is None or match.lastgroup is None:
            raise BadQuery(f"Syntax error at position {at} in '{text}'.")
        found.append(_Token(match.lastgroup, match[match.lastgroup], match.start(match.lastgroup)))
        at = match.end()
    return found


class _Parser:
    """Recursive descent over the tokens; one method per rule of the grammar above."""

    def __init__(self, tokens: list[_Token], schema: Schema, text: str) -> None:
        self._tokens = tokens
        self._at = 0
        self._schema = schema
        self._text = text

    def either(self, depth: int) -> Expression:
        left = self._both(depth)
        while self._take("word", "or"):
            left = Either(left, self._both(depth))
        return left

    def end(self) -> None:
        if self._at < len(self._tokens):
            raise self._error()

    def _both(self, depth: int) -> Expression:
        left = self._unary(depth)
        while self._take("word", "and"):
            left = Both(left, self._unary(depth))
        return left

    def _unary(self, depth: int) -> Expression:
        if depth > _DEEPEST:
            raise BadQuery(f"The filter is nested deeper than {_DEEPEST} levels.")
        if self._take("word", "not"):
            return Not(self._unary(depth + 1))
        if self._take("mark", "("):
            inner = self.either(depth + 1)
            self._need("mark", ")")
            return inner
        word = self._need("word")
        return self._call(word) if word.text in _FUNCTIONS else self._comparison(word)

    def _call(self, function: _Token) -> Expression:
        self._need("mark", "(")
        path = self._path(self._need("word"))
        self._need("mark", ",")
        value = self._literal(path)
        self._need("mark", ")")
        if self._schema[path] is not Kind.TEXT or not isinstance(value, str):
            raise BadQuery(f"{function.text} needs a text property and a text, at position {function.at}.")
        return Call(function.text, path, value)

    def _comparison(self, word: _Token) -> Expression:
        path = self._path(word)
        operator = self._need("word")
        if operator.text not in _OPERATORS:
            raise BadQuery(f"Unknown operator '{operator.text}' at position {operator.at} in '{self._text}'.")
        value = self._literal(path)
        if operator.text not in {"eq", "ne"} and (value is None or isinstance(value, bool)):
            raise BadQuery(f"'{operator.text}' does not go with that value, at position {operator.at}.")
        return Comparison(path, operator.text, value)

    def _path(self, token: _Token) -> str:
        if token.text not in self._schema:
            raise BadQuery(f"Could not find a property named '{token.text}' that can be filtered by.")
        return token.text

    def _literal(self, path: str) -> Value:
        kind, token = self._schema[path], self._need()
        if token.kind == "word" and token.text == "null":
            return None
        value = _value(kind, token)
        if value is None:
            raise BadQuery(
                f"'{path}' is of type {kind} and cannot be compared with {token.text}, at position {token.at}."
            )
        return value

    def _take(self, kind: str, text: str) -> bool:
        if self._at < len(self._tokens):
            token = self._tokens[self._at]
            if token.kind == kind and token.text == text:
                self._at += 1
                return True
        return False

    def _need(self, kind: str = "", text: str = "") -> _Token:
        if self._at >= len(self._tokens):
            raise self._error()
        token = self._tokens[self._at]
        if (kind and token.kind != kind) or (text and token.text != text):
            raise self._error()
        self._at += 1
        return token

    def _error(self) -> BadQuery:
        at = self._tokens[self._at].at if self._at < len(self._tokens) else len(self._text)
        return BadQuery(f"Syntax error at position {at} in '{self._text}'.")


def _value(kind: Kind, token: _Token) -> Value:
    """The literal as a value of that kind; None when it is of another."""
    if kind in {Kind.TEXT, Kind.GUID} and token.kind == "text":
        return token.text[1:-1].replace("''", "'")
    if kind is Kind.GUID and token.kind == "guid":
        return token.text.lower()
    if kind is Kind.FLAG and token.kind == "word" and token.text in {"true", "false"}:
        return token.text == "true"
    if kind is Kind.MOMENT and token.kind == "moment":
        return moment(token.text)
    return None


def moment(text: str) -> datetime | None:
    """A DateTimeOffset as a time in UTC; None when it is none. Digits beyond microseconds are cut."""
    try:
        return datetime.fromisoformat(re.sub(r"(\.\d{6})\d+", r"\1", text)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def matches(expression: Expression, item: Mapping[str, Any], schema: Schema) -> bool:
    """True when the rendered item satisfies the filter. Texts compare without case, as Exchange and Entra do."""
    match expression:
        case Both(left, right):
            return matches(left, item, schema) and matches(right, item, schema)
        case Either(left, right):
            return matches(left, item, schema) or matches(right, item, schema)
        case Not(operand):
            return not matches(operand, item, schema)
        case Call(function, path, value):
            found = lookup(item, path)
            return isinstance(found, str) and _FUNCTIONS[function](found.casefold(), value.casefold())
        case Comparison(path, operator, value):
            return _compare(operator, _comparable(lookup(item, path), schema[path]), _folded(value))


def _compare(operator: str, found: Any, wanted: Any) -> bool:
    if operator in {"eq", "ne"}:
        return bool(found == wanted) is (operator == "eq")
    if found is None:
        return False
    return bool({"gt": found > wanted, "ge": found >= wanted, "lt": found < wanted, "le": found <= wanted}[operator])


def _comparable(found: Any, kind: Kind) -> Any:
    return moment(found) if kind is Kind.MOMENT and isinstance(found, str) else _folded(found)


def _folded(value: Any) -> Any:
    return value.casefold() if isinstance(value, str) else value


def lookup(item: Mapping[str, Any], path: str) -> Any:
    """The value at `from/emailAddress/address`; None when a part is missing."""
    value: Any = item
    for part in path.split("/"):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def filter_paths(expression: Expression) -> list[str]:
    """The properties in the order in which the filter names them."""
    match expression:
        case Both(left, right) | Either(left, right):
            return filter_paths(left) + filter_paths(right)
        case Not(operand):
            return filter_paths(operand)
        case Call(_, path, _) | Comparison(path, _, _):
            return [path]


@dataclass(frozen=True)
class Order:
    path: str
    descending: bool = False


def parse_orderby(text: str, schema: Schema) -> tuple[Order, ...]:
    """The sort keys of an `$orderby`. Raises `BadQuery`."""
    orders = []
    for part in text.split(","):
        path, *direction = part.split() or [""]
        if path not in schema:
            raise BadQuery(f"Could not find a property named '{path}' that can be sorted by.")
        if direction not in ([], ["asc"], ["desc"]):
            raise BadQuery(f"'{' '.join(direction)}' is not a direction: use asc or desc.")
        orders.append(Order(path, direction == ["desc"]))
    return tuple(orders)


def sort(items: list[Any], orders: tuple[Order, ...], schema: Schema, value: Callable[[Any, str], Any]) -> list[Any]:
    """The items in order; `value(item, path)` gives what to sort by. Missing values come first."""
    for order in reversed(orders):

        def key(item: Any, path: str = order.path) -> tuple[bool, Any]:
            found = _comparable(value(item, path), schema[path])
            return (found is not None, found if found is not None else 0)

        items = sorted(items, key=key, reverse=order.descending)
    return items


def whole_number(text: str, option: str, least: int, most: int) -> int:
    """`$top`, `$skip` and the like. Raises `BadQuery`."""
    if not re.fullmatch(r"\d{1,9}", text) or not least <= int(text) <= most:
        raise BadQuery(f"Invalid value '{text}' for {option}: a whole number from {least} to {most} is wanted.")
    return int(text)


def boolean(text: str, option: str) -> bool:
    if text not in {"true", "false"}:
        raise BadQuery(f"Invalid value '{text}' for {option}: true or false is wanted.")
    return text == "true"
