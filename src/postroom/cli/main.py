"""The command `postroom`: its root, into which the rooms hang their commands (`app.COMMANDS`).

A room's commands are imported only when they are called, and Django is set up only then: `postroom --help`,
`--version` and `postroom lab` start at once.
"""

from __future__ import annotations

import ast
import importlib
import importlib.util
import os
import sys
import traceback
from functools import cache
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from postroom import __version__
from postroom.app import COMMANDS
from postroom.cli import output
from postroom.cli.starting import explain, start

_DEBUG = "POSTROOM_DEBUG"


class Rooms(TyperGroup):
    """The root group: lists its members by `COMMANDS`, and loads one when it is called."""

    def list_commands(self, ctx: Any) -> list[str]:
        return [*_root_commands(), *_room_modules()]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command; for a room's, a stand-in that knows its purpose only, which is enough for the help."""
        if command := _root_commands().get(cmd_name):
            return command
        if module := _room_modules().get(cmd_name):
            return TyperCommand(name=cmd_name, help=_purpose(module))
        return None

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        name, command, rest = super().resolve_command(ctx, args)
        if name in _room_modules():
            start()
            command = typer.main.get_command(importlib.import_module(_room_modules()[name]).app)
            command.name = name
        return name, command, rest


app = typer.Typer(
    cls=Rooms,
    name="postroom",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    help="The mail room between an organisation's applications and Microsoft 365.",
)


def _print_version(wanted: bool) -> None:
    if wanted:
        output.say(f"postroom {__version__}")
        raise typer.Exit


def _show_tracebacks(wanted: bool) -> None:
    if wanted:
        os.environ[_DEBUG] = "1"


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", is_eager=True, callback=_print_version)
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks.", callback=_show_tracebacks)] = False,
) -> None:
    """Options of the root; their callbacks do the work."""


def run() -> None:
    """What the console script calls. Exit codes: `cli.output`."""
    try:
        app(prog_name="postroom")
    except Exception as error:
        if os.environ.get(_DEBUG, "0") not in {"", "0"}:
            traceback.print_exc()
        message, fix = explain(error)
        output.fault(message, fix, json_wanted="--json" in sys.argv)
        raise SystemExit(output.FAULT) from None


@cache
def _root_commands() -> dict[str, Any]:
    """Commands that hang at the root itself; their modules import nothing heavy."""
    found: dict[str, Any] = {}
    for name, module in COMMANDS:
        if not name:
            group = typer.main.get_group(importlib.import_module(module).app)
            found |= group.commands
    return found


def _room_modules() -> dict[str, str]:
    return {name: module for name, module in COMMANDS if name}


def _purpose(module: str) -> str:
    """The first line of a module's docstring, read without running the module."""
    spec = importlib.util.find_spec(module)
    if spec is None or spec.origin is None:
        return ""
    text = ast.get_docstring(ast.parse(Path(spec.origin).read_text(encoding="utf-8"))) or ""
    return text.partition("\n")[0]
