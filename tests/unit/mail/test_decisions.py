"""An agreed phrase alone decides; all else is asked again."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.mail.decisions import LANGUAGES, Choice, Decision, Unclear, approval, decide


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_phrase_of_every_language_decides(language: str):
    choices = approval(language)
    for choice in choices:
        for phrase in choice.phrases:
            said = phrase.replace("{address}", "dana@fabrikam.example")
            to = "dana@fabrikam.example" if "{address}" in phrase else ""
            for form in (said, said.upper(), f"{said}.", f'"{said}"', f"{said}!\nRegards"):
                assert decide([form], choices) == Decision(choice.name, to), form


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", Unclear.NOTHING),
        ("Yes", Unclear.NOTHING),
        ("I do not accept this request", Unclear.QUALIFIED),
        ("I accept this request, if it is cheap", Unclear.QUALIFIED),
        ("I accept this request. Only from Monday.", Unclear.QUALIFIED),
        ("I accept this request\nas long as it is cheap", Unclear.QUALIFIED),
        ("I accept this request?", Unclear.QUALIFIED),
        ("I accept this request. I do not accept this request.", Unclear.QUALIFIED),
        ("I accept this request\nI reject this request", Unclear.CONTRADICTION),
        ("I accept this request\ndelegate a@b.example", Unclear.CONTRADICTION),
        ("delegate a@b.example\ndelegate c@d.example", Unclear.SEVERAL_ADDRESSES),
        ("delegate a@b.example and c@d.example", Unclear.SEVERAL_ADDRESSES),
        ("delegate a@b.example<mailto:c@d.example>", Unclear.SEVERAL_ADDRESSES),
        ("delegate", Unclear.NO_ADDRESS),
        ("delegate to", Unclear.NO_ADDRESS),
        ("delegate a@b..example", Unclear.NO_ADDRESS),
        ("この申請を承認しません。", Unclear.QUALIFIED),
        ("لا أوافق على هذا الطلب", Unclear.QUALIFIED),
        ("Ich genehmige diese Anfrage nicht", Unclear.QUALIFIED),
    ],
)
def test_what_is_asked_again(text: str, why: Unclear):
    assert decide([text], approval("de", "ja", "ar")) is why


@pytest.mark.parametrize(
    ("text", "to"),
    [
        ("delegate Dana.Doe@Fabrikam.Example", "dana.doe@fabrikam.example"),
        ("delegate <dana@fabrikam.example>", "dana@fabrikam.example"),
        ("delegate dana@fabrikam.example<mailto:dana@fabrikam.example>.", "dana@fabrikam.example"),
        ("delegate\ndana@fabrikam.example", "dana@fabrikam.example"),
        ("delegate dana@fabrikam.example\ndelegate dana@fabrikam.example", "dana@fabrikam.example"),
    ],
)
def test_who_is_delegated_to(text: str, to: str):
    assert decide([text], approval()) == Decision("delegate", to)


def test_a_sentence_that_a_program_broke_over_lines():
    assert decide(["I accept\nthis request\n\nThanks"], approval()) == Decision("accept")


def test_phrases_of_other_languages_do_not_count():
    assert decide(["Ich genehmige diese Anfrage"], approval("fr")) is Unclear.NOTHING
    assert decide(["I accept this request"], approval("fr", "xx", "pt_BR")) == Decision("accept")


def test_choices_of_the_askers_own():
    choices = (Choice("red", ("Take the red one",)), Choice("blue", ("Take the blue one",)))
    assert decide(["Take the blue one"], choices) == Decision("blue")
    assert decide(["Take the green one"], choices) is Unclear.NOTHING
    assert decide(["Well then"], (Choice("a", ("A",)), Choice("b", ("B",)))) is Unclear.NOTHING


def test_versions_must_agree():
    assert decide(["I accept this request", "I reject this request"], approval()) is Unclear.CONTRADICTION
    assert decide(["I accept this request", "See below"], approval()) is Unclear.CONTRADICTION
    assert decide([], approval()) is Unclear.NOTHING


@given(st.text(max_size=200))
def test_nothing_breaks_it(text: str):
    assert isinstance(decide([text], approval(*LANGUAGES)), Decision | Unclear)


@given(st.text(alphabet=st.sampled_from("abcdefgh ijk"), min_size=1, max_size=20))
def test_a_phrase_with_words_around_it_is_never_that_decision(words: str):
    said = decide([f"x{words}x I accept this request x{words}x"], approval())
    assert isinstance(said, Unclear)
