"""What lanes write: attempts before they are made, outcomes after; what is unknown; what comes too late."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from postroom.core.clock import now
from postroom.mailboxes.models import Mailbox
from postroom.microsoft.answers import Answer, Service, Step
from postroom.microsoft.errors import explain
from postroom.outbox import accept, lease, retention, service, store
from postroom.outbox.models import Attempt, Lane, Message
from postroom.outbox.rules import Verdict
from postroom.outbox.store import Begin, End, Work
from postroom.outbox.values import DeliveryReports, Door, Priority, State, Submission

from .conftest import BY

Make = Callable[..., Submission]
OK = Answer(Service.SMTP, Step.DATA, "250", "2.0.0 OK <id@server>")
NO = Answer(Service.SMTP, Step.RECIPIENT, "550", "5.1.1 no such user")


def begin(message: int, mailbox: Mailbox) -> Work:
    (work,) = store.write([Begin(message, mailbox.pk, "smtp", "here:1:x")])
    assert isinstance(work, Work)
    return work


def sent(work: Work) -> End:
    recipients = dict.fromkeys(work.recipients, (State.SENT, "250 OK"))
    return End(work, Verdict(State.SENT, "sent", OK, recipients=recipients, server_message_id="<id@server>"))


def failed(work: Work) -> End:
    return End(work, Verdict(State.FAILED, "failed", NO, explain(NO)))


def test_urgent_ones_are_due_first_then_in_order(submission: Make, mailbox: Mailbox) -> None:
    order = [Priority.BULK, Priority.NORMAL, Priority.URGENT, Priority.NORMAL]
    ids = [accept.accept(submission(priority=priority)).id for priority in order]
    later = accept.accept(submission(not_before=now() + timedelta(hours=1))).id
    due = [one.id for one in store.due(mailbox.pk, 10)]
    assert due == [ids[2], ids[1], ids[3], ids[0]]
    assert later not in due


def test_an_attempt_is_there_before_it_is_made(submission: Make, mailbox: Mailbox) -> None:
    message = accept.accept(submission()).id
    work = begin(message, mailbox)
    assert service.get(message).state == State.SENDING
    attempt = Attempt.objects.get(message=message)
    assert (attempt.number, attempt.finished_at, attempt.outcome) == (1, None, "")
    assert store.write([Begin(message, mailbox.pk, "smtp", "other")]) == [None]  # nobody else begins it
    store.write([sent(work)])
    row = service.get(message)
    assert (row.state, row.attempts, row.server_message_id) == (State.SENT, 1, "<id@server>")
    assert [one.state for one in row.recipients.all()] == [State.SENT]
    assert service.counts().by_state[State.SENT] == 1


def test_a_dead_workers_message_is_unknown_and_a_late_answer_settles_it(submission: Make, mailbox: Mailbox) -> None:
    message = accept.accept(submission()).id
    work = begin(message, mailbox)
    assert store.recover(mailbox.pk) == 1
    assert service.get(message).state == State.UNKNOWN
    store.write([sent(work)])
    assert service.get(message).state == State.SENT


def test_a_late_answer_changes_nothing_that_was_taken_up_anew(submission: Make, mailbox: Mailbox) -> None:
    message = accept.accept(submission()).id
    old = begin(message, mailbox)
    store.recover(mailbox.pk)
    (one,) = store.uncertain(mailbox.pk)
    store.not_found(one, "not there")
    begin(message, mailbox)
    store.write([failed(old)])
    assert service.get(message).state == State.SENDING


def test_what_was_found_is_sent_once(submission: Make, mailbox: Mailbox) -> None:
    message = accept.accept(submission()).id
    begin(message, mailbox)
    store.recover(mailbox.pk)
    (one,) = store.uncertain(mailbox.pk)
    store.found(one, "<given@server>")
    row = service.get(message)
    assert (row.state, row.server_message_id, row.attempts) == (State.SENT, "<given@server>", 1)


def test_who_handed_in_by_smtp_is_told_of_failure(submission: Make, mailbox: Mailbox) -> None:
    message = accept.accept(submission(door=Door.SMTP)).id
    store.write([failed(begin(message, mailbox))])
    report = Message.objects.exclude(pk=message).get()
    assert (report.sender, report.door) == ("", Door.SYSTEM)
    assert b"550 5.1.1 no such user" in service.body(report)
    # Nobody is told that a report failed.
    store.write([failed(begin(report.pk, mailbox))])
    assert Message.objects.count() == 2


def test_who_asked_never_to_be_told_is_not(submission: Make, mailbox: Mailbox) -> None:
    reports = DeliveryReports(notify={"bob@example.com": "NEVER"})
    message = accept.accept(submission(door=Door.SMTP, reports=reports)).id
    store.write([failed(begin(message, mailbox))])
    assert Message.objects.count() == 1


def test_what_is_too_late_expires_and_is_never_begun(submission: Make, mailbox: Mailbox) -> None:
    ids = [accept.accept(submission(door=Door.SMTP)).id for _ in range(2)]
    Message.objects.filter(pk__in=ids).update(expires_at=now() - timedelta(seconds=1))
    assert store.write([Begin(ids[0], mailbox.pk, "smtp", "w")]) == [None]
    assert store.expire_late() == 1
    assert {service.get(one).state for one in ids} == {State.EXPIRED}
    assert Message.objects.filter(door=Door.SYSTEM).count() == 2  # both submitters are told


def test_verbs_and_their_history(submission: Make, mailbox: Mailbox) -> None:
    first, second = (accept.accept(submission()).id for _ in range(2))
    assert service.hold([first, second], BY) == 2
    assert store.due(mailbox.pk, 10) == []
    assert service.release([first], BY) == 1
    assert service.cancel([second], BY) == 1
    assert [one.id for one in store.due(mailbox.pk, 10)] == [first]
    assert service.retry([second], BY) == 1
    actions = [event.action for event in service.history(service.get(second))[2]]
    assert actions == ["held", "cancelled", "retried"]
    begin(first, mailbox)
    assert service.cancel([first], BY) == 0  # under way


def test_a_lease_is_one_workers_until_it_runs_out(submission: Make, mailbox: Mailbox) -> None:
    accept.accept(submission())
    assert lease.with_work() == [mailbox.pk]
    assert lease.take("elsewhere:1:a", [mailbox.pk], 10) == [mailbox.pk]
    assert lease.take("elsewhere:2:b", [mailbox.pk], 10) == []
    Lane.objects.update(lease_until=now() - timedelta(seconds=1))
    assert lease.take("elsewhere:2:b", [mailbox.pk], 10) == [mailbox.pk]
    assert lease.renew("elsewhere:1:a") == {}
    lease.give_back("elsewhere:2:b", [mailbox.pk])
    assert lease.take("elsewhere:1:a", [mailbox.pk], 10) == [mailbox.pk]


def test_retention_takes_the_settled_only(submission: Make, mailbox: Mailbox) -> None:
    done, waits = (accept.accept(submission()).id for _ in range(2))
    store.write([sent(begin(done, mailbox))])
    assert retention.purge_before(now() + timedelta(seconds=1)) == 1
    assert [row.pk for row in service.search()] == [waits]


def test_messages_are_found_by_what_people_know_of_them(submission: Make, mailbox: Mailbox) -> None:
    receipt = accept.accept(submission(to=("carol@example.com",), idempotency_key="k1"))
    accept.accept(submission())
    for text in (str(receipt.id), receipt.message_id, "carol@example.com", "key:k1"):
        assert [row.pk for row in service.search(text)] == [receipt.id]
    assert len(service.search("hello")) == 2
    assert service.search("nothing like it") == []
