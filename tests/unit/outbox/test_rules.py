"""What an attempt means for message, recipients and lane."""

from __future__ import annotations

from datetime import timedelta

import pytest

from postroom.microsoft.answers import Answer, Service, Step
from postroom.microsoft.errors import explain
from postroom.outbox.rules import Brake, Judgement, back_off, brake_pause, forecast, judge, judge_opening
from postroom.outbox.values import Priority, State
from postroom.transports.base import Accepted, Rejected, SendResult, Unanswered

TO = ("ada@example.com", "bob@example.com")


def judged(result: SendResult, *, attempts: int = 1, own_sender: bool = True) -> Judgement:
    return judge(result, TO, explain, attempts=attempts, priority=Priority.NORMAL, own_sender=own_sender, jitter=0.5)


def smtp(code: str, text: str, step: Step = Step.DATA) -> Answer:
    return Answer(Service.SMTP, step, code, text)


def state(judgement: Judgement) -> State:
    assert judgement.message is not None
    return judgement.message.state


def test_taken_for_all() -> None:
    judgement = judged(Accepted(smtp("250", "2.0.0 OK"), "<id@server>"))
    assert judgement.brake is None
    assert judgement.message is not None
    assert judgement.message.state is State.SENT
    assert judgement.message.server_message_id == "<id@server>"
    assert {address: end for address, (end, _) in judgement.message.recipients.items()} == dict.fromkeys(TO, State.SENT)


def test_one_recipient_unknown_and_one_taken_is_sent() -> None:
    refused = {TO[1]: smtp("550", "5.1.1 no such user", Step.RECIPIENT)}
    judgement = judged(Accepted(smtp("250", "2.0.0 OK"), refused=refused))
    assert state(judgement) is State.SENT
    assert judgement.message is not None
    assert judgement.message.outcome == "partly"
    assert judgement.message.recipients[TO[1]] == (State.FAILED, "550 5.1.1 no such user")


def test_one_recipient_later_and_one_taken_goes_on_for_the_one() -> None:
    refused = {TO[1]: smtp("451", "4.3.0 later", Step.RECIPIENT)}
    judgement = judged(Accepted(smtp("250", "2.0.0 OK"), refused=refused))
    assert state(judgement) is State.DEFERRED
    assert judgement.message is not None
    assert judgement.message.recipients[TO[0]][0] is State.SENT
    assert judgement.message.recipients[TO[1]][0] is State.DEFERRED


def test_all_recipients_refused_for_ever_is_failed() -> None:
    refused = {one: smtp("550", "5.1.1 no such user", Step.RECIPIENT) for one in TO}
    assert state(judged(Rejected(refused[TO[0]], refused))) is State.FAILED


def test_all_recipients_refused_and_one_for_now_is_deferred() -> None:
    refused = {TO[0]: smtp("550", "5.1.1 no", Step.RECIPIENT), TO[1]: smtp("450", "4.2.1 later", Step.RECIPIENT)}
    judgement = judged(Rejected(refused[TO[0]], refused))
    assert state(judgement) is State.DEFERRED
    assert judgement.message is not None
    assert judgement.message.recipients[TO[0]][0] is State.FAILED


def test_no_answer_is_unknown() -> None:
    judgement = judged(Unanswered(Answer(Service.NETWORK, Step.DATA, "lost", "gone")))
    assert state(judgement) is State.UNKNOWN
    assert judgement.brake is None


@pytest.mark.parametrize(
    ("answer", "brake"),
    [
        # Sounds temporary, and is a missing permission (facts 5).
        (smtp("430", "4.2.0 STOREDRV; mailbox logon failure; Cannot open mailbox"), Brake.STOPPED),
        (smtp("535", "5.7.3 Authentication unsuccessful", Step.SIGN_IN), Brake.STOPPED),
        (smtp("554", "5.2.252 SendAsDenied; a not allowed to send as b"), Brake.STOPPED),
        # Sounds final, and passes by itself.
        (smtp("554", "5.2.0 SubmissionQuotaExceededException; quota was exceeded"), Brake.THROTTLED),
        (smtp("432", "4.3.2 STOREDRV.ClientSubmit; sender thread limit exceeded"), Brake.THROTTLED),
        (smtp("421", "4.3.2 closing", Step.SENDER), Brake.AWAY),
        (Answer(Service.NETWORK, Step.CONNECT, "refused", "no"), Brake.AWAY),
        (Answer(Service.NETWORK, Step.DATA, "lost", "before the end"), Brake.AWAY),
        (Answer(Service.ENTRA, Step.TOKEN, "AADSTS7000222", "expired"), Brake.STOPPED),
        (Answer(Service.GRAPH, Step.DATA, "ApplicationThrottled", "", status=429, retry_after=7), Brake.THROTTLED),
        # A final answer before the message was named is the set-up's.
        (smtp("554", "5.7.1 go away", Step.CONNECT), Brake.STOPPED),
    ],
)
def test_faults_of_the_mailbox_brake_the_lane_and_burn_nothing(answer: Answer, brake: Brake) -> None:
    judgement = judged(Rejected(answer))
    assert judgement.brake is brake
    assert state(judgement) is State.QUEUED
    assert judgement.message is not None
    assert not judgement.message.counts


def test_send_as_denied_for_a_foreign_from_is_the_messages_own() -> None:
    answer = smtp("554", "5.2.252 SendAsDenied; a not allowed to send as b")
    judgement = judged(Rejected(answer), own_sender=False)
    assert judgement.brake is None
    assert state(judgement) is State.DEFERRED


def test_final_and_passing_refusals_of_the_message() -> None:
    assert state(judged(Rejected(smtp("552", "5.3.4 too large")))) is State.FAILED
    assert state(judged(Rejected(smtp("451", "4.7.500 busy")))) is State.DEFERRED


def test_opening_touches_no_message() -> None:
    judgement = judge_opening(Answer(Service.NETWORK, Step.RESOLVE, "resolve", "no name"), explain)
    assert judgement.message is None
    assert judgement.brake is Brake.AWAY


def test_back_off_doubles_up_to_an_hour_and_is_spread() -> None:
    pauses = [back_off(attempts, Priority.NORMAL, 0.5) for attempts in range(1, 12)]
    assert pauses[:4] == [60, 120, 240, 480]
    assert pauses[-1] == 3600
    assert back_off(1, Priority.NORMAL, 0.0) == 45
    assert back_off(1, Priority.URGENT, 0.5) == 10


def test_a_stopped_lane_is_tried_within_a_minute_at_first_and_as_said_when_throttled() -> None:
    assert brake_pause(Brake.STOPPED, 1, None, 0.5) < 60
    assert brake_pause(Brake.STOPPED, 99, None, 0.5) == 300
    assert brake_pause(Brake.THROTTLED, 5, 42.0, 0.0) == 42
    assert brake_pause(Brake.AWAY, 1, 30.0, 0.0) == 30


def test_forecast() -> None:
    assert forecast(1240, 30, 1240, 9000) == timedelta(minutes=1240 / 30)
    assert forecast(0, 30, 0, 9000) == timedelta(0)
    assert forecast(10, None, 10, None) is None
    beyond = forecast(100, 30, 12_000, 10_000)
    assert beyond is not None
    assert beyond > timedelta(days=1)
