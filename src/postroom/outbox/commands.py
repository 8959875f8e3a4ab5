"""Messages kept and waiting: list, show, retry, cancel, hold, release, purge; the lanes of the mailboxes."""

from __future__ import annotations

from dataclasses import asdict
from datetime import timedelta
from typing import Annotated, Any

import typer

from postroom.accounts.commands import actor
from postroom.cli import output
from postroom.cli.output import JsonFlag
from postroom.core.faults import Fault
from postroom.mailboxes import service as mailboxes
from postroom.outbox import service

app = typer.Typer(no_args_is_help=True, help=__doc__)

Ids = Annotated[list[int] | None, typer.Argument(help="Ids of messages.", show_default=False)]
StateOption = Annotated[str, typer.Option(help="All messages in this state, such as deferred or failed.")]
MailboxOption = Annotated[str, typer.Option(help="Only of this mailbox: name, address or number.")]
Name = Annotated[str, typer.Argument(help="Mailbox: name, address or number.")]


@app.command("list")
def list_(
    search: Annotated[
        str, typer.Argument(help="An id, a <Message-ID>, a recipient, key:KEY, or words of the subject.")
    ] = "",
    state: StateOption = "",
    mailbox: MailboxOption = "",
    limit: Annotated[int, typer.Option(help="At most so many.", min=1, max=1000)] = 50,
    before: Annotated[int | None, typer.Option(help="Older than the message with this id.")] = None,
    json: JsonFlag = False,
) -> None:
    """List messages, the newest first."""
    rows = service.search(search, state=state, mailbox=_mailbox(mailbox), before=before, limit=limit)
    shown = [_line(row) for row in rows]
    if json:
        output.as_json(shown)
        return
    output.table(shown, ["id", "state", "mailbox", "sender", "subject", "attempts", "next_attempt_at"], "no messages")


@app.command("show")
def show(
    message: Annotated[int, typer.Argument(help="Id of the message.")],
    raw: Annotated[bool, typer.Option("--raw", help="Print the message itself.")] = False,
    json: JsonFlag = False,
) -> None:
    """Show one message: where it stands and why, its recipients, attempts and history."""
    row = service.get(message)
    if raw:
        output.out.file.write(service.body(row).decode("utf-8", "replace"))
        return
    recipients, attempts, events = service.history(row)
    shown: dict[str, Any] = _line(row) | {
        "message_id": row.message_id,
        "server_message_id": row.server_message_id,
        "submitter": row.submitter,
        "door": row.door,
        "size": row.size,
        "template": row.template,
        "expires_at": row.expires_at,
        "settled_at": row.settled_at,
        "reason": row.reason,
        "recipients": [{"address": one.address, "state": one.state, "answer": one.answer} for one in recipients],
        "attempt_log": [
            {"number": one.number, "by": one.transport, "started_at": one.started_at, "finished_at": one.finished_at}
            | {"outcome": one.outcome, "answer": one.answer}
            for one in attempts
        ],
        "events": [{"at": one.at, "actor": one.actor, "action": one.action, "detail": one.detail} for one in events],
    }
    if json:
        output.as_json(shown)
        return
    for name, value in shown.items():
        if isinstance(value, list):
            output.say(f"{name.replace('_', ' ')}:")
            for line in value:
                output.say("  " + "  ".join(str(part) for part in line.values() if part not in (None, "")))
        elif value not in ("", None, {}):
            output.say(f"{name.replace('_', ' ')}: {value}")


@app.command("retry")
def retry(ids: Ids = None, state: StateOption = "", mailbox: MailboxOption = "", json: JsonFlag = False) -> None:
    """Send now what waits, or send again what failed, expired or was cancelled."""
    _tell(service.retry(_chosen(ids, state, mailbox), actor()), "will be sent now", json)


@app.command("cancel")
def cancel(ids: Ids = None, state: StateOption = "", mailbox: MailboxOption = "", json: JsonFlag = False) -> None:
    """Never send what still waits."""
    _tell(service.cancel(_chosen(ids, state, mailbox), actor()), "cancelled", json)


@app.command("hold")
def hold(ids: Ids = None, state: StateOption = "", mailbox: MailboxOption = "", json: JsonFlag = False) -> None:
    """Keep back what waits, until it is released."""
    _tell(service.hold(_chosen(ids, state, mailbox), actor()), "held", json)


@app.command("release")
def release(ids: Ids = None, state: StateOption = "", mailbox: MailboxOption = "", json: JsonFlag = False) -> None:
    """Let go on what was held."""
    _tell(service.release(_chosen(ids, state, mailbox), actor()), "released", json)


@app.command("purge")
def purge(
    older_than: Annotated[float, typer.Option(help="Days since they were accepted.", min=0)],
    json: JsonFlag = False,
) -> None:
    """Delete settled messages with all that belongs to them; what still waits stays."""
    _tell(service.purge(older_than, actor()), "deleted", json)


@app.command("stats")
def stats(mailbox: MailboxOption = "", json: JsonFlag = False) -> None:
    """Count the messages by state."""
    found = service.counts(_mailbox(mailbox)).to_json()
    if json:
        output.as_json(found)
    else:
        output.table([{"state": state, "messages": count} for state, count in found.items()], ["state", "messages"], "")


@app.command("lanes")
def lanes(json: JsonFlag = False) -> None:
    """List the lanes: what waits, how fast it goes, when it will be clear, what stops it."""
    found = [_lane(lane) for lane in service.lanes(limit=10_000)]
    if json:
        output.as_json(found)
        return
    output.table(
        found, ["name", "state", "waiting", "per_minute", "clear_in", "left_today", "cause"], "no mailbox sends"
    )


@app.command("lane")
def lane(
    mailbox: Name,
    hold: Annotated[bool, typer.Option("--hold", help="Send nothing through it until it is resumed.")] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Go on, or try again now.")] = False,
    fallback: Annotated[
        str | None, typer.Option(help='Mailbox that stands in while this one is stopped; "" for none.')
    ] = None,
    other_way: Annotated[
        bool | None, typer.Option(help="Whether SMTP and Graph stand in for each other in this mailbox.")
    ] = None,
    json: JsonFlag = False,
) -> None:
    """Hold, resume or set one lane."""
    row = mailboxes.find(mailbox)
    if hold:
        service.hold_lane(row.pk, actor())
    if resume:
        service.resume_lane(row.pk, actor())
    view = next(iter(service.lanes(row.pk)), None)
    if view is None:
        raise Fault(f"the mailbox {row.name!r} does not send", "Choose SMTP or Graph under 'how to send'.")
    if fallback is not None or other_way is not None:
        named = view.fallback if fallback is None else fallback
        service.set_lane(
            row.pk,
            actor(),
            fallback=mailboxes.find(named).pk if named else None,
            other_way=view.other_way if other_way is None else other_way,
        )
    (view,) = service.lanes(row.pk)
    if json:
        output.as_json(_lane(view))
    else:
        output.table([_lane(view)], ["name", "state", "waiting", "per_minute", "fallback", "other_way", "cause"], "")


def _mailbox(name: str) -> int | None:
    return mailboxes.find(name).pk if name else None


def _chosen(ids: list[int] | None, state: str, mailbox: str) -> list[int]:
    """The ids given, or all in a state. Raises `Fault` when neither is."""
    if ids:
        return ids
    if not state:
        raise Fault("which messages?", "Give ids, or --state with an optional --mailbox.")
    found: list[int] = []
    before: int | None = None
    while rows := service.search(state=state, mailbox=_mailbox(mailbox), before=before, limit=1000):
        found += [row.pk for row in rows]
        before = rows[-1].pk
    return found


def _tell(count: int, what: str, json: bool) -> None:
    if json:
        output.as_json({"messages": count})
    else:
        output.say(f"{count} {'message' if count == 1 else 'messages'} {what}")


def _line(row: Any) -> dict[str, Any]:
    return {
        "id": row.pk,
        "state": row.state,
        "mailbox": row.mailbox_name,
        "priority": row.priority,
        "sender": row.sender,
        "subject": row.subject,
        "recipient_count": row.recipient_count,
        "attempts": row.attempts,
        "next_attempt_at": row.next_attempt_at,
        "created_at": row.created_at,
        "cause": row.reason.get("cause", ""),
    }


def _lane(view: service.LaneView) -> dict[str, Any]:
    shown = asdict(view)
    clear = view.clear_in
    shown["clear_in"] = "" if clear is None else str(timedelta(seconds=round(clear.total_seconds())))
    shown["cause"] = (view.diagnosis or {}).get("cause", "")
    return shown
