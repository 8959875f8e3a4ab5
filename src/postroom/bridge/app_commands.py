"""App credentials: what programs sign in with to hand mail in."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Annotated, Any

import typer

from postroom.accounts import app_credentials
from postroom.accounts.app_rules import AppData
from postroom.accounts.commands import actor
from postroom.bridge import app_board
from postroom.cli import output
from postroom.cli.output import JsonFlag

app = typer.Typer(no_args_is_help=True, help=__doc__)

Name = Annotated[str, typer.Argument(help="The app's name: what it signs in with.")]
Mailbox = Annotated[list[str] | None, typer.Option(help="A mailbox it may use, by name or address; may be repeated.")]
AllMailboxes = Annotated[bool, typer.Option("--all-mailboxes", help="It may use any mailbox.")]
Sender = Annotated[
    list[str] | None,
    typer.Option("--from", help="An address it may send as, or *@contoso.com; those of its mailboxes when left out."),
]
Network = Annotated[list[str] | None, typer.Option(help="A network it may come from, such as 10.1.2.0/24.")]
Rate = Annotated[int | None, typer.Option(help="Messages a minute; 0 for no limit.", min=0)]


@app.command("add")
def add(
    name: Name,
    mailbox: Mailbox = None,
    all_mailboxes: AllMailboxes = False,
    sender: Sender = None,
    network: Network = None,
    rate: Rate = None,
    json: JsonFlag = False,
) -> None:
    """Add an app, and print its secret, which is never shown again. Without --mailbox: the default mailbox."""
    wanted = None if all_mailboxes else app_board.mailbox_ids(mailbox or [""])
    data = AppData(name, wanted, tuple(sender or ()), tuple(network or ()), rate or None)
    made, secret = app_credentials.add(data, actor())
    _print_secret(made.name, secret, json)


@app.command("change")
def change(
    name: Name,
    mailbox: Mailbox = None,
    all_mailboxes: AllMailboxes = False,
    sender: Sender = None,
    network: Network = None,
    rate: Rate = None,
    enabled: Annotated[bool | None, typer.Option("--enable/--disable", help="Let it in, or not.")] = None,
) -> None:
    """Change what an app may do; what is not named stays. An empty --from or --network clears the list."""
    found = app_credentials.find(name)
    data = app_credentials.data_of(found)
    if all_mailboxes or mailbox:
        data = replace(data, mailboxes=None if all_mailboxes else app_board.mailbox_ids(mailbox or []))
    if sender is not None:
        data = replace(data, senders=tuple(sender))
    if network is not None:
        data = replace(data, networks=tuple(network))
    if rate is not None:
        data = replace(data, messages_per_minute=rate or None)
    if enabled is not None:
        data = replace(data, enabled=enabled)
    app_credentials.change(found.pk, data, actor())
    output.say(f"{found.name} is changed; open sessions follow within seconds")


@app.command("list")
def list_apps(search: Annotated[str, typer.Argument(help="Part of the name.")] = "", json: JsonFlag = False) -> None:
    """List apps. Secrets are shown by their last characters only."""
    rows = [row.shown() for row in app_board.list_apps(search)]
    if json:
        output.as_json(rows)
        return
    shown = [{key: _words(value) for key, value in row.items()} for row in rows]
    columns = ("name", "mailboxes", "senders", "networks", "messages_per_minute", "enabled", "secrets", "last_used")
    output.table(shown, columns, "No app yet: postroom app add NAME")


@app.command("rotate")
def rotate(
    name: Name,
    overlap: Annotated[float, typer.Option(help="Hours that the old secret goes on working.", min=0)] = (
        app_credentials.OVERLAP / timedelta(hours=1)
    ),
    json: JsonFlag = False,
) -> None:
    """Print a new secret. The old one goes on working for a while, so that nothing stops."""
    found = app_credentials.find(name)
    secret = app_credentials.rotate(found.pk, actor(), timedelta(hours=overlap))
    _print_secret(found.name, secret, json)


@app.command("remove")
def remove(name: Name, yes: Annotated[bool, typer.Option("--yes", help="Don't ask.")] = False) -> None:
    """Remove an app; it can hand nothing in any more. What it handed in stays."""
    found = app_credentials.find(name)
    if not yes:
        typer.confirm(f"Remove the app {found.name!r}?", abort=True)
    app_credentials.remove(found.pk, actor())
    output.say(f"{found.name} is removed")


def _print_secret(name: str, secret: str, json: bool) -> None:
    if json:
        output.as_json({"user": name, "secret": secret})
        return
    output.say(f"User name: {name}\nSecret:    {secret}")
    output.note("The secret is shown only here. Lost? postroom app rotate " + name)


def _words(value: Any) -> Any:
    return ", ".join(str(each) for each in value) if isinstance(value, list) else value
