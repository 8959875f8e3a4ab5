"""What an attempt means: for the message, for each recipient, and for the lane. Pure.

The classes come from the one catalogue (`microsoft.errors`); here is only what follows from them. A fault of the
set-up, of the network or of the pace is the lane's: it brakes the lane, and the message waits as before, without an
attempt burned. Two codes mislead, and the catalogue knows them: 430 4.2.0 sounds temporary and is a missing
permission; 554 SubmissionQuotaExceeded sounds final and passes by itself (facts 5).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from types import MappingProxyType

from postroom.microsoft.answers import Answer, Step
from postroom.microsoft.catalogue import Kind
from postroom.microsoft.errors import Diagnosis
from postroom.outbox.values import Priority, State
from postroom.transports.base import Accepted, Rejected, SendResult, Unanswered

Explain = Callable[[Answer], Diagnosis]

_BEFORE_THE_MESSAGE = frozenset({Step.RESOLVE, Step.CONNECT, Step.TLS, Step.TOKEN, Step.CLAIMS, Step.SIGN_IN})
"""What is refused here has nothing to do with the message at hand."""
_ABOUT_THE_SENDER = frozenset({"smtp-sender-not-allowed", "smtp-send-as-denied", "graph-send-as-denied"})
"""Permissions that concern one From address. For the mailbox's own address they stop the lane."""

_FIRST_PAUSE = {Priority.URGENT: 10.0, Priority.NORMAL: 60.0, Priority.BULK: 120.0}
_LONGEST_PAUSE = 3600.0
_SENDER_PAUSE = 900.0
_AWAY = (2.0, 5.0, 10.0, 20.0, 40.0, 60.0)
"""Seconds between two looks at a server that does not answer; the last for ever after."""
_STOPPED = (15.0, 30.0, 60.0, 120.0, 300.0)
"""Between two looks at a set-up that is at fault: it may be mended any time, and takes minutes to spread (facts 8)."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of the message."""

    state: State
    """SENT, DEFERRED, FAILED, UNKNOWN, or QUEUED: as before, for the lane was at fault."""
    outcome: str
    """In a word, for the attempt: sent, partly, deferred, failed, unknown, braked."""
    answer: Answer
    diagnosis: Diagnosis | None = None
    retry_in: float = 0.0
    """Seconds, for DEFERRED."""
    recipients: Mapping[str, tuple[State, str]] = field(default_factory=lambda: MappingProxyType({}))
    """What changed for single ones: state and the server's words."""
    server_message_id: str = ""

    @property
    def counts(self) -> bool:
        """Whether it burned an attempt."""
        return self.state is not State.QUEUED


class Brake(StrEnum):
    """Why a lane does not move."""

    THROTTLED = "throttled"
    """Too much, too fast: it waits as long as was said, and goes slower."""
    AWAY = "away"
    """The server is not reached, or not well."""
    STOPPED = "stopped"
    """The set-up is at fault: somebody must mend it. Alerted once."""


@dataclass(frozen=True, slots=True)
class Judgement:
    message: Verdict | None
    brake: Brake | None = None
    diagnosis: Diagnosis | None = None
    """Of the brake."""


def judge(
    result: SendResult,
    recipients: Sequence[str],
    explain: Explain,
    *,
    attempts: int,
    priority: Priority,
    own_sender: bool,
    jitter: float,
) -> Judgement:
    """`attempts` counts this one; `own_sender`: From is the mailbox's own; `jitter` is in [0, 1)."""
    match result:
        case Accepted():
            return Judgement(_taken(result, recipients, explain, attempts, priority, jitter))
        case Unanswered(answer=answer):
            return Judgement(Verdict(State.UNKNOWN, "unknown", answer, explain(answer)))
        case Rejected() if result.refused:
            return Judgement(_none_taken(result, recipients, explain, attempts, priority, jitter))
        case Rejected(answer=answer):
            return _refused(answer, explain, attempts, priority, own_sender, jitter)


def judge_opening(answer: Answer, explain: Explain) -> Judgement:
    """The connection did not come about; no message was touched."""
    return _of_lane(answer, explain(answer), None)


def back_off(attempts: int, priority: Priority, jitter: float) -> float:
    """Seconds to the next attempt: doubling, spread by a quarter either way so that many do not come at once."""
    pause = min(_FIRST_PAUSE[priority] * 2.0 ** min(max(attempts - 1, 0), 16), _LONGEST_PAUSE)
    return pause * (0.75 + 0.5 * jitter)


def brake_pause(brake: Brake, times: int, retry_after: float | None, jitter: float) -> float:
    """Seconds a lane waits after it was braked for the `times`-th time in a row (from 1)."""
    if brake is Brake.THROTTLED:
        return min(retry_after if retry_after is not None else 30.0, 3600.0) + jitter
    pauses = _AWAY if brake is Brake.AWAY else _STOPPED
    pause = pauses[min(max(times, 1), len(pauses)) - 1] * (0.75 + 0.5 * jitter)
    return max(pause, min(retry_after or 0.0, 3600.0))


def expiry_reason(expires_at: datetime, last: Mapping[str, object]) -> dict[str, object]:
    """The reason kept with a message that expired, with what had stopped it until then."""
    cause = f"it could not be sent before {expires_at:%Y-%m-%d %H:%M} UTC"
    why = last.get("cause")
    return {"cause": f"{cause}: {why}" if why else cause, "fix": "Retry it, or hand it in again.", "before": dict(last)}


def reason_of(verdict: Verdict) -> dict[str, object]:
    """What is kept with the message: empty when all is well."""
    if verdict.diagnosis is None:
        return {}
    found = verdict.diagnosis
    return {
        "fault": found.fault.id,
        "cause": found.cause,
        "fix": found.fix,
        "command": found.command,
        "kind": found.kind.value,
        "answer": said(found.answer),
    }


def said(answer: Answer) -> str:
    """The server's words in one line."""
    codes = [code for code in (answer.code, answer.enhanced) if code and code not in answer.text]
    return " ".join([*codes, answer.text]).strip()


def forecast(messages: int, per_minute: float | None, recipients: int, left_today: int | None) -> timedelta | None:
    """When the waiting ones will be gone at this pace; None when nothing limits it.

    What exceeds the day's recipients waits for the window to move on, which at worst takes the rest of a day.
    """
    if not messages:
        return timedelta(0)
    minutes = messages / per_minute if per_minute else 0.0
    if left_today is not None and recipients > left_today:
        minutes += 1440.0 * -(-(recipients - left_today) // max(left_today, 1)) if left_today else 1440.0
    return timedelta(minutes=minutes) if per_minute or minutes else None


def _refused(
    answer: Answer, explain: Explain, attempts: int, priority: Priority, own_sender: bool, jitter: float
) -> Judgement:
    found = explain(answer)
    if found.fault.id in _ABOUT_THE_SENDER and not own_sender:
        pause = max(_SENDER_PAUSE, back_off(attempts, priority, jitter))
        return Judgement(Verdict(State.DEFERRED, "deferred", answer, found, pause))
    if answer.step in _BEFORE_THE_MESSAGE or found.kind in {Kind.PERMISSION, Kind.THROTTLED} or _broke(answer):
        return _of_lane(answer, found, Verdict(State.QUEUED, "braked", answer, found))
    if found.kind is Kind.TRANSIENT:
        pause = max(back_off(attempts, priority, jitter), found.retry_after or 0.0)
        return Judgement(Verdict(State.DEFERRED, "deferred", answer, found, pause))
    return Judgement(Verdict(State.FAILED, "failed", answer, found))


def _of_lane(answer: Answer, found: Diagnosis, message: Verdict | None) -> Judgement:
    if found.kind is Kind.THROTTLED:
        return Judgement(message, Brake.THROTTLED, found)
    # A final answer before the message was even named is a fault of the set-up, whatever its code.
    stopped = found.kind in {Kind.PERMISSION, Kind.PERMANENT}
    return Judgement(message, Brake.STOPPED if stopped else Brake.AWAY, found)


def _broke(answer: Answer) -> bool:
    """The connection broke before the message was handed over, or the server closes (421)."""
    return answer.service.value == "network" or answer.code == "421"


def _taken(
    result: Accepted, recipients: Sequence[str], explain: Explain, attempts: int, priority: Priority, jitter: float
) -> Verdict:
    """For some or all."""
    states: dict[str, tuple[State, str]] = {}
    later: Diagnosis | None = None
    never: Diagnosis | None = None
    for recipient in recipients:
        answer = result.refused.get(recipient)
        if answer is None:
            states[recipient] = (State.SENT, said(result.answer))
            continue
        found = explain(answer)
        if found.kind is Kind.PERMANENT:
            never = never or found
            states[recipient] = (State.FAILED, said(answer))
        else:
            later = later or found
            states[recipient] = (State.DEFERRED, said(answer))
    state = State.DEFERRED if later else State.SENT
    return Verdict(
        state,
        "partly" if later or never else "sent",
        result.answer,
        later or never,
        back_off(attempts, priority, jitter) if later else 0.0,
        states,
        result.message_id,
    )


def _none_taken(
    result: Rejected, recipients: Sequence[str], explain: Explain, attempts: int, priority: Priority, jitter: float
) -> Verdict:
    states: dict[str, tuple[State, str]] = {}
    later: Diagnosis | None = None
    never: Diagnosis | None = None
    for recipient in recipients:
        answer = result.refused.get(recipient, result.answer)
        found = explain(answer)
        if found.kind is Kind.PERMANENT:
            never = never or found
            states[recipient] = (State.FAILED, said(answer))
        else:
            later = later or found
            states[recipient] = (State.DEFERRED, said(answer))
    if later:
        return Verdict(State.DEFERRED, "deferred", result.answer, later, back_off(attempts, priority, jitter), states)
    return Verdict(State.FAILED, "failed", result.answer, never, 0.0, states)
