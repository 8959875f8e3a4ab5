"""RFC 8601, section 2.2 and appendix B, and what Exchange Online and Gmail write."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from postroom.mail.authresults import Clause, Results, parse
from postroom.mail.structured import NotUnderstood


@pytest.mark.parametrize(
    ("value", "results"),
    [
        ("example.org 1; none", Results("example.org", ())),
        ("example.com", Results("example.com", ())),
        (
            "example.com; spf=pass smtp.mailfrom=example.net",
            Results("example.com", (Clause("spf", "pass", {"smtp.mailfrom": "example.net"}),)),
        ),
        (
            "foo.example.net (foobar) 1 (baz);  dkim (Because I like it) / 1 (One yay) = (wait for it) fail\t"
            "policy (A dot can go here) .  (like that) expired (this surprised me) = (not expected) 1362471462",
            Results("foo.example.net", (Clause("dkim", "fail", {"policy.expired": "1362471462"}),)),
        ),
        (
            'mx.google.com; dkim=pass header.i=@a.example header.b="K/+x"; dmarc=pass (p=NONE) header.from=a.example',
            Results(
                "mx.google.com",
                (
                    Clause("dkim", "pass", {"header.i": "@a.example", "header.b": "K/+x"}),
                    Clause("dmarc", "pass", {"header.from": "a.example"}),
                ),
            ),
        ),
        (
            "spf=pass (sender IP is 192.0.2.1) smtp.mailfrom=a.example; dmarc=pass action=none header.from=a.example;",
            Results(
                "",
                (
                    Clause("spf", "pass", {"smtp.mailfrom": "a.example"}),
                    Clause("dmarc", "pass", {"action": "none", "header.from": "a.example"}),
                ),
            ),
        ),
        ('"quoted.example"; spf=fail', Results("quoted.example", (Clause("spf", "fail"),))),
        ("MX.Example; SPF=Pass", Results("mx.example", (Clause("spf", "pass"),))),
        (
            'x; spf=pass smtp.mailfrom="a;b"@c.example',
            Results("x", (Clause("spf", "pass", {"smtp.mailfrom": "a;b@c.example"}),)),
        ),
    ],
)
def test_what_the_field_says(value: str, results: Results):
    assert parse(value) == results


@pytest.mark.parametrize(
    "value",
    [
        "",
        ";",
        "x 2; spf=pass",
        "x; spf/2=pass",
        "x; spf",
        "x; spf=",
        "x; =pass",
        "x; spf=pass; none",
        "x; none; none; spf=pass",
        "x; spf=pass(a",
        'x; spf=pass a.b="c',
        "x; spf=pass a.b=1 a.b=2",
        "x; spf=pass@evil.example",
        "x; spf=pass a",
        "x spf=pass",
        "x; spf=pass )",
        "(" * 30 + ")" * 30 + "x; none",
    ],
)
def test_what_is_not_by_the_grammar_is_refused_as_a_whole(value: str):
    with pytest.raises(NotUnderstood):
        parse(value)


@given(st.text(alphabet=st.sampled_from('mx;=()"\\ a.b/1\t@passdmrc\x00é'), max_size=60))
@example("m;s=p\\")
def test_anything_is_read_or_refused(value: str):
    try:
        results = parse(value)
    except NotUnderstood:
        return
    assert all(clause.method and clause.result for clause in results.clauses)


@given(st.text(max_size=40))
def test_nothing_escapes_a_quoted_string(inside: str):
    quoted = inside.replace("\\", "\\\\").replace('"', '\\"')
    try:
        results = parse(f'mx; spf=fail smtp.mailfrom="{quoted}"@evil.example; dmarc=fail')
    except NotUnderstood:
        return  # a control character
    assert [(clause.method, clause.result) for clause in results.clauses] == [("spf", "fail"), ("dmarc", "fail")]
