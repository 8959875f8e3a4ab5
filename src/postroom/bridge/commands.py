"""Listeners: the ports on which programs hand mail in over SMTP."""

from __future__ import annotations

from dataclasses import asdict, fields, replace
from typing import Annotated, Any

import typer

from postroom.accounts.commands import actor
from postroom.bridge import app_board, service
from postroom.bridge.rules import warnings
from postroom.bridge.values import ListenerData, Mode
from postroom.cli import output
from postroom.cli.output import JsonFlag
from postroom.core.faults import Invalid

app = typer.Typer(no_args_is_help=True, help=__doc__)

Name = Annotated[str, typer.Argument(help="The listener's name.")]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", help="field=value, such as tls_minimum=1.0; lists with commas; docs/smtp-door.md has all."),
]
_TYPES = {field.name: type(getattr(ListenerData(""), field.name)) for field in fields(ListenerData)}


@app.command("add")
def add(
    name: Name,
    port: Annotated[int, typer.Option(help="587 is the standard one, 465 with --mode tls.", min=1, max=65535)] = 2525,
    address: Annotated[str, typer.Option(help="0.0.0.0 or :: for all interfaces.")] = "127.0.0.1",
    mode: Annotated[Mode, typer.Option(help="plain is for named networks only.")] = Mode.STARTTLS,
    settings: Settings = None,
    json: JsonFlag = False,
) -> None:
    """Add a port. A running `postroom serve` opens it within seconds."""
    data = ListenerData(name, address, port, mode.value)
    _done(service.data_of(service.save(_changed(data, settings), actor())), "is added", json)


@app.command("list")
def list_listeners(json: JsonFlag = False) -> None:
    """List the ports, with what deserves a warning."""
    rows = service.list_listeners()
    if json:
        output.as_json([asdict(row.data) | {"warnings": row.warnings, "fault": row.fault} for row in rows])
        return
    columns = ("name", "address", "port", "mode", "enabled", "networks", "fault")
    shown = [asdict(row.data) | {"networks": ", ".join(row.data.networks), "fault": row.fault} for row in rows]
    output.table(shown, columns, "No port yet: postroom listener add NAME")
    for row in rows:
        _warn(row.data)


@app.command("edit")
def edit(name: Name, settings: Settings = None, json: JsonFlag = False) -> None:
    """Change a port; connections on it finish their present command, then hear 421."""
    row = service.find(name)
    saved = service.save(_changed(service.data_of(row), settings), actor(), row.pk)
    _done(service.data_of(saved), "is changed", json)


@app.command("remove")
def remove(name: Name, yes: Annotated[bool, typer.Option("--yes", help="Don't ask.")] = False) -> None:
    """Close a port for good."""
    row = service.find(name)
    if not yes:
        typer.confirm(f"Remove the listener {row.name!r}?", abort=True)
    service.remove(row.pk, actor())
    output.say(f"{row.name} is removed")


def _done(data: ListenerData, sentence: str, json: bool) -> None:
    if json:
        output.as_json(asdict(data) | {"warnings": warnings(data)})
        return
    output.say(f"{data.name} (port {data.port}) {sentence}")
    _warn(data)


def _warn(data: ListenerData) -> None:
    for warning in warnings(data):
        output.note(f"warning: {data.name}: {warning}")


def _changed(data: ListenerData, settings: list[str] | None) -> ListenerData:
    """`field=value` words, each read as its field wants it. Raises `Invalid`, `NotFound`."""
    values: dict[str, Any] = {}
    for word in settings or ():
        name, equals, text = word.partition("=")
        if not equals or name not in _TYPES:
            raise Invalid(
                {"--set": [f"{word!r} is not understood; write field=value with one of: {', '.join(_TYPES)}"]}
            )
        values[name] = _read(name, text.strip())
    return replace(data, **values)


def _read(name: str, text: str) -> Any:
    kind = _TYPES[name]
    if name == "open_mailbox":
        return app_board.mailbox_ids([text])[0] if text else None
    if kind is tuple:
        return tuple(text.split(","))
    if kind is bool:
        if text.lower() not in {"true", "false"}:
            raise Invalid({name: ["is neither true nor false; write one of the two"]})
        return text.lower() == "true"
    if kind is int:
        if not text.isdecimal():
            raise Invalid({name: [f"{text!r} is not a number; write digits only"]})
        return int(text)
    return text
