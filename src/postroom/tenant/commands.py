"""The Azure side: sign in, observe, plan, apply, verify, export, import, rotate, remove."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

import typer

from postroom.accounts.commands import actor
from postroom.cli import output
from postroom.cli.output import JsonFlag
from postroom.core.faults import Fault
from postroom.mailboxes.proof import Patience as ProofPatience
from postroom.tenant import export, importing, remove, rotate, service, setups, signin, verify
from postroom.tenant.deeds import Patience
from postroom.tenant.telling import Teller, tell_code, tell_note, tell_plan, tell_stage, tell_verification

app = typer.Typer(no_args_is_help=True, help=__doc__)

File = Annotated[Path, typer.Argument(help="The wanted state as YAML; - for standard input.")]
Name = Annotated[str, typer.Argument(help="Name of the set-up; the only one when left out.")]
Cloud = Annotated[str, typer.Option(help="Cloud: global, gcc-high, dod, china, or one of your own.")]
Spreading = Annotated[float, typer.Option("--patience", help="Seconds to wait for what was made to be seen.")]


@app.command("signin")
def sign_in(
    tenant: Annotated[str, typer.Option(help="Directory (tenant) id or a domain.")],
    cloud: Cloud = "global",
    application: Annotated[str, typer.Option(help="Client id of an administrator application, for no person.")] = "",
    secret_env: Annotated[str, typer.Option(help="Environment variable that holds its secret.")] = "",
    certificate: Annotated[Path | None, typer.Option(help="PEM or PFX file with its certificate and key.")] = None,
    json: JsonFlag = False,
) -> None:
    """Sign an administrator in: by a code on another device, or as an application. Kept sealed."""
    if application:
        done = signin.by_application(
            cloud,
            tenant,
            application,
            actor(),
            secret="" if certificate else _secret(secret_env, "Secret of the administrator application"),
            certificate=certificate.read_bytes() if certificate else b"",
            password=_secret("", "Password of the certificate's key") if _wants_password(certificate) else "",
        )
    else:
        done = signin.by_device(cloud, tenant, tell_code, actor())
    _result(json, {"name": done.name, "kind": done.kind, "tenant_id": done.tenant_id}, f"{done.name} is signed in")


@app.command("signout")
def sign_out(
    tenant: Annotated[str, typer.Option(help="Directory (tenant) id or a domain.")], cloud: Cloud = "global"
) -> None:
    """Forget an administrator's sign-in."""
    output.say("signed out" if signin.sign_out(cloud, tenant, actor()) else "nobody was signed in")


@app.command("list")
def list_setups(json: JsonFlag = False) -> None:
    """List set-ups."""
    rows = [
        {"name": row.name, "cloud": row.cloud, "tenant": row.tenant, "mailboxes": ", ".join(row.mailboxes)}
        for row in setups.rows()
    ]
    if json:
        output.as_json(rows)
    else:
        output.table(rows, ("name", "cloud", "tenant", "mailboxes"), "No set-up yet: postroom tenant plan FILE")


@app.command("observe")
def observe(name: Name = "", json: JsonFlag = False) -> None:
    """Show what is there at Microsoft. Read-only."""
    setup = setups.get(name)
    shown = service.show(setup, actor(), tell=tell_note)
    if json:
        output.as_json(shown.observed.to_data())
    else:
        output.say(export.state(setup, shown.observed))


@app.command("plan")
def plan(
    file: Annotated[str, typer.Argument(help="The wanted state as YAML (- for standard input), or a set-up's name.")],
    json: JsonFlag = False,
) -> None:
    """Show what would be done, in order, and what is not as wanted. Exit code 0 also when there is something to do."""
    shown = service.show(_setup(file), actor(), tell=tell_note)
    if json:
        output.as_json(shown.to_data())
    else:
        tell_plan(shown)


@app.command("apply")
def apply(
    what: Annotated[str, typer.Argument(help="Hash of a plan that was shown; or the wanted state as YAML.")],
    yes: Annotated[bool, typer.Option("--yes", help="With a file: don't ask.")] = False,
    patience: Spreading = 900.0,
    json: JsonFlag = False,
) -> None:
    """Do what was shown, step by step. May be repeated, also after a kill. Exit code 1 when a step fails."""
    hash_ = what if _is_hash(what) else _agreed(what, yes=yes, json=json)
    teller = Teller()
    outcome = service.apply(
        hash_, actor(), listen=teller.progress, tell=tell_note, patience=Patience(spreading=patience)
    )
    if json:
        output.as_json(outcome.to_data())
    else:
        trips = f"{outcome.trips.get('total', 0)} round trips, {outcome.trips.get('dependent', 0)} one after another"
        state = "done" if outcome.passed else "not all could be done; mend what failed and run it again"
        output.say(f"{outcome.setup}: {state} ({trips})")
    if not outcome.passed:
        raise typer.Exit(output.FAULT)


@app.command("verify")
def prove(
    name: Name = "",
    to: Annotated[str, typer.Option("--to", help="Who gets the test messages; the mailboxes themselves.")] = "",
    wait: Annotated[float, typer.Option(help="Seconds to wait for a message to come back.")] = 60.0,
    retry: Annotated[bool, typer.Option(help="Try again while a recent change may be spreading.")] = True,
    json: JsonFlag = False,
) -> None:
    """Prove the set-up from the outside, and report what the application can reach. Exit code 1 when it fails."""
    patience = ProofPatience(read_back=wait) if retry else ProofPatience(read_back=wait, spreading=())
    found = verify.verify(setups.get(name), to, actor(), watch=tell_stage, patience=patience)
    if json:
        output.as_json(found.to_data())
    else:
        tell_verification(found)
    if not found.passed:
        raise typer.Exit(output.FAULT)


@app.command("export")
def export_all(
    file: Annotated[str, typer.Argument(help="The wanted state as YAML (- for standard input), or a set-up's name.")],
    kind: Annotated[str, typer.Option("--kind", help="script, checklist or state.")] = "script",
    out: Annotated[Path | None, typer.Option(help="Write it to this file.")] = None,
    json: JsonFlag = False,
) -> None:
    """Write what a colleague with the rights needs: a PowerShell script, a checklist for the portal, or the state."""
    makers = {"script": export.script, "checklist": export.checklist, "state": export.state}
    if kind not in makers:
        raise Fault(f"{kind!r} cannot be exported", f"Choose --kind of: {', '.join(makers)}")
    text = makers[kind](_setup(file))
    if json:
        output.as_json({kind: text})
    elif out:
        out.write_text(text, encoding="utf-8", newline="\r\n" if kind == "script" else "\n")
        output.say(f"{kind} is in {out}")
    else:
        typer.echo(text, nl=False)


@app.command("import")
def import_answer(
    file: Annotated[Path, typer.Argument(help="What the colleague sent back, as YAML or JSON; - for standard input.")],
    name: Annotated[str, typer.Option(help="Name of the set-up.")] = "",
    json: JsonFlag = False,
) -> None:
    """Take what a colleague sent back: ids and secret, checked and kept; the mailbox configurations follow."""
    done = importing.take(setups.get(name), _text(file), actor())
    data = {"setup": done.setup, "ids": done.ids, "secret": done.secret, "mailboxes": list(done.mailboxes)}
    said = f"{', '.join(done.mailboxes)} configured; prove it: postroom tenant verify {done.setup!r}"
    _result(json, data, said)


@app.command("rotate")
def rotate_credential(
    name: Name = "",
    due: Annotated[bool, typer.Option("--due", help="Only those for which a warning is due, in all set-ups.")] = False,
    remove_now: Annotated[bool, typer.Option("--remove-now", help="Remove the old one at once.")] = False,
    patience: Spreading = 300.0,
    json: JsonFlag = False,
) -> None:
    """Make a new credential beside the old, prove it, switch to it; the old one goes after a day."""
    names = sorted({one.setup for one in rotate.expiring() if one.threshold <= _ROTATE_AT}) if due else [name]
    teller, done = Teller(), []
    for one in names:
        result = rotate.rotate(
            setups.get(one),
            actor(),
            listen=teller.progress,
            patience=Patience(spreading=patience),
            remove_now=remove_now,
        )
        done.append(
            {"setup": result.setup, "new": result.new, "ends_at": result.ends_at, "old": result.old}
            | {"removed": result.removed, "remove_after": result.remove_after}
        )
    if json:
        output.as_json(done)
    else:
        output.table(done, ("setup", "new", "ends_at", "remove_after"), "No credential ends soon.")


@app.command("expiring")
def expiring(json: JsonFlag = False) -> None:
    """List credentials that end within 60 days."""
    rows = [
        {"setup": one.setup, "credential": one.credential, "ends_at": one.ends_at, "days": one.days}
        for one in rotate.expiring()
    ]
    if json:
        output.as_json(rows)
    else:
        output.table(rows, ("setup", "credential", "ends_at", "days"), "No credential ends within 60 days.")


@app.command("remove")
def remove_setup(
    name: Name = "",
    with_mailboxes: Annotated[
        bool, typer.Option("--with-mailboxes", help="Shared mailboxes too, with all mail.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Don't ask.")] = False,
    json: JsonFlag = False,
) -> None:
    """Take away what this set-up made, and nothing else. Shared mailboxes stay unless asked for."""
    setup = setups.get(name)
    leaving = remove.preview(setup, with_mailboxes=with_mailboxes)
    if not yes:
        for one in leaving.going:
            output.note(f"goes:  {one}")
        for one in leaving.staying:
            output.note(f"stays: {one}")
        typer.confirm(f"Remove what {setup.name} made?", abort=True, err=True)
    outcome = remove.remove(setup, actor(), with_mailboxes=with_mailboxes, listen=Teller().progress)
    _result(json, outcome.to_data(), f"{setup.name}: {'removed' if outcome.passed else 'not all could be removed'}")
    if not outcome.passed:
        raise typer.Exit(output.FAULT)


_ROTATE_AT = 30
"""Days before its end at which `rotate --due` takes a credential."""


def _setup(what: str) -> Any:
    """The set-up that a file describes (saved by this), or that has this name."""
    if what == "-" or Path(what).is_file():
        return setups.save(_text(Path(what)), actor())
    return setups.get(what)


def _text(file: Path) -> str:
    return typer.get_text_stream("stdin").read() if str(file) == "-" else file.read_text(encoding="utf-8")


def _is_hash(what: str) -> bool:
    return len(what) <= 16 and all(one in "0123456789abcdef" for one in what) and not Path(what).is_file()


def _agreed(file: str, *, yes: bool, json: bool) -> str:
    """The hash of the plan for a file, shown and agreed to."""
    shown = service.show(_setup(file), actor(), tell=tell_note)
    if not json:
        tell_plan(shown)
    if not (yes or json or shown.plan.nothing_to_do):
        typer.confirm("Do this?", abort=True)
    return shown.plan.hash


def _secret(variable: str, prompt: str) -> str:
    """Never an argument: other users of the machine could read it there."""
    if not variable:
        return str(typer.prompt(prompt, hide_input=True, err=True))
    value = os.environ.get(variable, "")
    if not value:
        raise Fault(f"the environment variable {variable} is empty", "Put the secret into it.")
    return value


def _wants_password(certificate: Path | None) -> bool:
    return certificate is not None and b"-----BEGIN" not in certificate.read_bytes()[:4096]


def _result(json: bool, data: dict[str, Any], sentence: str) -> None:
    if json:
        output.as_json(data)
    else:
        output.say(sentence)
