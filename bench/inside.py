"""What needs the tables: filling an outbox, counting it, timing its verbs in one process.

    python -m bench.inside '{"what": "fill", ...}'     one question, one line of JSON
    python -m bench.inside '{"what": "listen"}'        then one question a line, so that two can be asked in turns

In a process of its own, with `POSTROOM_HOME` (and `DATABASE_URL`) in its environment.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from bench.prepare import RECIPIENT
from postroom.cli.starting import start
from postroom.core.clock import now
from postroom.outbox.ids import first_id

_AT_ONCE = 20
_BATCH = 100


def answer(question: dict[str, Any]) -> Any:
    rest = {name: value for name, value in question.items() if name != "what"}
    return _VERBS[question["what"]](**rest)


def count() -> int:
    from postroom.outbox.models import Message

    return Message.objects.count()


def refusals() -> int:
    """Attempts that the server did not take, and lanes that stand still because it throttled."""
    from postroom.outbox.models import Attempt, Lane

    return Attempt.objects.exclude(outcome__in=["", "sent"]).count() + Lane.objects.exclude(state="moving").count()


def fill(messages: int, state: str, priority: int, mailboxes: list[int], size: int) -> dict[str, float]:
    """Accepts one message for each mailbox, and copies it, row by row of all tables, inside the database.

    `state`: queued or sent. With more than fifty mailboxes all get copies of the first one's message.
    """
    from django.db import connection

    began = time.monotonic()
    groups = [[mailbox] for mailbox in mailboxes] if len(mailboxes) <= 50 else [mailboxes]
    for number, group in enumerate(groups):
        template = _accept(group[0], size)
        _hurry(number)
        span = Span(number / len(groups), 1 / len(groups), messages // len(groups))
        with connection.cursor() as cursor:
            for statement, values in _copies(template, span, state, priority, group):
                cursor.execute(statement, values)
        _remove(template)
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("ANALYZE")  # as autovacuum would; SQLite is left as it is with its users
        else:
            cursor.execute("PRAGMA synchronous=FULL")
            cursor.execute("PRAGMA journal_mode=WAL")
    return {"seconds": time.monotonic() - began}


def _hurry(number: int) -> None:
    """SQLite without its safety, as long as it is filled: this is no part of any measurement."""
    from django.db import connection

    from postroom.outbox import accept

    accept.close()
    if connection.vendor == "sqlite" and number == 0:
        with connection.cursor() as cursor:
            for pragma in ("journal_mode=OFF", "synchronous=OFF", "cache_size=-1000000"):
                cursor.execute(f"PRAGMA {pragma}")


@dataclass(frozen=True)
class Span:
    """Which part of the last ten days the ids of these messages fill."""

    start: float
    share: float
    messages: int

    @property
    def new_id(self) -> str:
        """The id of the n-th, in SQL."""
        base = first_id(now() - timedelta(days=10))
        whole = first_id(now()) - base
        return f"{base + int(whole * self.start)} + n.i * {int(whole * self.share) // (self.messages + 1)}"


def _copies(template: int, span: Span, state: str, priority: int, mailboxes: list[int]) -> list[tuple[str, list[Any]]]:
    """One INSERT ... SELECT for each table."""
    new_id = span.new_id
    numbers = f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {span.messages}) "
    sent = state == "sent"
    changed = {
        "id": new_id,
        "mailbox_id": f"{mailboxes[0]} + n.i %% {len(mailboxes)}",
        "message_id": f"'<' || ({new_id}) || '@filled.example>'",
        "state": f"'{state}'",
        "priority": str(priority),
        "next_attempt_at": "NULL" if sent else "t.created_at",
        "settled_at": "t.created_at" if sent else "NULL",
        "tries": "1" if sent else "0",
        "attempts": "1" if sent else "0",
        "server_message_id": f"'<' || ({new_id}) || '@server.example>'" if sent else "''",
    }
    made = [_copy("Message", numbers, changed, template, "id")]
    made.append(_copy("Body", numbers, {"message_id": new_id}, template, "message_id"))
    told = {"message_id": new_id, "state": f"'{state}'"}
    made.append(_copy("Recipient", numbers, told, template, "message_id", leave_out="id"))
    if sent:
        attempts = _attempts(numbers, new_id, mailboxes[0])
        made.append((attempts, []))
    return made


def _copy(
    model: str, numbers: str, changed: dict[str, str], template: int, key: str, leave_out: str = ""
) -> tuple[str, list[Any]]:
    from postroom.outbox import models

    meta = getattr(models, model)._meta
    columns = [field.column for field in meta.concrete_fields if not field.generated and field.column != leave_out]
    values = ", ".join(changed.get(column, f"t.{column}") for column in columns)
    into = f"INSERT INTO {meta.db_table} ({', '.join(columns)}) {numbers}"
    return f"{into}SELECT {values} FROM n, {meta.db_table} t WHERE t.{key} = %s", [template]


def _attempts(numbers: str, new_id: str, mailbox: int) -> str:
    from postroom.outbox.models import Attempt

    return (
        f"INSERT INTO {Attempt._meta.db_table} (message_id, number, mailbox_id, transport, worker, recipient_count, "
        f"started_at, finished_at, outcome, answer) {numbers}SELECT {new_id}, 1, {mailbox}, 'smtp', 'host:1:abc', 1, "
        "datetime('now', '-10 days'), datetime('now', '-10 days'), 'sent', '250 2.0.0 OK <1@server.example>' FROM n"
    )


def _remove(message: int) -> None:
    from postroom.outbox.models import Message

    Message.objects.filter(pk=message).delete()


def _accept(mailbox: int, size: int) -> int:
    from postroom.outbox import accept

    return accept.accept(_submission(mailbox, size)).id


def _submission(mailbox: int, size: int) -> Any:
    from postroom.mail.envelope import Envelope
    from postroom.mailboxes.models import Mailbox
    from postroom.outbox.values import Caller, Door, Submission

    sender = Mailbox.objects.get(pk=mailbox).address
    head = f"From: <{sender}>\r\nTo: <{RECIPIENT}>\r\nSubject: bulk\r\nMessage-ID: <filled@example.org>\r\n\r\n"
    body = ("x" * 70 + "\r\n") * ((size - len(head)) // 72)
    return Submission(
        Caller("bench"), Door.SYSTEM, (head + body).encode(), Envelope(sender, (RECIPIENT,)), mailbox=mailbox
    )


def accept_some(messages: int, mailbox: int, size: int) -> float:
    """Milliseconds for each of so many messages, of which 20 wait at a time."""
    from postroom.outbox import accept

    submission, numbers = _submission(mailbox, size), iter(range(messages))

    async def work() -> None:
        for _ in numbers:
            await accept.accept_async(submission)

    async def all_of_them() -> None:
        await asyncio.gather(*(work() for _ in range(_AT_ONCE)))

    began = time.monotonic()
    asyncio.run(all_of_them())
    return (time.monotonic() - began) / messages * 1000


def claim_some(messages: int, mailbox: int) -> float:
    """Milliseconds to find, begin and settle each, in batches of a hundred as a busy worker does."""
    from postroom.microsoft.answers import Answer, Service, Step
    from postroom.outbox import store
    from postroom.outbox.rules import Verdict
    from postroom.outbox.values import State

    verdict = Verdict(State.SENT, "sent", Answer(Service.SMTP, Step.DATA, "250", "2.0.0 OK"))
    began, done = time.monotonic(), 0
    while done < messages:
        due = store.due(mailbox, _BATCH)
        if not due:
            raise RuntimeError(f"nothing is due after {done} messages")
        works = store.write([store.Begin(one.id, mailbox, "smtp", "bench") for one in due])
        store.write([store.End(work, verdict) for work in works if isinstance(work, store.Work)])
        done += len(due)
    return (time.monotonic() - began) / done * 1000


def listen() -> None:
    for line in sys.stdin:
        print(json.dumps(answer(json.loads(line))), flush=True)


_VERBS: dict[str, Any] = {
    "count": count,
    "refusals": refusals,
    "fill": fill,
    "accept": accept_some,
    "claim": claim_some,
    "listen": listen,
}

if __name__ == "__main__":
    start()
    print(json.dumps(answer(json.loads(sys.argv[1]))), flush=True)
