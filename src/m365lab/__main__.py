"""`python -m m365lab`: starts a lab, or steers one that runs."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from m365lab import keeping, running
from m365lab.contoso import contoso
from m365lab.post import Gone
from m365lab.serving import Lab, Ports
from m365lab.steering import Refused, Steering

_DEFAULT = Ports()
app = typer.Typer(add_completion=False, help="A Microsoft 365 tenant that one can start.", no_args_is_help=False)
faults = typer.Typer(help="Switch faults of the running lab on and off.", no_args_is_help=True)
app.add_typer(faults, name="fault")

Folder = Annotated[Path | None, typer.Option(help="Keep the lab's state in this folder.")]
Control = Annotated[str, typer.Option(help="Control address of the lab; left out: the one started last.")]
Key = Annotated[str, typer.Option(help="Its control_key.", envvar="M365LAB_KEY")]
CaFile = Annotated[str, typer.Option("--ca-file", help="Its ca_file.")]


@app.command()
def serve(
    host: Annotated[str, typer.Option(help="Address to listen on. The control API stays on loopback.")] = "127.0.0.1",
    https_port: Annotated[
        int, typer.Option(help="Entra, Graph and the control API; 0 takes any free port.")
    ] = _DEFAULT.https,
    smtp_port: Annotated[int, typer.Option(help="SMTP with STARTTLS.")] = _DEFAULT.smtp,
    imap_port: Annotated[int, typer.Option(help="IMAP with TLS.")] = _DEFAULT.imap,
    pop_port: Annotated[int, typer.Option(help="POP3 with TLS.")] = _DEFAULT.pop,
    introspection_port: Annotated[
        int, typer.Option(help="The page, and token introspection, in plain HTTP on loopback.")
    ] = _DEFAULT.introspection,
    folder: Folder = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON line with every endpoint.")] = False,
    empty: Annotated[bool, typer.Option(help="Without the ready-made application.")] = False,
    open_control: Annotated[bool, typer.Option(help="Ask for no key in the control API and the page.")] = False,
) -> None:
    """Start a lab, and serve until it is told to stop (SIGINT, SIGTERM)."""
    gone: list[Gone] = []
    try:
        if folder is not None and keeping.is_kept(folder):
            tenant, ready, gone = keeping.load(folder)
        else:
            tenant, ready = contoso(empty=empty)
    except keeping.Unreadable as error:
        raise _failed(str(error)) from error
    ports = Ports(https_port, smtp_port, imap_port, pop_port, introspection_port)
    lab = Lab(tenant, ready, ports, folder, host=host, open_control=open_control)
    lab.office.gone.extend(gone)
    try:
        asyncio.run(_serve(lab, running.place(folder), as_json=as_json))
    except OSError as error:
        raise _failed(f"The lab cannot start: {error.strerror or error}.") from error


async def _serve(lab: Lab, place: Path, *, as_json: bool) -> None:
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGINT, signal.SIGTERM):
        try:
            loop.add_signal_handler(name, stopping.set)
        except NotImplementedError:  # Windows: the loop has no such handlers
            signal.signal(name, lambda *_: loop.call_soon_threadsafe(stopping.set))
    await lab.start()
    described = lab.describe()
    with contextlib.suppress(OSError):  # a home that is read-only: --control names the lab then
        running.announce(place, described)
    typer.echo(json.dumps(described) if as_json else _greeting(described))
    sys.stdout.flush()
    try:
        await stopping.wait()
    finally:
        running.withdraw(place)
        await lab.stop()


def _greeting(described: dict[str, Any]) -> str:
    cloud, application = described["cloud"], described["application"]
    lines = [
        "A Microsoft 365 lab is running. Stop it with Ctrl-C.",
        f"  page        {described['page']}",
        f"  sign-in     {cloud['authority']} (tenant {described['tenant_id']})",
        f"  SMTP        {cloud['smtp_host']}:{cloud['smtp_port']} (STARTTLS)",
        f"  IMAP        {cloud['imap_host']}:{cloud['imap_port']} (TLS)",
        f"  POP3        {cloud['pop_host']}:{cloud['pop_port']} (TLS)",
        f"  authority   {described['ca_file']}",
        f"  mailboxes   {', '.join(described['mailboxes'])}",
    ]
    if application:
        lines.append(f"  client id   {application['client_id']}")
        lines.append(f"  secret      {application['client_secret']}")
    return "\n".join(lines)


@app.command()
def state(folder: Folder = None, control: Control = "", key: Key = "", ca_file: CaFile = "") -> None:
    """Show the running lab's state as JSON."""
    _show(_ask(folder, control, key, ca_file, "GET", "/state"))


@app.command()
def mailboxes(folder: Folder = None, control: Control = "", key: Key = "", ca_file: CaFile = "") -> None:
    """Show the mailboxes as JSON."""
    _show(_ask(folder, control, key, ca_file, "GET", "/mailboxes"))


@app.command()
def reset(folder: Folder = None, control: Control = "", key: Key = "", ca_file: CaFile = "") -> None:
    """Put the tenant back to what it was when the lab started."""
    _ask(folder, control, key, ca_file, "POST", "/reset")


@faults.command("list")
def list_faults(folder: Folder = None, control: Control = "", key: Key = "", ca_file: CaFile = "") -> None:
    """List the faults, with the values that each takes."""
    for fault in _ask(folder, control, key, ca_file, "GET", "/faults"):
        takes = ", ".join(f"{name}={kind}" for name, kind in fault["takes"].items())
        times = "" if fault["times"] is None else f" ({fault['times']} more)"
        typer.echo(f"{'ON ' if fault['on'] else '   '} {fault['name']:<26} {takes}{times}")


@faults.command("on")
def switch_on(
    name: str,
    values: Annotated[list[str] | None, typer.Argument(help="key=value, and times=N to limit it.")] = None,
    folder: Folder = None,
    control: Control = "",
    key: Key = "",
    ca_file: CaFile = "",
) -> None:
    """Switch a fault on."""
    given: dict[str, Any] = {}
    for value in values or ():
        key_, equals, text = value.partition("=")
        if not equals:
            raise _failed(f"{value}: write it as key=value.")
        given[key_] = text
    body: dict[str, Any] = {"values": given}
    if "times" in given:
        body["times"] = given.pop("times")
    _ask(folder, control, key, ca_file, "PUT", f"/faults/{name}", body)


@faults.command("off")
def switch_off(
    name: Annotated[str, typer.Argument(help="A fault's name, or `all`.")],
    folder: Folder = None,
    control: Control = "",
    key: Key = "",
    ca_file: CaFile = "",
) -> None:
    """Switch a fault off."""
    _ask(folder, control, key, ca_file, "DELETE", "/faults" if name == "all" else f"/faults/{name}")


def _ask(folder: Path | None, control: str, key: str, ca_file: str, method: str, path: str, body: Any = None) -> Any:
    found = running.Running(control, key, ca_file) if control else running.find(running.place(folder))
    if found is None:
        raise _failed("No lab is running here: start one with `python -m m365lab`, or name it with --control.")
    try:
        return Steering(found).ask(method, path, body)
    except Refused as error:
        raise _failed(str(error)) from error


def _show(answer: Any) -> None:
    typer.echo(json.dumps(answer, indent=2))


def _failed(message: str) -> typer.Exit:
    typer.echo(message, err=True)
    return typer.Exit(1)


def main() -> None:
    """Without a command, `serve`."""
    arguments = sys.argv[1:]
    if not arguments or (arguments[0].startswith("-") and arguments[0] not in {"--help", "-h"}):
        arguments = ["serve", *arguments]
    app(arguments, prog_name="python -m m365lab")


if __name__ == "__main__":
    main()
