"""The decision that a person wrote: an agreed phrase as a sentence of its own, or nothing.

`I accept this request` decides. `I do not accept this request`, `I accept this request if ...` and both phrases at
once do not: what can be read in two ways is asked again. There is no guessing of moods.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from postroom.mail.addresses import BadAddress, parse

ADDRESS = "{address}"
"""Stands in a phrase for the address of the person to delegate to."""
_ADDRESS = re.compile(r"<?(?:mailto:)?([^\s<>()\[\]\"',;:@]{1,64}@[A-Za-z0-9.\u00a1-\u2fff-]{1,253}[A-Za-z0-9])>?")
_LINKED = re.compile(
    r"\[?(?P<a>[^\s<>\[\]()@]{1,64}@[^\s<>\[\]()@]{1,253})\]?\s?[<(\[](?:mailto:)?(?P=a)[>)\]]", re.IGNORECASE
)
_PLACE = "\ufffc"
_ENDS = re.compile(r"(?<=[.!])\s+|(?<=[。！])|(?<=[?？؟])")  # noqa: RUF001 - of East Asian and Arabic writing
_AROUND = " \t\n\"'“”„«»‚‘’*_`<>•·.,;:!¡。、！،-"  # noqa: RUF001
_WORD = re.compile(rf"[\w{_PLACE}]+")
_ASKING = re.compile(r"[?？؟¿]")  # noqa: RUF001
# How a sentence, or the rest of one on the next line, begins that takes something back.
_CONDITION = re.compile(
    r"(?:but|only|unless|except|if|provided|however|on condition|under protest|not|no|wait|as long as|assuming|given"
    r"|subject to|pending|once|when|until|after|though|although"
    r"|aber|nur|außer|falls|sofern|wenn|jedoch|unter der bedingung|nicht|nein|solange|sobald|vorausgesetzt|nachdem|bis"
    r"|mais|seulement|sauf|si|à condition|pas|non|tant que|pourvu|dès que|lorsque|quand|sous réserve"
    r"|pero|s[oó]lo|salvo|excepto|siempre que|mientras|cuando|una vez|con tal|a condición"
    r"|mas|só|somente|apenas|exceto|se|desde que|não|enquanto|quando|assim que|contanto"
    r"|ma|solo|tranne|a condizione|a patto|finché|purché|appena"
    r"|maar|alleen|behalve|mits|als|tenzij|niet|nee|zolang|zodra|wanneer)\b"
    r"|(?:ただし|但し|しかし|もし|لكن|فقط|إلا|بشرط|لا |إذا)",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Choice:
    """One of the answers to a question, and the phrases that give it, in any language."""

    name: str
    phrases: tuple[str, ...]
    """With `{address}` in them where the choice takes one."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What was decided. `to` is the bare address delegated to, in lower case, else empty."""

    choice: str
    to: str = ""


class Unclear(StrEnum):
    """Why there is no decision; each is answered with what to write instead."""

    NOTHING = "no phrase that decides was found"
    CONTRADICTION = "more than one decision was found"
    QUALIFIED = "a phrase was found in a longer sentence, beside a condition, or in a question"
    SEVERAL_ADDRESSES = "there is more than one address to delegate to"
    NO_ADDRESS = "there is no valid address to delegate to"


ACCEPT, REJECT, DELEGATE = "accept", "reject", "delegate"
_PHRASES: dict[str, tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]] = {
    "en": (
        ("I accept this request", "I approve this request"),
        ("I reject this request", "I decline this request"),
        ("delegate {address}", "delegate to {address}", "I delegate this request to {address}"),
    ),
    "de": (
        ("Ich genehmige diese Anfrage", "Ich nehme diese Anfrage an", "Ich genehmige diesen Antrag"),
        ("Ich lehne diese Anfrage ab", "Ich lehne diesen Antrag ab"),
        ("delegieren an {address}", "Ich delegiere diese Anfrage an {address}", "Ich delegiere an {address}"),
    ),
    "fr": (
        ("J'accepte cette demande", "J'approuve cette demande"),
        ("Je refuse cette demande", "Je rejette cette demande"),
        ("déléguer à {address}", "Je délègue cette demande à {address}", "Je délègue à {address}"),
    ),
    "es": (
        ("Acepto esta solicitud", "Apruebo esta solicitud"),
        ("Rechazo esta solicitud",),
        ("delegar a {address}", "delegar en {address}", "Delego esta solicitud en {address}"),
    ),
    "pt": (
        ("Aceito este pedido", "Aprovo este pedido", "Aceito esta solicitação", "Aprovo esta solicitação"),
        ("Rejeito este pedido", "Recuso este pedido", "Rejeito esta solicitação"),
        ("delegar para {address}", "delegar a {address}", "Delego este pedido a {address}"),
    ),
    "it": (
        ("Accetto questa richiesta", "Approvo questa richiesta"),
        ("Rifiuto questa richiesta", "Respingo questa richiesta"),
        ("delegare a {address}", "delega a {address}", "Delego questa richiesta a {address}"),
    ),
    "nl": (
        ("Ik keur dit verzoek goed", "Ik accepteer dit verzoek"),
        ("Ik keur dit verzoek af", "Ik wijs dit verzoek af"),
        ("delegeren aan {address}", "Ik delegeer dit verzoek aan {address}"),
    ),
    "ja": (
        ("この申請を承認します", "この依頼を承認します", "承認します"),
        ("この申請を却下します", "この依頼を却下します", "却下します"),
        ("{address} に委任します", "この申請を {address} に委任します"),
    ),
    "ar": (
        ("أوافق على هذا الطلب", "أقبل هذا الطلب"),
        ("أرفض هذا الطلب",),
        ("تفويض {address}", "أفوض {address}", "تفويض إلى {address}"),
    ),
}
LANGUAGES = tuple(_PHRASES)


def approval(*languages: str) -> tuple[Choice, ...]:
    """Accept, reject and delegate in these languages (`de`, `pt-BR`) and English; unknown ones are left out."""
    wanted = dict.fromkeys([*(language.lower().replace("_", "-").partition("-")[0] for language in languages), "en"])
    known = [_PHRASES[language] for language in wanted if language in _PHRASES]
    return tuple(
        Choice(name, tuple(phrase for phrases in known for phrase in phrases[at]))
        for at, name in enumerate((ACCEPT, REJECT, DELEGATE))
    )


def decide(versions: Sequence[str], choices: Sequence[Choice]) -> Decision | Unclear:
    """From the new words of a reply, in each version that the message has of them: all must say the same."""
    found = {_decided(text, choices) for text in versions} or {Unclear.NOTHING}
    return found.pop() if len(found) == 1 else Unclear.CONTRADICTION


def _decided(text: str, choices: Sequence[Choice]) -> Decision | Unclear:
    seen = _read(text.splitlines(), choices)
    if seen in {Unclear.NOTHING, Unclear.NO_ADDRESS}:  # the program may have broken a sentence over lines
        seen = _read([" ".join(paragraph.split()) for paragraph in re.split(r"\n\s*\n", text)], choices)
    return seen


def _read(lines: Iterable[str], choices: Sequence[Choice]) -> Decision | Unclear:
    phrases = {_normal(phrase.replace(ADDRESS, _PLACE)): choice.name for choice in choices for phrase in choice.phrases}
    decisions: set[Decision] = set()
    faults: list[Unclear] = []
    conditioned = False
    for sentence in _sentences(lines):
        addresses, bare = _taken_out(sentence)
        words = _normal(bare)
        fits = phrases.get(words)
        if _ASKING.search(sentence) and _mentions(words, phrases):
            faults.append(Unclear.QUALIFIED)
        elif fits is not None:
            decision = _with_address(fits, addresses, takes_one=_PLACE in words)
            decisions.add(decision) if isinstance(decision, Decision) else faults.append(decision)
        elif _mentions(words, phrases):
            faults.append(Unclear.SEVERAL_ADDRESSES if len(set(addresses)) > 1 else Unclear.QUALIFIED)
        elif any(words == phrase.replace(_PLACE, "").strip() for phrase in phrases):
            faults.append(Unclear.NO_ADDRESS)
        elif _CONDITION.match(words):
            conditioned = True
    if len(decisions) > 1:
        only = {decision.choice for decision in decisions}
        return Unclear.CONTRADICTION if len(only) > 1 else Unclear.SEVERAL_ADDRESSES
    if faults:
        return faults[0]
    if conditioned and decisions:
        return Unclear.QUALIFIED
    return decisions.pop() if decisions else Unclear.NOTHING


def _sentences(lines: Iterable[str]) -> Iterator[str]:
    for line in lines:
        yield from (piece for piece in _ENDS.split(line) if piece and piece.strip())


def _taken_out(sentence: str) -> tuple[list[str], str]:
    """The addresses, and the sentence with a mark in their places; `a@b<mailto:a@b>` is one."""
    once = _LINKED.sub(lambda match: match["a"], sentence)
    addresses = [found.strip(".").casefold() for found in _ADDRESS.findall(once)]
    return addresses, _ADDRESS.sub(f" {_PLACE} ", once)


def _with_address(choice: str, addresses: list[str], *, takes_one: bool) -> Decision | Unclear:
    if not takes_one:
        return Decision(choice)
    try:
        return Decision(choice, parse(addresses[0]).mailbox)
    except (BadAddress, IndexError):
        return Unclear.NO_ADDRESS


def _mentions(words: str, phrases: Iterable[str]) -> bool:
    """Whether a sentence that is no phrase has the words of one in it, in their order: with `not`, `if` or more."""
    spoken = _WORD.findall(words)
    for phrase in phrases:
        every = _WORD.findall(phrase)
        wanted = [word for word in every if len(word) > 1 or word == _PLACE] or every
        rest = iter(spoken)
        if wanted and all(word in rest for word in wanted):
            return True
        # Japanese has no blanks between words, and negates in the ending.
        if not phrase.isascii() and _PLACE not in phrase and phrase[:-2] in words and "\u3040" < phrase[-1] < "\u30ff":
            return True
    return False


def _normal(words: str) -> str:
    """For comparing: case, width, form of accents and apostrophes, and what stands around do not count."""
    text = unicodedata.normalize("NFKC", words).casefold().replace("\u2019", "'").replace("`", "'")
    text = " ".join(text.split())
    return text.strip(_AROUND)
