"""People who sign in to the console, and the audit log."""

from __future__ import annotations

import getpass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from postroom.accounts import audit, links, service
from postroom.accounts.audit import Actor
from postroom.accounts.choices import Role
from postroom.cli import output
from postroom.cli.output import JsonFlag
from postroom.core.faults import Fault, Invalid

if TYPE_CHECKING:
    from postroom.accounts.models import Person

app = typer.Typer(no_args_is_help=True, help=__doc__)

Email = Annotated[str, typer.Argument(help="E-mail address, the sign-in name.")]
Console = Annotated[str, typer.Option(help="The console's address, as the person's browser reaches it.")]
_HERE = "http://127.0.0.1:8025"


def actor() -> Actor:
    """Whom the audit log names for what the command line does."""
    try:
        return Actor(f"cli:{getpass.getuser()}")
    except (KeyError, OSError):  # a container's user may have no name
        return Actor("cli")


@app.command("add")
def add(
    email: Email,
    role: Annotated[Role, typer.Option(help="What the person may do.")] = Role.READER,
    name: Annotated[str, typer.Option(help="The person's name.")] = "",
    console: Console = _HERE,
    json: JsonFlag = False,
) -> None:
    """Add somebody, and print the one-time link with which they sign in and set a password."""
    person = service.add_person(email, role.value, actor(), name=name)
    _print_link(person, console, json)


@app.command("link")
def link(email: Email, console: Console = _HERE, json: JsonFlag = False) -> None:
    """Print a new one-time sign-in link; it works once, for 15 minutes."""
    person = service.find(email)
    if not person.is_active:
        raise Fault(f"{person.email} is shut out", f"Let them in first: postroom person activate {person.email}")
    _print_link(person, console, json)


@app.command("list")
def list_people(
    search: Annotated[str, typer.Argument(help="Part of the address.")] = "", json: JsonFlag = False
) -> None:
    """List people."""
    rows = [_row(person) for person in service.list_people(search)]
    if json:
        output.as_json(rows)
    else:
        output.table(rows, ("email", "name", "role", "active", "password_set"), "Nobody yet: postroom person add")


@app.command("password")
def password(
    email: Email,
    stdin: Annotated[bool, typer.Option("--stdin", help="Read it from standard input, one line.")] = False,
) -> None:
    """Set somebody's password (asked for twice); their open sessions end."""
    person = service.find(email)
    new = typer.get_text_stream("stdin").readline().rstrip("\n") if stdin else _ask()
    service.set_password(person, new, actor())
    output.say(f"password of {person.email} is set")


@app.command("deactivate")
def deactivate(email: Email) -> None:
    """Shut somebody out at once, open sessions included."""
    service.deactivate(service.find(email), actor())
    output.say(f"{email} is shut out")


@app.command("activate")
def activate(email: Email) -> None:
    """Let somebody in again who was shut out."""
    service.activate(service.find(email), actor())
    output.say(f"{email} can sign in again")


@app.command("role")
def role(email: Email, new: Annotated[Role, typer.Argument(help="What the person may do.")]) -> None:
    """Give somebody another role."""
    service.change_role(service.find(email), new.value, actor())
    output.say(f"{email} is now {new.label.lower()}")


@app.command("audit-verify")
def audit_verify(json: JsonFlag = False) -> None:
    """Check that no row of the audit log was changed or taken out; print the last hash, to keep elsewhere."""
    found = audit.verify()
    if found.broken is not None:
        raise Fault(
            f"the audit log does not hold together from row {found.broken} on",
            "Compare with a backup: that row or the one before it was changed, or rows between them were removed.",
        )
    if json:
        output.as_json({"events": found.events, "last_hash": found.last_hash})
    else:
        output.say(f"{found.events} events hold together; last hash {found.last_hash or '(none)'}")


def _print_link(person: Person, console: str, json: bool) -> None:
    address = links.address(console, links.make(person, actor()))
    if json:
        output.as_json({**_row(person), "link": address})
    else:
        output.say(f"{person.email} signs in with this link (works once, for 15 minutes):\n  {address}")


def _row(person: Person) -> dict[str, Any]:
    return {
        "email": person.email,
        "name": person.name,
        "role": person.role,
        "active": person.is_active,
        "password_set": person.has_usable_password(),
    }


def _ask() -> str:
    first = str(typer.prompt("New password", hide_input=True))
    if first != typer.prompt("Once more", hide_input=True):
        raise Invalid({"password": ["The two do not agree; type the same twice."]})
    return first
