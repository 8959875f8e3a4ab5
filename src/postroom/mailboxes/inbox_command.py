"""Look at the folder that a mailbox reads, or at one message in it."""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import Annotated

import typer

from postroom.cli import output
from postroom.cli.output import JsonFlag
from postroom.mailboxes import mailing, service

app = typer.Typer(help=__doc__)


@app.command()
def inbox(
    mailbox: Annotated[str, typer.Argument(help="Name, address or number; the default one when left out.")] = "",
    read: Annotated[str, typer.Option("--read", help="Show the message of this uid.")] = "",
    raw: Annotated[bool, typer.Option("--raw", help="With --read: the message byte for byte.")] = False,
    limit: Annotated[int, typer.Option(help="How many, newest first.", min=1, max=500)] = 20,
    json: JsonFlag = False,
) -> None:
    """List the newest messages of a mailbox's folder, or show one. Nothing is marked or moved on the server."""
    row = service.find(mailbox)
    if read:
        _show(row.pk, read, raw, json)
        return
    entries = [asdict(entry) for entry in mailing.inbox(row.pk, limit)]
    if json:
        output.as_json(entries)
    else:
        output.table(entries, ("uid", "date", "sender", "subject", "size", "seen"), "The folder is empty.")


def _show(mailbox_id: int, uid: str, raw: bool, json: bool) -> None:
    message = mailing.read(mailbox_id, uid)
    if raw:
        sys.stdout.buffer.write(message.raw)
    elif json:
        output.as_json({"headers": message.headers, "text": message.text(), "size": message.size})
    else:
        for name, value in message.headers:
            output.say(f"{name}: {value}")
        output.say("")
        output.say(message.text())
