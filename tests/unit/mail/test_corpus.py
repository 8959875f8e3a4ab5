"""Every message of tests/corpus is understood as written beside it, or its miss has a name in the docs."""

from __future__ import annotations

from corpus import understanding
from corpus.understanding import Case
from postroom.mail.authenticity import Authentic, authenticity
from postroom.mail.message import Message
from postroom.mail.verdicts import Treatment


def unexplained(cases: list[Case]) -> list[tuple[str, object, object]]:
    return [(case.name, case.wanted, case.got) for case in cases if not case.right and not case.miss]


def healed(cases: list[Case]) -> list[str]:
    return [case.name for case in cases if case.right and case.miss]


def test_replies():
    cases = list(understanding.replies())
    assert unexplained(cases) == []
    assert healed(cases) == []
    assert len({case.about["language"] for case in cases}) >= 6
    assert len({case.about["client"] for case in cases}) >= 8


def test_no_reply_is_understood_as_another_decision_than_it_makes():
    """A miss may ask again; it must never decide something else."""
    wrong = []
    for case in understanding.replies():
        wanted, got = case.wanted[1], case.got[1]  # type: ignore[index]
        if got != wanted and not got.startswith("unclear"):
            wrong.append(case.name)
    assert wrong == []


def test_bounces():
    cases = list(understanding.bounces())
    assert unexplained(cases) == []
    assert healed(cases) == []
    assert len({case.about["language"] for case in cases}) >= 6


def test_automatic_replies():
    cases = list(understanding.robots())
    assert unexplained(cases) == []
    assert healed(cases) == []
    assert len({case.about["language"] for case in cases}) >= 6


def test_no_forged_reply_is_accepted_and_each_has_its_reason():
    cases = list(understanding.forged())
    assert len(cases) >= 30
    assert [case.name for case in cases if case.got[0] == "DECIDE"] == []  # type: ignore[index]
    assert unexplained(cases) == []


def test_the_same_reply_unforged_is_accepted():
    """Else the corpus would prove nothing: one true reply, made from a forged one by removing the forgery."""
    raw = (understanding.HERE / "forged" / "delegate-to-two.eml").read_bytes()
    honest = raw.replace(b"delegate dana@fabrikam.example, eve@evil.example", b"delegate dana@fabrikam.example")
    verdict = understanding.verdict_on(Message(honest))
    assert verdict.treatment is Treatment.DECIDE
    assert verdict.decision
    assert verdict.decision.to == "dana@fabrikam.example"
    assert verdict.author == understanding.BOB


def test_every_shaped_reply_is_authentic():
    for name, _, message in understanding._corpus("replies"):
        assert isinstance(authenticity(message, understanding.RECEIVER), Authentic), name


def test_the_docs_are_current():
    """Make them with: python tests/corpus/understanding.py"""
    page = understanding.PAGE.read_text(encoding="utf-8")
    assert page.partition(understanding.MARK)[2] == understanding.as_markdown() + "\n"


def test_the_docs_name_every_miss():
    page = understanding.PAGE.read_text(encoding="utf-8")
    cases = [*understanding.replies(), *understanding.bounces(), *understanding.robots()]
    misses = [case.miss for case in cases if case.miss]
    assert misses
    assert [miss for miss in misses if miss not in page] == []
