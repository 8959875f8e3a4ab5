"""*-CASMailbox and *-TransportConfig: which protocols are on, for a mailbox and for the organisation (facts 4.1)."""

from __future__ import annotations

from collections.abc import Iterator

from m365lab.adminapi.cmdlet import Row, Run, bad_value, cmdlet
from m365lab.adminapi.identity import mailbox_of
from m365lab.exchange import Mailbox


@cmdlet("Get-CASMailbox", "Identity")
def get_mailbox(run: Run) -> Iterator[Row]:
    if run.has("Identity"):
        yield _shown(mailbox_of(run, run.needed("Identity")))
    else:
        yield from map(_shown, run.tenant.exchange.mailboxes.values())


@cmdlet("Set-CASMailbox", "Identity", "SmtpClientAuthenticationDisabled", "ImapEnabled", "PopEnabled")
def set_mailbox(run: Run) -> Iterator[Row]:
    mailbox = mailbox_of(run, run.needed("Identity"))
    imap, pop = run.boolean("ImapEnabled"), run.boolean("PopEnabled")
    if run.has("SmtpClientAuthenticationDisabled"):  # $null: as the organisation has it
        mailbox.smtp_auth_disabled = run.boolean("SmtpClientAuthenticationDisabled")
    mailbox.imap_enabled = mailbox.imap_enabled if imap is None else imap
    mailbox.pop_enabled = mailbox.pop_enabled if pop is None else pop
    yield from ()


@cmdlet("Get-TransportConfig")
def get_organisation(run: Run) -> Iterator[Row]:
    yield {
        "Identity": "Transport Settings",
        "SmtpClientAuthenticationDisabled": run.tenant.exchange.smtp_auth_disabled,
        "MaxRecipientEnvelopeLimit": run.tenant.limits.recipients_per_message,
    }


@cmdlet("Set-TransportConfig", "Identity", "SmtpClientAuthenticationDisabled")
def set_organisation(run: Run) -> Iterator[Row]:
    disabled = run.boolean("SmtpClientAuthenticationDisabled")
    if disabled is None:
        raise bad_value("SmtpClientAuthenticationDisabled of the organization is true or false.")
    run.tenant.exchange.smtp_auth_disabled = disabled
    yield from ()


def _shown(mailbox: Mailbox) -> Row:
    return {
        "Identity": mailbox.alias,
        "Name": mailbox.name,
        "PrimarySmtpAddress": mailbox.address,
        "SmtpClientAuthenticationDisabled": mailbox.smtp_auth_disabled,
        "ImapEnabled": mailbox.imap_enabled,
        "PopEnabled": mailbox.pop_enabled,
    }
