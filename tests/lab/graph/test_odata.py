"""The OData subset: what it takes it takes rightly, what it does not take it refuses."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from m365lab.graph.odata import (
    BadQuery,
    Both,
    Call,
    Comparison,
    Either,
    Expression,
    Kind,
    Not,
    Order,
    Schema,
    filter_paths,
    matches,
    parse_filter,
    parse_orderby,
    sort,
)

SCHEMA: Schema = {
    "isRead": Kind.FLAG,
    "receivedDateTime": Kind.MOMENT,
    "subject": Kind.TEXT,
    "from/emailAddress/address": Kind.TEXT,
    "appId": Kind.GUID,
}
ITEM = {
    "isRead": False,
    "receivedDateTime": "2026-11-23T10:00:00Z",
    "subject": "It's a test (and more)",
    "from": {"emailAddress": {"address": "Ann@Fabrikam.example"}},
    "appId": "00000002-0000-0ff1-ce00-000000000000",
}


@pytest.mark.parametrize(
    ("text", "matched"),
    [
        ("isRead eq false", True),
        ("isRead ne false", False),
        ("not isRead eq true", True),
        ("subject eq 'it''s a test (and more)'", True),
        ("startswith(subject, 'It''s')", True),
        ("contains(subject,'and')", True),
        ("endswith(subject,'test')", False),
        ("from/emailAddress/address eq 'ann@fabrikam.example'", True),
        ("receivedDateTime ge 2026-11-23T10:00:00Z", True),
        ("receivedDateTime gt 2026-11-23T10:00:00.000Z", False),
        ("receivedDateTime lt 2026-11-23T12:00:00+01:00", True),
        ("receivedDateTime le 2026-11-23T10:00:00.1234567Z", True),
        ("isRead eq true or isRead eq false and subject eq 'no'", False),
        ("(isRead eq true or isRead eq false) and contains(subject,'more')", True),
        ("appId eq '00000002-0000-0FF1-CE00-000000000000'", True),
        ("appId eq 00000002-0000-0ff1-ce00-000000000000", True),
        ("subject ne null", True),
    ],
)
def test_filter_decides(text: str, matched: bool) -> None:
    assert matches(parse_filter(text, SCHEMA), ITEM, SCHEMA) is matched


def test_and_binds_closer_than_or() -> None:
    read, text = Comparison("isRead", "eq", True), Comparison("subject", "eq", "a")
    assert parse_filter("isRead eq true or subject eq 'a' and isRead eq true", SCHEMA) == Either(read, Both(text, read))


@pytest.mark.parametrize(
    "text",
    [
        "isRead",
        "isRead eq",
        "isRead eq 'false'",
        "isRead gt true",
        "isRead is true",
        "unknown eq 1",
        "subject eq 5",
        "subject eq 'open",
        "subject eq 'a' and",
        "(subject eq 'a'",
        "subject eq 'a')",
        "subject eq 'a' subject eq 'b'",
        "receivedDateTime ge '2026-11-23'",
        "receivedDateTime ge 2026-13-41T00:00:00Z",
        "startswith(isRead, 'x')",
        "contains(subject)",
        "any(subject eq 'a')",
        "isRead eq false; drop",
        "(" * 200 + "isRead eq true" + ")" * 200,
        "not " * 2000 + "isRead eq true",
    ],
)
def test_what_is_outside_is_refused(text: str) -> None:
    with pytest.raises(BadQuery):
        parse_filter(text, SCHEMA)


_texts = st.text(max_size=20)
_moments = st.datetimes(min_value=datetime(1970, 1, 1), max_value=datetime(2100, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
_comparisons = st.one_of(
    st.builds(Comparison, st.just("isRead"), st.sampled_from(["eq", "ne"]), st.booleans()),
    st.builds(Comparison, st.just("subject"), st.sampled_from(["eq", "ne", "gt", "le"]), _texts),
    st.builds(Comparison, st.just("receivedDateTime"), st.sampled_from(["eq", "ge", "lt"]), _moments),
    st.builds(Call, st.sampled_from(["startswith", "endswith", "contains"]), st.just("subject"), _texts),
)
_expressions: st.SearchStrategy[Expression] = st.recursive(
    _comparisons,
    lambda inner: st.one_of(st.builds(Not, inner), st.builds(Both, inner, inner), st.builds(Either, inner, inner)),
    max_leaves=12,
)


def _written(expression: Expression) -> str:
    match expression:
        case Both(left, right):
            return f"({_written(left)}) and ({_written(right)})"
        case Either(left, right):
            return f"({_written(left)}) or ({_written(right)})"
        case Not(operand):
            return f"not ({_written(operand)})"
        case Call(function, path, value):
            return f"{function}({path},{_literal(value)})"
        case Comparison(path, operator, value):
            return f"{path} {operator} {_literal(value)}"


def _literal(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    doubled = str(value).replace("'", "''")
    return f"'{doubled}'"


@given(_expressions)
def test_what_is_written_is_what_is_read(expression: Expression) -> None:
    assert parse_filter(_written(expression), SCHEMA) == expression


@given(_expressions, st.booleans(), _texts, _moments)
def test_not_turns_every_filter_round(expression: Expression, read: bool, subject: str, at: datetime) -> None:
    item = {"isRead": read, "subject": subject, "receivedDateTime": _literal(at)}
    assert matches(Not(expression), item, SCHEMA) is not matches(expression, item, SCHEMA)


@given(
    st.one_of(st.text(), st.lists(st.sampled_from(["isRead", "eq", "true", "(", ")", "not", "and", "'"])).map(" ".join))
)
def test_any_text_is_read_or_refused(text: str) -> None:
    with contextlib.suppress(BadQuery):
        parse_filter(text, SCHEMA)


def test_paths_come_in_the_order_of_the_filter() -> None:
    parsed = parse_filter(
        "receivedDateTime ge 2026-01-01T00:00:00Z and (isRead eq true or contains(subject,'x'))", SCHEMA
    )
    assert filter_paths(parsed) == ["receivedDateTime", "isRead", "subject"]


def test_orderby_sorts_by_each_key_in_turn() -> None:
    orders = parse_orderby("isRead, receivedDateTime desc", SCHEMA)
    assert orders == (Order("isRead"), Order("receivedDateTime", descending=True))
    start = datetime(2026, 1, 1, tzinfo=UTC)
    items = [{"isRead": n % 2 == 0, "receivedDateTime": (start + timedelta(days=n)).isoformat()} for n in range(4)]
    in_order = sort(items, orders, SCHEMA, lambda item, path: item.get(path))
    assert [items.index(item) for item in in_order] == [3, 1, 2, 0]


@pytest.mark.parametrize("text", ["", "nothing", "subject sideways", "subject desc asc"])
def test_orderby_refuses(text: str) -> None:
    with pytest.raises(BadQuery):
        parse_orderby(text, SCHEMA)
