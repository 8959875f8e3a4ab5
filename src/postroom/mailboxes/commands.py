"""Mailboxes: add, edit, test, import."""

from __future__ import annotations

import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from postroom.accounts.commands import actor
from postroom.cli import output
from postroom.cli.output import JsonFlag
from postroom.core.faults import Fault
from postroom.mailboxes import credentials, importing, proofs, service
from postroom.mailboxes.field_options import takes_fields
from postroom.mailboxes.proof import Patience
from postroom.mailboxes.stages import TITLES, Stage
from postroom.mailboxes.values import MailboxData

if TYPE_CHECKING:
    from postroom.mailboxes.models import Mailbox

app = typer.Typer(no_args_is_help=True, help=__doc__)

Name = Annotated[str, typer.Argument(help="Name, address or number of the mailbox; the default one when left out.")]
Which = Annotated[str, typer.Argument(help="Name, address or number of the mailbox.")]


@app.command("list")
def list_mailboxes(
    search: Annotated[str, typer.Argument(help="Part of name or address.")] = "", json: JsonFlag = False
) -> None:
    """List mailboxes with their health."""
    rows = [
        asdict(row) | {"health": row.health.state.value, "health_text": row.health.text}
        for row in service.list_mailboxes(search)
    ]
    if json:
        output.as_json(rows)
        return
    columns = ("name", "address", "send_by", "read_by", "enabled", "is_default", "health")
    output.table(rows, columns, "No mailbox yet: postroom mailbox add")


@app.command("add")
@takes_fields
def add(
    name: Annotated[str, typer.Argument(help="Name of the new mailbox.")], *, json: JsonFlag = False, fields: Any = None
) -> None:
    """Add a mailbox. Its credential follows: postroom credential add."""
    mailbox = service.save(MailboxData(name=name, **{"address": "", **fields}), actor())
    _done(mailbox, "is added", json)


@app.command("edit")
@takes_fields
def edit(
    mailbox: Which,
    *,
    rename: Annotated[str, typer.Option(help="A new name.")] = "",
    json: JsonFlag = False,
    fields: Any = None,
) -> None:
    """Change what is given; all else stays. `--option ""` empties a field."""
    row = service.find(mailbox)
    changes: dict[str, Any] = fields | ({"name": rename} if rename else {})
    data = replace(service.data_of(row), **changes)
    _done(service.save(data, actor(), row.pk, tell=output.note), "is changed", json)


@app.command("show")
def show(mailbox: Name = "", json: JsonFlag = False) -> None:
    """Show one mailbox: its fields, where it connects to, its credentials, its health."""
    shown = _shown(service.find(mailbox))
    if json:
        output.as_json(shown)
        return
    for name, value in shown.items():
        if value not in ("", None, [], ()):
            output.say(f"{name.replace('_', ' '):22} {value}")


@app.command("test")
def prove(
    mailbox: Name = "",
    to: Annotated[str, typer.Option("--to", help="Your own address: the test message goes there.")] = "",
    wait: Annotated[float, typer.Option(help="Seconds to wait for the message to come back.")] = 60.0,
    retry: Annotated[bool, typer.Option(help="Try again while a recent change may be spreading.")] = True,
    json: JsonFlag = False,
) -> None:
    """Prove a mailbox: send a real message through it, and read it back. Exit code 1 when it fails."""
    row = service.find(mailbox)
    patience = Patience(read_back=wait) if retry else Patience(read_back=wait, spreading=())
    started = time.monotonic()
    proof = proofs.run(row.pk, to, actor(), patience=patience, watch=None if json else _stage_line)
    if json:
        output.as_json({"mailbox": row.name, "passed": proof.passed, "stages": proof.stages})
    else:
        output.say(f"{row.name}: {'passed' if proof.passed else 'failed'} in {time.monotonic() - started:.1f} s")
    if not proof.passed:
        raise typer.Exit(output.FAULT)


@app.command("import")
def import_properties(
    file: Annotated[
        Path, typer.Argument(help="The .properties file of an existing SMTP gateway; - for standard input.")
    ],
    name: Annotated[str, typer.Option(help="Name of the new mailbox.")] = "",
    json: JsonFlag = False,
) -> None:
    """Import an existing SMTP gateway's properties as a mailbox."""
    text = typer.get_text_stream("stdin").read() if str(file) == "-" else file.read_text(encoding="utf-8")
    imported = importing.from_properties(text, actor(), name)
    if json:
        output.as_json({"mailbox": imported.mailbox.name, "keys": [asdict(note) for note in imported.keys]})
        return
    output.table([asdict(note) for note in imported.keys], ("key", "use", "text"), "The file holds no keys.")
    output.say(
        f"{imported.mailbox.name} is imported; test it: postroom mailbox test {imported.mailbox.name!r} --to YOU"
    )


@app.command("copy")
def copy(
    mailbox: Which, name: Annotated[str, typer.Argument(help="Name of the copy.")], json: JsonFlag = False
) -> None:
    """Copy a mailbox. The application and its credentials are shared; a password is not copied."""
    _done(service.copy(service.find(mailbox).pk, name, actor()), "is added", json)


@app.command("delete")
def delete(mailbox: Which, yes: Annotated[bool, typer.Option("--yes", help="Don't ask.")] = False) -> None:
    """Delete a mailbox, and its application's credentials when no other mailbox uses them."""
    row = service.find(mailbox)
    if not yes:
        typer.confirm(f"Delete the mailbox {row.name!r}?", abort=True)
    service.delete(row.pk, actor())
    output.say(f"{row.name} is deleted")


@app.command("default")
def default(mailbox: Which, json: JsonFlag = False) -> None:
    """Make a mailbox the one for mail that names none."""
    _done(service.make_default(service.find(mailbox).pk, actor()), "is the default mailbox", json)


@app.command("enable")
def enable(mailbox: Which, json: JsonFlag = False) -> None:
    """Switch a mailbox on."""
    _done(service.set_enabled(service.find(mailbox).pk, True, actor()), "is on", json)


@app.command("disable")
def disable(mailbox: Which, json: JsonFlag = False) -> None:
    """Switch a mailbox off: it neither sends nor reads."""
    _done(service.set_enabled(service.find(mailbox).pk, False, actor()), "is off", json)


def _done(mailbox: Mailbox, sentence: str, json: bool) -> None:
    if json:
        output.as_json(_shown(mailbox))
    else:
        output.say(f"{mailbox.name} {sentence}")


def _shown(mailbox: Mailbox) -> dict[str, Any]:
    """All of it that may be shown."""
    health = service.health_of(mailbox, proofs.latest(mailbox.pk))
    shown: dict[str, Any] = {"id": mailbox.pk, "is_default": mailbox.is_default, **asdict(service.data_of(mailbox))}
    shown |= {"health": health.state.value, "health_text": health.text}
    shown["credentials"] = [
        {"id": view.id, "kind": view.kind, "hint": view.hint, "expires_at": view.expires_at, "fault": view.fault}
        for view in credentials.list_for(mailbox)
    ]
    return shown | _servers(mailbox)


def _servers(mailbox: Mailbox) -> dict[str, str]:
    """Where it connects to; nothing for a mailbox that is broken, whose health says why."""
    try:
        whole = service.effective(mailbox)
    except Fault:
        return {}
    reads = whole.incoming if whole.read_by in {"imap", "pop3"} else None
    return {
        "sends_to": f"{whole.smtp.host}:{whole.smtp.port} {whole.smtp.security}" if whole.smtp else whole.send_by,
        "reads_from": f"{reads.host}:{reads.port} {reads.security}" if reads else whole.read_by,
    }


_MARKS = {
    "passed": "[green]ok  [/]",
    "failed": "[bold red]FAIL[/]",
    "skipped": "[dim]skip[/]",
    "running": "[dim]... [/]",
}


def _stage_line(stage: Stage) -> None:
    """A line for each stage that has come to an end, and for the news of one that waits for something."""
    waits = stage.stage == "read-back" or "trying again" in stage.detail
    if stage.state not in _MARKS or (stage.state == "running" and not waits):
        return
    seconds = f"{stage.seconds:6.2f} s" if stage.seconds else " " * 8
    line = f"{_MARKS[stage.state]} {seconds}  {TITLES[stage.stage]:34}"
    output.out.print(line, escape(stage.detail), soft_wrap=True)
    if stage.diagnosis is None:
        return
    for title, text in (("evidence", "\n".join(stage.diagnosis.evidence)), ("fix", stage.diagnosis.fix)):
        for part in text.splitlines():
            output.out.print(f"     [bold]{title}:[/]", escape(part), soft_wrap=True)
    for also in stage.diagnosis.also:
        output.out.print("     [bold]also:[/]", escape(also), soft_wrap=True)
    for part in stage.diagnosis.command.splitlines():
        output.out.print(f"       [cyan]{escape(part)}[/]", soft_wrap=True)
