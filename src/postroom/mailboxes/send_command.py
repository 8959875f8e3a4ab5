"""Send one message through a mailbox, now."""

from __future__ import annotations

import mimetypes
import sys
from pathlib import Path
from typing import Annotated

import typer

from postroom.accounts.commands import actor
from postroom.cli import output
from postroom.cli.output import JsonFlag
from postroom.core.faults import Invalid
from postroom.mail.addresses import Address, BadAddress, dedupe, parse, parse_list
from postroom.mail.compose import Draft
from postroom.mail.envelope import Envelope
from postroom.mail.message import Attachment
from postroom.mailboxes import mailing, service
from postroom.mailboxes.mailing import SentReport

app = typer.Typer(help=__doc__)

Addresses = Annotated[list[str] | None, typer.Option(help="May be repeated; several are separated by commas.")]


@app.command()
def send(
    to: Addresses = None,
    cc: Addresses = None,
    bcc: Addresses = None,
    mailbox: Annotated[str, typer.Option(help="Name, address or number; the default one when left out.")] = "",
    sender: Annotated[str, typer.Option("--from", help="From address; the mailbox's own when left out.")] = "",
    subject: Annotated[str, typer.Option(help="Subject.")] = "",
    text: Annotated[str | None, typer.Option(help="Text; read from standard input when left out.")] = None,
    html: Annotated[Path | None, typer.Option(help="File with the HTML version.")] = None,
    attach: Annotated[list[Path] | None, typer.Option(help="File to attach; may be repeated.")] = None,
    raw: Annotated[
        Path | None, typer.Option(help="Send this ready message (.eml) as it is, to --to/--cc/--bcc.")
    ] = None,
    json: JsonFlag = False,
) -> None:
    """Send one message through a mailbox, and wait for the server's answer. Exit code 1 when it refuses."""
    row = service.find(mailbox)
    to_, cc_, bcc_ = _addresses("to", to), _addresses("cc", cc), _addresses("bcc", bcc)
    own = mailing.sender_of(service.effective(row))
    author = _author(sender) if sender else own
    if raw is not None:
        everybody = tuple(address.mailbox for address in dedupe((*to_, *cc_, *bcc_)))
        report = mailing.send(row.pk, raw.read_bytes(), actor(), envelope=Envelope(author.mailbox, everybody))
    else:
        draft = Draft(
            sender=author,
            to=to_,
            cc=cc_,
            bcc=bcc_,
            subject=subject,
            text=sys.stdin.read() if text is None else text,
            html=html.read_text(encoding="utf-8") if html else "",
            attachments=tuple(_attachment(path) for path in attach or ()),
        )
        report = mailing.send(row.pk, draft, actor())
    _print(report, json)
    if not report.sent:
        raise typer.Exit(output.FAULT)


def _addresses(name: str, given: list[str] | None) -> tuple[Address, ...]:
    try:
        return parse_list(",".join(given or ()), name)
    except BadAddress as error:
        raise Invalid({name: [str(error).removeprefix(f"{name}: ")]}) from None


def _author(given: str) -> Address:
    try:
        return parse(given, "from")
    except BadAddress as error:
        raise Invalid({"from": [str(error).removeprefix("from: ")]}) from None


def _attachment(path: Path) -> Attachment:
    kind = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    return Attachment(path.name, kind, path.read_bytes())


def _print(report: SentReport, json: bool) -> None:
    diagnosis = report.diagnosis
    if json:
        output.as_json(
            {
                "sent": report.sent,
                "message_id": report.message_id,
                "server_message_id": report.server_message_id,
                "recipients": report.recipients,
                "diagnosis": diagnosis.to_json() if diagnosis else None,
            }
        )
        return
    if report.sent:
        also = f"; the server calls it {report.server_message_id}" if report.server_message_id else ""
        output.say(f"sent {report.message_id} to {', '.join(report.recipients)}{also}")
    if diagnosis is not None:
        output.fault(diagnosis.cause, f"{diagnosis.fix}\n{diagnosis.command}".strip(), False)
