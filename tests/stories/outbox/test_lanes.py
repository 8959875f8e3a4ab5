"""What a lane does with what the other side says, on both databases, by the public commands."""

from __future__ import annotations

import signal
import time
from typing import Any

import pytest

from stories.outbox.conftest import MailRoom


@pytest.fixture
def room(mail_room: MailRoom) -> MailRoom:
    """With a worker that runs, and somebody who hands messages in."""
    mail_room.mailboxes = mail_room.set_up()
    mail_room.start_worker()
    return mail_room


def fault(room: MailRoom, name: str, times: int | None = 1, **values: object) -> None:
    room.lab.control("PUT", f"/faults/{name}", {"times": times, "values": values})


def hand_in(room: MailRoom, count: int, first: int = 0, box: int = 0) -> None:
    log = room.postroom.home / "accepted"
    submitter = room.start_submitter(log, first, count, [room.mailboxes[box]])
    assert submitter.wait(60) == 0


def newest(room: MailRoom) -> dict[str, Any]:
    ((number,),) = room.rows("SELECT max(id) FROM outbox_message")
    return dict(room.postroom.cli("outbox", "show", str(number)))


def lane(room: MailRoom, name: str = "Letters") -> dict[str, Any]:
    return dict(next(one for one in room.postroom.cli("outbox", "lanes") if one["name"] == name))


def until_lane(room: MailRoom, state: str) -> dict[str, Any]:
    """Waits until the lane of Letters is in this state; returns it as the command shows it."""
    deadline = time.monotonic() + 120
    query = f"SELECT state FROM outbox_lane WHERE mailbox_id = {room.mailboxes[0]}"
    while (found := room.rows(query)) != [(state,)]:
        assert time.monotonic() < deadline, f"{found}\n{room.log[-2000:]}"
        time.sleep(0.2)
    return lane(room)


@pytest.mark.timeout(300)
def test_what_the_other_side_says(room: MailRoom) -> None:
    hand_in(room, 5)
    assert room.until(lambda counts: counts["sent"] == 5)["open"] == 0
    assert sorted(room.gone()) == [f"n{number}@example.com" for number in range(5)]
    sent = newest(room)
    assert sent["server_message_id"].startswith("<")
    assert [attempt["outcome"] for attempt in sent["attempt_log"]] == ["sent"]

    # The answer was lost, and the message taken: found in Sent Items, and not sent again.
    fault(room, "smtp-lost-after-taking")
    hand_in(room, 1, first=10)
    room.until(lambda counts: counts["sent"] == 6)
    assert room.gone().count("n10@example.com") == 1
    assert [event["action"] for event in newest(room)["events"]] == ["found"]

    # The answer was lost, and the message was not taken: sent again, when it was not found.
    fault(room, "smtp-lost-before-answer")
    hand_in(room, 1, first=11)
    room.until(lambda counts: counts["sent"] == 7)
    assert room.gone().count("n11@example.com") == 1
    assert [event["action"] for event in newest(room)["events"]] == ["not-found"]

    # A recipient that does not exist fails at once, with the server's words.
    fault(room, "smtp-reply", step="rcpt", reply="550 5.1.1 no such user")
    hand_in(room, 1, first=12)
    room.until(lambda counts: counts["failed"] == 1)
    assert newest(room)["recipients"][0]["answer"] == "550 5.1.1 no such user"


@pytest.mark.timeout(300)
def test_a_missing_permission_stops_the_lane_and_keeps_the_mail(room: MailRoom) -> None:
    principal = room.lab.application["service_principal_id"]
    right = f"/mailboxes/{room.address}/rights/full-access/{principal}"
    room.lab.control("DELETE", right)
    hand_in(room, 3)
    stopped = until_lane(room, "stopped")
    assert stopped["waiting"] + room.stats()["sending"] == 3
    assert stopped["diagnosis"]["kind"] == "permission"
    room.lab.control("PUT", right)
    room.postroom.cli("outbox", "lane", "Letters", "--resume")
    room.until(lambda counts: counts["sent"] == 3)
    assert newest(room)["attempts"] == 1
    until_lane(room, "moving")


@pytest.mark.timeout(300)
def test_hold_release_cancel_and_a_held_lane(room: MailRoom) -> None:
    room.postroom.cli("outbox", "lane", "Letters", "--hold")
    time.sleep(2.5)  # a worker looks at its lanes every second
    hand_in(room, 4)
    ids = [str(line["id"]) for line in room.postroom.cli("outbox", "list", "--state", "queued")]
    assert len(ids) == 4
    assert room.postroom.cli("outbox", "hold", ids[0], ids[1]) == {"messages": 2}
    assert room.postroom.cli("outbox", "cancel", ids[2]) == {"messages": 1}
    room.postroom.cli("outbox", "lane", "Letters", "--resume")
    room.until(lambda counts: counts["sent"] == 1)
    assert room.postroom.cli("outbox", "release", "--state", "held") == {"messages": 2}
    counts = room.until(lambda counts: counts["sent"] == 3)
    assert counts["cancelled"] == 1
    assert room.postroom.cli("outbox", "retry", ids[2]) == {"messages": 1}
    room.until(lambda counts: counts["sent"] == 4)
    assert room.postroom.cli("outbox", "purge", "--older-than", "0") == {"messages": 4}


@pytest.mark.timeout(300)
def test_another_mailbox_stands_in(room: MailRoom) -> None:
    room.postroom.cli("outbox", "lane", "Letters", "--fallback", "Cards")
    fault(room, "smtp-reply", None, step="auth", reply="535 5.7.3 Authentication unsuccessful")
    hand_in(room, 3)
    room.until(lambda counts: counts["sent"] == 3)
    moved = newest(room)
    assert moved["mailbox"] == "Cards"
    assert "moved" in [event["action"] for event in moved["events"]]


@pytest.mark.timeout(300)
def test_graph_stands_in_for_smtp(room: MailRoom) -> None:
    room.postroom.cli("outbox", "lane", "Letters", "--other-way")
    fault(room, "smtp-reply", None, step="auth", reply="535 5.7.3 Authentication unsuccessful")
    hand_in(room, 2)
    room.until(lambda counts: counts["sent"] == 2)
    assert [attempt["by"] for attempt in newest(room)["attempt_log"]][-1] == "graph"


@pytest.mark.timeout(300)
def test_a_dirty_queue_at_the_start(mail_room: MailRoom) -> None:
    """A worker was killed in the middle: the next goes on within seconds, and nothing arrives twice."""
    mail_room.mailboxes = mail_room.set_up()
    fault(mail_room, "slow", None, seconds=0.2)
    worker = mail_room.start_worker()
    hand_in(mail_room, 30)
    mail_room.until(lambda counts: counts["sent"] >= 3)
    worker.send_signal(signal.SIGKILL)
    worker.wait()
    mail_room.workers.remove(worker)
    left = mail_room.stats()
    assert left["sending"] > 0
    mail_room.lab.control("DELETE", "/faults")
    mail_room.start_worker()
    mail_room.until(lambda counts: counts["sent"] == 30, 90)
    assert sorted(mail_room.gone()) == sorted(f"n{number}@example.com" for number in range(30))


@pytest.mark.timeout(300)
def test_a_graceful_stop_leaves_nothing_under_way(room: MailRoom) -> None:
    hand_in(room, 40)
    room.until(lambda counts: counts["sent"] >= 1)
    (worker,) = room.workers
    worker.terminate()
    assert worker.wait(40) == 0
    counts = room.stats()
    assert counts["sending"] == counts["unknown"] == 0
    assert all(not one["holder"] for one in room.postroom.cli("outbox", "lanes"))
