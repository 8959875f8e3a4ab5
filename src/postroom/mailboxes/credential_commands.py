"""Credentials: secrets, certificates, identities and passwords; write-only.

A secret is read from standard input, a file, the environment, or a prompt: never from the command line, which other
users of the machine can see.
"""

from __future__ import annotations

import os
import sys
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from postroom.accounts.commands import actor
from postroom.cli import output
from postroom.cli.output import JsonFlag
from postroom.core.faults import Fault, Invalid
from postroom.mailboxes import credentials, service
from postroom.mailboxes.credentials import CredentialView

app = typer.Typer(no_args_is_help=True, help=__doc__)

_KINDS = "secret (the default with OAuth), certificate, federated-file, managed-identity, or password."

Which = Annotated[str, typer.Argument(help="Name, address or number of the mailbox.")]
Number = Annotated[int, typer.Argument(help="The credential's number; see `postroom credential list`.")]


@app.command("list")
def list_credentials(mailbox: Which, json: JsonFlag = False) -> None:
    """List the credentials that a mailbox uses; the first is tried first."""
    rows = [asdict(view) for view in credentials.list_for(service.find(mailbox))]
    if json:
        output.as_json(rows)
        return
    columns = ("id", "label", "hint", "expires_at", "refused_with", "fault")
    output.table(rows, columns, "No credential yet: postroom credential add")


@app.command("add")
def add(
    mailbox: Which,
    kind: Annotated[str, typer.Option(help=_KINDS)] = "",
    file: Annotated[Path | None, typer.Option(help="Read it from this file (PEM or PFX for a certificate).")] = None,
    env: Annotated[str, typer.Option(help="Read it from this environment variable.")] = "",
    expires: Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d"], help="When it ends, in UTC.")] = None,
    password_env: Annotated[str, typer.Option(help="Environment variable with the password of the certificate.")] = "",
    path: Annotated[str, typer.Option(help="For federated-file: where the token file lies.")] = "",
    identity: Annotated[str, typer.Option(help="For managed-identity: client id of a user-assigned one.")] = "",
    json: JsonFlag = False,
) -> None:
    """Add a credential beside the one in use. Without --file or --env it is read from standard input or asked for."""
    row = service.find(mailbox)
    owner = credentials.owner_of(row)
    kind = kind or ("secret" if row.sign_in_by == "oauth" else "password")
    if kind == "certificate":
        if file is None:
            raise Invalid({"--file": ["is missing; name the PEM or PFX file with certificate and key"]})
        password = os.environ.get(password_env, "") if password_env else ""
        view = credentials.upload_certificate(owner, file.read_bytes(), password, actor())
    else:
        value = path or identity if kind in {"federated-file", "managed-identity"} else _secret(file, env)
        ends = expires.replace(tzinfo=UTC) if expires else None
        view = credentials.add(owner, kind, value, ends, actor())
    _done(view, "is added", json)


@app.command("generate-certificate")
def generate_certificate(
    mailbox: Which,
    days: Annotated[int, typer.Option(help="How long it is good for.")] = 365,
    out: Annotated[Path | None, typer.Option(help="Write the public part to this file.")] = None,
    json: JsonFlag = False,
) -> None:
    """Make a key and certificate here. Upload the public part to the application in Azure; the key never leaves."""
    owner = credentials.owner_of(service.find(mailbox))
    view = credentials.generate_certificate(owner, actor(), days=days)
    if out is not None:
        out.write_text(view.public_certificate, encoding="ascii")
    if json:
        _done(view, "", json)
        return
    output.note(f"{view.label}, {view.hint}, good until {view.expires_at:%Y-%m-%d}, is added.")
    output.note("Upload this in Azure: App registrations > (the application) > Certificates & secrets > Certificates.")
    if out is None:
        output.say(view.public_certificate.strip())


@app.command("promote")
def promote(number: Number) -> None:
    """Make a credential the one that is tried first."""
    credentials.promote(number, actor())
    output.say(f"credential {number} is tried first")


@app.command("remove")
def remove(number: Number, yes: Annotated[bool, typer.Option("--yes", help="Don't ask.")] = False) -> None:
    """Remove a credential. It cannot be shown again, nor brought back."""
    if not yes:
        typer.confirm(f"Remove credential {number}?", abort=True)
    credentials.remove(number, actor())
    output.say(f"credential {number} is removed")


@app.command("rotate-key")
def rotate_key(json: JsonFlag = False) -> None:
    """Seal all credentials with the first key of POSTROOM_KEY or the key file. May be repeated."""
    rotation = credentials.rotate_key(actor())
    if json:
        output.as_json(asdict(rotation))
    else:
        output.say(
            f"{rotation.resealed} sealed anew, {rotation.already} were already, {rotation.unreadable} cannot be read"
        )
    if rotation.unreadable:
        if not json:
            output.note("Keep the key they were sealed with in POSTROOM_KEY behind the new one, or add them anew.")
        raise typer.Exit(output.FAULT)


def _secret(file: Path | None, env: str) -> str:
    """Without the line end that editors and `echo` add."""
    if file is not None:
        return file.read_text(encoding="utf-8").rstrip("\r\n")
    if env:
        if env not in os.environ:
            raise Fault(f"the environment variable {env} is not set", "set it, or leave --env out to be asked")
        return os.environ[env]
    if sys.stdin.isatty():
        return str(typer.prompt("Secret or password (not shown)", hide_input=True))
    return sys.stdin.readline().rstrip("\r\n")


def _done(view: CredentialView, sentence: str, json: bool) -> None:
    shown: dict[str, Any] = asdict(view)
    if json:
        output.as_json(shown)
    else:
        output.say(f"{view.label}, {view.hint}, {sentence} as number {view.id}")
