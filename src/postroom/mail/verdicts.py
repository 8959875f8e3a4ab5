"""What a mailed reply to a question is worth: a decision, or the reason why it is none, and what to do then.

A decision needs three things at once: a token of this question that we made and that is still good, the address that
was asked, and the pinned receiver's word that From is true. One missing, and nothing is decided.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from postroom.mail.authenticity import Authentic, Doubt, Proof, Receiver, authenticity
from postroom.mail.autoreplies import Robot, automatic
from postroom.mail.bounces import read_bounce
from postroom.mail.decisions import Choice, Decision, Unclear, decide
from postroom.mail.message import Message
from postroom.mail.replies import read_reply
from postroom.mail.reply_tokens import is_ours, question_of
from postroom.mail.threads import Traces, traces

_STRENGTH = (Proof.SPF, Proof.DKIM, Proof.DMARC)


@dataclass(frozen=True, slots=True)
class Question:
    """One question to one person, as it stands now."""

    id: str
    asked: str
    """The bare address of who decides."""
    choices: Sequence[Choice]
    until: datetime
    """Aware."""
    decided: bool = False
    spent: bool = False
    """Whether its token was used, or replaced by another."""
    by_mail: bool = True
    """Whether the asker lets it be decided by mail at all."""
    proof: Proof = Proof.SPF
    """The weakest that will do."""


class Treatment(StrEnum):
    """What becomes of the message."""

    DECIDE = "decide"
    ASK = "ask"
    """Answer with what to write; the question stays open. Ask a few times at most: a robot may be unmarked."""
    TELL = "tell"
    """Answer with the reason; there is nothing more to do by mail."""
    QUARANTINE = "quarantine"
    """A person settles it."""
    IGNORE = "ignore"
    """Recorded, and never answered: a program wrote it (RFC 3834 section 2)."""


class Objection(StrEnum):
    """Why it decides nothing, apart from `Doubt` (who wrote it), `Robot` and `Unclear` (what it says)."""

    BOUNCE = "it is a report of non-delivery"
    NO_TOKEN = "there is no reply token in it"
    SEVERAL_TOKENS = "there are tokens of more than one question in it"
    FORGED_TOKEN = "its token was not made by us for this question and address"
    UNKNOWN = "its token is of no question that is known"
    OTHER_PERSON = "somebody else was asked"
    FORWARDED = "it was forwarded"
    WEAK_PROOF = "the question asks for a stronger proof of who wrote it"
    NOT_BY_MAIL = "the question cannot be decided by mail"
    DECIDED = "the question is decided already"
    SPENT = "its token was used already"
    LATE = "the time to decide is over"
    SELF = "it delegates to the person who was asked"


Reason = Objection | Doubt | Robot | Unclear


@dataclass(frozen=True, slots=True)
class Verdict:
    """`decision` only with `Treatment.DECIDE`; `reason` with all others."""

    treatment: Treatment
    decision: Decision | None = None
    reason: Reason | None = None
    question: str = ""
    """Id of the question it is about, as far as its token was proved."""
    author: str = ""
    """Who wrote it, proved: the only address that an answer may go to. Empty for programs and for doubtful mail."""
    detail: str = ""
    """Evidence, for the person who settles it."""


class _Ended(Exception):
    def __init__(self, treatment: Treatment, reason: Reason, detail: str = "", question: str = "") -> None:
        super().__init__(reason)
        self.verdict = Verdict(treatment, reason=reason, detail=detail, question=question)


def judge(
    message: Message,
    receiver: Receiver,
    find: Callable[[str], Question | None],
    keys: Sequence[bytes],
    own: Collection[str],
    now: datetime,
) -> Verdict:
    """`find` gives the question of an id; `keys` are those that tokens were made with; `own` are our bare addresses.

    `now` is aware. Never raises for anything in the message.
    """
    proved = ""
    try:
        _no_robot(message, own)
        author = _author(message, receiver)
        proved = author.address
        found = traces(message, own)
        question = _question(found, find, keys)
        _may_decide(question, author, found, now)
        verdict = _decision(message, question)
    except _Ended as ended:
        verdict = ended.verdict
    return replace(verdict, author=proved)


def _no_robot(message: Message, own: Collection[str]) -> None:
    if read_bounce(message):
        raise _Ended(Treatment.IGNORE, Objection.BOUNCE)
    robot = automatic(message, own)
    if robot:
        raise _Ended(Treatment.IGNORE, robot.robot, robot.sign)


def _author(message: Message, receiver: Receiver) -> Authentic:
    finding = authenticity(message, receiver)
    if isinstance(finding, Authentic):
        return finding
    raise _Ended(Treatment.QUARANTINE, finding.doubt, finding.detail)


def _question(found: Traces, find: Callable[[str], Question | None], keys: Sequence[bytes]) -> Question:
    """The one that the token is for, which was made for the person it was mailed to."""
    if len(found.tokens) != 1:
        raise _Ended(Treatment.QUARANTINE, Objection.SEVERAL_TOKENS if found.tokens else Objection.NO_TOKEN)
    token = found.tokens[0]
    question = find(question_of(token))
    if question is None:
        raise _Ended(Treatment.QUARANTINE, Objection.UNKNOWN)
    if not is_ours(token, keys, question.asked):
        raise _Ended(Treatment.QUARANTINE, Objection.FORGED_TOKEN)
    return question


def _may_decide(question: Question, author: Authentic, found: Traces, now: datetime) -> None:
    def end(treatment: Treatment, reason: Reason, detail: str = "") -> _Ended:
        return _Ended(treatment, reason, detail, question.id)

    if author.address.casefold() != question.asked.casefold():
        raise end(Treatment.QUARANTINE, Objection.OTHER_PERSON, author.address)
    if found.forwarded:
        raise end(Treatment.TELL, Objection.FORWARDED)
    if not question.by_mail:
        raise end(Treatment.TELL, Objection.NOT_BY_MAIL)
    if _STRENGTH.index(author.by) < _STRENGTH.index(question.proof):
        raise end(Treatment.TELL, Objection.WEAK_PROOF, author.by)
    if question.decided:
        raise end(Treatment.TELL, Objection.DECIDED)
    if question.spent:
        raise end(Treatment.TELL, Objection.SPENT)
    if now > question.until:
        raise end(Treatment.TELL, Objection.LATE)


def _decision(message: Message, question: Question) -> Verdict:
    decision = decide(read_reply(message).versions, question.choices)
    if isinstance(decision, Unclear):
        raise _Ended(Treatment.ASK, decision, question=question.id)
    if decision.to and decision.to.casefold() == question.asked.casefold():
        raise _Ended(Treatment.ASK, Objection.SELF, question=question.id)
    return Verdict(Treatment.DECIDE, decision, question=question.id)
