"""Commands that run things: server, demonstration, migrations, keys, the lab. Nothing heavy is imported before."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import Annotated, Any

import typer

from postroom.cli import output
from postroom.cli.output import JsonFlag
from postroom.cli.starting import start
from postroom.core.faults import Fault

app = typer.Typer()
key_app = typer.Typer(no_args_is_help=True, help="Keys of the encryption at rest.")
app.add_typer(key_app, name="key")

_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


@app.command()
def serve(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on; 0 takes a free one.", min=0, max=65535)] = 8025,
    role: Annotated[
        list[str] | None,
        typer.Option(help="Only this: web (console), submission (SMTP door) or worker (sends). May be repeated."),
    ] = None,
    metrics_port: Annotated[
        int | None,
        typer.Option(help="A port for /metrics, /healthz and /readyz alone; 0 takes a free one.", min=0, max=65535),
    ] = None,
    json: JsonFlag = False,
) -> None:
    """Run Postroom: the console, the SMTP door, and the worker that sends."""
    start()
    from postroom.operate import roles, server

    chosen = roles.chosen(role)
    with ExitStack() as stack:
        stack.enter_context(_database_in_use())
        _ready_database()
        probes = _probes(stack, host, metrics_port)
        if roles.WEB not in chosen:
            roles.run_alone(chosen, lambda: _announce_worker(probes, json))
            return
        _warn_of(host)
        stack.enter_context(roles.beside(chosen))
        server.run(host, port, lambda console: _announce(console, probes, json))


def _probes(stack: ExitStack, host: str, port: int | None) -> dict[str, Any]:
    """Opens the port for machines, where one is wanted; what is announced of it."""
    from postroom.operate import probes

    if port is None:
        return {}
    shown = f"[{host}]" if ":" in host else host
    return {"metrics": f"http://{shown}:{stack.enter_context(probes.port(host, port))}/metrics"}


def _warn_of(host: str) -> None:
    if host not in _LOOPBACK:
        output.note(
            f"warning: listening on {host}: others can reach this console. Put a proxy with TLS before it, set "
            "POSTROOM_HTTPS=1, and name its host in POSTROOM_HOSTS."
        )


@app.command()
def demo(
    home: Annotated[Path, typer.Option(help="Folder for everything the demonstration keeps.")] = Path(".run"),
    once: Annotated[bool, typer.Option("--once", help="Do the job, print it, leave with 0 or 1.")] = False,
    port: Annotated[int, typer.Option(help="The console's port; 0 takes a free one.", min=0, max=65535)] = 8025,
) -> None:
    """Start a lab tenant and Postroom, configure a mailbox, prove it, and leave the console open."""
    os.environ["POSTROOM_HOME"] = str(home.absolute())
    start()
    from postroom.operate import demo as job
    from postroom.operate import lab, roles, server

    output.say("Starting a Microsoft 365 tenant on this machine (the lab) and Postroom")
    with ExitStack() as stack:
        tenant = stack.enter_context(lab.running(home.absolute() / "lab"))
        stack.enter_context(_database_in_use())
        _ready_database()
        administrator = job.main_job(tenant, output.say)
        if once:
            return

        def announce(console: str) -> None:
            output.say(f"\nConsole: {console}\nThe lab, where you see what arrived: {tenant['page']}")
            output.say(f"Sign in (works once, for 15 minutes):\n  {job.sign_in_link(console, administrator)}")
            output.say("Ctrl-C ends both. What they keep stays in the folder: " + str(home))

        with roles.beside(roles.ALL):
            server.run("127.0.0.1", port, announce)


@app.command()
def migrate() -> None:
    """Bring the database up to this version of Postroom."""
    start()
    from django.core.management import call_command

    waiting = _migrations_waiting()
    call_command("migrate", verbosity=0, interactive=False)
    output.say(f"{waiting} migrations applied" if waiting else "the database is up to date")


@app.command(add_help_option=False, context_settings={"ignore_unknown_options": True, "allow_extra_args": True})
def lab(context: typer.Context) -> None:
    """Run the lab, a Microsoft 365 tenant on this machine; takes the options of `python -m m365lab`."""
    command = [sys.executable, "-m", "m365lab", *context.args]
    if os.name == "posix":
        os.execv(sys.executable, command)  # noqa: S606 - signals reach the lab itself, no process in between
    raise SystemExit(subprocess.call(command))  # noqa: S603 - our own interpreter


@key_app.command("new")
def key_new(json: JsonFlag = False) -> None:
    """Print a new key, for POSTROOM_KEY or the key file."""
    from postroom.core.keys import new_key

    key = new_key()
    if json:
        output.as_json({"key": key})
    else:
        output.say(key)
        output.note("Put it before the present one in POSTROOM_KEY, then run: postroom credential rotate-key")


def _ready_database() -> None:
    """The embedded database is migrated at each start; a shared one when its administrator says so. Raises `Fault`."""
    from django.core.management import call_command
    from django.db import connection

    if connection.vendor == "sqlite":
        call_command("migrate", verbosity=0, interactive=False)
    elif waiting := _migrations_waiting():
        raise Fault(f"the database lacks {waiting} migrations of this version", "Run: postroom migrate")


def _migrations_waiting() -> int:
    from postroom.operate import readiness

    return readiness.migrations_waiting()


def _database_in_use() -> AbstractContextManager[None]:
    """So that nobody restores or moves it meanwhile."""
    from django.db import connection

    from postroom.operate import in_use

    return in_use.serving(Path(connection.settings_dict["NAME"]) if connection.vendor == "sqlite" else None)


def _announce_worker(probes: dict[str, Any], json: bool) -> None:
    if json:
        output.as_json({"worker": True} | probes)
        return
    output.say("It runs; Ctrl-C ends it when what is under way has been sent.")
    for address in probes.values():
        output.say(f"Metrics: {address}")


def _announce(console: str, probes: dict[str, Any], json: bool) -> None:
    """Says where the console is; at the very first start also how to become its administrator."""
    from postroom.accounts import links, service
    from postroom.accounts.audit import SYSTEM

    first = "" if service.anybody() else links.address(console, links.make(None, SYSTEM))
    if json:
        said = {"console": console} | probes
        output.as_json(said | ({"first_administrator": first} if first else {}))
        return
    output.say(f"Console: {console}")
    if first:
        output.say(f"Nobody can sign in yet. Become the administrator (works once, for 15 minutes):\n  {first}")
